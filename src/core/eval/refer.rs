//! References: one property held against another, of the same row, of the customer's profile, or of the innermost element.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::chunks;
use super::clock::Clock;
use super::codes::each_item;
use super::json;
use super::limits::{Budget, Stop};
use super::plan::{Plan, Pred, Slot};
use super::profiles::ProfileValues;
use super::rows::ones;
use super::source::Source;
use super::test::{Kind, Test, pred_holds};
use super::values::{Interned, SlotColumn, Value, equal, slot_columns, slot_values};
use crate::rule::{DateOrder, Family, PathStep, Relation};
use crate::segment::column::Reader;
use crate::segment::item::{Item, Numeric};
use crate::segment::{CHUNK_BITS, Corrupt, Group, PACK, Stream};
use crate::time::{Reading, read};

/// How two properties are compared: the family of an operator that takes a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct How {
    pub(crate) family: Family,
    pub(crate) ignore_case: bool,
}

impl How {
    /// Whether a value stands so to another one, whose type decides.
    pub(super) fn holds(self, own: &Value, other: &Value, clock: &Clock) -> bool {
        match self.family {
            Family::Order(Relation::Eq) => equal(own, other, self.ignore_case),
            Family::Order(relation @ (Relation::Gt | Relation::Gte | Relation::Lt | Relation::Lte)) => {
                order(own, other).is_some_and(|order| relation.holds(order))
            }
            Family::Date(date) => {
                let (Value::Text(own, _), Value::Text(other, _)) = (own, other) else { return false };
                let (Some(own), Some(other)) = (read(own), read(other)) else { return false };
                let order = || clock.instant(own).cmp(&clock.instant(other));
                match (date, other) {
                    (DateOrder::Before, _) => order().is_lt(),
                    (DateOrder::Since, _) => order().is_ge(),
                    (DateOrder::On, Reading::Day(day)) => clock.day(clock.instant(own)) == Some(day),
                    (DateOrder::On, Reading::Local(_) | Reading::Instant(_)) => order().is_eq(),
                }
            }
            // These take no reference.
            Family::Exists
            | Family::Between
            | Family::In
            | Family::Elements(_)
            | Family::Text(_)
            | Family::Interval(_)
            | Family::Calendar(_) => false,
        }
    }

    /// Whether any value of one list stands so to any of another.
    pub(super) fn any(self, own: &[Value], other: &[Value], clock: &Clock) -> bool {
        other.iter().any(|other| own.iter().any(|own| self.holds(own, other, clock)))
    }
}

fn order(own: &Value, other: &Value) -> Option<Ordering> {
    match (own, other) {
        (Value::Number(Some(own)) | Value::Text(_, Some(own)), Value::Number(Some(other))) => {
            Some(match (own, other) {
                (Numeric::Small(own), Numeric::Small(other)) => own.cmp(other),
                (own, other) => own.exact().cmp(&other.exact()),
            })
        }
        (Value::Text(own, _), Value::Text(other, _)) => Some(own.as_bytes().cmp(other.as_bytes())),
        _ => None,
    }
}

/// A comparison of a property with another one.
pub(crate) struct Refer {
    pub(crate) own: Slot,
    pub(crate) other: Other,
    pub(crate) how: How,
}

/// The other property.
#[derive(Clone, PartialEq)]
pub(crate) enum Other {
    /// Of the same row: an event's or a profile's.
    Row(Slot),
    /// Of the profile of an event's customer.
    Profile(Slot),
    /// Of the innermost element.
    Element(Vec<PathStep>),
    /// Of an event bound before: its place among what the states of a sequence carry.
    Step(usize),
}

impl Pred {
    /// The comparison, if it is one by `eq`.
    pub(crate) fn as_equality(&self) -> Option<&Refer> {
        match self {
            Self::Refer(refer) if refer.how.family == Family::Order(Relation::Eq) => Some(refer),
            _ => None,
        }
    }

