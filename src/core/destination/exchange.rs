//! What goes to a destination and what comes back: requests and answers as values. Nothing here opens a connection.

use std::fmt::Write as _;

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

/// The answer to a request.
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
    /// It asks to wait: not a failure.
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

    /// An answer that says nothing usable: the batch stays uncertain.
    pub fn again(why: impl Into<String>) -> Self {
        Self::Again { why: why.into(), smaller: false }
    }

    /// Something that a person must see to.
    pub fn attention(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Attention { why: why.into(), hint: hint.into() }
    }
}

/// A text fit for tables and logs: secrets, e-mail addresses, long digit strings and digests are replaced, and it is cut
/// after 500 characters.
#[must_use]
pub fn redact(text: &str, secrets: &[&str]) -> String {
    const LONGEST: usize = 500;
    let mut clean = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        clean = clean.replace(secret, "[secret]");
    }
    let mut out = String::with_capacity(clean.len().min(LONGEST));
    for (place, word) in clean.split_inclusive(|c: char| c.is_whitespace() || "\"'<>(),;".contains(c)).enumerate() {
        if place > 200 || out.len() > LONGEST {
            break;
        }
        let core = word.trim_end_matches(|c: char| c.is_whitespace() || "\"'<>(),;.:".contains(c));
        let digits = core.chars().filter(char::is_ascii_digit).count();
        let bare = core.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c));
        let hex = core.len() >= 32 && core.chars().all(|c| c.is_ascii_alphanumeric() || "=_-.".contains(c));
        if core.contains('@') {
            let _ = write!(out, "[address]{}", &word[core.len()..]);
        } else if hex || (bare && (7..=15).contains(&digits) && core.starts_with(['+', '0'])) {
            let _ = write!(out, "[redacted]{}", &word[core.len()..]);
        } else {
            out.push_str(word);
        }
    }
    let clean: String = out.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    clean.trim().to_owned()
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

    #[test]
    fn what_is_personal_or_secret_is_left_out() {
        let digest = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";
        let text = format!("bad row mary@example.com, +15559876543 {digest} (token abc-s3cret).");
        let clean = redact(&text, &["abc-s3cret"]);
        assert_eq!(clean, "bad row [address], [redacted] [redacted] (token [secret]).");
        assert_eq!(
            redact("Invalid parameter: code 100, account 1234", &[]),
            "Invalid parameter: code 100, account 1234"
        );
        assert_eq!(redact(&"x ".repeat(9000), &[]).len(), 401);
    }
}
