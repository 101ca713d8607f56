//! Who is leaving, in pages: each member as the destination knows it, less the keys that others share.

use cohort_core::destination::{Action, Row};

use super::Run;
use crate::sync::ending::{Ending, step};
use crate::sync::journal::Leaver;

/// Pages of members that leave.
pub(super) struct Removals {
    last: i64,
}

/// Members to remove together: at least one row.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// The members of the rows, in their order.
    pub(super) sent: Vec<(i64, String)>,
    /// Members of which nothing is left to remove.
    pub(super) settled: Vec<(i64, String)>,
}

impl Removals {
    /// Those of a run; `None` where nobody leaves.
    pub(super) fn of(run: &Run<'_>) -> Result<Option<Self>, Ending> {
        if !step(|| run.journal.has_leavers())? {
            return Ok(None);
        }
        run.journal.guarded(|| run.journal.find_shared(run.destination.shared()))?;
        Ok(Some(Self { last: 0 }))
    }

    /// The next page that has rows.
    pub(super) fn next(&mut self, run: &Run<'_>) -> Result<Option<Page>, Ending> {
        let most = run.destination.batch_rows(Action::Remove);
        loop {
            let leavers = run.journal.guarded(|| run.journal.leavers(self.last, most))?;
            let Some(end) = leavers.last() else { return Ok(None) };
            self.last = end.member;
            let mut page = Page { rows: Vec::new(), sent: Vec::new(), settled: Vec::new() };
            for Leaver { member, customer, identity, shared } in leavers {
                match run.destination.without(&identity, &|key| shared.contains(&key)) {
                    None => page.settled.push((member, customer)),
                    Some(identity) => {
                        page.rows.push(Row { customer: customer.clone(), identity, ..Row::default() });
                        page.sent.push((member, customer));
                    }
                }
            }
            if !page.rows.is_empty() {
                return Ok(Some(page));
            }
            run.journal.guarded(|| run.journal.forget(page.settled))?;
        }
    }
}