    /// What the predicates of elements, in it, refer to outside of these.
    pub(crate) fn outside<'p>(&'p self, in_element: bool, found: &mut Vec<&'p Other>) {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().for_each(|pred| pred.outside(in_element, found)),
            Self::Not(inner) => inner.outside(in_element, found),
            Self::Refer(refer) => {
                if in_element && !matches!(refer.other, Other::Element(_)) && !found.contains(&&refer.other) {
                    found.push(&refer.other);
                }
            }
            Self::Test(test) => {
                if let Kind::Element(pred) = &test.kind {
                    pred.outside(true, found);
                }
            }
            Self::Elements(elements) => {
                if let Kind::Element(pred) = &elements.test.kind {
                    pred.outside(true, found);
                }
            }
            Self::Same { .. } => {}
        }
    }

    /// The properties of profiles that it, or predicates of elements in it, refer to.
    fn of_profiles<'p>(&'p self, found: &mut Vec<&'p Slot>) {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().for_each(|pred| pred.of_profiles(found)),
            Self::Not(inner) => inner.of_profiles(found),
            Self::Refer(refer) => {
                if let Other::Profile(slot) = &refer.other {
                    found.push(slot);
                }
            }
            Self::Test(test) => {
                if let Kind::Element(pred) = &test.kind {
                    pred.of_profiles(found);
                }
            }
            Self::Elements(elements) => {
                if let Kind::Element(pred) = &elements.test.kind {
                    pred.of_profiles(found);
                }
            }
            Self::Same { .. } => {}
        }
    }
}

/// Values of properties that are referred to.
#[derive(Clone)]
pub(crate) struct References<'a>(Arc<Inner<'a>>);

struct Inner<'a> {
    values: RwLock<Interned<'a>>,
    /// Of each property of profiles: by ordinal the number of its list of values.
    profiles: Vec<(&'a Slot, Vec<u32>)>,
    budget: &'a Budget<'a>,
}

impl<'a> References<'a> {
    /// Reads the properties of profiles that a plan's events are compared with.
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        source: &'a Source<'a>,
        budget: &'a Budget<'a>,
        check: &dyn Fn(),
    ) -> Result<Self, Stop> {
        let mut values = Interned::new(budget);
        let mut slots: Vec<&'a Slot> = Vec::new();
        plan.each_filter(&mut |pred| pred.of_profiles(&mut slots));
        let mut profiles: Vec<(&'a Slot, Vec<u32>)> = Vec::new();
        for slot in slots {
            if profiles.iter().any(|(known, _)| *known == slot) {
                continue;
            }
            budget.take(u64::from(source.customers) * size_of::<u32>() as u64)?;
            let mut numbers = vec![0; source.customers as usize];
            let mut of_profiles = ProfileValues::new(&slot.keys, &slot.inside, source, budget)?;
            for chunk in 0..chunks(source) {
                check();
                let mut lists: HashMap<u32, Vec<Value>> = HashMap::new();
                of_profiles.chunk(chunk, None, &mut |low, item| {
                    lists.entry(low).or_default().extend(Value::of(item));
                })?;
                for (low, list) in lists {
                    let ordinal = (u32::from(chunk) << CHUNK_BITS | low) as usize;
                    if let Some(number) = numbers.get_mut(ordinal) {
                        *number = values.list(list)?;
                    }
                }
            }
            profiles.push((slot, numbers));
        }
        Ok(Self(Arc::new(Inner { values: RwLock::new(values), profiles, budget })))
    }

    /// What is behind the lock is whole whenever an unwinding thread lets go of it: lists are only added.
    fn values(&self) -> RwLockReadGuard<'_, Interned<'a>> {
        self.0.values.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn values_mut(&self) -> RwLockWriteGuard<'_, Interned<'a>> {
        self.0.values.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list of values by its number.
    pub(super) fn list(&self, number: u32) -> Vec<Value> {
        self.values().get(number).to_vec()
    }

    pub(super) fn bind(&self, other: &Other, group: &'a Group, stream: &'a dyn Stream) -> Result<Theirs<'a>, Corrupt> {
        Ok(match other {
            Other::Row(slot) => Theirs::Columns(slot.clone(), columns(slot, group, stream, self.0.budget)?),
            Other::Profile(slot) => {
                let place = self.0.profiles.iter().position(|(known, _)| *known == slot);
                Theirs::Profile(place, Reader::new(stream, &group.ordinals))
            }
            Other::Element(_) | Other::Step(_) => Theirs::Profile(None, Reader::new(stream, &group.ordinals)),
        })
    }
}

fn columns<'a>(
    slot: &Slot,
    group: &'a Group,
    stream: &'a dyn Stream,
    budget: &Budget<'_>,
) -> Result<Vec<SlotColumn<'a>>, Corrupt> {
    slot_columns(slot, group, stream, budget).map_err(too_many)
}

