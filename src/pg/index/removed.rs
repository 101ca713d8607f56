//! Dead rows of segments: those recorded in `segment_dead`, and those in the removal log.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use cohort_core::segment::{Corrupt, Group, Header, Removal, removals};
use pgrx::pg_sys;
use roaring::{RoaringBitmap, RoaringTreemap};

use super::directory::Directory;
use super::pages::PageStream;
use super::{Damaged, damaged, direct, store};
use crate::pg::errors::Fallible;
use crate::pg::spi::Snapshot;

/// Dead rows by segment and event type.
pub(super) type Dead = HashMap<i64, HashMap<String, RoaringBitmap>>;

/// An open segment of events.
pub(super) type Opened = (store::Segment, Rc<Header>, PageStream);

/// The rows of `segment_dead`, by segment and event type.
pub(super) fn dead_by_segment(segments: &[store::Segment]) -> Fallible<Dead> {
    let mut dead = Dead::new();
    if segments.iter().any(|segment| segment.dead > 0) {
        for (segment, event_type, rows) in store::dead_rows(Snapshot::Callers)? {
            dead.entry(segment).or_default().insert(event_type, rows);
        }
        // A row that is missing is as wrong as one that changed.
        for segment in segments {
            let rows = dead.get(&segment.id).map_or(0, |groups| groups.values().map(RoaringBitmap::len).sum());
            if i64::try_from(rows) != Ok(segment.dead) {
                let what = format!("segment {} has {} dead rows, segment_dead lists {rows}", segment.id, segment.dead);
                return Err(damaged(Corrupt::new(what)));
            }
        }
    }
    Ok(dead)
}

/// The effect of the removal log on segments.
pub(super) struct Buried {
    /// The log entries of the requested types that the active snapshot sees.
    pub(super) entries: Vec<i64>,
    /// Number of dead rows by segment and type.
    pub(super) rows: HashMap<(i64, String), u64>,
}

/// The rows of one segment and type that log entries remove.
struct Mask {
    entries: HashSet<i64>,
    rows: RoaringBitmap,
}

impl Mask {
    /// Approximate memory in bytes.
    fn memory(&self) -> usize {
        size_of::<Self>() + self.entries.capacity() * 2 * size_of::<i64>() + self.rows.serialized_size()
    }
}

/// A cache of the effect of log entries. Entries and segments never change and their ids are not reused. Therefore a
/// cached result is valid for every snapshot that sees the entries and the segment.
#[derive(Default)]
struct Known {
    /// Dead rows by the table of the pages, the segment and the type.
    masks: HashMap<(pg_sys::Oid, i64, String), Mask>,
    /// The log entries that are included in any mask.
    entries: HashSet<i64>,
    /// Whether the cache has grown since its size was last compared with the limit.
    has_grown: bool,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Adds the rows of the removal log in the active snapshot to the dead rows of segments, for some event types or for
/// all.
pub(super) fn bury(
    internals: pg_sys::Oid,
    types: Option<&[&str]>,
    segments: &[Opened],
    directory: &Directory,
    dead: &mut Dead,
) -> Fallible<Buried> {
    let log = direct::removals(internals, types, &|id| KNOWN.with_borrow(|known| !known.entries.contains(&id)))?;
    let mut buried = Buried { entries: log.iter().map(|entry| entry.id).collect(), rows: HashMap::new() };
    if log.is_empty() {
        return Ok(buried);
    }
    let mut of_type: HashMap<&str, HashSet<i64>> = HashMap::new();
    for entry in &log {
        of_type.entry(&entry.event_type).or_default().insert(entry.id);
    }
    // What the masks do not know yet.
    let mut unknown: Vec<(&Opened, &str, HashSet<i64>)> = Vec::new();
    KNOWN.with_borrow_mut(|known| {
        known.limit();
        for opened in segments {
            for (event_type, seen) in &of_type {
                if opened.1.group(event_type).is_none() {
                    continue;
                }
                let mask = known.mask(opened, event_type);
                // A snapshot that does not see all of them begins with none.
                if !mask.entries.is_subset(seen) {
                    mask.entries.clear();
                    mask.rows.clear();
                }
                let new: HashSet<i64> = seen.difference(&mask.entries).copied().collect();
                if !new.is_empty() {
                    unknown.push((opened, event_type, new));
                }
            }
        }
    });
    // An entry that one mask knows may be new to another.
    let needed: HashSet<i64> = unknown.iter().flat_map(|(_, _, new)| new).copied().collect();
    let again = log.iter().any(|entry| entry.bytes.is_none() && needed.contains(&entry.id));
    let read = if again { Some(direct::removals(internals, types, &|id| needed.contains(&id))?) } else { None };
    let bytes: HashMap<i64, &[u8]> = read
        .as_ref()
        .unwrap_or(&log)
        .iter()
        .filter_map(|entry| entry.bytes.as_deref().map(|bytes| (entry.id, bytes)))
        .collect();
    for (opened, event_type, new) in unknown {
        pgrx::check_for_interrupts!();
        let (segment, header, stream) = opened;
        let mut wanted = Vec::new();
        for entry in &new {
            for removal in removals(bytes.get(entry).copied().unwrap_or_default()) {
                let removal = removal.map_err(damaged)?;
                if segment.stamps.0 <= removal.stamp && removal.stamp < segment.stamps.1 {
                    wanted.push(removal);
                }
            }
        }
        let Some(group) = header.group(event_type) else { continue };
        let group = group.open(stream).in_segment(segment.id)?;
        let gone = dead.get(&segment.id).and_then(|groups| groups.get(event_type));
        let rows = find(group, (segment, stream), &wanted, gone, directory)?;
        KNOWN.with_borrow_mut(|known| {
            known.entries.extend(&new);
            known.has_grown = true;
            let mask = known.mask(opened, event_type);
            mask.rows |= rows;
            mask.entries.extend(new);
        });
    }
    KNOWN.with_borrow_mut(|known| {
        for opened in segments {
            for event_type in of_type.keys() {
                let id = opened.0.id;
                if opened.1.group(event_type).is_none() {
                    continue;
                }
                let mask = known.mask(opened, event_type);
                if mask.rows.is_empty() {
                    continue;
                }
                let all = dead.entry(id).or_default().entry((*event_type).to_owned()).or_default();
                let before = all.len();
                *all |= &mask.rows;
                buried.rows.insert((id, (*event_type).to_owned()), all.len() - before);
            }
        }
    });
    Ok(buried)
}

impl Known {
    /// Clears the cache if it exceeds the limit.
    fn limit(&mut self) {
        const MASKS: usize = 4_096;
        const ENTRIES: usize = 200_000;
        const BYTES: usize = 32 << 20;
        if self.has_grown {
            self.has_grown = false;
            if self.masks.len() > MASKS
                || self.entries.len() > ENTRIES
                || self.masks.values().map(Mask::memory).sum::<usize>() > BYTES
            {
                *self = Self::default();
            }
        }
    }

