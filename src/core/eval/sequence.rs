//! Sequences: the events of each remaining customer in time order, and the states that assignments can reach.
//!
//! A state is the event that the last `did` step took, the deadline that `within` sets, and the values of bound
//! properties that later steps compare with ([`super::states`]). Of states that differ in the deadline only, the latest is
//! kept: it allows all that the others do.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::bits::Bits;
use super::clock::Clock;
use super::codes::each_item;
use super::did::groups;
use super::limits::{Budget, Limits, Stop};
use super::plan::{Carried, Plan, Pred, SequencePlan, Slot, StepPlan};
use super::refer::{How, References};
use super::rows::{Bound, Rows, ones};
use super::source::Source;
use super::states::{Join, Open, Reached, Room, State, Way, Window};
use super::time::Timed;
use crate::rule::{Family, Occurrence, Relation, StepKind};
use crate::segment::column::Reader;
use crate::segment::dictionary::{Loaded, MISSING};
use crate::segment::ids::IdReader;
use crate::segment::item::{Item, Numeric};
use crate::segment::times::Times;
use crate::segment::{CHUNK, CHUNK_MASK, Corrupt, Group, PACK};
use crate::text::simple_lower;
use crate::time::Interval;

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

/// How a step's filter is answered.
enum StepFilter {
    /// By the event's own data: known when the event is collected.
    Known,
    /// By the event and those bound.
    Refers(Tree),
}

/// A filter with references; leaves without are places among an event's conditions.
enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Condition(usize),
    Same { own: usize, other: usize, how: How },
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
    slots: Vec<Vec<SlotColumn<'a>>>,
}

/// A column that holds values of a slot.
pub(super) struct SlotColumn<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) path: &'a [String],
    pub(super) loaded: Arc<Loaded<'a>>,
    /// By code, once it is known: the number of its list of values.
    known: Vec<u32>,
}

/// Without what is known.
impl Clone for SlotColumn<'_> {
    fn clone(&self) -> Self {
        Self {
            reader: self.reader.clone(),
            path: self.path,
            loaded: Arc::clone(&self.loaded),
            known: vec![u32::MAX; self.known.len()],
        }
    }
}

impl SlotColumn<'_> {
    fn copy_bytes(&self) -> u64 {
        size_of_val(self.known.as_slice()) as u64
    }
}

/// One event, in the order in which events are looked at.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    ordinal: u32,
    at: i64,
    id: i64,
    /// Its place among what is known of all events.
    place: u32,
}

/// The events of some customers.
#[derive(Default)]
struct Collected {
    events: Vec<Event>,
    /// A bit set per event. Bits `0..steps`: the event matches step *i*, ignoring references. The remaining bits:
    /// condition *j* holds.
    marks: Vec<u64>,
    /// Words of marks of one event.
    words: usize,
    /// For each event, by slot: the number of its list of values.
    slots: Vec<u32>,
    /// How many slots there are.
    columns: usize,
}

impl Collected {
    fn new(marks: usize, columns: usize) -> Self {
        Self { words: marks.div_ceil(64), columns, ..Self::default() }
    }

    /// Bytes that an event takes, with the room that growing keeps.
    fn bytes(&self) -> u64 {
        2 * (size_of::<Event>() + self.words * size_of::<u64>() + self.columns * size_of::<u32>()) as u64
    }

    fn clear(&mut self) {
        self.events.clear();
        self.marks.clear();
        self.slots.clear();
    }

    fn push(
        &mut self,
        (ordinal, at, id): (u32, i64, i64),
        marks: impl Iterator<Item = bool>,
        slots: impl Iterator<Item = u32>,
    ) {
        let place = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.events.push(Event { ordinal, at, id, place });
        let start = self.marks.len();
        self.marks.resize(start + self.words, 0);
        for (number, mark) in marks.enumerate() {
            self.marks[start + number / 64] |= u64::from(mark) << (number % 64);
        }
        self.slots.extend(slots);
    }

    fn mark(&self, event: &Event, number: usize) -> bool {
        self.marks[event.place as usize * self.words + number / 64] >> (number % 64) & 1 == 1
    }

    fn slot(&self, event: &Event, slot: usize) -> u32 {
        self.slots[event.place as usize * self.columns + slot]
    }
}

