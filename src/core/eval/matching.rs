//! The rows that match a condition on events, group by group.

use super::rows::{Bound, Rows};
use crate::segment::ids::IdReader;
use crate::segment::times::Times;

/// The matching rows of one group.
#[derive(Clone)]
pub(crate) struct Matching<'a> {
    pub(crate) rows: Rows<'a>,
    pub(super) filter: Bound<'a>,
    pub(super) times: Times<'a>,
    /// Of `occurrence`: the rows' ids, and which of them are candidates.
    pub(super) one: Option<(IdReader<'a>, Bound<'a>)>,
}