/// Within a group, that memory is lacking is told as the segment tells it.
fn too_many(stop: Stop) -> Corrupt {
    match stop {
        Stop::TooLarge => Corrupt::TooMany("values that are referred to".into()),
        Stop::Damaged(corrupt) => corrupt,
    }
}

/// The other property bound to a group.
#[derive(Clone)]
pub(super) enum Theirs<'a> {
    Columns(Slot, Vec<SlotColumn<'a>>),
    /// Its place among the properties of profiles, and whose rows they are.
    Profile(Option<usize>, Reader<'a>),
}

impl<'a> Theirs<'a> {
    pub(super) fn foresee(&mut self, packs: &Range<usize>) {
        match self {
            Self::Columns(_, columns) => columns.iter_mut().for_each(|column| column.reader.foresee(packs)),
            Self::Profile(_, ordinals) => ordinals.foresee(packs),
        }
    }

    /// The lists of values of some rows of a pack.
    pub(super) fn of_rows(
        &mut self,
        pack: usize,
        rows: u128,
        references: &References<'a>,
        numbers: &mut [u32; PACK],
    ) -> Result<(), Corrupt> {
        match self {
            Self::Columns(slot, columns) => {
                let mut values = references.values_mut();
                slot_values(columns, slot, Value::of, (pack, rows), &mut values, numbers).map_err(too_many)
            }
            Self::Profile(place, reader) => {
                *numbers = [0; PACK];
                let Some(place) = *place else { return Ok(()) };
                let of_customers = &references.0.profiles[place].1;
                let mut ordinals = [0_u32; PACK];
                reader.small(pack, &mut ordinals)?;
                for place in ones(rows) {
                    numbers[place] = of_customers.get(ordinals[place] as usize).copied().unwrap_or(0);
                }
                Ok(())
            }
        }
    }
}

/// A comparison bound to a group.
#[derive(Clone)]
pub(crate) struct Compared<'a> {
    references: References<'a>,
    own: Theirs<'a>,
    other: Theirs<'a>,
    how: How,
    clock: Clock<'a>,
    /// What was compared before.
    known: HashMap<(u32, u32), bool>,
}

impl<'a> Compared<'a> {
    /// The most comparisons whose answers are kept.
    const KEPT: usize = 1 << 16;

    pub(crate) fn new(
        refer: &Refer,
        group: &'a Group,
        stream: &'a dyn Stream,
        clock: Clock<'a>,
        references: &References<'a>,
    ) -> Result<Self, Corrupt> {
        Ok(Self {
            references: references.clone(),
            own: references.bind(&Other::Row(refer.own.clone()), group, stream)?,
            other: references.bind(&refer.other, group, stream)?,
            how: refer.how,
            clock,
            known: HashMap::new(),
        })
    }

    /// Says that rows of some packs will be asked.
    pub(crate) fn foresee(&mut self, packs: &Range<usize>) {
        self.own.foresee(packs);
        self.other.foresee(packs);
    }

    /// Which of some rows of a pack satisfy it.
    pub(crate) fn mask(&mut self, pack: usize, rows: u128) -> Result<u128, Corrupt> {
        let (mut own, mut other) = ([0; PACK], [0; PACK]);
        self.own.of_rows(pack, rows, &self.references, &mut own)?;
        self.other.of_rows(pack, rows, &self.references, &mut other)?;
        let values = self.references.values();
        let mut found = 0;
        for place in ones(rows).filter(|place| own[*place] != 0 && other[*place] != 0) {
            let pair = (own[place], other[place]);
            let holds = if let Some(known) = self.known.get(&pair) {
                *known
            } else {
                let (own, other) = (values.get(pair.0), values.get(pair.1));
                self.references.0.budget.worked(1 + own.len().saturating_mul(other.len()));
                let holds = self.how.any(own, other, &self.clock);
                if self.known.len() == Self::KEPT {
                    self.known.clear();
                }
                self.known.insert(pair, holds);
                holds
            };
            found |= u128::from(holds) << place;
        }
        Ok(found)
    }
}

