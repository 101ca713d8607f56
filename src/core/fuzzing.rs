//! What the fuzz targets of `fuzz/` do with their input, one function each: whatever the bytes are, it returns, and what
//! it finds agrees with itself. `cargo test` calls each function with changed examples; cargo-fuzz looks for others.

#[path = "tests/common/utc.rs"]
mod utc;

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::destination::{self, Action, Batch, Context, Hidden, Response, Row, quote, redact};
use crate::eval::{Limits, Part, Plan, Source, Wish, evaluate};
use crate::rule::{self, Rule};
use crate::schedule::Schedule;
use crate::segment::column::{Column, Reader};
use crate::segment::dictionary::Dictionary;
use crate::segment::{Header, PACK, SegmentBuilder};
use utc::Utc;

/// A target: its name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. `fuzz/fuzz_targets` has a file for each.
pub const TARGETS: &[Target] = &[
    ("rule", rule),
    ("segment", segment),
    ("dictionary", dictionary),
    ("column", column),
    ("destination", destination),
    ("schedule", schedule),
    ("redaction", redaction),
];

/// Memory of an evaluation: enough for the examples, little enough for a fuzzer.
const LIMITS: Limits<'static> = Limits { memory: 16 << 20, check: &|| () };

/// A rule's text is refused with problems, or its canonical JSON is the same rule, and can be planned, described and asked.
pub fn rule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let rule = match rule::parse_text(text, &Utc) {
        Ok(rule) => rule,
        Err(problems) => return assert!(!problems.is_empty(), "no rule, and no problem"),
    };
    let stored = rule.to_json().to_string();
    assert_eq!(rule::parse_text(&stored, &Utc).as_ref(), Ok(&rule), "the canonical JSON is another rule");
    let _ = rule.condition.describe();
    if let Ok(plan) = Plan::new(&rule, 0, &Utc, &|_| None) {
        let _ = evaluate(&plan, &Source { customers: 1, ..Source::default() }, Wish::default(), LIMITS);
    }
}

/// Rules that read every kind of column.
const ASKED: &[&str] = &[
    r#"{"did": "*", "aggregate": {"fn": "sum", "property": "price", "gt": 1}}"#,
    r#"{"did": "view", "count": {"gte": 2}, "where": {"property": "name", "operator": "contains", "value": "a"}}"#,
    r#"{"did": "*", "aggregate": {"fn": "most_frequent", "property": "name", "in": ["a", "b"]}}"#,
    r#"{"did": "*", "where": {"property": "tags[]", "operator": "eq", "value": 1}, "occurrence": "last"}"#,
    r#"{"sequence": [{"did": "view", "as": "v"}, {"did_not": "buy"}, {"did": "buy", "where": {"property": "name", "operator": "eq", "ref": "v.name"}}]}"#,
    r#"{"compare": {"did": "view"}, "operator": "lt", "to": {"did": "buy"}}"#,
    r#"{"did": "view", "per": "day", "periods": {"gte": 2, "streak": "longest"}}"#,
    r#"{"did_not": "*"}"#,
];

/// A segment's bytes are refused, or every rule has an answer or an error, and a merge does too.
pub fn segment(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let _ = Header::verify(&bytes, &|| ());
    mend(&mut bytes);
    let Ok(header) = Header::open(&bytes) else { return };
    let mut source = Source { customers: 200_000, ..Source::default() };
    source.events.push(Part { header: &header, stream: &bytes, dead: HashMap::new() });
    for text in ASKED {
        let rule: Rule = rule::parse_text(text, &Utc).expect("these are rules");
        let plan = Plan::new(&rule, i64::MAX - 1, &Utc, &|_| None).expect("no cohort is named");
        if let Ok(found) = evaluate(&plan, &source, Wish { members: true, events: true }, LIMITS) {
            assert_eq!(found.size, found.members.len(), "the size is not that of the members");
        }
    }
    let _ = SegmentBuilder::new(3).append(&header, &bytes, &|_| None, &|| ());
}

