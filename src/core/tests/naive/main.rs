//! The evaluator over segments against one over plain values, which is written from docs/RULES.md: random rules over random
//! worlds, with every condition and option of the language.

#[path = "../common/mod.rs"]
mod common;

mod figures;
mod holds;
mod predicate;
mod rows;
mod rules;
mod sequence;
mod stored;
mod values;
mod when;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cohort_core::eval::{Plan, Wish, evaluate};
use cohort_core::plain_sql::Source as Saved;
use cohort_core::rule;
use serde_json::{Map, Value, json};

use common::calendar::EPOCH;
use common::random::Random;
use common::{IanaZones, LIMITS};
use rules::{COHORTS, Rules, TYPES, ZONES, date, scalar};
use stored::Stored;
use world::{Cohort, Event, World};

/// The id of the fixed list.
const LIST: i64 = 7;

/// Rules of one world: to build it costs as much as some of them.
const RULES: usize = 12;

/// Instants around which worlds are: after a clock change, after a day that Apia skipped, on 29 February, at a year's end, on 27 February of a common year.
const INSTANTS: [i64; 6] = [
    1_773_154_800_000_000,
    1_325_289_600_000_000,
    1_709_208_000_000_000,
    1_767_225_599_999_999,
    1_775_343_600_000_000,
    1_772_150_400_000_000,
];

const HOUR: i64 = 3_600_000_000;

fn number(random: &mut Random, below: usize) -> i64 {
    i64::try_from(random.below(below)).expect("a small number")
}

fn data(random: &mut Random, as_of: i64) -> Value {
    if random.chance(40) {
        return scalar(random);
    }
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    for key in ["x", "y"] {
        match random.below(6) {
            0 => {}
            1 => drop(put(key, Value::Null)),
            _ => drop(put(key, scalar(random))),
        }
    }
    // Groups of several customers.
    if random.below(5) > 0 {
        put("g", [json!(1), json!("1"), json!("a"), json!(true)][random.below(4)].clone());
    }
    if random.chance(2) {
        put("n", if random.chance(4) { scalar(random) } else { json!({"k": scalar(random), "e": {}}) });
    }
    if random.chance(2) {
        put("l", list(random));
    }
    if random.chance(2) {
        let elements = (0..random.below(4)).map(|_| match random.below(5) {
            0 => scalar(random),
            1 => Value::Null,
            2 => json!({"k": scalar(random), "l": list(random)}),
            _ => json!({"k": scalar(random)}),
        });
        put("o", elements.collect());
    }
    if random.below(3) > 0 {
        put("d", if random.chance(6) { scalar(random) } else { json!(date(random, as_of)) });
    }
    Value::Object(object)
}

fn list(random: &mut Random) -> Value {
    let elements = (0..random.below(4)).map(|_| match random.below(6) {
        0 => Value::Null,
        1 => json!([scalar(random)]),
        _ => scalar(random),
    });
    elements.collect()
}

fn event(random: &mut Random, as_of: i64, customer: usize, id: i64) -> Event {
    let back = match random.below(8) {
        0 => number(random, 3) - 1,
        1 | 2 => number(random, 100) * HOUR,
        3 => number(random, 8) * 24 * HOUR,
        4 => number(random, 20) * 10 * 60 * 1_000_000,
        5 => -number(random, 48) * HOUR,
        _ => number(random, 100) * 24 * HOUR + number(random, 24) * HOUR,
    };
    let kind = TYPES[random.below(TYPES.len())].to_owned();
    Event { customer, kind, at: as_of - back, id, data: data(random, as_of) }
}

/// A world, and how it is stored.
fn world(random: &mut Random) -> (World, Stored) {
    let as_of = INSTANTS[random.below(INSTANTS.len())];
    let customers = 1 + random.below(10);
    // In another order than the customers.
    let ids: Vec<String> =
        (0..customers).map(|customer| format!("{}{customer}", random.pick(&["z", "b", "é", "B"]))).collect();
    let mut id = 0;
    let mut some = |random: &mut Random, most: usize| -> Vec<Event> {
        let count = random.below(most);
        (0..count)
            .map(|_| {
                id += 1;
                // Some customers have few events, and some have none up to `as_of`.
                let customer = random.below(customers) * (1 + random.below(2)) / 2;
                event(random, as_of, customer, id)
            })
            .collect()
    };
    let mut events = some(random, customers * 7);
    let ghosts = some(random, 6);
    events.sort_by_key(|event| (event.at, event.id));
    let profiles: Vec<Option<Value>> =
        (0..customers).map(|_| (random.below(4) > 0).then(|| data(random, as_of))).collect();
    let stale: BTreeSet<usize> = (0..random.below(3)).map(|_| random.below(customers)).collect();
    let stale: Vec<(usize, Value)> = stale.into_iter().map(|customer| (customer, data(random, as_of))).collect();
    let table = rows::table(random, &ids, as_of);
    let mut world = World { as_of, ids, events, profiles, cohorts: HashMap::new(), table };
    let members = (0..customers).filter(|_| random.chance(2)).collect();
    world.cohorts.insert(COHORTS[1].to_owned(), Cohort::List(members));
    let saved = loop {
        let mut saved = Rules { random, as_of }.condition(1, false);
        saved["timezone"] = json!(random.pick(&ZONES));
        if let Ok(saved) = rule::parse(&saved, &IanaZones) {
            break world.with_values(saved);
        }
    };
    world.cohorts.insert(COHORTS[0].to_owned(), Cohort::Rule(Box::new(saved)));
    let stored = Stored::new(&world, &ghosts, &stale, random);
    (world, stored)
}

