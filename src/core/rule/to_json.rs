//! [`Rule`] -> canonical JSON: what was written, with operator names rewritten and nothing else.

use serde_json::{Map, Value, json};

use super::{
    Aggregate, Amount, Anchor, AnchorEvent, Argument, Compare, Comparison, Condition, Cut, Did, EventAmount,
    EventTypes, Figure, Hours, Measure, Occurrence, Predicate, Property, PropertyTest, Rank, Rows, Rule, Sample,
    Sequence, Step, StepKind, Times, Weekdays, Where, Whole, Window, WrittenPath, weekday_name,
};
use crate::time::Interval;
use crate::value::{Number, Scalar};

impl Rule {
    /// The rule as it is stored. [`super::parse()`] reads it back to an equal rule.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = condition(&self.condition);
        if let Some(version) = self.version {
            object.insert("version".into(), whole(&version));
        }
        if let Some(timezone) = &self.timezone {
            object.insert("timezone".into(), json!(timezone));
        }
        Value::Object(object)
    }
}

fn object(key: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), value)])
}

fn list<T>(items: &[T], convert: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(convert).collect())
}

fn condition(from: &Condition) -> Map<String, Value> {
    let nested = |inner: &Condition| Value::Object(condition(inner));
    match from {
        Condition::And(all) => object("and", list(all, nested)),
        Condition::Or(any) => object("or", list(any, nested)),
        Condition::Not(inner) => object("not", nested(inner)),
        Condition::Did(from) => did("did", from),
        Condition::DidNot(from) => did("did_not", from),
        Condition::Profile(from) => test("profile", from),
        Condition::ProfileElement(from) => {
            let mut object = object("profile", property(&from.property));
            object.insert("element".into(), json!(true));
            object.insert("where".into(), where_(&from.filter));
            object
        }
        Condition::Cohort(name) => object("cohort", json!(name)),
        Condition::CustomerIn(from) => object("customer_in", rows(from)),
        Condition::Sequence(from) => sequence(from),
        Condition::Compare(from) => compare(from),
        Condition::Rank(from) => rank(from),
        Condition::Group(group) => {
            let mut object = object("group", property(&group.property));
            object.insert(group.quantifier.name().into(), nested(&group.condition));
            object
        }
        Condition::Sample(Sample { from, to, salt }) => {
            object("sample", json!({"percent": [number(from), number(to)], "salt": salt}))
        }
    }
}

fn did(word: &str, from: &Did) -> Map<String, Value> {
    let Did { events, filter, count, time, aggregate: figure, occurrence, among, periods } = from;
    let mut object = object(word, event_types(events));
    if let Some(filter) = filter {
        object.insert("where".into(), where_(filter));
    }
    if let Some(count) = count {
        object.insert("count".into(), Value::Object(comparison(count, whole)));
    }
    if let Some(time) = time {
        object.insert("time".into(), times(time));
    }
    if let Some(figure) = figure {
        object.insert("aggregate".into(), Value::Object(aggregate(figure)));
    }
    if let Some(occurrence) = occurrence {
        object.insert("occurrence".into(), of_occurrence(occurrence));
    }
    if let Some(among) = among {
        object.insert("among".into(), where_(among));
    }
    if let Some(periods) = periods {
        let mut numbers = comparison(&periods.comparison, whole);
        if let Some(streak) = periods.streak {
            numbers.insert("streak".into(), json!(streak.name()));
        }
        object.insert("per".into(), json!(periods.unit.name()));
        object.insert("periods".into(), Value::Object(numbers));
    }
    object
}

fn of_occurrence(from: &Occurrence) -> Value {
    match from {
        Occurrence::First => json!("first"),
        Occurrence::Last => json!("last"),
        Occurrence::Nth(number) => json!({"nth": whole(number)}),
        Occurrence::NthLast(number) => {
            let text = format!("-{}", whole(number));
            json!({"nth": text.parse().map(Value::Number).expect("digits follow the JSON grammar")})
        }
    }
}

fn compare(from: &Compare) -> Map<String, Value> {
    let Compare { left, operator, right, factor, over } = from;
    let mut object = object("compare", amount(left));
    object.insert("operator".into(), json!(operator.name()));
    object.insert("to".into(), amount(right));
    if let Some(factor) = factor {
        object.insert("factor".into(), number(factor));
    }
    if let Some(over) = over {
        object.insert("over".into(), property(over));
    }
    object
}

