use std::collections::HashMap;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::{Value, json};

use super::{Context, Source, Unresolved, evidence, members, parts};
use crate::rule::{Rule, parse};
use crate::time::{Micros, Zones};

/// Knows every zone as if it were UTC: dates of rules are only checked for their order with it.
struct AnyZone;

impl Zones for AnyZone {
    fn contains(&self, _: &str) -> bool {
        true
    }

    fn nearest(&self, _: &str) -> Option<String> {
        None
    }

    fn day_start(&self, date: NaiveDate, zone: &str) -> Micros {
        self.instant(date.and_time(NaiveTime::MIN), zone)
    }

    fn instant(&self, local: NaiveDateTime, _: &str) -> Micros {
        Micros(local.and_utc().timestamp_micros())
    }
}

pub(super) fn rule(json: &Value) -> Rule {
    parse(json, &AnyZone).unwrap_or_else(|problems| panic!("{json}: {problems:?}"))
}

fn cohorts(name: &str) -> Option<Source> {
    let spender = json!({
        "did": "purchase",
        "aggregate": {"fn": "sum", "property": "price", "gte": 10000},
        "time": {"this": "month"},
        "timezone": "Asia/Kolkata",
    });
    match name {
        "vip" => Some(Source::Rule(rule(&spender))),
        "not vip" => Some(Source::Rule(rule(&json!({"not": {"cohort": "vip"}})))),
        "staff" => Some(Source::List(7)),
        _ => None,
    }
}

pub(super) fn context(as_of: &str) -> Context<'_> {
    Context { schema: "public", as_of, cohort: &cohorts, only: None }
}

fn sql(json: &Value) -> String {
    members(&rule(json), &context("now()")).unwrap()
}

fn golden(name: &str, expected: &str, actual: &str) {
    assert_eq!(actual.trim(), expected.trim(), "{name}.sql; it gave\n{actual}");
}

macro_rules! golden {
    ($name:literal, $as_of:literal, $($rule:tt)+) => {{
        let actual = members(&rule(&json!($($rule)+)), &context($as_of)).unwrap();
        golden($name, include_str!(concat!("golden/", $name, ".sql")), &actual);
    }};
}

const FIRST_OF_NOVEMBER: &str = "timestamptz '2026-11-01 00:00:00+00'";

#[test]
fn the_examples_of_the_rule_language() {
    golden!("predicates", "now()", {"did": "purchase", "where": [
        {"property": "brand", "operator": "eq", "value": "something"},
        {"property": "price", "operator": "gt", "value": 1000},
    ]});
    golden!("absence", "now()", {"and": [{"did": "install"}, {"did_not": ["signup", "subscribe"]}]});
    golden!("cohorts", "now()", {"and": [
        {"did": "cart", "count": {"gte": 2}, "time": {"in_the_last": "7 days"}},
        {"did_not": "purchase", "time": {"in_the_last": "7 days"}},
        {"or": [{"profile": "city", "operator": "in", "value": ["pune", "mumbai"]}, {"cohort": "vip"}]},
    ]});
    golden!("reference", "now()", {"sequence": [
        {"did": "cart", "as": "c", "time": {"in_the_last": "7 days"}},
        {"did_not": "purchase", "where": [{"property": "productId", "operator": "eq", "ref": "c.productId"}]},
    ], "within": "1 day"});
}

#[test]
fn steps_with_options() {
    golden!("steps", "timestamptz '2026-11-01 00:00:00+00'", {"sequence": [
        {"did_not": "login", "within": "30 days"},
        {"did": "login", "occurrence": {"nth": 2}, "among": {"property": "web", "operator": "exists"}},
        {"did": "cart", "times": 2, "after": "1 hour", "within": "2 days"},
        {"did_not": "refund", "within": "7 days"},
    ], "within": "1 month"});
}

#[test]
fn properties_against_one_another() {
    golden!("refs", "timestamptz '2026-11-01 00:00:00+00'", {"or": [
        {"did": "order", "where": [
            {"property": "paid", "operator": "lt", "ref": "event.total"},
            {"property": "city", "operator": "neq", "ref": ["profile", "a.b"], "ignore_case": true},
            {"element": "items", "where": {"property": "due", "operator": "on", "ref": "element.sent"}},
        ]},
        {"profile": "joined", "operator": "since", "ref": "profile.invited"},
    ]});
}

