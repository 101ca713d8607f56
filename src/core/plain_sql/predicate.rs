//! Tests of properties as SQL.
//!
//! Every expression made here is *true* exactly when the test holds; otherwise it is false or null. `AND`, `OR` and
//! `WHERE` keep that, and negation is always `IS NOT TRUE`.

use super::HELPERS;
use super::clock::Clock;
use super::path;
use super::quote::{self, group, not, one_of};
use super::rows;
use crate::rule::{
    Argument, CalendarWindow, DateOrder, ElementTest, Elements, Family, IntervalWindow, Operator, PathStep, Predicate,
    PropertyTest, Reference, Referred, Relation, TextMatch, Units, Where,
};
use crate::text::simple_lower;
use crate::time::{DateValue, Interval, Reading};
use crate::value::Scalar;

/// Where what references name is found, elements aside: the `jsonb` expression from which the reference's path goes on; of
/// a step's event without the path's first key.
pub(super) type Bound<'a> = &'a dyn Fn(&Reference) -> String;

/// What a predicate is written about.
#[derive(Clone, Copy)]
struct Place<'a> {
    root: Root<'a>,
    /// How many names of elements are in use.
    names: usize,
    /// The innermost element.
    element: Option<&'a str>,
    clock: &'a Clock<'a>,
    bound: Bound<'a>,
}

/// Where paths start.
#[derive(Clone, Copy)]
enum Root<'a> {
    /// At a `jsonb` expression.
    Json(&'a str),
    /// At the columns of a table's row, called `r`.
    Row,
}

impl Root<'_> {
    /// The expression to which the rest of a path is applied.
    fn follow(self, steps: &[PathStep]) -> (String, &[PathStep]) {
        match (self, steps) {
            (Self::Json(root), steps) => (root.to_owned(), steps),
            (Self::Row, [PathStep::Key(column), rest @ ..]) => (rows::value(column), rest),
            (Self::Row, steps) => ("NULL::jsonb".to_owned(), steps), // a path within a row begins with a column
        }
    }
}

/// One predicate over the `jsonb` expression `root`.
pub(super) fn predicate(predicate: &Predicate, root: &str, clock: &Clock, bound: Bound) -> String {
    within(predicate, Place { root: Root::Json(root), names: 0, element: None, clock, bound })
}

/// The predicates on a table's row, called `r`.
pub(super) fn of_row(filter: Option<&Where>, clock: &Clock) -> Vec<String> {
    // Nothing outside of the row can be named there.
    let bound = &|_: &Reference| String::from("NULL::jsonb");
    let place = Place { root: Root::Row, names: 0, element: None, clock, bound };
    filter.map_or(&[][..], Where::predicates).iter().map(|item| within(item, place)).collect()
}

fn within(predicate: &Predicate, place: Place) -> String {
    let all = |list: &[Predicate]| -> Vec<String> { list.iter().map(|item| within(item, place)).collect() };
    match predicate {
        Predicate::And(list) => group("AND", &all(list)),
        Predicate::Or(list) => group("OR", &all(list)),
        Predicate::Not(inner) => not(&within(inner, place)),
        Predicate::Test(test) => match test.operator.negates() {
            Some(_) => not(&positive_within(test, place)),
            None => positive_within(test, place),
        },
        Predicate::Element(test) => element_within(test, place),
    }
}

/// One element of an array satisfies all predicates.
pub(super) fn element(test: &ElementTest, root: &str, clock: &Clock, bound: Bound) -> String {
    element_within(test, Place { root: Root::Json(root), names: 0, element: None, clock, bound })
}

fn element_within(test: &ElementTest, place: Place) -> String {
    let (start, steps) = place.root.follow(&test.property.steps);
    let mut reached = path::follow(&start, steps, place.names);
    let element = format!("v{}", reached.names + 1);
    reached.elements.push(format!("{HELPERS}.json_elements({}) AS {element}", reached.value));
    let mut conditions = vec![format!("{element} <> 'null'")];
    let inside = Place { root: Root::Json(&element), names: reached.names + 1, element: Some(&element), ..place };
    conditions.extend(test.filter.predicates().iter().map(|item| within(item, inside)));
    path::exists(&reached.elements, &group("AND", &conditions))
}

