//! `time`: which events count, where a window of two instants cannot say it alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bits::Bits;
use super::clock::Clock;
use super::did::groups;
use super::limits::{Budget, Stop};
use super::needs::Needs;
use super::plan::{Plan, Pred};
use super::profiles::ProfileValues;
use super::refer::References;
use super::rows::{Bound, Rows, ones};
use super::source::Source;
use crate::rule::Window;
use crate::segment::item::Item;
use crate::segment::times::Times;
use crate::segment::{CHUNK, CHUNK_MASK, PACK};
use crate::time::{DAY, Interval, SECOND, read};

/// Microseconds of a minute.
const MINUTE: i64 = 60 * SECOND;

/// The forms of one `time`.
pub(crate) struct TimePlan {
    /// The first and the last instant of the events that count, as far as these are the same for everybody.
    pub(crate) window: (i64, i64),
    local: Vec<Local>,
    anchors: Vec<AnchorPlan>,
    zone: Arc<str>,
}

/// A form that asks the local day or time of day.
enum Local {
    /// From Monday on, whether a day is one of those.
    Weekdays([bool; 7]),
    /// From one time of day to another, the latter not included, in microseconds.
    Hours(i64, i64),
}

/// A form with an anchor.
struct AnchorPlan {
    of: AnchorOf,
    within: Option<Interval>,
    /// Whether events count that come before the anchor.
    until: bool,
}

/// What an anchor is.
enum AnchorOf {
    Event { types: Option<Vec<String>>, filter: Pred, last: bool },
    Profile(Vec<String>),
}

impl TimePlan {
    /// Makes forms ready; `filter` makes the predicates of anchors ready.
    pub(crate) fn new(
        forms: &[Window],
        clock: &Clock,
        zone: &Arc<str>,
        filter: &mut dyn FnMut(Option<&crate::rule::Where>) -> Pred,
    ) -> Self {
        let mut plan =
            Self { window: clock.window(None), local: Vec::new(), anchors: Vec::new(), zone: Arc::clone(zone) };
        for form in forms {
            let (anchor, within, until) = match form {
                Window::Weekday(days) => {
                    let mut wanted = [false; 7];
                    days.days().iter().for_each(|day| wanted[day.num_days_from_monday() as usize] = true);
                    plan.local.push(Local::Weekdays(wanted));
                    continue;
                }
                Window::Hours(hours) => {
                    plan.local.push(Local::Hours(i64::from(hours.from) * MINUTE, i64::from(hours.to) * MINUTE));
                    continue;
                }
                Window::From(anchor, within) => (anchor, within, false),
                Window::Until(anchor, within) => (anchor, within, true),
                form => {
                    let (first, last) = clock.window(Some(form));
                    plan.window = (plan.window.0.max(first), plan.window.1.min(last));
                    continue;
                }
            };
            let mut event = |event: &crate::rule::AnchorEvent, last| AnchorOf::Event {
                types: event.events.named().map(<[String]>::to_vec),
                filter: filter(event.filter.as_ref()),
                last,
            };
            let of = match anchor {
                crate::rule::Anchor::First(first) => event(first, false),
                crate::rule::Anchor::Last(last) => event(last, true),
                crate::rule::Anchor::Profile(property) => AnchorOf::Profile(super::test::split(&property.steps).0),
            };
            plan.anchors.push(AnchorPlan { of, within: within.clone(), until });
        }
        plan
    }

    /// Whether the window says it all.
    pub(crate) fn is_window(&self) -> bool {
        self.local.is_empty() && self.anchors.is_empty()
    }

    /// What the anchors look at.
    pub(crate) fn needs<'p>(&'p self, needs: &mut Needs<'p>) {
        for anchor in &self.anchors {
            match &anchor.of {
                AnchorOf::Event { types, filter, .. } => {
                    needs.events(types.as_deref(), None);
                    needs.filter(types.as_deref(), filter);
                }
                AnchorOf::Profile(keys) => needs.profile(keys.first()),
            }
        }
    }

    /// The filters of the anchors.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &Pred> {
        self.anchors.iter().filter_map(|anchor| match &anchor.of {
            AnchorOf::Event { filter, .. } => Some(filter),
            AnchorOf::Profile(_) => None,
        })
    }
}

/// Forms of time bound to a source.
#[derive(Clone)]
pub(crate) struct Timed<'a> {
    plan: &'a TimePlan,
    offsets: Offsets<'a>,
    anchors: Vec<Anchor<'a>>,
}