#[test]
fn every_kind_of_condition() {
    golden!("tables", "timestamptz '2026-11-01 00:00:00+00'", {"or": [
        {"customer_in": {"table": "crm.\"Key Account\"", "column": "Customer", "where": [
            {"property": "since", "operator": "in_the_last", "value": "1 year"},
            {"property": "discount.rate", "operator": "gt", "ref": "row.rate"},
        ]}},
        {"did": "purchase", "where": {"element": "items", "where": {
            "property": "sku", "operator": "in", "rows": {"table": "shop.product", "column": "id"},
        }}},
        {"profile": "city", "operator": "not_in", "ignore_case": true, "rows": {"table": "shop.city", "column": "name",
            "where": {"element": "tags", "where": {"property": ".", "operator": "eq", "value": "metro"}}}},
    ]});
    golden!("seldom", "now()", {"did": "view", "count": {"lte": 2}, "time": {"previous": "quarter"}});
    golden!("figures", "timestamptz '2026-11-01 00:00:00+00'", {"or": [
        {"did": "purchase", "count": {"between": [2, 5]}, "aggregate": {"fn": "avg", "property": "price", "lt": 99.5}},
        {"did": "purchase", "aggregate": {"fn": "count_distinct", "property": "items[].sku", "gte": 3}},
        {"did": "purchase", "count": {"gt": 1},
         "aggregate": {"fn": "most_frequent", "property": "brand", "in": ["a", 1]}},
    ]});
    golden!("rankings", "timestamptz '2026-11-01 00:00:00+00'", {"or": [
        {"rank": {"did": "purchase", "aggregate": {"fn": "avg", "property": "price"}}, "order": "least", "top": 1000,
         "by": "city", "of": {"not": {"did": "refund"}}},
        {"rank": {"profile": "points"}, "order": "most", "percent": [0, 2.5]},
    ]});
    golden!("occurrence", "timestamptz '2026-11-01 00:00:00+00'",
        {"did": "*", "occurrence": "last", "time": {"between": ["2026-01-01", "2026-01-31"]},
         "where": {"property": "plan", "operator": "exists"}, "timezone": "Asia/Kolkata"});
    golden!("properties", "timestamptz '2026-11-01 00:00:00+00'", {"did": "purchase", "where": [
        {"or": [
            {"property": "items[].sku", "operator": "in", "value": ["A", "b", true, 3, 1.50], "ignore_case": true},
            {"property": "items[].tags", "operator": "contains_all", "value": ["x", 5]},
            {"not": {"property": "note", "operator": "icontains", "value": "ÉT"}},
        ]},
        {"property": ["a.b", "c"], "operator": "not_between", "value": ["m", "p"]},
        {"property": "mail", "operator": "ends_with", "value": "@example.com"},
        {"property": "mail", "operator": "regex", "value": "^\\w+\\.", "ignore_case": true},
        {"property": "tags", "operator": "contains_none", "value": ["x", "y"]},
    ]});
    golden!("dates", "$1", {"and": [
        {"profile": "born", "operator": "birthday_in_the_next", "value": "7 days"},
        {"profile": "joined", "operator": "since", "value": "2026-03-01T10:00:00"},
        {"profile": "joined", "operator": "before", "value": "2026-03-01T10:00:00.25+05:30"},
        {"profile": "left", "operator": "not_exists"},
        {"profile": "renews", "operator": "in_the_next", "value": "1 month 36 hours"},
        {"profile": "paid", "operator": "on", "value": "2026-03-01"},
    ], "timezone": "Asia/Kolkata"});
    golden!("complements", "now()", {"or": [
        {"did_not": "signup"},
        {"not": {"profile": "city", "operator": "neq", "value": "pune"}},
        {"not": {"cohort": "not vip"}},
        {"cohort": "staff"},
    ]});
}

#[test]
fn sequences() {
    golden!("in_order", "now()", {"sequence": [
        {"did": "view"},
        {"did_not": "logout"},
        {"did": ["cart", "wish"], "where": {"property": "price", "operator": "gte", "value": 10}},
        {"did": "purchase"},
        {"did_not": "refund"},
        {"did_not": "*", "where": {"property": "kind", "operator": "eq", "value": "complaint"}},
    ], "within": "1 month"});
    golden!("references", "now()", {"sequence": [
        {"did": "view", "as": "v"},
        {"did_not": "hide", "where": {"property": "id", "operator": "eq", "ref": "v.id"}},
        {"did": "cart", "as": "c", "where": {"property": "items[].id", "operator": "eq", "ref": "v.id", "ignore_case": true}},
        {"did": "purchase", "where": {"property": "cart", "operator": "eq", "ref": "c.cart.id"}},
    ]});
}

