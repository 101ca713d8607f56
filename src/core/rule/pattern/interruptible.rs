//! A search that looks for interrupts. The `regex` crate's search does not, and its time is at worst the states of a pattern
//! times the bytes of a text.

use regex_automata::nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;

/// States that are visited between two looks for interrupts.
const BETWEEN_CHECKS: u32 = 1 << 16;

/// A pattern as a nondeterministic automaton.
#[derive(Debug)]
pub(super) struct Search(NFA);

impl Search {
    /// Compiles a pattern as the `regex` crate does; `None` if it takes more than `size` bytes.
    pub(super) fn new(pattern: &str, ignore_case: bool, size: usize) -> Option<Self> {
        let config = Config::new().nfa_size_limit(Some(size)).which_captures(WhichCaptures::None);
        let syntax = syntax::Config::new().case_insensitive(ignore_case);
        Compiler::new().configure(config).syntax(syntax).build(pattern).ok().map(Self)
    }

    /// Whether the pattern matches anywhere in a text. `check`, which may end it by unwinding, is called again and again.
    pub(super) fn matches(&self, text: &str, check: &dyn Fn()) -> bool {
        let bytes = text.as_bytes();
        let states = self.0.states().len();
        let (mut current, mut next) = (Active::new(states), Active::new(states));
        let mut pending = Vec::new();
        let mut visited = 0;
        for at in 0..=bytes.len() {
            // A match begins with a character.
            if text.is_char_boundary(at) && self.follow(self.0.start_anchored(), bytes, at, &mut current, &mut pending)
            {
                return true;
            }
            visited += u32::try_from(current.list.len()).unwrap_or(u32::MAX) + 1;
            if visited >= BETWEEN_CHECKS {
                visited = 0;
                check();
            }
            for &state in &current.list {
                let target = match self.0.state(state) {
                    State::ByteRange { trans } => trans.matches(bytes, at).then_some(trans.next),
                    State::Sparse(transitions) => transitions.matches(bytes, at),
                    State::Dense(transitions) => transitions.matches(bytes, at),
                    State::Look { .. }
                    | State::Union { .. }
                    | State::BinaryUnion { .. }
                    | State::Capture { .. }
                    | State::Fail
                    | State::Match { .. } => None,
                };
                if target.is_some_and(|target| self.follow(target, bytes, at + 1, &mut next, &mut pending)) {
                    return true;
                }
            }
            std::mem::swap(&mut current, &mut next);
            next.clear();
        }
        false
    }

    /// Makes a state active, and all that are reached from it without a byte; whether one of them is a match.
    fn follow(&self, state: StateID, bytes: &[u8], at: usize, active: &mut Active, pending: &mut Vec<StateID>) -> bool {
        pending.clear();
        pending.push(state);
        while let Some(state) = pending.pop() {
            if !active.add(state) {
                continue;
            }
            match self.0.state(state) {
                State::Match { .. } => return true,
                State::Look { look, next } => {
                    if self.0.look_matcher().matches(*look, bytes, at) {
                        pending.push(*next);
                    }
                }
                State::Union { alternates } => pending.extend(alternates),
                State::BinaryUnion { alt1, alt2 } => pending.extend([*alt1, *alt2]),
                State::Capture { next, .. } => pending.push(*next),
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Fail => {}
            }
        }
        false
    }
}

/// A set of states that is cleared in constant time.
struct Active {
    list: Vec<StateID>,
    /// By state: the round in which it was added last.
    added: Vec<u64>,
    round: u64,
}

impl Active {
    fn new(states: usize) -> Self {
        Self { list: Vec::new(), added: vec![0; states], round: 1 }
    }

    fn add(&mut self, state: StateID) -> bool {
        let added = &mut self.added[state.as_usize()];
        let new = *added != self.round;
        if new {
            *added = self.round;
            self.list.push(state);
        }
        new
    }

    fn clear(&mut self) {
        self.list.clear();
        self.round += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use regex::RegexBuilder;

    use super::Search;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// The same answers as the `regex` crate's.
        #[test]
        fn agrees_with_the_regex_crate(
            pattern in r"(\\b|\\B|\^|\$|\(\?m\)|)([aäA](\*|\+|\?|\{2,3\}|)|[.]|\\w|\\b|\\B|\(a\|é\|\)|\[\^a\]|\n|[$^|]){0,6}(\\b|\\B|\$|)",
            text in "[aAäéß \n.]{0,12}",
            ignore_case in any::<bool>(),
        ) {
            let Ok(regex) = RegexBuilder::new(&pattern).case_insensitive(ignore_case).build() else { return Ok(()) };
            let search = Search::new(&pattern, ignore_case, 1 << 20).expect("the regex crate compiles it");
            prop_assert_eq!(search.matches(&text, &|| ()), regex.is_match(&text), "{:?} in {:?}", pattern, text);
        }
    }

    #[test]
    fn looks_for_interrupts() {
        let checks = Cell::new(0);
        let search = Search::new(r"[ab]{100}!", false, 1 << 20).expect("it fits");
        assert!(!search.matches(&"a".repeat(10_000), &|| checks.set(checks.get() + 1)));
        assert!(checks.get() > 1);
    }
}
