//! Rows of segments that are gone: known to segments, or only to the log of what was removed since.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use cohort_core::segment::Header;
use roaring::RoaringBitmap;

use super::directory::Directory;
use super::pages::PageStream;
use super::{Damaged, store};
use crate::pg::errors::Fallible;
use crate::pg::spi::Snapshot;

/// Rows that are gone, by segment and event type.
pub(super) type Dead = HashMap<i64, HashMap<String, RoaringBitmap>>;

/// The rows that are gone from sealed segments, by segment and event type.
pub(super) fn dead_by_segment(segments: &[store::Segment]) -> Fallible<Dead> {
    let mut dead = Dead::new();
    if segments.iter().any(|segment| segment.dead > 0) {
        for (segment, event_type, rows) in store::dead_rows(Snapshot::Callers)? {
            dead.entry(segment).or_default().insert(event_type, rows);
        }
    }
    Ok(dead)
}

/// Marks removed events dead in the segment where each is; gives the groups that changed.
pub(super) fn bury(
    removed: &[store::Removed],
    segments: &[(store::Segment, Rc<Header>, PageStream)],
    directory: &Directory,
    dead: &mut Dead,
) -> Fallible<HashMap<(i64, String), u64>> {
    let mut changed: HashMap<(i64, String), u64> = HashMap::new();
    if removed.is_empty() {
        return Ok(changed);
    }
    let ids: Vec<&str> = removed.iter().map(|event| event.customer_id.as_str()).collect();
    let ordinals = directory.find(&ids)?;
    // By the groups in which they may be, so that each group is gone through once.
    let mut by_group: HashMap<(usize, &str), HashSet<(u32, i64)>> = HashMap::new();
    for (event, ordinal) in removed.iter().zip(ordinals) {
        let Some(ordinal) = ordinal else { continue };
        for (place, (segment, header, _)) in segments.iter().enumerate() {
            let inside = segment.stamps.0 <= event.stamp && event.stamp < segment.stamps.1;
            if inside && header.group(&event.event_type).is_some() {
                by_group.entry((place, &event.event_type)).or_default().insert((ordinal, event.event_id));
            }
        }
    }
    for ((place, event_type), wanted) in by_group {
        /// Beyond so many, reading all keys is cheaper than looking each up.
        const FEW: usize = 500;
        pgrx::check_for_interrupts!();
        let (segment, header, stream) = &segments[place];
        let Some(entry) = header.group(event_type) else { continue };
        let group = entry.open(stream).in_segment(segment.id)?;
        let mut rows = RoaringBitmap::new();
        if wanted.len() <= FEW {
            for (ordinal, event_id) in &wanted {
                rows.extend(group.find(stream, *ordinal, *event_id).in_segment(segment.id)?);
            }
        } else {
            let result = group.keys(stream, |row, key| {
                if wanted.contains(&(key.ordinal, key.event_id)) {
                    rows.insert(row);
                }
            });
            result.in_segment(segment.id)?;
        }
        if !rows.is_empty() {
            let all = dead.entry(segment.id).or_default().entry(event_type.to_owned()).or_default();
            let before = all.len();
            *all |= rows;
            *changed.entry((segment.id, event_type.to_owned())).or_default() += all.len() - before;
        }
    }
    Ok(changed)
}