#[test]
fn evidence_of_one_customer() {
    let rule = rule(&json!({"and": [
        {"did": "purchase", "aggregate": {"fn": "sum", "property": "price", "gte": 100}},
        {"profile": "items[].sku", "operator": "eq", "value": "a"},
        {"sequence": [{"did": "a"}, {"did": "b"}], "within": "1 day"},
        {"cohort": "vip"},
    ]}));
    let rows = evidence(&rule, "$1", &context("now()")).unwrap();
    let paths: Vec<&str> = rows.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["$", "$.and[0]", "$.and[1]", "$.and[2]", "$.and[3]"]);
    assert!(rows[0].sql.ends_with("NULL::jsonb AS evidence"));
    assert!(rows[4].sql.ends_with("jsonb_build_object('cohort', 'vip'::text) AS evidence"));
    let all: Vec<&str> = rows[1..4].iter().map(|row| row.sql.as_str()).collect();
    golden("evidence", include_str!("golden/evidence.sql"), &all.join(";\n\n"));
    for row in &rows {
        assert_restricted(&row.sql);
    }
}

/// Every scan of a table of customers' rows is restricted to the one customer `$1`.
fn assert_restricted(sql: &str) {
    let scans: usize =
        ["cohort_event ", "cohort_customer ", "list_member "].map(|table| sql.matches(table).count()).iter().sum();
    let joined =
        sql.matches("p.customer_id = l.customer_id").count() + sql.matches("e.customer_id = l.customer_id").count();
    assert_eq!(sql.matches("customer_id = $1").count() + joined, scans, "{sql}");
}

#[test]
fn one_customer_restricts_every_scan() {
    let rule = rule(&json!({"or": [
        {"did_not": "a", "count": {"lt": 3}},
        {"cohort": "staff"},
        {"cohort": "vip"},
        {"did": "a", "occurrence": "first"},
        {"profile": "x", "operator": "exists"},
        {"sequence": [{"did": "a", "as": "a"}, {"did_not": "n"}, {"did": "b"},
                      {"did": "c", "where": {"property": "x", "operator": "eq", "ref": "a.x"}}, {"did_not": "m"}]},
    ]}));
    let cx = Context { only: Some("$1"), ..context("now()") };
    assert_restricted(&members(&rule, &cx).unwrap());
}

#[test]
fn parts_stand_in_the_order_of_the_document() {
    let rule = rule(&json!({"and": [{"not": {"did": "a"}}, {"or": [{"did_not": "b"}, {"cohort": "vip"}]}]}));
    let parts = parts(&rule, &context("now()")).unwrap();
    let paths: Vec<(&str, bool)> = parts.iter().map(|part| (part.path.as_str(), part.events.is_some())).collect();
    assert_eq!(
        paths,
        [
            ("$", false),
            ("$.and[0]", false),
            ("$.and[0].not", true),
            ("$.and[1]", false),
            ("$.and[1].or[0]", true),
            ("$.and[1].or[1]", false),
        ]
    );
    assert_eq!(
        parts[2].events.as_deref(),
        Some("SELECT count(*)\nFROM public.cohort_event e\nWHERE e.event_type = 'a'\n  AND e.occurred_at <= now()")
    );
    // By itself the absence is a complement; only there the universe is needed.
    assert!(parts[1].members.contains("universe"), "{}", parts[1].members);
    assert!(!parts[2].members.contains("universe"), "{}", parts[2].members);
}

