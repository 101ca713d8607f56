//! The JSON Schema says what the parser does, so far as a schema can.

mod common;

use cohort_core::rule::json_schema;
use common::random::Random;
use common::schema::{VALIDATOR, compare, zone_names};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn the_schema_is_a_schema() {
    let schema = json_schema(&zone_names());
    assert!(jsonschema::meta::is_valid(&schema));
    let comment = schema["$comment"].as_str().unwrap_or_default();
    for reason in ["regular expression", "between_ago", "1000 years", "exponent", "step name", "ref", "32", "cohort"] {
        assert!(comment.contains(reason), "{reason}");
    }
}

#[test]
fn without_zones_any_text_is_a_time_zone() {
    let any = jsonschema::validator_for(&json_schema(&[])).expect("a valid schema");
    let rule = json!({"did": "e", "timezone": "Moon"});
    assert!(any.is_valid(&rule));
    assert!(!any.is_valid(&json!({"did": "e", "timezone": 5})));
    assert!(!VALIDATOR.is_valid(&rule));
}

#[test]
fn random_rules_are_judged_alike() {
    let config = ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(seed in any::<u64>(), changes in 0..4_usize)| {
        let mut random = Random(seed);
        let mut rule = random.rule();
        compare(&rule).map_err(TestCaseError::fail)?;
        for _ in 0..changes {
            random.mutate(&mut rule);
            compare(&rule).map_err(TestCaseError::fail)?;
        }
        compare(&random.anything(3)).map_err(TestCaseError::fail)?;
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "lists of texts")]
fn texts_are_judged_alike() {
    let intervals = [
        "30 days",
        "30days",
        "1 month 15 days",
        "36h",
        "2w  1d",
        "1y 0 mon",
        "1000 years",
        "90 min 5 sec",
        "",
        " ",
        " 1 day",
        "1 day ",
        "0 days",
        "-1 day",
        "1.5 days",
        "day",
        "30",
        "30 days 30 days",
        "1 d 2 days",
        "1Day",
        "1d2h",
        "1 fortnight",
        "1\tday",
        "1 s 2 m 3 h 4 d 5 w 6 mon 7 y 8 milliseconds 9 microseconds",
        "1 s 1 sec",
        "1 min 2 m",
        "1 mon 1 m",
        "1 day\n",
        "١ day",
        "0 s 0 m",
        "007 d",
        "1 secs",
        "1 mins",
        "1 ms",
        "1 microsecond 1 microseconds",
        "1 d 1 w 1 d",
    ];
    let dates = [
        "2026-03-01",
        "2026-03-01T10:00:00",
        "1970-01-01T05:30:00+05:30",
        "1969-12-31T09:00:00-15",
        "2024-02-29",
        "2000-02-29",
        "1900-02-29",
        "0004-02-29",
        "0000-02-29",
        "0001-01-01",
        "9999-12-31",
        "2026-04-31",
        "2026-1-1",
        "2026-01-01T24:00:00",
        "2026-01-01T10:00:60",
        "2026-01-01T10:00",
        "2026-01-01T10:00:00.",
        "2026-01-01T10:00:00.123456789012",
        "2026-01-01T10:00:00+16:00",
        "2026-01-01T10:00:00-15:59",
        "2026-01-01T10:00:00+0560",
        "2026-01-01Z",
        "2026-01-01\n",
        "2026-13-01",
        "2026-00-10",
        "2026-10-00",
        "+2026-01-01",
        "2026-03-01T10:00:00Zulu",
        "٢026-01-01",
    ];
    let paths = [
        "a",
        "a.b",
        "a[]",
        "a[][].b[]",
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "[]",
        "a[0]",
        "a]",
        "a[]b",
        "[]a",
        "a.[]",
        "\n",
        "a b.é",
        "0.1",
    ];
    for text in intervals {
        compare(&json!({"did": "e", "time": {"in_the_last": text}})).expect("one verdict");
    }
    for text in dates {
        compare(&json!({"did": "e", "time": {"since": text}})).expect("one verdict");
    }
    for text in paths {
        compare(&json!({"profile": text, "operator": "exists"})).expect("one verdict");
        compare(&json!({"sequence": [{"did": "e", "as": "c"}, {"did": "e", "where":
            {"property": "p", "operator": "eq", "ref": format!("c.{text}")}}]}))
        .expect("one verdict");
    }
}

#[test]
fn every_date_is_judged_alike() {
    let validator = jsonschema::validator_for(&json!({"$ref": "#/$defs/date", "$defs": json_schema(&[])["$defs"]}))
        .expect("a schema");
    for year in ["0000", "0001", "0100", "0400", "1999", "2000", "2024", "2100"] {
        for month in 0..=13 {
            for day in 0..=32 {
                let text = format!("{year}-{month:02}-{day:02}");
                assert_eq!(validator.is_valid(&json!(text)), cohort_core::time::read(&text).is_some(), "{text}");
            }
        }
    }
}

#[test]
fn the_longest_list_fits() {
    let with = |length| json!({"profile": "p", "operator": "in", "value": vec![1; length]});
    compare(&with(100_000)).expect("one verdict");
    assert!(VALIDATOR.is_valid(&with(100_000)));
    assert!(!VALIDATOR.is_valid(&with(100_001)));
}
