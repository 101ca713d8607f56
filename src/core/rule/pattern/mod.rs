//! Patterns of `regex` and `not_regex`. Compiling one takes up to a tenth of a second and megabytes, so that each is compiled
//! once where it can be kept, and what all of them take is bounded.

mod interruptible;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use self::interruptible::Search;

/// Bytes of a compiled pattern that are tried one after the other (a compilation that needs more ends early), and bytes that
/// matching may take besides. The last is the crate's own limit.
const SIZES: [(usize, usize); 6] = [
    (16 << 10, 32 << 10),
    (64 << 10, 128 << 10),
    (256 << 10, 512 << 10),
    (1 << 20, 2 << 20),
    (4 << 20, 2 << 20),
    (10 << 20, 2 << 20),
];

/// The most bytes that a pattern takes.
pub(crate) const LARGEST: u64 = 12 << 20;

/// Bytes of a pattern times bytes of a text, from which a search looks for interrupts. The search of the `regex` crate, which
/// does not, takes some seconds for that at worst.
const INTERRUPTIBLE: u64 = 1 << 32;

/// Bytes of a text from which a search may look for interrupts: that the pattern is compiled for it does not matter then.
const LONG: usize = 16 << 10;

/// The most bytes that the patterns of one rule may take.
pub const MOST_PATTERN_BYTES: u64 = 64 << 20;

/// Bytes of patterns that may be kept from one rule to the next.
pub const KEPT_PATTERN_BYTES: u64 = 8 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    text: String,
    ignore_case: bool,
    /// The limit within which it was compiled.
    size: usize,
    /// The most that it takes, with what matching takes.
    bytes: u64,
}

impl Pattern {
    /// Whether it matches anywhere in a text. `check`, which may end it by unwinding, is called while a long search goes on.
    #[must_use]
    pub fn matches(&self, text: &str, check: &dyn Fn()) -> bool {
        if text.len() < LONG || (self.size as u64).saturating_mul(text.len() as u64) < INTERRUPTIBLE {
            return self.regex.is_match(text);
        }
        check();
        // Compiled for each text, so that it takes memory during the search only.
        match Search::new(&self.text, self.ignore_case, self.size) {
            Some(search) => search.matches(text, check),
            None => self.regex.is_match(text),
        }
    }

    /// The most bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Why a pattern is not compiled.
#[derive(Debug)]
pub enum Refused {
    /// The crate's own words: it is wrong, or too large for any rule.
    Invalid(regex::Error),
    /// It would take more bytes than it may.
    TooLarge,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Patterns that were compiled before.
#[derive(Default)]
struct Kept {
    /// Those that do not ignore case, and those that do.
    patterns: [HashMap<String, Arc<Pattern>>; 2],
    bytes: u64,
}

impl Kept {
    fn find(&self, pattern: &str, ignore_case: bool) -> Option<Arc<Pattern>> {
        self.patterns[usize::from(ignore_case)].get(pattern).map(Arc::clone)
    }

    fn add(&mut self, pattern: &str, ignore_case: bool, compiled: &Arc<Pattern>, keep: u64) {
        if compiled.bytes > keep {
            return;
        }
        if self.bytes + compiled.bytes > keep {
            *self = Self::default();
        }
        self.bytes += compiled.bytes;
        self.patterns[usize::from(ignore_case)].insert(pattern.to_owned(), Arc::clone(compiled));
    }
}

/// Compiles a pattern with the defaults of the `regex` crate, size limit included, within `most` bytes; `ignore_case` is
/// its `i` flag. One that was kept is given back; a new one is kept if all that are kept take at most `keep` bytes.
/// `check`, which may end it by unwinding, is called before each attempt.
///
/// # Errors
/// When it is wrong, or takes more.
pub fn compile_pattern(
    pattern: &str,
    ignore_case: bool,
    most: u64,
    keep: u64,
    check: &dyn Fn(),
) -> Result<Arc<Pattern>, Refused> {
    if let Some(known) = KEPT.with_borrow(|kept| kept.find(pattern, ignore_case)) {
        return if known.bytes <= most { Ok(known) } else { Err(Refused::TooLarge) };
    }
    let mut too_large = Refused::TooLarge;
    for (size, matching) in SIZES {
        let bytes = (size + matching) as u64;
        if bytes > most {
            return Err(Refused::TooLarge);
        }
        check();
        let mut builder = RegexBuilder::new(pattern);
        match builder.case_insensitive(ignore_case).size_limit(size).dfa_size_limit(matching).build() {
            Err(error @ regex::Error::CompiledTooBig(_)) => too_large = Refused::Invalid(error),
            Err(error) => return Err(Refused::Invalid(error)),
            Ok(regex) => {
                let compiled = Arc::new(Pattern { regex, text: pattern.to_owned(), ignore_case, size, bytes });
                KEPT.with_borrow_mut(|kept| kept.add(pattern, ignore_case, &compiled, keep));
                return Ok(compiled);
            }
        }
    }
    Err(too_large)
}

/// Forgets the patterns that are kept, if they take more than some bytes.
pub fn keep_patterns_within(bytes: u64) {
    KEPT.with_borrow_mut(|kept| {
        if kept.bytes > bytes {
            *kept = Kept::default();
        }
    });
}
