//! The captures that are cached in a backend: the columns to read, and how to convert them. Invalidation messages of
//! the server clear the cache.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::rc::Rc;

use pgrx::{FromDatum, pg_guard, pg_sys};

use super::super::errors::Fallible;
use super::super::extension;
use super::age::Spans;
use super::condition;
use super::server;
use super::value::Column;

/// Column numbers of `kursaha_cohort.capture`, as `sql/tables.sql` creates it, counted from 0.
mod place {
    pub(super) const ID: usize = 0;
    pub(super) const SOURCE: usize = 1;
    pub(super) const EVENT_TYPE: usize = 2;
    pub(super) const CUSTOMER: usize = 3;
    pub(super) const OCCURRED_AT: usize = 4;
    pub(super) const DATA: usize = 5;
    pub(super) const KEYS: usize = 6;
    pub(super) const ON_UPDATE: usize = 11;
    pub(super) const UPDATE_COLUMNS: usize = 13;
    pub(super) const TIMEZONE: usize = 15;
    pub(super) const BACKFILL_UNTIL: usize = 16;
}

/// A row of `kursaha_cohort.capture`.
#[derive(Debug, Clone)]
pub(super) struct Capture {
    pub(super) id: i64,
    pub(super) source: pg_sys::Oid,
    pub(super) event_type: String,
    customer: String,
    occurred_at: Option<String>,
    data: Option<Vec<String>>,
    keys: Vec<String>,
    pub(super) on_update: bool,
    update_columns: Option<Vec<String>>,
    timezone: String,
    /// Whether rows become profiles.
    pub(super) profile: bool,
    pub(super) backfill_until: i64,
}

/// How the rows of one table (the source or a partition) become the events of one capture.
pub(super) struct Plan {
    pub(super) capture: Capture,
    /// The event type as a datum.
    pub(super) event_type: pg_sys::Datum,
    /// `None` where the table has lost the column.
    pub(super) customer: Option<Column>,
    pub(super) occurred_at: Option<Column>,
    /// Whether the table has lost a column that its events need.
    pub(super) broken: bool,
    /// Property name and column.
    pub(super) data: Vec<(String, Column)>,
    /// The numbers of the columns whose change makes an update an event; `None`: any update is one.
    pub(super) update_columns: Option<Vec<i32>>,
    pub(super) zone: *mut pg_sys::pg_tz,
    /// Whether reading a row may raise an error or run what users made.
    pub(super) risky: bool,
    /// Whether the capture has a condition that is evaluated here.
    pub(super) conditional: bool,
    /// Whose rows in this table a backfill is to record, and from which place on.
    pub(super) unrecorded: Spans,
    pub(super) place: i64,
    context: pg_sys::MemoryContext,
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: the context is this plan's own, and nothing else points into it.
        unsafe { pg_sys::MemoryContextDelete(self.context) }
    }
}

struct Entry {
    table: pg_sys::Oid,
    capture: i64,
    plan: Option<Rc<Plan>>,
}

thread_local! {
    static PLANS: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
    /// Set by invalidation messages: what is kept may be out of date.
    static STALE: Cell<bool> = const { Cell::new(true) };
    /// The tables whose changes matter.
    static WATCHED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    /// Counts what was forgotten, for those that keep things elsewhere.
    static GENERATION: Cell<u64> = const { Cell::new(0) };
}

