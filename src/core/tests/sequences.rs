//! Sequences against an evaluator that tries every assignment, over random histories: with references, alternatives,
//! absences, `within`, and little memory.

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cohort_core::eval::{Limits, Part, Plan, Source, Stop, Wish, evaluate};
use cohort_core::rule;
use cohort_core::segment::item::{Decimal, Item};
use cohort_core::segment::{RowKey, SegmentBuilder};
use common::LIMITS;
use common::random::Random;
use common::utc::Utc;
use serde_json::{Value, json};

const SECOND: i64 = 1_000_000;
const TYPES: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 2] = ["x", "y"];

/// One event: its type, its second, and its values by key.
#[derive(Debug, Clone)]
struct Happened {
    kind: usize,
    at: i64,
    values: [Option<Value>; 2],
}

fn value(random: &mut Random) -> Option<Value> {
    Some(match random.below(8) {
        0 => return None,
        1 => json!(random.below(3)),
        2 => json!(random.below(3).to_string()),
        3 => json!("1.0"),
        4 => json!(true),
        5 => json!("K"),
        6 => json!("k"),
        _ => json!([random.below(3), "k"]),
    })
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether a scalar equals the one referred to, whose type decides.
fn equal(own: &Value, other: &Value, ignore_case: bool) -> bool {
    match other {
        Value::Bool(_) => own == other,
        Value::Number(_) => number(own).is_some() && number(own) == number(other),
        Value::String(other) => own
            .as_str()
            .is_some_and(|own| if ignore_case { own.to_lowercase() == other.to_lowercase() } else { own == other }),
        _ => false,
    }
}

/// The scalars at `key`, or at `key[]`.
fn scalars<'v>(event: &'v Happened, path: &str) -> Vec<&'v Value> {
    let key = KEYS.iter().position(|key| path.starts_with(key)).expect("a known key");
    match (&event.values[key], path.ends_with("[]")) {
        (Some(Value::Array(list)), true) => list.iter().collect(),
        (Some(scalar), false) if !scalar.is_array() => vec![scalar],
        _ => Vec::new(),
    }
}

fn path(random: &mut Random) -> &'static str {
    ["x", "y", "x[]", "y[]"][random.below(4)]
}

fn predicate(random: &mut Random, depth: usize, names: &[String]) -> Value {
    match random.below(if depth == 0 { 4 } else { 8 }) {
        0 => json!({"property": path(random), "operator": "exists"}),
        1..=3 | 5 if !names.is_empty() => {
            let name = &names[random.below(names.len())];
            let mut test =
                json!({"property": path(random), "operator": "eq", "ref": format!("{name}.{}", path(random))});
            if random.below(3) == 0 {
                test["ignore_case"] = json!(true);
            }
            test
        }
        1..=3 | 5 => json!({"property": "x", "operator": "eq", "value": random.below(3)}),
        4 => json!({"not": predicate(random, depth - 1, names)}),
        6 => json!({"and": [predicate(random, depth - 1, names), predicate(random, depth - 1, names)]}),
        _ => json!({"or": [predicate(random, depth - 1, names), predicate(random, depth - 1, names)]}),
    }
}

fn rule(random: &mut Random) -> Value {
    let mut names: Vec<String> = Vec::new();
    let mut steps = Vec::new();
    for place in 0..2 + random.below(4) {
        let absent = place > 0 && random.below(3) == 0;
        let mut step = json!({});
        let kind = if random.below(8) == 0 { "*" } else { TYPES[random.below(3)] };
        step[if absent { "did_not" } else { "did" }] = json!(kind);
        if random.below(4) > 0 {
            step["where"] = predicate(random, 2, &names);
        }
        if !absent && random.below(4) > 0 {
            let name = format!("s{place}");
            step["as"] = json!(name);
            names.push(name);
        }
        if !absent && place > 0 {
            let after = random.below(4);
            if after > 0 && random.below(3) == 0 {
                step["after"] = json!(format!("{after} seconds"));
            }
            if random.below(4) == 0 {
                step["within"] = json!(format!("{} seconds", after.max(1) + random.below(5)));
            }
        }
        steps.push(step);
    }
    let mut rule = json!({"sequence": steps});
    if random.below(2) == 0 {
        rule["within"] = json!(format!("{} seconds", 1 + random.below(9)));
    }
    rule
}

