//! Compares the index with the tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use cohort_core::segment::item::Item;
use cohort_core::segment::{Corrupt, CustomersHeader, Header, RowKey, Stream};
use roaring::RoaringBitmap;

use super::direct;
use super::directory::Directory;
use super::events::{self, Intake, PROFILES};
use super::pages::{Interruptible, PageStream, Pages};
use super::removed::{bury, dead_by_segment};
use super::scan::{has_policies, must_read};
use super::store::{self, Kind};
use super::{cache, damaged, interrupts, lists, sum, tables, unwritable};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::progress::{Phase, Progress};

/// A difference between index and tables.
pub(crate) struct Problem {
    /// Where.
    pub(crate) place: String,
    /// What.
    pub(crate) problem: String,
}

/// Number of rows of one event type, and the sum of their hashes, which does not depend on their order.
#[derive(Default, PartialEq, Eq, Clone, Copy)]
struct Sum {
    rows: u64,
    hashes: u64,
}

/// The rows of one group that are being added to a sum.
struct Rows {
    hashes: Vec<(u64, bool)>,
}

/// Number of customers that are looked up together, and of rows that are compared together.
const TOGETHER: usize = 100_000;

/// Compares the index with the tables, as the active snapshot sees both. Reads everything.
#[expect(clippy::too_many_lines, reason = "one comparison after the other, each with what the one before read")]
pub(crate) fn check() -> Fallible<Vec<Problem>> {
    let mut problems = Vec::new();
    let progress = Progress::begin(Phase::Checking);
    let tables = tables()?;
    for (oid, name) in tables.public() {
        must_read(oid, name)?;
        if has_policies(oid) {
            return Err(failure(
                SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
                format!("row-level security of {name} hides rows from you, and cohort_check must compare all rows"),
            )
            .set_hint("Run cohort_check() as the owner of the tables."));
        }
    }
    progress.total(tables.events_about());
    let state = direct::state(tables.internals)?;
    let segments = direct::segments(tables.internals)?;
    let pages = Pages::open(tables.internals)?;

    // The bytes.
    let mut whole = sum::matches(&state, &segments);
    if !whole {
        problems.push(Problem { place: "index_state, segment".to_owned(), problem: sum::WRONG.to_owned() });
    }
    for segment in &segments {
        let stream = PageStream::new(&pages, segment.id);
        let result = match segment.kind {
            Kind::Customers => CustomersHeader::verify(&stream, &interrupts),
            Kind::Events | Kind::Profiles => Header::verify(&stream, &interrupts),
        };
        if let Err(corrupt) = result {
            whole = false;
            problems.push(Problem { place: format!("segment {}", segment.id), problem: corrupt.to_string() });
        }
    }
    if !whole {
        return Ok(problems);
    }

    // Who has which ordinal.
    let directory = Directory::open(&state, &segments, &pages)?;
    let mut names: Vec<Box<str>> = Vec::new();
    let mut ordered = true;
    directory.all_ids(&mut |ordinal, id| {
        ordered &= ordinal as usize == names.len();
        names.push(id.into());
    })?;
    if !ordered || names.len() != state.customers as usize {
        problems.push(Problem {
            place: "customers".to_owned(),
            problem: format!("{} ordinals are assigned, segments contain {}", state.customers, names.len()),
        });
        return Ok(problems);
    }
    for (number, batch) in names.chunks(TOGETHER).enumerate() {
        let first = number * TOGETHER;
        for (place, found) in directory.find(batch)?.into_iter().enumerate() {
            if !batch[place].is_empty() && found.map(|ordinal| ordinal as usize) != Some(first + place) {
                problems.push(Problem {
                    place: "customers".to_owned(),
                    problem: format!("ordinal {} is not found by its customer's hash", first + place),
                });
            }
        }
    }

    // Fixed lists.
    lists::check(tables.internals, &state, &directory, &mut |list, problem| {
        problems.push(Problem { place: format!("fixed list {list}"), problem });
    })?;

    // What segments hold.
    let mut opened = Vec::new();
    for segment in segments.iter().filter(|segment| segment.kind == Kind::Events) {
        let stream = PageStream::new(&pages, segment.id);
        opened.push((segment.clone(), cache::header(&stream).map_err(damaged)?, stream));
    }
    let mut dead = dead_by_segment(&segments)?;
    bury(tables.internals, None, &opened, &directory, &mut dead)?;
    let mut indexed: BTreeMap<String, Sum> = BTreeMap::new();
    for (segment, header, stream) in &opened {
        let of_segment = dead.get(&segment.id);
        for group in &header.groups {
            let dead = of_segment.and_then(|groups| groups.get(&group.name));
            let sum = indexed.entry(format!("events of type \"{}\"", group.name)).or_default();
            add(group, stream, &|row, _| dead.is_none_or(|dead| !dead.contains(row)), &names, sum)?;
        }
    }
    drop(opened);
    // Sealed rows of profiles that changed since stand for nothing: such profiles are left out on both sides.
    let moved = moved_profiles(&tables, &state)?;
    let mut newer: RoaringBitmap = directory.find(&moved)?.into_iter().flatten().collect();
    let moved: HashSet<&str> = moved.iter().map(String::as_str).collect();
    let mut profiles = Sum::default();
    for segment in segments.iter().rev().filter(|segment| segment.kind == Kind::Profiles) {
        let stream = PageStream::new(&pages, segment.id);
        let header = cache::header(&stream).map_err(damaged)?;
        if let Some(group) = header.group(PROFILES) {
            add(group, &stream, &|_, key| !newer.contains(key.ordinal), &names, &mut profiles)?;
            let group = group.open(&stream).map_err(damaged)?;
            group.keys(&stream, |_, key| _ = newer.insert(key.ordinal)).map_err(damaged)?;
        }
        newer |= header.all_removed(&stream).map_err(damaged)?;
    }

    // What the tables hold below the watermark.
    let stored = sums_of(EVENTS, &HashSet::new(), &state, &mut |rows| progress.done(rows), |intake, more| {
        events::read_all_events(&tables, state.watermark, intake, more)
    })?;
    let mut sealed_profiles = sums_of(PROFILES_PLACE, &moved, &state, &mut |_| (), |intake, more| {
        events::read_profiles(&tables, (0, state.watermark), None, intake, more)
    })?;
    let table = sealed_profiles.remove(PROFILES_PLACE).unwrap_or_default();
    compare(PROFILES_PLACE, profiles, table, &mut problems);
    let mut all: HashMap<String, (Sum, Sum)> = HashMap::new();
    for (name, sum) in indexed {
        all.entry(name).or_default().0 = sum;
    }
    for (name, sum) in stored {
        all.entry(name).or_default().1 = sum;
    }
    let mut all: Vec<(String, (Sum, Sum))> = all.into_iter().collect();
    all.sort_by(|left, right| left.0.cmp(&right.0));
    for (name, (index, table)) in all {
        compare(&name, index, table, &mut problems);
    }
    Ok(problems)
}

