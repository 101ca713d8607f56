//! Time windows and the steps of a sequence.

use crate::common::{problems, valid};
use crate::{refused, refused_where};

#[test]
fn time_has_one_form() {
    let with = |time: &str| format!(r#"{{"did": "e", "time": {time}}}"#);
    for time in [
        r#"{"in_the_last": "30 days"}"#,
        r#"{"more_than_ago": "1y"}"#,
        r#"{"between_ago": ["1 month 1 day", "30 days"]}"#,
        r#"{"since": "2026-01-01"}"#,
        r#"{"before": "2026-01-01T10:00:00.123456789+05:30"}"#,
        r#"{"between": ["2026-01-01", "2026-01-01"]}"#,
        r#"{"this": "quarter"}"#,
        r#"{"previous": "week"}"#,
    ] {
        valid(&with(time));
    }
    refused(&with("{}"), &[("$.time", "missing")]);
    refused(&with("\"30 days\""), &[("$.time", "found a string")]);
    refused(
        &with(r#"{"since": "2026-01-01", "before": "x"}"#),
        &[("$.time", "exclude each other"), ("$.time.before", "not a date")],
    );
    refused(&with(r#"{"after": "2026-01-01"}"#), &[("$.time", "missing"), ("$.time.after", "unknown key")]);
    assert!(
        problems(&with(r#"{"after": "2026-01-01"}"#))[1].hint.as_ref().is_some_and(|hint| hint.contains("\"since\""))
    );
    refused(&with(r#"{"this": "days"}"#), &[("$.time.this", "unknown calendar unit \"days\"")]);
    refused(&with(r#"{"previous": 1}"#), &[("$.time.previous", "found a number")]);
    refused(&with(r#"{"between_ago": ["30 days", "30 days"]}"#), &[("$.time.between_ago", "not longer")]);
    refused(&with(r#"{"between_ago": ["1 month", "30 days"]}"#), &[("$.time.between_ago", "not longer")]);
    refused(&with(r#"{"between_ago": ["30 days", "90 days"]}"#), &[("$.time.between_ago", "not longer")]);
    refused(&with(r#"{"between_ago": ["30 days"]}"#), &[("$.time.between_ago", "a list of 1")]);
    refused(
        &with(r#"{"between_ago": ["30 dys", 5]}"#),
        &[("$.time.between_ago[0]", "unknown unit"), ("$.time.between_ago[1]", "found a number")],
    );
    refused(&with(r#"{"between": ["2026-01-01"]}"#), &[("$.time.between", "a list of 1")]);
}

#[test]
fn between_dates_are_in_order_in_the_rules_zone() {
    let with = |zone: &str, first: &str, last: &str| {
        format!(r#"{{"did": "e", "timezone": "{zone}", "time": {{"between": ["{first}", "{last}"]}}}}"#)
    };
    let late = [("$.time.between", "no instant is between")];
    refused(&with("UTC", "2026-01-02", "2026-01-01"), &late);
    // The upper end covers its whole day.
    valid(&with("UTC", "2026-01-01T23:59:59.999999", "2026-01-01"));
    refused(&with("UTC", "2026-01-02T00:00:00", "2026-01-01"), &late);
    valid(&with("UTC", "2026-01-01T10:00:00", "2026-01-01T10:00:00"));
    refused(&with("UTC", "2026-01-01T10:00:01", "2026-01-01T10:00:00"), &late);
    // The day in Kolkata ends at 18:30 UTC.
    valid(&with("Asia/Kolkata", "2026-01-01T18:29:59Z", "2026-01-01"));
    refused(&with("Asia/Kolkata", "2026-01-01T18:30:00Z", "2026-01-01"), &late);
    valid(&with("Asia/Kolkata", "2026-01-01", "2025-12-31T18:30:00Z"));
    refused(&with("Asia/Kolkata", "2026-01-01", "2025-12-31T18:29:59Z"), &late);
    // In the gap of 2026-03-29 in Berlin 02:30 is read as 03:30; 02:30 in October with the offset after the change.
    refused(&with("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T03:15:00"), &late);
    valid(&with("Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:30:00"));
    // An unknown zone is one problem, and what no zone could put in order is another.
    refused(
        &with("Moon", "2026-01-02", "2026-01-01"),
        &[("$.time.between", "no instant is between"), ("$.timezone", "unknown time zone")],
    );
    refused(&with("Moon", "2026-01-02", "2026-01-02T00:00:00Z"), &[("$.timezone", "unknown time zone")]);
    valid(&with("UTC", "0001-01-01", "9999-12-31"));
}

#[test]
fn intervals_and_dates_are_read_by_their_grammars() {
    for bad in ["0 days", "-1 day", "1.5 days", "30", "1 Day", " 1 day", "1 day 1 days", "1d2h", "1001 years", ""] {
        refused(
            &format!(r#"{{"did": "e", "time": {{"in_the_last": "{bad}"}}}}"#),
            &[("$.time.in_the_last", "not an interval")],
        );
    }
    for bad in ["2026-02-29", "2026-1-1", "2026-01-01 10:00:00", "2026-01-01T24:00:00", "0000-01-01", "now", ""] {
        refused(&format!(r#"{{"did": "e", "time": {{"since": "{bad}"}}}}"#), &[("$.time.since", "not a date")]);
    }
}

#[test]
fn sequences_have_steps() {
    let with = |steps: &str| format!(r#"{{"sequence": [{steps}]}}"#);
    valid(&with(r#"{"did": "a"}"#));
    valid(&with(
        r#"{"did": ["a", "*"], "as": "x", "time": {"this": "day"}}, {"did_not": "b"}, {"did": "a", "as": "y z"}"#,
    ));
    refused(r#"{"sequence": {"did": "a"}}"#, &[("$.sequence", "found an object")]);
    refused(&with("5"), &[("$.sequence[0]", "found a number")]);
    refused(&with("{}"), &[("$.sequence[0]", "missing")]);
    refused(&with(r#"{"did_not": "a"}"#), &[("$.sequence", "the sequence has no \"did\" step")]);
    refused(&with(r#"{"did": "a", "did_not": "b"}"#), &[("$.sequence[0]", "exclude each other")]);
    refused(&with(r#"{"did": "a"}, {"did_not": "b", "as": "x"}"#), &[("$.sequence[1].as", "unknown key")]);
    valid(&with(r#"{"did": "a"}, {"did": "b", "time": {"this": "day"}}"#));
    refused(
        &with(r#"{"did": "a"}, {"did_not": "b", "time": {"this": "day"}}"#),
        &[("$.sequence[1].time", "unknown key")],
    );
    refused(
        &with(r#"{"did": "a"}, {"sequence": [{"did": "a"}]}"#),
        &[("$.sequence[1]", "missing"), ("$.sequence[1].sequence", "unknown key")],
    );
    refused(&with(r#"{"did": "a", "as": "x.y"}"#), &[("$.sequence[0].as", "not a name")]);
    refused(&with(r#"{"did": "a", "as": ""}"#), &[("$.sequence[0].as", "not a name")]);
    refused(&with(r#"{"did": "a", "as": 5}"#), &[("$.sequence[0].as", "found a number")]);
    refused(&with(r#"{"did": "a", "as": "x"}, {"did": "b", "as": "x"}"#), &[("$.sequence[1].as", "is not unique")]);
    refused(r#"{"sequence": [{"did": "a"}], "within": "soon"}"#, &[("$.within", "not an interval")]);
    refused(
        r#"{"sequence": [{"did": "a", "within": "1 day"}]}"#,
        &[("$.sequence[0].within", "not allowed in the first")],
    );
    // Names are those of one sequence.
    valid(r#"{"and": [{"sequence": [{"did": "a", "as": "x"}]}, {"sequence": [{"did": "a", "as": "x"}]}]}"#);
}

#[test]
fn references_name_earlier_steps() {
    let with = |first: &str, second: &str| {
        format!(
            r#"{{"sequence": [{{"did": "a", "as": "c", "where": {{"property": "p", "operator": "eq", {first}}}}},
                {{"did_not": "b", "where": {{"not": {{"property": "p", {second}}}}}}}, {{"did": "d", "as": "late"}}]}}"#
        )
    };
    let first = "\"value\": 1";
    let place = "$.sequence[1].where.not";
    valid(&with(first, r#""operator": "eq", "ref": "c.p""#));
    valid(&with(first, r#""operator": "is", "ref": "c.items[].sku.x", "ignore_case": true"#));
    let wrong = |second: &str, below: &str, fragment: &str| {
        refused(&with(first, second), &[(&format!("{place}{below}"), fragment)]);
    };
    wrong(r#""operator": "eq", "ref": "d.p""#, ".ref", "no earlier step is named \"d\"");
    wrong(r#""operator": "eq", "ref": "late.p""#, ".ref", "no earlier step is named \"late\"");
    wrong(r#""operator": "eq", "ref": ".p""#, ".ref", "no earlier step");
    wrong(r#""operator": "eq", "ref": "c""#, ".ref", "does not name a property");
    wrong(r#""operator": "eq", "ref": "c.""#, ".ref", "an empty key");
    wrong(r#""operator": "eq", "ref": "c.a[0]""#, ".ref", "misplaced brackets");
    wrong(r#""operator": "eq", "ref": 5"#, ".ref", "found a number");
    wrong(r#""operator": "eq", "ref": null"#, ".ref", "null");
    wrong(r#""operator": "contains", "ref": "c.p""#, "", "\"contains\" does not accept a ref");
    for ref_ in [r#"["c", "a.b"]"#, r#""event.p""#, r#""profile.p[].q""#, r#"["profile", "a.b"]"#] {
        for operator in ["neq", "gt", ">=", "lt", "lte", "before", "since", "on"] {
            valid(&with(first, &format!(r#""operator": "{operator}", "ref": {ref_}"#)));
        }
    }
    wrong(r#""operator": "eq", "ref": ["c"]"#, ".ref", "does not name a property");
    wrong(r#""operator": "eq", "ref": []"#, ".ref", "the list is empty");
    wrong(r#""operator": "eq", "ref": ["c", 5]"#, ".ref[1]", "found a number");
    wrong(r#""operator": "gt", "ref": "c.p", "ignore_case": true"#, "", "\"gt\" does not accept \"ignore_case\"");
    wrong(r#""operator": "in", "ref": "c.p""#, "", "\"in\" does not accept a ref");
    wrong(r#""operator": "exists", "ref": "c.p""#, "", "does not accept a value");
    wrong(r#""operator": "eq", "ref": "c.p", "value": 1"#, "", "exclude each other");
    wrong(r#""operator": "eq""#, "", "\"value\" is missing");
    // A step is not earlier than itself, and outside of sequences there are no steps.
    refused(&with("\"ref\": \"c.p\"", r#""operator": "exists""#), &[("$.sequence[0].where.ref", "no earlier step")]);
    refused_where(r#"{"property": "p", "operator": "eq", "ref": "c.p"}"#, &[("$.ref", "unknown reference \"c\"")]);
    refused(
        r#"{"profile": "p", "operator": "eq", "ref": "c.p", "value": 1}"#,
        &[("$", "exclude each other"), ("$.ref", "unknown reference \"c\"")],
    );
    assert_eq!(
        problems(&with(first, r#""operator": "eq", "ref": "cc.p""#))[0].hint.as_deref(),
        Some("Did you mean \"c\"?")
    );
}

#[test]
fn references_name_what_is_at_hand() {
    let event = |test: &str| format!(r#"{{"did": "e", "where": {test}}}"#);
    for ref_ in [r#""event.a.b""#, r#""profile.a""#, r#"["event", "a.b", ""]"#] {
        valid(&event(&format!(r#"{{"property": "p", "operator": "not_equals", "ref": {ref_}, "ignore_case": true}}"#)));
        valid(&event(&format!(
            r#"{{"element": "p", "where": {{"not": {{"property": ".", "operator": "on", "ref": {ref_}}}}}}}"#
        )));
        valid(&format!(
            r#"{{"did": "e", "occurrence": "first", "among": {{"property": "p", "operator": "lt", "ref": {ref_}}},
                "time": {{"from": {{"last": "a", "where": {{"property": "p", "operator": "eq", "ref": {ref_}}}}}}}}}"#
        ));
    }
    for ref_ in [r#""element""#, r#""element.a[].b""#, r#"["element"]"#, r#"["element", "."]"#] {
        let test = format!(r#"{{"property": "q", "operator": "gte", "ref": {ref_}}}"#);
        valid(&event(&format!(r#"{{"element": "p", "where": [{test}]}}"#)));
        valid(&format!(r#"{{"profile": "p", "element": true, "where": {{"element": "q", "where": {test}}}}}"#));
        refused_where(
            &test,
            &[(
                "$.ref",
                if ref_.contains("[\"element\"]") || ref_ == "\"element\"" {
                    "does not name a property"
                } else {
                    "\"element\" cannot be used here"
                },
            )],
        );
    }
    valid(r#"{"profile": "p", "operator": "since", "ref": "profile.q"}"#);
    refused(r#"{"profile": "p", "operator": "eq", "ref": "event.q"}"#, &[("$.ref", "\"event\" cannot be used here")]);
    refused(
        r#"{"profile": "p", "element": true, "where": {"property": "q", "operator": "eq", "ref": "event.q"}}"#,
        &[("$.where.ref", "\"event\" cannot be used here")],
    );
    refused_where(
        r#"{"property": "p", "operator": "eq", "ref": "row.q"}"#,
        &[("$.ref", "\"row\" cannot be used here")],
    );
    refused_where(r#"{"property": "p", "operator": "in", "ref": "event.q"}"#, &[("$", "\"in\" does not accept a ref")]);
    for name in ["profile", "event", "element", "row"] {
        refused(
            &format!(r#"{{"sequence": [{{"did": "e", "as": "{name}"}}]}}"#),
            &[("$.sequence[0].as", "a step cannot be named")],
        );
    }
    assert_eq!(
        problems(&event(r#"{"property": "p", "operator": "eq", "ref": "Event.q"}"#))[0].hint.as_deref(),
        Some("Did you mean \"event\"?")
    );
}

#[test]
fn steps_have_options_of_their_own() {
    let with = |steps: &str| format!(r#"{{"sequence": [{steps}], "within": "1 year"}}"#);
    let among = r#""among": [{"property": "p", "operator": "eq", "ref": "profile.p"}]"#;
    for step in [
        r#"{"did": "b", "within": "1 month", "after": "30 days"}"#,
        r#"{"did": "b", "after": "1 s", "times": 2}"#,
        r#"{"did": "b", "times": 100.0, "time": {"this": "day"}, "within": "1 day"}"#,
        r#"{"did": "b", "occurrence": {"nth": -2}, "as": "x", "time": {"this": "day"}}"#,
        &format!(r#"{{"did": "b", "occurrence": "first", {among}}}"#),
        r#"{"did_not": "b", "within": "1 day"}"#,
    ] {
        valid(&with(&format!(r#"{{"did": "a"}}, {step}"#)));
    }
    valid(&with(
        r#"{"did_not": "a"}, {"did_not": "a", "within": "1 day"}, {"did": "a", "times": 3}, {"did_not": "a"}"#,
    ));
    let second = |step: &str, place: &str, fragment: &str| {
        let steps = with(&format!(r#"{{"did": "a"}}, {step}, {{"did": "c"}}"#));
        refused(&steps, &[(&format!("$.sequence[1]{place}"), fragment)]);
    };
    second(r#"{"did": "b", "times": 1}"#, ".times", "1 is not a number of times");
    second(r#"{"did": "b", "times": 101}"#, ".times", "101 is not a number of times");
    second(r#"{"did": "b", "times": 2.5}"#, ".times", "not a whole number");
    second(r#"{"did": "b", "times": 2, "as": "x"}"#, "", "cannot be combined with \"as\"");
    second(r#"{"did": "b", "times": 2, "occurrence": "last"}"#, "", "cannot be combined with \"occurrence\"");
    second(&format!(r#"{{"did": "b", {among}}}"#), "", "\"among\" requires \"occurrence\"");
    second(r#"{"did": "b", "within": "29 days", "after": "1 month"}"#, "", "\"after\" is longer than \"within\"");
    second(r#"{"did": "b", "within": "soon"}"#, ".within", "not an interval");
    second(r#"{"did_not": "b", "within": "1 day"}"#, ".within", "is not allowed in a \"did_not\" step");
    second(r#"{"did_not": "b", "after": "1 day"}"#, ".after", "unknown key");
    second(r#"{"did_not": "b", "times": 2}"#, ".times", "unknown key");
    refused(
        &with(r#"{"did_not": "b"}, {"did": "a", "within": "2 days", "after": "1 day"}"#),
        &[("$.sequence[1].after", "not allowed in the first"), ("$.sequence[1].within", "not allowed in the first")],
    );
    assert_eq!(
        problems(&with(r#"{"did": "a"}, {"did": "b", "time": 2}"#)).len(),
        1,
        "a key that is known is looked at"
    );
}
