//! The released formats. `golden/format-N` has what version N of the format wrote: segments of events, profiles and
//! customers in pages, packed removals, a list. This version reads all of them, and writes the newest as it was released.
//!
//! `GOLDEN=write cargo test -p cohort-core --test golden` writes the files of a new format, which must not be there yet.

#![expect(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod common;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use cohort_core::eval::{Part, Plan, Source, Wish, evaluate, universe};
use cohort_core::rule;
use cohort_core::segment::item::{Decimal, Item};
use cohort_core::segment::page::{self, PAGE};
use cohort_core::segment::{
    CustomersBuilder, CustomersHeader, FORMAT, Header, Key, Removal, RemovalsBuilder, RowKey, SegmentBuilder,
    customer_hash, removals,
};
use common::LIMITS;
use common::utc::Utc;
use roaring::RoaringBitmap;

const KEY: Key = *b"key of the index";
const CUSTOMERS: u32 = 70_000;

/// What is kept of one kind: its name, and the number by which its pages are sealed.
const PARTS: [(&str, i64); 3] = [("events", 11), ("profiles", 12), ("customers", 13)];

fn folder(format: u8) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/format-{format}"))
}

/// A fixed sequence of pseudo-random numbers.
fn numbers() -> impl FnMut(u64) -> u64 {
    let mut state = 1_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn id(ordinal: u32) -> String {
    format!("customer-{ordinal}")
}

/// Every way in which rows and values are stored: few rows and many, ordinals in two chunks, times close together and apart,
/// ids in order and not, values of each kind, dense and sparse, lists of rows, more paths than have a column.
fn events() -> Vec<u8> {
    let mut next = numbers();
    let mut builder = SegmentBuilder::new(6);
    for event_id in 0..6_000_i64 {
        let number = next(12);
        let (name, dense) =
            if number < 9 { ("view", true) } else { (["cart", "buy", "Ünïcode"][(number - 9) as usize], false) };
        let ordinal = if next(20) == 0 { 65_536 + next(4_000) as u32 } else { next(9_000) as u32 };
        let at = 600_000_000_000_000 + event_id * 1_000_003 + if dense { 0 } else { next(1 << 40).cast_signed() };
        let group = builder.group(name);
        group.row(RowKey { ordinal, at, event_id: if next(50) == 0 { event_id + (1 << 40) } else { event_id } });
        group.enter("price");
        match next(5) {
            0 => group.value(Item::Big("123456789012345678901234567890.5")),
            1 => group.value(Item::Text("12.50")),
            _ => group.value(Decimal::new(next(5_000).cast_signed() - 100, 2).map_or(Item::Bool(false), Item::Number)),
        }
        group.leave();
        group.enter("sku");
        group.value(Item::Text(&format!("s{}", next(300))));
        group.leave();
        if next(40) == 0 {
            group.enter("deep");
            group.enter("flag");
            group.value(Item::Bool(next(2) == 0));
            group.leave();
            group.enter("list");
            group.value(Item::Json("[1, \"a\", null]"));
            group.leave();
            group.leave();
            for rare in ["r1", "r2", "r3", "r4"] {
                group.enter(rare);
                group.value(Item::Text(rare));
                group.leave();
            }
        }
    }
    builder.finish().expect("it fits")
}

fn profiles() -> Vec<u8> {
    let mut next = numbers();
    let mut builder = SegmentBuilder::new(64);
    for ordinal in (0..9_000).chain(65_536..65_800) {
        let group = builder.group("");
        group.row(RowKey { ordinal, at: 0, event_id: 0 });
        group.enter("city");
        group.value(Item::Text(["pune", "thane", "mumbai"][next(3) as usize]));
        group.leave();
        group.enter("age");
        group.value(Decimal::new(next(90).cast_signed(), 0).map_or(Item::Bool(false), Item::Number));
        group.leave();
    }
    builder.remove_profile(3);
    builder.remove_profile(69_000);
    builder.finish().expect("it fits")
}

fn customers() -> Vec<u8> {
    let mut builder = CustomersBuilder::new(0);
    for ordinal in 0..6_000 {
        // Erased customers have no id.
        let id = if ordinal % 1_000 == 7 { String::new() } else { id(ordinal) };
        builder.push(&id, customer_hash(&KEY, &id));
    }
    builder.finish().expect("it fits")
}

fn removed() -> Vec<u8> {
    let mut builder = RemovalsBuilder::default();
    for (event_id, stamp, customer) in
        [(5, 700, "ana"), (6, 700, "ana"), (1 << 41, u64::MAX >> 1, "Zoë"), (2, 3, ""), (-9, 0, "x")]
    {
        builder.push(Removal { event_id, stamp, customer });
    }
    builder.bytes().to_vec()
}

/// A chunk of a list's or a segment's ordinals as the tables keep it, and the hashes of ids without one.
fn list() -> Vec<u8> {
    let set: RoaringBitmap = (0..9_000).step_by(3).chain(20_000..30_000).chain([65_535]).collect();
    let mut bytes = Vec::new();
    set.serialize_into(&mut bytes).expect("memory takes it");
    for number in 0..20 {
        bytes.extend_from_slice(&customer_hash(&KEY, &format!("unknown {number}")).to_be_bytes()[..12]);
    }
    bytes
}

/// What is kept of a format, by the names of the files.
fn written() -> Vec<(&'static str, Vec<u8>)> {
    let segments = [events(), profiles(), customers()];
    let mut files: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for ((name, segment), bytes) in PARTS.into_iter().zip(segments) {
        let pages =
            bytes.chunks(PAGE).zip(0..).flat_map(|(bytes, number)| page::seal(segment, number, bytes)).collect();
        files.push((name, pages));
    }
    files.push(("removals", removed()));
    files.push(("list", list()));
    files
}

const RULES: [&str; 10] = [
    r#"{"did": "view", "count": {"gte": 2}, "where": {"property": "price", "operator": "gt", "value": 20.25}}"#,
    r#"{"did": "*", "aggregate": {"fn": "sum", "property": "price", "gt": 100}}"#,
    r#"{"did": "view", "aggregate": {"fn": "count_distinct", "property": "sku", "gte": 2}}"#,
    r#"{"did": "view", "where": {"property": "sku", "operator": "in", "value": ["s7", "s8", "s299"]}}"#,
    r#"{"did": "Ünïcode", "where": {"property": "sku", "operator": "starts_with", "value": "s2"}}"#,
    r#"{"did": "*", "where": {"property": "deep.list", "operator": "contains", "value": "a"}}"#,
    r#"{"did": "view", "where": {"property": "r4", "operator": "eq", "value": "r4"}}"#,
    r#"{"sequence": [{"did": "view"}, {"did_not": "cart"}, {"did": "buy"}], "within": "30 days"}"#,
    r#"{"and": [{"profile": "city", "operator": "eq", "value": "pune"}, {"profile": "age", "operator": "lt", "value": 30}]}"#,
    r#"{"did": "buy", "time": {"between": ["2019-01-05", "2019-01-10"]}}"#,
];

/// Everything that can be asked of the files of a format, as text.
fn answers(file: &dyn Fn(&str) -> Vec<u8>) -> String {
    let mut text = String::new();
    let mut segments = Vec::new();
    for (name, segment) in PARTS {
        let stored = file(name);
        let mut bytes = Vec::new();
        for (stored, number) in stored.chunks(PAGE + 4).zip(0..) {
            bytes.extend_from_slice(
                page::open(segment, number, stored).expect("a page of a released format can be read"),
            );
        }
        segments.push(bytes);
    }
    let headers: Vec<Header> =
        segments[..2].iter().map(|bytes| Header::open(bytes).expect("a released format can be read")).collect();
    for (header, bytes) in headers.iter().zip(&segments) {
        Header::verify(bytes, &|| ()).expect("it is whole");
        let mut sum = crc32fast::Hasher::new();
        for entry in &header.groups {
            let group = entry.open(bytes).expect("it can be read");
            group.keys(bytes, |row, key| sum.update(format!("{row} {key:?}\n").as_bytes())).expect("it can be read");
            let mut values: Vec<String> = Vec::new();
            group
                .values(bytes, |row, path, item| values.push(format!("{row} {path:?} {item:?}\n")))
                .expect("it can be read");
            values.sort();
            for value in values {
                sum.update(value.as_bytes());
            }
            writeln!(text, "group {:?}: {} keys and values {:08x}", entry.name, header.rows(), sum.clone().finalize())
                .expect("memory");
        }
    }
    let [events, profiles] = headers.as_slice() else { panic!("two segments have headers") };
    let mut source = Source { customers: CUSTOMERS, ..Source::default() };
    source.events.push(Part { header: events, stream: &segments[0], dead: HashMap::new() });
    source.profiles.push(Part { header: profiles, stream: &segments[1], dead: HashMap::new() });
    for rule in RULES {
        let parsed = rule::parse_text(rule, &Utc).expect("it is a rule");
        let plan = Plan::new(&parsed, i64::MAX - 1, &Utc, &|_| None).expect("it names no cohort");
        let found = evaluate(&plan, &source, Wish { members: true, events: true }, LIMITS).expect("it can be read");
        let members: Vec<u32> = found.members.iter().collect();
        let sum = crc32fast::hash(format!("{members:?}").as_bytes());
        writeln!(
            text,
            "{rule}: {} members, {} events, {sum:08x}, {:?}",
            members.len(),
            found.events,
            &members[..members.len().min(5)]
        )
        .expect("memory");
    }
    writeln!(text, "universe: {}", universe(&source, i64::MAX - 1, &|| ()).expect("it can be read").len())
        .expect("memory");

    let header = CustomersHeader::open(&segments[2]).expect("a released format can be read");
    CustomersHeader::verify(&segments[2], &|| ()).expect("it is whole");
    let mut sum = crc32fast::Hasher::new();
    header
        .ids(&segments[2], None, &mut |ordinal, id| sum.update(format!("{ordinal} {id}\n").as_bytes()))
        .expect("it can be read");
    writeln!(text, "ids: {:08x}", sum.finalize()).expect("memory");
    let mut wanted: Vec<(u128, u32)> =
        [0, 7, 8, 4_711, 69_999, 70_000].map(|ordinal| (customer_hash(&KEY, &id(ordinal)), ordinal)).to_vec();
    wanted.sort_unstable();
    let hashes: Vec<u128> = wanted.iter().map(|(hash, _)| *hash).collect();
    let mut found = Vec::new();
    header
        .find(&segments[2], &hashes, |place, ordinal| found.push((wanted[place].1, ordinal)))
        .expect("it can be read");
    found.sort_unstable();
    writeln!(text, "found by their ids: {found:?}").expect("memory");

    for removal in removals(&file("removals")) {
        writeln!(text, "{:?}", removal.expect("it can be read")).expect("memory");
    }
    let list = file("list");
    let set = RoaringBitmap::deserialize_from(list.as_slice()).expect("it can be read");
    let hashes = &list[set.serialized_size()..];
    writeln!(
        text,
        "list: {} ordinals from {:?} to {:?}, {} hashes, the first is known: {}",
        set.len(),
        set.min(),
        set.max(),
        hashes.len() / 12,
        hashes[..12] == customer_hash(&KEY, "unknown 0").to_be_bytes()[..12]
    )
    .expect("memory");
    text
}

#[test]
fn every_released_format_is_read() {
    let mut formats = 0;
    for format in 0..=u8::MAX {
        let Ok(expected) = std::fs::read_to_string(folder(format).join("answers.txt")) else { continue };
        let found = answers(&|name| std::fs::read(folder(format).join(name)).expect("the file is there"));
        assert_eq!(found, expected, "format {format} gives other answers than when it was released");
        formats += 1;
    }
    assert!(formats > 0, "no format was released");
}

#[test]
fn what_is_written_is_the_newest_format() {
    let (format, files) = (FORMAT, written());
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        std::fs::create_dir(folder(format)).expect("a released format is not written again");
        for (name, bytes) in &files {
            std::fs::write(folder(format).join(name), bytes).expect("the file can be written");
        }
        let all: HashMap<&str, Vec<u8>> = files.into_iter().collect();
        std::fs::write(folder(format).join("answers.txt"), answers(&|name| all[name].clone()))
            .expect("the file can be written");
        return;
    }
    for (name, bytes) in files {
        let released = std::fs::read(folder(format).join(name)).unwrap_or_else(|error| {
            panic!("{name} of format {format}: {error}. A new format has golden files: GOLDEN=write cargo test -p cohort-core --test golden")
        });
        let differs = released.iter().zip(&bytes).position(|(one, other)| one != other);
        assert!(
            released == bytes,
            "{name} of format {format} is written in other bytes than were released ({} now, {} then, the first that differs at \
             {differs:?}): give the format a new number in src/core/segment/layout.rs",
            bytes.len(),
            released.len()
        );
    }
}
