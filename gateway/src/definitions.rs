//! `export`, `plan` and `apply`: definitions as files under version control, one file each.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use tokio_postgres::Client;

use crate::database::Database;
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

/// Writes each kind of definition into a directory of its own, and each definition into a file.
pub(crate) async fn export(settings: &Settings, directory: &Path) -> Result<(), String> {
    let (client, schema) = connect(settings).await?;
    let sql = format!("SELECT {schema}.cohort_export(NULL::text)::text");
    let text: String = client.query_one(&sql, &[]).await.map_err(|error| words(&error))?.get(0);
    let definitions: BTreeMap<String, Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for (kind, definition) in &definitions {
        let path = directory.join(format!("{}.json", file_name(kind)));
        let mut text = serde_json::to_string_pretty(definition).map_err(|error| error.to_string())?;
        text.push('\n');
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// A name that is one file's, whatever the kind is called.
fn file_name(kind: &str) -> String {
    kind.chars()
        .map(|character| if character.is_ascii_alphanumeric() || character == '_' { character } else { '-' })
        .collect()
}

/// Makes the database as the files say, or says what that would do.
pub(crate) async fn apply(settings: &Settings, directory: &Path, dry_run: bool, prune: bool) -> Result<(), String> {
    let mut definitions = Map::new();
    let entries = std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let shown = path.display();
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
            let value: Value = serde_json::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
            let kind = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            definitions.insert(kind, value);
        }
    }
    if definitions.is_empty() {
        return Err(format!("{} has no definitions: no file in it ends in .json", directory.display()));
    }
    let (client, schema) = connect(settings).await?;
    let sql =
        format!("SELECT a.name, a.action, a.gained, a.lost FROM {schema}.cohort_apply($1::text::jsonb, $2, $3) a");
    let text = Value::Object(definitions).to_string();
    let rows = client.query(&sql, &[&text, &dry_run, &prune]).await.map_err(|error| words(&error))?;
    for row in rows {
        let (name, action): (String, String) = (row.get(0), row.get(1));
        let (gained, lost): (Option<i64>, Option<i64>) = (row.get(2), row.get(3));
        println!("{action}\t{name}\t+{}\t-{}", gained.unwrap_or(0), lost.unwrap_or(0));
    }
    Ok(())
}
