//! Values as SQL text. All text of a rule is written into the SQL by this file.

use std::fmt::Write as _;

use crate::time::Interval;
use crate::value::{Number, Scalar};

/// The widest line before a list or group is broken over several.
pub(super) const WIDTH: usize = 100;

/// A string literal. Control characters and backslashes are escaped, so that a literal never spans lines (indenting
/// the SQL cannot change it) and means the same whatever `standard_conforming_strings` says.
pub(super) fn text(value: &str) -> String {
    let escaped = value.chars().any(|character| character == '\\' || character.is_control());
    let mut literal = String::with_capacity(value.len() + 3);
    literal.push_str(if escaped { "E'" } else { "'" });
    for character in value.chars() {
        match character {
            '\'' => literal.push_str("''"),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            // Writing to a String cannot fail.
            control if control.is_control() => {
                let _ = write!(literal, "\\u{:04X}", u32::from(control));
            }
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// The name of an object, as a quoted identifier. Control characters are escaped, so that it never spans lines.
pub(super) fn name(name: &str) -> String {
    let escaped = name.chars().any(char::is_control);
    let mut quoted = String::from(if escaped { "U&\"" } else { "\"" });
    for character in name.chars() {
        match character {
            '"' => quoted.push_str("\"\""),
            '\\' if escaped => quoted.push_str("\\\\"),
            control if control.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\+{:06X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A literal of a JSON value, without a cast: the context determines its type `jsonb`.
pub(super) fn json(value: &serde_json::Value) -> String {
    text(&value.to_string())
}

/// The `jsonb` literal of a string or boolean; numbers are compared by [`number`].
pub(super) fn json_scalar(scalar: &Scalar) -> Option<String> {
    match scalar {
        Scalar::String(string) => Some(json(&serde_json::Value::from(string.as_str()))),
        Scalar::Bool(value) => Some(json(&serde_json::Value::from(*value))),
        Scalar::Number(_) => None,
    }
}

/// A numeric literal of exactly this value. Not the text of the rule: `0e99999` and 20,000 zeros behind the point are
/// numbers to JSON, but not to `numeric`.
pub(super) fn number(number: &Number) -> String {
    let (digits, scale) = number.value().normalized().into_bigint_and_exponent();
    if (-15..=30).contains(&scale) { number.plain() } else { format!("{digits}e{}", -scale) }
}

/// An interval literal in units that PostgreSQL and people read alike.
pub(super) fn interval(interval: &Interval) -> String {
    const UNITS: [(&str, i64); 5] = [
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
        ("millisecond", 1_000),
        ("microsecond", 1),
    ];
    let mut items: Vec<(i64, &str)> = Vec::new();
    let months = i64::from(interval.months);
    if months % 12 == 0 {
        items.push((months / 12, "year"));
    } else {
        items.push((months, "month"));
    }
    items.push((i64::from(interval.days), "day"));
    let mut rest = interval.micros;
    for (unit, micros) in UNITS {
        // "36 hours" and "90 minutes" stay whole; what is left over goes to the smaller units.
        items.push((rest / micros, unit));
        rest %= micros;
    }
    let words: Vec<String> = items
        .into_iter()
        .filter(|(count, _)| *count != 0)
        .map(|(count, unit)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" }))
        .collect();
    format!("interval {}", text(&words.join(" ")))
}

/// The text of a comment up to the end of its line, short enough to read.
pub(super) fn comment(words: &str) -> String {
    const LONGEST: usize = 160;
    let line: String =
        words.chars().take(LONGEST).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if words.chars().nth(LONGEST).is_some() { line + "…" } else { line }
}

/// Every line two blanks further in.
pub(super) fn indent(sql: &str) -> String {
    let mut indented = String::with_capacity(sql.len() + 64);
    for (row, line) in sql.lines().enumerate() {
        if row > 0 {
            indented.push('\n');
        }
        indented.push_str("  ");
        indented.push_str(line);
    }
    indented
}

/// `(a, b, c)`, broken over lines when it is long.
pub(super) fn list(items: &[String]) -> String {
    let mut lines = vec![String::new()];
    for (place, item) in items.iter().enumerate() {
        let comma = if place + 1 < items.len() { "," } else { "" };
        let line = lines.last_mut().map_or(0, |line| line.len());
        if line > 0 && line + item.len() + 2 > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(item);
            line.push_str(comma);
        }
    }
    if lines.len() == 1 { format!("({})", lines.concat()) } else { format!("(\n{}\n)", indent(&lines.join("\n"))) }
}

/// `expression = item`, or `expression IN (…)`: in a list of constants PostgreSQL looks up by hash.
pub(super) fn one_of(expression: &str, items: &[String]) -> String {
    match items {
        [item] => format!("{expression} = {item}"),
        _ => format!("{expression} IN {}", list(items)),
    }
}

/// `WHERE a AND b`, a line each.
pub(super) fn wheres(conditions: &[String]) -> String {
    format!("WHERE {}", conjunction(conditions))
}

/// `a AND b`, a line each.
pub(super) fn conjunction(conditions: &[String]) -> String {
    let mut sql = String::new();
    for (place, condition) in conditions.iter().enumerate() {
        if place == 0 {
            sql.push_str(condition);
        } else {
            sql.push_str("\n  AND ");
            sql.push_str(&indent(condition)[2..]);
        }
    }
    sql
}

/// `function(a, b)`, broken over lines when it is long.
pub(super) fn call(function: &str, arguments: &[String]) -> String {
    let inline = format!("{function}({})", arguments.join(", "));
    if inline.len() <= WIDTH { inline } else { format!("{function}(\n{}\n)", indent(&arguments.join(",\n"))) }
}

/// Several expressions joined by `AND` or `OR`, fit to be joined on: one stays as it is, more stand in parentheses.
pub(super) fn group(word: &str, parts: &[String]) -> String {
    if let [part] = parts {
        return part.clone();
    }
    let inline = parts.iter().map(|part| part.len() + word.len() + 2).sum::<usize>() <= WIDTH
        && !parts.iter().any(|part| part.contains('\n'));
    if inline {
        format!("({})", parts.join(&format!(" {word} ")))
    } else {
        format!("(\n{}\n)", indent(&parts.join(&format!("\n{word} "))))
    }
}

/// The exact negation of an expression that is true, false or null: true if the expression is not true.
pub(super) fn not(expression: &str) -> String {
    if expression.starts_with("EXISTS (") {
        // An EXISTS is never null.
        return format!("NOT {expression}");
    }
    if expression.starts_with('(') && expression.ends_with(')') {
        return format!("{expression} IS NOT TRUE"); // a group: no expression begins so but one in parentheses
    }
    format!("({expression}) IS NOT TRUE")
}