fn rank(from: &Rank) -> Map<String, Value> {
    let Rank { figure, order, cut, by, of } = from;
    let mut object = object("rank", amount(figure));
    object.insert("order".into(), json!(order.name()));
    match cut {
        Cut::Top(top) => object.insert("top".into(), whole(top)),
        Cut::Percent(from, to) => object.insert("percent".into(), json!([number(from), number(to)])),
    };
    if let Some(by) = by {
        object.insert("by".into(), property(by));
    }
    if let Some(of) = of {
        object.insert("of".into(), Value::Object(condition(of)));
    }
    object
}

fn amount(from: &Amount) -> Value {
    match from {
        Amount::Number(from) => number(from),
        Amount::Profile(path) => json!({"profile": property(path)}),
        Amount::Events(from) => {
            let EventAmount { events, filter, time, measure } = from.as_ref();
            let mut object = object("did", event_types(events));
            if let Some(filter) = filter {
                object.insert("where".into(), where_(filter));
            }
            if let Some(time) = time {
                object.insert("time".into(), times(time));
            }
            if let Some(Measure { function, property: path }) = measure {
                object.insert("aggregate".into(), json!({"fn": function.name(), "property": property(path)}));
            }
            Value::Object(object)
        }
    }
}

fn sequence(from: &Sequence) -> Map<String, Value> {
    let Sequence { steps, within } = from;
    let mut object = object("sequence", list(steps, step));
    if let Some(within) = within {
        object.insert("within".into(), json!(within.text));
    }
    object
}

fn step(from: &Step) -> Value {
    let Step { kind, events, filter, name, time, occurrence, among, within, after, times: number } = from;
    let word = match kind {
        StepKind::Did => "did",
        StepKind::DidNot => "did_not",
    };
    let mut object = object(word, event_types(events));
    if let Some(filter) = filter {
        object.insert("where".into(), where_(filter));
    }
    if let Some(name) = name {
        object.insert("as".into(), json!(name));
    }
    if let Some(time) = time {
        object.insert("time".into(), times(time));
    }
    if let Some(occurrence) = occurrence {
        object.insert("occurrence".into(), of_occurrence(occurrence));
    }
    if let Some(among) = among {
        object.insert("among".into(), where_(among));
    }
    for (key, interval) in [("within", within), ("after", after)] {
        if let Some(interval) = interval {
            object.insert(key.into(), json!(interval.text));
        }
    }
    if let Some(number) = number {
        object.insert("times".into(), whole(number));
    }
    Value::Object(object)
}

fn event_types(from: &EventTypes) -> Value {
    match from {
        EventTypes::One(name) => json!(name),
        EventTypes::Many(names) => json!(names),
    }
}

fn where_(from: &Where) -> Value {
    match from {
        Where::One(one) => predicate(one),
        Where::All(all) => list(all, predicate),
    }
}

fn predicate(from: &Predicate) -> Value {
    Value::Object(match from {
        Predicate::And(all) => object("and", list(all, predicate)),
        Predicate::Or(any) => object("or", list(any, predicate)),
        Predicate::Not(inner) => object("not", predicate(inner)),
        Predicate::Test(from) => test("property", from),
        Predicate::Element(from) => {
            let mut object = object("element", property(&from.property));
            object.insert("where".into(), where_(&from.filter));
            object
        }
    })
}

fn test(key: &str, from: &PropertyTest) -> Map<String, Value> {
    let PropertyTest { property: of, operator, argument, ignore_case } = from;
    let mut object = object(key, property(of));
    object.insert("operator".into(), json!(operator.name()));
    let value = match argument {
        Argument::None => None,
        Argument::Ref(reference) => {
            object.insert("ref".into(), path(&reference.written));
            None
        }
        Argument::Rows(from) => {
            object.insert("rows".into(), rows(from));
            None
        }
        Argument::Scalar(value) => Some(scalar(value)),
        Argument::Range(low, high) => Some(json!([scalar(low), scalar(high)])),
        Argument::List(values) => Some(list(values, scalar)),
        Argument::Text(text) => Some(json!(text)),
        Argument::Date(date) => Some(json!(date.text)),
        Argument::Interval(interval) => Some(json!(interval.text)),
        Argument::Units(units) => Some(json!(units.text)),
    };
    if let Some(value) = value {
        object.insert("value".into(), value);
    }
    if let Some(ignore_case) = ignore_case {
        object.insert("ignore_case".into(), json!(ignore_case));
    }
    object
}

fn rows(from: &Rows) -> Value {
    let Rows { table, column, filter, values: _ } = from;
    let mut object = object("table", json!(table.written));
    object.insert("column".into(), json!(column));
    if let Some(filter) = filter {
        object.insert("where".into(), where_(filter));
    }
    Value::Object(object)
}

