//! Sequences: the events of each remaining customer in time order, and the states that assignments can reach.
//!
//! A state is the event that the last `did` step took, the deadline that `within` sets, and the values of bound
//! properties that later steps compare with ([`states`]). Of states that differ in the deadline only, the latest is
//! kept: it allows all that the others do.

mod filter;
mod history;
mod search;
mod slots;
mod states;

use std::sync::Arc;

use super::bits::Bits;
use super::clock::Clock;
use super::did::groups;
use super::limits::{Budget, Limits, Stop};
use super::plan::{Plan, SequencePlan, StepPlan};
use super::refer::References;
use super::rows::{Bound, Rows, ones};
use super::source::Source;
use super::time::Timed;
use super::values::{Interned, SlotColumn};
use crate::rule::Occurrence;
use crate::segment::ids::IdReader;
use crate::segment::times::Times;
use crate::segment::{CHUNK, CHUNK_MASK, Corrupt, PACK};
use crate::time::Interval;
use filter::{StepFilter, tree, ways};
use history::{Collected, Event, History};
use slots::SlotReader;
use states::{Room, Way};

/// Events in memory at a time: more of them gain nothing, fewer cost more passes.
const MOST: usize = 1 << 20;
const LEAST: usize = 1 << 6;
/// The part of the memory that they may take; the rest is for values and for other conditions.
pub(super) const SHARE: u64 = 4;

/// A sequence bound to the groups that its steps name.
#[derive(Clone)]
pub(crate) struct Sequence<'a> {
    plan: &'a SequencePlan,
    clock: Clock<'a>,
    /// The predicates without references that steps with references are made of.
    conditions: usize,
    /// The steps that take one event each.
    takes_one: Vec<(usize, Occurrence)>,
    /// By step: how its filter is answered.
    answers: Arc<[StepFilter]>,
    /// By step: the ways in which its filter may hold.
    ways: Arc<[Vec<Way>]>,
    groups: Vec<BoundGroup<'a>>,
    /// By step: its time.
    timed: Vec<Timed<'a>>,
    values: Interned<'a>,
    /// Number of events that are in memory at a time, unless one customer has more.
    most: usize,
    /// Batch width, in customers, whose events last fitted in memory.
    width: u32,
    /// Between which times the events of all groups lie.
    times: (i64, i64),
    check: &'a (dyn Fn() + Sync),
}

/// One group's rows, and what is asked of each.
#[derive(Clone)]
struct BoundGroup<'a> {
    rows: Rows<'a>,
    times: Times<'a>,
    ids: IdReader<'a>,
    /// By step: whether the group's type is the step's, and what must hold of the event.
    steps: Vec<Option<Bound<'a>>>,
    /// The same of those steps that take one event, before it is taken.
    among: Vec<Option<Bound<'a>>>,
    /// The predicates that trees name.
    conditions: Vec<Bound<'a>>,
    slots: Vec<SlotReader<'a>>,
}