/// One customer's events in order.
#[derive(Clone, Copy)]
struct History<'b> {
    events: &'b [Event],
    all: &'b Collected,
    /// How many steps there are: conditions are marked behind them.
    steps: usize,
    /// By step: the place of the one event that it takes, where it takes one.
    taken: &'b [Option<u32>],
}

impl History<'_> {
    fn step(&self, event: &Event, step: usize) -> bool {
        self.taken[step].is_none_or(|place| place == event.place) && self.all.mark(event, step)
    }

    fn condition(&self, event: &Event, condition: usize) -> bool {
        self.all.mark(event, self.steps + condition)
    }

    fn slot(&self, event: &Event, slot: usize) -> u32 {
        self.all.slot(event, slot)
    }
}

/// A scalar that references compare.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Number(Option<Numeric>),
    /// The characters, and the number that they are.
    Text(String, Option<Numeric>),
}

impl Value {
    /// The value of a scalar.
    pub(super) fn of(item: Item<'_>) -> Option<Self> {
        match item {
            Item::Bool(value) => Some(Self::Bool(value)),
            Item::Number(_) | Item::Big(_) => Some(Self::Number(item.numeric())),
            Item::Text(text) => Some(Self::Text(text.to_owned(), item.numeric())),
            Item::Json(_) => None,
        }
    }
}

/// Bytes that an entry of a map takes besides what it holds, about.
pub(super) const ENTRY: usize = 128;

/// Which of two lists that are compared: whose types decide is the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Own,
    Other,
}

/// Lists of values, each once; number 0 is the empty list.
pub(super) struct Interned<'a> {
    lists: Vec<Vec<Value>>,
    numbers: HashMap<String, u32>,
    /// What was compared before.
    same: HashMap<(u32, u32, How), bool>,
    /// Numbers of values that compare as equal, and by list those of its values.
    equal: HashMap<String, u32>,
    tokens: HashMap<(u32, Side, bool), Arc<[u32]>>,
    /// Numbers of values that stand side by side.
    pairs: HashMap<(u32, u32), u32>,
    budget: &'a Budget<'a>,
}

/// Without any list: copies of what refers to lists know none either.
impl Clone for Interned<'_> {
    fn clone(&self) -> Self {
        Self::new(self.budget)
    }
}

impl<'a> Interned<'a> {
    /// Number of comparisons whose results are cached.
    const COMPARED: usize = 1 << 16;

    pub(super) fn new(budget: &'a Budget<'a>) -> Self {
        let numbers = HashMap::from([(String::new(), 0)]);
        Self {
            lists: vec![Vec::new()],
            numbers,
            same: HashMap::new(),
            equal: HashMap::new(),
            tokens: HashMap::new(),
            pairs: HashMap::new(),
            budget,
        }
    }

    /// A list of values by its number.
    pub(super) fn get(&self, number: u32) -> &[Value] {
        self.lists.get(number as usize).map_or(&[], Vec::as_slice)
    }

    /// The number of a list of values.
    pub(super) fn list(&mut self, list: Vec<Value>) -> Result<u32, Stop> {
        let mut key = String::new();
        for value in &list {
            let _ = write!(key, "{value:?}\u{0}");
        }
        self.number(key, list)
    }

