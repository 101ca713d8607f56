//! Answers of several threads are those of one, and threads read nothing that was not foreseen.

mod common;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Mutex;

use cohort_core::eval::{Answer, Budget, Found, Ids, Limits, Part, Plan, Question, Source, Stop, Wish, evaluate};
use cohort_core::plain_sql;
use cohort_core::rule;
use cohort_core::segment::item::{Decimal, Item};
use cohort_core::segment::{Corrupt, Header, RowKey, SegmentBuilder, Stream};
use common::LIMITS;
use common::utc::Utc;
use roaring::RoaringBitmap;

/// Four chunks, the last of which is not full.
const CUSTOMERS: u32 = 230_000;
/// Microseconds.
const HOUR: i64 = 3_600_000_000;

thread_local! {
    static HELPS: Cell<bool> = const { Cell::new(false) };
}

/// A segment that knows what was foreseen of it, and what threads read besides.
struct Watched {
    bytes: Vec<u8>,
    foreseen: Mutex<Vec<(u64, u64)>>,
    surprises: Mutex<Vec<(u64, usize)>>,
}

impl Stream for Watched {
    fn read(&self, at: u64, length: usize, into: &mut Vec<u8>) -> Result<(), Corrupt> {
        let end = at + length as u64;
        let foreseen = || self.foreseen.lock().expect("whole").iter().any(|(from, to)| *from <= at && end <= *to);
        if HELPS.get() && !foreseen() {
            self.surprises.lock().expect("whole").push((at, length));
        }
        self.bytes.read(at, length, into)
    }

    fn foresee(&self, at: u64, length: u64) {
        self.foreseen.lock().expect("whole").push((at, at + length));
    }
}

fn built(builder: SegmentBuilder) -> (Header, Watched) {
    let bytes = builder.finish().expect("it fits");
    let header = Header::open(&bytes).expect("it was written just now");
    (header, Watched { bytes, foreseen: Mutex::default(), surprises: Mutex::default() })
}

fn events(first: u32, rows: u32) -> (Header, Watched) {
    let mut builder = SegmentBuilder::new(8);
    let mut state = first;
    let mut next = |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % bound
    };
    for row in 0..rows {
        let group = builder.group(["view", "view", "cart", "buy"][next(4) as usize]);
        let event_id = i64::from(first + row);
        let ordinal = if next(3) == 0 { next(900) * 251 } else { next(CUSTOMERS) };
        group.row(RowKey { ordinal, at: event_id * HOUR / 40 + i64::from(next(1_000)), event_id });
        group.enter("price");
        match next(9) {
            0 => group.value(Item::Text("12.50")),
            1 => group.value(Item::Big("1234567890123456789012345678.5")),
            _ => group.value(Decimal::new(i64::from(next(5_000)), 2).map_or(Item::Bool(false), Item::Number)),
        }
        group.leave();
        group.enter("sku");
        group.value(Item::Text(&format!("s{}", next(200))));
        group.leave();
        if next(20) == 0 {
            group.enter("items");
            group.value(Item::Json(r#"[{"sku": "s1", "price": 5}, {"sku": "s7", "price": 70}]"#));
            group.leave();
        }
    }
    built(builder)
}

fn profiles(first: u32, step: usize) -> (Header, Watched) {
    let mut builder = SegmentBuilder::new(8);
    for ordinal in (first..CUSTOMERS).step_by(step) {
        let group = builder.group("");
        group.row(RowKey { ordinal, at: 0, event_id: 0 });
        group.enter("city");
        group.value(Item::Text(["pune", "thane", "mumbai"][ordinal as usize % 3]));
        group.leave();
        group.enter("limit");
        group.value(Decimal::new(i64::from(ordinal % 60), 0).map_or(Item::Bool(false), Item::Number));
        group.leave();
    }
    builder.remove_profile(first + 1);
    built(builder)
}

struct Named;

impl Ids for Named {
    fn each(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str)) {
        wanted.iter().for_each(|ordinal| each(ordinal, &format!("c{ordinal}")));
    }
}

