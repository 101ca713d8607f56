//! What an evaluation may use, and what ends it early.

use std::cell::Cell;

use crate::segment::Corrupt;

/// What an evaluation may use.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Bytes of memory for what grows with the data: dictionaries that figures and references look values up in, the
    /// events of sequences (of one customer all at once, whatever they take), values that were met.
    pub memory: u64,
    /// Called often; it may end the evaluation by unwinding.
    pub check: &'a dyn Fn(),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A segment is damaged.
    Damaged(Corrupt),
    /// The evaluation would need more memory than [`Limits::memory`].
    TooLarge,
    /// A predicate of elements compares with the event of another step, which plain SQL does.
    Elsewhere,
}

impl From<Corrupt> for Stop {
    fn from(corrupt: Corrupt) -> Self {
        match corrupt {
            Corrupt::TooMany(_) => Self::TooLarge,
            corrupt => Self::Damaged(corrupt),
        }
    }
}

/// The memory that is left, and what lets long work be interrupted.
pub(crate) struct Budget<'c> {
    left: Cell<u64>,
    check: &'c dyn Fn(),
    /// Steps since the last check.
    steps: Cell<usize>,
}

impl<'c> Budget<'c> {
    pub(crate) fn new(limits: Limits<'c>) -> Self {
        Self { left: Cell::new(limits.memory), check: limits.check, steps: Cell::new(0) }
    }

    /// Counts steps of work, each of which takes a microsecond at most, and checks for interrupts once in 10,000 steps.
    pub(crate) fn worked(&self, steps: usize) {
        const OFTEN: usize = 10_000;
        let steps = self.steps.get().saturating_add(steps);
        if steps >= OFTEN {
            (self.check)();
        }
        self.steps.set(if steps >= OFTEN { 0 } else { steps });
    }

    /// How much it is.
    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }

    /// Takes some of it.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Stop> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(Stop::TooLarge)?);
        Ok(())
    }

    /// Gives some of it back.
    pub(crate) fn give(&self, bytes: u64) {
        self.left.set(self.left.get().saturating_add(bytes));
    }
}