/// Puts the checksums right of what a fuzzer changed: the directory's, and those of the groups' headers.
fn mend(bytes: &mut [u8]) {
    let of_directory = |bytes: &[u8]| {
        let length = u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?) as usize;
        bytes.get(12..28_usize.checked_add(length)?).map(crc32fast::hash)
    };
    let Some(sum) = of_directory(bytes) else { return };
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    let Ok(header) = Header::open(&bytes.to_vec()) else { return };
    for entry in &header.groups {
        let place = entry.place();
        let at = usize::try_from(place.at).unwrap_or(usize::MAX);
        let inside = at.checked_add(place.length as usize).and_then(|end| bytes.get_mut(at..end));
        if let Some((sum, header)) = inside.and_then(|header| header.split_first_chunk_mut()) {
            *sum = crc32fast::hash(header).to_le_bytes();
        }
    }
}

/// Splits an input into a header, whose length its first two bytes say, and what lies behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (header, stream) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((header, stream.to_vec()))
}

/// A dictionary gives each of its codes one value, and finds each of its texts, or says that it is damaged.
pub fn dictionary(bytes: &[u8]) {
    let Some((header, stream)) = split(bytes) else { return };
    let Ok(dictionary) = postcard::from_bytes::<Dictionary>(header) else { return };
    if !dictionary.is_plausible(1_000) {
        return;
    }
    let _ = dictionary.kinds();
    let _ = dictionary.find_text(&stream, "a");
    let _ = dictionary.numbers_below(&stream, |mantissa| mantissa < 0);
    let _ = dictionary.each(&stream, dictionary.texts(), &mut |_, _| ());
    if dictionary.loaded_bytes() > 16 << 20 {
        return;
    }
    let Ok(loaded) = dictionary.load(&stream) else { return };
    for code in 0..=dictionary.len().saturating_add(1).min(10_000) {
        let _ = loaded.item(code);
    }
}

/// A column gives the same values row by row as all at once, or says that it is damaged.
pub fn column(bytes: &[u8]) {
    let Some((header, stream)) = split(bytes) else { return };
    let Ok(column) = postcard::from_bytes::<Column>(header) else { return };
    if !column.is_plausible() || column.rows > 100_000 {
        return;
    }
    let mut reader = Reader::new(&stream, &column);
    if column.is_sorted() {
        let mut values = [0; PACK];
        for pack in 0..(column.rows as usize).div_ceil(PACK) {
            let _ = reader.first(pack);
            let _ = reader.small(pack, &mut values);
        }
        return;
    }
    let _ = reader.partition_point(|value| value < 0);
    let Ok(all) = reader.all() else { return };
    assert_eq!(all.len(), column.rows as usize, "another number of rows");
    for (row, value) in (0..column.rows).zip(&all).step_by(37) {
        assert_eq!(reader.get(row).as_ref(), Ok(value), "another value of row {row}");
    }
}

/// A destination's configuration is refused with a place and a hint, or its requests keep the secret out of their address,
/// and any response has a meaning.
pub fn destination(bytes: &[u8]) {
    /// As S3 reads it, the id of an access key, which may be seen, and its secret.
    const SECRET: &str = "AKIA0000000000000000:EAAB-the-secret";
    const HIDDEN: &str = "EAAB-the-secret";
    let Ok(Value::Object(input)) = serde_json::from_slice::<Value>(bytes) else { return };
    let kind = input.get("kind").and_then(Value::as_str).unwrap_or("webhook");
    let config = input.get("config").cloned().unwrap_or_default();
    let destination = match destination::open(kind, &config) {
        Ok(destination) => destination,
        Err(bad) => return assert!(!bad.problem.is_empty() && !bad.hint.is_empty(), "no problem, or no hint"),
    };
    if destination.check_secret(SECRET).is_err() {
        return;
    }
    let profile = input.get("profile").and_then(Value::as_object);
    let row = match destination.render("customer 1", profile) {
        Ok((identity, properties)) => {
            Row { customer: "customer 1".to_owned(), identity: identity.bytes, properties, entered_at: 0 }
        }
        Err(_) => Row { customer: "customer 1".to_owned(), ..Row::default() },
    };
    let text = input.get("response").map(Value::to_string).unwrap_or_default();
    let status =
        input.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let response = Response { status, headers: Vec::new(), body: text.into_bytes() };
    let mut state = Map::new();
    let _ = destination.set_up(&mut state, Some(&response), SECRET);
    let context = Context { cohort: "c".to_owned(), batch: "1".to_owned(), now: 1_700_000_000, ..Context::default() };
    for action in [Action::Add, Action::Remove] {
        let _ = destination.read(action, &response, context.now);
        assert!(destination.batch_rows(action) > 0, "a batch without rows");
        let request =
            destination.request(&Batch { action, rows: std::slice::from_ref(&row) }, &state, &context, SECRET);
        assert!(!request.url.contains(HIDDEN), "the secret is in the address");
        assert!(!format!("{request:?}").contains(HIDDEN), "the secret is in the request's Debug");
    }
    let _ = destination.probes(&state, &context, SECRET);
    let _ = destination.fingerprint();
}

