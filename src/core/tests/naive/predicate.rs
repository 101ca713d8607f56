//! Predicates on one event's data, a profile or an element.

use std::cmp::Ordering;
use std::collections::HashMap;

use chrono::{Datelike as _, NaiveDate};
use cohort_core::rule::{Argument, ElementTest, Operator, Predicate, PropertyTest, Referred, Where};
use cohort_core::time::{Reading, read};
use cohort_core::value::Scalar;
use serde_json::Value;

use super::rows::values_of;
use super::values::{equals, lower, order, reach, scalar};
use super::when::{period_away, period_of};
use crate::common::calendar::{day, day_start, instant, shift};

/// What the references of a predicate name.
#[derive(Clone)]
pub struct Names<'w> {
    pub event: Option<&'w Value>,
    pub profile: &'w Value,
    /// The innermost element.
    pub element: Option<&'w Value>,
    /// The row of a table.
    pub row: Option<&'w Value>,
    /// The rows of the table beside the events.
    pub table: &'w [Value],
    /// The events that steps of a sequence took.
    pub steps: HashMap<&'w str, &'w Value>,
    pub as_of: i64,
    pub zone: &'w str,
}

/// Whether all predicates of a list hold; without a list they do.
pub fn all_hold<'w>(filter: Option<&'w Where>, of: &'w Value, names: &Names<'w>) -> bool {
    filter.is_none_or(|filter| filter.predicates().iter().all(|predicate| holds(predicate, of, names)))
}

pub fn holds<'w>(predicate: &'w Predicate, of: &'w Value, names: &Names<'w>) -> bool {
    match predicate {
        Predicate::And(list) => list.iter().all(|one| holds(one, of, names)),
        Predicate::Or(list) => list.iter().any(|one| holds(one, of, names)),
        Predicate::Not(one) => !holds(one, of, names),
        Predicate::Test(test) => tests(test, of, names),
        Predicate::Element(test) => has_element(test, of, names),
    }
}

/// Whether one and the same element of an array satisfies all.
pub fn has_element<'w>(test: &'w ElementTest, of: &'w Value, names: &Names<'w>) -> bool {
    let elements = reach(of, &test.property.steps).into_iter().filter_map(Value::as_array).flatten();
    elements
        .filter(|element| !element.is_null())
        .any(|element| all_hold(Some(&test.filter), element, &Names { element: Some(element), ..names.clone() }))
}

/// Whether a property satisfies a test: any of its values a positive operator, none of them the positive one of a negative.
pub fn tests<'w>(test: &'w PropertyTest, of: &'w Value, names: &Names<'w>) -> bool {
    let own = reach(of, &test.property.steps);
    match test.operator.negates() {
        Some(positive) => !own.iter().any(|own| is(own, positive, test, names)),
        None => own.iter().any(|own| is(own, test.operator, test, names)),
    }
}

/// Whether a value satisfies a positive operator.
fn is(own: &Value, operator: Operator, test: &PropertyTest, names: &Names<'_>) -> bool {
    let ignore_case = test.ignore_case == Some(true);
    match &test.argument {
        Argument::None => true,
        Argument::Scalar(other) => compares(own, operator, other, ignore_case),
        Argument::Ref(reference) => {
            let of = match &reference.of {
                Referred::Event => names.event.expect("an event"),
                Referred::Profile => names.profile,
                Referred::Element => names.element.expect("an element"),
                Referred::Step(name) => names.steps[name.as_str()],
                Referred::Row => names.row.expect("a row"),
            };
            reach(of, &reference.steps).into_iter().any(|other| match operator {
                Operator::Before | Operator::Since | Operator::On => {
                    other.as_str().and_then(read).is_some_and(|other| dated(own, operator, other, names))
                }
                _ => scalar(other).is_some_and(|other| compares(own, operator, &other, ignore_case)),
            })
        }
        Argument::Range(low, high) => {
            order(own, low).is_some_and(Ordering::is_ge) && order(own, high).is_some_and(Ordering::is_le)
        }
        Argument::List(list) => lists(own, operator, list, ignore_case),
        Argument::Text(part) => texts(own, operator, part, ignore_case),
        Argument::Date(date) => dated(own, operator, date.reading, names),
        Argument::Interval(interval) => {
            let Some(at) = own.as_str().and_then(read).map(|reading| instant_of(reading, names.zone)) else {
                return false;
            };
            let (as_of, zone) = (names.as_of, names.zone);
            let (back, forth) = (shift(as_of, interval, false, zone), shift(as_of, interval, true, zone));
            match operator {
                Operator::InTheLast => back < at && at <= as_of,
                Operator::MoreThanAgo => at <= back,
                Operator::InTheNext => as_of < at && at <= forth,
                Operator::AnniversaryInTheNext => comes_round(day(at, zone), day(as_of, zone), day(forth, zone)),
                Operator::AnniversaryInTheLast => comes_round(day(at, zone), day(back, zone), day(as_of, zone)),
                other => panic!("{other:?} takes no interval"),
            }
        }
        Argument::Units(units) => {
            let Some(at) = own.as_str().and_then(read).map(|reading| instant_of(reading, names.zone)) else {
                return false;
            };
            let current = period_of(units.unit, day(names.as_of, names.zone));
            let away = |number: i64| period_away(units.unit, current, number);
            let within = |first: NaiveDate, after: NaiveDate| {
                day_start(first, names.zone) <= at && at < day_start(after, names.zone)
            };
            let count = i64::from(units.count);
            match operator {
                Operator::This => within(current, away(1)),
                Operator::Previous => within(away(-count), current),
                Operator::Next => within(away(1), away(1 + count)),
                Operator::AnniversaryThis => {
                    comes_round(day(at, names.zone), current, away(1).pred_opt().expect("a day"))
                }
                other => panic!("{other:?} takes no units"),
            }
        }
        Argument::Rows(rows) => values_of(rows, names).iter().any(|other| equals(own, other, ignore_case)),
    }
}

