//! Removes secrets and personal data from texts for tables and logs. From the extension's own texts it removes secrets
//! only. From texts of receivers it also removes the values that were sent to them, and anything that looks personal.

use std::collections::HashSet;

/// The longest text, in characters.
const LONGEST: usize = 500;

/// What encloses the words of others. No text that we get has them: [`quote`] leaves control characters out.
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// Words that are not ours, as part of a text that [`redact`] gets.
#[must_use]
pub fn quote(said: &str) -> String {
    let said = without_escapes(said);
    let clean: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(4 * LONGEST).collect();
    let clean = clean.trim();
    if clean.is_empty() { String::new() } else { format!("{OPEN}{clean}{CLOSE}") }
}

/// A text with what an address escapes (`%20`) as it was.
fn without_escapes(said: &str) -> String {
    let mut bytes = Vec::with_capacity(said.len());
    let mut rest = said.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped =
            (*first == b'%').then(|| behind.get(..2)).flatten().and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What must not be seen.
#[derive(Debug, Default)]
pub struct Hidden {
    /// Replaced wherever they stand.
    secrets: Vec<String>,
    /// The words of the values that were sent, in lower case: replaced in quotes.
    words: HashSet<String>,
}

impl Hidden {
    /// A secret, and its parts.
    #[must_use]
    pub fn secret(secret: &str) -> Self {
        let mut secrets: Vec<String> = std::iter::once(secret)
            .chain(secret.split(':'))
            .filter(|part| part.len() >= 4)
            .map(str::to_owned)
            .collect();
        secrets.dedup();
        Self { secrets, words: HashSet::new() }
    }

    /// A value that was sent.
    pub fn value(&mut self, value: &str) {
        self.words.extend(words(value).filter(|word| word.chars().count() > 1).map(str::to_lowercase));
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// A text without what is hidden, cut after 500 characters.
#[must_use]
pub fn redact(text: &str, hidden: &Hidden) -> String {
    let mut clean = text.to_owned();
    for secret in &hidden.secrets {
        clean = clean.replace(secret.as_str(), "[secret]");
    }
    let mut out = String::with_capacity(clean.len());
    let mut rest = clean.as_str();
    while let Some((own, behind)) = rest.split_once(OPEN) {
        out.push_str(own);
        let (said, behind) = behind.split_once(CLOSE).unwrap_or((behind, ""));
        push_clean(said, hidden, &mut out);
        rest = behind;
    }
    out.push_str(rest);
    let clean: String = out.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    clean.trim().to_owned()
}

/// Appends what a receiver said.
fn push_clean(said: &str, hidden: &Hidden, out: &mut String) {
    let ends = |c: char| c.is_whitespace() || "\"'<>(),;[]{}".contains(c);
    let without_numbers = without_numbers(said);
    for piece in without_numbers.split_inclusive(ends) {
        let core = piece.trim_end_matches(|c| ends(c) || ".:".contains(c));
        if core.contains('@') {
            out.push_str("[address]");
            out.push_str(&piece[core.len()..]);
        } else {
            push_words(piece, hidden, out);
        }
    }
}

/// Replaces telephone numbers: ten digits or more, or seven after a plus or a zero, with blanks and marks between.
fn without_numbers(said: &str) -> String {
    let mut out = String::with_capacity(said.len());
    let mut run = String::new();
    for c in said.chars().chain(std::iter::once('\n')) {
        let goes_on = c.is_ascii_digit() || c == '+' || (!run.is_empty() && " ()-./".contains(c));
        // A digit in the middle of a word, such as that of a digest, begins no number.
        if goes_on && !(run.is_empty() && out.ends_with(|c: char| c.is_alphanumeric() || c == '_')) {
            run.push(c);
            continue;
        }
        let kept = run.trim_end_matches(|c: char| !c.is_ascii_digit());
        let digits = kept.bytes().filter(u8::is_ascii_digit).count();
        let in_word = c.is_alphabetic() && kept.len() == run.len();
        if !in_word && (digits >= 10 || (digits >= 7 && kept.starts_with(['+', '0']))) {
            out.push_str("[number]");
            out.push_str(&run[kept.len()..]);
        } else {
            out.push_str(&run);
        }
        run.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// Replaces words that were sent, and those that look like a digest or a token.
fn push_words(piece: &str, hidden: &Hidden, out: &mut String) {
    let part_of_token = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    for token in piece.split_inclusive(|c: char| !(part_of_token(c) || c.is_alphanumeric())) {
        let core = token.trim_end_matches(|c: char| !(part_of_token(c) || c.is_alphanumeric()));
        if is_random(core) {
            out.push_str("[redacted]");
        } else {
            let mut rest = core;
            for word in words(core) {
                let Some((before, behind)) = rest.split_once(word) else { continue };
                out.push_str(before);
                out.push_str(if hidden.words.contains(&word.to_lowercase()) { "[value]" } else { word });
                rest = behind;
            }
            out.push_str(rest);
        }
        out.push_str(&token[core.len()..]);
    }
}

/// Whether a word looks like a digest in hexadecimal digits or a token in base64. Names of hosts, settings and tables, long
/// as they may be, have no upper case and no digits mixed in.
fn is_random(word: &str) -> bool {
    let count = |test: fn(&u8) -> bool| word.bytes().filter(test).count();
    let digits = count(u8::is_ascii_digit);
    if word.len() >= 32 && digits >= 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return true;
    }
    word.len() >= 20
        && word.is_ascii()
        && digits >= 2
        && count(u8::is_ascii_uppercase) >= 2
        && count(u8::is_ascii_lowercase) >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, values: &[&str]) -> String {
        let mut hidden = Hidden::secret("abc-s3cret");
        for value in values {
            hidden.value(value);
        }
        redact(&format!("status 400: {}", quote(text)), &hidden)
    }

    #[test]
    fn what_a_receiver_repeats_is_left_out() {
        let values = ["c-17", "Mary Jane O'Neill", "+91 98765 43210", "München"];
        for (text, expected) in [
            ("no Mary here", "no [value] here"),
            ("MARY_JANE is bad", "[value]_[value] is bad"),
            ("name=mary%20jane&x=1", "name=[value] [value]&x=1"),
            ("in MÜNCHEN", "in [value]"),
            ("maryland stays", "maryland stays"),
            ("phone 919876543210", "phone [number]"),
            ("phone +91 (98765) 432-10 is bad", "phone [number] is bad"),
            ("phone 0987654321", "phone [number]"),
            ("row c-17", "row c-[value]"),
            ("mail to bob@example.com, now", "mail to [address], now"),
            ("bob%40example.com", "[address]"),
        ] {
            assert_eq!(said(text, &values), format!("status 400: {expected}"), "{text}");
        }
    }

    #[test]
    fn digests_tokens_and_secrets_are_left_out() {
        let digest = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";
        for (text, expected) in [
            (format!("bad row {digest}."), "bad row [redacted]."),
            ("token EAAGm0PX4ZCpsBAKZCyX".to_owned(), "token [redacted]"),
            ("jwt eyJhbGciOiJIUzI1NiIsInR5.eyJzdWIiOiIxMjM0NTY3ODkw.x".to_owned(), "jwt [redacted].[redacted].x"),
            ("abc-s3cret is known".to_owned(), "[secret] is known"),
        ] {
            assert_eq!(said(&text, &[]), format!("status 400: {expected}"), "{text}");
        }
        assert_eq!(redact("no abc-s3cret", &Hidden::secret("id:abc-s3cret")), "no [secret]");
    }

    #[test]
    fn names_of_hosts_settings_and_tables_stay() {
        for text in [
            "the connection to webhooks.marketing.my-company-name.com failed",
            "the host my-bucket.s3.eu-central-1.amazonaws.com:443 is not allowed",
            "kursaha_cohort.allow_private_networks",
            "new row for relation \"a_table_with_quite_a_long_name_2026\" violates check constraint \"a_table_customer_id_check\"",
            "Invalid parameter: code 100, account 1234, subcode 1870034",
        ] {
            assert_eq!(said(text, &[]), format!("status 400: {text}"));
            assert_eq!(redact(text, &Hidden::default()), text);
        }
        // Our own words are never searched for values.
        let mut hidden = Hidden::default();
        hidden.value("status 400");
        assert_eq!(redact(&format!("status 400: {}", quote("status x")), &hidden), "status 400: [value] x");
        assert_eq!(redact(&"x ".repeat(9000), &Hidden::default()).len(), 499);
    }
}