/// For every reference of plain paths that must hold: an equation that the reference implies, with the event on one
/// side and the bound value on the other. A join can be hashed by it; by the reference itself, whose meaning depends on
/// the bound value's type, it would compare everything with everything.
pub(super) fn hashable(predicate: &Predicate, root: &str, bound: Bound) -> Vec<String> {
    match predicate {
        Predicate::And(list) => list.iter().flat_map(|item| hashable(item, root, bound)).collect(),
        Predicate::Test(test) if test.operator == Operator::Eq && test.ignore_case != Some(true) => {
            let Argument::Ref(reference @ Reference { of: Referred::Step(_), steps, .. }) = &test.argument else {
                return Vec::new();
            };
            let value = path::follow(root, &test.property.steps, 0);
            let other = path::follow(&bound(reference), &steps[1..], 0);
            if !value.elements.is_empty() || !other.elements.is_empty() {
                return Vec::new();
            }
            let number_or_itself = |side: &str| format!("coalesce(to_jsonb({HELPERS}.json_number({side})), {side})");
            vec![format!("{} = {}", number_or_itself(&value.value), number_or_itself(&other.value))]
        }
        Predicate::Test(_) | Predicate::Or(_) | Predicate::Not(_) | Predicate::Element(_) => Vec::new(),
    }
}

/// The test, or, when its operator is a negation, the test that it negates.
pub(super) fn positive(test: &PropertyTest, root: &str, clock: &Clock, bound: Bound) -> String {
    positive_within(test, Place { root: Root::Json(root), names: 0, element: None, clock, bound })
}

fn positive_within(test: &PropertyTest, place: Place) -> String {
    let Place { root, names, element, clock, bound } = place;
    let family = test.operator.family();
    let ignore_case = test.ignore_case.unwrap_or(false);
    let (start, steps) = root.follow(&test.property.steps);
    path::any(&start, steps, names, |value, names| {
        if let Argument::Ref(reference) = &test.argument {
            let (other, steps) = match (&reference.of, element) {
                (Referred::Row, _) => Root::Row.follow(&reference.steps),
                (Referred::Element, Some(element)) => (element.to_owned(), &reference.steps[..]),
                (Referred::Step(_), _) => (bound(reference), reference.steps.get(1..).unwrap_or_default()),
                (Referred::Event | Referred::Profile, _) | (Referred::Element, None) => {
                    (bound(reference), &reference.steps[..])
                }
            };
            return path::any(&other, steps, names, |other, _| related(value, other, family, ignore_case, clock));
        }
        compare(value, names, family, &test.argument, ignore_case, clock)
    })
}

/// One value (an expression, null when missing) against a written argument. One of another family's shape, which no parser
/// gives, is never satisfied; a reference is answered before a value is compared with it.
fn compare(value: &str, names: usize, family: Family, argument: &Argument, ignore_case: bool, clock: &Clock) -> String {
    match (family, argument) {
        (Family::Exists, _) => format!("{value} <> 'null'"),
        (Family::Order(relation), Argument::Scalar(scalar)) => match relation {
            Relation::Eq => equals_any(value, std::slice::from_ref(scalar), ignore_case),
            Relation::Gt => ordered(value, ">", scalar),
            Relation::Gte => ordered(value, ">=", scalar),
            Relation::Lt => ordered(value, "<", scalar),
            Relation::Lte => ordered(value, "<=", scalar),
        },
        (Family::Between, Argument::Range(low, high)) => {
            let (side, low) = side(value, low);
            let (_, high) = self::side(value, high);
            format!("{side} BETWEEN {low} AND {high}")
        }
        (Family::In, Argument::List(list)) => equals_any(value, list, ignore_case),
        (Family::In, Argument::Rows(rows)) => rows::contain(rows, value, names, ignore_case, clock),
        (Family::Elements(Elements::Any), Argument::List(list)) => {
            let element = format!("v{}", names + 1);
            path::exists(
                &[format!("{HELPERS}.json_elements({value}) AS {element}")],
                &equals_any(&element, list, false),
            )
        }
        (Family::Elements(Elements::All), Argument::List(list)) => contains_all(value, names, list),
        (Family::Text(place), Argument::Text(text)) => match place {
            TextMatch::Contains => contains(value, names, text, ignore_case),
            TextMatch::StartsWith => {
                let (side, text) = folded(value, text, ignore_case);
                format!("starts_with({side}, {})", quote::text(&text))
            }
            TextMatch::EndsWith => {
                let (side, text) = folded(value, text, ignore_case);
                format!("right({side}, {}) COLLATE \"C\" = {}", text.chars().count(), quote::text(&text))
            }
            TextMatch::Regex => {
                format!("{HELPERS}.regex_match({HELPERS}.json_text({value}), {}, {ignore_case})", quote::text(text))
            }
        },
        (Family::Date(order), Argument::Date(date)) => dated(value, order, date, clock),
        (Family::Interval(window), Argument::Interval(interval)) => in_interval(value, window, interval, clock),
        (Family::Calendar(window), Argument::Units(units)) => calendar(value, window, units, clock),
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
        ) => String::from("false"),
    }
}