/// A test of elements that refers to the row outside, bound to a group.
#[derive(Clone)]
pub(crate) struct Elements<'a> {
    references: References<'a>,
    test: Arc<Test>,
    arrays: Vec<SlotColumn<'a>>,
    outside: Vec<(Other, Theirs<'a>)>,
    clock: Clock<'a>,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(
        test: &Arc<Test>,
        outside: &[&Other],
        group: &'a Group,
        stream: &'a dyn Stream,
        clock: Clock<'a>,
        references: &References<'a>,
    ) -> Result<Self, Corrupt> {
        let slot = Slot { keys: test.keys.clone(), inside: test.inside.clone() };
        let bound = outside.iter().map(|other| Ok(((*other).clone(), references.bind(other, group, stream)?)));
        Ok(Self {
            references: references.clone(),
            test: Arc::clone(test),
            arrays: columns(&slot, group, stream, references.0.budget)?,
            outside: bound.collect::<Result<_, Corrupt>>()?,
            clock,
        })
    }

    /// Says that rows of some packs will be asked.
    pub(crate) fn foresee(&mut self, packs: &Range<usize>) {
        self.arrays.iter_mut().for_each(|column| column.reader.foresee(packs));
        self.outside.iter_mut().for_each(|(_, theirs)| theirs.foresee(packs));
    }

    /// Which of some rows of a pack satisfy it.
    pub(crate) fn mask(&mut self, pack: usize, rows: u128) -> Result<u128, Corrupt> {
        let mut numbers = vec![[0_u32; PACK]; self.outside.len()];
        for ((_, theirs), numbers) in self.outside.iter_mut().zip(&mut numbers) {
            theirs.of_rows(pack, rows, &self.references, numbers)?;
        }
        let values = self.references.values();
        let Kind::Element(pred) = &self.test.kind else { return Ok(0) };
        let (test, clock, outside, budget) = (&self.test, &self.clock, &self.outside, self.references.0.budget);
        let (mut found, mut codes) = (0, [0_u32; PACK]);
        for column in &mut self.arrays {
            column.reader.small(pack, &mut codes)?;
            for place in ones(rows & !found).filter(|place| codes[*place] != 0) {
                let item = column.loaded.item(codes[place]);
                let item = item.ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
                let lists = |other: &Other| -> &[Value] {
                    let known = outside.iter().position(|(known, _)| known == other);
                    known.map_or(&[], |known| values.get(numbers[known][place]))
                };
                let mut holds = false;
                each_item(item, column.path, &test.keys, &test.inside, &mut |item| {
                    let Item::Json(array) = item else { return };
                    holds = holds || any_element(pred, array, clock, budget, &lists);
                });
                found |= u128::from(holds) << place;
            }
        }
        Ok(found)
    }
}

/// Whether a predicate holds of any element of an array.
pub(super) fn any_element(pred: &Pred, array: &str, clock: &Clock, budget: &Budget<'_>, outside: Outside<'_>) -> bool {
    json::elements(array).any(|element| {
        budget.worked(5);
        element.trim_ascii() != "null" && pred_holds(pred, element, clock, outside)
    })
}

/// What predicates of elements refer to outside of these.
pub(crate) type Outside<'o> = &'o dyn Fn(&Other) -> &'o [Value];

/// Whether a comparison holds of an element.
pub(super) fn holds_of_element(refer: &Refer, element: &str, clock: &Clock, outside: Outside<'_>) -> bool {
    let own = values_in(element, &refer.own.way());
    match &refer.other {
        Other::Element(way) => refer.how.any(&own, &values_in(element, way), clock),
        other => refer.how.any(&own, outside(other), clock),
    }
}

/// The values at a path of a JSON text.
fn values_in(text: &str, way: &[PathStep]) -> Vec<Value> {
    let mut found = Vec::new();
    json::reach(text, way, &mut |value| {
        found.extend(json::as_item(value, Value::of).flatten());
    });
    found
}
