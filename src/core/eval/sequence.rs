//! Sequences: the events of each remaining customer in time order, and the states that assignments can reach.
//!
//! A state is the event that the last `did` step took, the deadline that `within` sets, and the values of bound
//! properties that later steps compare with. Of states that differ in the deadline only, the latest is kept: it allows
//! all that the others do.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::bits::Bits;
use super::clock::Clock;
use super::codes::{Relation, relate};
use super::did::groups;
use super::json;
use super::plan::{Plan, Pred, SequencePlan, Slot};
use super::rows::{Bound, Rows, Times, ones};
use super::source::Source;
use crate::rule::StepKind;
use crate::segment::column::Reader;
use crate::segment::dictionary::{Loaded, MISSING};
use crate::segment::ids::IdReader;
use crate::segment::item::{Item, Numeric};
use crate::segment::{CHUNK, Corrupt, PACK};
use crate::text::simple_lower;

/// A sequence bound to the groups that its steps name.
pub(crate) struct Sequence<'a> {
    plan: &'a SequencePlan,
    clock: Clock<'a>,
    /// The predicates without references that steps with references are made of.
    conditions: usize,
    /// By step: how its filter is answered.
    answers: Vec<Answer>,
    groups: Vec<Group<'a>>,
    values: Interned,
    check: &'a dyn Fn(),
}

/// How a step's filter is answered.
enum Answer {
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
    Same { own: usize, other: usize, ignore_case: bool },
}

/// One group's rows, and what is asked of each.
struct Group<'a> {
    rows: Rows<'a>,
    times: Times<'a>,
    ids: IdReader<'a>,
    /// By step: whether the group's type is the step's, and what must hold of the event.
    steps: Vec<Option<Bound<'a>>>,
    /// The predicates that trees name.
    conditions: Vec<Bound<'a>>,
    slots: Vec<Vec<SlotColumn<'a>>>,
}

/// A column that holds values of a slot.
struct SlotColumn<'a> {
    reader: Reader<'a>,
    path: &'a [String],
    loaded: Loaded<'a>,
    /// By code, once it is known: the number of its list of values.
    known: Vec<u32>,
}

/// One event of a customer.
struct Event {
    at: i64,
    id: i64,
    /// By step: whether it may be the step's event, references aside.
    steps: Vec<bool>,
    conditions: Vec<bool>,
    /// By slot: the number of its list of values.
    slots: Vec<u32>,
}

/// A scalar that references compare.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Bool(bool),
    Number(Option<Numeric>),
    /// The characters, and the number that they are.
    Text(String, Option<Numeric>),
}

/// Lists of values, each once; number 0 is the empty list.
struct Interned {
    lists: Vec<Vec<Value>>,
    numbers: HashMap<String, u32>,
    /// What was compared before.
    same: HashMap<(u32, u32, bool), bool>,
}

impl Interned {
    fn new() -> Self {
        Self { lists: vec![Vec::new()], numbers: HashMap::from([(String::new(), 0)]), same: HashMap::new() }
    }

    fn number(&mut self, key: String, list: Vec<Value>) -> u32 {
        let next = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        match self.numbers.entry(key) {
            std::collections::hash_map::Entry::Occupied(known) => *known.get(),
            std::collections::hash_map::Entry::Vacant(new) => {
                self.lists.push(list);
                *new.insert(next)
            }
        }
    }

    /// Whether any value of one list equals any of the other, whose types decide.
    fn same(&mut self, own: u32, other: u32, ignore_case: bool) -> bool {
        let lists = &self.lists;
        *self.same.entry((own, other, ignore_case)).or_insert_with(|| {
            lists[other as usize]
                .iter()
                .any(|other| lists[own as usize].iter().any(|own| equal(own, other, ignore_case)))
        })
    }
}

fn equal(own: &Value, other: &Value, ignore_case: bool) -> bool {
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
        Pred::Same { own, other, ignore_case } => Tree::Same { own: *own, other: *other, ignore_case: *ignore_case },
        Pred::Test(_) => Tree::Or(Vec::new()), // refers to nothing, so it was a leaf
    }
}

