//! Merging: combines adjacent segments of similar size into one, without dead rows.

use std::collections::HashMap;

use cohort_core::segment::{CustomersBuilder, Header, SegmentBuilder, customer_hash};
use roaring::RoaringBitmap;

use super::direct;
use super::events::PROFILES;
use super::pages::{PageStream, Pages};
use super::removed::dead_by_segment;
use super::store::{self, Kind, Segment, State};
use super::{Damaged, cache, damaged, interrupts, tables, unwritable};
use crate::pg::errors::Fallible;
use crate::pg::extension;
use crate::pg::progress::{Phase, Progress};
use crate::pg::settings;
use crate::pg::spi;

/// Number of segments that are merged into one.
const TOGETHER: usize = 8;
/// Maximum number of rows of a segment of profiles or customers.
const MOST_OTHERS: i64 = 1 << 25;

/// Whether there is something to merge.
pub(super) fn is_due() -> Fallible<bool> {
    Ok(choice()?.is_some())
}

/// Merges once, if there are segments to merge, and returns whether it did. The active snapshot must be newer than that
/// of the last sealing.
pub(super) fn next(state: &State) -> Fallible<bool> {
    let Some((chosen, with_oldest)) = choice()? else { return Ok(false) };
    let progress = Progress::begin(Phase::Merging);
    progress.total(chosen.iter().map(|segment| segment.rows.unsigned_abs()).sum());
    spi::with_snapshot(|| one(state, &chosen, with_oldest, &Before::default(), &progress))?;
    Ok(true)
}

/// The segments to merge next, and whether the oldest of their kind is among them.
fn choice() -> Fallible<Option<(Vec<Segment>, bool)>> {
    pgrx::check_for_interrupts!();
    let internals = extension::schema_oids()?.1;
    let segments = spi::with_snapshot(|| direct::segments(internals))?;
    Ok([Kind::Events, Kind::Profiles, Kind::Customers].into_iter().find_map(|kind| {
        let of_kind: Vec<&Segment> = segments.iter().filter(|segment| segment.kind == kind).collect();
        let chosen = choose(&of_kind, most(kind), i64::try_from(settings::segment_size()).unwrap_or(i64::MAX))?;
        let with_oldest = of_kind.first().map(|segment| segment.id) == chosen.first().map(|segment| segment.id);
        Some((chosen.into_iter().cloned().collect(), with_oldest))
    }))
}

fn most(kind: Kind) -> i64 {
    match kind {
        Kind::Events => i64::try_from(settings::segment_rows()).unwrap_or(i64::MAX),
        Kind::Profiles | Kind::Customers => MOST_OTHERS,
    }
}

/// The segments to merge next, oldest first: adjacent segments of similar size, or one segment in which a quarter of
/// the rows are dead.
fn choose<'a>(segments: &[&'a Segment], most: i64, most_bytes: i64) -> Option<Vec<&'a Segment>> {
    if let Some(worn) = segments.iter().find(|segment| segment.dead > 0 && segment.dead * 4 >= segment.rows) {
        return Some(vec![worn]);
    }
    // Sizes in steps of eight below the largest.
    for limit in [most / 512, most / 64, most / 8, most / 2] {
        let mut run: Vec<&Segment> = Vec::new();
        for segment in segments {
            if segment.rows > limit.max(1) || segment.rows >= most || segment.bytes > most_bytes / 2 {
                run.clear();
                continue;
            }
            run.push(segment);
            if run.len() < TOGETHER {
                continue;
            }
            let (mut rows, mut bytes) = (0, 0);
            run.retain(|segment| {
                rows += segment.rows;
                bytes += segment.bytes;
                rows <= most && bytes <= most_bytes
            });
            if run.len() >= 2 {
                return Some(run);
            }
            run.clear();
        }
    }
    None
}

/// Rewrites the segments that contain the given customers, without dead rows and without the ids of erased customers. Runs
/// under a snapshot that sees the removals.
pub(super) fn rewrite(state: &State, held: &RoaringBitmap, erased: &RoaringBitmap) -> Fallible<()> {
    let progress = Progress::begin(Phase::Merging);
    let internals = extension::schema_oids()?.1;
    let segments = direct::segments(internals)?;
    let pages = Pages::open(internals)?;
    // Of profiles: those for whom a newer segment speaks.
    let mut newer = RoaringBitmap::new();
    for segment in segments.iter().rev() {
        pgrx::check_for_interrupts!();
        let stream = PageStream::new(&pages, segment.id);
        let holds = if segment.kind == Kind::Customers {
            let header = cache::customers(&stream).in_segment(segment.id)?;
            erased.range_cardinality(header.first..header.first + header.count) > 0
        } else {
            let header = cache::header(&stream).in_segment(segment.id)?;
            header.holds(held, &stream).in_segment(segment.id)?
        };
        if holds {
            let oldest = segments.iter().find(|other| other.kind == segment.kind).map(|other| other.id);
            let before = Before { newer: newer.clone(), erased: erased.clone() };
            one(state, std::slice::from_ref(segment), oldest == Some(segment.id), &before, &progress)?;
            if segment.kind == Kind::Profiles {
                let header = cache::header(&stream).in_segment(segment.id)?;
                for ordinal in held {
                    if header.holds(&[ordinal].into_iter().collect(), &stream).in_segment(segment.id)? {
                        newer.insert(ordinal);
                    }
                }
            }
        }
    }
    Ok(())
}

