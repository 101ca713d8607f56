//! Tests of one property, made ready for many values.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use bigdecimal::BigDecimal;
use chrono::{Datelike, NaiveDate};

use super::clock::{Clock, moved_units, unit_of};
use super::json;
use super::limits::{Budget, Stop};
use super::plan::Pred;
use super::refer::{Outside, holds_of_element};
use crate::rule::{
    self, Argument, CalendarWindow, DateOrder, Elements, Family, IntervalWindow, KEPT_PATTERN_BYTES, PathStep,
    Property, PropertyTest, Refused, Relation, TextMatch, Units, compile_pattern,
};
use crate::segment::item::{Decimal, Item, Numeric};
use crate::text::simple_lower;
use crate::time::{Reading, read};
use crate::value::{Number, Scalar};

/// A test of one property. Negations are told apart by the caller: [`Test::holds`] answers the positive operator.
pub(crate) struct Test {
    /// The keys that lead to the column.
    pub(crate) keys: Vec<String>,
    /// The steps behind them, from the first `[]` on.
    pub(crate) inside: Vec<PathStep>,
    pub(crate) kind: Kind,
}

/// What is tested.
pub(crate) enum Kind {
    /// Present and not null.
    Exists,
    /// Equal to one of these.
    Equal(Equal),
    /// A number between two others.
    Numbers(Range<Exact>),
    /// A string between two others, by bytes.
    Texts(Range<String>),
    /// A substring, or an equal element.
    Contains(String, bool),
    /// Begins so.
    StartsWith(String, bool),
    /// Ends so.
    EndsWith(String, bool),
    /// Matches.
    Regex(Pattern),
    /// An array with an element equal to one of these.
    ContainsAny(Equal),
    /// An array that has, for each of these, an equal element.
    ContainsAll(Equal),
    /// An instant within these, both included.
    Instant(i64, i64),
    /// A calendar day.
    Day(NaiveDate),
    /// A day whose anniversary lies between two days, both included.
    Anniversary(NaiveDate, NaiveDate),
    /// An array with an element that satisfies a predicate.
    Element(Box<Pred>),
    /// Nothing satisfies it.
    Never,
}

/// A pattern, compiled before it is asked for the first time.
pub(crate) struct Pattern {
    text: String,
    ignore_case: bool,
    compiled: OnceLock<Arc<rule::Pattern>>,
}

/// The patterns of a rule, each compiled once.
#[derive(Default)]
pub(crate) struct Patterns<'p>(HashMap<(&'p str, bool), Arc<rule::Pattern>>);

impl<'p> Patterns<'p> {
    /// Charges the values of a predicate, and compiles its patterns.
    pub(crate) fn prepare_all(&mut self, pred: &'p Pred, budget: &Budget<'_>, check: &dyn Fn()) -> Result<(), Stop> {
        match pred {
            Pred::And(list) | Pred::Or(list) => list.iter().try_for_each(|pred| self.prepare_all(pred, budget, check)),
            Pred::Not(inner) => self.prepare_all(inner, budget, check),
            Pred::Test(test) => self.prepare(test, budget, check),
            Pred::Elements(elements) => self.prepare(&elements.test, budget, check),
            Pred::Same { .. } | Pred::Refer(_) => Ok(()),
        }
    }

    /// Charges the values of a test, and compiles its patterns in what the budget has left; may be interrupted before each.
    pub(crate) fn prepare(&mut self, test: &'p Test, budget: &Budget<'_>, check: &dyn Fn()) -> Result<(), Stop> {
        budget.take(test.kind.bytes())?;
        if let Kind::Element(pred) = &test.kind {
            return self.prepare_all(pred, budget, check);
        }
        let Kind::Regex(pattern) = &test.kind else { return Ok(()) };
        if pattern.compiled.get().is_some() {
            return Ok(());
        }
        let key = (pattern.text.as_str(), pattern.ignore_case);
        let compiled = match self.0.get(&key) {
            Some(known) => Arc::clone(known),
            None => match compile_pattern(key.0, key.1, budget.left(), KEPT_PATTERN_BYTES, check) {
                Ok(compiled) => {
                    budget.take(compiled.bytes())?;
                    self.0.insert(key, Arc::clone(&compiled));
                    compiled
                }
                Err(Refused::TooLarge) => return Err(Stop::TooLarge),
                // A stored rule's pattern has compiled before.
                Err(Refused::Invalid(_)) => return Ok(()),
            },
        };
        pattern.compiled.get_or_init(|| compiled);
        Ok(())
    }
}