fn compares(own: &Value, operator: Operator, other: &Scalar, ignore_case: bool) -> bool {
    match operator {
        Operator::Eq => equals(own, other, ignore_case),
        Operator::Gt => order(own, other).is_some_and(Ordering::is_gt),
        Operator::Gte => order(own, other).is_some_and(Ordering::is_ge),
        Operator::Lt => order(own, other).is_some_and(Ordering::is_lt),
        Operator::Lte => order(own, other).is_some_and(Ordering::is_le),
        other => panic!("{other:?} takes no scalar"),
    }
}

fn lists(own: &Value, operator: Operator, list: &[Scalar], ignore_case: bool) -> bool {
    let contains = |one: &Scalar| own.as_array().into_iter().flatten().any(|element| equals(element, one, false));
    match operator {
        Operator::In => list.iter().any(|one| equals(own, one, ignore_case)),
        Operator::ContainsAny => list.iter().any(contains),
        Operator::ContainsAll => list.iter().all(contains),
        other => panic!("{other:?} takes no list"),
    }
}

fn texts(own: &Value, operator: Operator, text: &str, ignore_case: bool) -> bool {
    if operator == Operator::Regex {
        let pattern = regex::RegexBuilder::new(text).case_insensitive(ignore_case).build().expect("a pattern");
        return own.as_str().is_some_and(|own| pattern.is_match(own));
    }
    let fold = |text: &str| if ignore_case { lower(text) } else { text.to_owned() };
    let text = fold(text);
    let string = own.as_str().map(fold);
    match operator {
        Operator::Contains => {
            let in_array = || own.as_array().into_iter().flatten().any(|e| e.as_str().is_some_and(|e| fold(e) == text));
            string.map_or_else(in_array, |own| own.contains(&text))
        }
        Operator::StartsWith => string.is_some_and(|own| own.starts_with(&text)),
        Operator::EndsWith => string.is_some_and(|own| own.ends_with(&text)),
        other => panic!("{other:?} takes no text"),
    }
}

/// The instant of a reading; of a date the first one of its day.
pub fn instant_of(reading: Reading, zone: &str) -> i64 {
    match reading {
        Reading::Day(day) => day_start(day, zone),
        Reading::Local(local) => instant(local, zone),
        Reading::Instant(at) => at.0,
    }
}

/// The last instant that a reading covers: of a date the last one of its day.
pub fn last_instant_of(reading: Reading, zone: &str) -> i64 {
    match reading {
        Reading::Day(day) => day_start(day.succ_opt().expect("a day"), zone) - 1,
        other => instant_of(other, zone),
    }
}

fn dated(own: &Value, operator: Operator, other: Reading, names: &Names<'_>) -> bool {
    let Some(own) = own.as_str().and_then(read) else { return false };
    let at = instant_of(own, names.zone);
    match (operator, other) {
        (Operator::Before, other) => at < instant_of(other, names.zone),
        (Operator::Since, other) => at >= instant_of(other, names.zone),
        (Operator::On, Reading::Day(other)) => day(at, names.zone) == other,
        (Operator::On, other) => at == instant_of(other, names.zone),
        (other, _) => panic!("{other:?} takes no date"),
    }
}

/// Whether the month and day of a date are those of a day from the first to the last; 29 February counts as the 28th in
/// common years.
fn comes_round(date: NaiveDate, first: NaiveDate, last: NaiveDate) -> bool {
    (first.year()..=last.year()).any(|year| {
        let anniversary = date.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 2, 28));
        anniversary.is_some_and(|anniversary| first <= anniversary && anniversary <= last)
    })
}
