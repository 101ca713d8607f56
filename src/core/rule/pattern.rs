//! Patterns of `regex` and `not_regex`.

use regex::{Regex, RegexBuilder};

/// Compiles a pattern with the defaults of the `regex` crate, size limit included; `ignore_case` is its `i` flag.
///
/// # Errors
/// The crate's own words about a pattern that is wrong or too large.
pub fn compile_pattern(pattern: &str, ignore_case: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(ignore_case).build()
}

/// The same within some bytes; `None` when they are not enough. The number is the most that it takes.
///
/// # Errors
/// As [`compile_pattern`].
pub(crate) fn compile_pattern_within(
    pattern: &str,
    ignore_case: bool,
    bytes: u64,
) -> Result<Option<(Regex, u64)>, regex::Error> {
    /// The limits that are tried, the last being the crate's own: a compilation that exceeds one ends early.
    const LIMITS: [usize; 5] = [16 << 10, 128 << 10, 1 << 20, 4 << 20, 10 << 20];
    for limit in LIMITS.into_iter().take_while(|limit| *limit as u64 <= bytes) {
        match RegexBuilder::new(pattern).case_insensitive(ignore_case).size_limit(limit).build() {
            Err(regex::Error::CompiledTooBig(_)) => {}
            compiled => return compiled.map(|regex| Some((regex, limit as u64))),
        }
    }
    Ok(None)
}
