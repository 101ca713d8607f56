//! Rankings with many customers alike: who is in is decided by the ids.

mod common;

use std::collections::HashMap;

use cohort_core::eval::{Ids, Limits, Part, Plan, Source, Stop, Wish, evaluate};
use cohort_core::rule;
use cohort_core::segment::{RowKey, SegmentBuilder};
use common::LIMITS;
use common::utc::Utc;
use roaring::RoaringBitmap;

/// More than are kept of a ranking that is cut at its top.
const CUSTOMERS: u32 = 5_000;

/// Ids in another order than ordinals.
fn id(ordinal: u32) -> String {
    format!("{:08x}", ordinal.wrapping_mul(2_654_435_761))
}

struct Hashed;

impl Ids for Hashed {
    fn each(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str)) {
        wanted.iter().for_each(|ordinal| each(ordinal, &id(ordinal)));
    }
}

/// Who has how many events.
fn events(ordinal: u32) -> u32 {
    ordinal % 7
}

fn ask(text: &str, limits: Limits<'_>) -> Result<Vec<u32>, Stop> {
    let mut builder = SegmentBuilder::new(usize::MAX);
    let mut event_id = 0;
    for ordinal in 0..CUSTOMERS {
        for _ in 0..events(ordinal) {
            event_id += 1;
            builder.group("view").row(RowKey { ordinal, at: event_id, event_id });
        }
    }
    let (header, bytes) = builder.in_memory().expect("it fits");
    let mut source = Source { customers: CUSTOMERS, everyone: true, ids: Some(&Hashed), ..Source::default() };
    source.events.push(Part { header: &header, stream: &bytes, dead: HashMap::new() });
    let rule = rule::parse_text(text, &Utc).expect("a rule");
    let plan = Plan::new(&rule, i64::MAX, &Utc, &|_| None).expect("the rule names no cohort");
    let found = evaluate(&plan, &source, Wish { members: true, events: false }, limits)?;
    Ok(found.members.iter().collect())
}

/// The same by putting everyone in order.
fn expected(most: bool, within: impl Fn(usize, usize) -> bool) -> Vec<u32> {
    let mut all: Vec<u32> = (0..CUSTOMERS).filter(|ordinal| events(*ordinal) > 0).collect();
    all.sort_by_key(|ordinal| {
        let figure = i64::from(events(*ordinal));
        (if most { -figure } else { figure }, id(*ordinal))
    });
    let customers = all.len();
    let places = all.into_iter().enumerate().filter(|(place, _)| within(*place, customers));
    let mut found: Vec<u32> = places.map(|(_, ordinal)| ordinal).collect();
    found.sort_unstable();
    found
}

#[test]
fn ties_are_cut_by_id() {
    for (word, most) in [("most", true), ("least", false)] {
        for top in [1, 2, 100, 713, 714, 715, 716, 1_500, 4_285, 4_286, 100_000] {
            let text = format!(r#"{{"rank": {{"did": "view"}}, "order": "{word}", "top": {top}}}"#);
            let found = ask(&text, LIMITS).expect("the segment is whole");
            assert_eq!(found, expected(most, |place, _| place < top), "{text}");
        }
        for (from, to) in [(0, 1), (0, 100), (20, 21), (10, 60), (99, 100)] {
            let text = format!(r#"{{"rank": {{"did": "view"}}, "order": "{word}", "percent": [{from}, {to}]}}"#);
            let found = ask(&text, LIMITS).expect("the segment is whole");
            let within = |place: usize, of: usize| from * of <= place * 100 && place * 100 < to * of;
            assert_eq!(found, expected(most, within), "{text}");
        }
    }
}

#[test]
fn rankings_are_counted_against_the_memory() {
    let text = r#"{"rank": {"did": "view"}, "order": "most", "percent": [0, 50]}"#;
    let with = |memory: u64| ask(text, Limits { memory, check: &|| () });
    assert_eq!(with(1 << 14), Err(Stop::TooLarge));
    assert_eq!(with(1 << 20).map(|found| found.len()), Ok(2_143));
}
