//! Reads rows of `cohort_event` and `cohort_customer` into the builder of a segment.

use cohort_core::segment::{GroupBuilder, RowKey, SegmentBuilder, customer_hash};
use pgrx::pg_sys;

use super::directory::ByHash;
use super::fetch::{Then, each_row};
use super::scan::{IndexScan, Relation, Row, Scratch, Sought, TableScan, bytes_of, find};
use super::walk;
use crate::pg::errors::Fallible;

/// Columns of `cohort_event`, counted from 1, as `sql/tables.sql` creates it.
mod event {
    pub(super) const EVENT_ID: usize = 1;
    pub(super) const CUSTOMER_ID: usize = 2;
    pub(super) const EVENT_TYPE: usize = 3;
    pub(super) const OCCURRED_AT: usize = 4;
    pub(super) const DATA: usize = 5;
    pub(super) const STAMP: usize = 6;
}

/// Columns of `cohort_customer`.
mod customer {
    pub(super) const CUSTOMER_ID: usize = 1;
    pub(super) const PROFILE: usize = 2;
    pub(super) const STAMP: usize = 5;
}

/// The name of the one group of profiles.
pub(super) const PROFILES: &str = "";

/// The OIDs of the two tables and of their indexes.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    pub(super) internals: pg_sys::Oid,
    pub(super) event: pg_sys::Oid,
    pub(super) customer: pg_sys::Oid,
    schema: pg_sys::Oid,
}

impl Tables {
    pub(super) fn new(schema: pg_sys::Oid, internals: pg_sys::Oid) -> Fallible<Self> {
        Ok(Self {
            internals,
            event: find(schema, c"cohort_event")?,
            customer: find(schema, c"cohort_customer")?,
            schema,
        })
    }

    /// The schema of the public tables.
    pub(super) fn schema(&self) -> pg_sys::Oid {
        self.schema
    }

    /// The tables of events and customers, with their names.
    pub(super) fn public(&self) -> [(pg_sys::Oid, &'static str); 2] {
        [(self.event, "cohort_event"), (self.customer, "cohort_customer")]
    }

    /// Approximate number of events, from the last VACUUM or ANALYZE.
    pub(super) fn events_about(&self) -> u64 {
        Relation::table(self.event).rows_about()
    }

    fn events_by(&self, index: &std::ffi::CStr, columns: usize) -> Fallible<IndexScan> {
        IndexScan::new(Relation::table(self.event), find(self.schema, index)?, columns)
    }

    fn customers_by(&self, index: &std::ffi::CStr) -> Fallible<IndexScan> {
        IndexScan::new(Relation::table(self.customer), find(self.schema, index)?, 1)
    }
}

/// Customers in the order of their provisional ordinals, their ids close together.
#[derive(Default)]
pub(super) struct Customers {
    text: String,
    ends: Vec<usize>,
    /// The ids' hashes.
    pub(super) hashes: Vec<u128>,
}

impl Customers {
    fn push(&mut self, id: &str, hash: u128) {
        self.text.push_str(id);
        self.ends.push(self.text.len());
        self.hashes.push(hash);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Approximate memory in bytes while their ordinals are looked up.
    fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * (size_of::<usize>() + 2 * size_of::<u128>() + size_of::<u64>())
    }

    /// The id and the hash of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u128)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ids = starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default());
        ids.zip(self.hashes.iter().copied())
    }
}

/// Rows that will form a segment. Customers have provisional ordinals, in the order of their first row.
pub(super) struct Intake {
    pub(super) builder: SegmentBuilder,
    most_paths: usize,
    pub(super) customers: Customers,
    /// The provisional ordinal of each customer, if each customer gets only one.
    ordinals: Option<ByHash<u32>>,
    key: cohort_core::segment::Key,
    scratch: Scratch,
    rows: usize,
    /// Memory in bytes at the last measurement, and bytes of the values since then.
    bytes: usize,
    unseen: usize,
    /// Memory limit in bytes.
    most: usize,
    /// Number of rows of a batch.
    batch: usize,
    /// Whether the memory was measured at the last row.
    due: bool,
}