    fn number(&mut self, key: String, list: Vec<Value>) -> Result<u32, Stop> {
        let next = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        Ok(match self.numbers.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                // The key has every text once more.
                self.budget.take((2 * new.key().len() + size_of_val(list.as_slice()) + ENTRY) as u64)?;
                self.lists.push(list);
                *new.insert(next)
            }
        })
    }

    /// Numbers of the values of a list: [`Interned::same`] holds of two lists if an own one is among the other's.
    pub(super) fn tokens(&mut self, list: u32, side: Side, ignore_case: bool) -> Result<Arc<[u32]>, Stop> {
        if let Some(known) = self.tokens.get(&(list, side, ignore_case)) {
            return Ok(Arc::clone(known));
        }
        let number = |number: &Numeric| format!("n{:?}", number.exact().normalized().into_bigint_and_exponent());
        let mut keys = Vec::new();
        for value in &self.lists[list as usize] {
            match value {
                Value::Bool(value) => keys.push(format!("b{value}")),
                Value::Number(value) => keys.extend(value.as_ref().map(number)),
                Value::Text(text, value) => {
                    keys.push(if ignore_case { format!("i{}", simple_lower(text)) } else { format!("t{text}") });
                    // A string that is a number equals that number, but not the other way round.
                    keys.extend(value.as_ref().filter(|_| side == Side::Own).map(number));
                }
            }
        }
        let mut tokens = Vec::new();
        for key in keys {
            let next = u32::try_from(self.equal.len()).unwrap_or(u32::MAX);
            self.budget.take((key.len() + 2 * ENTRY) as u64)?;
            tokens.push(*self.equal.entry(key).or_insert(next));
        }
        tokens.sort_unstable();
        tokens.dedup();
        self.budget.take(ENTRY as u64)?;
        let tokens: Arc<[u32]> = tokens.into();
        self.tokens.insert((list, side, ignore_case), Arc::clone(&tokens));
        Ok(tokens)
    }

    /// Numbers of the values that several equalities compare, taken together: one for each choice of a value of each list.
    pub(super) fn joint(
        &mut self,
        joins: &[Join],
        side: Side,
        list: impl Fn(&Join) -> u32,
    ) -> Result<Arc<[u32]>, Stop> {
        let mut all: Option<Arc<[u32]>> = None;
        for join in joins {
            let tokens = self.tokens(list(join), side, join.ignore_case)?;
            let Some(before) = all else {
                all = Some(tokens);
                continue;
            };
            let mut both = Vec::new();
            for pair in before.iter().flat_map(|one| tokens.iter().map(|other| (*one, *other))) {
                let next = u32::try_from(self.pairs.len()).unwrap_or(u32::MAX);
                both.push(match self.pairs.entry(pair) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        self.budget.take(ENTRY as u64)?;
                        *new.insert(next)
                    }
                });
            }
            all = Some(both.into());
        }
        Ok(all.unwrap_or_else(|| Arc::new([])))
    }

    /// Whether any value of one list stands so to any of the other, whose types decide.
    fn same(&mut self, own: u32, other: u32, how: How, clock: &Clock) -> Result<bool, Stop> {
        /// Comparisons of values that cost less than to number them.
        const FEW: usize = 64;
        let key = (own, other, how);
        if let Some(known) = self.same.get(&key) {
            return Ok(*known);
        }
        let (owns, others) = (&self.lists[own as usize], &self.lists[other as usize]);
        let pairs = owns.len().saturating_mul(others.len());
        let same = if pairs <= FEW || how.family != Family::Order(Relation::Eq) {
            self.budget.worked(pairs / 16);
            how.any(owns, others, clock)
        } else {
            let (owns, others) =
                (self.tokens(own, Side::Own, how.ignore_case)?, self.tokens(other, Side::Other, how.ignore_case)?);
            self.budget.worked(owns.len() / 16);
            owns.iter().any(|token| others.binary_search(token).is_ok())
        };
        let room = usize::try_from(self.budget.left()).unwrap_or(usize::MAX) / ENTRY;
        if self.same.len() >= Self::COMPARED.min(room) {
            self.same.clear();
        }
        self.same.insert(key, same);
        Ok(same)
    }
}

pub(super) fn equal(own: &Value, other: &Value, ignore_case: bool) -> bool {
    match other {
        Value::Bool(other) => matches!(own, Value::Bool(own) if own == other),
        Value::Number(None) => false,
        Value::Number(Some(other)) => match own {
            Value::Number(Some(own)) | Value::Text(_, Some(own)) => match (own, other) {
                (Numeric::Small(own), Numeric::Small(other)) => own.cmp(other).is_eq(),
                (own, other) => own.exact() == other.exact(),
            },
            _ => false,
        },
        Value::Text(other, _) => match own {
            Value::Text(own, _) if ignore_case => simple_lower(own) == simple_lower(other),
            Value::Text(own, _) => own == other,
            _ => false,
        },
    }
}

fn tree(pred: &Pred, leaves: &mut Vec<Pred>) -> Tree {
    if !pred.refers() {
        leaves.push(pred.clone());
        return Tree::Condition(leaves.len() - 1);
    }
    match pred {
        Pred::And(list) => Tree::And(list.iter().map(|pred| tree(pred, leaves)).collect()),
        Pred::Or(list) => Tree::Or(list.iter().map(|pred| tree(pred, leaves)).collect()),
        Pred::Not(inner) => Tree::Not(Box::new(tree(inner, leaves))),
        Pred::Same { own, other, how } => Tree::Same { own: *own, other: *other, how: *how },
        // They refer to no other event, so they were leaves.
        Pred::Test(_) | Pred::Refer(_) | Pred::Elsewhere => Tree::Or(Vec::new()),
    }
}