#[test]
fn a_count_that_0_satisfies_is_measured_against_the_universe() {
    let outside = |count: Value| {
        let sql = sql(&json!({"did": "a", "count": count}));
        let having = sql.lines().find(|line| line.contains("HAVING")).map(|line| line.trim().to_owned());
        (sql.contains("EXCEPT"), having)
    };
    let having = |text: &str| Some(format!("HAVING count(*) {text}"));
    assert_eq!(outside(json!({"gte": 1})), (false, None));
    assert_eq!(outside(json!({"neq": 0})), (false, None));
    assert_eq!(outside(json!({"eq": 0})), (true, None));
    assert_eq!(outside(json!({"lt": 1})), (true, None));
    assert_eq!(outside(json!({"lt": 3})), (true, having(">= 3")));
    assert_eq!(outside(json!({"lte": 2})), (true, having("> 2")));
    assert_eq!(outside(json!({"neq": 2})), (true, having("= 2")));
    assert_eq!(outside(json!({"between": [0, 2]})), (true, having("> 2")));
    assert_eq!(outside(json!({"between": [1, 2]})), (false, having("BETWEEN 1 AND 2")));
    assert_eq!(outside(json!({"eq": 2})), (false, having("= 2")));
    assert_eq!(outside(json!({"lt": 0})), (false, having("< 0")));
    assert!(sql(&json!({"did": "a", "count": {"gte": 0}})).ends_with("SELECT customer_id FROM universe"));
}

#[test]
fn what_depends_on_as_of_is_computed_once() {
    let windowed = rule(&json!({"did": "a", "time": {"in_the_last": "1 day"}}));
    let bound = |as_of: &str| {
        let sql = members(&windowed, &context(as_of)).unwrap();
        sql.lines().find(|line| line.contains("time_subtract")).map(|line| line.trim().to_owned())
    };
    assert_eq!(
        bound("now()").as_deref(),
        Some("AND e.occurred_at > (SELECT kursaha_cohort.time_subtract(now(), interval '1 day', 'UTC'))")
    );
    assert_eq!(
        bound(FIRST_OF_NOVEMBER).as_deref(),
        Some(
            "AND e.occurred_at > kursaha_cohort.time_subtract(timestamptz '2026-11-01 00:00:00+00', interval '1 day', 'UTC')"
        )
    );
}

#[test]
fn a_cohort_is_evaluated_once_however_often_it_is_named() {
    let sql = sql(
        &json!({"and": [{"cohort": "vip"}, {"not": {"cohort": "not vip"}}, {"or": [{"cohort": "vip"}, {"did": "a"}]}]}),
    );
    assert_eq!(sql.matches("sum(").count(), 1, "{sql}");
    assert_eq!(sql.matches("AS MATERIALIZED").count(), 2, "{sql}");
}

#[test]
fn cohorts_that_cannot_be_resolved() {
    let chain: HashMap<String, Rule> = (0..40)
        .map(|number| (format!("c{number}"), rule(&json!({"cohort": format!("c{}", number + 1)}))))
        .chain([("loop".to_owned(), rule(&json!({"and": [{"did": "a"}, {"cohort": "back"}]})))])
        .chain([("back".to_owned(), rule(&json!({"not": {"cohort": "loop"}})))])
        .chain([("c40".to_owned(), rule(&json!({"did": "a"})))])
        .chain([("broken".to_owned(), rule(&json!({"cohort": "gone"})))])
        .collect();
    let look = |name: &str| chain.get(name).cloned().map(Source::Rule);
    let cx = Context { cohort: &look, ..context("now()") };
    let of = |name: &str| members(&rule(&json!({"or": [{"did": "x"}, {"cohort": name}]})), &cx);
    assert_eq!(of("loop"), Err(Unresolved::Cycle("loop".to_owned())));
    // 33 cohorts from the rule: c8 to c40.
    assert!(of("c8").is_ok());
    assert_eq!(of("c7"), Err(Unresolved::TooDeep("c40".to_owned())));
    let path = Some("$.or[1].cohort".to_owned());
    assert_eq!(of("gone"), Err(Unresolved::Unknown { name: "gone".to_owned(), path }));
    assert_eq!(of("broken"), Err(Unresolved::Unknown { name: "gone".to_owned(), path: None }));
}

#[test]
fn the_largest_rules_are_written() {
    // 1,000 steps, 1,000 conditions, 100,000 values: nothing may recurse by their number.
    let steps: Vec<Value> = (0..999).map(|step| json!({"did": format!("t{step}")})).collect();
    assert_eq!(sql(&json!({"sequence": steps})).matches("AS MATERIALIZED").count(), 999);
    let conditions: Vec<Value> = (0..999).map(|number| json!({"did_not": format!("t{number}")})).collect();
    // 998 between the conditions, and the universe's own.
    assert_eq!(sql(&json!({"and": conditions})).matches("\n  UNION\n").count(), 999);
    let values: Vec<Value> = (0..100_000).map(|number| json!(number)).collect();
    assert!(sql(&json!({"profile": "x", "operator": "in", "value": values})).contains("99999"));
}
