//! One condition of each kind over a segment of a million events of 50,000 customers.

#[path = "../../../src/core/tests/common/utc.rs"]
mod utc;

use std::collections::HashMap;
use std::sync::LazyLock;

use cohort_core::eval::{Limits, Part, Plan, Source, Wish, evaluate};
use cohort_core::rule;
use cohort_core::segment::item::{Decimal, Item};
use cohort_core::segment::{Header, RowKey, SegmentBuilder};
use divan::{Bencher, black_box};
use utc::Utc;

const CUSTOMERS: u32 = 50_000;
const EVENTS: i64 = 1_000_000;

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

fn main() {
    divan::main();
}

static SEGMENT: LazyLock<(Header, Vec<u8>)> = LazyLock::new(|| {
    let mut builder = SegmentBuilder::new(usize::MAX);
    let mut state = 7_u64;
    for event_id in 0..EVENTS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 33;
        let group =
            builder.group(["view", "cart", "purchase"][usize::from(random % 10 > 5) + usize::from(random % 10 > 8)]);
        let ordinal = u32::try_from(random / 10 % u64::from(CUSTOMERS)).expect("a customer");
        group.row(RowKey { ordinal, at: event_id * DAY / 3_000, event_id });
        group.enter("price");
        let price = Decimal::new(i64::try_from(random % 10_000).expect("small"), 2).expect("it fits");
        group.value(Item::Number(price));
        group.leave();
        group.enter("brand");
        group.value(Item::Text(&format!("brand {}", random % 300)));
        group.leave();
    }
    builder.in_memory().expect("it fits")
});

const RULES: &[&str] = &[
    r#"{"did": "purchase"}"#,
    r#"{"did": "purchase", "count": {"gte": 3}}"#,
    r#"{"did": "view", "time": {"in_the_last": "30 days"}, "count": {"gte": 3}}"#,
    r#"{"did": "view", "where": {"property": "brand", "operator": "eq", "value": "brand 7"}}"#,
    r#"{"did": "view", "where": {"property": "brand", "operator": "contains", "value": "7"}}"#,
    r#"{"did": "purchase", "aggregate": {"fn": "sum", "property": "price", "gte": 200}}"#,
    r#"{"did": "view", "aggregate": {"fn": "count_distinct", "property": "brand", "gte": 10}}"#,
    r#"{"did": "purchase", "occurrence": "first", "where": {"property": "price", "operator": "gt", "value": 50}}"#,
    r#"{"did": "view", "per": "week", "periods": {"gte": 8}}"#,
    r#"{"sequence": [{"did": "view"}, {"did": "cart"}, {"did": "purchase"}], "within": "7 days"}"#,
    r#"{"compare": {"did": "view"}, "operator": "gt", "to": {"did": "cart"}, "factor": 2}"#,
    r#"{"rank": {"did": "purchase", "aggregate": {"fn": "sum", "property": "price"}}, "order": "most", "percent": [0, 20]}"#,
];

#[divan::bench(args = RULES)]
fn evaluate_rule(bencher: Bencher<'_, '_>, text: &str) {
    let (header, bytes) = &*SEGMENT;
    let mut source = Source { customers: CUSTOMERS, everyone: true, ..Source::default() };
    source.events.push(Part { header, stream: bytes, dead: HashMap::new() });
    let rule = rule::parse_text(text, &Utc).expect("a rule");
    let as_of = EVENTS * DAY / 3_000;
    let limits = Limits { memory: u64::MAX, check: &|| () };
    bencher.bench_local(|| {
        let plan = Plan::new(black_box(&rule), as_of, &Utc, &|_| None).expect("no cohort is named");
        evaluate(&plan, &source, Wish::default(), limits).map(|answer| answer.size)
    });
}
