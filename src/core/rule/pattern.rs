//! Patterns of `regex` and `not_regex`.

use regex::{Regex, RegexBuilder};

/// Compiles a pattern with the defaults of the `regex` crate, size limit included; `ignore_case` is its `i` flag.
///
/// # Errors
/// The crate's own words about a pattern that is wrong or too large.
pub fn compile_pattern(pattern: &str, ignore_case: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(ignore_case).build()
}
