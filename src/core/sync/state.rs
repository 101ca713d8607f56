//! The states of syncs and runs, with one table of transitions for each. The database tables contain the names of the
//! states.
//!
//! ```text
//! queued ──start──▶ running ──succeed, defer, hold, fail, cancel, crash──▶ success, partial, held, failed, cancelled, crashed
//! queued ◀─put back─ running ──wait──▶ waiting ──start──▶ running
//! ```

use std::fmt;

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// A scheduler starts it as soon as a worker is free.
    Queued,
    /// A worker executes it.
    Running,
    /// A scheduler starts it again at the instant `resume_at`.
    Waiting,
    /// It ended before sending: it would have removed more members than the limit.
    Held,
    /// It ended: the destination acknowledged all changes.
    Success,
    /// It ended: some removals are pending.
    Partial,
    /// It ended with an error.
    Failed,
    /// It ended because a user stopped it.
    Cancelled,
    /// It ended because its workers exited unexpectedly several times in a row.
    Crashed,
}

/// A transition of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMove {
    /// A worker starts it.
    Start,
    /// It could not be started, or its worker has to end. The next worker continues it.
    PutBack,
    /// It is continued after a wait.
    Wait,
    /// All changes were acknowledged.
    Succeed,
    /// All changes except some removals were acknowledged.
    Defer,
    /// A limit on removals stopped it.
    Hold,
    /// It cannot be continued.
    Fail,
    /// A user stopped it.
    Cancel,
    /// Its workers exited unexpectedly several times in a row.
    Crash,
}

impl RunState {
    /// All states.
    pub const ALL: &[Self] = &[
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Held,
        Self::Success,
        Self::Partial,
        Self::Failed,
        Self::Cancelled,
        Self::Crashed,
    ];

    /// Its name in the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Crashed => "crashed",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }

    /// Whether it is a final state.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting => false,
            Self::Held | Self::Success | Self::Partial | Self::Failed | Self::Cancelled | Self::Crashed => true,
        }
    }

    /// Whether all sent changes were acknowledged.
    #[must_use]
    pub const fn arrived(self) -> bool {
        matches!(self, Self::Success | Self::Partial)
    }

    /// The state after a transition; `None` if the transition does not start from this state.
    #[must_use]
    pub const fn after(self, by: RunMove) -> Option<Self> {
        match (self, by) {
            (Self::Queued | Self::Waiting, RunMove::Start) => Some(Self::Running),
            (Self::Running, RunMove::PutBack) => Some(Self::Queued),
            (Self::Running, RunMove::Wait) => Some(Self::Waiting),
            (Self::Running, RunMove::Succeed) => Some(Self::Success),
            (Self::Running, RunMove::Defer) => Some(Self::Partial),
            (Self::Running, RunMove::Hold) => Some(Self::Held),
            // A run whose owner may not connect fails without a worker.
            (Self::Queued | Self::Waiting | Self::Running, RunMove::Fail) => Some(Self::Failed),
            // cohort_sync_arm() ends the runs of the server that this one was restored from.
            (Self::Queued | Self::Waiting | Self::Running, RunMove::Cancel) => Some(Self::Cancelled),
            (Self::Running, RunMove::Crash) => Some(Self::Crashed),
            (
                Self::Queued | Self::Waiting,
                RunMove::PutBack | RunMove::Wait | RunMove::Succeed | RunMove::Defer | RunMove::Hold | RunMove::Crash,
            )
            | (Self::Running, RunMove::Start)
            | (Self::Held | Self::Success | Self::Partial | Self::Failed | Self::Cancelled | Self::Crashed, _) => None,
        }
    }
}

impl RunMove {
    /// The names of the states that it starts from: a parameter of an UPDATE.
    #[must_use]
    pub fn from(self) -> Vec<String> {
        let states = RunState::ALL.iter().filter(|state| state.after(self).is_some());
        states.map(|state| state.name().to_owned()).collect()
    }

    /// All moves.
    pub const ALL: &[Self] = &[
        Self::Start,
        Self::PutBack,
        Self::Wait,
        Self::Succeed,
        Self::Defer,
        Self::Hold,
        Self::Fail,
        Self::Cancel,
        Self::Crash,
    ];
}

impl fmt::Display for RunState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The state of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    /// It runs when it is due or was requested.
    Active,
    /// A user paused it.
    Paused,
    /// The last run would have removed more members than the limit. A forced run or `cohort_sync_resume` continues the
    /// sync.
    Held,
    /// Its runs fail until a user corrects the cause.
    NeedsAttention,
    /// Its workers exited unexpectedly several times in a row.
    Quarantined,
}

/// A transition of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMove {
    /// A run of it was queued.
    Claim,
    /// A run of it ended in a state.
    Ended(RunState),
    /// Its runs fail until a user corrects the cause.
    NeedAttention,
    /// Its workers exited unexpectedly several times in a row.
    Quarantine,
    /// `cohort_sync_pause`.
    Pause,
    /// `cohort_sync_resume`.
    Resume,
    /// Its destination was changed.
    ChangeDestination,
}

