//! The properties and their values in the active snapshot, for suggestions to authors of rules.

use std::collections::BTreeMap;

use cohort_core::segment::{Group, Header, Stream, Tally};
use roaring::RoaringBitmap;

use super::directory::Directory;
use super::evaluate::{Memory, Strangers};
use super::events::{self, Intake, PROFILES, Wanted};
use super::pages::{PageStream, Pages};
use super::removed::{bury, dead_by_segment};
use super::store::Kind;
use super::{Damaged, cache, direct, interrupts, refusal, tables};
use crate::pg::errors::Fallible;
use crate::pg::settings;

/// The values of each property, by event type (`None`: profiles) and path.
pub(crate) type Values = BTreeMap<(Option<String>, Vec<String>), Tally>;

/// The properties of the events of one type, or those of all events and of profiles. Empty if the index cannot be used
/// for the current user. Unsealed rows count, unless they take more than `kursaha_cohort.eval_memory`.
pub(crate) fn values(of_type: Option<&str>) -> Fallible<Values> {
    let mut all = Values::new();
    if refusal()?.is_some() {
        return Ok(all);
    }
    let tables = tables()?;
    let (state, segments) = direct::state_and_segments(tables.internals)?;
    let pages = Pages::open(tables.internals)?;
    let directory = Directory::open(&state, &segments, &pages)?;
    let tail = (state.watermark, u64::MAX);
    let mut strangers = Strangers::new(state.customers);
    let memory = settings::eval_memory();
    let mut fits = |intake: &mut Intake| Ok(intake.fits());

    let types = of_type.map(|of_type| vec![of_type]);
    let mut newest = Intake::by_row(state.key).within(memory);
    let wanted = Wanted { types: types.clone(), ..Wanted::ALL };
    events::read_events(&tables, tail, &wanted, &mut newest, &mut fits)?;
    let left = memory.saturating_sub(newest.bytes());
    if newest.fits() {
        strangers.number(&mut newest, &directory)?;
        let newest = Memory::new(newest)?;
        add_events(&newest.header, &newest.bytes, &mut |_| RoaringBitmap::new(), of_type, &mut all)?;
    }
    let mut dead = dead_by_segment(&segments)?;
    let mut opened = Vec::new();
    for segment in segments.iter().filter(|segment| segment.kind == Kind::Events) {
        let stream = PageStream::new(&pages, segment.id);
        let header = cache::header(&stream).in_segment(segment.id)?;
        opened.push((segment.clone(), header, stream));
    }
    bury(tables.internals, types.as_deref(), &opened, &directory, &mut dead)?;
    for (segment, header, stream) in &opened {
        let mut dead = dead.remove(&segment.id).unwrap_or_default();
        add_events(header, stream, &mut |name| dead.remove(name).unwrap_or_default(), of_type, &mut all)?;
    }
    if of_type.is_some() {
        return Ok(all);
    }

    let mut newest = Intake::by_row(state.key).within(left);
    events::read_profiles(&tables, tail, None, &mut newest, &mut fits)?;
    let mut known = RoaringBitmap::new();
    if newest.fits() {
        events::remove_profiles(&direct::removed_profiles(tables.internals)?, &mut newest);
        strangers.number(&mut newest, &directory)?;
        let newest = Memory::new(newest)?;
        add_profiles(&newest.header, &newest.bytes, &mut known, &mut all)?;
    }
    for segment in segments.iter().rev().filter(|segment| segment.kind == Kind::Profiles) {
        let stream = PageStream::new(&pages, segment.id);
        let header = cache::header(&stream).in_segment(segment.id)?;
        add_profiles(&header, &stream, &mut known, &mut all)?;
    }
    Ok(all)
}

/// Adds the live events of a segment.
fn add_events(
    header: &Header,
    stream: &dyn Stream,
    gone: &mut dyn FnMut(&str) -> RoaringBitmap,
    of_type: Option<&str>,
    all: &mut Values,
) -> Fallible<()> {
    for entry in header.groups.iter().filter(|entry| of_type.is_none_or(|of_type| entry.name == of_type)) {
        let group = entry.open(stream).map_err(super::damaged)?;
        add(group, stream, &gone(&entry.name), Some(&entry.name), all)?;
    }
    Ok(())
}

/// Adds the profiles of a segment, except those that a newer segment has or has removed: `known`.
fn add_profiles(header: &Header, stream: &dyn Stream, known: &mut RoaringBitmap, all: &mut Values) -> Fallible<()> {
    if let Some(entry) = header.group(PROFILES) {
        let group = entry.open(stream).map_err(super::damaged)?;
        let (mut old, mut ordinals) = (RoaringBitmap::new(), Vec::new());
        group
            .keys(stream, |row, key| {
                if known.contains(key.ordinal) {
                    old.insert(row);
                } else {
                    ordinals.push(key.ordinal);
                }
            })
            .map_err(super::damaged)?;
        known.extend(ordinals);
        add(group, stream, &old, None, all)?;
    }
    *known |= header.all_removed(stream).map_err(super::damaged)?;
    Ok(())
}

fn add(
    group: &Group,
    stream: &dyn Stream,
    except: &RoaringBitmap,
    of_type: Option<&str>,
    all: &mut Values,
) -> Fallible<()> {
    for (place, (path, _)) in group.paths().enumerate().filter(|(_, (path, _))| !path.is_empty()) {
        let tally = all.entry((of_type.map(str::to_owned), path.to_vec())).or_default();
        group.tally(place, except, stream, &interrupts, tally).map_err(super::damaged)?;
    }
    Ok(())
}