    fn mask(&mut self, (_, _, stream): &Opened, event_type: &str) -> &mut Mask {
        let (pages, segment) = stream.identity();
        self.masks
            .entry((pages, segment, event_type.to_owned()))
            .or_insert_with(|| Mask { entries: HashSet::new(), rows: RoaringBitmap::new() })
    }
}

/// The dead rows of a group.
fn find(
    group: &Group,
    (segment, stream): (&store::Segment, &PageStream),
    wanted: &[Removal<'_>],
    gone: Option<&RoaringBitmap>,
    directory: &Directory,
) -> Fallible<RoaringBitmap> {
    /// Above this number, reading all keys is cheaper than looking up each one.
    const FEW: usize = 500;
    let mut rows = RoaringBitmap::new();
    if wanted.is_empty() {
        return Ok(rows);
    }
    if wanted.len() > FEW {
        // By id alone, for which no customer is looked up. An id is in a snapshot once, and each of these rows was there
        // when its segment was sealed; unless the table's primary key is gone, and ids come twice.
        let ids: RoaringTreemap = wanted.iter().map(|removal| removal.event_id.cast_unsigned()).collect();
        let (mut found, mut twice) = (RoaringTreemap::new(), false);
        let keys = group.keys(stream, |row, key| {
            let id = key.event_id.cast_unsigned();
            if ids.contains(id) && gone.is_none_or(|gone| !gone.contains(row)) {
                rows.insert(row);
                twice |= !found.insert(id);
            }
        });
        keys.in_segment(segment.id)?;
        if !twice {
            return Ok(rows);
        }
        rows.clear();
    }
    let customers: Vec<&str> = wanted.iter().map(|removal| removal.customer).collect();
    let ordinals = directory.find(&customers)?;
    let known = wanted.iter().zip(ordinals).filter_map(|(removal, ordinal)| Some((ordinal?, removal.event_id)));
    if wanted.len() <= FEW {
        for (ordinal, event_id) in known {
            rows.extend(group.find(stream, ordinal, event_id).in_segment(segment.id)?);
        }
    } else {
        let known: HashSet<(u32, i64)> = known.collect();
        let keys = group.keys(stream, |row, key| {
            if known.contains(&(key.ordinal, key.event_id)) {
                rows.insert(row);
            }
        });
        keys.in_segment(segment.id)?;
    }
    Ok(rows)
}
