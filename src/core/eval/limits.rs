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
}

impl From<Corrupt> for Stop {
    fn from(corrupt: Corrupt) -> Self {
        Self::Damaged(corrupt)
    }
}

/// The memory that is left.
pub(crate) struct Budget {
    left: Cell<u64>,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: Cell::new(bytes) }
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
