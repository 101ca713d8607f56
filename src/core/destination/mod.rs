//! Destinations: one file for each kind, and their common trait. They do no I/O: a destination returns the requests to
//! send and interprets the responses, and the run of a sync sends them.

mod config;
mod exchange;
mod facebook;
mod meta;
mod normalise;
mod pixel;
mod redact;
mod s3;
mod table;
mod webhook;

use std::fmt::Debug;

use serde_json::{Map, Value};

pub use config::BadConfig;
use config::Config;
pub use exchange::{Outcome, Receipt, Request, Response};
pub use redact::{Hidden, quote, redact};

use crate::text;

/// A kind of destination.
struct Kind {
    name: &'static str,
    /// Kinds of one family use the same API with the same secrets.
    family: &'static str,
    open: Maker,
}

const KINDS: &[Kind] = &[
    Kind { name: "facebook_ads", family: "meta", open: facebook::open },
    Kind { name: "meta_pixel", family: "meta", open: pixel::open },
    Kind { name: "webhook", family: "webhook", open: webhook::open },
    Kind { name: "s3", family: "s3", open: s3::open },
    Kind { name: "table", family: "table", open: table::open },
];

type Maker = fn(&mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig>;

fn kind_of(name: &str) -> Result<&'static Kind, BadConfig> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        BadConfig {
            path: "kind".to_owned(),
            problem: format!("\"{name}\" is not known"),
            hint: match text::nearest(name, names.iter().copied()) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!("The kinds are {}.", names.join(", ")),
            },
        }
    })
}

/// The kinds that speak to the same API as a kind, with the same secrets; itself among them.
///
/// # Errors
/// There is no such kind.
pub fn family(kind: &str) -> Result<Vec<&'static str>, BadConfig> {
    let family = kind_of(kind)?.family;
    Ok(KINDS.iter().filter(|kind| kind.family == family).map(|kind| kind.name).collect())
}

/// The destination of a kind and a configuration.
///
/// # Errors
/// The place in the configuration, what is wrong there and what to write instead.
pub fn open(kind: &str, config: &Value) -> Result<Box<dyn Destination>, BadConfig> {
    let kind = kind_of(kind)?;
    let mut config = Config::new(config)?;
    let destination = (kind.open)(&mut config)?;
    config.finish()?;
    Ok(destination)
}

/// What a batch does with its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Adds them.
    Add,
    /// Removes them.
    Remove,
}

impl Action {
    /// The name in tables and in bodies of requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// The kind of data at a destination, which determines the steps of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// A set: members are added and removed.
    Set,
    /// Nothing: each entry is sent to it once.
    Nothing,
    /// Objects: the difference, then the whole set, then a manifest.
    Objects,
    /// Rows of a table in this database, written in the transaction that records them.
    Rows,
}

/// The data that identify a member at the destination, as they were or will be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The data that the ledger stores until the member is removed: digests, never personal data.
    pub bytes: Vec<u8>,
    /// A number for each part that alone identifies a person. If two members share one, the destination treats them as
    /// one person.
    pub keys: Vec<i64>,
}

/// Why a member cannot be sent; counted by this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip(pub &'static str);

/// One member of a batch.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The customer's id.
    pub customer: String,
    /// The identity at the destination.
    pub identity: Vec<u8>,
    /// Properties that are sent with the member, as the text of a JSON object. They are not stored.
    pub properties: Option<String>,
    /// Start of the first run that sent the member, in microseconds since 1970.
    pub entered_at: i64,
}

/// The members of one request.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// Whether they are added or removed.
    pub action: Action,
    /// The members, at least one.
    pub rows: &'a [Row],
}

/// Parameters of a request besides its rows.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The cohort's name.
    pub cohort: String,
    /// The sync, the run and the number of the batch in the run. A part of a batch has a separate number.
    pub sync: i64,
    /// The run.
    pub run: i64,
    /// The batch. It is the same for all attempts.
    pub batch: String,
    /// The current time, in seconds since 1970.
    pub now: i64,
    /// A random number, new for each request.
    pub random: u64,
}

/// One check of `cohort_destination_test`.
#[derive(Debug, Clone)]
pub struct Probe {
    /// A description of the check.
    pub what: &'static str,
    /// The request of the check.
    pub request: Request,
}

/// The next step of the setup of a destination.
#[derive(Debug, Clone)]
pub enum Setup {
    /// There is nothing to do.
    Ready,
    /// Send this request, and pass its response to [`Destination::set_up`].
    Send(Request),
    /// The setup failed.
    Failed(Outcome),
}