/// The seconds of an interval.
fn seconds(interval: &Value) -> Option<i64> {
    interval.as_str()?.split(' ').next()?.parse().ok()
}

/// The evaluator that tries everything.
struct Naive<'r> {
    steps: &'r [Value],
    within: Option<i64>,
    events: &'r [Happened],
}

impl Naive<'_> {
    fn holds(&self, predicate: &Value, event: &Happened, bound: &HashMap<&str, usize>) -> bool {
        if let Some(list) = predicate["and"].as_array() {
            return list.iter().all(|one| self.holds(one, event, bound));
        }
        if let Some(list) = predicate["or"].as_array() {
            return list.iter().any(|one| self.holds(one, event, bound));
        }
        if predicate["not"].is_object() {
            return !self.holds(&predicate["not"], event, bound);
        }
        let path = predicate["property"].as_str().expect("a path");
        let own = scalars(event, path);
        if predicate["operator"] == "exists" {
            // An array is a value, too.
            let key = KEYS.iter().position(|key| path.starts_with(key)).expect("a known key");
            return if path.ends_with("[]") { !own.is_empty() } else { event.values[key].is_some() };
        }
        let ignore_case = predicate["ignore_case"] == true;
        match predicate["ref"].as_str() {
            Some(reference) => {
                let (name, path) = reference.split_once('.').expect("a reference");
                let others = scalars(&self.events[bound[name]], path);
                others.iter().any(|other| own.iter().any(|own| equal(own, other, ignore_case)))
            }
            None => own.iter().any(|own| equal(own, &predicate["value"], ignore_case)),
        }
    }

    fn step(&self, step: usize, event: usize, bound: &HashMap<&str, usize>) -> bool {
        let (step, event) = (&self.steps[step], &self.events[event]);
        let kind = step["did"].as_str().or(step["did_not"].as_str()).expect("a type");
        (kind == "*" || kind == TYPES[event.kind])
            && (step["where"].is_null() || self.holds(&step["where"], event, bound))
    }

    fn satisfied(&self) -> bool {
        (0..self.events.len()).any(|event| {
            let bound = HashMap::new();
            self.step(0, event, &bound) && {
                let deadline = self.within.map_or(i64::MAX, |within| self.events[event].at + within);
                self.rest(1, event, deadline, &self.with(0, event, &bound))
            }
        })
    }

    fn with<'b>(&'b self, step: usize, event: usize, bound: &HashMap<&'b str, usize>) -> HashMap<&'b str, usize> {
        let mut bound = bound.clone();
        if let Some(name) = self.steps[step]["as"].as_str() {
            bound.insert(name, event);
        }
        bound
    }

    /// Whether the time since the event of the step before is as a step asks.
    fn in_time(&self, step: usize, before: usize, event: usize) -> bool {
        let since = self.events[event].at - self.events[before].at;
        seconds(&self.steps[step]["after"]).is_none_or(|after| since >= after)
            && seconds(&self.steps[step]["within"]).is_none_or(|within| since <= within)
    }

    /// Whether the steps from one on can be satisfied behind an event.
    fn rest(&self, step: usize, before: usize, deadline: i64, bound: &HashMap<&str, usize>) -> bool {
        let here = (step..self.steps.len()).find(|step| self.steps[*step]["did"].is_string());
        let absent = |event: usize, until: usize| (step..until).any(|step| self.step(step, event, bound));
        let Some(here) = here else {
            if step == self.steps.len() {
                return true;
            }
            let until = self.within.map_or(i64::MAX, |within| self.events[before].at + within);
            return !(before + 1..self.events.len())
                .any(|event| self.events[event].at <= until && absent(event, self.steps.len()));
        };
        for event in before + 1..self.events.len() {
            if self.events[event].at > deadline {
                return false;
            }
            if self.in_time(here, before, event)
                && self.step(here, event, bound)
                && self.rest(here + 1, event, deadline, &self.with(here, event, bound))
            {
                return true;
            }
            if absent(event, here) {
                return false;
            }
        }
        false
    }
}