/// A schedule is refused with a hint, or each of its times is later than the one before.
pub fn schedule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.splitn(3, '\n');
    let (frequency, at, zone) = (lines.next().unwrap_or_default(), lines.next(), lines.next().unwrap_or("UTC"));
    let at = at.filter(|at| !at.is_empty());
    // 2024-02-29.
    let mut instant = 1_709_164_800_000_000;
    match Schedule::parse(frequency, at, zone, instant, 60) {
        Err(bad) => assert!(!bad.problem.is_empty() && !bad.hint.is_empty(), "no problem, or no hint"),
        Ok(schedule) => {
            for _ in 0..3 {
                let Some(next) = schedule.next(instant) else { break };
                assert!(next > instant, "{next} is not after {instant}");
                instant = next;
            }
        }
    }
}

/// A redacted text has neither the secret nor an address that a receiver repeats; the first line is the secret.
pub fn redaction(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (secret, said) = text.split_once('\n').unwrap_or(("", text));
    let mut hidden = Hidden::secret(secret);
    hidden.value("mary.jones@example.com");
    let clean = redact(&format!("refused: {}", quote(&format!("{said} mary.jones@example.com {secret}"))), &hidden);
    assert!(clean.chars().count() <= 500, "{} characters", clean.chars().count());
    assert!(!clean.contains("mary.jones@"), "the address is still there: {clean}");
    assert!(!clean.chars().any(char::is_control), "control characters in {clean:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::RowKey;
    use crate::segment::column::Writer;
    use crate::segment::dictionary;
    use crate::segment::item::{Decimal, Item};
    use crate::segment::random;

    /// Changed copies of each example: enough for a second of work in all.
    fn changes(target: &str) -> usize {
        if target == "segment" { 15 } else { 150 }
    }

    fn framed(header: &[u8], stream: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).expect("a small header");
        [&length.to_le_bytes(), header, stream].concat()
    }

    fn items() -> Vec<Item<'static>> {
        let number = |mantissa, scale| Item::Number(Decimal::new(mantissa, scale).expect("it fits"));
        let mut items =
            vec![Item::Bool(true), Item::Text("a"), Item::Text("é"), Item::Text("12"), Item::Json("[1,\"a\"]")];
        items.extend([number(5, 0), number(-7, 2), Item::Big("99999999999999999999")]);
        items
    }

    fn a_segment() -> Vec<u8> {
        let mut builder = SegmentBuilder::new(usize::MAX);
        for event_id in 0..300_i64 {
            let group = builder.group(if event_id % 3 == 0 { "view" } else { "buy" });
            let ordinal = u32::try_from(event_id * 997 % 150_000).expect("small");
            group.row(RowKey { ordinal, at: event_id * 1_000_003, event_id });
            for (key, place) in [("price", 5), ("name", 1), ("tags", 4), ("flag", 0)] {
                if event_id % 5 != place {
                    group.enter(key);
                    let items = items();
                    let place = usize::try_from(place + event_id % 3).expect("small") % items.len();
                    group.value(items[place]);
                    group.leave();
                }
            }
        }
        builder.finish().expect("it fits")
    }

    fn a_dictionary() -> Vec<u8> {
        let mut builder = dictionary::Builder::default();
        for item in items() {
            builder.code(item);
        }
        let mut stream = Vec::new();
        let (dictionary, _) = builder.finish(&Writer::new(), &mut stream).expect("it fits");
        framed(&postcard::to_stdvec(&dictionary).expect("it fits"), &stream)
    }

    fn columns() -> Vec<Vec<u8>> {
        let writer = Writer::new();
        let wide: Vec<i64> = (0..1_000).map(|place| (place % 7) << (place % 40)).collect();
        let ascending: Vec<u32> = (0..9_000).map(|place| place * 3).collect();
        let (mut plain, mut sorted) = (Vec::new(), Vec::new());
        let column = writer.plain(&wide, &mut plain).expect("it fits");
        let ascends = writer.sorted(&ascending, &mut sorted).expect("it fits");
        [(column, plain), (ascends, sorted)]
            .map(|(column, stream)| framed(&postcard::to_stdvec(&column).expect("it fits"), &stream))
            .to_vec()
    }

    fn examples(target: &str) -> Vec<Vec<u8>> {
        let texts: &[&str] = match target {
            "rule" => ASKED,
            "segment" => return vec![a_segment()],
            "dictionary" => return vec![a_dictionary()],
            "column" => return columns(),
            "destination" => &[
                r#"{"kind": "facebook_ads", "config": {"ad_account_id": "1", "audience_name": "n"}, "profile": {"email": "a@b.c"}, "status": 400, "response": {"error": {"code": 190}}}"#,
                r#"{"kind": "meta_pixel", "config": {"pixel_id": "1", "event_name": "e"}, "profile": {"phone": "15551234567"}}"#,
                r#"{"kind": "webhook", "config": {"url": "https://a.example.com/x", "include": ["a.b"]}, "profile": {"a": {"b": 1}}, "status": 503}"#,
                r#"{"kind": "s3", "config": {"endpoint": "https://a.example.com", "bucket": "b", "region": "us-east-1", "format": "csv"}}"#,
                r#"{"kind": "table", "config": {"table": "public.a", "customer_column": "c"}}"#,
            ],
            "schedule" => &[
                "daily\n02:30\nAsia/Kolkata",
                "every 6 hours",
                "weekly\nMonday 02:30\nUTC",
                "monthly\n31 02:30",
                "*/15 0-6 1,15 * MON",
                "hourly\n:15",
            ],
            "redaction" => &["token-1234\nbad value token-1234 for 15551234567 %40 mary@example.com", "\n\u{2}x\u{3}"],
            other => panic!("no example for {other}"),
        };
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    /// Changes some bytes, leaves some out, or repeats some.
    fn change(bytes: &mut Vec<u8>, random: &mut impl FnMut(i64) -> i64) {
        let mut below = |bound: usize| {
            let bound = i64::try_from(bound.max(1)).expect("a small number");
            usize::try_from(random(bound)).expect("a small number")
        };
        for _ in 0..=below(4) {
            let (at, to) = (below(bytes.len()), below(bytes.len()));
            match below(5) {
                0 => bytes.truncate(at),
                1 if at < to && to - at < 64 => drop(bytes.drain(at..to)),
                2 if at < to && to - at < 64 => {
                    let copy = bytes[at..to].to_vec();
                    bytes.splice(at..at, copy);
                }
                3 if at < bytes.len() => bytes[at] ^= 1 << below(8),
                _ if at < bytes.len() => bytes[at] = u8::try_from(below(256)).expect("a byte"),
                _ => {}
            }
        }
    }

    #[test]
    fn every_target_bears_changed_examples() {
        let mut random = random(16);
        for (name, target) in TARGETS {
            for example in examples(name) {
                target(&example);
                for _ in 0..changes(name) {
                    let mut bytes = example.clone();
                    change(&mut bytes, &mut random);
                    target(&bytes);
                }
            }
        }
    }

    #[test]
    fn examples_reach_what_they_are_about() {
        for text in ASKED {
            assert!(rule::parse_text(text, &Utc).is_ok(), "{text}");
        }
        assert!(Header::open(&a_segment()).is_ok());
        for input in columns() {
            let (header, stream) = split(&input).expect("framed");
            let column: Column = postcard::from_bytes(header).expect("a column");
            assert!(Reader::new(&stream, &column).all().is_ok());
        }
        let input = a_dictionary();
        let (header, stream) = split(&input).expect("framed");
        let dictionary: Dictionary = postcard::from_bytes(header).expect("a dictionary");
        assert!(dictionary.load(&stream).is_ok_and(|loaded| loaded.item(1).is_some()));
        for example in examples("destination") {
            let input: Value = serde_json::from_slice(&example).expect("JSON");
            let kind = input["kind"].as_str().expect("a kind");
            assert!(destination::open(kind, &input["config"]).is_ok(), "{input}");
        }
        for example in examples("schedule") {
            let text = String::from_utf8(example).expect("text");
            let mut lines = text.split('\n');
            let (frequency, at, zone) = (lines.next().expect("a line"), lines.next(), lines.next().unwrap_or("UTC"));
            assert!(Schedule::parse(frequency, at, zone, 1_709_164_800_000_000, 60).is_ok(), "{text}");
        }
    }
}
