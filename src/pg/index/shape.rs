//! Checks before each evaluation whether the tables of events and customers satisfy the requirements of the index,
//! because DDL can change them.
//!
//! The checks read the current catalog, which does not depend on the snapshot. The event triggers of `sql/ddl.sql` also
//! empty the index when they detect such DDL; that change is visible to snapshots.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::events::Tables;
use super::scan::{Relation, find, has_superclass};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::extension;

/// A defect that makes the index unusable.
pub(crate) struct Defect {
    /// What.
    pub(crate) problem: String,
    /// The remedy.
    pub(crate) remedy: String,
}

impl Defect {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

/// A column: its number, name and type.
struct Column(i16, &'static CStr, pg_sys::Oid);

/// An index: its name and the columns that it begins with.
struct Index(&'static CStr, &'static [i16]);

/// One of the two tables, as created by `sql/tables.sql`.
struct Shape {
    name: &'static str,
    columns: &'static [Column],
    indexes: &'static [Index],
}

const EVENT: Shape = Shape {
    name: "cohort_event",
    columns: &[
        Column(1, c"event_id", pg_sys::INT8OID),
        Column(2, c"customer_id", pg_sys::TEXTOID),
        Column(3, c"event_type", pg_sys::TEXTOID),
        Column(4, c"occurred_at", pg_sys::TIMESTAMPTZOID),
        Column(5, c"data", pg_sys::JSONBOID),
        Column(6, c"stamp", pg_sys::XID8OID),
    ],
    indexes: &[Index(c"cohort_event_type_stamp", &[3, 6]), Index(c"cohort_event_customer", &[2, 4])],
};

const CUSTOMER: Shape = Shape {
    name: "cohort_customer",
    columns: &[
        Column(1, c"customer_id", pg_sys::TEXTOID),
        Column(2, c"profile", pg_sys::JSONBOID),
        Column(4, c"updated_at", pg_sys::TIMESTAMPTZOID),
        Column(5, c"stamp", pg_sys::XID8OID),
    ],
    indexes: &[Index(c"cohort_customer_stamp", &[5]), Index(c"cohort_customer_pkey", &[1])],
};

/// The defect that makes the index unusable, if there is one.
pub(crate) fn defect(tables: &Tables) -> Fallible<Option<Defect>> {
    if let Some(defect) = unwatched() {
        return Ok(Some(defect));
    }
    for (oid, shape) in [(tables.event, EVENT), (tables.customer, CUSTOMER)] {
        let defect = of_table(&Relation::table(oid), &shape, tables)?;
        if defect.is_some() {
            return Ok(defect);
        }
    }
    Ok(None)
}

/// Raises an error if there is a defect.
pub(super) fn must_be_sound(tables: &Tables) -> Fallible<()> {
    match defect(tables)? {
        None => Ok(()),
        Some(Defect { problem, remedy }) => Err(failure(
            SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the cohort index cannot be written: {problem}"),
        )
        .set_detail("Until then rules are evaluated with plain SQL; the results are exact.")
        .set_hint(remedy)),
    }
}

/// Whether the event triggers that detect DDL on the two tables exist and fire in every session.
fn unwatched() -> Option<Defect> {
    for name in [c"cohort_table_altered", c"cohort_table_rewritten"] {
        // SAFETY: a catalog look-up inside a transaction; the row has this form and is there until it is released.
        let always = unsafe {
            let key = pg_sys::Datum::from(name.as_ptr());
            let row = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::EVENTTRIGGERNAME.cast_signed(), key);
            if row.is_null() {
                false
            } else {
                #[expect(clippy::cast_ptr_alignment, reason = "rows are aligned")]
                let enabled = (*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_event_trigger>()).evtenabled;
                pg_sys::ReleaseSysCache(row);
                enabled.cast_unsigned() == b'A'
            }
        };
        if !always {
            let name = name.to_string_lossy();
            return Some(Defect::new(
                format!("the event trigger {name} is not ENABLE ALWAYS"),
                format!("ALTER EVENT TRIGGER {name} ENABLE ALWAYS; SELECT cohort_reindex();"),
            ));
        }
    }
    None
}

fn of_table(table: &Relation, shape: &Shape, tables: &Tables) -> Fallible<Option<Defect>> {
    // SAFETY: the relation is open.
    let persistence = unsafe { (*(*table.0).rd_rel).relpersistence };
    let name = format!("{}.{}", extension::schema()?, shape.name);
    if persistence.cast_unsigned() != pg_sys::RELPERSISTENCE_PERMANENT {
        return Ok(Some(Defect::new(
            format!("{} is unlogged: a crash empties it", shape.name),
            format!("ALTER TABLE {name} SET LOGGED;"),
        )));
    }
    // SAFETY: as above.
    if has_superclass(unsafe { (*table.0).rd_id }) {
        return Ok(Some(Defect::new(
            format!("{} has a parent table, and rows deleted through that do not fire its triggers", shape.name),
            format!(
                "ALTER TABLE parent DETACH PARTITION {name}; or: ALTER TABLE {name} NO INHERIT parent; SELECT cohort_reindex();"
            ),
        )));
    }
    if let Some(column) = shape.columns.iter().find(|column| !has(table, column)) {
        return Ok(Some(Defect::new(
            format!("the column {} of {} is not as the extension created it", column.1.to_string_lossy(), shape.name),
            "Restore its name and type, or restore a dump into a new database.",
        )));
    }
    if let Some(defect) = of_triggers(table, shape, &name, tables.internals) {
        return Ok(Some(defect));
    }
    for index in shape.indexes {
        if !is_usable(table, shape, index, tables) {
            let index_name = index.0.to_string_lossy();
            return Ok(Some(Defect::new(
                format!(
                    "the index {index_name} is missing, invalid or differs from the index that the extension created"
                ),
                format!(
                    "REINDEX INDEX {schema}.{index_name}; or, if it is not there: {create}",
                    schema = extension::schema()?,
                    create = definition(shape, index, &name),
                ),
            )));
        }
    }
    Ok(None)
}

/// The statement that makes an index.
fn definition(shape: &Shape, index: &Index, table: &str) -> String {
    let name = index.0.to_string_lossy();
    let named = |number: &i16| {
        let column = shape.columns.iter().find(|column| column.0 == *number);
        column.map_or_else(String::new, |column| column.1.to_string_lossy().into_owned())
    };
    let columns: Vec<String> = index.1.iter().map(named).collect();
    if index.0.to_bytes().ends_with(b"_pkey") {
        format!("ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY ({});", columns.join(", "))
    } else {
        format!("CREATE INDEX {name} ON {table} ({});", columns.join(", "))
    }
}

/// Whether a table has a column as the extension created it. With a nondeterministic collation, two customer ids could
/// be equal.
fn has(table: &Relation, column: &Column) -> bool {
    // SAFETY: the relation is open, and its descriptor has the number of columns that it says.
    unsafe {
        let descriptor = (*table.0).rd_att;
        if i32::from(column.0) > (*descriptor).natts {
            return false;
        }
        #[cfg(not(feature = "pg18"))]
        let attribute = &*(*descriptor).attrs.as_ptr().add(usize::try_from(column.0 - 1).unwrap_or(0));
        #[cfg(feature = "pg18")]
        let attribute = &*pg_sys::TupleDescAttr(descriptor, i32::from(column.0 - 1));
        !attribute.attisdropped
            && attribute.atttypid == column.2
            && CStr::from_ptr(attribute.attname.data.as_ptr()) == column.1
            && (column.2 != pg_sys::TEXTOID || is_deterministic(attribute.attcollation))
    }
}

fn is_deterministic(collation: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction.
    collation == pg_sys::DEFAULT_COLLATION_OID || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

/// Whether a trigger function is that of captured tables. `cohort_customer` can be captured, too.
fn captures(function: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction, which gives a string in the current context, or none.
    unsafe {
        let name = pg_sys::get_func_name(function);
        !name.is_null() && CStr::from_ptr(name).to_bytes().starts_with(b"capture")
    }
}

/// The defect of the triggers of a table, if there is one.
fn of_triggers(table: &Relation, shape: &Shape, name: &str, internals: pg_sys::Oid) -> Option<Defect> {
    const EVENTS: u32 = pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_UPDATE;
    const GONE: u32 = pg_sys::TRIGGER_TYPE_UPDATE | pg_sys::TRIGGER_TYPE_DELETE | pg_sys::TRIGGER_TYPE_TRUNCATE;
    // SAFETY: the relation is open; its triggers are as many as it says, in the order in which they fire.
    let triggers = unsafe {
        let description = (*table.0).trigdesc;
        if description.is_null() {
            &[]
        } else {
            let count = usize::try_from((*description).numtriggers).unwrap_or(0);
            std::slice::from_raw_parts((*description).triggers, count)
        }
    };
    // What the extension's own triggers, those that fire in every session, see.
    let (mut stamped, mut followed, mut behind, mut disabled) = (0, 0, None, false);
    for trigger in triggers {
        let kind = u32::from(trigger.tgtype.cast_unsigned());
        let is_before = kind & pg_sys::TRIGGER_TYPE_TIMING_MASK == pg_sys::TRIGGER_TYPE_BEFORE;
        let is_row = kind & pg_sys::TRIGGER_TYPE_ROW != 0;
        // SAFETY: a catalog look-up inside a transaction.
        let own = unsafe { pg_sys::get_func_namespace(trigger.tgfoid) } == internals;
        let enabled = trigger.tgenabled.cast_unsigned();
        if own && enabled == b'A' {
            if is_before && is_row {
                stamped |= kind & EVENTS;
                behind = None;
            } else if kind & pg_sys::TRIGGER_TYPE_TIMING_MASK == pg_sys::TRIGGER_TYPE_AFTER {
                followed |= kind & GONE;
            }
        } else if own {
            disabled |= !captures(trigger.tgfoid);
        } else if is_before && is_row && enabled != b'D' && kind & EVENTS != 0 {
            behind = Some(trigger);
        }
    }
    if disabled || stamped != EVENTS || followed != GONE {
        return Some(Defect::new(
            format!("the extension's triggers on {} are not all ENABLE ALWAYS", shape.name),
            format!("ALTER TABLE {name} ENABLE TRIGGER ALL; SELECT cohort_reindex();"),
        ));
    }
    behind.map(|trigger| {
        // SAFETY: a trigger has a name, which lives as long as the relation is open.
        let behind = unsafe { CStr::from_ptr(trigger.tgname) }.to_string_lossy();
        Defect::new(
            format!("the trigger \"{behind}\" on {} fires after the trigger that checks rows", shape.name),
            format!(
                "ALTER TRIGGER … ON {name} RENAME: a name in front of the extension's trigger; SELECT cohort_reindex();"
            ),
        )
    })
}

/// Whether an index exists, is valid, and begins with the expected columns.
fn is_usable(table: &Relation, shape: &Shape, index: &Index, tables: &Tables) -> bool {
    let Ok(oid) = find(tables.schema(), index.0) else { return false };
    // SAFETY: a catalog look-up inside a transaction.
    if unsafe { pg_sys::get_rel_relkind(oid) }.cast_unsigned() != pg_sys::RELKIND_INDEX {
        return false;
    }
    let Ok(opened) = Relation::index(oid) else { return false };
    // SAFETY: the index is open, and has as many columns as it says.
    unsafe {
        let form = &*(*opened.0).rd_index;
        let columns = form.indkey.values.as_slice(usize::try_from(form.indnatts).unwrap_or(0));
        if form.indrelid != (*table.0).rd_id
            || (*(*opened.0).rd_rel).relam != pg_sys::BTREE_AM_OID
            || !columns.starts_with(index.1)
            || usize::try_from(form.indnkeyatts).unwrap_or(0) < index.1.len()
        {
            return false;
        }
        let predicate = i32::try_from(pg_sys::Anum_pg_index_indpred).unwrap_or(0);
        if !pg_sys::heap_attisnull((*opened.0).rd_indextuple, predicate, std::ptr::null_mut()) {
            return false;
        }
        for (place, number) in index.1.iter().enumerate() {
            let type_of = shape.columns.iter().find(|column| column.0 == *number).map(|column| column.2);
            if *(*opened.0).rd_indoption.add(place) != 0
                || Some(*(*opened.0).rd_opcintype.add(place)) != type_of
                || (type_of == Some(pg_sys::TEXTOID)
                    && (*(*opened.0).rd_opfamily.add(place) != pg_sys::TEXT_BTREE_FAM_OID
                        || !is_deterministic(*(*opened.0).rd_indcollation.add(place))))
            {
                return false;
            }
        }
    }
    true
}
