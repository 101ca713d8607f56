//! Destinations: one file a kind, behind one trait. All of it is pure: a destination says what to send and what an answer
//! means, and whoever runs a sync sends it.

mod config;
mod exchange;
mod facebook;
mod meta;
mod normalise;
mod pixel;
mod s3;
mod table;
mod webhook;

use std::fmt::Debug;

use serde_json::{Map, Value};

pub use config::BadConfig;
use config::Config;
pub use exchange::{Outcome, Receipt, Request, Response, redact};

use crate::text;

/// The kinds, and how each is made of its configuration.
const KINDS: &[(&str, Maker)] = &[
    ("facebook_ads", facebook::open),
    ("meta_pixel", pixel::open),
    ("webhook", webhook::open),
    ("s3", s3::open),
    ("table", table::open),
];

type Maker = fn(&mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig>;

/// The destination of a kind and a configuration.
///
/// # Errors
/// The place in the configuration, what is wrong there and what to write instead.
pub fn open(kind: &str, config: &Value) -> Result<Box<dyn Destination>, BadConfig> {
    let Some((_, maker)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        return Err(BadConfig {
            path: "kind".to_owned(),
            problem: format!("\"{kind}\" is not known"),
            hint: match text::nearest(kind, names.iter().copied()) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!("The kinds are {}.", names.join(", ")),
            },
        });
    };
    let mut config = Config::new(config)?;
    let destination = maker(&mut config)?;
    config.finish()?;
    Ok(destination)
}

/// What happens to the members of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They go in.
    Add,
    /// They go out.
    Remove,
}

impl Action {
    /// As it is written in tables and bodies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// What a destination keeps, which decides how a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// A set: members are added and removed.
    Set,
    /// Nothing: it is told of each entry once.
    Nothing,
    /// Objects: the difference, then the whole set, then a manifest.
    Objects,
    /// Rows of a table in this database, written in the transaction that records them.
    Rows,
}

/// What identifies a member at the destination, as it was or will be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// What is kept of it until it is removed: digests, never the personal data itself.
    pub bytes: Vec<u8>,
    /// A number for each part that identifies by itself: two members that share one are one person to the destination.
    pub keys: Vec<i64>,
}

/// Why a member cannot be sent; counted by this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip(pub &'static str);

/// One member of a batch.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Who.
    pub customer: String,
    /// What identifies them there.
    pub identity: Vec<u8>,
    /// Properties that go along: a JSON object's text. Never kept.
    pub properties: Option<String>,
    /// When the run that first sent them began, microseconds since 1970.
    pub entered_at: i64,
}

/// Members that go in one request.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// Whether they go in or out.
    pub action: Action,
    /// At least one.
    pub rows: &'a [Row],
}

/// What a request needs to know besides its rows.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The cohort's name.
    pub cohort: String,
    /// The sync, the run and the number of the batch in it; a part of the batch has a number of its own.
    pub sync: i64,
    /// The run.
    pub run: i64,
    /// The batch, constant over its repeats.
    pub batch: String,
    /// Now, seconds since 1970.
    pub now: i64,
    /// A random number, new for each request.
    pub random: u64,
}

/// One thing that `cohort_destination_test` tries.
#[derive(Debug, Clone)]
pub struct Probe {
    /// In words, what is looked at.
    pub what: &'static str,
    /// How.
    pub request: Request,
}

/// The next step of making a destination ready.
#[derive(Debug, Clone)]
pub enum Setup {
    /// There is nothing to do.
    Ready,
    /// This is to be sent, and its answer given to [`Destination::set_up`].
    Send(Request),
    /// It cannot be made ready.
    Failed(Outcome),
}

/// A destination of some kind.
pub trait Destination: Debug {
    /// What it keeps.
    fn keeps(&self) -> Keeps;

    /// The most rows of one batch.
    fn batch_rows(&self, action: Action) -> usize;

    /// Whether rendering a member needs the profile.
    fn wants_profile(&self) -> bool;

    /// The age in seconds beyond which an entry must not be sent any more.
    fn oldest_seconds(&self) -> Option<i64> {
        None
    }

    /// A number that changes when the same profile would be rendered differently.
    fn fingerprint(&self) -> i64;

    /// Whether all syncs to it feed one set, so that what another sync has there must not be removed.
    fn shared(&self) -> bool {
        false
    }

    /// The name of a secret's content, if it needs one.
    fn secret(&self) -> Option<&'static str>;

    /// The hosts that it speaks to; a port where it is not 443.
    fn url(&self) -> Option<String>;

    /// A member as the destination knows them, and the properties that go along.
    fn render(&self, customer: &str, profile: Option<&Map<String, Value>>) -> Result<(Identity, Option<String>), Skip>;

    /// The identity without the parts that others share; `None` when nothing is left to remove.
    fn without(&self, identity: &[u8], _shared: &dyn Fn(i64) -> bool) -> Option<Vec<u8>> {
        Some(identity.to_vec())
    }

    /// What must be there before the first batch. `state` is kept between runs.
    fn set_up(&self, _state: &mut Map<String, Value>, _answer: Option<&Response>, _secret: &str) -> Setup {
        Setup::Ready
    }

    /// The request of a batch.
    fn request(&self, batch: &Batch<'_>, state: &Map<String, Value>, context: &Context, secret: &str) -> Request;

    /// What an answer means.
    fn read(&self, action: Action, answer: &Response, now: i64) -> Outcome;

    /// What to try when a person wants to know whether it works.
    fn probes(&self, state: &Map<String, Value>, context: &Context, secret: &str) -> Vec<Probe>;

    /// The request for one object of the whole set, for kinds that keep objects.
    fn snapshot(&self, _rows: &[Row], _part: usize, _context: &Context, _secret: &str) -> Option<Request> {
        None
    }

    /// The last request of a run, which says that all the others arrived.
    fn manifest(&self, _parts: &Value, _context: &Context, _secret: &str) -> Option<Request> {
        None
    }

    /// The table and its column, for the kind that keeps rows.
    fn table(&self) -> Option<(&str, &str)> {
        None
    }

    /// What to say when a set of this size is in place.
    fn remark(&self, _size: u64) -> Option<String> {
        None
    }
}

/// The first eight bytes of a digest as a number.
fn key(digest: &[u8]) -> i64 {
    let mut bytes = [0; 8];
    for (byte, from) in bytes.iter_mut().zip(digest) {
        *byte = *from;
    }
    i64::from_le_bytes(bytes)
}

/// The number that stands for a text.
fn key_of(text: &str) -> i64 {
    key(&normalise::digest(text))
}

/// A property of a profile: the key as it stands, else a path with dots.
fn property<'a>(profile: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = profile.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(profile.get(first)?, |value, key| value.get(key))
}

/// The properties to send along, as a JSON object without those that are missing, and an identity made of them, so that a
/// change is sent.
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