impl SyncState {
    /// All states.
    pub const ALL: &[Self] = &[Self::Active, Self::Paused, Self::Held, Self::NeedsAttention, Self::Quarantined];

    /// Its name in the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::NeedsAttention => "needs_attention",
            Self::Quarantined => "quarantined",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }

    /// The state after a transition; `None` if the transition does not apply to this state.
    #[must_use]
    pub const fn after(self, by: SyncMove) -> Option<Self> {
        match by {
            SyncMove::Pause => Some(Self::Paused),
            SyncMove::Quarantine => Some(Self::Quarantined),
            SyncMove::Resume => match self {
                Self::Active => None,
                Self::Paused | Self::Held | Self::NeedsAttention | Self::Quarantined => Some(Self::Active),
            },
            SyncMove::Claim => match self {
                Self::Active | Self::Held => Some(Self::Active),
                Self::Paused | Self::NeedsAttention | Self::Quarantined => None,
            },
            SyncMove::NeedAttention => match self {
                Self::Paused => None,
                Self::Active | Self::Held | Self::NeedsAttention | Self::Quarantined => Some(Self::NeedsAttention),
            },
            SyncMove::ChangeDestination => match self {
                Self::NeedsAttention => Some(Self::Active),
                Self::Active | Self::Paused | Self::Held | Self::Quarantined => None,
            },
            SyncMove::Ended(run) => Some(match (self, run) {
                // A run under way of a sync that was paused ends; the sync stays paused.
                (Self::Paused, _) => Self::Paused,
                (_, RunState::Held) => Self::Held,
                (Self::Held, RunState::Success | RunState::Partial) => Self::Active,
                (state, _) => state,
            }),
        }
    }

    /// The names of the states that a transition starts from and, in the same order, of the states that it ends in: two
    /// parameters of an UPDATE.
    #[must_use]
    pub fn paths(by: SyncMove) -> (Vec<String>, Vec<String>) {
        Self::ALL.iter().filter_map(|state| Some((state.name().to_owned(), state.after(by)?.name().to_owned()))).unzip()
    }
}

impl fmt::Display for SyncState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition_of_a_run() {
        use RunMove as M;
        use RunState as S;
        let table = [
            (S::Queued, M::Start, S::Running),
            (S::Queued, M::Fail, S::Failed),
            (S::Queued, M::Cancel, S::Cancelled),
            (S::Running, M::PutBack, S::Queued),
            (S::Running, M::Wait, S::Waiting),
            (S::Running, M::Succeed, S::Success),
            (S::Running, M::Defer, S::Partial),
            (S::Running, M::Hold, S::Held),
            (S::Running, M::Fail, S::Failed),
            (S::Running, M::Cancel, S::Cancelled),
            (S::Running, M::Crash, S::Crashed),
            (S::Waiting, M::Start, S::Running),
            (S::Waiting, M::Fail, S::Failed),
            (S::Waiting, M::Cancel, S::Cancelled),
        ];
        let mut found = Vec::new();
        for state in S::ALL {
            for by in M::ALL {
                if let Some(after) = state.after(*by) {
                    assert!(!state.has_ended(), "{state} has ended and goes on to {after}");
                    found.push((*state, *by, after));
                }
            }
        }
        assert_eq!(found, table);
    }

    #[test]
    fn every_transition_of_a_sync() {
        use SyncMove as M;
        use SyncState as S;
        // For each move what it makes of a sync that is active, paused, held, needs attention, is quarantined.
        let (active, paused, held) = (Some(S::Active), Some(S::Paused), Some(S::Held));
        let (attention, quarantined) = (Some(S::NeedsAttention), Some(S::Quarantined));
        let same = [active, paused, held, attention, quarantined];
        let arrived = [active, paused, active, attention, quarantined];
        let ended = |run| match run {
            RunState::Success | RunState::Partial => arrived,
            RunState::Held => [held, paused, held, held, held],
            _ => same,
        };
        let mut table = vec![
            (M::Claim, [active, None, active, None, None]),
            (M::NeedAttention, [attention, None, attention, attention, attention]),
            (M::Quarantine, [quarantined; 5]),
            (M::Pause, [paused; 5]),
            (M::Resume, [None, active, active, active, active]),
            (M::ChangeDestination, [None, None, None, active, None]),
        ];
        table.extend(RunState::ALL.iter().map(|run| (M::Ended(*run), ended(*run))));
        for (by, after) in table {
            assert_eq!(S::ALL.iter().map(|state| state.after(by)).collect::<Vec<_>>(), after, "{by:?}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.name()), Some(*state));
        }
        for state in SyncState::ALL {
            assert_eq!(SyncState::parse(state.name()), Some(*state));
        }
        assert_eq!(RunState::parse("active"), None);
        assert_eq!(SyncState::parse("running"), None);
    }

    #[test]
    fn moves_as_parameters() {
        let (from, to) = SyncState::paths(SyncMove::Claim);
        assert_eq!((from.join(" "), to.join(" ")), ("active held".to_owned(), "active active".to_owned()));
        assert_eq!(RunMove::Start.from().join(" "), "queued waiting");
    }
}