/// Rules that threads answer without a surprise.
const RULES: [&str; 27] = [
    r#"{"did": "view", "count": {"gte": 3}}"#,
    r#"{"did": "view", "count": {"gte": 2}, "where": {"property": "price", "operator": "gt", "value": 20.25}}"#,
    r#"{"did": "*"}"#,
    r#"{"did_not": "buy"}"#,
    r#"{"did": "view", "time": {"between": ["2000-01-20", "2000-02-20"]}}"#,
    r#"{"did": "view", "count": {"gte": 2}, "time": {"between": ["2000-01-20", "2000-02-20"]}}"#,
    r#"{"did": "view", "time": {"weekday": ["monday", "tuesday"]}}"#,
    r#"{"did": "*", "where": {"property": "sku", "operator": "eq", "value": "s7"}}"#,
    r#"{"did": "*", "where": {"property": "sku", "operator": "in", "value": ["s7", "s8", "s19"]}}"#,
    r#"{"did": "*", "count": {"gte": 2}, "where": {"or": [{"property": "sku", "operator": "in", "value": ["s7", "s8"]}, {"property": "price", "operator": "gt", "value": 45}]}}"#,
    r#"{"did": "buy", "aggregate": {"fn": "sum", "property": "price", "gt": 60}, "where": {"property": "sku", "operator": "starts_with", "value": "s1"}}"#,
    r#"{"did": "*", "aggregate": {"fn": "avg", "property": "price", "lt": 1000}}"#,
    r#"{"did": "view", "aggregate": {"fn": "count_distinct", "property": "sku", "gte": 2}}"#,
    r#"{"did": "view", "aggregate": {"fn": "most_frequent", "property": "sku", "in": ["s1", "s2", "s3"]}}"#,
    r#"{"did": "view", "occurrence": "last", "where": {"property": "price", "operator": "gt", "value": 20}}"#,
    r#"{"did": "view", "per": "day", "periods": {"gte": 2}}"#,
    r#"{"did": "view", "where": {"property": "price", "operator": "gt", "ref": "profile.limit"}}"#,
    r#"{"did": "*", "where": {"element": "items", "where": {"property": "price", "operator": "gt", "ref": "event.price"}}}"#,
    r#"{"rank": {"did": "view"}, "order": "most", "top": 90000, "of": {"did": "view", "count": {"gte": 1}}}"#,
    r#"{"and": [{"group": "city", "any": {"did": "buy"}}, {"did": "view"}]}"#,
    r#"{"profile": "city", "operator": "eq", "value": "pune"}"#,
    r#"{"and": [{"profile": "city", "operator": "neq", "value": "pune"}, {"did": "cart"}, {"not": {"did": "buy", "count": {"gte": 2}}}]}"#,
    r#"{"or": [{"profile": "limit", "operator": "lt", "value": 3}, {"did": "view", "count": {"eq": 4}}]}"#,
    r#"{"sequence": [{"did": "view"}, {"did_not": "cart"}, {"did": "buy"}], "within": "30 hours"}"#,
    r#"{"sequence": [{"did": "view", "as": "v"}, {"did": "buy", "where": {"property": "sku", "operator": "eq", "ref": "v.sku"}}]}"#,
    r#"{"compare": {"did": "view"}, "operator": "gt", "to": {"did": "buy"}}"#,
    r#"{"and": [{"cohort": "buyers"}, {"did": "view", "count": {"gte": 2}}]}"#,
];

/// Rules that one thread answers alone.
const ALONE: [&str; 2] = [
    r#"{"sample": {"percent": [0, 10], "salt": "spring"}}"#,
    r#"{"sequence": [{"did": "view"}, {"did": "buy"}], "within": "3 days"}"#,
];

fn cohort(name: &str) -> Option<plain_sql::Source> {
    let rule = rule::parse_text(r#"{"did": "buy", "count": {"gte": 1}}"#, &Utc).expect("a rule");
    (name == "buyers").then_some(plain_sql::Source::Rule(rule))
}

const WISH: Wish = Wish { members: true, events: true };

/// The answer of some threads; `None` where they cannot take part.
fn by_threads(
    plan: &Plan<'_>,
    source: &Source<'_>,
    threads: usize,
    limits: Limits<'_>,
) -> Option<Result<Answer, Stop>> {
    let budget = Budget::new(limits);
    let mut question = match Question::new(plan, source, WISH, limits, &budget) {
        Ok(question) => question,
        Err(stop) => return Some(Err(stop)),
    };
    assert_eq!(question.chunks(), 4);
    let divided = question.divide(threads)?;
    (0..question.chunks()).for_each(|chunk| question.foresee(chunk));
    let known = Mutex::new((0..question.chunks()).map(|_| None).collect::<Vec<Option<Result<Found, Stop>>>>());
    let next = std::sync::atomic::AtomicU16::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                HELPS.set(true);
                let mut worker = divided.worker();
                loop {
                    let chunk = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    // The last chunk is left to whoever asked.
                    if chunk >= 3 {
                        break;
                    }
                    let found = worker.find(chunk);
                    known.lock().expect("whole")[usize::from(chunk)] = Some(found);
                }
            });
        }
    });
    drop(divided);
    Some(question.answer(known.into_inner().expect("whole")))
}

