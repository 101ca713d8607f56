//! JSON -> [`Rule`].
//!
//! One walk over the JSON finds every problem: a reading function reports what is wrong to the [`Reader`] and returns
//! `None`, and its caller goes on with the next part before it gives up. The walk descends through conditions and
//! predicates only, 32 levels at most, and looks at every value once, so that any JSON is answered in linear time.

mod calendar;
mod compare;
mod condition;
mod json;
mod occurrence;
mod pattern;
mod periods;
mod predicate;
mod problem;
mod property;
mod rank;
mod rows;
mod sample;
mod sequence;
mod value;
mod window;

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Map, Value};

use problem::{Hint, Problems, Segment, quote};

pub use problem::Problem;

use super::{Amount, Condition, Rule, Table, Tables, Whole};
use crate::time::Zones;

/// A JSON object.
type Object = Map<String, Value>;

/// The longest rule, in bytes of `jsonb` text.
pub const MAX_TEXT: usize = 1_048_576;

/// The most nested condition and predicate objects, the top being the first.
const MAX_DEPTH: usize = 32;

/// The most conditions, predicates and steps of a rule.
const MAX_PARTS: usize = 1_000;

/// The most values of one list.
const MAX_LIST: usize = 100_000;

/// Checks a rule and reads it. The limit of [`MAX_TEXT`] is that of [`parse_text`].
///
/// # Errors
/// Every problem of the rule, sorted by place: positions as numbers, keys by bytes, parents before children. Of more
/// than a thousand the first thousand are listed and the last of them says how many are not.
pub fn parse(value: &Value, zones: &dyn Zones) -> Result<Rule, Vec<Problem>> {
    parse_within(value, &Surroundings { zones, tables: None, check: &|| () })
}

/// What a rule is read within.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The time zones that there are.
    pub zones: &'a dyn Zones,
    /// The tables that there are; without them, what a rule says of tables is not looked up.
    pub tables: Option<&'a dyn Tables>,
    /// Called before each pattern is compiled; it cancels by unwinding.
    pub check: &'a dyn Fn(),
}

fn parse_within(value: &Value, within: &Surroundings<'_>) -> Result<Rule, Vec<Problem>> {
    let Surroundings { zones, tables, check } = *within;
    let mut reader = Reader {
        zones,
        tables,
        check,
        zone: Some("UTC"),
        place: Vec::new(),
        problems: Problems::default(),
        depth: 0,
        parts: 0,
        patterns: Vec::new(),
        step_names: None,
        document: Document::Event,
        row: None,
        elements: 0,
    };
    let rule = reader.rule(value);
    match rule {
        Some(rule) if reader.problems.is_empty() => Ok(rule),
        _ => Err(reader.problems.finish(zones)),
    }
}

/// As [`parse()`], for the text of a `jsonb` value; nested as deep as `jsonb` allows, it cannot exhaust the stack.
///
/// # Errors
/// Every problem of the rule, sorted by place; one at `$` for a text that is too long or no JSON.
pub fn parse_text(text: &str, zones: &dyn Zones) -> Result<Rule, Vec<Problem>> {
    parse_text_checking(text, zones, &|| ())
}

/// As [`parse_text`], calling `check` before each pattern is compiled: that takes up to a tenth of a second for one
/// near the size limit. `check` cancels by unwinding.
///
/// # Errors
/// As [`parse_text`].
pub fn parse_text_checking(text: &str, zones: &dyn Zones, check: &dyn Fn()) -> Result<Rule, Vec<Problem>> {
    parse_text_within(text, &Surroundings { zones, tables: None, check })
}

/// As [`parse_text`], within all that the rule may name.
///
/// # Errors
/// As [`parse_text`].
pub fn parse_text_within(text: &str, within: &Surroundings<'_>) -> Result<Rule, Vec<Problem>> {
    let whole =
        |problem: String, hint: &str| vec![Problem { path: "$".to_owned(), problem, hint: Some(hint.to_owned()) }];
    if text.len() > MAX_TEXT {
        return Err(whole(
            format!("the rule is too long: {} bytes of jsonb text, at most {MAX_TEXT} are allowed", text.len()),
            "Shorten its lists, or save parts of the rule as cohorts and refer to them with {\"cohort\": …}.",
        ));
    }
    let value = json::read(text)
        .map_err(|error| whole(format!("the rule is not JSON: {error}"), "Write the rule as a JSON object."))?;
    parse_within(&value, within)
}