/// Two bounds, each with whether it is included.
pub(crate) struct Range<T> {
    pub(crate) low: Option<(T, bool)>,
    pub(crate) high: Option<(T, bool)>,
}

impl<T> Range<T> {
    fn holds(&self, compare: impl Fn(&T) -> Ordering) -> bool {
        let low = self.low.as_ref().is_none_or(|(low, included)| match compare(low) {
            Ordering::Greater => true,
            Ordering::Equal => *included,
            Ordering::Less => false,
        });
        low && self.high.as_ref().is_none_or(|(high, included)| match compare(high) {
            Ordering::Less => true,
            Ordering::Equal => *included,
            Ordering::Greater => false,
        })
    }
}

/// A number of a rule.
pub(crate) struct Exact {
    small: Option<Decimal>,
    exact: BigDecimal,
}

impl Exact {
    pub(crate) fn new(number: &Number) -> Self {
        Self { small: Decimal::from_exact(number.value()), exact: number.value().clone() }
    }

    /// How a number of the data compares with this one.
    pub(crate) fn compare(&self, number: &Numeric) -> Ordering {
        match (number, self.small) {
            (Numeric::Small(number), Some(small)) => number.cmp(&small),
            _ => number.exact().cmp(&self.exact),
        }
    }

    /// The same for a mantissa at a scale.
    pub(crate) fn compare_mantissa(&self, mantissa: i64, scale: u8) -> Ordering {
        match self.small {
            // Not normalised, which comparing does not need.
            Some(small) => Decimal { mantissa, scale }.cmp(&small),
            None => Decimal { mantissa, scale }.exact().cmp(&self.exact),
        }
    }
}

impl Kind {
    /// Bytes of memory that a list of values takes, about.
    fn bytes(&self) -> u64 {
        match self {
            Self::Equal(equal) | Self::ContainsAny(equal) | Self::ContainsAll(equal) => equal.bytes(),
            Self::Exists
            | Self::Numbers(_)
            | Self::Texts(_)
            | Self::Contains(..)
            | Self::StartsWith(..)
            | Self::EndsWith(..)
            | Self::Regex(_)
            | Self::Instant(..)
            | Self::Day(_)
            | Self::Anniversary(..)
            | Self::Element(_)
            | Self::Never => 0,
        }
    }
}

/// A set of scalars.
pub(crate) struct Equal {
    pub(crate) numbers: Vec<Exact>,
    /// In lower case when case is ignored.
    pub(crate) texts: HashSet<String>,
    pub(crate) bools: [bool; 2],
    pub(crate) ignore_case: bool,
}

impl Equal {
    pub(crate) fn new(scalars: &[Scalar], ignore_case: bool) -> Self {
        let mut equal = Self { numbers: Vec::new(), texts: HashSet::new(), bools: [false; 2], ignore_case };
        for scalar in scalars {
            match scalar {
                Scalar::Bool(value) => equal.bools[usize::from(*value)] = true,
                Scalar::Number(number) => equal.numbers.push(Exact::new(number)),
                Scalar::String(text) if ignore_case => drop(equal.texts.insert(simple_lower(text))),
                Scalar::String(text) => drop(equal.texts.insert(text.clone())),
            }
        }
        // Sorted, so that a list of 100,000 numbers is searched and not walked through.
        equal.numbers.sort_by(|left, right| left.exact.cmp(&right.exact));
        equal.numbers.dedup_by(|left, right| left.exact == right.exact);
        equal
    }

    /// Bytes of memory that it takes, about, with what the rule itself keeps of it.
    fn bytes(&self) -> u64 {
        /// Of an entry with what allocating it costs.
        const ENTRY: usize = 64;
        let numbers = self.numbers.iter().map(|number| ENTRY + size_of::<Exact>() + 2 * exact_bytes(&number.exact));
        let texts = self.texts.iter().map(|text| 2 * (ENTRY + text.len()));
        numbers.chain(texts).sum::<usize>() as u64
    }

    pub(crate) fn number(&self, number: &Numeric) -> bool {
        self.place_of(number).is_some()
    }

    fn place_of(&self, number: &Numeric) -> Option<usize> {
        self.numbers.binary_search_by(|listed| listed.compare(number).reverse()).ok()
    }

    pub(crate) fn holds(&self, item: &Item) -> bool {
        match item {
            Item::Bool(value) => return self.bools[usize::from(*value)],
            Item::Json(_) => return false,
            Item::Text(_) if self.texts.is_empty() => {}
            Item::Text(text) => {
                let found = if self.ignore_case {
                    self.texts.contains(&simple_lower(text))
                } else {
                    self.texts.contains(*text)
                };
                if found {
                    return true;
                }
            }
            Item::Number(_) | Item::Big(_) => {}
        }
        !self.numbers.is_empty() && item.numeric().is_some_and(|number| self.number(&number))
    }
}