impl Intake {
    /// An empty intake. `key` is the key of the customer hashes.
    pub(super) fn new(most_paths: usize, key: cohort_core::segment::Key) -> Self {
        Self {
            builder: SegmentBuilder::new(most_paths),
            most_paths,
            customers: Customers::default(),
            ordinals: Some(ByHash::default()),
            key,
            scratch: Scratch::new(),
            rows: 0,
            bytes: 0,
            unseen: 0,
            most: usize::MAX,
            batch: usize::MAX,
            due: false,
        }
    }

    /// Sets the number of rows of a batch. The reader stops for the caller when a batch is complete.
    pub(super) fn in_batches(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Called after each row. Returns whether the reader stops for the caller.
    fn then(&mut self) -> Then {
        if std::mem::take(&mut self.due) || self.rows >= self.batch { Then::Work } else { Then::Next }
    }

    /// Sets a memory limit. Values beyond it are not stored, and [`Intake::fits`] returns false.
    pub(super) fn within(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Whether all rows fit into the memory limit.
    pub(super) fn fits(&self) -> bool {
        self.bytes <= self.most
    }

    /// An empty intake that gives each row its own ordinal: looking up all of them at once is faster than testing for
    /// each row whether the customer occurred before.
    pub(super) fn by_row(key: cohort_core::segment::Key) -> Self {
        Self { ordinals: None, ..Self::new(usize::MAX, key) }
    }

    /// Takes the contents and leaves an empty intake with the same settings.
    pub(super) fn take(&mut self) -> Self {
        let ordinals = self.ordinals.as_ref().map(|_| ByHash::default());
        let (most, batch) = (self.most, self.batch);
        std::mem::replace(self, Self { ordinals, most, batch, ..Self::new(self.most_paths, self.key) })
    }

    /// The provisional ordinal of a customer.
    pub(super) fn customer(&mut self, id: &str) -> u32 {
        let hash = customer_hash(&self.key, id);
        let next = u32::try_from(self.customers.hashes.len()).unwrap_or(u32::MAX);
        let ordinal = self.ordinals.as_mut().map_or(next, |ordinals| *ordinals.entry(hash).or_insert(next));
        if ordinal == next {
            self.customers.push(id, hash);
        }
        ordinal
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a row of `cohort_event`, with the properties below the given keys, or with all properties.
    fn event(&mut self, row: &Row<'_>, event_type: &str, data: bool, keys: Option<&[&str]>) {
        let ordinal = self.customer(row.bytes(event::CUSTOMER_ID).as_str());
        let key = RowKey {
            ordinal,
            at: row.word(event::OCCURRED_AT).cast_signed(),
            event_id: row.word(event::EVENT_ID).cast_signed(),
        };
        let group = self.builder.group(event_type);
        group.row(key);
        let data = row.datum(event::DATA).filter(|_| data);
        let bytes = match data {
            Some(datum) if is_within(datum, self.most.saturating_sub(self.bytes)) => {
                fill(&self.scratch, datum, keys, group)
            }
            Some(_) => usize::MAX,
            None => 0,
        };
        self.taken(bytes);
    }

    fn profile(&mut self, row: &Row<'_>, keys: Option<&[&str]>) {
        let ordinal = self.customer(row.bytes(customer::CUSTOMER_ID).as_str());
        let group = self.builder.group(PROFILES);
        group.row(RowKey { ordinal, at: 0, event_id: 0 });
        let bytes = match row.datum(customer::PROFILE) {
            Some(datum) if is_within(datum, self.most.saturating_sub(self.bytes)) => {
                fill(&self.scratch, datum, keys, group)
            }
            Some(_) => usize::MAX,
            None => 0,
        };
        self.taken(bytes);
    }

    /// Counts the bytes of a row's values, and measures the memory when they exceed the limit.
    fn taken(&mut self, bytes: usize) {
        /// A row whose values have more bytes counts as several rows.
        const LARGE: usize = 1 << 18;
        self.rows += 1;
        if bytes == usize::MAX {
            self.bytes = bytes;
            self.due = true;
            return;
        }
        self.unseen += bytes;
        let large = self.unseen >= LARGE;
        if large || self.rows.is_multiple_of(256) {
            pgrx::check_for_interrupts!();
            self.scratch.clear();
        }
        if large || self.rows.is_multiple_of(4_096) {
            self.unseen = 0;
            self.bytes = self.builder.bytes() + self.customers.bytes();
            self.due = true;
        }
    }

    /// Approximate memory in bytes. It is measured every few thousand rows or every quarter of a megabyte.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Whether the detoasted size of a value is within the limit. Small values are not checked.
fn is_within(datum: pg_sys::Datum, most: usize) -> bool {
    // SAFETY: the column is a jsonb that lives as long as the row; its size stands in its header.
    most == usize::MAX || unsafe { pg_sys::toast_raw_datum_size(datum) } <= most
}

/// Adds values to the current row of a group, and returns the number of bytes that contained them.
fn fill(scratch: &Scratch, datum: pg_sys::Datum, keys: Option<&[&str]>, group: &mut GroupBuilder) -> usize {
    scratch.run(|| {
        // SAFETY: the column is a jsonb that lives as long as the row; what is allocated goes with the scratch context.
        let bytes = unsafe { bytes_of(datum) };
        walk::values(bytes.as_bytes(), keys, group);
        bytes.as_bytes().len()
    })
}

/// The part of the tail that an evaluation needs.
pub(super) struct Wanted<'a> {
    /// The event types; all if `None`.
    pub(super) types: Option<Vec<&'a str>>,
    /// The types whose properties are read; all if `None`.
    pub(super) with_data: Option<Vec<&'a str>>,
    /// The top-level keys of the properties that are read; all if `None`.
    pub(super) keys: Option<Vec<&'a str>>,
}

impl Wanted<'_> {
    pub(super) const ALL: Wanted<'static> = Wanted { types: None, with_data: None, keys: None };

    fn data(&self, event_type: &str) -> bool {
        self.keys.as_ref().is_none_or(|keys| !keys.is_empty())
            && self.with_data.as_ref().is_none_or(|types| types.contains(&event_type))
    }
}

/// Reads the events with stamps from `from` up to, but not including, `to`. `more` is called with the intake when its
/// memory was measured or a batch is complete, and returns whether to continue.
pub(super) fn read_events(
    tables: &Tables,
    (from, to): (u64, u64),
    wanted: &Wanted<'_>,
    intake: &mut Intake,
    more: &mut dyn FnMut(&mut Intake) -> Fallible<bool>,
) -> Fallible<()> {
    let names: Vec<String> = match &wanted.types {
        Some(types) => types.iter().map(|name| (*name).to_owned()).collect(),
        None => event_types(tables)?,
    };
    let mut scan = tables.events_by(c"cohort_event_type_stamp", 2)?;
    for name in names {
        let data = wanted.data(&name);
        scan.seek(&[Sought::TextEquals(&name), Sought::Xid8From(from)]);
        let take = |intake: &mut Intake, row: &Row<'_>| {
            // The index gives them in the order of stamps.
            if row.word(event::STAMP) >= to {
                return Ok(Then::End);
            }
            intake.event(row, &name, data, wanted.keys.as_deref());
            Ok(intake.then())
        };
        each_row(&mut scan, intake, take, more)?;
        if !more(intake)? {
            break;
        }
    }
    Ok(())
}

/// Reads all events with a stamp below `to`, in physical order, which is usually the order of time.
pub(super) fn read_all_events(
    tables: &Tables,
    to: u64,
    intake: &mut Intake,
    more: &mut dyn FnMut(&mut Intake) -> Fallible<bool>,
) -> Fallible<()> {
    let mut scan = TableScan::new(Relation::table(tables.event))?;
    while let Some(row) = scan.next() {
        if row.word(event::STAMP) >= to {
            continue;
        }
        let name = row.bytes(event::EVENT_TYPE);
        intake.event(&row, name.as_str(), true, None);
        drop(name);
        if intake.then() == Then::Work {
            let place = row.place();
            scan.unpin(place);
            if !more(intake)? {
                break;
            }
        }
    }
    Ok(())
}

/// Reads the events of one customer, as long as they fit into the memory limit.
pub(super) fn read_events_of(tables: &Tables, id: &str, wanted: &Wanted<'_>, intake: &mut Intake) -> Fallible<()> {
    let mut scan = tables.events_by(c"cohort_event_customer", 1)?;
    scan.seek(&[Sought::TextEquals(id)]);
    let take = |intake: &mut Intake, row: &Row<'_>| {
        let name = row.bytes(event::EVENT_TYPE);
        let name = name.as_str();
        if wanted.types.as_ref().is_none_or(|types| types.contains(&name)) {
            intake.event(row, name, wanted.data(name), wanted.keys.as_deref());
        }
        Ok(intake.then())
    };
    each_row(&mut scan, intake, take, &mut |intake| Ok(intake.fits()))
}