/// Checks a figure, which is no plain number, and reads it.
///
/// # Errors
/// As [`parse_text`]; places begin at the figure.
pub fn parse_figure(text: &str, within: &Surroundings<'_>) -> Result<Amount, Vec<Problem>> {
    // What ranks customers is a figure with exactly these limits.
    let ranking = format!("{{\"rank\": {text}, \"order\": \"most\", \"top\": 1}}");
    match parse_text_within(&ranking, within) {
        Ok(Rule { condition: Condition::Rank(rank), .. }) => Ok(rank.figure),
        Ok(_) => Err(Vec::new()),
        Err(problems) => Err(problems
            .into_iter()
            .map(|found| Problem {
                path: found.path.strip_prefix("$.rank").map_or(found.path.clone(), |rest| format!("${rest}")),
                ..found
            })
            .collect()),
    }
}

/// Reads the text of a `jsonb` value. What is nested deeper than any rule is read as `null`.
///
/// # Errors
/// What is wrong with a text that is no JSON.
pub fn read_json(text: &str) -> Result<Value, String> {
    json::read(text)
}

/// What predicates look at, elements aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    /// An event's data.
    Event,
    /// The customer's profile.
    Profile,
    /// A row of a table.
    Row,
}

/// The state of one walk.
struct Reader<'a> {
    zones: &'a dyn Zones,
    tables: Option<&'a dyn Tables>,
    check: &'a dyn Fn(),
    /// The rule's zone; `None` when it names one that does not exist.
    zone: Option<&'a str>,
    /// Where the walk is.
    place: Vec<Segment<'a>>,
    problems: Problems<'a>,
    /// Condition and predicate objects around this place.
    depth: usize,
    /// Conditions, predicates and steps so far.
    parts: usize,
    /// The patterns, each with its place and `ignore_case`: they are compiled when it is known that the rule is not too long.
    patterns: Vec<(Vec<Segment<'a>>, &'a str, bool)>,
    /// Inside a step of a sequence: the names that `ref` may use there.
    step_names: Option<BTreeSet<&'a str>>,
    /// What predicates look at here.
    document: Document,
    /// Inside the predicates of rows: the table, as far as it is known.
    row: Option<Rc<Table>>,
    /// How many elements of arrays this place looks into, one within the other.
    elements: usize,
}

impl<'a> Reader<'a> {
    fn rule(&mut self, value: &'a Value) -> Option<Rule> {
        let (version, timezone) = match value {
            Value::Object(object) => {
                (self.optional(object, "version", Self::version), self.optional(object, "timezone", Self::timezone))
            }
            _ => (None, None), // the condition says what is wrong
        };
        let condition = self.top_condition(value);
        if self.parts > MAX_PARTS {
            self.problem(
                format!(
                    "the rule has {} conditions, predicates and steps, at most {MAX_PARTS} are allowed",
                    self.parts
                ),
                "Replace conditions with lists of values, or save parts of the rule as cohorts and refer to them with {\"cohort\": …}.",
            );
        } else {
            self.compile_patterns();
        }
        Some(Rule { version: version?, timezone: timezone?, condition: condition? })
    }

    fn version(&mut self, value: &'a Value) -> Option<Whole> {
        let whole = self.whole(value)?;
        if whole.value == 1 {
            return Some(whole);
        }
        self.problem(format!("unknown version {}", whole.value), "Write 1, or remove the key.");
        None
    }

    fn timezone(&mut self, value: &'a Value) -> Option<String> {
        self.zone = None;
        let name = self.string(value, "the name of a time zone")?;
        if self.zones.contains(name) {
            self.zone = Some(name);
            return Some(name.to_owned());
        }
        self.problem(format!("unknown time zone {}", quote(name)), Hint::Zone(name));
        None
    }

    /// Reports a problem at the present place.
    fn problem(&mut self, problem: impl Into<String>, hint: impl Into<Hint<'a>>) {
        self.problems.push(self.place.clone(), problem.into(), hint.into());
    }

    /// Reads something one step below the present place.
    fn at<T>(&mut self, segment: Segment<'a>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.place.push(segment);
        let result = read(self);
        self.place.pop();
        result
    }

