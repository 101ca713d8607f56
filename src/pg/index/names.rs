//! The event types and properties in the index, for suggestions and notices to authors of rules.

use std::collections::BTreeMap;

use cohort_core::segment::{Corrupt, Group, Header, Kinds, Stream};

use super::events::{self, Intake, PROFILES, Wanted};
use super::pages::{PageStream, Pages};
use super::store::Kind;
use super::{Damaged, cache, damaged, direct, refusal, tables, unwritable};
use crate::pg::errors::Fallible;

/// The event types that occur. `None` if the index cannot be used for the current user.
pub(crate) fn event_types() -> Fallible<Option<Vec<String>>> {
    if refusal()?.is_some() { Ok(None) } else { events::event_types(&tables()?).map(Some) }
}

/// The top-level keys of events of some types, of all events, or of profiles. `None` if the index cannot determine them
/// quickly.
pub(crate) fn keys(of: Of<'_>) -> Fallible<Option<Vec<String>>> {
    /// Maximum number of rows of the tail that are read.
    const MOST: usize = 1_000;
    if refusal()?.is_some() {
        return Ok(None);
    }
    let tables = tables()?;
    let state = direct::state(tables.internals)?;
    let tail = (state.watermark, u64::MAX);
    let mut intake = Intake::new(usize::MAX, state.key).in_batches(MOST + 1);
    let mut fits = |intake: &mut Intake| Ok(intake.len() <= MOST);
    match of {
        Of::Events(types) => {
            let types = types.map(<[&str]>::to_vec);
            let wanted = Wanted { types, ..Wanted::ALL };
            events::read_events(&tables, tail, &wanted, &mut intake, &mut fits)?;
        }
        Of::Profiles => events::read_profiles(&tables, tail, None, &mut intake, &mut fits)?,
    }
    if intake.len() > MOST {
        return Ok(None);
    }
    let mut found = Vec::new();
    let (header, bytes) = intake.builder.in_memory().map_err(unwritable)?;
    if !collect(&header, &bytes, of, &mut found).map_err(damaged)? {
        return Ok(None);
    }
    let pages = Pages::open(tables.internals)?;
    for segment in direct::segments(tables.internals)?.iter().filter(|segment| segment.kind == of.kind()) {
        let stream = PageStream::new(&pages, segment.id);
        let header = match cache::header(&stream) {
            Err(Corrupt::Foreign(_)) => return Ok(None),
            opened => opened.in_segment(segment.id)?,
        };
        if !collect(&header, &stream, of, &mut found).in_segment(segment.id)? {
            return Ok(None);
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(Some(found))
}

/// The rows whose keys are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    /// Events of some types, or of all.
    Events(Option<&'a [&'a str]>),
    Profiles,
}

impl Of<'_> {
    fn kind(self) -> Kind {
        match self {
            Self::Events(_) => Kind::Events,
            Self::Profiles => Kind::Profiles,
        }
    }

    fn includes(self, group: &str) -> bool {
        match self {
            Self::Events(types) => types.is_none_or(|types| types.contains(&group)),
            Self::Profiles => group == PROFILES,
        }
    }
}

/// Adds the top-level keys of a segment, and returns whether they are complete.
fn collect(header: &Header, stream: &dyn Stream, of: Of<'_>, found: &mut Vec<String>) -> Result<bool, Corrupt> {
    for entry in header.groups.iter().filter(|entry| of.includes(&entry.name)) {
        for (path, _) in entry.open(stream)?.paths() {
            match path.first() {
                Some(key) => found.push(key.clone()),
                // Values that have no column of their own may be of any key.
                None => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// A property of events in segments.
pub(crate) struct Property {
    pub(crate) event_type: String,
    pub(crate) path: Vec<String>,
    pub(crate) kinds: Kinds,
    /// Number of events with the property, including dead rows that are not merged.
    pub(crate) events: u64,
}

/// The properties of the events in segments. Empty if the index cannot be used for the current user.
pub(crate) fn properties() -> Fallible<Vec<Property>> {
    if refusal()?.is_some() {
        return Ok(Vec::new());
    }
    let tables = tables()?;
    let pages = Pages::open(tables.internals)?;
    let mut all: BTreeMap<(String, Vec<String>), (Kinds, u64)> = BTreeMap::new();
    for segment in direct::segments(tables.internals)?.iter().filter(|segment| segment.kind == Kind::Events) {
        pgrx::check_for_interrupts!();
        let stream = PageStream::new(&pages, segment.id);
        let header = cache::header(&stream).in_segment(segment.id)?;
        for entry in &header.groups {
            let group: &Group = entry.open(&stream).in_segment(segment.id)?;
            for (place, (path, kinds)) in group.paths().enumerate().filter(|(_, (path, _))| !path.is_empty()) {
                let rows = group.rows_with(place, &stream).in_segment(segment.id)?;
                let sum = all.entry((entry.name.clone(), path.to_vec())).or_default();
                sum.0 = sum.0.and(kinds);
                sum.1 += u64::from(rows);
            }
        }
    }
    let all = all.into_iter();
    Ok(all.map(|((event_type, path), (kinds, events))| Property { event_type, path, kinds, events }).collect())
}