impl Way {
    /// Whether its conditions hold of an event.
    fn is_open(&self, history: History<'_>, event: &Event) -> bool {
        self.conditions.iter().all(|condition| history.condition(event, *condition))
    }
}

/// The most ways of a step that are told apart.
const MOST_WAYS: usize = 8;
/// The most equalities of a way that states are found by.
const MOST_JOINS: usize = 4;

/// The ways in which a step's filter may hold.
fn ways(answer: &StepFilter, slots: &[Slot], bound: &[Carried]) -> Vec<Way> {
    fn of_tree(tree: &Tree) -> Vec<Way> {
        match tree {
            Tree::Same { own, other, how: How { family: Family::Order(Relation::Eq), ignore_case } } => {
                let join = Join { own: *own, other: *other, ignore_case: *ignore_case };
                vec![Way { joins: vec![join], ..Way::default() }]
            }
            Tree::Condition(place) => vec![Way { conditions: vec![*place], ..Way::default() }],
            Tree::Same { .. } | Tree::Not(_) => vec![Way::default()],
            Tree::And(list) => list.iter().map(of_tree).fold(vec![Way::default()], |all, more| {
                if all.len() * more.len() > MOST_WAYS {
                    return all; // fewer are ruled out
                }
                let both = |one: &Way, other: &Way| Way {
                    conditions: [one.conditions.as_slice(), &other.conditions].concat(),
                    joins: [one.joins.as_slice(), &other.joins].concat(),
                };
                all.iter().flat_map(|one| more.iter().map(move |other| both(one, other))).collect()
            }),
            Tree::Or(list) => {
                let all: Vec<Way> = list.iter().flat_map(of_tree).collect();
                if all.len() > MOST_WAYS { vec![Way::default()] } else { all }
            }
        }
    }
    let StepFilter::Refers(tree) = answer else { return vec![Way::default()] };
    let mut ways = of_tree(tree);
    for way in &mut ways {
        // Of properties that have one value each, several are found together; of lists there would be too many pairs.
        let single = |join: &Join| slots[join.own].inside.is_empty() && slots[bound[join.other].slot].inside.is_empty();
        let singles: Vec<Join> = way.joins.iter().copied().filter(single).take(MOST_JOINS).collect();
        if singles.is_empty() { way.joins.truncate(1) } else { way.joins = singles }
    }
    ways
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
                let slots = sequence.slots.iter().map(|slot| slot_columns(slot, group, part.stream, budget));
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
            group.slots.iter_mut().flatten().for_each(|column| column.reader.foresee(&packs));
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
        let slots = self.groups.iter().flat_map(|group| group.slots.iter().flatten());
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
            let (values, sequence, timed) = (&mut self.values, self.plan, &mut self.timed);
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
                for (numbers, (columns, slot)) in found.iter_mut().zip(slots.iter_mut().zip(&sequence.slots)) {
                    slot_values(columns, slot, pack, any, values, numbers).map_err(End::Stop)?;
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

    /// Whether some assignment of these events, in order, satisfies all steps.
    fn satisfied(&mut self, history: History<'_>) -> Result<bool, Stop> {
        let room = Room { budget: self.values.budget, taken: 0 };
        self.reaches_the_end(history, room)
    }

    fn reaches_the_end(&mut self, history: History<'_>, mut room: Room<'_>) -> Result<bool, Stop> {
        let steps = &self.plan.steps;
        let nothing: Rc<[u32]> = vec![0; self.plan.bound.len()].into();
        let first = steps.iter().position(|step| step.kind == StepKind::Did).unwrap_or(0);
        let mut reached = Reached::new(self.only_new(first));
        // Of each absence before the first step: when its latest event was so far.
        let mut present: Vec<Option<i64>> = vec![None; first];
        for (place, event) in history.events.iter().enumerate() {
            if history.step(event, first)
                && self.led_by_none(&present, event.at)
                && self.holds(first, history, event, &nothing)?
            {
                let deadline = self.plan.within.as_ref().map_or(i64::MAX, |within| self.clock.after(event.at, within));
                reached.add(place, self.keep(first, history, event, &nothing), deadline, &mut room)?;
            }
            for (absent, latest) in present.iter_mut().enumerate() {
                if history.step(event, absent) {
                    *latest = Some(event.at);
                }
            }
        }
        let mut states = reached.states;
        let mut step = first + 1;
        while step < steps.len() && !states.is_empty() {
            (self.check)();
            let absent = step;
            while step < steps.len() && steps[step].kind == StepKind::DidNot {
                step += 1;
            }
            if step == steps.len() {
                return self.followed_by_none(history, &states, absent..step, &mut room);
            }
            states = if self.alone(absent..=step) && !steps[step].is_windowed() {
                self.next_in_order(history, &states, absent..step, step, &mut room)?
            } else {
                self.next(history, &states, absent..step, step, &mut room)?
            };
            step += 1;
        }
        Ok(!states.is_empty())
    }

    /// Whether, of the states behind a step that carry the same, one counts only if none before it has as late a deadline:
    /// what comes after the later one also comes after the earlier, and nothing must be absent between.
    fn only_new(&self, step: usize) -> bool {
        self.plan.steps.get(step + 1).is_none_or(|next| next.kind != StepKind::DidNot && next.within.is_none())
    }

    /// Whether none of the events that must not come before the first step's has come too close, given the latest of each.
    fn led_by_none(&self, present: &[Option<i64>], at: i64) -> bool {
        present.iter().zip(&self.plan.steps).all(|(latest, step)| {
            latest
                .is_none_or(|latest| step.within.as_ref().is_some_and(|within| latest < self.clock.before(at, within)))
        })
    }

    /// Whether steps can be decided without looking at bound events, which none behind them asks about either.
    fn alone(&self, steps: std::ops::RangeInclusive<usize>) -> bool {
        let here = *steps.end();
        steps.clone().all(|step| matches!(self.answers[step], StepFilter::Known))
            && self.plan.bound.iter().all(|bound| bound.step >= here || bound.until <= here)
    }

    /// The states after a step, in one pass over the events: the latest deadline of a state since the last event that
    /// must not lie between.
    fn next_in_order(
        &self,
        history: History<'_>,
        states: &[State],
        absent: Range<usize>,
        step: usize,
        room: &mut Room<'_>,
    ) -> Result<Vec<State>, Stop> {
        let nothing: Rc<[u32]> = vec![0; self.plan.bound.len()].into();
        let mut next = Reached::new(self.only_new(step));
        let mut begun: Option<i64> = None;
        let mut states = states.iter().peekable();
        for (place, event) in history.events.iter().enumerate() {
            if let Some(deadline) = begun.filter(|deadline| history.step(event, step) && event.at <= *deadline) {
                next.add(place, self.keep(step, history, event, &nothing), deadline, room)?;
            }
            if absent.clone().any(|absent| history.step(event, absent)) {
                begun = None;
            }
            while let Some(state) = states.next_if(|state| state.place == place) {
                begun = Some(begun.map_or(state.deadline, |latest| latest.max(state.deadline)));
            }
        }
        Ok(next.states)
    }

    /// The states after a step that asks the time since the event of the step before, or whose filter, or that of what must be
    /// absent, asks about bound events: in one pass over the events, with the states that are open at each, found by the values
    /// that are compared.
    fn next(
        &mut self,
        history: History<'_>,
        states: &[State],
        absent: Range<usize>,
        step: usize,
        room: &mut Room<'_>,
    ) -> Result<Vec<State>, Stop> {
        let mut next = Reached::new(self.only_new(step));
        let ways = Arc::clone(&self.ways);
        let plan = &self.plan.steps[step];
        // Where what a step leads to depends on no state but for the deadline, the latest that it holds of is enough.
        let carries = self.plan.bound.iter().any(|bound| bound.step < step && bound.until > step);
        let known = |sequence: &Self, step: usize| matches!(sequence.answers[step], StepFilter::Known);
        // An event that binds nothing leads to what an earlier one led to, but from states that were not open then.
        let binds = self.plan.bound.iter().any(|bound| bound.step == step && bound.until > step);
        let only_fresh = self.only_new(step) && known(self, step) && !binds;
        let latest = !only_fresh && !carries && ways[step].iter().any(|way| way.joins.is_empty());
        let mut open = Open::new(&ways[absent.start..=step], latest);
        let mut states = states.iter().peekable();
        let mut asked = 0_u32;
        let mut found = Vec::new();
        for (place, event) in history.events.iter().enumerate() {
            if place % 1_024 == 0 {
                (self.check)();
            }
            if history.step(event, step) {
                open.begin(event.at);
                if only_fresh {
                    open.take_fresh(&mut found);
                } else if latest && ways[step].iter().any(|way| way.joins.is_empty() && way.is_open(history, event)) {
                    let mut behind = None;
                    while let Some((here, kept)) = open.latest(behind, event.at) {
                        self.pause(&mut asked);
                        if self.holds(step, history, event, &kept)? {
                            next.add(place, self.keep(step, history, event, &kept), here.0.0, room)?;
                            break;
                        }
                        behind = Some(here);
                    }
                } else {
                    self.candidates(&mut open, &ways[step], step - absent.start, (history, event), &mut found)?;
                }
                for id in found.drain(..) {
                    self.pause(&mut asked);
                    let Some((kept, deadline)) = open.get(id, event.at) else { continue };
                    if self.holds(step, history, event, &kept)? {
                        next.add(place, self.keep(step, history, event, &kept), deadline, room)?;
                    }
                }
            }
            for absent_step in absent.clone().filter(|absent| history.step(event, *absent)) {
                if known(self, absent_step) {
                    open.clear();
                    continue;
                }
                let number = absent_step - absent.start;
                self.candidates(&mut open, &ways[absent_step], number, (history, event), &mut found)?;
                for id in found.drain(..) {
                    self.pause(&mut asked);
                    let Some(kept) = open.kept(id) else { continue };
                    if self.holds(absent_step, history, event, &kept)? {
                        open.remove(id);
                    }
                }
            }
            while let Some(state) = states.next_if(|state| state.place == place) {
                let first = plan.after.as_ref().map_or(i64::MIN, |after| self.clock.after(event.at, after));
                let last = plan.within.as_ref().map_or(i64::MAX, |within| self.clock.after(event.at, within));
                let window = Window { first, last: last.min(state.deadline) };
                open.add(state, (window, event.at), &mut self.values, room)?;
            }
        }
        Ok(next.states)
    }

    /// Lets the evaluation be interrupted now and then.
    fn pause(&self, asked: &mut u32) {
        *asked = asked.wrapping_add(1);
        if asked.is_multiple_of(4_096) {
            (self.check)();
        }
    }

    /// The open states that an event may satisfy a step with: by the values that the step compares, where it does.
    fn candidates(
        &mut self,
        open: &mut Open<'_>,
        ways: &[Way],
        step: usize,
        (history, event): (History<'_>, &Event),
        found: &mut Vec<u32>,
    ) -> Result<(), Stop> {
        for (number, way) in ways.iter().enumerate() {
            if !way.is_open(history, event) {
                continue;
            }
            if way.joins.is_empty() {
                found.clear();
                found.extend_from_slice(&open.live);
                return Ok(());
            }
            let tokens = self.values.joint(&way.joins, Side::Own, |join| history.slot(event, join.own))?;
            tokens.iter().for_each(|token| open.by_token((step, number), *token, found));
        }
        Ok(())
    }

    /// Whether some state is followed by none of the events that must be absent.
    fn followed_by_none(
        &mut self,
        history: History<'_>,
        states: &[State],
        absent: Range<usize>,
        room: &mut Room<'_>,
    ) -> Result<bool, Stop> {
        let ways = Arc::clone(&self.ways);
        let ways = |step: usize| ways[step].iter().enumerate();
        // Of each step and way: the places of its events, all of them or by the values that are compared.
        let mut places: HashMap<(usize, usize, Option<u32>), Vec<u32>> = HashMap::new();
        for (place, event) in (0_u32..).zip(history.events) {
            if place % 1_024 == 0 {
                (self.check)();
            }
            for step in absent.clone().filter(|step| history.step(event, *step)) {
                for (number, way) in ways(step) {
                    if !way.is_open(history, event) {
                        continue;
                    }
                    if way.joins.is_empty() {
                        room.take(size_of::<u32>())?;
                        places.entry((step, number, None)).or_default().push(place);
                        continue;
                    }
                    for token in self.values.joint(&way.joins, Side::Own, |join| history.slot(event, join.own))?.iter()
                    {
                        room.take(ENTRY)?;
                        places.entry((step, number, Some(*token))).or_default().push(place);
                    }
                }
            }
        }
        let mut asked = 0;
        for State { place, kept, .. } in states {
            let from = history.events[*place].at;
            let bound = |within: &Option<_>| within.as_ref().map_or(i64::MAX, |within| self.clock.after(from, within));
            let of_all = bound(&self.plan.within);
            let limits: Vec<i64> =
                absent.clone().map(|step| bound(&self.plan.steps[step].within).min(of_all)).collect();
            let mut present = false;
            for (step, (number, way)) in absent.clone().flat_map(|step| ways(step).map(move |way| (step, way))) {
                let until = limits[step - absent.start];
                let mut keys = vec![(step, number, None)];
                if !way.joins.is_empty() {
                    let tokens = self.values.joint(&way.joins, Side::Other, |join| kept[join.other])?;
                    keys = tokens.iter().map(|token| (step, number, Some(*token))).collect();
                }
                for list in keys.iter().filter_map(|key| places.get(key)) {
                    let behind = list.partition_point(|other| *other as usize <= *place);
                    for other in &list[behind..] {
                        self.pause(&mut asked);
                        let event = &history.events[*other as usize];
                        if present || event.at > until {
                            break;
                        }
                        present = self.holds(step, history, event, kept)?;
                    }
                }
            }
            if !present {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a state carries on behind a step: values that later steps ask about.
    fn keep(&self, step: usize, history: History<'_>, event: &Event, before: &[u32]) -> Rc<[u32]> {
        let bound = self.plan.bound.iter().zip(before);
        bound
            .map(|(bound, before)| match bound {
                bound if bound.until <= step => 0,
                bound if bound.step == step => history.slot(event, bound.slot),
                _ => *before,
            })
            .collect()
    }

    /// Whether a step's filter holds of an event, given the values that are bound.
    fn holds(&mut self, step: usize, history: History<'_>, event: &Event, kept: &[u32]) -> Result<bool, Stop> {
        match &self.answers[step] {
            StepFilter::Known => Ok(true),
            StepFilter::Refers(tree) => decide(tree, history, event, kept, &mut self.values, &self.clock),
        }
    }
}

fn decide(
    tree: &Tree,
    history: History<'_>,
    event: &Event,
    kept: &[u32],
    values: &mut Interned<'_>,
    clock: &Clock,
) -> Result<bool, Stop> {
    match tree {
        Tree::And(list) => {
            for tree in list {
                if !decide(tree, history, event, kept, values, clock)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Tree::Or(list) => {
            for tree in list {
                if decide(tree, history, event, kept, values, clock)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Tree::Not(inner) => Ok(!decide(inner, history, event, kept, values, clock)?),
        Tree::Condition(place) => Ok(history.condition(event, *place)),
        Tree::Same { own, other, how } => values.same(history.slot(event, *own), kept[*other], *how, clock),
    }
}

pub(super) fn slot_columns<'a>(
    slot: &Slot,
    group: &'a Group,
    stream: &'a dyn crate::segment::Stream,
    budget: &Budget<'_>,
) -> Result<Vec<SlotColumn<'a>>, Stop> {
    let mut columns = Vec::new();
    for property in &group.properties {
        if slot.keys.starts_with(&property.path) {
            let codes = property.dictionary.len() as usize + 1;
            budget.take(property.dictionary.loaded_bytes() + (codes * size_of::<u32>()) as u64)?;
            columns.push(SlotColumn {
                reader: Reader::new(stream, &property.codes),
                path: &property.path,
                loaded: Arc::new(property.dictionary.load(stream)?),
                known: vec![u32::MAX; codes],
            });
        }
    }
    Ok(columns)
}

/// The lists of values of a slot in some rows of a pack.
pub(super) fn slot_values(
    columns: &mut [SlotColumn<'_>],
    slot: &Slot,
    pack: usize,
    rows: u128,
    values: &mut Interned<'_>,
    numbers: &mut [u32; PACK],
) -> Result<(), Stop> {
    *numbers = [0; PACK];
    let mut codes = [0_u32; PACK];
    for column in columns {
        column.reader.small(pack, &mut codes)?;
        for place in ones(rows) {
            let code = codes[place];
            if code == MISSING {
                continue;
            }
            let known = column
                .known
                .get_mut(code as usize)
                .ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
            if *known == u32::MAX {
                let mut list = Vec::new();
                let item =
                    column.loaded.item(code).ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
                each_item(item, column.path, &slot.keys, &slot.inside, &mut |item| list.extend(Value::of(item)));
                *known = values.list(list)?;
            }
            if *known != 0 {
                numbers[place] = *known;
            }
        }
    }
    Ok(())
}