    /// Reads the value of a key that may be absent; the outer `None` says that a problem was reported.
    #[expect(clippy::option_option, reason = "a missing key and a wrong value are two outcomes")]
    fn optional<T>(
        &mut self,
        object: &'a Object,
        key: &'static str,
        read: impl FnOnce(&mut Self, &'a Value) -> Option<T>,
    ) -> Option<Option<T>> {
        match object.get(key) {
            None => Some(None),
            Some(value) => self.at(Segment::Key(key), |reader| read(reader, value)).map(Some),
        }
    }

    /// Reads the value of a key that must be there.
    fn required<T>(
        &mut self,
        object: &'a Object,
        key: &'static str,
        read: impl FnOnce(&mut Self, &'a Value) -> Option<T>,
    ) -> Option<T> {
        let found = self.optional(object, key, read)?;
        if found.is_none() {
            self.missing(object, format!("the key \"{key}\" is missing"), vec![key], "Add the key.");
        }
        found
    }

    /// Reports that an object lacks one of some keys.
    fn missing(&mut self, object: &'a Object, problem: String, keys: Vec<&'static str>, otherwise: &'static str) {
        self.problem(problem, Hint::Missing { object, keys, otherwise });
    }

    /// Reports the keys of an object that do not belong there.
    fn unknown_keys(&mut self, object: &'a Object, allowed: &[&'static str]) {
        for key in object.keys().filter(|key| !allowed.contains(&key.as_str())) {
            let hint = match elsewhere(key) {
                Some(hint) => hint.into(),
                None => Hint::Name { wrong: key, valid: allowed.to_vec() },
            };
            self.unknown_key(key, hint);
        }
    }

    fn unknown_key(&mut self, key: &'a str, hint: Hint<'a>) {
        self.at(Segment::Key(key), |reader| {
            reader.problem(format!("unknown key {}", quote(key)), hint);
        });
    }

    /// Finds which of some keys an object has, and reports when it is not exactly one.
    fn exactly_one(
        &mut self,
        object: &'a Object,
        keys: &[&'static str],
        what: &'static str,
        hint: &'static str,
    ) -> Vec<&'static str> {
        let present: Vec<&'static str> = keys.iter().copied().filter(|key| object.contains_key(*key)).collect();
        match present.as_slice() {
            [] => self.missing(object, format!("{what} is missing"), keys.to_vec(), hint),
            [_] => {}
            [first, second, ..] => self.problem(format!("\"{first}\" and \"{second}\" exclude each other"), hint),
        }
        present
    }

    /// Enters a condition or predicate object, unless it lies too deep.
    fn nested<T>(
        &mut self,
        value: &'a Value,
        what: &'static str,
        read: impl FnOnce(&mut Self, &'a Object) -> Option<T>,
    ) -> Option<T> {
        self.parts += 1;
        let object = self.object(value, what)?;
        if self.depth == MAX_DEPTH {
            self.problem(
                format!(
                    "the rule is nested too deeply: at most {MAX_DEPTH} levels of conditions and predicates are allowed"
                ),
                "Flatten the rule, or save the inner part as a cohort and refer to it with {\"cohort\": …}.",
            );
            return None;
        }
        self.depth += 1;
        let result = read(self, object);
        self.depth -= 1;
        result
    }

    /// Whether the rule has not yet more parts than allowed. Behind that point it is refused in any case, and checks
    /// that cost more than a look are left out.
    fn within_limits(&self) -> bool {
        self.parts <= MAX_PARTS
    }
}

/// Where a key belongs that is well known but not allowed here.
fn elsewhere(key: &str) -> Option<&'static str> {
    Some(match key {
        "after" => {
            "\"after\" is allowed in a \"did\" step of a sequence. Elsewhere write {\"time\": {\"since\": …}}, which includes the given instant."
        }
        "since" | "before" | "between" | "in_the_last" | "more_than_ago" | "between_ago" => {
            "Write it inside \"time\", as in {\"time\": {\"since\": …}}. In a sequence, write \"time\" in a \"did\" step; \"within\" limits the duration of the sequence."
        }
        "as" => "\"as\" is only allowed in a \"did\" step of a sequence.",
        "ref" => "\"ref\" is only allowed in a predicate, in place of \"value\".",
        "time" => "\"time\" is allowed in \"did\" and \"did_not\" conditions and in \"did\" steps of a sequence.",
        "timezone" | "version" => "Move it to the top level of the rule.",
        "within" => {
            "\"within\" is allowed next to \"sequence\" and in its steps. Elsewhere use {\"time\": {\"in_the_last\": …}}."
        }
        "rows" => "\"rows\" is only allowed in a predicate with the operators in and not_in, in place of \"value\".",
        _ => return None,
    })
}
