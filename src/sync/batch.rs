//! A batch: the members that were recorded for it, and what became of it.

use std::collections::BTreeMap;

use cohort_core::destination::Row;

use super::ending::Ending;

/// A batch whose members are recorded: committed before it is sent.
#[derive(Debug, Default)]
pub(super) struct Intent {
    /// Zero: nothing needs to be sent.
    pub(super) batch: i64,
    pub(super) rows: Vec<Row>,
    /// Whether the destination may have had each before.
    pub(super) known: Vec<bool>,
    /// The stamp of each one's profile.
    pub(super) sources: Vec<Option<i64>>,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The destination has it, but for refused rows; or how the attempt ends, because it has not, or not all of it, or
    /// nobody knows.
    pub(super) arrival: Result<(), Ending>,
    /// Rows that the destination refused, with its words.
    pub(super) refused: Vec<(usize, String)>,
    /// Rows that arrived, or may have.
    pub(super) rows: u64,
    /// Rows that it took and cannot use, by reason.
    pub(super) invalid: BTreeMap<String, u64>,
}

impl Delivery {
    /// The result where `rows` rows arrived and none was refused.
    pub(super) fn arrived(rows: usize) -> Self {
        Self { arrival: Ok(()), refused: Vec::new(), rows: rows as u64, invalid: BTreeMap::new() }
    }
}

/// What an attempt at a run did so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Fingerprint of how profiles were rendered.
    pub(super) mapping: Option<i64>,
    /// Members that were not sent, by reason.
    pub(super) skipped: BTreeMap<String, u64>,
    /// How many members the destination has, where that is known without counting them.
    pub(super) delivered: Option<i64>,
}
