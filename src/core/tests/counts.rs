//! Conditions on how many events there are, around the numbers at which counting becomes another: a byte is not enough
//! where it matters whether there are 255 or more.

mod common;

use cohort_core::eval::{Part, Plan, Source, Wish, evaluate};
use cohort_core::rule;
use cohort_core::segment::{RowKey, SegmentBuilder};
use common::LIMITS;
use common::utc::Utc;

/// How many events each customer has, by ordinal.
const EVENTS: [u32; 9] = [0, 1, 2, 253, 254, 255, 256, 257, 600];
/// The numbers that are asked for.
const ASKED: [u32; 10] = [0, 1, 2, 253, 254, 255, 256, 257, 511, 600];

#[test]
fn every_number_of_events_is_told_from_the_next() {
    let mut builder = SegmentBuilder::new(usize::MAX);
    let mut event_id = 0;
    for (ordinal, events) in (0..).zip(EVENTS) {
        for _ in 0..events {
            event_id += 1;
            builder.group("view").row(RowKey { ordinal, at: event_id, event_id });
        }
    }
    let (header, bytes) = builder.in_memory().expect("it fits");
    let mut source =
        Source { customers: u32::try_from(EVENTS.len()).expect("a few"), everyone: true, ..Source::default() };
    source.events.push(Part { header: &header, stream: &bytes, dead: std::collections::HashMap::new() });
    let mut asked = 0;
    for number in ASKED {
        let comparisons: [(&str, &dyn Fn(u32) -> bool); 6] = [
            ("eq", &|events| events == number),
            ("neq", &|events| events != number),
            ("gt", &|events| events > number),
            ("gte", &|events| events >= number),
            ("lt", &|events| events < number),
            ("lte", &|events| events <= number),
        ];
        for (name, holds) in comparisons {
            let text = format!(r#"{{"did": "view", "count": {{"{name}": {number}}}}}"#);
            let Ok(rule) = rule::parse_text(&text, &Utc) else {
                panic!("{text} is no rule");
            };
            let plan = Plan::new(&rule, i64::MAX, &Utc, &|_| None).expect("the rule names no cohort");
            let wish = Wish { members: true, events: false };
            let found = evaluate(&plan, &source, wish, LIMITS).expect("the segment is whole");
            let expected: Vec<u32> =
                (0..).zip(EVENTS).filter(|(_, events)| holds(*events)).map(|(ordinal, _)| ordinal).collect();
            assert_eq!(found.members.iter().collect::<Vec<_>>(), expected, "{text}");
            asked += 1;
        }
    }
    assert_eq!(asked, 60);
}