/// Bytes of the digits of an exact number.
pub(crate) fn exact_bytes(number: &BigDecimal) -> usize {
    usize::try_from(number.as_bigint_and_scale().0.bits() / 8).unwrap_or(usize::MAX)
}

/// Splits a path into the keys that lead to a column and the steps inside its values.
pub(crate) fn split(path: &[PathStep]) -> (Vec<String>, Vec<PathStep>) {
    let keys: Vec<String> = path
        .iter()
        .map_while(|step| match step {
            PathStep::Key(key) => Some(key.clone()),
            PathStep::Elements => None,
        })
        .collect();
    let inside = path[keys.len()..].to_vec();
    (keys, inside)
}

impl Test {
    /// Makes a test ready. One that refers to another event is not answered here and never holds.
    pub(crate) fn new(test: &PropertyTest, clock: &Clock) -> Self {
        let (keys, inside) = split(&test.property.steps);
        let kind = kind(test.operator.family(), &test.argument, test.ignore_case.unwrap_or(false), clock);
        Self { keys, inside, kind }
    }

    /// Makes a test of the elements of arrays ready.
    pub(crate) fn element(property: &Property, pred: Pred) -> Self {
        let (keys, inside) = split(&property.steps);
        Self { keys, inside, kind: Kind::Element(Box::new(pred)) }
    }

    /// Whether the positive test holds of a JSON value, of which the whole path is still to be followed.
    fn holds_in(&self, text: &str, clock: &Clock, outside: Outside<'_>) -> bool {
        let way: Vec<PathStep> =
            self.keys.iter().cloned().map(PathStep::Key).chain(self.inside.iter().cloned()).collect();
        let mut holds = false;
        json::reach(text, &way, &mut |value| {
            holds = holds || json::as_item(value, |item| self.holds_of(item, clock, outside)).unwrap_or(false);
        });
        holds
    }

    /// Whether the positive test, which refers to nothing outside of elements, holds of a value found at a column, or
    /// below it at some steps.
    pub(crate) fn holds(&self, item: Item, below: &[PathStep], clock: &Clock) -> bool {
        if below.is_empty() {
            return self.holds_of(item, clock, &|_| &[]);
        }
        let Item::Json(text) = item else { return false };
        let mut holds = false;
        json::reach(text, below, &mut |value| {
            holds = holds || json::as_item(value, |item| self.holds_of(item, clock, &|_| &[])).unwrap_or(false);
        });
        holds
    }

    fn holds_of(&self, item: Item, clock: &Clock, outside: Outside<'_>) -> bool {
        let text = match item {
            Item::Text(text) => Some(text),
            Item::Bool(_) | Item::Number(_) | Item::Big(_) | Item::Json(_) => None,
        };
        match &self.kind {
            Kind::Exists => true,
            Kind::Never => false,
            Kind::Equal(equal) => equal.holds(&item),
            Kind::Numbers(range) => item.numeric().is_some_and(|number| range.holds(|bound| bound.compare(&number))),
            Kind::Texts(range) => text.is_some_and(|text| range.holds(|bound| text.as_bytes().cmp(bound.as_bytes()))),
            Kind::Contains(wanted, ignore_case) => match item {
                Item::Text(text) => with_case(text, *ignore_case, |text| text.contains(wanted.as_str())),
                Item::Json(array) => json::elements(array).any(|element| {
                    json::as_item(element, |element| match element {
                        Item::Text(text) => with_case(text, *ignore_case, |text| text == wanted),
                        Item::Bool(_) | Item::Number(_) | Item::Big(_) | Item::Json(_) => false,
                    })
                    .unwrap_or(false)
                }),
                Item::Bool(_) | Item::Number(_) | Item::Big(_) => false,
            },
            Kind::StartsWith(wanted, ignore_case) => {
                text.is_some_and(|text| with_case(text, *ignore_case, |text| text.starts_with(wanted.as_str())))
            }
            Kind::EndsWith(wanted, ignore_case) => {
                text.is_some_and(|text| with_case(text, *ignore_case, |text| text.ends_with(wanted.as_str())))
            }
            Kind::Regex(pattern) => text
                .zip(pattern.compiled.get())
                .is_some_and(|(text, regex)| regex.matches(text, &|| clock.calendar.check())),
            Kind::Element(pred) => {
                let Item::Json(array) = item else { return false };
                json::elements(array)
                    .any(|element| element.trim_ascii() != "null" && pred_holds(pred, element, clock, outside))
            }
            Kind::ContainsAny(equal) => has_element(item, equal),
            Kind::ContainsAll(equal) => has_all(item, equal),
            Kind::Instant(first, last) => {
                text.and_then(read).is_some_and(|reading| (*first..=*last).contains(&clock.instant(reading)))
            }
            Kind::Day(day) => {
                text.and_then(read).is_some_and(|reading| clock.day(clock.instant(reading)) == Some(*day))
            }
            Kind::Anniversary(first, last) => text
                .and_then(read)
                .and_then(|reading| clock.day(clock.instant(reading)))
                .is_some_and(|day| anniversary_between(day, *first, *last)),
        }
    }
}

