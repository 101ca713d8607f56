//! Segments answer alike with lists of rows for rare values and without them; and damaged lists give an answer or an
//! error, never a panic.

mod common;

use std::collections::HashMap;

use cohort_core::eval::{Part, Plan, Source, Wish, evaluate};
use cohort_core::rule;
use cohort_core::segment::item::{Decimal, Item};
use cohort_core::segment::{Header, RowKey, SegmentBuilder, Stream};
use common::LIMITS;
use common::damage::mend;
use common::random::Random;
use common::utc::Utc;
use proptest::prelude::*;
use roaring::RoaringBitmap;

const DAY: i64 = 86_400_000_000;
const AS_OF: i64 = 30 * DAY;

/// Two types; one brand that is common, fifty that are not, and rows without; whole numbers of shops; prices.
fn builder(rows: usize, seed: u64) -> SegmentBuilder {
    let mut chance = Random(seed);
    let mut random = move |below| i64::try_from(chance.below(below)).expect("a small number");
    let mut builder = SegmentBuilder::new(usize::MAX);
    for event_id in 0..i64::try_from(rows).expect("few rows") {
        let group = builder.group(if random(5) == 0 { "buy" } else { "view" });
        // Two chunks, and customers of several events.
        let ordinal = u32::try_from(random(2) * 65_000 + random(1_500)).expect("a small number");
        group.row(RowKey { ordinal, at: event_id * 32 * DAY / i64::try_from(rows).expect("few rows"), event_id });
        let brand = if random(4) == 0 { 0 } else { random(52) };
        if brand < 51 {
            group.enter("brand");
            group.value(Item::Text(&format!("b{brand}")));
            group.leave();
        }
        for (key, number) in [("shop", random(60)), ("price", random(5_000))] {
            group.enter(key);
            group.value(Decimal::new(number, 0).map_or(Item::Bool(false), Item::Number));
            group.leave();
        }
    }
    builder
}

const RULES: [&str; 14] = [
    r#"{"did": "view", "where": {"property": "brand", "operator": "eq", "value": "b7"}}"#,
    r#"{"did": "view", "where": {"property": "brand", "operator": "eq", "value": "b0"}}"#,
    r#"{"did": "*", "where": [{"property": "brand", "operator": "eq", "value": "b9"}, {"property": "price", "operator": "gt", "value": 2500}]}"#,
    r#"{"did": "view", "time": {"in_the_last": "9 days"}, "where": [{"property": "brand", "operator": "eq", "value": "b11"}, {"property": "price", "operator": "lt", "value": 4000}]}"#,
    r#"{"did": "view", "where": {"property": "brand", "operator": "in", "value": ["b1", "b2", "b3", "nobody's"]}}"#,
    r#"{"did": "view", "where": {"property": "brand", "operator": "in", "value": ["b1", "b0"]}, "count": {"gte": 2}}"#,
    r#"{"did": "view", "where": {"property": "brand", "operator": "neq", "value": "b5"}, "count": {"gte": 3}}"#,
    r#"{"did": "view", "where": {"property": "shop", "operator": "eq", "value": 33}, "count": {"gte": 1}}"#,
    r#"{"did": "view", "where": {"property": "shop", "operator": "between", "value": [10, 12]}, "aggregate": {"fn": "sum", "property": "price", "gt": 3000}}"#,
    r#"{"did": "view", "where": {"or": [{"property": "brand", "operator": "eq", "value": "b4"}, {"property": "shop", "operator": "eq", "value": 4}]}}"#,
    r#"{"and": [{"did": "buy", "where": {"property": "brand", "operator": "eq", "value": "b0"}}, {"did": "view", "where": {"property": "brand", "operator": "eq", "value": "b6"}}]}"#,
    r#"{"and": [{"did_not": "view", "where": {"property": "brand", "operator": "eq", "value": "b8"}}, {"did": "view", "where": {"not": {"property": "shop", "operator": "eq", "value": 8}}}]}"#,
    r#"{"did": "*", "occurrence": "last", "where": {"property": "brand", "operator": "eq", "value": "b12"}}"#,
    r#"{"sequence": [{"did": "view", "where": {"property": "brand", "operator": "eq", "value": "b13"}}, {"did": "*", "where": {"property": "shop", "operator": "lt", "value": 30}}]}"#,
];

fn answers(
    header: &Header,
    stream: &dyn Stream,
    dead: &HashMap<String, RoaringBitmap>,
) -> Result<Vec<Vec<u32>>, String> {
    let mut source = Source { customers: 131_072, ..Source::default() };
    source.events.push(Part { header, stream, dead: dead.clone() });
    let mut all = Vec::new();
    for text in RULES {
        let rule = rule::parse_text(text, &Utc).map_err(|problem| format!("{problem:?}"))?;
        let plan = Plan::new(&rule, AS_OF, &Utc, &|_| None).expect("the rule names no cohort");
        let wish = Wish { members: true, events: false };
        let found = evaluate(&plan, &source, wish, LIMITS).map_err(|stop| format!("{stop:?}"))?;
        all.push(found.members.iter().collect());
    }
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn lists_change_no_answer(rows in 6_000..20_000_usize, seed in any::<u64>(), dead in prop::collection::vec(0..5_000_u32, 0..300)) {
        let bytes = builder(rows, seed).finish().expect("it fits");
        let header = Header::open(&bytes).expect("what was built can be read");
        Header::verify(&bytes, &|| ()).expect("what was built can be read");
        // What is made for one question has no lists.
        let (plain, plain_bytes) = builder(rows, seed).in_memory().expect("it fits");
        let dead = HashMap::from([("view".to_owned(), dead.into_iter().collect::<RoaringBitmap>())]);
        let expected = answers(&plain, &plain_bytes, &dead);
        prop_assert!(expected.as_ref().is_ok_and(|all| all.iter().all(|members| !members.is_empty())), "{expected:?}");
        prop_assert_eq!(answers(&header, &bytes, &dead), expected);
    }

    #[test]
    fn damaged_lists_give_an_answer_or_an_error(
        seed in any::<u64>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut bytes = builder(6_000, seed).finish().expect("it fits");
        for (place, byte) in damage {
            // Behind the first bytes, which say where everything else begins.
            let place = 28 + place.index(bytes.len() - 28);
            bytes[place] = byte;
        }
        mend(&mut bytes);
        let _ = Header::verify(&bytes, &|| ());
        if let Ok(header) = Header::open(&bytes) {
            let _ = answers(&header, &bytes, &HashMap::new());
            let _ = SegmentBuilder::new(3).append(&header, &bytes, &|_| None, &|| ());
        }
    }
}
