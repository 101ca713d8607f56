//! The only file that calls SPI. Every statement runs with `search_path = pg_catalog, pg_temp`, so that an object in
//! the caller's path cannot replace one that the statement refers to.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use pgrx::datum::DatumWithOid;
use pgrx::{FromDatum, pg_sys};

use super::errors::{Fallible, SqlState, failure};
use super::version::Remedy;

/// Which snapshot a statement sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// That of the query which called the function: what a STABLE function must read. The statement may only read,
    /// assigns no transaction id and works on a standby.
    Callers,
    /// A new one that sees what this function did before: for VOLATILE functions.
    Fresh,
}

/// One row of a result, valid while the statement's result is.
pub(crate) struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

impl Row {
    /// The column at a position, counted from 1; `None` for NULL. The caller names the type that the statement gives.
    pub(crate) fn get<T: FromDatum>(&self, column: i32) -> Option<T> {
        let mut is_null = false;
        // SAFETY: tuple and descriptor belong to the SPI result that `run` keeps alive while it returns rows;
        // `FromDatum` for owned types copies.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null);
            T::from_datum(datum, is_null)
        }
    }

    /// A column that the statement cannot give as NULL.
    pub(crate) fn need<T: FromDatum>(&self, column: i32) -> Fallible<T> {
        self.get(column).ok_or_else(|| {
            failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("column {column} of an internal statement is null"))
        })
    }
}

