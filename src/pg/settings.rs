//! Settings (GUCs), all under `kursaha_cohort.`.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

/// Minutes for which refreshes and their entered and exited customers are kept.
static HISTORY_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(90 * 24 * 60);

/// Registers every setting with the server.
pub(crate) fn register() {
    GucRegistry::define_int_guc(
        c"kursaha_cohort.history_retention",
        c"How long refreshes and their entered and exited customers are kept.",
        c"Older ones are removed by the next refresh of the same cohort.",
        &HISTORY_RETENTION,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MIN,
    );
}

/// Minutes for which refreshes and their entered and exited customers are kept.
pub(crate) fn history_retention_minutes() -> i32 {
    HISTORY_RETENTION.get()
}