#[test]
fn threads_find_what_one_finds() {
    let segments = [events(0, 90_000), events(90_000, 40_000)];
    let newest = [profiles(5, 7), profiles(0, 2)];
    let mut source = Source { customers: CUSTOMERS, ids: Some(&Named), ..Source::default() };
    for (number, (header, stream)) in segments.iter().enumerate() {
        let dead = HashMap::from([("view".to_owned(), (0..3_000).step_by(1 + number).collect())]);
        source.events.push(Part { header, stream, dead });
    }
    for (header, stream) in &newest {
        source.profiles.push(Part { header, stream, dead: HashMap::new() });
    }
    let plan = |text: &str| {
        let rule = rule::parse_text(text, &Utc).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        (text.to_owned(), rule)
    };
    for (text, rule) in RULES.map(plan) {
        let plan = Plan::new(&rule, i64::MAX - 1, &Utc, &cohort).expect("its cohort exists");
        let expected = evaluate(&plan, &source, WISH, LIMITS).expect("segments are whole");
        assert!(expected.size > 0, "{text}: nobody");
        for threads in [1, 3] {
            let found = by_threads(&plan, &source, threads, LIMITS).expect(&text).expect("segments are whole");
            let same = (found.size, found.events, found.groups, found.skipped)
                == (expected.size, expected.events, expected.groups, expected.skipped);
            assert!(same && found.members == expected.members, "{text}: {found:?} by threads, {expected:?}");
        }
        // With little memory, one answers where threads run out of it.
        for memory in [20_000, 300_000, 3_000_000] {
            let little = Limits { memory, ..LIMITS };
            let alone = evaluate(&plan, &source, WISH, little).map(|answer| answer.members);
            let together = by_threads(&plan, &source, 3, little).map(|answer| answer.map(|answer| answer.members));
            if let (Ok(alone), Some(together)) = (&alone, together) {
                assert_eq!(together.as_ref(), Ok(alone), "{text} within {memory}");
            }
        }
        for (_, stream) in segments.iter().chain(&newest) {
            let surprises = std::mem::take(&mut *stream.surprises.lock().expect("whole"));
            assert!(surprises.is_empty(), "{text}: read without being foreseen: {surprises:?}");
            stream.foreseen.lock().expect("whole").clear();
        }
    }
    for (text, rule) in ALONE.map(plan) {
        let plan = Plan::new(&rule, i64::MAX - 1, &Utc, &cohort).expect("it names no cohort");
        assert!(by_threads(&plan, &source, 2, LIMITS).is_none(), "{text}");
    }
}

#[test]
fn the_first_chunk_that_is_damaged_is_told() {
    let (header, mut stream) = events(0, 120_000);
    let bytes = stream.bytes.len();
    // What frames say of themselves makes no sense any more.
    stream.bytes[bytes / 3..].fill(0xff);
    let mut source = Source { customers: CUSTOMERS, everyone: true, ..Source::default() };
    source.events.push(Part { header: &header, stream: &stream, dead: HashMap::new() });
    let rule = rule::parse_text(RULES[0], &Utc).expect("a rule");
    let plan = Plan::new(&rule, i64::MAX - 1, &Utc, &cohort).expect("it names no cohort");
    let alone = evaluate(&plan, &source, WISH, LIMITS).map(|answer| answer.size);
    assert!(matches!(alone, Err(Stop::Damaged(_))), "{alone:?}");
    let together = by_threads(&plan, &source, 3, LIMITS).expect("it can be divided").map(|answer| answer.size);
    assert_eq!(together, alone);
}