fn compare(name: &str, index: Sum, table: Sum, problems: &mut Vec<Problem>) {
    let problem = if index.rows != table.rows {
        format!("the index has {} rows, the table has {}", index.rows, table.rows)
    } else if index.hashes != table.hashes {
        format!("some of {} rows differ between index and table", index.rows)
    } else {
        return;
    };
    problems.push(Problem { place: name.to_owned(), problem });
}

/// The names of the two tables in problems.
const EVENTS: &str = "events";
const PROFILES_PLACE: &str = "profiles";

/// Whether a batch of rows to compare is complete.
fn is_full(intake: &Intake) -> bool {
    const BYTES: usize = 1 << 28;
    intake.len() >= TOGETHER || intake.bytes() >= BYTES
}

/// The customers whose profiles were written or removed since the last sealing.
fn moved_profiles(tables: &events::Tables, state: &store::State) -> Fallible<Vec<String>> {
    let mut intake = Intake::new(usize::MAX, state.key);
    events::read_profiles(tables, (state.watermark, u64::MAX), Some(&[]), &mut intake, &mut |_| Ok(true))?;
    let mut ids: Vec<String> = intake.customers.iter().map(|(id, _)| id.to_owned()).collect();
    ids.extend(direct::removed_profiles(tables.internals)?);
    Ok(ids)
}