fn put(group: &mut cohort_core::segment::GroupBuilder, value: &Value) {
    match value {
        Value::Bool(value) => group.value(Item::Bool(*value)),
        Value::Number(number) => {
            group.value(Item::Number(Decimal::new(number.as_i64().expect("a whole number"), 0).expect("it fits")));
        }
        Value::String(text) => group.value(Item::Text(text)),
        other => group.value(Item::Json(&other.to_string())),
    }
}

#[test]
fn sequences_are_what_trying_everything_finds() {
    let mut random = Random(14);
    let (mut members, mut asked, mut refused) = (0, 0, 0);
    for _ in 0..400 {
        let mut histories: Vec<Vec<Happened>> = Vec::new();
        let mut builder = SegmentBuilder::new(usize::MAX);
        let mut event_id = 0;
        for ordinal in 0..12_u32 {
            let mut at = 0;
            let history: Vec<Happened> = (0..random.below(11))
                .map(|_| {
                    at += i64::try_from(random.below(3)).expect("a small number");
                    Happened { kind: random.below(3), at, values: [value(&mut random), value(&mut random)] }
                })
                .collect();
            for event in &history {
                event_id += 1;
                let group = builder.group(TYPES[event.kind]);
                group.row(RowKey { ordinal, at: event.at * SECOND, event_id });
                for (key, value) in KEYS.iter().zip(&event.values) {
                    if let Some(value) = value {
                        group.enter(key);
                        put(group, value);
                        group.leave();
                    }
                }
            }
            histories.push(history);
        }
        let (header, bytes) = builder.in_memory().expect("it fits");
        let mut source = Source { customers: 12, ..Source::default() };
        source.events.push(Part { header: &header, stream: &bytes, dead: HashMap::new() });
        for _ in 0..4 {
            let text = rule(&mut random);
            let Ok(rule) = rule::parse_text(&text.to_string(), &Utc) else { panic!("{text} is no rule") };
            let plan = Plan::new(&rule, i64::MAX - 1, &Utc, &|_| None).expect("the rule names no cohort");
            let steps = text["sequence"].as_array().expect("steps");
            let within = seconds(&text["within"]);
            let expected: Vec<u32> = (0..)
                .zip(&histories)
                .filter(|(_, events)| Naive { steps, within, events }.satisfied())
                .map(|(ordinal, _)| ordinal)
                .collect();
            let wish = Wish { members: true, events: false };
            let found = evaluate(&plan, &source, wish, LIMITS).expect("the segment is whole");
            let found: Vec<u32> = found.members.iter().collect();
            assert_eq!(found, expected, "{text} {histories:?}");
            members += found.len();
            asked += 1;
            let little = Limits { memory: u64::try_from(random.below(20_000)).expect("small"), ..LIMITS };
            match evaluate(&plan, &source, wish, little) {
                Ok(answer) => assert_eq!(answer.members.iter().collect::<Vec<_>>(), expected, "{text}"),
                Err(Stop::TooLarge) => refused += 1,
                Err(Stop::Damaged(corrupt)) => panic!("{corrupt}"),
            }
        }
    }
    assert!(members > asked && refused > 20, "{members} members of {asked} rules, {refused} refused");
}

