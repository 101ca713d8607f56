//! Requests to destinations and their responses, as values. Nothing here opens a connection.

use serde_json::Value;

/// One HTTP request. Headers may hold secrets, so `Debug` leaves their values out.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// The whole address, https.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        write!(out, "{} {path}, {} bytes", self.method, self.body.len())
    }
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn get(url: String) -> Self {
        Self { method: "GET", url, headers: Vec::new(), body: Vec::new() }
    }

    /// A request with a JSON body.
    #[must_use]
    pub fn json(method: &'static str, url: String, body: Vec<u8>) -> Self {
        Self { method, url, headers: vec![("Content-Type".to_owned(), "application/json".to_owned())], body }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// At most a mebibyte.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body in words: of JSON its texts, with nothing escaped in them.
    #[must_use]
    pub fn words(&self) -> String {
        match self.json() {
            Some(json @ (Value::Object(_) | Value::Array(_))) => {
                let mut texts = Vec::new();
                flatten(&json, &mut texts);
                texts.join(" ")
            }
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        }
    }

    /// The wait that `Retry-After` asks for, in seconds: a number, or a date that is compared with `now` (seconds since
    /// 1970). `None`: there is no such header, or it says neither.
    #[must_use]
    pub fn retry_after(&self, now: i64) -> Option<u64> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(seconds);
        }
        let date = chrono::NaiveDateTime::parse_from_str(value, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
        u64::try_from((date.and_utc().timestamp() - now).max(0)).ok()
    }
}

/// Appends the keys, texts and numbers of a value, in order.
fn flatten(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) => texts.push(text.clone()),
        Value::Bool(_) | Value::Number(_) => texts.push(value.to_string()),
        Value::Array(list) => list.iter().for_each(|value| flatten(value, texts)),
        Value::Object(object) => {
            for (key, value) in object {
                texts.push(format!("{key}:"));
                flatten(value, texts);
            }
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Done(Receipt),
    /// It may or may not have it: to be sent again, in smaller pieces where `smaller`.
    Again {
        /// What happened.
        why: String,
        /// Whether the batch was too large.
        smaller: bool,
    },
    /// The destination requests a delay, which is not a failure.
    Wait {
        /// What it said.
        why: String,
        /// For how many seconds; `None`: it did not say.
        seconds: Option<u64>,
    },
    /// Nothing will work until someone acts.
    Attention {
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
    },
    /// It refuses this removal now; what was added stands.
    Deferred {
        /// What it said.
        why: String,
    },
    /// Some row of the batch is bad, and nothing of it was taken.
    BadRows {
        /// What it said.
        why: String,
    },
}

/// What the destination said about a batch that it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Rows that it could not use although it took the batch.
    pub invalid: u64,
    /// Reasons, with how many samples of each came. Never the samples: they are personal.
    pub reasons: Vec<(String, u64)>,
}

impl Outcome {
    /// Taken without a word.
    #[must_use]
    pub fn done() -> Self {
        Self::Done(Receipt::default())
    }

    /// The response is not usable: the delivery of the batch is uncertain.
    pub fn again(why: impl Into<String>) -> Self {
        Self::Again { why: why.into(), smaller: false }
    }

    /// The same with other words: what it says goes through a function. Hints are our own.
    #[must_use]
    pub fn reworded(self, words: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Done(Receipt { invalid, reasons }) => {
                let reasons = reasons.into_iter().map(|(reason, count)| (words(&reason), count)).collect();
                Self::Done(Receipt { invalid, reasons })
            }
            Self::Again { why, smaller } => Self::Again { why: words(&why), smaller },
            Self::Wait { why, seconds } => Self::Wait { why: words(&why), seconds },
            Self::Attention { why, hint } => Self::Attention { why: words(&why), hint },
            Self::Deferred { why } => Self::Deferred { why: words(&why) },
            Self::BadRows { why } => Self::BadRows { why: words(&why) },
        }
    }

    /// Something that a person must see to.
    pub fn attention(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Attention { why: why.into(), hint: hint.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(value: &str) -> Response {
        Response { headers: vec![("retry-after".to_owned(), value.to_owned())], ..Response::default() }
    }

    #[test]
    fn retry_after_as_seconds_date_and_garbage() {
        assert_eq!(with_header(" 120 ").retry_after(0), Some(120));
        assert_eq!(with_header("1000000000").retry_after(0), Some(1_000_000_000));
        assert_eq!(with_header("Thu, 01 Jan 1970 00:02:00 GMT").retry_after(20), Some(100));
        assert_eq!(with_header("Thu, 01 Jan 1970 00:02:00 GMT").retry_after(2000), Some(0));
        assert_eq!(with_header("soon").retry_after(0), None);
        assert_eq!(with_header("-5").retry_after(0), None);
        assert_eq!(Response::default().retry_after(0), None);
    }
}