/// Reads the profiles with stamps from `from` up to, but not including, `to`.
pub(super) fn read_profiles(
    tables: &Tables,
    (from, to): (u64, u64),
    keys: Option<&[&str]>,
    intake: &mut Intake,
    more: &mut dyn FnMut(&mut Intake) -> Fallible<bool>,
) -> Fallible<()> {
    let mut scan = tables.customers_by(c"cohort_customer_stamp")?;
    scan.seek(&[Sought::Xid8From(from)]);
    let take = |intake: &mut Intake, row: &Row<'_>| {
        if row.word(customer::STAMP) >= to {
            return Ok(Then::End);
        }
        intake.profile(row, keys);
        Ok(intake.then())
    };
    each_row(&mut scan, intake, take, more)
}

/// Passes on the ids of the profiles that transactions from `since` on wrote, in slices.
pub(super) fn written_profiles(
    tables: &Tables,
    since: u64,
    each: &mut dyn FnMut(&[String]) -> Fallible<()>,
) -> Fallible<()> {
    const TOGETHER: usize = 16_384;
    let mut scan = tables.customers_by(c"cohort_customer_stamp")?;
    scan.seek(&[Sought::Xid8From(since)]);
    let mut ids = Vec::new();
    while let Some(row) = scan.next() {
        ids.push(row.bytes(customer::CUSTOMER_ID).as_str().to_owned());
        if ids.len() == TOGETHER {
            pgrx::check_for_interrupts!();
            each(&ids)?;
            ids.clear();
        }
    }
    each(&ids)
}