/// Whether a predicate holds of an element of an array.
pub(super) fn pred_holds(pred: &Pred, element: &str, clock: &Clock, outside: Outside<'_>) -> bool {
    match pred {
        Pred::And(list) => list.iter().all(|pred| pred_holds(pred, element, clock, outside)),
        Pred::Or(list) => list.iter().any(|pred| pred_holds(pred, element, clock, outside)),
        Pred::Not(inner) => !pred_holds(inner, element, clock, outside),
        Pred::Test(test) => test.holds_in(element, clock, outside),
        Pred::Refer(refer) => holds_of_element(refer, element, clock, outside),
        Pred::Same { .. } | Pred::Elements(_) => false, // of whole events, which no predicate of an element is
    }
}

fn with_case(text: &str, ignore_case: bool, holds: impl FnOnce(&str) -> bool) -> bool {
    if ignore_case { holds(&simple_lower(text)) } else { holds(text) }
}

fn has_element(item: Item, equal: &Equal) -> bool {
    let Item::Json(array) = item else { return false };
    json::elements(array).any(|element| json::as_item(element, |element| equal.holds(&element)).unwrap_or(false))
}

/// Whether an array has, for each scalar of a set, an equal element: in one pass over the array, however long the two are.
fn has_all(item: Item, equal: &Equal) -> bool {
    let Item::Json(array) = item else { return false };
    let mut bools = [false; 2];
    let mut numbers = vec![false; equal.numbers.len()];
    let mut texts: HashSet<&str> = HashSet::new();
    let is_array = json::elements(array).fold(false, |_, element| {
        json::as_item(element, |element| {
            match element {
                Item::Bool(value) => bools[usize::from(value)] = true,
                Item::Text(text) => texts.extend(equal.texts.get(text).map(String::as_str)),
                Item::Number(_) | Item::Big(_) | Item::Json(_) => {}
            }
            if let Some(place) = element.numeric().and_then(|number| equal.place_of(&number)) {
                numbers[place] = true;
            }
        });
        true
    });
    is_array
        && (0..2).all(|value| bools[value] || !equal.bools[value])
        && texts.len() == equal.texts.len()
        && !numbers.contains(&false)
}

/// Whether the month and day of `day` come round in some year between two days, both included; 29 February is the 28th
/// in common years.
#[must_use]
pub fn anniversary_between(day: NaiveDate, first: NaiveDate, last: NaiveDate) -> bool {
    let in_year = |year: i32| {
        NaiveDate::from_ymd_opt(year, day.month(), day.day())
            .or_else(|| NaiveDate::from_ymd_opt(year, day.month(), day.day() - 1))
            .is_some_and(|anniversary| first <= anniversary && anniversary <= last)
    };
    // From one year to the next every day of the calendar comes round, so the first two years decide.
    in_year(first.year()) || in_year(first.year() + 1)
}

