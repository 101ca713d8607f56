//! Walking through JSON text without building a tree: arrays and deep objects are kept as text, and a rule looks at a
//! few of their values. The text comes from the index; if it is damaged a walk ends early, no more.

use std::borrow::Cow;

use crate::rule::PathStep;
use crate::segment::item::{Decimal, Item};

/// The values that a path leads to from a JSON text.
pub(crate) fn reach<'a>(text: &'a str, path: &[PathStep], each: &mut dyn FnMut(&'a str)) {
    let text = text.trim_ascii();
    match path.split_first() {
        None => {
            if text != "null" && !text.is_empty() {
                each(text);
            }
        }
        Some((PathStep::Elements, rest)) => {
            for element in elements(text) {
                reach(element, rest, each);
            }
        }
        Some((PathStep::Key(key), rest)) => {
            let mut found = None;
            for (name, value) in members(text) {
                if string(name).as_deref() == Some(key.as_str()) {
                    found = Some(value);
                }
            }
            if let Some(value) = found {
                reach(value, rest, each);
            }
        }
    }
}

/// Hands a JSON value out as an item.
pub(crate) fn as_item<T>(text: &str, use_item: impl FnOnce(Item<'_>) -> T) -> Option<T> {
    let text = text.trim_ascii();
    match text.as_bytes().first()? {
        b'{' | b'[' => Some(use_item(Item::Json(text))),
        b'"' => string(text).map(|string| use_item(Item::Text(&string))),
        b't' => Some(use_item(Item::Bool(true))),
        b'f' => Some(use_item(Item::Bool(false))),
        b'n' => None,
        _ => Some(use_item(Decimal::parse(text).map_or(Item::Big(text), Item::Number))),
    }
}

/// The elements of an array; none of anything else.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    Parts { rest: text.trim_ascii().strip_prefix('[').unwrap_or_default() }
}

/// The members of an object: the key as a JSON string, and the value.
fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = Parts { rest: text.trim_ascii().strip_prefix('{').unwrap_or_default() };
    std::iter::from_fn(move || {
        let key = parts.next()?;
        parts.rest = parts.rest.trim_ascii_start().strip_prefix(':').unwrap_or_default();
        Some((key, parts.next()?))
    })
}

/// Cuts the values out of the inside of an array or object.
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_ascii_start();
        let text = text.strip_prefix(',').unwrap_or(text).trim_ascii_start();
        let end = value_end(text);
        let (value, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        (!value.is_empty()).then_some(value)
    }
}

/// Where the value at the beginning of a text ends; 0 when there is none.
fn value_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(byte) = bytes.get(at) {
                    match byte {
                        b'\\' => at += 1,
                        b'"' => break,
                        _ => {}
                    }
                    at += 1;
                }
                if depth == 0 {
                    return (at + 1).min(bytes.len());
                }
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                if depth <= 1 {
                    return if depth == 1 { at + 1 } else { at };
                }
                depth -= 1;
            }
            b',' | b':' if depth == 0 => return at,
            byte if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The characters of a JSON string, quotes included in the text.
fn string(text: &str) -> Option<Cow<'_, str>> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    // Escapes are rare, so that serde_json's reading of them is fast enough.
    serde_json::from_str::<String>(text).ok().map(Cow::Owned)
}

/// The pairs of the rest: the keys of a path, and the value there.
pub(crate) fn rest_pairs(text: &str) -> impl Iterator<Item = (Vec<Cow<'_, str>>, &str)> {
    elements(text).filter_map(|pair| {
        let mut parts: Vec<&str> = elements(pair).collect();
        let value = parts.pop()?;
        let keys = parts.into_iter().map(string).collect::<Option<Vec<_>>>()?;
        Some((keys, value))
    })
}

/// Passes the values of the rest, with their paths, to a function.
pub fn rest_values(text: &str, each: &mut dyn FnMut(&[String], Item<'_>)) {
    for (keys, value) in rest_pairs(text) {
        let path: Vec<String> = keys.into_iter().map(Cow::into_owned).collect();
        as_item(value, |item| each(&path, item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(text: &str, path: &[PathStep]) -> Vec<String> {
        let mut found = Vec::new();
        reach(text, path, &mut |value| found.push(value.to_owned()));
        found
    }

    #[test]
    fn paths_lead_through_arrays_and_objects() {
        let key = |key: &str| PathStep::Key(key.to_owned());
        let text = r#" [ {"a b": [1, "x,]\"}", null]}, {"a b": 2}, 3, {"c": {}}, {"a b" : [ [] ,{"k":"v"} ] } ] "#;
        assert_eq!(
            reached(text, &[PathStep::Elements, key("a b")]),
            [r#"[1, "x,]\"}", null]"#, "2", r#"[ [] ,{"k":"v"} ]"#]
        );
        assert_eq!(
            reached(text, &[PathStep::Elements, key("a b"), PathStep::Elements]),
            ["1", r#""x,]\"}""#, "[]", r#"{"k":"v"}"#]
        );
        assert_eq!(reached(text, &[PathStep::Elements, key("c")]), ["{}"]);
        assert!(reached(text, &[key("a b")]).is_empty());
        assert_eq!(as_item(r#""\u0041\"""#, |item| item == Item::Text("A\"")), Some(true));
    }

    #[test]
    fn damaged_text_ends_early() {
        for text in
            ["[", "[1", "[\"", "[\"\\", "{\"a", "{\"a\":", "{\"a\":}", "[]]]", "{}}", ",,,", "[:::]", "é\"[", "\\"]
        {
            let _ = reached(text, &[PathStep::Elements]);
            let _ = reached(text, &[PathStep::Key("a".into())]);
            let _ = rest_pairs(text).count();
        }
    }
}
