//! Forms of time with the calendar and with anchors.

use crate::common::valid;
use crate::{hint, refused};

fn with(time: &str) -> String {
    format!(r#"{{"did": "e", "time": {time}}}"#)
}

#[test]
fn previous_takes_a_number_of_units() {
    for units in ["month", "1 day", "2days", "1000 years", "007  weeks", "4 quarter", "1 weeks"] {
        valid(&with(&format!(r#"{{"previous": "{units}"}}"#)));
    }
    for (units, fragment) in [
        ("days", "unknown calendar unit \"days\""),
        ("3 hours", "unknown calendar unit \"hours\""),
        ("0 days", "\"0\" is not a number from 1 to 1000"),
        ("1001 days", "\"1001\" is not a number"),
        ("99999999999999999999 days", "is not a number"),
        ("3 months ", "unknown calendar unit"),
        (" 3 months", "unknown calendar unit"),
        ("3", "unknown calendar unit \"\""),
        ("3 Months", "unknown calendar unit"),
        ("-3 days", "unknown calendar unit"),
    ] {
        refused(&with(&format!(r#"{{"previous": "{units}"}}"#)), &[("$.time.previous", fragment)]);
    }
    refused(&with(r#"{"this": "3 months"}"#), &[("$.time.this", "unknown calendar unit")]);
    hint(&with(r#"{"previous": "3 mnoths"}"#), "Did you mean \"months\"?");
}

#[test]
fn weekdays_and_hours_are_local() {
    for time in [
        r#"{"weekday": "monday"}"#,
        r#"{"weekday": ["saturday", "sunday", "sunday"]}"#,
        r#"{"hours": ["18:00", "24:00"]}"#,
        r#"{"hours": ["00:00", "24:00"]}"#,
        r#"{"hours": ["22:00", "06:30"]}"#,
        r#"{"hours": ["22:00", "00:00"]}"#,
    ] {
        valid(&with(time));
    }
    refused(&with(r#"{"weekday": []}"#), &[("$.time.weekday", "empty")]);
    refused(&with(r#"{"weekday": ["Sat"]}"#), &[("$.time.weekday[0]", "unknown weekday \"Sat\"")]);
    hint(&with(r#"{"weekday": ["Sat"]}"#), "Did you mean \"saturday\"?");
    hint(&with(r#"{"weekday": "wedensday"}"#), "Did you mean \"wednesday\"?");
    refused(&with(r#"{"weekday": 6}"#), &[("$.time.weekday", "found a number")]);
    refused(&with(r#"{"hours": ["18:00", "18:00"]}"#), &[("$.time.hours", "are the same")]);
    refused(&with(r#"{"hours": ["24:00", "06:00"]}"#), &[("$.time.hours[0]", "not a time of day")]);
    refused(
        &with(r#"{"hours": ["7:00", "18:60"]}"#),
        &[("$.time.hours[0]", "not a time of day"), ("$.time.hours[1]", "not a time of day")],
    );
    refused(&with(r#"{"hours": ["18:00"]}"#), &[("$.time.hours", "a list of 1")]);
    refused(&with(r#"{"hours": ["18:00", 24]}"#), &[("$.time.hours[1]", "found a number")]);
}

#[test]
fn anchors_have_one_instant() {
    for time in [
        r#"{"from": {"first": "signup"}, "within": "7 days"}"#,
        r#"{"until": {"last": ["a", "*"]}}"#,
        r#"{"from": {"last": "e", "where": [{"property": "p[].q", "operator": "exists"}]}}"#,
        r#"{"until": {"profile": "trial.ends"}, "within": "1 month"}"#,
        r#"{"from": {"profile": ["a[]"]}}"#,
    ] {
        valid(&with(time));
        valid(&format!(r#"{{"sequence": [{{"did": "a"}}, {{"did": "b", "time": {time}}}]}}"#));
    }
    refused(&with(r#"{"from": "2026-01-01"}"#), &[("$.time.from", "expected an anchor, found a string")]);
    hint(
        &with(r#"{"from": "2026-01-01"}"#),
        "For a date write {\"since\": …}; an anchor is {\"first\": …}, {\"last\": …} or {\"profile\": …}.",
    );
    refused(&with(r#"{"from": {}}"#), &[("$.time.from", "missing")]);
    refused(
        &with(r#"{"until": {"first": "a", "last": ""}}"#),
        &[("$.time.until", "exclude"), ("$.time.until.last", "empty")],
    );
    refused(&with(r#"{"from": {"profile": "a[].b"}}"#), &[("$.time.from.profile", "must lead to one value")]);
    refused(
        &with(r#"{"from": {"profile": "a", "where": {}}, "within": "0 days"}"#),
        &[("$.time.from.where", "unknown key"), ("$.time.within", "greater than zero")],
    );
    refused(&with(r#"{"since": "2026-01-01", "within": "1 day"}"#), &[("$.time.within", "unknown key")]);
    refused(&with(r#"{"from": {"fisrt": "a"}}"#), &[("$.time.from", "missing"), ("$.time.from.fisrt", "unknown key")]);
    hint(&with(r#"{"from": {"fisrt": "a"}}"#), "Did you mean \"first\" instead of \"fisrt\"?");
}

#[test]
fn properties_lie_in_windows_of_the_calendar() {
    let with =
        |operator: &str, value: &str| format!(r#"{{"profile": "p", "operator": "{operator}", "value": "{value}"}}"#);
    for (operator, value) in [
        ("this", "quarter"),
        ("previous", "month"),
        ("previous", "3 months"),
        ("next", "1000days"),
        ("anniversary_this", "week"),
    ] {
        valid(&with(operator, value));
    }
    for (operator, value, fragment) in [
        ("this", "3 months", "unknown calendar unit"),
        ("next", "months", "unknown calendar unit"),
        ("previous", "0 days", "is not a number"),
        ("anniversary_this", "quarter", "does not accept \"quarter\""),
        ("anniversary_this", "2 days", "unknown calendar unit"),
    ] {
        refused(&with(operator, value), &[("$.value", fragment)]);
    }
    refused(
        r#"{"profile": "p", "operator": "this", "value": "day", "ignore_case": true}"#,
        &[("$", "does not accept \"ignore_case\"")],
    );
    refused(r#"{"profile": "p", "operator": "next"}"#, &[("$", "\"value\" is missing")]);
    hint(&with("anniversary_thsi", "day"), "Did you mean \"anniversary_this\"?");
}

#[test]
fn several_forms_stand_in_a_list() {
    valid(&with(r#"[{"this": "month"}, {"weekday": "friday"}, {"from": {"first": "a"}}]"#));
    refused(&with("[]"), &[("$.time", "empty")]);
    refused(
        &with(r#"[{"this": "month"}, {"this": "moth"}, {}]"#),
        &[("$.time[1].this", "unknown calendar unit"), ("$.time[2]", "missing")],
    );
}
