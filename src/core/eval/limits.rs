//! What an evaluation may use, and what ends it early.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::segment::Corrupt;

/// What an evaluation may use.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Bytes of memory for what grows with the data: dictionaries that figures and references look values up in, the
    /// events of sequences (of one customer all at once, whatever they take), values that were met.
    pub memory: u64,
    /// Called often, by every thread that evaluates; it may end the evaluation by unwinding.
    pub check: &'a (dyn Fn() + Sync),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A segment is damaged.
    Damaged(Corrupt),
    /// The evaluation would need more memory than [`Limits::memory`].
    TooLarge,
}

impl From<Corrupt> for Stop {
    fn from(corrupt: Corrupt) -> Self {
        match corrupt {
            Corrupt::TooMany(_) => Self::TooLarge,
            corrupt => Self::Damaged(corrupt),
        }
    }
}

/// The memory that is left, and what lets long work be interrupted. All threads of an evaluation share it.
pub struct Budget<'c> {
    left: AtomicU64,
    check: &'c (dyn Fn() + Sync),
}

thread_local! {
    /// Steps of this thread since its last check.
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

impl<'c> Budget<'c> {
    /// All of an evaluation's.
    #[must_use]
    pub fn new(limits: Limits<'c>) -> Self {
        Self { left: AtomicU64::new(limits.memory), check: limits.check }
    }

    /// Counts steps of work, each of which takes a microsecond at most, and checks for interrupts once in 10,000 steps.
    pub(crate) fn worked(&self, steps: usize) {
        const OFTEN: usize = 10_000;
        let steps = STEPS.get().saturating_add(steps);
        if steps >= OFTEN {
            (self.check)();
        }
        STEPS.set(if steps >= OFTEN { 0 } else { steps });
    }

    /// How much it is.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }

    /// Takes some of it.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Stop> {
        let taken = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| Stop::TooLarge)
    }

    /// Gives some of it back.
    pub(crate) fn give(&self, bytes: u64) {
        // Saturates: the result is always there.
        let _ = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_add(bytes)));
    }

    /// Has as much as at an earlier time, when what was taken since is no longer used by anybody.
    pub(crate) fn restore(&self, left: u64) {
        self.left.store(left, Relaxed);
    }
}