/// One customer with many events, of which each second refers to the one before.
#[test]
fn many_events_of_one_customer_are_found_by_the_value_referred_to() {
    let rules = [
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did": "buy", "where": {"property": "sku", "operator": "eq", "ref": "c.sku"}}], "within": "1 second"}"#,
            false,
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did": "view"}, {"did": "buy", "where": {"property": "sku", "operator": "eq", "ref": "c.sku"}}]}"#,
            true,
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did_not": "buy", "where": {"property": "sku", "operator": "eq", "ref": "c.sku"}}, {"did": "view"}]}"#,
            true,
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did_not": "buy", "where": {"property": "sku", "operator": "eq", "ref": "c.sku"}}]}"#,
            false,
        ),
        (
            r#"{"sequence": [{"did": "cart"}, {"did": "view", "after": "19000 seconds"}, {"did": "buy", "after": "60000 seconds"}]}"#,
            false,
        ),
        (
            r#"{"sequence": [{"did": "cart"}, {"did": "view", "after": "1 second", "within": "15000 seconds"}, {"did_not": "cart"},
                {"did": "buy", "after": "39000 seconds", "within": "39500 seconds"}], "within": "58000 seconds"}"#,
            true,
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did": "view", "after": "1 second"}, {"did": "buy", "after": "1 second",
                "where": {"property": "sku", "operator": "eq", "ref": "c.sku"}}]}"#,
            true,
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did": "buy", "after": "50000 seconds",
                "where": {"property": "sku", "operator": "eq", "ref": "c.sku"}}]}"#,
            false,
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did_not": "buy", "where": {"property": "sku", "operator": "eq", "ref": "c.sku"}},
                {"did": "buy", "after": "20000 seconds", "within": "59999 seconds"}, {"did": "view"}]}"#,
            false,
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did_not": "buy", "where": {"element": "items", "where": [
                {"property": "sku", "operator": "eq", "ref": "c.sku"}, {"property": "n", "operator": "eq", "ref": "c.items[].n"}]}}]}"#,
            false,
        ),
    ];
    let mut builder = SegmentBuilder::new(usize::MAX);
    for event_id in 0..60_000_i64 {
        // Views, carts and, much later, what was bought of them.
        let (kind, sku) = match event_id {
            0..20_000 => ("cart", event_id),
            20_000..40_000 => ("view", -1),
            _ => ("buy", event_id - 40_000),
        };
        let group = builder.group(kind);
        group.row(RowKey { ordinal: 0, at: event_id * SECOND, event_id });
        group.enter("sku");
        group.value(Item::Text(&format!("s{sku}")));
        group.leave();
        group.enter("items");
        group.value(Item::Json(&format!(r#"[{{"sku": "s0", "n": 1}}, {{"sku": "s{sku}", "n": {sku}}}]"#)));
        group.leave();
    }
    let (header, bytes) = builder.in_memory().expect("it fits");
    let mut source = Source { customers: 1, ..Source::default() };
    source.events.push(Part { header: &header, stream: &bytes, dead: HashMap::new() });
    for (text, expected) in rules {
        let Ok(rule) = rule::parse_text(text, &Utc) else { panic!("{text} is no rule") };
        let plan = Plan::new(&rule, i64::MAX - 1, &Utc, &|_| None).expect("the rule names no cohort");
        let calls = AtomicU64::new(0);
        let limits = Limits {
            memory: 256 << 20,
            check: &|| {
                calls.fetch_add(1, Relaxed);
            },
        };
        let found = evaluate(&plan, &source, Wish::default(), limits).expect("it fits");
        assert_eq!(found.size == 1, expected, "{text}");
        // The check is called every few thousand comparisons: all pairs would be 400 million.
        let calls = calls.into_inner();
        assert!(calls < 2_000, "{text}: {calls} calls");
    }
}

/// States that differ in two bound values are as many as pairs: they are counted against the memory.
#[test]
fn states_are_counted() {
    let text = r#"{"sequence": [{"did": "a", "as": "p"}, {"did": "b", "as": "q"}, {"did": "c", "where": [
        {"property": "x", "operator": "eq", "ref": "p.x"}, {"property": "x", "operator": "eq", "ref": "q.x"}]}]}"#;
    let mut builder = SegmentBuilder::new(usize::MAX);
    for event_id in 0..4_000_i64 {
        let group = builder.group(if event_id < 2_000 { "a" } else { "b" });
        group.row(RowKey { ordinal: 0, at: event_id, event_id });
        group.enter("x");
        group.value(Item::Number(Decimal::new(event_id, 0).expect("it fits")));
        group.leave();
    }
    builder.group("c").row(RowKey { ordinal: 0, at: 5_000, event_id: 5_000 });
    let (header, bytes) = builder.in_memory().expect("it fits");
    let mut source = Source { customers: 1, ..Source::default() };
    source.events.push(Part { header: &header, stream: &bytes, dead: HashMap::new() });
    let Ok(rule) = rule::parse_text(text, &Utc) else { panic!("{text} is no rule") };
    let plan = Plan::new(&rule, i64::MAX - 1, &Utc, &|_| None).expect("the rule names no cohort");
    let limits = Limits { memory: 16 << 20, ..LIMITS };
    assert!(matches!(evaluate(&plan, &source, Wish::default(), limits), Err(Stop::TooLarge)));
}