#[pg_guard]
unsafe extern "C-unwind" fn table_changed(_argument: pg_sys::Datum, table: pg_sys::Oid) {
    let matters = table == pg_sys::InvalidOid
        || WATCHED.with(|watched| watched.try_borrow().map_or(true, |watched| watched.contains(&table)));
    if matters {
        STALE.set(true);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn catalog_changed(_argument: pg_sys::Datum, _cache: std::ffi::c_int, _hash: u32) {
    STALE.set(true);
}

/// Forgets what invalidation messages said is out of date.
pub(super) fn refresh() -> u64 {
    if !REGISTERED.replace(true) {
        use pg_sys::SysCacheIdentifier::{CASTSOURCETARGET, SUBSCRIPTIONRELMAP, TYPEOID};
        // SAFETY: registers functions of this library, which is never unloaded.
        unsafe {
            pg_sys::CacheRegisterRelcacheCallback(Some(table_changed), pg_sys::Datum::from(0));
            for cache in [CASTSOURCETARGET, TYPEOID, SUBSCRIPTIONRELMAP] {
                pg_sys::CacheRegisterSyscacheCallback(
                    cache.cast_signed(),
                    Some(catalog_changed),
                    pg_sys::Datum::from(0),
                );
            }
        }
    }
    if STALE.replace(false) {
        PLANS.take();
        WATCHED.with_borrow_mut(Vec::clear);
        GENERATION.set(GENERATION.get() + 1);
    }
    GENERATION.get()
}

/// Says that what is kept depends on a table.
pub(super) fn watch(table: pg_sys::Oid) {
    WATCHED.with_borrow_mut(|watched| {
        if !watched.contains(&table) {
            watched.push(table);
        }
    });
}

/// The plan for a table and a capture; `None` where there is no such capture of the table.
pub(super) fn plan(relation: pg_sys::Relation, capture: i64) -> Fallible<Option<Rc<Plan>>> {
    refresh();
    // SAFETY: the caller has the relation open.
    let table = unsafe { (*relation).rd_id };
    let known = PLANS.with_borrow(|plans| {
        plans.iter().find(|entry| entry.table == table && entry.capture == capture).map(|entry| entry.plan.clone())
    });
    if let Some(plan) = known {
        return Ok(plan);
    }
    watch(table);
    let plan = match load(capture)?.filter(|capture| belongs(table, capture.source)) {
        Some(capture) => Some(Rc::new(make(relation, capture, table)?)),
        None => None,
    };
    PLANS.with_borrow_mut(|plans| plans.push(Entry { table, capture, plan: plan.clone() }));
    Ok(plan)
}

/// A column of a table, by its number.
///
/// # Safety
/// The descriptor is valid and has such a column.
pub(super) unsafe fn attribute(descriptor: pg_sys::TupleDesc, number: i32) -> pg_sys::Form_pg_attribute {
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return (*descriptor).attrs.as_mut_ptr().add(number as usize - 1);
        #[cfg(feature = "pg18")]
        return pg_sys::TupleDescAttr(descriptor, number - 1);
    }
}

/// Whether a table is a capture's source or a partition of it.
fn belongs(table: pg_sys::Oid, source: pg_sys::Oid) -> bool {
    if table == source {
        return true;
    }
    // SAFETY: catalog look-ups inside a transaction; the list is one of OIDs.
    unsafe {
        if !pg_sys::get_rel_relispartition(table) {
            return false;
        }
        let ancestors = server::partition_ancestors(table);
        pg_sys::list_member_oid(ancestors, source)
    }
}

/// Reads a capture, whatever the current user may read.
pub(super) fn load(id: i64) -> Fallible<Option<Capture>> {
    let mut found = None;
    each_row(c"capture", |values, nulls| {
        if values[place::ID].value() as i64 == id {
            // SAFETY: a row of that table.
            found = Some(unsafe { read(values, nulls) });
        }
    })?;
    Ok(found)
}

/// Whose rows in a table a backfill of a capture is to record.
fn leaf(id: i64, table: pg_sys::Oid) -> Fallible<(Spans, i64)> {
    let mut found = (Spans::default(), 0);
    each_row(c"capture_leaf", |values, nulls| {
        if values[0].value() as i64 == id && values[1].value() as u32 == table.to_u32() && nulls[3] {
            // SAFETY: the column is a text.
            let spans = Spans::parse(&unsafe { String::from_datum(values[2], false) }.unwrap_or_default());
            found = (spans, values[4].value() as i64);
        }
    })?;
    Ok(found)
}

/// The captures and tables of which rows are yet to be recorded and not kept.
pub(super) fn unrecorded_tables() -> Fallible<Vec<(i64, pg_sys::Oid)>> {
    let mut found = Vec::new();
    each_row(c"capture_leaf", |values, nulls| {
        // SAFETY: the column is a text.
        let spans = Spans::parse(&unsafe { String::from_datum(values[2], false) }.unwrap_or_default());
        if nulls[3] && !spans.is_empty() {
            found.push((values[0].value() as i64, pg_sys::Oid::from(values[1].value() as u32)));
        }
    })?;
    Ok(found)
}

/// Returns the newest rows of one of the extension's small tables, and watches it.
fn each_row(name: &CStr, mut each: impl FnMut(&[pg_sys::Datum], &[bool])) -> Fallible<()> {
    let (_, internals) = extension::schema_oids()?;
    // SAFETY: the table is opened and locked; a row is valid until the next one.
    unsafe {
        let table = pg_sys::get_relname_relid(name.as_ptr(), internals);
        if table == pg_sys::InvalidOid {
            return Ok(());
        }
        watch(table);
        let relation = pg_sys::table_open(table, pg_sys::AccessShareLock.cast_signed());
        let columns = (*(*relation).rd_att).natts as usize;
        let mut values = vec![pg_sys::Datum::from(0); columns];
        let mut nulls = vec![true; columns];
        let none = std::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(relation, pg_sys::InvalidOid, false, std::ptr::null_mut(), 0, none);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            pg_sys::heap_deform_tuple(tuple, (*relation).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            each(&values, &nulls);
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock.cast_signed());
    }
    Ok(())
}

/// Tells all backends to read captures again, when this transaction commits.
pub(super) fn changed() -> Fallible<()> {
    let (_, internals) = extension::schema_oids()?;
    // SAFETY: catalog look-ups and a message that is sent at commit.
    unsafe {
        let table = pg_sys::get_relname_relid(c"capture".as_ptr(), internals);
        if table != pg_sys::InvalidOid {
            pg_sys::CacheInvalidateRelcacheByRelid(table);
        }
    }
    STALE.set(true);
    Ok(())
}

/// # Safety
/// The values are those of a row of `kursaha_cohort.capture`.
unsafe fn read(values: &[pg_sys::Datum], nulls: &[bool]) -> Capture {
    // SAFETY: each column is read as its type; owned values are copies.
    unsafe {
        let name = |place: usize| {
            (!nulls[place]).then(|| CStr::from_ptr(values[place].cast_mut_ptr()).to_string_lossy().into_owned())
        };
        let names = |place: usize| (!nulls[place]).then(|| names_of(values[place]));
        let text = |place: usize| String::from_datum(values[place], nulls[place]);
        let flag = |place: usize| !nulls[place] && values[place].value() != 0;
        Capture {
            id: values[place::ID].value() as i64,
            source: pg_sys::Oid::from(values[place::SOURCE].value() as u32),
            event_type: text(place::EVENT_TYPE).unwrap_or_default(),
            customer: name(place::CUSTOMER).unwrap_or_default(),
            occurred_at: name(place::OCCURRED_AT),
            data: names(place::DATA),
            keys: Vec::<Option<String>>::from_datum(values[place::KEYS], nulls[place::KEYS])
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .collect(),
            on_update: flag(place::ON_UPDATE),
            update_columns: names(place::UPDATE_COLUMNS),
            timezone: text(place::TIMEZONE).unwrap_or_default(),
            profile: nulls[place::EVENT_TYPE],
            backfill_until: values[place::BACKFILL_UNTIL].value() as i64,
        }
    }
}

/// The elements of a `name[]`.
///
/// # Safety
/// The datum is a `name[]`.
unsafe fn names_of(array: pg_sys::Datum) -> Vec<String> {
    let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
    // SAFETY: as the caller says; the arrays have the counted length.
    unsafe {
        pg_sys::deconstruct_array(
            pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast(),
            pg_sys::NAMEOID,
            pg_sys::NAMEDATALEN.cast_signed(),
            false,
            pg_sys::TYPALIGN_CHAR as std::ffi::c_char,
            &raw mut elements,
            &raw mut nulls,
            &raw mut count,
        );
        (0..count as usize)
            .filter(|n| !*nulls.add(*n))
            .map(|n| CStr::from_ptr((*elements.add(n)).cast_mut_ptr()).to_string_lossy().into_owned())
            .collect()
    }
}

fn make(relation: pg_sys::Relation, capture: Capture, table: pg_sys::Oid) -> Fallible<Plan> {
    let (unrecorded, place) = leaf(capture.id, table)?;
    // SAFETY: the relation is open; its descriptor has natts attributes; the context lives as long as the plan.
    unsafe {
        let context = pg_sys::AllocSetContextCreateInternal(
            pg_sys::CacheMemoryContext,
            c"kursaha_cohort capture".as_ptr(),
            pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
        );
        let descriptor = (*relation).rd_att;
        let columns: Vec<(String, i32, pg_sys::Oid)> = (0..(*descriptor).natts)
            .map(|n| &*attribute(descriptor, n + 1))
            .filter(|attribute| !attribute.attisdropped)
            .map(|attribute| {
                let name = CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned();
                (name, i32::from(attribute.attnum), attribute.atttypid)
            })
            .collect();
        let column = |name: &str| {
            let (_, number, declared) = columns.iter().find(|(of, ..)| of == name)?;
            Some(Column::of(*number, *declared, context))
        };
        let customer = column(&capture.customer);
        let occurred_at = capture.occurred_at.as_deref().and_then(column);
        let data: Vec<(String, Column)> = match &capture.data {
            None => columns
                .iter()
                .map(|(name, number, declared)| (name.clone(), Column::of(*number, *declared, context)))
                .collect(),
            Some(names) => {
                names.iter().zip(&capture.keys).filter_map(|(name, key)| Some((key.clone(), column(name)?))).collect()
            }
        };
        let update_columns = capture
            .update_columns
            .as_ref()
            .map(|names| names.iter().filter_map(|name| column(name).map(|column| column.number)).collect());
        let before = pg_sys::MemoryContextSwitchTo(context);
        let text = CString::new(capture.event_type.as_str()).unwrap_or_default();
        let event_type = pg_sys::Datum::from(pg_sys::cstring_to_text(text.as_ptr()));
        pg_sys::MemoryContextSwitchTo(before);
        let zone = CString::new(capture.timezone.as_str()).unwrap_or_default();
        let zone = pg_sys::pg_tzset(zone.as_ptr());
        Ok(Plan {
            unrecorded,
            place,
            broken: customer.is_none() || (capture.occurred_at.is_some() && occurred_at.is_none()),
            conditional: condition::is_kept(relation, capture.id),
            risky: customer.iter().chain(data.iter().map(|(_, column)| column)).any(Column::risky),
            event_type,
            customer,
            occurred_at,
            data,
            update_columns,
            zone: if zone.is_null() { pg_sys::session_timezone } else { zone },
            context,
            capture,
        })
    }
}