/// The property read as an instant is before, since or on a date.
fn dated(value: &str, order: DateOrder, date: &DateValue, clock: &Clock) -> String {
    let zone = &clock.zone;
    let instant = |sign: &str| format!("{HELPERS}.json_instant({value}, {zone}) {sign} {}", clock.instant(date));
    match (order, date.reading) {
        (DateOrder::Before, _) => instant("<"),
        (DateOrder::Since, _) => instant(">="),
        (DateOrder::On, Reading::Day(_)) => {
            format!("{HELPERS}.json_day({value}, {zone}) = date {}", quote::text(&date.text))
        }
        (DateOrder::On, Reading::Local(_) | Reading::Instant(_)) => instant("="),
    }
}

/// The property read as a date, or its anniversary, is within an interval before or after `as_of`.
fn in_interval(value: &str, window: IntervalWindow, interval: &Interval, clock: &Clock) -> String {
    let at = format!("{HELPERS}.json_instant({value}, {})", clock.zone);
    let anniversary = |(first, last)| {
        let day = format!("{HELPERS}.json_day({value}, {})", clock.zone);
        quote::call(&format!("{HELPERS}.anniversary_between"), &[day, first, last])
    };
    match window {
        IntervalWindow::InTheLast => {
            group("AND", &[format!("{at} > {}", clock.ago(interval)), format!("{at} <= {}", clock.as_of)])
        }
        IntervalWindow::InTheNext => {
            group("AND", &[format!("{at} > {}", clock.as_of), format!("{at} <= {}", clock.ahead(interval))])
        }
        IntervalWindow::MoreThanAgo => format!("{at} <= {}", clock.ago(interval)),
        IntervalWindow::AnniversaryInTheNext => anniversary(clock.days_ahead(interval)),
        IntervalWindow::AnniversaryInTheLast => anniversary(clock.days_ago(interval)),
    }
}

/// The property read as a date, or its anniversary, is in a calendar window.
fn calendar(value: &str, window: CalendarWindow, units: &Units, clock: &Clock) -> String {
    let count = i32::from(units.count);
    let between = |from, to| {
        let at = format!("{HELPERS}.json_instant({value}, {})", clock.zone);
        group("AND", &clock.units(units, from, to, &at))
    };
    match window {
        CalendarWindow::This => between(0, 1),
        CalendarWindow::Previous => between(-count, 0),
        CalendarWindow::Next => between(1, count + 1),
        CalendarWindow::AnniversaryThis => {
            let (first, last) = clock.days_of_unit(units.unit);
            let day = format!("{HELPERS}.json_day({value}, {})", clock.zone);
            quote::call(&format!("{HELPERS}.anniversary_between"), &[day, first, last])
        }
    }
}

/// The side and the literal of a comparison by size.
fn side(value: &str, scalar: &Scalar) -> (String, String) {
    match scalar {
        Scalar::Number(number) => (format!("{HELPERS}.json_number({value})"), quote::number(number)),
        Scalar::String(string) => (format!("{HELPERS}.json_text({value}) COLLATE \"C\""), quote::text(string)),
        // No rule orders booleans; a boolean has no text, so nothing would compare.
        Scalar::Bool(value) => ("NULL::text".to_owned(), quote::text(&value.to_string())),
    }
}

fn ordered(value: &str, sign: &str, scalar: &Scalar) -> String {
    let (side, literal) = side(value, scalar);
    format!("{side} {sign} {literal}")
}

/// The string and the text it is compared with, both in lower case when case is ignored.
fn folded(value: &str, text: &str, ignore_case: bool) -> (String, String) {
    if ignore_case {
        (format!("{HELPERS}.simple_lower({HELPERS}.json_text({value}))"), simple_lower(text))
    } else {
        (format!("{HELPERS}.json_text({value})"), text.to_owned())
    }
}

