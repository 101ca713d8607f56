//! JSON text -> `serde_json::Value`, for texts nested as deep as `jsonb` allows.
//!
//! `serde_json` refuses more than 128 levels, so that the place of what is too deep would be lost, and takes an object
//! with its private number key for a number, so that an object could pass as a value. This reader does neither.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// Containers deeper than this are read as `null`. A rule has at most 32 nested objects with a list between any two,
/// and a few levels more inside a sequence or a value: what lies this deep is too deep or misplaced in any case.
const DEEPEST: usize = 120;

/// Reads a JSON text in time linear in its length.
///
/// # Errors
/// What `serde_json` says about a text that is no JSON.
pub(super) fn read(text: &str) -> Result<Value, String> {
    // Checks the grammar without recursion; what is left below is to take the text apart.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    let mut reader = Reader { text, at: 0 };
    reader.value(0).ok_or_else(|| "a string is not valid Unicode".to_owned())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.peek()? {
            b'{' | b'[' if depth == DEEPEST => {
                self.skip();
                Some(Value::Null)
            }
            b'{' => self.object(depth + 1).map(Value::Object),
            b'[' => self.list(depth + 1).map(Value::Array),
            b'"' => self.string().map(Value::String),
            _ => match self.word() {
                "null" => Some(Value::Null),
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                number => number.parse().ok().map(Value::Number),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Option<Map<String, Value>> {
        let mut members = Map::new();
        self.take(b'{');
        while !self.take(b'}') {
            self.take(b',');
            self.peek();
            let key = self.string()?;
            self.take(b':');
            let value = self.value(depth)?;
            members.insert(key, value); // of duplicate keys the last counts
        }
        Some(members)
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        self.take(b'[');
        while !self.take(b']') {
            self.take(b',');
            items.push(self.value(depth)?);
        }
        Some(items)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_string();
        serde_json::from_str(&self.text[start..self.at]).ok()
    }

    fn skip_string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }

    /// Goes behind the container that starts here.
    fn skip(&mut self) {
        let bytes = self.text.as_bytes();
        let mut open = 0_usize;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            " true ",
            "-1.50e3",
            r#""a\"b\\ \u00e9\ud83d\ude00""#,
            "[]",
            "{}",
            "[ 1 , [2,\"]\"] ,{}]",
            r#"{"a":{"b":[1,2.0,{"c":null}]},"a b":"x","é":false}"#,
            r#"{"a":1,"b":2,"a":3}"#,
        ] {
            assert_eq!(read(text), Ok(serde_json::from_str(text).expect("JSON")), "{text}");
        }
        for text in ["", "{", "[1,]", "{\"a\"}", "1 2", "tru", "01", "\"\u{1}\"", r#""\ud800""#, "[1}", "NaN"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_cut_and_costs_nothing() {
        let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
        let mut value = &read(&deep).expect("JSON");
        let mut depth = 0;
        while let Some(inner) = value.get(0) {
            value = inner;
            depth += 1;
        }
        assert_eq!((depth, value), (DEEPEST, &Value::Null));
        let beside = format!("[{}\"]\"{},7]", "[".repeat(300), "]".repeat(300));
        assert_eq!(read(&beside).expect("JSON")[1], 7);
    }

    #[test]
    fn the_private_number_key_is_a_key() {
        let text = r#"{"$serde_json::private::Number":"1"}"#;
        assert!(read(text).expect("JSON").is_object());
    }
}
