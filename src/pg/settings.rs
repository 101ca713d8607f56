//! Settings (GUCs), all under `kursaha_cohort.`.

use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::prelude::PostgresGucEnum;

/// Minutes for which refreshes and their entered and exited customers are kept.
static HISTORY_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(90 * 24 * 60);

/// What answers rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum Engine {
    /// The index and the tail.
    #[name = c"bitmap"]
    Bitmap,
    /// Plain SQL over the tables: the oracle.
    #[name = c"sql"]
    Sql,
}

static ENGINE: GucSetting<Engine> = GucSetting::<Engine>::new(Engine::Bitmap);
/// Events of a segment that one sealing makes, and of one that merging makes.
static SEAL_BATCH: GucSetting<i32> = GucSetting::<i32>::new(131_072);
static SEGMENT_ROWS: GucSetting<i32> = GucSetting::<i32>::new(1_048_576);
static MAX_INDEXED_PATHS: GucSetting<i32> = GucSetting::<i32>::new(256);

/// Whether the workers work.
static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
/// Events of the tail at which a worker seals at once.
static SEAL_ROWS: GucSetting<i32> = GucSetting::<i32>::new(50_000);
/// Milliseconds after which a worker seals what there is.
static SEAL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(5_000);

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
    GucRegistry::define_enum_guc(
        c"kursaha_cohort.engine",
        c"What answers rules: the bitmap index, or plain SQL.",
        c"Both give the same members; plain SQL is what the index is checked by.",
        &ENGINE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"kursaha_cohort.enabled",
        c"Whether background workers seal and merge.",
        c"They run when kursaha_cohort is among shared_preload_libraries.",
        &ENABLED,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.seal_rows",
        c"How many unsealed events make the background worker seal at once.",
        c"Rules read unsealed events one by one: exact, and slower the more there are.",
        &SEAL_ROWS,
        1,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.seal_interval",
        c"How long events stay unsealed when they are few.",
        c"The background worker seals after this time whatever there is.",
        &SEAL_INTERVAL,
        100,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    let sizes = [
        (
            c"kursaha_cohort.seal_batch",
            c"The most events of a segment that sealing makes.",
            c"A first sealing, which takes in all that is there, makes segments of kursaha_cohort.segment_rows at once.",
            &SEAL_BATCH,
            1 << 24,
        ),
        (
            c"kursaha_cohort.segment_rows",
            c"The most events of a segment that merging makes.",
            c"Larger ones need more memory while they are made: about 100 bytes an event.",
            &SEGMENT_ROWS,
            1 << 24,
        ),
        (
            c"kursaha_cohort.max_indexed_paths",
            c"The most property paths of one event type that get a column of their own in a segment.",
            c"Values of further paths are kept together; rules on them are exact and slower.",
            &MAX_INDEXED_PATHS,
            4096,
        ),
    ];
    for (name, what, more, setting, most) in sizes {
        GucRegistry::define_int_guc(name, what, more, setting, 1, most, GucContext::Suset, GucFlags::default());
    }
}

/// Whether the index answers rules.
pub(crate) fn engine_is_bitmap() -> bool {
    ENGINE.get() == Engine::Bitmap
}

/// The most events of a segment that sealing makes.
pub(crate) fn seal_batch() -> usize {
    usize::try_from(SEAL_BATCH.get()).unwrap_or(1)
}

/// The most events of a segment that merging makes.
pub(crate) fn segment_rows() -> usize {
    usize::try_from(SEGMENT_ROWS.get()).unwrap_or(1)
}

/// The most paths of a group that get a column of their own.
pub(crate) fn max_indexed_paths() -> usize {
    usize::try_from(MAX_INDEXED_PATHS.get()).unwrap_or(1)
}

/// Minutes for which refreshes and their entered and exited customers are kept.
pub(crate) fn history_retention_minutes() -> i32 {
    HISTORY_RETENTION.get()
}

/// Whether the workers work.
pub(crate) fn enabled() -> bool {
    ENABLED.get()
}

/// Events of the tail at which a worker seals at once.
pub(crate) fn seal_rows() -> usize {
    usize::try_from(SEAL_ROWS.get()).unwrap_or(1)
}

/// The time after which a worker seals what there is.
pub(crate) fn seal_interval() -> Duration {
    Duration::from_millis(u64::try_from(SEAL_INTERVAL.get()).unwrap_or(100))
}
