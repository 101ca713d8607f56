//! How many of a rule's customers a destination can be told of.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::preview::{condition_of, size_of_all};
use crate::database::Work;
use crate::problem::Fallible;

#[derive(Serialize)]
pub(crate) struct Reachable {
    destination: String,
    kind: String,
    customers: i64,
    /// Of which a profile needs one; `None` where the customer's id is enough.
    properties: Option<Vec<String>>,
}

/// What stands for the customer's own id in a mapping.
const CUSTOMER: &str = "$customer_id";
/// The keys of Meta's API that identify a person by themselves, and the properties that they are taken from.
const IDENTIFYING: [(&str, &[&str]); 4] =
    [("EXTERN_ID", &[]), ("EMAIL", &["email"]), ("PHONE", &["phone", "phoneNumber"]), ("MADID", &[])];

/// The properties by which a destination knows people.
fn identifying(kind: &str, config: &Value) -> Option<Vec<String>> {
    if !matches!(kind, "facebook_ads" | "meta_pixel") {
        return None;
    }
    let mut found: Vec<String> = Vec::new();
    for (key, usual) in IDENTIFYING {
        let paths: Vec<String> = match config.get("mapping").and_then(|mapping| mapping.get(key)) {
            None => usual.iter().map(|path| (*path).to_owned()).collect(),
            Some(Value::String(path)) => vec![path.clone()],
            Some(Value::Array(paths)) => paths.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => Vec::new(),
        };
        found.extend(paths);
    }
    (!found.iter().any(|path| path == CUSTOMER)).then_some(found)
}

/// For each destination that the caller sees, how many customers of a rule of a size have what it knows people by.
pub(super) async fn reach(
    work: &Work,
    whole: &Map<String, Value>,
    size: i64,
    as_of: Option<&String>,
) -> Fallible<Vec<Reachable>> {
    let sql = "SELECT d.name, d.kind, d.config::text FROM {s}.cohort_destination d ORDER BY d.name COLLATE \"C\"";
    let mut counted: HashMap<Vec<String>, i64> = HashMap::new();
    let mut found = Vec::new();
    for row in work.rows(sql, &[]).await? {
        let (destination, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let config = serde_json::from_str(row.try_get(2)?).unwrap_or_default();
        let properties = identifying(&kind, &config);
        let customers = match &properties {
            None => size,
            Some(properties) if properties.is_empty() => 0,
            Some(properties) => {
                if !counted.contains_key(properties) {
                    let customers = knowable(work, whole, properties, as_of).await?;
                    counted.insert(properties.clone(), customers);
                }
                counted[properties]
            }
        };
        found.push(Reachable { destination, kind, customers, properties });
    }
    Ok(found)
}

/// How many customers of a rule have one of some properties.
async fn knowable(
    work: &Work,
    whole: &Map<String, Value>,
    properties: &[String],
    as_of: Option<&String>,
) -> Fallible<i64> {
    let known: Vec<Value> = properties.iter().map(|path| json!({"profile": path, "operator": "exists"})).collect();
    size_of_all(work, whole, vec![condition_of(whole), json!({ "or": known })], as_of).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_replaces_what_is_usual() {
        assert_eq!(identifying("webhook", &json!({})), None);
        assert_eq!(
            identifying("facebook_ads", &json!({})),
            Some(vec!["email".into(), "phone".into(), "phoneNumber".into()])
        );
        let config = json!({"mapping": {"EMAIL": null, "PHONE": ["contact.mobile"]}});
        assert_eq!(identifying("meta_pixel", &config), Some(vec!["contact.mobile".into()]));
        assert_eq!(identifying("facebook_ads", &json!({"mapping": {"EXTERN_ID": CUSTOMER}})), None);
    }
}