fn property(from: &Property) -> Value {
    path(&from.written)
}

fn path(from: &WrittenPath) -> Value {
    match from {
        WrittenPath::Dotted(path) => json!(path),
        WrittenPath::Keys(keys) => json!(keys),
    }
}

fn scalar(from: &Scalar) -> Value {
    match from {
        Scalar::String(text) => json!(text),
        Scalar::Number(from) => number(from),
        Scalar::Bool(boolean) => json!(boolean),
    }
}

fn number(from: &Number) -> Value {
    from.text().parse().map(Value::Number).expect("the text of a number follows the JSON grammar")
}

fn whole(from: &Whole) -> Value {
    let text = match from.decimals {
        0 => from.value.to_string(),
        decimals => format!("{}.{}", from.value, "0".repeat(decimals.into())),
    };
    text.parse().map(Value::Number).expect("digits follow the JSON grammar")
}

fn comparison<N>(from: &Comparison<N>, convert: impl Fn(&N) -> Value) -> Map<String, Value> {
    let (name, value) = match from {
        Comparison::Eq(number) => ("eq", convert(number)),
        Comparison::Neq(number) => ("neq", convert(number)),
        Comparison::Gt(number) => ("gt", convert(number)),
        Comparison::Gte(number) => ("gte", convert(number)),
        Comparison::Lt(number) => ("lt", convert(number)),
        Comparison::Lte(number) => ("lte", convert(number)),
        Comparison::Between(low, high) => ("between", json!([convert(low), convert(high)])),
    };
    object(name, value)
}

fn aggregate(from: &Aggregate) -> Map<String, Value> {
    let (name, mut object) = match &from.figure {
        Figure::Sum(with) => ("sum", comparison(with, number)),
        Figure::Avg(with) => ("avg", comparison(with, number)),
        Figure::Min(with) => ("min", comparison(with, number)),
        Figure::Max(with) => ("max", comparison(with, number)),
        Figure::CountDistinct(with) => ("count_distinct", comparison(with, number)),
        Figure::MostFrequentIs(value) => ("most_frequent", object("eq", scalar(value))),
        Figure::MostFrequentIn(values) => ("most_frequent", object("in", list(values, scalar))),
    };
    object.insert("fn".into(), json!(name));
    object.insert("property".into(), property(&from.property));
    object
}

fn times(from: &Times) -> Value {
    match from {
        Times::One(form) => Value::Object(window(form)),
        Times::All(forms) => list(forms, |form| Value::Object(window(form))),
    }
}

fn window(from: &Window) -> Map<String, Value> {
    match from {
        Window::InTheLast(interval) => object("in_the_last", json!(interval.text)),
        Window::MoreThanAgo(interval) => object("more_than_ago", json!(interval.text)),
        Window::BetweenAgo(longer, shorter) => object("between_ago", json!([longer.text, shorter.text])),
        Window::Since(date) => object("since", json!(date.text)),
        Window::Before(date) => object("before", json!(date.text)),
        Window::Between(first, last) => object("between", json!([first.text, last.text])),
        Window::This(unit) => object("this", json!(unit.name())),
        Window::Previous(units) => object("previous", json!(units.text)),
        Window::Weekday(Weekdays::One(day)) => object("weekday", json!(weekday_name(*day))),
        Window::Weekday(Weekdays::Many(days)) => object("weekday", list(days, |day| json!(weekday_name(*day)))),
        Window::Hours(hours) => object("hours", json!([Hours::text(hours.from), Hours::text(hours.to)])),
        Window::From(from, within) => anchored("from", from, within.as_ref()),
        Window::Until(until, within) => anchored("until", until, within.as_ref()),
    }
}

fn anchored(word: &str, from: &Anchor, within: Option<&Interval>) -> Map<String, Value> {
    let mut anchored = object(word, anchor(from));
    if let Some(within) = within {
        anchored.insert("within".into(), json!(within.text));
    }
    anchored
}

fn anchor(from: &Anchor) -> Value {
    let event = |word: &str, event: &AnchorEvent| {
        let mut object = object(word, event_types(&event.events));
        if let Some(filter) = &event.filter {
            object.insert("where".into(), where_(filter));
        }
        object
    };
    Value::Object(match from {
        Anchor::First(first) => event("first", first),
        Anchor::Last(last) => event("last", last),
        Anchor::Profile(path) => object("profile", property(path)),
    })
}