/// What was asked and found.
#[derive(Debug, Default)]
struct Tally {
    asked: u64,
    invalid: u64,
    /// Rules with some members, but not everybody.
    telling: u64,
    /// Such rules by the words in them.
    words: BTreeMap<String, u64>,
}

/// Compares the evaluators over one world.
fn compare(seed: u64, tally: &mut Tally) {
    let mut random = Random(seed);
    let (world, stored) = world(&mut random);
    let mut source = stored.source();
    let cohort = |name: &str| {
        Some(match &world.cohorts[name] {
            Cohort::Rule(rule) => Saved::Rule((**rule).clone()),
            Cohort::List(_) => Saved::List(LIST),
        })
    };
    for _ in 0..RULES {
        let json = Rules { random: &mut random, as_of: world.as_of }.rule();
        let Ok(rule) = rule::parse(&json, &IanaZones) else {
            tally.invalid += 1;
            continue;
        };
        tally.asked += 1;
        let rule = world.with_values(rule);
        let plan = Plan::new(&rule, world.as_of - EPOCH, &IanaZones, &cohort).expect("known cohorts");
        source.ids_of_rows = plan.ids().iter().map(|ids| stored.ordinals_of(&world, ids)).collect();
        let wish = Wish { members: true, events: random.chance(4) };
        let found = match evaluate(&plan, &source, wish, LIMITS) {
            Ok(answer) => answer,
            Err(stop) => panic!("seed {seed}: {stop:?} of {json}"),
        };
        let expected = world.members(&rule);
        assert_eq!(found.size, found.members.len(), "seed {seed}: {json}");
        assert!(
            stored.customers(&found.members) == expected,
            "{}",
            differ(seed, &json, &world, &stored.customers(&found.members), &expected)
        );
        if !expected.is_empty() && expected.len() < world.ids.len() {
            tally.telling += 1;
            note(&json, &mut tally.words);
        }
    }
}

fn differ(seed: u64, json: &Value, world: &World, found: &BTreeSet<usize>, expected: &BTreeSet<usize>) -> String {
    let of: Vec<usize> = found.symmetric_difference(expected).copied().collect();
    let events: Vec<&Event> = world.events.iter().filter(|event| of.contains(&event.customer)).collect();
    let profiles: Vec<&Option<Value>> = of.iter().map(|customer| &world.profiles[*customer]).collect();
    format!(
        "seed {seed}: the index finds {found:?}, the text says {expected:?}\n{json}\nas of {}\nevents {events:#?}\nprofiles {profiles:#?}\ncohorts {:?}",
        world.as_of, world.cohorts
    )
}

/// Counts the keys and operators of a rule.
fn note(json: &Value, words: &mut BTreeMap<String, u64>) {
    match json {
        Value::Array(list) => list.iter().for_each(|one| note(one, words)),
        Value::Object(object) => {
            for (key, value) in object {
                *words.entry(key.clone()).or_default() += 1;
                if matches!(key.as_str(), "operator" | "fn" | "streak" | "occurrence" | "per" | "ref")
                    && let Some(text) = value.as_str()
                {
                    let word = text.split('.').next().unwrap_or_default();
                    *words.entry(format!("{key} {word}")).or_default() += 1;
                }
                note(value, words);
            }
        }
        _ => {}
    }
}

/// Parts of rules that tell customers apart in the worlds that are tried by default, besides every operator.
const WORDS: &[&str] = &[
    "after",
    "aggregate",
    "all",
    "among",
    "and",
    "any",
    "as",
    "before",
    "between",
    "between_ago",
    "by",
    "cohort",
    "compare",
    "count",
    "customer_in",
    "did",
    "did_not",
    "element",
    "factor",
    "fn avg",
    "fn count_distinct",
    "fn max",
    "fn min",
    "fn most_frequent",
    "fn sum",
    "from",
    "group",
    "hours",
    "ignore_case",
    "in_the_last",
    "more_than_ago",
    "none",
    "not",
    "nth",
    "occurrence first",
    "occurrence last",
    "of",
    "or",
    "over",
    "per day",
    "per month",
    "per week",
    "percent",
    "periods",
    "previous",
    "profile",
    "rank",
    "ref element",
    "ref event",
    "ref profile",
    "ref row",
    "ref s0",
    "rows",
    "sample",
    "sequence",
    "since",
    "streak current",
    "streak longest",
    "this",
    "time",
    "times",
    "timezone",
    "top",
    "until",
    "weekday",
    "where",
    "within",
];

/// `NAIVE_WORLDS=N` tries as many worlds, from the seed `NAIVE_SEED` on.
#[test]
fn the_index_finds_what_the_text_says() {
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let (worlds, first) = (variable("NAIVE_WORLDS").unwrap_or(800_u64), variable("NAIVE_SEED").unwrap_or(1_u64));
    let mut tally = Tally::default();
    for seed in first..first + worlds {
        // Another multiplier than that of `Random`, whose streams would overlap.
        compare(seed.wrapping_mul(0xd6e8_feb8_6659_fd93), &mut tally);
    }
    if worlds >= 800 {
        assert!(tally.invalid * 10 < tally.asked, "too many invalid rules: {tally:?}");
        assert!(tally.telling * 5 > tally.asked, "too few rules tell customers apart: {tally:?}");
        let operators = rule::Operator::all().map(|operator| format!("operator {}", operator.name()));
        for word in operators.chain(WORDS.iter().map(|word| (*word).to_owned())) {
            assert!(tally.words.contains_key(&word), "no rule with {word} told customers apart");
        }
    }
    println!("{tally:#?}");
}
