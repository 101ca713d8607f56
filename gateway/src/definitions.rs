//! `export`, `plan` and `apply`: definitions as files under version control.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::database::Database;
use crate::session::hexadecimal;
use crate::settings::Settings;

/// A connection as the role of the settings: whoever runs the command acts as itself.
async fn connect(settings: &Settings) -> Result<(Client, String), String> {
    let database = Database::new(settings)?;
    let (client, connection) = database.config.connect(database.tls).await.map_err(|error| words(&error))?;
    tokio::spawn(connection);
    let sql = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'kursaha_cohort'";
    let found = client.query_opt(sql, &[]).await.map_err(|error| words(&error))?;
    let schema = found.ok_or("the database does not have the extension kursaha_cohort")?.get(0);
    Ok((client, schema))
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let lines = [Some(error.message()), error.detail(), error.hint()];
            lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
        None => error.to_string(),
    }
}

/// The kind of definition that has a directory with a file for each; the other kinds have one file each.
const COHORTS: &str = "cohorts";

/// Writes each cohort into a file of its own, and what else there is into one file for each kind. Files of cohorts that are
/// no longer there are removed: `apply` would make them again.
pub(crate) async fn export(settings: &Settings, directory: &Path) -> Result<(), String> {
    let (client, schema) = connect(settings).await?;
    let sql = format!("SELECT {schema}.cohort_export(NULL::text)::text");
    let text: String = client.query_one(&sql, &[]).await.map_err(|error| words(&error))?.get(0);
    let mut definitions: BTreeMap<String, Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let place = directory.join(COHORTS);
    std::fs::create_dir_all(&place).map_err(|error| told(&place, &error))?;
    let mut written = BTreeSet::new();
    if let Some(Value::Array(cohorts)) = definitions.remove(COHORTS) {
        for cohort in cohorts {
            let name = cohort.get("name").and_then(Value::as_str).ok_or("a cohort without a name")?;
            let path = place.join(file_name(name));
            write(&path, &cohort)?;
            written.insert(path);
        }
    }
    for (kind, definition) in &definitions {
        write(&directory.join(format!("{kind}.json")), definition)?;
    }
    for path in json_files(&place)? {
        if !written.contains(&path) {
            std::fs::remove_file(&path).map_err(|error| told(&path, &error))?;
            println!("{} removed", path.display());
        }
    }
    Ok(())
}

fn write(path: &Path, definition: &Value) -> Result<(), String> {
    let mut text = serde_json::to_string_pretty(definition).map_err(|error| error.to_string())?;
    text.push('\n');
    std::fs::write(path, text).map_err(|error| told(path, &error))?;
    println!("{}", path.display());
    Ok(())
}

fn told(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// The file of a cohort. What file systems do not have in names is percent-encoded; of a long name a digest is left.
fn file_name(name: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b' ')
        .remove(b'-')
        .remove(b'_')
        .remove(b'(')
        .remove(b')')
        .remove(b',');
    let encoded = percent_encoding::utf8_percent_encode(name, KEPT).to_string();
    if encoded.len() <= 200 {
        return format!("{encoded}.json");
    }
    let digest = Sha256::digest(name.as_bytes());
    format!("{}~{}.json", &encoded[..150], hexadecimal(&digest[..8]))
}

/// The files of a directory whose names end in .json, by name.
fn json_files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| told(directory, &error))? {
        let path = entry.map_err(|error| told(directory, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file's content. Numbers stay as they are written.
fn read(path: &Path) -> Result<Box<RawValue>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| told(path, &error))?;
    serde_json::from_str(&text).map_err(|error| told(path, &error))
}

/// The definitions that a directory has.
fn definitions_of(directory: &Path) -> Result<BTreeMap<String, Box<RawValue>>, String> {
    let mut definitions = BTreeMap::new();
    for path in json_files(directory)? {
        let kind = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        definitions.insert(kind, read(&path)?);
    }
    let place = directory.join(COHORTS);
    if place.is_dir() {
        let mut cohorts: Vec<Box<RawValue>> = match definitions.remove(COHORTS) {
            Some(list) => {
                serde_json::from_str(list.get()).map_err(|error| told(&directory.join("cohorts.json"), &error))?
            }
            None => Vec::new(),
        };
        for path in json_files(&place)? {
            cohorts.push(read(&path)?);
        }
        let list = serde_json::value::to_raw_value(&cohorts).map_err(|error| error.to_string())?;
        definitions.insert(COHORTS.to_owned(), list);
    }
    if definitions.is_empty() {
        return Err(format!("{} has no definitions: no file in it ends in .json", directory.display()));
    }
    Ok(definitions)
}

/// Makes the database as the files say, or says what that would do.
pub(crate) async fn apply(settings: &Settings, directory: &Path, dry_run: bool, prune: bool) -> Result<(), String> {
    let text = serde_json::to_string(&definitions_of(directory)?).map_err(|error| error.to_string())?;
    let (client, schema) = connect(settings).await?;
    let sql =
        format!("SELECT a.name, a.action, a.gained, a.lost FROM {schema}.cohort_apply($1::text::jsonb, $2, $3) a");
    let rows = client.query(&sql, &[&text, &dry_run, &prune]).await.map_err(|error| words(&error))?;
    for row in rows {
        let (name, action): (String, String) = (row.get(0), row.get(1));
        let (gained, lost): (Option<i64>, Option<i64>) = (row.get(2), row.get(3));
        let figure =
            |sign: char, count: Option<i64>| count.map_or_else(|| "-".to_owned(), |count| format!("{sign}{count}"));
        println!("{action}\t{name}\t{}\t{}", figure('+', gained), figure('-', lost));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_file_of_its_own() {
        assert_eq!(file_name("big spenders"), "big spenders.json");
        assert_eq!(file_name("../a/b"), "%2E%2E%2Fa%2Fb.json");
        let long = "é".repeat(200);
        assert!(file_name(&long).len() <= 255);
        assert_ne!(file_name(&long), file_name(&(long.clone() + "x")));
    }
}
