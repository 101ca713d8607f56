//! Scripts cut into statements.

/// One statement of a script.
pub(crate) struct Statement {
    /// The comments above it.
    pub(crate) comment: String,
    /// From its first word to its semicolon.
    pub(crate) text: String,
}

impl Statement {
    /// Whether it begins with some words.
    pub(crate) fn begins(&self, words: &str) -> bool {
        self.text.strip_prefix(words).is_some_and(|rest| rest.starts_with([' ', '\n']))
    }

    /// What a CREATE makes that CREATE OR REPLACE cannot make a second time: its kind and name, and a trigger's table.
    pub(crate) fn made(&self) -> Option<String> {
        let mut words = self.text.split(|sign: char| sign.is_whitespace() || sign == '(' || sign == ';');
        let mut words = words.by_ref().filter(|word| !word.is_empty() && *word != "UNIQUE");
        if words.next() != Some("CREATE") {
            return None;
        }
        match words.next()? {
            kind @ ("TABLE" | "INDEX" | "TYPE" | "SEQUENCE" | "SCHEMA" | "EVENT" | "POLICY") => {
                let name = words.find(|word| *word != "TRIGGER")?;
                Some(format!("{kind} {name}"))
            }
            "TRIGGER" => {
                let name = words.next()?;
                let table = words.skip_while(|word| *word != "ON").nth(1)?;
                Some(format!("TRIGGER {name} ON {table}"))
            }
            _ => None,
        }
    }
}

/// The statements of a script, in their order.
pub(crate) fn statements(script: &str) -> Result<Vec<Statement>, String> {
    let mut found = Vec::new();
    let mut rest = script;
    let mut comment = String::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        if let Some(length) = comment_length(rest)? {
            comment.push_str(&rest[..length]);
            comment.push('\n');
            rest = &rest[length..];
            continue;
        }
        let length = length(rest)?;
        found.push(Statement { comment: std::mem::take(&mut comment), text: rest[..length].to_owned() });
        rest = &rest[length..];
    }
}

/// The bytes of the statement that a text begins with, its semicolon included.
fn length(text: &str) -> Result<usize, String> {
    let mut at = 0;
    // In the body of BEGIN ATOMIC: how many END are due.
    let mut open = 0_usize;
    let mut last = "";
    while let Some(sign) = text[at..].chars().next() {
        let rest = &text[at..];
        let step = if let Some(length) = comment_length(rest)? {
            length
        } else if sign == '\'' || sign == '"' {
            quoted(rest, &sign.to_string(), text)?
        } else if let Some(tag) = dollar(rest) {
            quoted(rest, tag, text)?
        } else if sign.is_alphabetic() || sign == '_' {
            let length =
                rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_' && sign != '$').unwrap_or(rest.len());
            let word = &rest[..length];
            match word {
                "ATOMIC" if last == "BEGIN" => open = 1,
                "CASE" if open > 0 => open += 1,
                "END" if open > 0 => open -= 1,
                _ => {}
            }
            last = word;
            length
        } else if sign == ';' && open == 0 {
            return Ok(at + 1);
        } else {
            sign.len_utf8()
        };
        at += step;
    }
    Err(format!("a statement has no end: {}", first_line(text)))
}

/// The bytes of the comment that a text begins with, if it does.
fn comment_length(text: &str) -> Result<Option<usize>, String> {
    if text.starts_with("--") {
        return Ok(Some(text.find('\n').unwrap_or(text.len())));
    }
    if text.starts_with("/*") {
        let end = text.find("*/").ok_or_else(|| format!("a comment has no end: {}", first_line(text)))?;
        return Ok(Some(end + 2));
    }
    Ok(None)
}

/// The dollar quote that a text begins with, if it does.
fn dollar(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let end = inner.find('$')?;
    inner[..end].chars().all(|sign| sign.is_alphanumeric() || sign == '_').then(|| &text[..end + 2])
}

/// The bytes of a quoted part, its quotes included. A doubled quote makes two parts, one after the other.
fn quoted(rest: &str, quote: &str, statement: &str) -> Result<usize, String> {
    let inner = &rest[quote.len()..];
    let end = inner.find(quote).ok_or_else(|| format!("a quote has no end: {}", first_line(statement)))?;
    Ok(2 * quote.len() + end)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}