/// The state of customers before segments are rewritten.
#[derive(Default)]
struct Before {
    /// Customers whose profile in these segments is superseded by a newer segment, or removed.
    newer: RoaringBitmap,
    /// Customers whose ids are erased.
    erased: RoaringBitmap,
}

fn one(state: &State, segments: &[Segment], with_oldest: bool, before: &Before, progress: &Progress) -> Fallible<()> {
    let pages = Pages::open(tables()?.internals)?;
    let stamps = (
        segments.iter().map(|segment| segment.stamps.0).min().unwrap_or(0),
        segments.iter().map(|segment| segment.stamps.1).max().unwrap_or(0),
    );
    let kind = segments[0].kind;
    let position = segments.last().map(|segment| segment.position);
    let (rows, times, bytes) = match kind {
        Kind::Customers => customers(state, segments, &pages, &before.erased)?,
        Kind::Events => events(segments, &pages, progress)?,
        Kind::Profiles => profiles(segments, &pages, with_oldest, &before.newer)?,
    };
    let ids: Vec<i64> = segments.iter().map(|segment| segment.id).collect();
    store::remove_segments(&ids)?;
    if rows > 0 {
        store::add_segment(kind, position, stamps, rows, times, &bytes)?;
    }
    Ok(())
}

type Merged = (u64, Option<(i64, i64)>, Vec<u8>);

fn finished(builder: SegmentBuilder, keep_empty: bool) -> Fallible<Merged> {
    let rows = builder.rows() as u64;
    let bytes = builder.finish_checking(&interrupts).map_err(unwritable)?;
    let times = Header::open(&bytes).map_err(damaged)?.times();
    Ok((if keep_empty { rows.max(1) } else { rows }, times, bytes))
}

fn events(segments: &[Segment], pages: &std::rc::Rc<Pages>, progress: &Progress) -> Fallible<Merged> {
    let dead = dead_by_segment(segments)?;
    let mut builder = SegmentBuilder::new(settings::max_indexed_paths());
    for segment in segments {
        let stream = PageStream::new(pages, segment.id);
        let header = cache::header(&stream).in_segment(segment.id)?;
        let of_segment = dead.get(&segment.id);
        let dead = |name: &str| of_segment.and_then(|groups| groups.get(name)).cloned();
        builder.append(&header, &stream, &dead, &interrupts).in_segment(segment.id)?;
        progress.done(builder.rows() as u64);
    }
    finished(builder, false)
}

/// A profile or removal in a newer segment supersedes the profiles in older ones.
fn profiles(
    segments: &[Segment],
    pages: &std::rc::Rc<Pages>,
    with_oldest: bool,
    newer: &RoaringBitmap,
) -> Fallible<Merged> {
    let mut builder = SegmentBuilder::new(settings::max_indexed_paths());
    let (mut newer, mut gone) = (newer.clone(), RoaringBitmap::new());
    for segment in segments.iter().rev() {
        let stream = PageStream::new(pages, segment.id);
        let header = cache::header(&stream).in_segment(segment.id)?;
        let (mut dead, mut here) = (RoaringBitmap::new(), RoaringBitmap::new());
        if let Some(group) = header.group(PROFILES) {
            let keys = group.open(&stream).and_then(|group| {
                group.keys(&stream, |row, key| {
                    here.insert(key.ordinal);
                    if newer.contains(key.ordinal) {
                        dead.insert(row);
                    }
                })
            });
            keys.in_segment(segment.id)?;
        }
        builder.append(&header, &stream, &|_| Some(dead.clone()), &interrupts).in_segment(segment.id)?;
        let removed = header.all_removed(&stream).in_segment(segment.id)? - &here;
        gone |= &removed - &newer;
        newer |= here | removed;
    }
    // Behind the oldest segment there is nothing left to be removed.
    if !with_oldest {
        for ordinal in &gone {
            builder.remove_profile(ordinal);
        }
    }
    finished(builder, !with_oldest && !gone.is_empty())
}

fn customers(
    state: &State,
    segments: &[Segment],
    pages: &std::rc::Rc<Pages>,
    erased: &RoaringBitmap,
) -> Fallible<Merged> {
    let mut parts = HashMap::new();
    for segment in segments {
        let stream = PageStream::new(pages, segment.id);
        let header = cache::customers(&stream).in_segment(segment.id)?;
        parts.insert(header.first, (segment.id, header, stream));
    }
    let mut firsts: Vec<u32> = parts.keys().copied().collect();
    firsts.sort_unstable();
    let mut builder = CustomersBuilder::new(firsts.first().copied().unwrap_or(0));
    for first in firsts {
        let (id, header, stream) = &parts[&first];
        let ids = header.ids(stream, None, &mut |ordinal, id| {
            // The ordinal stays, and belongs to nobody.
            let id = if erased.contains(ordinal) { "" } else { id };
            builder.push(id, customer_hash(&state.key, id));
        });
        ids.in_segment(*id)?;
    }
    let count = builder.len() as u64;
    Ok((count, None, builder.finish_checking(&interrupts).map_err(unwritable)?))
}