/// A destination of some kind.
pub trait Destination: Debug {
    /// The kind of data that it keeps.
    fn keeps(&self) -> Keeps;

    /// Maximum number of rows of a batch.
    fn batch_rows(&self, action: Action) -> usize;

    /// Whether rendering a member needs the profile.
    fn wants_profile(&self) -> bool;

    /// Maximum age of an entry, in seconds. Older entries must not be sent.
    fn oldest_seconds(&self) -> Option<i64> {
        None
    }

    /// The properties of profiles in its configuration.
    fn properties(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The values that a request contains unchanged: a receiver may repeat them in its response.
    fn sent(&self, row: &Row) -> Vec<String> {
        let properties = row.properties.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let mut found = vec![row.customer.clone()];
        collect(&properties.unwrap_or_default(), &mut found);
        found
    }

    /// A number that changes when the same profile would be rendered differently.
    fn fingerprint(&self) -> i64;

    /// Whether all syncs to it write to one set. A member of another sync must then not be removed.
    fn shared(&self) -> bool {
        false
    }

    /// The values that identify its set. Two configurations with equal values describe the same set.
    fn place(&self) -> Vec<&str>;

    /// A description of the content of its secret, if it needs one.
    fn secret(&self) -> Option<&'static str>;

    /// Whether its requests contain the secret itself, and not only a signature that is computed with it.
    fn reveals_secret(&self) -> bool {
        false
    }

    /// The problem of a secret's content, if its form is wrong.
    fn check_secret(&self, _secret: &str) -> Result<(), &'static str> {
        Ok(())
    }

    /// The hosts that it connects to, with the port if it is not 443.
    fn url(&self) -> Option<String>;

    /// The identity of a member at the destination, and the properties that are sent with it.
    fn render(&self, customer: &str, profile: Option<&Map<String, Value>>) -> Result<(Identity, Option<String>), Skip>;

    /// The identity without the parts that other members share; `None` if nothing is left to remove.
    fn without(&self, identity: &[u8], _shared: &dyn Fn(i64) -> bool) -> Option<Vec<u8>> {
        Some(identity.to_vec())
    }

    /// The next step of the setup before the first batch. `state` is stored between runs.
    fn set_up(&self, _state: &mut Map<String, Value>, _answer: Option<&Response>, _secret: &str) -> Setup {
        Setup::Ready
    }

    /// The request of a batch.
    fn request(&self, batch: &Batch<'_>, state: &Map<String, Value>, context: &Context, secret: &str) -> Request;

    /// The meaning of a response.
    fn read(&self, action: Action, answer: &Response, now: i64) -> Outcome;

    /// The checks of `cohort_destination_test`.
    fn probes(&self, state: &Map<String, Value>, context: &Context, secret: &str) -> Vec<Probe>;

    /// The request that writes one object of the whole set, for kinds that keep objects.
    fn snapshot(&self, _rows: &[Row], _part: usize, _context: &Context, _secret: &str) -> Option<Request> {
        None
    }

    /// The last request of a run, which marks the run as complete.
    fn manifest(&self, _parts: &Value, _context: &Context, _secret: &str) -> Option<Request> {
        None
    }

    /// The table and its column, for the kind that keeps rows.
    fn table(&self) -> Option<(&str, &str)> {
        None
    }

    /// A remark for a set of this size.
    fn remark(&self, _size: u64) -> Option<String> {
        None
    }
}

/// The texts and numbers in a value.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        Value::Object(object) => object.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether a profile has a property.
#[must_use]
pub fn has_property(profile: &Map<String, Value>, path: &str) -> bool {
    property(profile, path).is_some_and(|value| !value.is_null())
}

/// The first eight bytes of a digest as a number.
fn key(digest: &[u8]) -> i64 {
    let mut bytes = [0; 8];
    for (byte, from) in bytes.iter_mut().zip(digest) {
        *byte = *from;
    }
    i64::from_le_bytes(bytes)
}

/// A number that represents a text.
fn key_of(text: &str) -> i64 {
    key(&normalise::digest(text))
}

/// A property of a profile: a key of that name, otherwise a path with dots.
fn property<'a>(profile: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = profile.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(profile.get(first)?, |value, key| value.get(key))
}