/// An anchor bound to a source.
#[derive(Clone)]
struct Anchor<'a> {
    plan: &'a AnchorPlan,
    groups: Vec<(Rows<'a>, Bound<'a>, Times<'a>)>,
    profile: Option<ProfileValues<'a>>,
    /// By ordinal of the chunk: the first and the last instant of the events that count.
    bounds: Vec<(i64, i64)>,
}

/// The bounds between which nothing lies.
const NEVER: (i64, i64) = (i64::MAX, i64::MIN);

impl<'a> Timed<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        time: &'a TimePlan,
        source: &'a Source<'a>,
        references: &References<'a>,
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        let clock = plan.clock(&time.zone);
        let mut anchors = Vec::new();
        for anchor in &time.anchors {
            budget.take((CHUNK * size_of::<(i64, i64)>()) as u64)?;
            let mut bound = Anchor { plan: anchor, groups: Vec::new(), profile: None, bounds: vec![NEVER; CHUNK] };
            match &anchor.of {
                AnchorOf::Event { types, filter, .. } => {
                    for part in &source.events {
                        for entry in groups(part, types.as_deref()) {
                            let Some(rows) = Rows::new(part, entry, (i64::MIN, plan.as_of))? else { continue };
                            let group = rows.group;
                            let filter = Bound::new(filter, group, part.stream, &clock, references)?;
                            if !matches!(filter, Bound::Nothing) {
                                bound.groups.push((rows, filter, Times::new(group, part.stream)));
                            }
                        }
                    }
                }
                AnchorOf::Profile(keys) => bound.profile = Some(ProfileValues::new(keys, &[], source, budget)?),
            }
            anchors.push(bound);
        }
        Ok(Self { plan: time, offsets: Offsets::new(clock), anchors })
    }

    /// Whether the window says it all.
    pub(crate) fn is_window(&self) -> bool {
        self.plan.is_window()
    }

    /// Whether every event counts that exists.
    pub(crate) fn is_always(&self) -> bool {
        self.is_window() && self.plan.window == (i64::MIN, self.offsets.clock.as_of)
    }

    /// Reads what all chunks need for events between two instants.
    pub(crate) fn prepare(&mut self, times: (i64, i64)) -> Result<(), Stop> {
        if !self.plan.local.is_empty() {
            self.offsets.prepare(times);
        }
        for (rows, filter, _) in self.anchors.iter_mut().flat_map(|anchor| &mut anchor.groups) {
            rows.prepare(filter)?;
        }
        Ok(())
    }

    /// Says that a chunk will be asked.
    pub(crate) fn foresee(&mut self, chunk: u16) -> Result<(), Stop> {
        for anchor in &mut self.anchors {
            for (rows, filter, times) in &mut anchor.groups {
                if let Some(packs) = rows.foresee(chunk, Some(filter)) {
                    times.foresee(&packs);
                }
            }
            if let Some(profile) = &mut anchor.profile {
                profile.foresee(chunk)?;
            }
        }
        Ok(())
    }

    /// Whether chunks are asked without the calendar, once it is [prepared](Self::prepare).
    pub(crate) fn is_prepared(&self) -> bool {
        let needs_calendar = |anchor: &Anchor<'_>| {
            let shifts = anchor.plan.within.as_ref().is_some_and(|within| within.months != 0 || within.days != 0);
            shifts || anchor.profile.is_some()
        };
        !self.anchors.iter().any(needs_calendar)
    }

    /// About how many rows the anchors look at.
    pub(crate) fn looked_at(&self) -> u64 {
        let groups = self.anchors.iter().flat_map(|anchor| &anchor.groups);
        groups.map(|(rows, filter, _)| rows.looked_at(filter)).sum()
    }

    /// Bytes that a copy takes.
    pub(crate) fn copy_bytes(&self) -> u64 {
        (self.anchors.len() * CHUNK * size_of::<(i64, i64)>()) as u64
    }

    /// Begins a chunk, of which some customers are wanted.
    pub(crate) fn begin(&mut self, chunk: u16, wanted: Option<&Bits>) -> Result<(), Stop> {
        let clock = self.offsets.clock;
        self.anchors.iter_mut().try_for_each(|anchor| anchor.begin(chunk, wanted, &clock))
    }

    /// Whether an event in the window counts.
    pub(crate) fn counts(&mut self, at: i64, ordinal: u32) -> bool {
        let low = (ordinal & CHUNK_MASK) as usize;
        self.anchors.iter().all(|anchor| (anchor.bounds[low].0..=anchor.bounds[low].1).contains(&at))
            && (self.plan.local.is_empty() || {
                let local = self.offsets.local(at);
                self.plan.local.iter().all(|form| form.holds(local))
            })
    }

    /// Whether an event counts, the window included.
    pub(crate) fn holds(&mut self, at: i64, ordinal: u32) -> bool {
        (self.plan.window.0..=self.plan.window.1).contains(&at) && self.counts(at, ordinal)
    }

    /// Which of some rows of a pack, which lie in the window, count.
    pub(crate) fn mask(
        &mut self,
        times: &mut Times<'_>,
        pack: usize,
        ordinals: &[u32; PACK],
        rows: u128,
    ) -> Result<u128, Stop> {
        if rows == 0 {
            return Ok(0);
        }
        let at = times.pack(pack)?;
        Ok(ones(rows)
            .filter(|place| self.counts(at[*place], ordinals[*place]))
            .fold(0, |found, place| found | 1 << place))
    }
}