/// What a family asks with an argument. An argument of another family's shape, which no parser gives, is never satisfied;
/// neither is a reference, which is answered elsewhere.
fn kind(family: Family, argument: &Argument, ignore_case: bool, clock: &Clock) -> Kind {
    let folded = |text: &str| if ignore_case { simple_lower(text) } else { text.to_owned() };
    match (family, argument) {
        (Family::Exists, _) => Kind::Exists,
        (Family::Order(relation), Argument::Scalar(scalar)) => match relation {
            Relation::Eq => Kind::Equal(Equal::new(std::slice::from_ref(scalar), ignore_case)),
            Relation::Gt => range(Some((scalar, false)), None),
            Relation::Gte => range(Some((scalar, true)), None),
            Relation::Lt => range(None, Some((scalar, false))),
            Relation::Lte => range(None, Some((scalar, true))),
        },
        (Family::Between, Argument::Range(low, high)) => range(Some((low, true)), Some((high, true))),
        (Family::In, Argument::List(list)) => Kind::Equal(Equal::new(list, ignore_case)),
        (Family::In, Argument::Rows(rows)) => match &rows.values {
            Some(values) => Kind::Equal(Equal::new(values, ignore_case)),
            None => Kind::Never, // the plan is asked for its shape only
        },
        (Family::Elements(Elements::Any), Argument::List(list)) => Kind::ContainsAny(Equal::new(list, false)),
        (Family::Elements(Elements::All), Argument::List(list)) => Kind::ContainsAll(Equal::new(list, false)),
        (Family::Text(place), Argument::Text(text)) => match place {
            TextMatch::Contains => Kind::Contains(folded(text), ignore_case),
            TextMatch::StartsWith => Kind::StartsWith(folded(text), ignore_case),
            TextMatch::EndsWith => Kind::EndsWith(folded(text), ignore_case),
            TextMatch::Regex => Kind::Regex(Pattern { text: text.clone(), ignore_case, compiled: OnceLock::new() }),
        },
        (Family::Date(order), Argument::Date(date)) => {
            let at = clock.instant(date.reading);
            match (order, date.reading) {
                (DateOrder::Before, _) => Kind::Instant(i64::MIN, at.saturating_sub(1)),
                (DateOrder::Since, _) => Kind::Instant(at, i64::MAX),
                (DateOrder::On, Reading::Day(day)) => Kind::Day(day),
                (DateOrder::On, Reading::Local(_) | Reading::Instant(_)) => Kind::Instant(at, at),
            }
        }
        (Family::Interval(window), Argument::Interval(interval)) => match window {
            IntervalWindow::InTheLast => Kind::Instant(clock.ago(interval).saturating_add(1), clock.as_of),
            IntervalWindow::InTheNext => Kind::Instant(clock.as_of.saturating_add(1), clock.ahead(interval)),
            IntervalWindow::MoreThanAgo => Kind::Instant(i64::MIN, clock.ago(interval)),
            IntervalWindow::AnniversaryInTheNext => anniversary(clock, clock.as_of, clock.ahead(interval)),
            IntervalWindow::AnniversaryInTheLast => anniversary(clock, clock.ago(interval), clock.as_of),
        },
        (Family::Calendar(window), Argument::Units(units)) => calendar(window, units, clock),
        (
            Family::Order(_)
            | Family::Between
            | Family::In
            | Family::Elements(_)
            | Family::Text(_)
            | Family::Date(_)
            | Family::Interval(_)
            | Family::Calendar(_),
            _,
        ) => Kind::Never,
    }
}

fn calendar(window: CalendarWindow, units: &Units, clock: &Clock) -> Kind {
    let count = i32::from(units.count);
    let between =
        |from, to| clock.units(units, from, to).map_or(Kind::Never, |(first, last)| Kind::Instant(first, last));
    match window {
        CalendarWindow::This => between(0, 1),
        CalendarWindow::Previous => between(-count, 0),
        CalendarWindow::Next => between(1, count + 1),
        CalendarWindow::AnniversaryThis => {
            let days = clock.day(clock.as_of).and_then(|today| {
                let first = unit_of(today, units.unit)?;
                Some((first, moved_units(first, units.unit, 1)?.pred_opt()?))
            });
            days.map_or(Kind::Never, |(first, last)| Kind::Anniversary(first, last))
        }
    }
}

fn anniversary(clock: &Clock, first: i64, last: i64) -> Kind {
    match (clock.day(first), clock.day(last)) {
        (Some(first), Some(last)) => Kind::Anniversary(first, last),
        (None, _) | (_, None) => Kind::Never,
    }
}

/// A range whose bounds are two numbers or two strings, of which one may be missing.
fn range(low: Option<(&Scalar, bool)>, high: Option<(&Scalar, bool)>) -> Kind {
    let number = |bound: Option<(&Scalar, bool)>| match bound {
        Some((Scalar::Number(number), included)) => Some((Exact::new(number), included)),
        Some((Scalar::String(_) | Scalar::Bool(_), _)) | None => None,
    };
    let text = |bound: Option<(&Scalar, bool)>| match bound {
        Some((Scalar::String(text), included)) => Some((text.clone(), included)),
        Some((Scalar::Number(_) | Scalar::Bool(_), _)) | None => None,
    };
    match low.or(high) {
        Some((Scalar::Number(_), _)) => Kind::Numbers(Range { low: number(low), high: number(high) }),
        Some((Scalar::String(_), _)) => Kind::Texts(Range { low: text(low), high: text(high) }),
        Some((Scalar::Bool(_), _)) | None => Kind::Never,
    }
}
