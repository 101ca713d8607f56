//! Definitions as a document.

mod common;

use cohort_core::definitions::{Cohort, Definitions, Members, in_order, parse};
use cohort_core::rule::Surroundings;
use serde_json::{Value, json};

use common::utc::Utc;

fn read(document: &Value) -> Result<Definitions, Vec<(String, String)>> {
    parse(&document.to_string(), &Surroundings { zones: &Utc, tables: None, check: &|| () })
        .map_err(|problems| problems.into_iter().map(|found| (found.path, found.problem)).collect())
}

#[test]
fn a_document_is_read_and_written() {
    let document = json!({
        "version": 1,
        "cohorts": [
            {"name": "buyers", "description": "who bought", "rule": {"did": "purchase", "count": {"gte": 2.0}}},
            {"name": "staff", "customer_ids": ["ana", "ben"]},
            {"name": "large", "customer_ids": null},
            {"name": "leads", "query": "SELECT customer_id FROM crm.lead"},
        ],
        "priorities": [{"name": "spring", "cohorts": ["staff", "buyers"]}],
        "suppressions": [{"cohort": "staff"}, {"cohort": "staff", "destination": "crm"}],
        "syncs": [
            {"cohort": "buyers", "destination": "crm", "frequency": "daily", "at": "02:30", "timezone": "UTC"},
            {"cohort": "staff", "destination": "crm", "frequency": "daily", "timezone": "UTC", "priority": "spring"},
        ],
    });
    assert_eq!(read(&document).expect("a document").to_json(), document);
}

#[test]
fn what_is_not_mentioned_is_none() {
    assert_eq!(read(&json!({})), Ok(Definitions::default()));
    assert_eq!(read(&json!({"cohorts": []})), Ok(Definitions { cohorts: Some(Vec::new()), ..Definitions::default() }));
}

#[test]
fn ids_are_sorted_and_taken_once() {
    let found = read(&json!({"cohorts": [{"name": "a", "customer_ids": ["b", "a", "b"]}]})).expect("a document");
    let ids = Some(vec!["a".to_owned(), "b".to_owned()]);
    let cohort = Cohort { name: "a".to_owned(), description: None, members: Members::List(ids) };
    assert_eq!(found.cohorts, Some(vec![cohort]));
}

#[test]
fn every_problem_has_its_place() {
    let document = json!({
        "version": 2,
        "cohort": [],
        "cohorts": [
            7,
            {"name": "", "rule": {"did": "x"}},
            {"name": "a", "rule": {"and": [{"did": 3}]}, "descripton": "x"},
            {"name": "b", "rule": {"did": "x"}, "customer_ids": []},
            {"name": "c"},
            {"name": "d", "customer_ids": ["x", 1]},
            {"name": "e", "customer_ids": []},
            {"name": "e", "customer_ids": []},
        ],
        "priorities": [{"name": "p", "cohorts": ["a", "a", 7]}, {"name": "q"}, {"name": "r", "cohorts": []}],
        "suppressions": [{"cohort": "a"}, {"destination": "x"}, {"cohort": "a"}],
        "syncs": [{"cohort": "a", "destination": "x", "at": 3}, {"cohort": "e", "destination": "x", "frequency": "daily"}],
    });
    let places: Vec<String> = read(&document).expect_err("problems").into_iter().map(|(path, _)| path).collect();
    let wanted = [
        "$.cohort",
        "$.version",
        "$.cohorts[0]",
        "$.cohorts[1].name",
        "$.cohorts[2].descripton",
        "$.cohorts[2].rule.and[0].did",
        "$.cohorts[3]",
        "$.cohorts[4]",
        "$.cohorts[5].customer_ids[1]",
        "$.cohorts[7]",
        "$.priorities[0].cohorts[1]",
        "$.priorities[0].cohorts[2]",
        "$.priorities[1].cohorts",
        "$.suppressions[1].cohort",
        "$.suppressions[2]",
        "$.syncs[0].frequency",
        "$.syncs[0].at",
    ];
    assert_eq!(places, wanted);
    for document in [json!(null), json!([]), json!("x")] {
        assert_eq!(read(&document).expect_err("a problem")[0].0, "$");
    }
    assert_eq!(read(&json!({"cohorts": {}})).expect_err("a problem")[0].0, "$.cohorts");
}

#[test]
fn each_stands_behind_what_it_needs() {
    let names = ["a", "b", "c", "d"];
    assert_eq!(in_order(&names, &[vec![3], vec![], vec![0, 1], vec![]]), [1, 3, 0, 2]);
    assert_eq!(in_order(&names, &[vec![1], vec![0], vec![], vec![2]]), [2, 3, 0, 1], "a cycle stands last");
}