impl Local {
    fn holds(&self, local: i64) -> bool {
        match self {
            // 2000-01-01 was a Saturday.
            Self::Weekdays(days) => days[usize::try_from((local.div_euclid(DAY) + 5).rem_euclid(7)).unwrap_or(0)],
            Self::Hours(from, to) => {
                let time = local.rem_euclid(DAY);
                if from < to { *from <= time && time < *to } else { *from <= time || time < *to }
            }
        }
    }
}

impl Anchor<'_> {
    fn begin(&mut self, chunk: u16, wanted: Option<&Bits>, clock: &Clock) -> Result<(), Stop> {
        let bounds = &mut self.bounds;
        bounds.fill(NEVER);
        // The anchors themselves first, as bounds of one instant.
        match &self.plan.of {
            AnchorOf::Event { last, .. } => {
                for (rows, filter, times) in &mut self.groups {
                    rows.scan(chunk, wanted, Some(filter), |pack, ordinals, rows| {
                        let at = times.pack(pack)?;
                        for place in ones(rows) {
                            let (at, known) = (at[place], &mut bounds[ordinals[place] as usize]);
                            if *known == NEVER || if *last { at > known.0 } else { at < known.0 } {
                                *known = (at, at);
                            }
                        }
                        Ok::<(), Stop>(())
                    })?;
                }
            }
            AnchorOf::Profile(_) => {
                let until = self.plan.until;
                if let Some(profile) = &mut self.profile {
                    profile.chunk(chunk, wanted, &mut |ordinal, item| {
                        if let Item::Text(text) = item
                            && let Some(reading) = read(text)
                        {
                            let at = if until { clock.last_instant(reading) } else { clock.instant(reading) };
                            bounds[(ordinal & CHUNK_MASK) as usize] = (at, at);
                        }
                    })?;
                }
            }
        }
        let Some(within) = &self.plan.within else {
            for bound in bounds.iter_mut().filter(|bound| **bound != NEVER) {
                *bound = if self.plan.until { (i64::MIN, bound.1) } else { (bound.0, i64::MAX) };
            }
            return Ok(());
        };
        for bound in bounds.iter_mut().filter(|bound| **bound != NEVER) {
            *bound = if self.plan.until {
                (clock.before(bound.1, within), bound.1)
            } else {
                (bound.0, clock.after(bound.0, within))
            };
        }
        Ok(())
    }
}

/// The local times of a zone, with the stretches of equal offset that were asked for.
#[derive(Clone)]
pub(crate) struct Offsets<'a> {
    pub(crate) clock: Clock<'a>,
    /// By the instant behind each: its first known instant, and the offset.
    stretches: BTreeMap<i64, (i64, i64)>,
}

impl<'a> Offsets<'a> {
    pub(crate) fn new(clock: Clock<'a>) -> Self {
        Self { clock, stretches: BTreeMap::new() }
    }

    /// Asks the calendar for the times between two instants, as far as these are a few centuries.
    pub(crate) fn prepare(&mut self, (first, last): (i64, i64)) {
        const MOST: usize = 2_000;
        let mut at = first;
        for _ in 0..MOST {
            if at > last {
                break;
            }
            let (offset, end) = self.clock.calendar.stretch(at, self.clock.zone);
            let known = self.stretches.entry(end).or_insert((at, offset));
            known.0 = known.0.min(at);
            if end <= at {
                break;
            }
            at = end;
        }
    }

    /// The local time of an instant, in microseconds since 2000-01-01 00:00 there.
    pub(crate) fn local(&mut self, at: i64) -> i64 {
        let known = self.stretches.range(at.saturating_add(1)..).next();
        if let Some((_, (first, offset))) = known
            && *first <= at
        {
            return at.saturating_add(*offset);
        }
        let (offset, end) = self.clock.calendar.stretch(at, self.clock.zone);
        let first = self.stretches.entry(end).or_insert((at, offset));
        first.0 = first.0.min(at);
        at.saturating_add(offset)
    }
}