impl<'a> Sequence<'a> {
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        sequence: &'a SequencePlan,
        source: &'a Source<'a>,
        limits: Limits<'a>,
        references: &References<'a>,
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        let clock = plan.clock(&sequence.zone);
        let mut leaves = Vec::new();
        let answers: Arc<[StepFilter]> = sequence
            .steps
            .iter()
            .map(|step| {
                if step.filter.refers() {
                    StepFilter::Refers(tree(&step.filter, &mut leaves))
                } else {
                    StepFilter::Known
                }
            })
            .collect();
        let all: Option<Vec<String>> = sequence.steps.iter().try_fold(Vec::new(), |mut all, step| {
            all.extend_from_slice(step.types.as_ref()?);
            Some(all)
        });
        let mut bound_groups = Vec::new();
        let mut times = (i64::MAX, i64::MIN);
        for part in &source.events {
            for entry in groups(part, all.as_deref()) {
                let Some(rows) = Rows::new(part, entry, (i64::MIN, plan.as_of))? else { continue };
                let group = rows.group;
                times = (times.0.min(entry.first), times.1.max(entry.last));
                let mut steps = Vec::new();
                for (step, answer) in sequence.steps.iter().zip(answers.iter()) {
                    let named = step.types.as_ref().is_none_or(|types| types.contains(&entry.name));
                    steps.push(match (named, answer) {
                        (false, _) => None,
                        (true, StepFilter::Known) => {
                            Some(Bound::new(&step.filter, group, part.stream, &clock, references)?)
                        }
                        (true, StepFilter::Refers(_)) => Some(Bound::All),
                    });
                }
                let candidates = |step: &StepPlan| {
                    let (_, among) = step.occurrence.as_ref()?;
                    let named = step.types.as_ref().is_none_or(|types| types.contains(&entry.name));
                    let bound = || Bound::new(among, group, part.stream, &clock, references);
                    Some(named.then(bound).transpose())
                };
                let among = sequence.steps.iter().filter_map(candidates).collect::<Result<_, _>>()?;
                let conditions = leaves.iter().map(|leaf| Bound::new(leaf, group, part.stream, &clock, references));
                let slots =
                    sequence.slots.iter().map(|slot| SlotReader::new(slot, group, part.stream, references, budget));
                bound_groups.push(BoundGroup {
                    times: Times::new(group, part.stream),
                    ids: IdReader::new(part.stream, &group.ids),
                    steps,
                    among,
                    conditions: conditions.collect::<Result<_, _>>()?,
                    slots: slots.collect::<Result<_, _>>()?,
                    rows,
                });
            }
        }
        let one =
            |(place, step): (usize, &StepPlan)| step.occurrence.as_ref().map(|(occurrence, _)| (place, *occurrence));
        let takes_one: Vec<(usize, Occurrence)> = sequence.steps.iter().enumerate().filter_map(one).collect();
        let marks = sequence.steps.len() + leaves.len() + takes_one.len();
        let event = Collected::new(marks, sequence.slots.len()).bytes();
        let most = usize::try_from(limits.memory / SHARE / event).unwrap_or(usize::MAX).clamp(LEAST, MOST);
        Ok(Self {
            plan: sequence,
            clock,
            conditions: leaves.len(),
            takes_one,
            ways: answers.iter().map(|answer| ways(answer, &sequence.slots, &sequence.bound)).collect(),
            answers,
            groups: bound_groups,
            timed: sequence
                .steps
                .iter()
                .map(|step| Timed::new(plan, &step.time, source, references, budget))
                .collect::<Result<_, _>>()?,
            values: Interned::new(budget),
            most,
            width: CHUNK_MASK + 1,
            times,
            check: limits.check,
        })
    }

    /// Reads what all chunks need.
    pub(super) fn prepare(&mut self) -> Result<(), Stop> {
        self.timed.iter_mut().try_for_each(|timed| timed.prepare(self.times))?;
        Ok(self.groups.iter_mut().try_for_each(|group| group.ids.prepare())?)
    }

    /// Whether chunks are asked without the calendar, once it is [prepared](Self::prepare).
    pub(super) fn is_prepared(&self) -> bool {
        let shifts = |interval: &Interval| interval.months != 0 || interval.days != 0;
        let of_steps = self.plan.steps.iter().flat_map(|step| step.within.iter().chain(&step.after));
        self.timed.iter().all(Timed::is_prepared) && !of_steps.chain(&self.plan.within).any(shifts)
    }

    /// Has several copies share the memory of events.
    pub(super) fn divide(&mut self, copies: usize) {
        self.most = (self.most / copies.max(1)).max(LEAST);
    }

    /// Says that a chunk will be asked.
    pub(super) fn foresee(&mut self, chunk: u16) -> Result<(), Stop> {
        self.timed.iter_mut().try_for_each(|timed| timed.foresee(chunk))?;
        for group in &mut self.groups {
            let Some(packs) = group.rows.foresee(chunk, None) else { continue };
            group.times.foresee(&packs);
            group.ids.foresee(&packs);
            let steps = group.steps.iter_mut().chain(&mut group.among).flatten();
            steps.chain(&mut group.conditions).for_each(|bound| bound.foresee(&packs));
            group.slots.iter_mut().for_each(|slot| slot.foresee(&packs));
        }
        Ok(())
    }

    /// About how many rows of plain conditions take as long as its own.
    pub(super) fn looked_at(&self) -> u64 {
        const OF_SEQUENCE: u64 = 8;
        let rows: u64 = self.groups.iter().map(|group| u64::from(group.rows.group.rows)).sum();
        rows.saturating_mul(OF_SEQUENCE)
    }

    /// Bytes that a copy takes.
    pub(super) fn copy_bytes(&self) -> u64 {
        let slots = self.groups.iter().flat_map(|group| group.slots.iter().flat_map(SlotReader::columns));
        slots.map(SlotColumn::copy_bytes).chain(self.timed.iter().map(Timed::copy_bytes)).sum()
    }

    /// Those of the wanted customers of a chunk for whom some assignment satisfies all steps.
    pub(crate) fn chunk(&mut self, chunk: u16, wanted: &Bits) -> Result<Bits, Stop> {
        let mut bits = Bits::none();
        let marks = self.plan.steps.len() + self.conditions + self.takes_one.len();
        let mut collected = Collected::new(marks, self.plan.slots.len());
        self.timed.iter_mut().try_for_each(|timed| timed.begin(chunk, Some(wanted)))?;
        // Where the events of all would be too many, ranges of customers are taken one after the other.
        let mut first = 0;
        while first <= CHUNK_MASK {
            let last = CHUNK_MASK.min(first + (self.width - 1));
            let part;
            let wanted = if last - first == CHUNK_MASK {
                wanted
            } else {
                part = wanted.within(first, last);
                &part
            };
            collected.clear();
            let mut room = Room { budget: self.values.budget, taken: 0 };
            if !self.collect(chunk, wanted, (first, last), &mut collected, &mut room)? {
                self.width = (last - first).div_ceil(2);
                continue;
            }
            if collected.events.len() < self.most / 4 {
                self.width = (self.width * 2).min(CHUNK_MASK + 1);
            }
            first = last + 1;
            let mut events = std::mem::take(&mut collected.events);
            events.sort_unstable();
            for one in events.chunk_by(|left, right| left.ordinal == right.ordinal) {
                let taken = self.taken(one, &collected);
                let steps = self.plan.steps.len();
                if self.satisfied(History { events: one, all: &collected, steps, taken: &taken })? {
                    bits.insert(one[0].ordinal);
                }
            }
            collected.events = events;
        }
        Ok(bits)
    }

    /// The events that any step may take of the wanted customers, who are those of a range; false when there are too many
    /// of them and the range can be cut. One customer's that are too many take room of their own.
    fn collect(
        &mut self,
        chunk: u16,
        wanted: &Bits,
        (first, last): (u32, u32),
        collected: &mut Collected,
        room: &mut Room<'_>,
    ) -> Result<bool, Stop> {
        /// That there are too many.
        enum End {
            TooMany,
            Stop(Stop),
        }
        impl From<Corrupt> for End {
            fn from(corrupt: Corrupt) -> Self {
                Self::Stop(corrupt.into())
            }
        }
        let some = (last - first < CHUNK_MASK || wanted.fewer_than(CHUNK as u64 / 8)).then_some(wanted);
        let (steps, conditions, most) = (self.plan.steps.len(), self.conditions, self.most);
        let of_event = usize::try_from(collected.bytes()).unwrap_or(usize::MAX);
        let mut masks = vec![0_u128; steps + conditions + self.takes_one.len()];
        let mut found = vec![[0_u32; PACK]; self.plan.slots.len()];
        for group in &mut self.groups {
            (self.check)();
            let BoundGroup { rows, times, ids, steps: filters, among, conditions: leaves, slots } = group;
            let (values, timed) = (&mut self.values, &mut self.timed);
            let result = rows.scan(chunk, some, None, |pack, ordinals, mut rows| {
                for place in ones(rows) {
                    if !wanted.contains(ordinals[place]) {
                        rows &= !(1 << place);
                    }
                }
                let (of_steps, others) = masks.split_at_mut(steps);
                let (of_leaves, candidates) = others.split_at_mut(conditions);
                let mut any = 0;
                let mut at = None;
                for ((mask, filter), timed) in of_steps.iter_mut().zip(filters.iter_mut()).zip(timed.iter_mut()) {
                    *mask = filter.as_mut().map_or(Ok(0), |filter| filter.mask(pack, rows))?;
                    if *mask != 0 && !timed.is_always() {
                        let at = match &mut at {
                            Some(at) => at,
                            none => none.insert(times.pack(pack)?),
                        };
                        let held = ones(*mask).filter(|place| timed.holds(at[*place], ordinals[*place]));
                        *mask = held.fold(0, |held, place| held | 1 << place);
                    }
                    any |= *mask;
                }
                for (mask, among) in candidates.iter_mut().zip(among.iter_mut()) {
                    *mask = among.as_mut().map_or(Ok(0), |among| among.mask(pack, rows))?;
                    any |= *mask;
                }
                if any == 0 {
                    return Ok(());
                }
                let more = any.count_ones() as usize;
                if collected.events.len() + more > most {
                    if first < last {
                        return Err(End::TooMany);
                    }
                    room.take(more * of_event).map_err(End::Stop)?;
                }
                for (mask, leaf) in of_leaves.iter_mut().zip(leaves.iter_mut()) {
                    *mask = leaf.mask(pack, any)?;
                }
                let at = at.map_or_else(|| times.pack(pack), Ok)?;
                let mut id = [0_i64; PACK];
                ids.pack(pack, &at, &mut id)?;
                for (numbers, slot) in found.iter_mut().zip(slots.iter_mut()) {
                    slot.of_rows(pack, any, values, numbers).map_err(End::Stop)?;
                }
                for place in ones(any) {
                    let of_event = masks.iter().map(|mask| mask >> place & 1 == 1);
                    let slots = found.iter().map(|numbers| numbers[place]);
                    collected.push((ordinals[place], at[place], id[place]), of_event, slots);
                }
                Ok(())
            });
            match result {
                Ok(()) => {}
                Err(End::TooMany) => return Ok(false),
                Err(End::Stop(stop)) => return Err(stop),
            }
        }
        Ok(true)
    }

    /// By step: the place of the one event that it takes of a customer's, where it takes one; none if there are too few.
    fn taken(&self, events: &[Event], all: &Collected) -> Vec<Option<u32>> {
        let mut taken = vec![None; self.plan.steps.len()];
        for (number, (step, occurrence)) in self.takes_one.iter().enumerate() {
            let mark = self.plan.steps.len() + self.conditions + number;
            let mut candidates = events.iter().filter(|event| all.mark(event, mark));
            let nth = |number: crate::rule::Whole| usize::try_from(number.value).unwrap_or(usize::MAX) - 1;
            let one = match *occurrence {
                Occurrence::First => candidates.next(),
                Occurrence::Last => candidates.next_back(),
                Occurrence::Nth(number) => candidates.nth(nth(number)),
                Occurrence::NthLast(number) => candidates.nth_back(nth(number)),
            };
            taken[*step] = Some(one.map_or(u32::MAX, |event| event.place));
        }
        taken
    }
}
