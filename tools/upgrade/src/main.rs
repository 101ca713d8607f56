//! Completes an upgrade script: what differs between two install scripts stands in place of the line `-- @changes@`.
//!
//! ```text
//! upgrade OLD_INSTALL NEW_INSTALL UPGRADE > complete upgrade script
//! ```
//!
//! Statements of the new script that the old one does not have come in their order. Functions, procedures and views are replaced. A
//! changed table, index, trigger, type or sequence is left out: the upgrade script alters it by hand. What stands under
//! the comment `Upgrades repeat this.` comes in any case, what stands under `Upgrades skip this.` never.

use std::collections::HashSet;
use std::fs;
use std::process::ExitCode;

mod statement;

use statement::{Statement, statements};

const PLACE: &str = "-- @changes@\n";
const REPEAT: &str = "Upgrades repeat this.";
const SKIP: &str = "Upgrades skip this.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new, upgrade] = arguments.as_slice() else {
        eprintln!("usage: upgrade OLD_INSTALL NEW_INSTALL UPGRADE");
        return ExitCode::FAILURE;
    };
    match read(old).and_then(|old| complete(&old, &read(new)?, &read(upgrade)?)) {
        Ok(script) => {
            print!("{script}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn complete(old: &str, new: &str, upgrade: &str) -> Result<String, String> {
    let (before, after) = upgrade.split_once(PLACE).ok_or(format!("the upgrade script has no line {PLACE}"))?;
    Ok(format!("{before}{}{after}", changes(&statements(old)?, &statements(new)?)))
}

fn changes(old: &[Statement], new: &[Statement]) -> String {
    let texts: HashSet<&str> = old.iter().map(|statement| statement.text.as_str()).collect();
    let objects: HashSet<String> = old.iter().filter_map(Statement::made).collect();
    let mut script = String::new();
    for statement in new {
        let is_known = texts.contains(statement.text.as_str());
        // CREATE OR REPLACE takes away what ALTER FUNCTION gave.
        let repeats = statement.comment.contains(REPEAT) || statement.begins("ALTER FUNCTION");
        if statement.comment.contains(SKIP) || statement.begins("SET LOCAL search_path") || is_known && !repeats {
            continue;
        }
        let replaced = ["CREATE FUNCTION", "CREATE PROCEDURE", "CREATE VIEW"];
        let text = if replaced.iter().any(|words| statement.begins(words)) {
            statement.text.replacen("CREATE", "CREATE OR REPLACE", 1)
        } else if statement.made().is_some_and(|made| objects.contains(&made)) {
            continue;
        } else {
            statement.text.clone()
        };
        script.push_str(&text);
        script.push_str("\n\n");
    }
    script
}

#[cfg(test)]
mod tests {
    use super::complete;

    const OLD: &str = "CREATE TABLE a (b int);\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\n\
        CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION g();\n";

    fn changed(new: &str) -> String {
        complete(OLD, new, "-- @changes@\n").expect("both can be read").trim_end().to_owned()
    }

    #[test]
    fn nothing_changed() {
        assert_eq!(changed(OLD), "");
    }

    #[test]
    fn functions_and_views_are_replaced() {
        let new =
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 2; $$;\nCREATE VIEW v AS SELECT ';' AS \"a;b\";";
        assert_eq!(changed(new), new.replace("CREATE", "CREATE OR REPLACE").replace(";\n", ";\n\n"));
    }

    #[test]
    fn what_a_script_may_not_make_twice_is_altered_by_hand() {
        assert_eq!(
            changed("CREATE TABLE a (b int, c int);\nCREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION g();"),
            ""
        );
        let new = "CREATE TABLE b (b int);\n\nCREATE TRIGGER t AFTER INSERT ON b EXECUTE FUNCTION g();";
        assert_eq!(changed(new), new);
    }

    #[test]
    fn marks() {
        let known = "-- Upgrades repeat this.\nCREATE TABLE a (b int);";
        assert_eq!(changed(known), "");
        let old = "DO $$ x $$;\nALTER FUNCTION f() COST 1;";
        let new = "-- Upgrades repeat this.\nDO $$ x $$;\nALTER FUNCTION f() COST 1;\n-- A.\n-- Upgrades skip this.\nDO $$ y $$;";
        let upgrade = complete(old, new, "SET x;\n-- @changes@\nSELECT 1;\n").expect("both can be read");
        assert_eq!(upgrade, "SET x;\nDO $$ x $$;\n\nALTER FUNCTION f() COST 1;\n\nSELECT 1;\n");
    }

    #[test]
    fn bodies_end_where_they_end() {
        let new = "CREATE FUNCTION h() RETURNS int\nBEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END; -- END;\n SELECT 2;\nEND;\n\n\
            /* ; */ CREATE FUNCTION i() RETURNS int AS $a$ $$ ; $$ $a$;";
        assert_eq!(changed(new), new.replace("CREATE", "CREATE OR REPLACE").replace("/* ; */ ", ""));
        assert!(complete(OLD, "CREATE VIEW v AS SELECT 'x", "-- @changes@\n").is_err());
        assert!(complete(OLD, OLD, "no place").is_err());
    }
}
