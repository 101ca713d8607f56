//! Rows of tables.

use crate::common::valid;
use crate::{hint, refused, refused_where};

fn customer_in(rows: &str) -> String {
    format!(r#"{{"customer_in": {rows}}}"#)
}

#[test]
fn rows_have_a_table_and_a_column() {
    for rows in [
        r#"{"table": "shop.product", "column": "id"}"#,
        r#"{"table": "\"My Shop\".\"a\"\"b\"", "column": "Odd Name"}"#,
        r#"{"table": "shop.product", "column": "id", "where": {"property": "price", "operator": "gt", "ref": "row.cost"}}"#,
        r#"{"table": "shop.product", "column": "id", "where": [{"property": ["Odd Name", "a.b"], "operator": "exists"},
            {"element": "tags", "where": [{"property": ".", "operator": "eq", "ref": "row.tag"},
                                           {"property": "a", "operator": "eq", "ref": "element.b"}]}]}"#,
    ] {
        valid(&customer_in(rows));
        valid(&format!(r#"{{"did": "e", "where": {{"property": "p", "operator": "in", "rows": {rows}}}}}"#));
        valid(&format!(r#"{{"profile": "p[]", "operator": "none_of", "rows": {rows}, "ignore_case": true}}"#));
        valid(&format!(
            r#"{{"sequence": [{{"did": "e", "as": "c", "where": {{"element": "l", "where": {{"property": ".", "operator": "not_in", "rows": {rows}}}}}}}]}}"#
        ));
    }
    refused(
        &customer_in("{}"),
        &[("$.customer_in", "\"table\" is missing"), ("$.customer_in", "\"column\" is missing")],
    );
    refused(&customer_in("5"), &[("$.customer_in", "found a number")]);
    refused(
        &customer_in(r#"{"table": 5, "column": null, "where": [], "of": 1}"#),
        &[
            ("$.customer_in.column", "null is not allowed"),
            ("$.customer_in.of", "unknown key"),
            ("$.customer_in.table", "found a number"),
            ("$.customer_in.where", "empty"),
        ],
    );
    refused(r#"{"customer_in": {"table": "a.b", "column": "c"}, "cohort": "x"}"#, &[("$", "exclude each other")]);
}

#[test]
fn names_of_tables_have_their_schema() {
    for (table, problem) in [
        ("product", "has no schema"),
        ("", "not the name of a table"),
        ("shop.product;", "not the name of a table"),
        ("a.b.c", "not the name of a table"),
        ("a.1b", "begins with a digit"),
        (r#"a.\"b"#, "not closed"),
        ("pg_temp.t", "temporary"),
        ("PG_TEMP_3.t", "temporary"),
    ] {
        let rows = format!(r#"{{"table": "{table}", "column": "id"}}"#);
        refused(&customer_in(&rows), &[("$.customer_in.table", problem)]);
    }
    let long = format!(r#"{{"table": "a.{0}", "column": "{0}"}}"#, "x".repeat(64));
    refused(
        &customer_in(&long),
        &[("$.customer_in.column", "is not the name of a column"), ("$.customer_in.table", "longer than 63 bytes")],
    );
    valid(&customer_in(&long.replace(&"x".repeat(64), &"x".repeat(63))));
}

#[test]
fn rows_go_with_in_and_not_in() {
    const ROWS: &str = r#"{"table": "a.b", "column": "c"}"#;
    refused_where(
        &format!(r#"{{"property": "p", "operator": "eq", "rows": {ROWS}}}"#),
        &[("$", "does not accept rows")],
    );
    refused_where(
        &format!(r#"{{"property": "p", "operator": "exists", "rows": {ROWS}}}"#),
        &[("$", "does not accept a value")],
    );
    refused_where(
        &format!(r#"{{"property": "p", "operator": "in", "rows": {ROWS}, "value": ["a"]}}"#),
        &[("$", "exclude each other")],
    );
    hint(
        r#"{"did": "e", "where": {"property": "p", "operator": "in", "row": {}}}"#,
        "Did you mean \"rows\" instead of \"row\"?",
    );
    hint(
        r#"{"profile": "p", "operator": "in", "rows": {"tabel": "a.b", "column": "c"}}"#,
        "Did you mean \"table\" instead of \"tabel\"?",
    );
    hint(r#"{"customers_in": {}}"#, "Did you mean \"customer_in\" instead of \"customers_in\"?");
}

#[test]
fn predicates_of_rows_name_the_row_only() {
    let rows = |predicate: &str| {
        format!(
            r#"{{"profile": "p", "operator": "in", "rows": {{"table": "a.b", "column": "c", "where": {predicate}}}}}"#
        )
    };
    for name in ["event", "profile", "element"] {
        refused(
            &rows(&format!(r#"{{"property": "p", "operator": "eq", "ref": "{name}.x"}}"#)),
            &[("$.rows.where.ref", "cannot be used here")],
        );
    }
    refused(
        r#"{"sequence": [{"did": "e", "as": "s"}, {"did": "e", "where": {"property": "p", "operator": "in",
            "rows": {"table": "a.b", "column": "c", "where": {"property": "d", "operator": "eq", "ref": "s.x"}}}}]}"#,
        &[("$.sequence[1].where.rows.where.ref", "unknown reference")],
    );
    refused(
        &rows(r#"{"property": "p", "operator": "in", "rows": {"table": "a.b", "column": "c"}}"#),
        &[("$.rows.where.rows", "is not allowed in the")],
    );
    refused_where(
        r#"{"property": "p", "operator": "eq", "ref": "row.x"}"#,
        &[("$.ref", "\"row\" cannot be used here")],
    );
    // Elements around the rows are none of the row's.
    refused_where(
        r#"{"element": "l", "where": {"property": ".", "operator": "in",
            "rows": {"table": "a.b", "column": "c", "where": {"property": ".", "operator": "exists"}}}}"#,
        &[("$.where.rows.where.property", "an empty key")],
    );
}
