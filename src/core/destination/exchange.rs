//! Requests to destinations and their responses, as values. Nothing here opens a connection.

use serde_json::Value;

/// One HTTP request. Headers can contain secrets, so `Debug` omits their values.
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

    /// The same request with another header.
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
    /// The body, at most 1 MiB.
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

    /// The body as text. For JSON, its texts without escapes.
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

    /// The delay of the header `Retry-After` in seconds: a number, or a date that is compared with `now` (seconds since
    /// 1970). `None`: the header is missing or invalid.
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

/// The outcome of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has stored it.
    Done(Receipt),
    /// The delivery is uncertain. The batch is sent again, in smaller parts if `smaller`.
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
        /// The delay in seconds; `None` if the response does not contain it.
        seconds: Option<u64>,
    },
    /// The sync needs attention: a person must change something first.
    Attention {
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The destination refuses this removal for now. Additions are not affected.
    Deferred {
        /// What it said.
        why: String,
    },
    /// A row of the batch is invalid, and the destination stored none of them.
    BadRows {
        /// What it said.
        why: String,
    },
}

/// The response of a destination that stored a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Number of rows that the destination did not use.
    pub invalid: u64,
    /// Reasons, each with the number of samples in the response. The samples are personal data and are not stored.
    pub reasons: Vec<(String, u64)>,
}

impl Outcome {
    /// Stored, without further information.
    #[must_use]
    pub fn done() -> Self {
        Self::Done(Receipt::default())
    }

    /// The response is not usable: the delivery of the batch is uncertain.
    pub fn again(why: impl Into<String>) -> Self {
        Self::Again { why: why.into(), smaller: false }
    }

    /// Converts the texts of the response with a function. Hints are texts of the extension and are not converted.
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

    /// A problem that a person must solve.
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