impl<'a> Sequence<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        sequence: &'a SequencePlan,
        source: &'a Source<'a>,
        check: &'a dyn Fn(),
    ) -> Result<Self, Corrupt> {
        let clock = plan.clock(&sequence.zone);
        let mut leaves = Vec::new();
        let answers: Vec<Answer> = sequence
            .steps
            .iter()
            .map(
                |step| {
                    if step.filter.refers() { Answer::Refers(tree(&step.filter, &mut leaves)) } else { Answer::Known }
                },
            )
            .collect();
        let all: Option<Vec<String>> = sequence.steps.iter().try_fold(Vec::new(), |mut all, step| {
            all.extend_from_slice(step.types.as_ref()?);
            Some(all)
        });
        let mut bound_groups = Vec::new();
        for part in &source.events {
            for group in groups(part, all.as_deref()) {
                let dead = part.dead.get(&group.name);
                let Some(rows) = Rows::new(group, part.stream, dead, (i64::MIN, plan.as_of)) else { continue };
                let mut steps = Vec::new();
                for (step, answer) in sequence.steps.iter().zip(&answers) {
                    let named = step.types.as_ref().is_none_or(|types| types.contains(&group.name));
                    steps.push(match (named, answer) {
                        (false, _) => None,
                        (true, Answer::Known) => Some(Bound::new(&step.filter, group, part.stream, &clock)?),
                        (true, Answer::Refers(_)) => Some(Bound::All),
                    });
                }
                let conditions = leaves.iter().map(|leaf| Bound::new(leaf, group, part.stream, &clock));
                let slots = sequence.slots.iter().map(|slot| slot_columns(slot, group, part.stream));
                bound_groups.push(Group {
                    times: Times::new(group, part.stream),
                    ids: IdReader::new(part.stream, &group.ids),
                    steps,
                    conditions: conditions.collect::<Result<_, _>>()?,
                    slots: slots.collect::<Result<_, _>>()?,
                    rows,
                });
            }
        }
        Ok(Self {
            plan: sequence,
            clock,
            conditions: leaves.len(),
            answers,
            groups: bound_groups,
            values: Interned::new(),
            check,
        })
    }

    /// Those of the wanted customers of a chunk for whom some assignment satisfies all steps.
    pub(crate) fn chunk(&mut self, chunk: u16, wanted: &Bits) -> Result<Bits, Corrupt> {
        let mut events: HashMap<u32, Vec<Event>> = HashMap::new();
        let some = (wanted.len() < CHUNK as u64 / 8).then_some(wanted);
        let (steps, conditions) = (self.plan.steps.len(), self.conditions);
        for group in &mut self.groups {
            (self.check)();
            let Group { rows, times, ids, steps: filters, conditions: leaves, slots } = group;
            let (values, sequence) = (&mut self.values, self.plan);
            rows.scan(chunk, some, None, |pack, ordinals, rows| {
                let mut rows = rows;
                for place in ones(rows) {
                    if !wanted.contains(ordinals[place]) {
                        rows &= !(1 << place);
                    }
                }
                let mut masks = vec![0_u128; steps];
                for (mask, filter) in masks.iter_mut().zip(filters.iter_mut()) {
                    if let Some(filter) = filter {
                        *mask = filter.mask(pack, rows)?;
                    }
                }
                let any = masks.iter().fold(0, |any, mask| any | mask);
                if any == 0 {
                    return Ok(());
                }
                let mut leaf_masks = vec![0_u128; conditions];
                for (mask, leaf) in leaf_masks.iter_mut().zip(leaves.iter_mut()) {
                    *mask = leaf.mask(pack, any)?;
                }
                let at = times.all(pack)?;
                let mut id = [0_i64; PACK];
                ids.pack(pack, &at, &mut id)?;
                let mut found = vec![[0_u32; PACK]; sequence.slots.len()];
                for (numbers, (columns, slot)) in found.iter_mut().zip(slots.iter_mut().zip(&sequence.slots)) {
                    slot_values(columns, slot, pack, any, values, numbers)?;
                }
                for place in ones(any) {
                    events.entry(ordinals[place]).or_default().push(Event {
                        at: at[place],
                        id: id[place],
                        steps: masks.iter().map(|mask| mask >> place & 1 == 1).collect(),
                        conditions: leaf_masks.iter().map(|mask| mask >> place & 1 == 1).collect(),
                        slots: found.iter().map(|numbers| numbers[place]).collect(),
                    });
                }
                Ok(())
            })?;
        }
        let mut bits = Bits::none();
        for (ordinal, mut events) in events {
            events.sort_unstable_by_key(|event| (event.at, event.id));
            if self.satisfied(&events) {
                bits.insert(ordinal);
            }
        }
        Ok(bits)
    }

    /// Whether some assignment of these events, in order, satisfies all steps.
    fn satisfied(&mut self, events: &[Event]) -> bool {
        let steps = &self.plan.steps;
        let mut states: HashMap<(usize, Vec<u32>), i64> = HashMap::new();
        let first = &steps[0];
        for (place, event) in events.iter().enumerate() {
            if event.steps[0]
                && (first.window.0..=first.window.1).contains(&event.at)
                && self.holds(0, event, &vec![0; self.plan.bound.len()])
            {
                let deadline = self.plan.within.as_ref().map_or(i64::MAX, |within| self.clock.after(event.at, within));
                let kept = self.keep(0, event, &vec![0; self.plan.bound.len()]);
                states.insert((place, kept), deadline);
            }
        }
        let mut step = 1;
        while step < steps.len() && !states.is_empty() {
            (self.check)();
            let absent = step;
            while step < steps.len() && steps[step].kind == StepKind::DidNot {
                step += 1;
            }
            if step == steps.len() {
                return self.followed_by_none(events, &states, absent..step);
            }
            states = if self.alone(absent..=step) {
                self.next_in_order(events, &states, absent..step, step)
            } else {
                self.next(events, &states, absent..step, step)
            };
            step += 1;
        }
        !states.is_empty()
    }

    /// Whether steps can be decided without looking at bound events, which none behind them asks about either.
    fn alone(&self, steps: std::ops::RangeInclusive<usize>) -> bool {
        let here = *steps.end();
        steps.clone().all(|step| matches!(self.answers[step], Answer::Known))
            && self.plan.bound.iter().all(|bound| bound.step >= here || bound.until <= here)
    }

    /// The states after a step, in one pass over the events: the latest deadline of a state since the last event that
    /// must not lie between.
    fn next_in_order(
        &self,
        events: &[Event],
        states: &HashMap<(usize, Vec<u32>), i64>,
        absent: std::ops::Range<usize>,
        step: usize,
    ) -> HashMap<(usize, Vec<u32>), i64> {
        let mut ending: HashMap<usize, i64> = HashMap::new();
        for ((place, _), deadline) in states {
            let latest = ending.entry(*place).or_insert(*deadline);
            *latest = (*deadline).max(*latest);
        }
        let mut next = HashMap::new();
        let mut reached: Option<i64> = None;
        for (place, event) in events.iter().enumerate() {
            if let Some(deadline) = reached.filter(|deadline| event.steps[step] && event.at <= *deadline) {
                let kept = self.keep(step, event, &vec![0; self.plan.bound.len()]);
                next.insert((place, kept), deadline);
            }
            if absent.clone().any(|absent| event.steps[absent]) {
                reached = None;
            }
            if let Some(deadline) = ending.get(&place) {
                reached = Some(reached.map_or(*deadline, |latest| latest.max(*deadline)));
            }
        }
        next
    }

    /// The states after a step, state by state.
    fn next(
        &mut self,
        events: &[Event],
        states: &HashMap<(usize, Vec<u32>), i64>,
        absent: std::ops::Range<usize>,
        step: usize,
    ) -> HashMap<(usize, Vec<u32>), i64> {
        let mut next: HashMap<(usize, Vec<u32>), i64> = HashMap::new();
        for ((from, kept), deadline) in states {
            (self.check)();
            for (place, event) in events.iter().enumerate().skip(from + 1) {
                if event.at > *deadline {
                    break;
                }
                if event.steps[step] && self.holds(step, event, kept) {
                    let kept = self.keep(step, event, kept);
                    let latest = next.entry((place, kept)).or_insert(*deadline);
                    *latest = (*deadline).max(*latest);
                }
                if absent.clone().any(|absent| event.steps[absent] && self.holds(absent, event, kept)) {
                    break;
                }
            }
        }
        next
    }

    fn followed_by_none(
        &mut self,
        events: &[Event],
        states: &HashMap<(usize, Vec<u32>), i64>,
        absent: std::ops::Range<usize>,
    ) -> bool {
        states.keys().any(|(from, kept)| {
            let until = self.plan.within.as_ref().map_or(i64::MAX, |within| self.clock.after(events[*from].at, within));
            !events[from + 1..]
                .iter()
                .take_while(|event| event.at <= until)
                .any(|event| absent.clone().any(|absent| event.steps[absent] && self.holds(absent, event, kept)))
        })
    }

    /// What a state carries on behind a step: values that later steps ask about.
    fn keep(&self, step: usize, event: &Event, before: &[u32]) -> Vec<u32> {
        let bound = self.plan.bound.iter().zip(before);
        bound
            .map(|(bound, before)| match bound {
                bound if bound.until <= step => 0,
                bound if bound.step == step => event.slots[bound.slot],
                _ => *before,
            })
            .collect()
    }

    /// Whether a step's filter holds of an event, given the values that are bound.
    fn holds(&mut self, step: usize, event: &Event, kept: &[u32]) -> bool {
        match &self.answers[step] {
            Answer::Known => true,
            Answer::Refers(tree) => decide(tree, event, kept, &mut self.values),
        }
    }
}