/// Adds the live rows of a group to a sum.
fn add(
    entry: &cohort_core::segment::Entry,
    stream: &dyn Stream,
    live: &dyn Fn(u32, RowKey) -> bool,
    names: &[Box<str>],
    sum: &mut Sum,
) -> Fallible<()> {
    pgrx::check_for_interrupts!();
    let group = entry.open(stream).map_err(damaged)?;
    let mut rows = Rows { hashes: Vec::new() };
    let mut known = true;
    group
        .keys(stream, |row, key| {
            let name = names.get(key.ordinal as usize);
            known &= name.is_some();
            rows.hashes.push((key_hash(name.map_or("", |name| name), key), live(row, key)));
        })
        .map_err(damaged)?;
    if !known {
        return Err(damaged(Corrupt::new("an ordinal has no customer")));
    }
    group
        .values(stream, |row, path, item| {
            let hash = &mut rows.hashes[row as usize].0;
            if path.is_empty() {
                // Values beyond the limit of paths, one by one, as if they had columns.
                if let Item::Json(text) = item {
                    cohort_core::eval::rest_values(text, &mut |path, item| {
                        *hash = hash.wrapping_add(value_hash(path, item));
                    });
                }
            } else {
                *hash = hash.wrapping_add(value_hash(path, item));
            }
        })
        .map_err(damaged)?;
    for (hash, _) in rows.hashes.iter().filter(|(_, live)| *live) {
        sum.rows += 1;
        // Mixed once more, so that a value that moved from one row to another is seen.
        sum.hashes = sum.hashes.wrapping_add(mixed(*hash));
    }
    Ok(())
}

/// The sums of a table's rows, without the rows of some customers. `read` reads the rows, and `told` gets their number.
fn sums_of(
    what: &str,
    without: &HashSet<&str>,
    state: &store::State,
    told: &mut dyn FnMut(u64),
    read: impl FnOnce(&mut Intake, &mut dyn FnMut(&mut Intake) -> Fallible<bool>) -> Fallible<()>,
) -> Fallible<BTreeMap<String, Sum>> {
    let mut sums = BTreeMap::new();
    let mut before = 0;
    let mut more = |intake: &mut Intake| {
        told(before + intake.len() as u64);
        if is_full(intake) {
            before += intake.len() as u64;
            count(intake.take(), what, without, &mut sums)?;
        }
        Ok(true)
    };
    let mut intake = Intake::new(usize::MAX, state.key).in_batches(TOGETHER);
    read(&mut intake, &mut more)?;
    count(intake, what, without, &mut sums)?;
    Ok(sums)
}

/// Adds the rows of an intake to the sums of their types, without the rows of some customers.
fn count(intake: Intake, what: &str, without: &HashSet<&str>, sums: &mut BTreeMap<String, Sum>) -> Fallible<()> {
    let names: Vec<Box<str>> = intake.customers.iter().map(|(id, _)| id.into()).collect();
    let (header, bytes) = intake.builder.in_memory_checking(&interrupts).map_err(unwritable)?;
    let bytes = Interruptible(bytes);
    for group in &header.groups {
        let name = if what == EVENTS { format!("events of type \"{}\"", group.name) } else { what.to_owned() };
        let live = |_, key: RowKey| names.get(key.ordinal as usize).is_none_or(|name| !without.contains(&**name));
        add(group, &bytes, &live, &names, sums.entry(name).or_default())?;
    }
    Ok(())
}

fn mixed(hash: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash.hash(&mut hasher);
    hasher.finish()
}

fn key_hash(customer: &str, key: RowKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    (customer, key.at, key.event_id).hash(&mut hasher);
    hasher.finish()
}

fn value_hash(path: &[String], item: Item<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    match item {
        Item::Bool(value) => (0, value).hash(&mut hasher),
        // A number may stand as digits or as text: its text is the same.
        Item::Number(_) | Item::Big(_) => {
            (1, item.numeric().map(|number| cohort_core::value::plain(&number.exact()))).hash(&mut hasher);
        }
        Item::Text(text) => (2, text).hash(&mut hasher),
        Item::Json(text) => (3, text).hash(&mut hasher),
    }
    hasher.finish()
}
