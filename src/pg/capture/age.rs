//! Which rows of a captured table are older than their capture, determined by the transaction that wrote them.
//!
//! A *span* is a range of transactions between two snapshots: those that `until` sees and `after` does not. A capture's
//! spans name the transactions whose rows no capture recorded. Snapshots are in the text form of `pg_snapshot`.

use pgrx::pg_sys;

/// Which transactions had ended at one moment, by 64-bit id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    xmin: u64,
    xmax: u64,
    running: Vec<u64>,
}

impl Ended {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let xmin = parts.next()?.parse().ok()?;
        let xmax = parts.next()?.parse().ok()?;
        let running = parts.next()?.split(',').filter_map(|xid| xid.parse().ok()).collect();
        Some(Self { xmin, xmax, running })
    }

    fn has(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }
}

/// Ranges of transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(Option<Ended>, Ended)>);

impl Spans {
    /// Reads `after/until;after/until`, where `after` may be empty. What cannot be read names no transaction.
    pub(super) fn parse(text: &str) -> Self {
        Self(
            text.split(';')
                .filter_map(|span| {
                    let (after, until) = span.split_once('/')?;
                    let after = if after.is_empty() { None } else { Some(Ended::parse(after)?) };
                    Some((after, Ended::parse(until)?))
                })
                .collect(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a transaction is in one of the spans.
    pub(super) fn has(&self, xid: u64) -> bool {
        self.0.iter().any(|(after, until)| until.has(xid) && !after.as_ref().is_some_and(|after| after.has(xid)))
    }

    /// Whether a transaction is in a span that has a beginning: one that a release left open.
    pub(super) fn in_gap(&self, xid: u64) -> bool {
        self.0.iter().any(|(after, until)| after.as_ref().is_some_and(|after| until.has(xid) && !after.has(xid)))
    }
}

/// The 64-bit id of a transaction that has an id of 32 bits now.
pub(super) fn full(raw: pg_sys::TransactionId, next: u64) -> u64 {
    let raw = u64::from(raw.into_inner());
    if raw < 3 {
        // The ids of rows that initdb or an old VACUUM wrote.
        return raw;
    }
    let candidate = (next & !0xffff_ffff) | raw;
    if candidate < next { candidate } else { candidate.saturating_sub(1 << 32) }
}

/// The next transaction's 64-bit id.
pub(super) fn next() -> u64 {
    // SAFETY: reads shared memory under its lock.
    unsafe { pg_sys::ReadNextFullTransactionId() }.value
}

/// Who wrote a row version.
///
/// # Safety
/// The tuple is valid.
pub(super) unsafe fn writer(tuple: pg_sys::HeapTuple, next: u64) -> u64 {
    // SAFETY: as the caller says; a tuple on disk has the heap form.
    full(unsafe { (*(*tuple).t_data).t_choice.t_heap.t_xmin }, next)
}

/// Which transactions have ended now, as the text of a `pg_snapshot`. Other than `pg_current_snapshot()` it is taken
/// again under every isolation level, it lists subtransactions, and the current transaction counts as running with its own.
pub(crate) fn ended_now() -> String {
    // SAFETY: a snapshot is taken inside a transaction and read at once; the arrays have the counted lengths.
    unsafe {
        let own = pg_sys::GetTopTransactionId();
        let snapshot = pg_sys::GetLatestSnapshot();
        let next = next();
        let list = |ids: *mut pg_sys::TransactionId, count: usize| -> Vec<u64> {
            if count == 0 {
                return Vec::new();
            }
            std::slice::from_raw_parts(ids, count).iter().map(|id| full(*id, next)).collect()
        };
        let xmax = full((*snapshot).xmax, next + 1);
        let mut running = list((*snapshot).xip, (*snapshot).xcnt as usize);
        running.extend(list((*snapshot).subxip, usize::try_from((*snapshot).subxcnt).unwrap_or(0)));
        let own = full(own, next);
        running.push(own);
        // No snapshot lists the subtransactions of its own process.
        running.extend((own + 1..xmax).filter(|xid| {
            pgrx::check_for_interrupts!();
            pg_sys::TransactionIdIsCurrentTransactionId(pg_sys::TransactionId::from_inner(*xid as u32))
        }));
        running.retain(|xid| *xid < xmax);
        running.sort_unstable();
        running.dedup();
        let xmin = running.first().copied().unwrap_or(xmax);
        let running: Vec<String> = running.iter().map(u64::to_string).collect();
        format!("{xmin}:{xmax}:{}", running.join(","))
    }
}