fn decide(tree: &Tree, event: &Event, kept: &[u32], values: &mut Interned) -> bool {
    match tree {
        Tree::And(list) => list.iter().all(|tree| decide(tree, event, kept, values)),
        Tree::Or(list) => list.iter().any(|tree| decide(tree, event, kept, values)),
        Tree::Not(inner) => !decide(inner, event, kept, values),
        Tree::Condition(place) => event.conditions[*place],
        Tree::Same { own, other, ignore_case } => values.same(event.slots[*own], kept[*other], *ignore_case),
    }
}

fn slot_columns<'a>(
    slot: &Slot,
    group: &'a crate::segment::Group,
    stream: &'a dyn crate::segment::Stream,
) -> Result<Vec<SlotColumn<'a>>, Corrupt> {
    let mut columns = Vec::new();
    for property in &group.properties {
        if slot.keys.starts_with(&property.path) {
            columns.push(SlotColumn {
                reader: Reader::new(stream, &property.codes),
                path: &property.path,
                loaded: property.dictionary.load(stream)?,
                known: vec![u32::MAX; property.dictionary.len() as usize + 1],
            });
        }
    }
    Ok(columns)
}

/// The lists of values of a slot in some rows of a pack.
fn slot_values(
    columns: &mut [SlotColumn<'_>],
    slot: &Slot,
    pack: usize,
    rows: u128,
    values: &mut Interned,
    numbers: &mut [u32; PACK],
) -> Result<(), Corrupt> {
    let mut codes = [0_u32; PACK];
    for column in columns {
        column.reader.small(pack, &mut codes)?;
        for place in ones(rows) {
            let code = codes[place];
            if code == MISSING {
                continue;
            }
            let known =
                column.known.get_mut(code as usize).ok_or_else(|| Corrupt::new("a code stands for no value"))?;
            if *known == u32::MAX {
                let (mut key, mut list) = (String::new(), Vec::new());
                each_value(&column.loaded, code, column.path, slot, &mut |item| {
                    let value = match item {
                        Item::Bool(value) => Value::Bool(value),
                        Item::Number(_) | Item::Big(_) => Value::Number(item.numeric()),
                        Item::Text(text) => Value::Text(text.to_owned(), item.numeric()),
                        Item::Json(_) => return,
                    };
                    let _ = write!(key, "{value:?}\u{0}");
                    list.push(value);
                });
                *known = values.number(key, list);
            }
            if *known != 0 {
                numbers[place] = *known;
            }
        }
    }
    Ok(())
}

fn each_value(loaded: &Loaded, code: u32, path: &[String], slot: &Slot, each: &mut dyn FnMut(Item)) {
    let Some(item) = loaded.item(code) else { return };
    if path.is_empty() {
        let Item::Json(text) = item else { return };
        for (keys, value) in json::rest_pairs(text) {
            if let Relation::Leads(below) = relate(&keys, &slot.keys, &slot.inside) {
                json::reach(value, &below, &mut |value| {
                    json::as_item(value, &mut *each);
                });
            }
        }
        return;
    }
    match (relate(path, &slot.keys, &slot.inside), item) {
        (Relation::Leads(below), item) if below.is_empty() => each(item),
        (Relation::Leads(below), Item::Json(text)) => json::reach(text, &below, &mut |value| {
            json::as_item(value, &mut *each);
        }),
        _ => {}
    }
}