/// Runs one statement and maps each row; gives what was mapped.
pub(crate) fn run<T>(
    snapshot: Snapshot,
    sql: &str,
    args: &[DatumWithOid<'_>],
    mut map: impl FnMut(&Row) -> Fallible<T>,
) -> Fallible<Vec<T>> {
    let mut rows = Vec::new();
    execute(snapshot, sql, args, |row| {
        rows.push(map(row)?);
        Ok(())
    })?;
    Ok(rows)
}

/// Runs one statement and calls a closure for each row.
pub(crate) fn each(
    snapshot: Snapshot,
    sql: &str,
    args: &[DatumWithOid<'_>],
    each: impl FnMut(&Row) -> Fallible<()>,
) -> Fallible<()> {
    execute(snapshot, sql, args, each).map(|_| ())
}

/// Runs one statement whose rows do not matter; gives how many rows it touched.
pub(crate) fn touch(sql: &str, args: &[DatumWithOid<'_>]) -> Fallible<u64> {
    execute(Snapshot::Fresh, sql, args, |_| Ok(()))
}

/// Runs one statement that gives at most one row.
pub(crate) fn first<T>(
    snapshot: Snapshot,
    sql: &str,
    args: &[DatumWithOid<'_>],
    map: impl FnMut(&Row) -> Fallible<T>,
) -> Fallible<Option<T>> {
    Ok(run(snapshot, sql, args, map)?.into_iter().next())
}

/// Runs one statement that always gives one row.
pub(crate) fn one<T>(
    snapshot: Snapshot,
    sql: &str,
    args: &[DatumWithOid<'_>],
    map: impl FnMut(&Row) -> Fallible<T>,
) -> Fallible<T> {
    first(snapshot, sql, args, map)?
        .ok_or_else(|| failure(SqlState::ERRCODE_INTERNAL_ERROR, "an internal statement gave no row"))
}

/// Runs something under a new snapshot that sees what this function did before: everything that reads with
/// [`Snapshot::Callers`] inside reads the same.
pub(crate) fn with_snapshot<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    // SAFETY: inside a transaction; an error unwinds to the transaction's abort, which drops the snapshot.
    unsafe {
        pg_sys::CommandCounterIncrement();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = work();
        pg_sys::PopActiveSnapshot();
        result
    }
}

thread_local! {
    /// How many statements of the extension's own run in this backend, one within the other.
    static RUNNING: Cell<u32> = const { Cell::new(0) };
}

/// Whether a statement of the extension's own runs.
pub(crate) fn is_running() -> bool {
    RUNNING.get() > 0
}

/// SPI, connected, with a nest of settings in which `search_path` is pinned and `jit` is off (compiling the SQL of a rule
/// with many conditions costs seconds and saves none). Both end with it, on every way out. An error of the server unwinds
/// to where a transaction or a subtransaction is aborted, which ends them.
struct Connection {
    nest: i32,
}

impl Connection {
    fn open() -> Fallible<Self> {
        // SAFETY: inside a transaction; the nest is this connection's.
        unsafe {
            check(pg_sys::SPI_connect())?;
            let connection = Self { nest: pg_sys::NewGUCNestLevel() };
            RUNNING.set(RUNNING.get() + 1);
            set(c"search_path", c"pg_catalog, pg_temp");
            set(c"jit", c"off");
            Ok(connection)
        }
    }

    /// Ends it, and says whether that went well.
    fn close(self) -> Fallible<()> {
        let ended = self.end();
        std::mem::forget(self);
        check(ended)
    }

    fn end(&self) -> i32 {
        RUNNING.set(RUNNING.get() - 1);
        if std::thread::panicking() {
            return 0;
        }
        // SAFETY: ends what was begun in `open`.
        unsafe {
            pg_sys::AtEOXact_GUC(true, self.nest);
            pg_sys::SPI_finish()
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sets a setting until the current nest of settings ends.
///
/// # Safety
/// The current nest is the caller's.
unsafe fn set(name: &CStr, value: &CStr) {
    // SAFETY: as the caller says. GUC_ACTION_SAVE is allowed in parallel workers too.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Runs statements whose joins of large sets must not be nested loops. The planner chooses these where it expects few
/// rows, which it does of a table that was not analyzed since it grew.
pub(crate) fn without_nested_loops<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    struct Nest(i32);
    impl Drop for Nest {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                // SAFETY: ends the nest that was begun below.
                unsafe { pg_sys::AtEOXact_GUC(true, self.0) }
            }
        }
    }
    // SAFETY: inside a transaction; the nest ends with the guard.
    let nest = Nest(unsafe { pg_sys::NewGUCNestLevel() });
    // SAFETY: the current nest was begun above.
    unsafe { set(c"enable_nestloop", c"off") };
    let result = work();
    drop(nest);
    result
}

fn command_of(sql: &str) -> Fallible<CString> {
    CString::new(sql)
        .map_err(|_| failure(SqlState::ERRCODE_INTERNAL_ERROR, "an internal statement contains a zero byte"))
}

/// Arguments as SPI takes them.
struct Arguments {
    types: Vec<pg_sys::Oid>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<core::ffi::c_char>,
}

impl Arguments {
    fn of(args: &[DatumWithOid<'_>]) -> Self {
        let value = |arg: &DatumWithOid<'_>| {
            arg.datum().map_or(pg_sys::Datum::from(0_usize), pgrx::datum::Datum::sans_lifetime)
        };
        let null = |arg: &DatumWithOid<'_>| if arg.datum().is_some() { b' ' } else { b'n' }.cast_signed();
        Self {
            types: args.iter().map(DatumWithOid::oid).collect(),
            values: args.iter().map(value).collect(),
            nulls: args.iter().map(null).collect(),
        }
    }

    fn count(&self) -> i32 {
        i32::try_from(self.types.len()).unwrap_or(i32::MAX)
    }
}

fn execute(
    snapshot: Snapshot,
    sql: &str,
    args: &[DatumWithOid<'_>],
    mut each: impl FnMut(&Row) -> Fallible<()>,
) -> Fallible<u64> {
    let command = command_of(sql)?;
    let mut arguments = Arguments::of(args);

    let mut remedy = std::pin::pin!(Remedy::new());
    remedy.as_mut().begin();
    let connection = Connection::open()?;
    // SAFETY: the arrays outlive the call and are as long as their count says; SPI is connected.
    unsafe {
        let read_only = snapshot == Snapshot::Callers;
        let status = match kept_plan(sql, &command, &mut arguments.types)? {
            Some(plan) => {
                let (values, nulls) = (arguments.values.as_mut_ptr(), arguments.nulls.as_ptr());
                pg_sys::SPI_execute_plan(plan, values, nulls, read_only, 0)
            }
            None => pg_sys::SPI_execute_with_args(
                command.as_ptr(),
                arguments.count(),
                arguments.types.as_mut_ptr(),
                arguments.values.as_mut_ptr(),
                arguments.nulls.as_ptr(),
                read_only,
                0,
            ),
        };
        check(status)?;
        let touched = pg_sys::SPI_processed;
        let table = pg_sys::SPI_tuptable;
        let mut outcome = Ok(());
        if !table.is_null() {
            for index in 0..usize::try_from((*table).numvals).unwrap_or(usize::MAX) {
                if index % 1024 == 0 {
                    pgrx::check_for_interrupts!();
                }
                let row = Row { tuple: *(*table).vals.add(index), descriptor: (*table).tupdesc };
                outcome = each(&row);
                if outcome.is_err() {
                    break;
                }
            }
        }
        outcome?;
        connection.close()?;
        Ok(touched)
    }
}

/// Runs a query under the caller's snapshot and passes its first column to `each`, up to `most` rows at a time, for results
/// that may not fit in memory.
pub(crate) fn in_pieces(sql: &str, most: usize, each: &mut dyn FnMut(&[String]) -> Fallible<()>) -> Fallible<()> {
    in_pieces_while(sql, most, &mut |rows| each(rows).map(|()| true))
}

/// The same until `each` says that it has enough.
pub(crate) fn in_pieces_while(
    sql: &str,
    most: usize,
    each: &mut dyn FnMut(&[String]) -> Fallible<bool>,
) -> Fallible<()> {
    let own_rights = |work: &mut dyn FnMut() -> Fallible<()>| work();
    in_pieces_of(sql, &[], most, &own_rights, &mut |row| row.need::<String>(1), &mut |rows| each(&rows))
}

/// What calls a part of the work once, with some rights.
pub(crate) type Rights<'a> = dyn Fn(&mut dyn FnMut() -> Fallible<()>) -> Fallible<()> + 'a;

/// The same of what `map` makes of the rows. The query runs inside of `rights`; `map` and `each` run with the rights of the
/// caller.
pub(crate) fn in_pieces_of<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    most: usize,
    rights: &Rights<'_>,
    map: &mut dyn FnMut(&Row) -> Fallible<T>,
    each: &mut dyn FnMut(Vec<T>) -> Fallible<bool>,
) -> Fallible<()> {
    let command = command_of(sql)?;
    let mut arguments = Arguments::of(args);
    let count = core::ffi::c_long::try_from(most).unwrap_or(core::ffi::c_long::MAX);
    let connection = Connection::open()?;
    let mut portal = std::ptr::null_mut();
    rights(&mut || {
        // SAFETY: as in `execute`; the cursor ends with SPI's connection.
        portal = unsafe {
            pg_sys::SPI_cursor_open_with_args(
                std::ptr::null(),
                command.as_ptr(),
                arguments.count(),
                arguments.types.as_mut_ptr(),
                arguments.values.as_mut_ptr(),
                arguments.nulls.as_ptr(),
                true,
                0,
            )
        };
        Ok(())
    })?;
    loop {
        rights(&mut || {
            // SAFETY: the cursor is open.
            unsafe { pg_sys::SPI_cursor_fetch(portal, true, count) };
            Ok(())
        })?;
        // SAFETY: the table is that of the fetch, and freed once.
        let rows = unsafe {
            let table = pg_sys::SPI_tuptable;
            if table.is_null() || (*table).numvals == 0 {
                break;
            }
            let mut rows = Vec::with_capacity(most.min(usize::try_from((*table).numvals).unwrap_or(0)));
            for index in 0..usize::try_from((*table).numvals).unwrap_or(0) {
                let row = Row { tuple: *(*table).vals.add(index), descriptor: (*table).tupdesc };
                rows.push(map(&row)?);
            }
            pg_sys::SPI_freetuptable(table);
            rows
        };
        if !each(rows)? {
            break;
        }
    }
    connection.close()
}

/// Prepares a text with parameters of some types, and looks at what the server made of it. Nothing runs.
pub(crate) fn prepared<T>(
    sql: &str,
    types: &[pg_sys::Oid],
    look: impl FnOnce(*mut pg_sys::List) -> Option<T>,
) -> Fallible<Option<T>> {
    let command = command_of(sql)?;
    let mut types = types.to_vec();
    let connection = Connection::open()?;
    // SAFETY: the plan and what it points to live until SPI's connection ends.
    let seen = unsafe {
        let plan = pg_sys::SPI_prepare(command.as_ptr(), i32::try_from(types.len()).unwrap_or(0), types.as_mut_ptr());
        if plan.is_null() { None } else { look(pg_sys::SPI_plan_get_plan_sources(plan)) }
    };
    connection.close()?;
    Ok(seen)
}

/// The plan of a statement, made once in a backend. Not of the SQL of rules, which is long and rarely comes twice.
///
/// # Safety
/// Only between `SPI_connect` and `SPI_finish`.
unsafe fn kept_plan(sql: &str, command: &CString, types: &mut [pg_sys::Oid]) -> Fallible<Option<pg_sys::SPIPlanPtr>> {
    /// The longest statement kept, and the most: the extension's own are some eighty.
    const LONGEST: usize = 1_000;
    const MOST: usize = 200;
    thread_local! {
        static PLANS: RefCell<HashMap<(String, Vec<pg_sys::Oid>), pg_sys::SPIPlanPtr>> = RefCell::new(HashMap::new());
    }
    // A utility statement has no plan to speak of, and GRANT names what it grants in its text.
    if sql.len() > LONGEST || sql.starts_with("GRANT") {
        return Ok(None);
    }
    let key = (sql.to_owned(), types.to_vec());
    if let Some(known) = PLANS.with_borrow(|plans| plans.get(&key).copied()) {
        return Ok(Some(known));
    }
    if PLANS.with_borrow(HashMap::len) >= MOST {
        return Ok(None);
    }
    let count = i32::try_from(types.len()).unwrap_or(i32::MAX);
    // SAFETY: the types are as many as counted; a kept plan lives as long as the backend, and the server rebuilds it
    // when what it depends on changes.
    let plan = unsafe {
        let plan = pg_sys::SPI_prepare(command.as_ptr(), count, types.as_mut_ptr());
        if plan.is_null() {
            return Err(failure(SqlState::ERRCODE_INTERNAL_ERROR, "an internal statement cannot be prepared"));
        }
        check(pg_sys::SPI_keepplan(plan))?;
        plan
    };
    PLANS.with_borrow_mut(|plans| plans.insert(key, plan));
    Ok(Some(plan))
}

fn check(status: i32) -> Fallible<()> {
    if status >= 0 {
        return Ok(());
    }
    Err(failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("SPI failed with status {status}")))
}
