//! Prints the `CREATE FUNCTION` statements of the functions that the extension's source declares with `#[pg_extern]`,
//! sorted by name. pgrx embeds the declarations in a section of the library; this program reads them from there.
//!
//! ```text
//! declared target/release/libkursaha_cohort.so kursaha_cohort.control 0.1.0 > sql/functions.sql
//! ```

use std::path::Path;

use eyre::{Result, WrapErr, eyre};
use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::section::{ELF_SECTION_NAME, decode_entities};
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity};

/// The first lines of the printed file.
const HEADER: &str = "\
-- The functions that src/api declares, as scripts/sql reads them from the built library. Do not edit: change the
-- declaration, then run scripts/sql --write.
SET LOCAL search_path = pg_catalog, pg_temp;";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, control, version] = arguments.as_slice() else {
        return Err(eyre!("usage: declared LIBRARY CONTROL_FILE VERSION"));
    };
    let bytes = std::fs::read(library).wrap_err_with(|| library.clone())?;
    let object = object::File::parse(bytes.as_slice())?;
    let section = object.section_by_name(ELF_SECTION_NAME).ok_or_else(|| {
        eyre!("{library} has no section {ELF_SECTION_NAME}: it was linked without build.rs's arguments")
    })?;
    let mut entities = decode_entities(section.data()?)?;
    // Blocks of SQL in the source are not wanted: those files are put together by scripts/sql.
    entities.retain(|entity| matches!(entity, SqlGraphEntity::Function(_)));
    entities
        .push(SqlGraphEntity::ExtensionRoot(ControlFile::from_path_with_cargo_version(Path::new(control), version)?));
    let sql = PgrxSql::build(entities.into_iter(), "kursaha_cohort".to_owned(), false)?.to_sql()?;
    println!("{HEADER}");
    for statement in statements(&sql) {
        println!("\n{statement}");
    }
    Ok(())
}

/// The statements of a generated script, sorted: without its comments, which name lines of the source, and with the
/// functions' schema.
fn statements(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement: Vec<String> = Vec::new();
    for line in sql.lines() {
        let line = without_comment(line);
        if statement.is_empty() && !line.starts_with("CREATE") {
            continue;
        }
        let ends = line.ends_with(';');
        statement.push(line.replace("CREATE  FUNCTION \"", "CREATE FUNCTION @extschema@.\"").replace('\t', "    "));
        if ends {
            found.push(statement.join("\n"));
            statement.clear();
        }
    }
    found.sort();
    found
}

/// A line without the comment that ends it, if one does.
fn without_comment(line: &str) -> &str {
    line.find("/*").map_or(line, |at| &line[..at]).trim_end()
}
