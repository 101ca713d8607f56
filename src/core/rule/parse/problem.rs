//! What is wrong with a rule, where, and what to do about it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::rule::operator::{ICONTAINS, Operator};
use crate::text::nearest;
use crate::time::Zones;

/// The most problems that are listed. A text of 1 MiB can hold half a million; a person reads the first few.
pub(super) const MAX_PROBLEMS: usize = 1_000;

/// How many unknown keys of an object are considered for what was meant by them.
const KEYS_CONSIDERED: usize = 20;

/// One thing wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the value at fault, the unknown key itself, or the object where something is missing or excluded
    /// (`$.and[0].count`). A key longer than 100 characters is cut there.
    pub path: String,
    /// What is wrong, in one line.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// One step of a place. The order is that of the contract: positions as numbers, keys by bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment<'a> {
    Index(usize),
    Key(&'a str),
}

/// What to do about a problem. Looking for the nearest name is put off until it is known which problems are listed.
#[derive(Debug)]
pub(super) enum Hint<'a> {
    Text(Cow<'static, str>),
    /// A wrong name and the valid ones.
    Name {
        wrong: &'a str,
        valid: Vec<&'a str>,
    },
    /// A wrong name of a column, and the names of the columns.
    Column {
        wrong: String,
        names: Vec<String>,
    },
    /// A wrong operator.
    Operator(&'a str),
    /// A wrong time zone.
    Zone(&'a str),
    /// An object that lacks one of these keys, perhaps because it is misspelt there.
    Missing {
        object: &'a Map<String, Value>,
        keys: Vec<&'static str>,
        otherwise: &'static str,
    },
}

impl From<&'static str> for Hint<'_> {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Hint<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl Hint<'_> {
    fn text(self, zones: &dyn Zones) -> String {
        match self {
            Self::Text(text) => text.into_owned(),
            Self::Name { wrong, valid } => did_you_mean(wrong, &valid),
            Self::Column { wrong, names } => {
                did_you_mean(&wrong, &names.iter().map(String::as_str).collect::<Vec<_>>())
            }
            Self::Operator(wrong) => {
                let names: Vec<&str> = Operator::all().map(Operator::name).collect();
                let aliases = Operator::all().flat_map(|operator| operator.aliases().iter().copied());
                let others = aliases.chain([ICONTAINS]);
                match nearest(wrong, names.iter().copied()).or_else(|| nearest(wrong, others)) {
                    Some(name) => format!("Did you mean {}?", quote(name)),
                    None => format!("Use one of: {}.", names.join(", ")),
                }
            }
            Self::Zone(wrong) => match (abbreviated(wrong), zones.nearest(wrong)) {
                (Some(places), _) => {
                    format!("An abbreviation may mean several zones; write a name of the IANA database: {places}.")
                }
                (None, Some(name)) => format!("Did you mean {}?", quote(&name)),
                (None, None) => {
                    "Write a name of the IANA database as it is spelled there, such as \"Asia/Kolkata\".".into()
                }
            },
            Self::Missing { object, keys, otherwise } => object
                .keys()
                .take(KEYS_CONSIDERED)
                .filter(|key| !keys.contains(&key.as_str()))
                .find_map(|key| Some((key, nearest(key, keys.iter().copied())?)))
                .map_or_else(
                    || otherwise.to_owned(),
                    |(key, meant)| format!("Did you mean \"{meant}\" instead of {}?", quote(key)),
                ),
        }
    }
}

/// What people mean by the abbreviation of a zone that is no name of a zone itself.
fn abbreviated(wrong: &str) -> Option<&'static str> {
    Some(match wrong.to_ascii_uppercase().as_str() {
        "IST" => "\"Asia/Kolkata\", \"Europe/Dublin\" or \"Asia/Jerusalem\"",
        "PST" | "PDT" | "PT" => "\"America/Los_Angeles\"",
        "MDT" | "MT" => "\"America/Denver\"",
        "CST" => "\"America/Chicago\" or \"Asia/Shanghai\"",
        "CDT" | "CT" => "\"America/Chicago\"",
        "EDT" | "ET" => "\"America/New_York\"",
        "AST" => "\"America/Halifax\" or \"Asia/Riyadh\"",
        "BST" => "\"Europe/London\" or \"Asia/Dhaka\"",
        "CEST" => "\"Europe/Berlin\"",
        "EEST" => "\"Europe/Helsinki\"",
        "MSK" => "\"Europe/Moscow\"",
        "GST" => "\"Asia/Dubai\"",
        "PKT" => "\"Asia/Karachi\"",
        "SGT" => "\"Asia/Singapore\"",
        "HKT" => "\"Asia/Hong_Kong\"",
        "JST" => "\"Asia/Tokyo\"",
        "KST" => "\"Asia/Seoul\"",
        "AEST" | "AEDT" => "\"Australia/Sydney\"",
        "NZST" | "NZDT" => "\"Pacific/Auckland\"",
        _ => return None,
    })
}

fn did_you_mean(wrong: &str, valid: &[&str]) -> String {
    if let Some(name) = nearest(wrong, valid.iter().copied()) {
        return format!("Did you mean {}?", quote(name));
    }
    format!("Use one of: {}.", clip(&valid.join(", "), 1_000))
}

/// The problems found so far; of many, the first [`MAX_PROBLEMS`] by place.
#[derive(Debug, Default)]
pub(super) struct Problems<'a> {
    found: Vec<(Vec<Segment<'a>>, String, Hint<'a>)>,
    total: usize,
}

impl<'a> Problems<'a> {
    pub(super) fn push(&mut self, place: Vec<Segment<'a>>, problem: String, hint: Hint<'a>) {
        self.total += 1;
        self.found.push((place, problem, hint));
        if self.found.len() == 2 * MAX_PROBLEMS {
            self.keep_first();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn keep_first(&mut self) {
        self.found.sort_by(|(left, ..), (right, ..)| left.cmp(right));
        self.found.truncate(MAX_PROBLEMS);
    }

    /// All of them by place; problems of one place in the order in which they were found.
    pub(super) fn finish(mut self, zones: &dyn Zones) -> Vec<Problem> {
        self.keep_first();
        let left_out = self.total - self.found.len();
        let mut problems: Vec<Problem> = self
            .found
            .into_iter()
            .map(|(place, problem, hint)| Problem {
                path: path(&place),
                problem: one_line(&problem),
                hint: Some(one_line(&hint.text(zones))),
            })
            .collect();
        if let Some(last) = problems.last_mut().filter(|_| left_out > 0) {
            let _ = write!(last.problem, " (and {left_out} more problems; fix these to see them)");
        }
        problems
    }
}

/// `$.and[0]["a b"]`.
fn path(place: &[Segment<'_>]) -> String {
    let mut path = String::from("$");
    for segment in place {
        let _ = match segment {
            Segment::Index(index) => write!(path, "[{index}]"),
            Segment::Key(key) if is_plain(key) => write!(path, ".{}", clip(key, 100)),
            Segment::Key(key) => write!(path, "[{}]", Value::from(clip(key, 100))),
        };
    }
    path
}

/// Whether a key is a plain word, which a path shows without quotes.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A text of the rule inside a message: in quotes, on one line, of bounded length.
pub(super) fn quote(text: &str) -> String {
    Value::from(clip(text, 100)).to_string()
}

fn clip(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Messages may quote the rule by way of the interval reader or the regex crate.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