/// Reads the profile of one customer.
pub(super) fn read_profile_of(tables: &Tables, id: &str, keys: Option<&[&str]>, intake: &mut Intake) -> Fallible<()> {
    let mut scan = tables.customers_by(c"cohort_customer_pkey")?;
    scan.seek(&[Sought::TextEquals(id)]);
    while let Some(row) = scan.next() {
        intake.profile(&row, keys);
    }
    Ok(())
}

/// Whether a customer has an event or a profile.
pub(super) fn are_there(tables: &Tables, id: &str) -> Fallible<bool> {
    let mut events = tables.events_by(c"cohort_event_customer", 1)?;
    events.seek(&[Sought::TextEquals(id)]);
    let mut profiles = tables.customers_by(c"cohort_customer_pkey")?;
    profiles.seek(&[Sought::TextEquals(id)]);
    Ok(events.next().is_some() || profiles.next().is_some())
}

/// Number of events and profiles with stamps from `from` up to, but not including, `to`. Counting ends at a limit.
pub(super) fn count(tables: &Tables, (from, to): (u64, u64), most: usize) -> Fallible<usize> {
    let mut found = 0;
    let mut scan = tables.events_by(c"cohort_event_type_stamp", 2)?;
    for name in event_types(tables)? {
        scan.seek(&[Sought::TextEquals(&name), Sought::Xid8From(from)]);
        while found < most && scan.next().is_some_and(|row| row.word(event::STAMP) < to) {
            found += 1;
        }
    }
    let mut scan = tables.customers_by(c"cohort_customer_stamp")?;
    scan.seek(&[Sought::Xid8From(from)]);
    while found < most && scan.next().is_some_and(|row| row.word(customer::STAMP) < to) {
        found += 1;
    }
    Ok(found)
}

/// The event types that occur. Each is found by one look-up in the index, which skips to the next type.
pub(super) fn event_types(tables: &Tables) -> Fallible<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut scan = tables.events_by(c"cohort_event_type_stamp", 1)?;
    loop {
        pgrx::check_for_interrupts!();
        scan.seek(&[Sought::TextAbove(names.last().map_or("", String::as_str))]);
        match scan.next() {
            Some(row) => names.push(row.bytes(event::EVENT_TYPE).as_str().to_owned()),
            None => return Ok(names),
        }
    }
}

/// Marks the profiles of these customers as removed.
pub(super) fn remove_profiles(ids: &[String], intake: &mut Intake) {
    for id in ids {
        let ordinal = intake.customer(id);
        intake.builder.remove_profile(ordinal);
    }
}
