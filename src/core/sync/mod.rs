//! Decisions of a sync, without I/O: delays, limits on removals, and the size of batches.

mod state;

pub use state::{RunMove, RunState, SyncMove, SyncState};

/// The longest wait of a run, in seconds.
pub const LONGEST_WAIT: u64 = 3_600;

/// Failed runs in a row after which someone must look.
pub const MOST_FAILURES: i32 = 5;

/// Number of consecutive crashed runs after which a sync is quarantined.
pub const MOST_CRASHES: i32 = 3;

/// How often one run tries one batch before it fails.
pub const MOST_ATTEMPTS: i32 = 5;

/// The run that a worker executes, as the text of its start argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// OID of the database.
    pub database: u32,
    /// OID of the role that it connects as; 0 for one that does not exist.
    pub role: u32,
    /// The run.
    pub run: i64,
    /// Its sync.
    pub sync: i64,
    /// The sync's destination.
    pub destination: i64,
}

impl std::fmt::Display for Assignment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {} {} {} {}", self.database, self.role, self.run, self.sync, self.destination)
    }
}

impl std::str::FromStr for Assignment {
    type Err = String;

    /// Refuses everything but five numbers above 0. A role of 0 would connect as the bootstrap superuser.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("not the arguments of a run: {text:?}");
        let numbers: Option<Vec<i64>> =
            text.split(' ').map(|word| word.parse().ok().filter(|number| *number > 0)).collect();
        let numbers: Option<[i64; 5]> = numbers.and_then(|numbers| numbers.try_into().ok());
        let Some([database, role, run, sync, destination]) = numbers else {
            return Err(refused());
        };
        let oid = |number: i64| u32::try_from(number).map_err(|_| refused());
        Ok(Self { database: oid(database)?, role: oid(role)?, run, sync, destination })
    }
}

/// The wait before an attempt: `base · 2^n` seconds, at most an hour, up to a tenth more or less. The difference is made
/// of `seed`, so that many syncs do not come back at one moment and a test knows when.
#[must_use]
pub fn backoff(base_millis: u64, attempt: u32, seed: u64) -> u64 {
    let most = LONGEST_WAIT * 1_000;
    let plain = base_millis.saturating_mul(1_u64.checked_shl(attempt.min(40)).unwrap_or(u64::MAX)).min(most);
    // Spreads any seed over 0..=200.
    let mixed = (seed ^ u64::from(attempt).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let share = (mixed >> 32) % 201;
    (plain / 1_000).saturating_mul(900 + share).saturating_add(plain % 1_000 * (900 + share) / 1_000).min(most)
}

/// The delay that a destination requested, in milliseconds; without a request, the delay after a failure.
#[must_use]
pub fn throttle(asked_seconds: Option<u64>, base_millis: u64, attempt: u32, seed: u64) -> u64 {
    match asked_seconds {
        // At least a moment: "0" would ask again and again.
        Some(seconds) => (seconds.min(LONGEST_WAIT) * 1_000).max(100),
        None => backoff(base_millis, attempt, seed),
    }
}

/// What a run would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Members of the cohort.
    pub size: u64,
    /// What the destination has now.
    pub present: u64,
    /// Members to add, or to send again.
    pub adds: u64,
    /// Members to remove.
    pub removes: u64,
}

/// The reason to hold a run until it is forced: it would remove all members of the destination, or a large share.
#[must_use]
pub fn guard(figures: Figures) -> Option<String> {
    /// Removing up to `MEMBERS` members, or up to `PERCENT` per cent of them, is routine and is not held.
    const MEMBERS: u64 = 1_000;
    const PERCENT: u64 = 30;
    let Figures { size, present, removes, .. } = figures;
    if size == 0 && present > 0 {
        return Some(format!("the cohort is empty, and {present} members would be removed"));
    }
    if removes > MEMBERS && removes * 100 > present * PERCENT {
        let percent = removes * 100 / present.max(1);
        return Some(format!("{removes} of {present} members ({percent} %) would be removed"));
    }
    None
}

/// Halves of a batch, to find its bad rows or to make it small enough.
#[must_use]
pub fn halves<T>(rows: &[T]) -> (&[T], &[T]) {
    rows.split_at(rows.len().div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour_and_differ_a_little() {
        let waits: Vec<u64> = (0..20).map(|attempt| backoff(30_000, attempt, 7)).collect();
        for (attempt, wait) in waits.iter().enumerate() {
            let plain = (30_000_u64 << attempt.min(30)).min(3_600_000);
            assert!(*wait >= plain * 9 / 10 && *wait <= (plain * 11 / 10).min(3_600_000), "{attempt}: {wait}");
        }
        assert_eq!(backoff(30_000, 3, 7), backoff(30_000, 3, 7));
        assert!((0..50).map(|seed| backoff(30_000, 3, seed)).collect::<std::collections::HashSet<_>>().len() > 20);
        assert_eq!(backoff(30_000, u32::MAX, 1).min(3_600_000), backoff(30_000, u32::MAX, 1));
    }

    #[test]
    fn an_assignment_is_five_numbers_or_refused() {
        let given = Assignment { database: 5, role: 4_294_967_295, run: i64::MAX, sync: 7, destination: 8 };
        assert_eq!(given.to_string().parse(), Ok(given));
        for bad in [
            "",
            "1 2 3 4",
            "1 2 3 4 5 6",
            "1 0 3 4 5",
            "0 2 3 4 5",
            "1 -2 3 4 5",
            "1 x 3 4 5",
            "1 2 3 4 5 ",
            "1  2 3 4 5",
            "1 4294967296 3 4 5",
            "1 2 99999999999999999999 4 5",
        ] {
            assert!(bad.parse::<Assignment>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_destination_cannot_ask_for_ever() {
        assert_eq!(throttle(Some(1_000_000_000), 30_000, 0, 1), 3_600_000);
        assert_eq!(throttle(Some(0), 30_000, 0, 1), 100);
        assert_eq!(throttle(Some(9), 30_000, 0, 1), 9_000);
        assert_eq!(throttle(None, 30_000, 2, 1), backoff(30_000, 2, 1));
    }

    #[test]
    fn what_is_held() {
        let held = |size, present, removes| guard(Figures { size, present, adds: 0, removes }).is_some();
        assert!(held(0, 1, 1));
        assert!(!held(0, 0, 0));
        assert!(!held(2_000, 3_000, 1_000));
        assert!(held(2_000, 3_000, 1_001));
        assert!(!held(7_000, 10_000, 3_000));
        assert!(held(6_999, 10_000, 3_001));
    }
}
