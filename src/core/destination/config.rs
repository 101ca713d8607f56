//! Parses the configuration of a destination. An error contains the key and the expected value.

use serde_json::{Map, Value};

use crate::text;

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig {
    /// Where.
    pub path: String,
    /// What.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

/// The longest text and list of a configuration.
const LONGEST_TEXT: usize = 2_000;
const LONGEST_LIST: usize = 100;

/// The keys of a configuration, each taken once.
pub(super) struct Config<'a> {
    values: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Config<'a> {
    pub(super) fn new(value: &'a Value) -> Result<Self, BadConfig> {
        match value {
            Value::Object(values) => Ok(Self { values, known: Vec::new() }),
            _ => Err(BadConfig {
                path: "config".to_owned(),
                problem: "the configuration is not a JSON object".to_owned(),
                hint: "Write for example '{\"url\": \"https://example.com/hook\"}'.".to_owned(),
            }),
        }
    }

    /// The value of a key, whatever it is; null counts as missing.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.values.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, BadConfig> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() && text.len() <= LONGEST_TEXT => {
                Ok(Some(text.trim().to_owned()))
            }
            // Ids are often written as numbers.
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(bad(key, "must be a string", format!("Write a string of 1 to {LONGEST_TEXT} bytes."))),
        }
    }

    pub(super) fn need(&mut self, key: &'static str, hint: &str) -> Result<String, BadConfig> {
        self.text(key)?.ok_or_else(|| bad(key, "is missing", hint))
    }

    /// Digits only, as Meta's ids are.
    pub(super) fn id(&mut self, key: &'static str) -> Result<Option<String>, BadConfig> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let digits = text.strip_prefix("act_").unwrap_or(&text);
        if digits.is_empty() || digits.len() > 25 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad(key, "must be a number", "Copy it from Meta's Ads Manager or Events Manager."));
        }
        Ok(Some(digits.to_owned()))
    }

    pub(super) fn number(&mut self, key: &'static str, range: (usize, usize), or: usize) -> Result<usize, BadConfig> {
        let Some(value) = self.take(key) else { return Ok(or) };
        value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| (range.0..=range.1).contains(number))
            .ok_or_else(|| {
                bad(key, "is out of range", format!("Write a whole number from {} to {}.", range.0, range.1))
            })
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, BadConfig> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let list: Option<Vec<String>> = value.as_array().filter(|list| list.len() <= LONGEST_LIST).and_then(|list| {
            list.iter().map(|item| item.as_str().filter(|text| !text.is_empty()).map(str::to_owned)).collect()
        });
        list.ok_or_else(|| {
            bad(key, "must be a list of strings", format!("Write at most {LONGEST_LIST} property names."))
        })
    }

    /// The keys that were asked for.
    #[cfg(test)]
    pub(super) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// An https address below which others are made: without a query.
    pub(super) fn base(&mut self, key: &'static str) -> Result<Option<String>, BadConfig> {
        let url = self.url(key)?;
        if url.as_ref().is_some_and(|url| url.contains('?')) {
            return Err(bad(key, "must not have a query", "Write for example https://example.com/path."));
        }
        Ok(url)
    }

    /// An https address, the slash at its end taken off.
    pub(super) fn url(&mut self, key: &'static str) -> Result<Option<String>, BadConfig> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let good = text.strip_prefix("https://").is_some_and(|rest| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            !host.is_empty()
                && !host.contains('@')
                && text.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c))
        });
        if !good {
            return Err(bad(key, "must be an https address", "Write for example https://example.com/path."));
        }
        Ok(Some(text.trim_end_matches('/').to_owned()))
    }

    /// Refuses keys that no one asked for.
    pub(super) fn finish(self) -> Result<(), BadConfig> {
        let Some(strange) = self.values.keys().find(|key| !self.known.contains(&key.as_str())) else { return Ok(()) };
        let hint = match text::nearest(strange, self.known.iter().copied()) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("The keys are {}.", self.known.join(", ")),
        };
        Err(bad(strange, "is not known", hint))
    }
}

pub(super) fn bad(path: &str, problem: impl Into<String>, hint: impl Into<String>) -> BadConfig {
    BadConfig { path: path.to_owned(), problem: problem.into(), hint: hint.into() }
}