/// Equal to one of the scalars: each kind together in one list.
pub(super) fn equals_any(value: &str, scalars: &[Scalar], ignore_case: bool) -> String {
    let (mut json, mut lowered, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for scalar in scalars {
        match scalar {
            Scalar::String(string) if ignore_case => {
                lowered.push(quote::text(&simple_lower(string)));
            }
            Scalar::Number(number) => numbers.push(quote::number(number)),
            other => json.extend(quote::json_scalar(other)),
        }
    }
    let mut kinds = Vec::new();
    if !json.is_empty() {
        kinds.push(one_of(value, &json));
    }
    if !lowered.is_empty() {
        kinds.push(one_of(&format!("{HELPERS}.simple_lower({HELPERS}.json_text({value})) COLLATE \"C\""), &lowered));
    }
    if !numbers.is_empty() {
        kinds.push(one_of(&format!("{HELPERS}.json_number({value})"), &numbers));
    }
    group("OR", &kinds)
}

/// A substring of a string, or an element of an array.
fn contains(value: &str, names: usize, text: &str, ignore_case: bool) -> String {
    let (side, lowered) = folded(value, text, ignore_case);
    let substring = format!("strpos({side}, {}) > 0", quote::text(&lowered));
    let element = if ignore_case {
        let element = format!("v{}", names + 1);
        path::exists(
            &[format!("{HELPERS}.json_elements({value}) AS {element}")],
            &equals_any(&element, &[Scalar::String(text.to_owned())], true),
        )
    } else {
        // On arrays @> is "has these elements", and no string or object contains an array.
        format!("{value} @> {}", quote::json(&serde_json::json!([text])))
    };
    group("OR", &[substring, element])
}

/// An array with an equal element for each of the scalars.
fn contains_all(value: &str, names: usize, scalars: &[Scalar]) -> String {
    let (mut others, mut numbers) = (Vec::new(), Vec::new());
    for scalar in scalars {
        match scalar {
            Scalar::String(string) => others.push(serde_json::Value::from(string.as_str())),
            Scalar::Bool(value) => others.push(serde_json::Value::from(*value)),
            Scalar::Number(number) => numbers.push(quote::number(number)),
        }
    }
    let mut kinds = Vec::new();
    if !others.is_empty() {
        kinds.push(format!("{value} @> {}", quote::json(&serde_json::Value::from(others))));
    }
    if !numbers.is_empty() {
        // Not @> on jsonb: the number 5 is also equal to an element "5".
        let element = format!("v{}", names + 1);
        kinds.push(format!(
            "ARRAY(SELECT {HELPERS}.json_number({element}) FROM {HELPERS}.json_elements({value}) AS {element}) \
             @> ARRAY[{}]::numeric[]",
            numbers.join(", ")
        ));
    }
    group("AND", &kinds)
}

/// Two properties compare as the operator and the second one's value would say.
fn related(value: &str, other: &str, family: Family, ignore_case: bool, clock: &Clock) -> String {
    let zone = &clock.zone;
    let instants =
        |sign: &str| format!("{HELPERS}.json_instant({value}, {zone}) {sign} {HELPERS}.json_instant({other}, {zone})");
    match family {
        Family::Order(Relation::Eq) => same(value, other, ignore_case),
        Family::Order(Relation::Gt) => larger(value, ">", other),
        Family::Order(Relation::Gte) => larger(value, ">=", other),
        Family::Order(Relation::Lt) => larger(value, "<", other),
        Family::Order(Relation::Lte) => larger(value, "<=", other),
        Family::Date(DateOrder::Before) => instants("<"),
        Family::Date(DateOrder::Since) => instants(">="),
        Family::Date(DateOrder::On) => {
            // A date without a time has ten characters.
            let day = |side: &str| format!("{HELPERS}.json_day({side}, {zone})");
            format!(
                "CASE length({HELPERS}.json_text({other}))\n  WHEN 10 THEN {} = {}\n  ELSE {}\nEND",
                day(value),
                day(other),
                instants("=")
            )
        }
        // These take no reference.
        Family::Exists
        | Family::Between
        | Family::In
        | Family::Elements(_)
        | Family::Text(_)
        | Family::Interval(_)
        | Family::Calendar(_) => String::from("false"),
    }
}

fn larger(value: &str, sign: &str, other: &str) -> String {
    let text = |side: &str| format!("{HELPERS}.json_text({side})");
    let number = |side: &str| format!("{HELPERS}.json_number({side})");
    format!(
        "CASE jsonb_typeof({other})\n  \
         WHEN 'string' THEN {} {sign} {} COLLATE \"C\"\n  \
         WHEN 'number' THEN {} {sign} {}\nEND",
        text(value),
        text(other),
        number(value),
        number(other)
    )
}

/// Two properties are equal as `eq` of the second one's value would say.
fn same(value: &str, other: &str, ignore_case: bool) -> String {
    let strings = if ignore_case {
        let lower = |side: &str| format!("{HELPERS}.simple_lower({HELPERS}.json_text({side})) COLLATE \"C\"");
        format!("{} = {}", lower(value), lower(other))
    } else {
        format!("{value} = {other}")
    };
    format!(
        "CASE jsonb_typeof({other})\n  \
         WHEN 'string' THEN {strings}\n  \
         WHEN 'number' THEN {HELPERS}.json_number({value}) = {HELPERS}.json_number({other})\n  \
         WHEN 'boolean' THEN {value} = {other}\nEND"
    )
}