/// The properties to send with a member, as a JSON object without missing ones, and an identity that is computed from
/// them, so that a changed member is sent again.
fn included(profile: Option<&Map<String, Value>>, include: &[String]) -> (Identity, Option<String>) {
    if include.is_empty() {
        return (Identity::default(), None);
    }
    let found: Map<String, Value> =
        include.iter().filter_map(|path| Some((path.clone(), property(profile?, path)?.clone()))).collect();
    let text = Value::Object(found).to_string();
    let bytes = normalise::digest(&text)[..16].to_vec();
    (Identity { bytes, keys: Vec::new() }, Some(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    /// A kind, a configuration with every key, and for each key another value and whether that is another place.
    type Case = (&'static str, Value, Vec<(&'static str, Value, bool)>);

    /// One for each kind.
    fn cases() -> Vec<Case> {
        let mapping = json!({"EMAIL": "mail"});
        vec![
            (
                "facebook_ads",
                json!({"ad_account_id": "1", "audience_id": "2", "audience_name": null, "mapping": {}, "api_version": "v25.0",
                    "batch_rows": 10, "removal_rows": 10, "base_url": "https://a.example.com"}),
                vec![
                    ("ad_account_id", json!("3"), true),
                    ("audience_id", json!("3"), true),
                    ("mapping", mapping.clone(), false),
                    ("api_version", json!("v26.0"), false),
                    ("batch_rows", json!(11), false),
                    ("removal_rows", json!(11), false),
                    ("base_url", json!("https://b.example.com"), true),
                ],
            ),
            (
                "facebook_ads",
                json!({"ad_account_id": "1", "audience_name": "n"}),
                vec![("audience_name", json!("m"), true), ("ad_account_id", json!("act_1"), false)],
            ),
            (
                "meta_pixel",
                json!({"pixel_id": "1", "event_name": "e", "mapping": {}, "api_version": "v25.0", "batch_rows": 10,
                    "base_url": "https://a.example.com"}),
                vec![
                    ("pixel_id", json!("3"), true),
                    ("event_name", json!("f"), true),
                    ("mapping", mapping, false),
                    ("api_version", json!("v26.0"), false),
                    ("batch_rows", json!(11), false),
                    ("base_url", json!("https://b.example.com"), true),
                ],
            ),
            (
                "webhook",
                json!({"url": "https://a.example.com/x", "headers": {}, "secret_headers": {}, "batch_rows": 10, "include": []}),
                vec![
                    ("url", json!("https://a.example.com/y"), true),
                    ("headers", json!({"X-Team": "crm"}), false),
                    ("secret_headers", json!({"Authorization": "Bearer $secret"}), false),
                    ("batch_rows", json!(11), false),
                    ("include", json!(["city"]), false),
                ],
            ),
            (
                "s3",
                json!({"endpoint": "https://a.example.com", "bucket": "b", "prefix": "p", "region": "us-east-1", "format": "csv",
                    "include": [], "batch_rows": 10, "csv_formulas": "escape"}),
                vec![
                    ("endpoint", json!("https://b.example.com"), true),
                    ("bucket", json!("c"), true),
                    ("prefix", json!("q"), true),
                    ("region", json!("eu-west-1"), false),
                    ("format", json!("ndjson"), true),
                    ("include", json!(["city"]), false),
                    ("batch_rows", json!(11), false),
                    ("csv_formulas", json!("keep"), false),
                ],
            ),
            (
                "table",
                json!({"table": "public.a", "customer_column": "c", "batch_rows": 10}),
                vec![
                    ("table", json!("public.b"), true),
                    ("customer_column", json!("d"), true),
                    ("batch_rows", json!(11), false),
                ],
            ),
        ]
    }

    #[test]
    fn every_key_of_every_kind_is_place_or_manner() {
        for kind in KINDS {
            let (mut known, mut tried) = (BTreeSet::new(), BTreeSet::new());
            for (_, base, keys) in cases().into_iter().filter(|(name, ..)| *name == kind.name) {
                let mut config = Config::new(&base).unwrap();
                (kind.open)(&mut config).unwrap();
                known.extend(config.known().iter().copied());
                let before = open(kind.name, &base).unwrap();
                for (key, value, moves) in keys {
                    let mut changed = base.clone();
                    changed[key] = value;
                    let after = open(kind.name, &changed).unwrap();
                    assert_eq!(before.place() != after.place(), moves, "{} {key}", kind.name);
                    tried.insert(key);
                }
            }
            assert_eq!(known, tried, "{}", kind.name);
        }
    }

    #[test]
    fn a_secret_stays_with_its_family() {
        assert_eq!(family("meta_pixel").unwrap(), ["facebook_ads", "meta_pixel"]);
        assert_eq!(family("s3").unwrap(), ["s3"]);
        assert!(family("ftp").is_err());
    }
}
