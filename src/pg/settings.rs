//! Settings (GUCs), all under `kursaha_cohort.`.

use std::ffi::{CStr, CString};
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use pgrx::prelude::PostgresGucEnum;

/// Minutes for which refreshes and their entered and exited customers are kept.
static HISTORY_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(90 * 24 * 60);

/// The engine that evaluates rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum Engine {
    /// The index and the tail.
    #[name = c"bitmap"]
    Bitmap,
    /// Plain SQL over the tables: the oracle.
    #[name = c"sql"]
    Sql,
}

/// Whether what events say of their customer goes into the profile.
static PROFILE_FROM_EVENTS: GucSetting<bool> = GucSetting::<bool>::new(false);
static ENGINE: GucSetting<Engine> = GucSetting::<Engine>::new(Engine::Bitmap);
/// Kilobytes.
static EVAL_MEMORY: GucSetting<i32> = GucSetting::<i32>::new(256 * 1024);
/// Threads of one evaluation, the session's own included; helpers of all sessions; rows of an evaluation for each thread.
static QUESTION_THREADS: GucSetting<i32> = GucSetting::<i32>::new(2);
static MAX_THREADS: GucSetting<i32> = GucSetting::<i32>::new(8);
static MIN_THREAD_ROWS: GucSetting<i32> = GucSetting::<i32>::new(200_000);
/// Has the helpers of an evaluation panic, for tests.
static DEBUG_THREAD_PANIC: GucSetting<bool> = GucSetting::<bool>::new(false);
/// Events of a segment that one sealing makes, and of one that merging makes.
static SEAL_BATCH: GucSetting<i32> = GucSetting::<i32>::new(131_072);
static SEGMENT_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1 << 20);
static SEGMENT_ROWS: GucSetting<i32> = GucSetting::<i32>::new(1_048_576);
static MAX_INDEXED_PATHS: GucSetting<i32> = GucSetting::<i32>::new(256);

/// Whether the workers work.
static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
/// Events of the tail at which a worker seals at once.
static SEAL_ROWS: GucSetting<i32> = GucSetting::<i32>::new(50_000);
/// Milliseconds after which a worker seals what there is.
static SEAL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(5_000);

/// Sealers at a time, on the server.
static MAX_SEALERS: GucSetting<i32> = GucSetting::<i32>::new(2);
/// Syncs run.
static SYNC_ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
/// Runs of syncs at a time, in a database.
static MAX_SYNC_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(4);
/// Milliseconds.
static CONNECT_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static REQUEST_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(60_000);
static RETRY_BASE: GucSetting<i32> = GucSetting::<i32>::new(30_000);
/// Seconds.
static MIN_SYNC_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);
static ALLOWED_HOSTS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static ALLOW_PRIVATE_NETWORKS: GucSetting<bool> = GucSetting::<bool>::new(false);
static ALLOW_SUPERUSER_SYNCS: GucSetting<bool> = GucSetting::<bool>::new(false);
static SECRETS_DIR: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"kursaha_secrets"));
static CA_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// Registers every setting with the server. A name below the prefix that is none of them is refused from then on.
pub(crate) fn register() {
    register_syncs();
    register_index();
    // SAFETY: while the library is loaded, after its settings were defined; the server copies the prefix.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"kursaha_cohort".as_ptr()) };
}

/// The settings of the index and of what is stored.
#[expect(clippy::too_many_lines, reason = "a table of settings")]
fn register_index() {
    GucRegistry::define_int_guc(
        c"kursaha_cohort.history_retention",
        c"How long refreshes, with the customers who entered and exited, are kept.",
        c"The next refresh of the same cohort deletes older ones.",
        &HISTORY_RETENTION,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_bool_guc(
        c"kursaha_cohort.profile_from_events",
        c"Whether cohort_track and cohort_track_batch merge properties of the customer in an event's data into the profile.",
        c"email, phone, phoneNumber, phone_number, firstName, lastName, gender, dob, dateOfBirth, city, state, country, \
          countryCode, zip, zipcode. Empty values are not merged. ALTER ROLE … SET sets it for a role.",
        &PROFILE_FROM_EVENTS,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"kursaha_cohort.engine",
        c"The engine that evaluates rules: the bitmap index, or plain SQL.",
        c"Both return the same members; plain SQL is the reference implementation.",
        &ENGINE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.eval_memory",
        c"Memory limit for one evaluation by the index. Evaluations that would need more use plain SQL.",
        c"These count towards it: unsealed events and profiles, the values that aggregates and references read, the events and states of sequences, patterns, lists of values and fixed lists. cohort_explain shows when plain SQL was used. The bitmaps of members and unsealed removals do not count.",
        &EVAL_MEMORY,
        64,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.question_threads",
        c"Maximum number of threads that evaluate one rule by the index, including the thread of the session.",
        c"The members do not depend on it. Evaluations of few rows, in SERIALIZABLE transactions and in parallel queries use one.",
        &QUESTION_THREADS,
        1,
        256,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.max_threads",
        c"Maximum number of threads that evaluations of all sessions start in addition to the threads of the sessions.",
        c"If kursaha_cohort is not in shared_preload_libraries, the limit applies to each session separately.",
        &MAX_THREADS,
        0,
        1024,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.min_thread_rows",
        c"Number of rows in the index for each thread of an evaluation.",
        c"An evaluation that reads fewer than twice this number of rows uses one thread. 0 uses kursaha_cohort.question_threads \
          threads in every evaluation, for tests.",
        &MIN_THREAD_ROWS,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"kursaha_cohort.debug_thread_panic",
        c"Lets additional threads of evaluations fail, for tests.",
        c"",
        &DEBUG_THREAD_PANIC,
        GucContext::Suset,
        GucFlags::NO_SHOW_ALL,
    );
    GucRegistry::define_bool_guc(
        c"kursaha_cohort.enabled",
        c"Background workers seal, merge and start syncs.",
        c"Workers run if kursaha_cohort is in shared_preload_libraries. Switch them off for all databases in the configuration \
          file, or for one database with ALTER DATABASE.",
        &ENABLED,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.max_sealers",
        c"Maximum number of databases that are sealed at the same time.",
        c"Each of them uses one background worker of max_worker_processes.",
        &MAX_SEALERS,
        1,
        64,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.seal_rows",
        c"Number of unsealed events at which a worker seals at once.",
        c"Evaluations read unsealed events row by row: the result is exact, but the time grows with their number.",
        &SEAL_ROWS,
        1,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"kursaha_cohort.seal_interval",
        c"Longest time until a smaller number of unsealed rows is sealed.",
        c"After this time a worker seals all rows of ended transactions.",
        &SEAL_INTERVAL,
        100,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    let sizes = [
        (
            c"kursaha_cohort.seal_batch",
            c"Maximum number of events in a segment written by sealing.",
            c"The first sealing of existing rows writes segments of up to kursaha_cohort.segment_rows events.",
            &SEAL_BATCH,
            1 << 24,
        ),
        (
            c"kursaha_cohort.segment_rows",
            c"Maximum number of events in a segment written by merging.",
            c"Writing a segment takes about 100 bytes of memory per event.",
            &SEGMENT_ROWS,
            1 << 24,
        ),
        (
            c"kursaha_cohort.max_indexed_paths",
            c"Number of property paths per event type that have their own column in a segment.",
            c"Values of all other paths are stored together; rules on them are exact but slower.",
            &MAX_INDEXED_PATHS,
            4096,
        ),
    ];
    for (name, what, more, setting, most) in sizes {
        GucRegistry::define_int_guc(name, what, more, setting, 1, most, GucContext::Suset, GucFlags::default());
    }
    GucRegistry::define_int_guc(
        c"kursaha_cohort.segment_size",
        c"Size at which a segment is closed and the next one starts.",
        c"Segments with long texts or mostly distinct values reach this size before segment_rows events.",
        &SEGMENT_SIZE,
        64,
        // Places in a segment's texts have 32 bits.
        1 << 21,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
}

/// The settings of syncs.
fn register_syncs() {
    let times = [
        (
            c"kursaha_cohort.connect_timeout",
            c"Time limit for name resolution and connection to a destination.",
            &CONNECT_TIMEOUT,
            600_000,
            GucFlags::UNIT_MS,
        ),
        (
            c"kursaha_cohort.request_timeout",
            c"Time limit for a request to a destination.",
            &REQUEST_TIMEOUT,
            3_600_000,
            GucFlags::UNIT_MS,
        ),
        (
            c"kursaha_cohort.retry_base",
            c"Delay of the first retry of a run; the delay doubles with each further retry, up to an hour.",
            &RETRY_BASE,
            3_600_000,
            GucFlags::UNIT_MS,
        ),
        (
            c"kursaha_cohort.min_sync_interval",
            c"Shortest interval of a schedule.",
            &MIN_SYNC_INTERVAL,
            86_400,
            GucFlags::UNIT_S,
        ),
    ];
    for (name, what, setting, most, unit) in times {
        GucRegistry::define_int_guc(name, what, c"", setting, 1, most, GucContext::Suset, unit);
    }
    GucRegistry::define_int_guc(
        c"kursaha_cohort.max_sync_workers",
        c"Maximum number of concurrent runs of syncs in one database.",
        c"Each run uses one background worker of max_worker_processes.",
        &MAX_SYNC_WORKERS,
        0,
        1_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"kursaha_cohort.sync_enabled",
        c"Syncs run.",
        c"If off, current runs stop after their batch and continue when it is on again; sealing continues. Switch it off for all \
          databases in the configuration file, or for one database with ALTER DATABASE.",
        &SYNC_ENABLED,
        GucContext::Suset,
        GucFlags::default(),
    );
    // SAFETY: the hook is a function of the type that the server expects, and lives as long as the library.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"kursaha_cohort.allowed_hosts",
            c"Allowed hosts of destinations: a comma-separated list of names, *.names, or *, each with an optional :port.",
            c"Empty: the API hosts of the built-in kinds.",
            &ALLOWED_HOSTS,
            GucContext::Suset,
            GucFlags::SUPERUSER_ONLY,
            Some(check_hosts),
            None,
            None,
        );
    }
    let texts = [
        (
            c"kursaha_cohort.secrets_dir",
            c"Directory of the secret files.",
            c"A relative path is relative to the data directory.",
            &SECRETS_DIR,
        ),
        (
            c"kursaha_cohort.ca_file",
            c"File with trusted certificates in PEM format, which replace the built-in ones.",
            c"",
            &CA_FILE,
        ),
    ];
    for (name, what, more, setting) in texts {
        GucRegistry::define_string_guc(name, what, more, setting, GucContext::Suset, GucFlags::SUPERUSER_ONLY);
    }
    GucRegistry::define_bool_guc(
        c"kursaha_cohort.allow_private_networks",
        c"Allows destinations with non-public addresses.",
        c"A receiver in your own network needs it.",
        &ALLOW_PRIVATE_NETWORKS,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"kursaha_cohort.allow_superuser_syncs",
        c"Allows superusers to own syncs.",
        c"Runs of such a sync evaluate the cohort with superuser rights.",
        &ALLOW_SUPERUSER_SYNCS,
        GucContext::Suset,
        GucFlags::default(),
    );
}

/// Refuses a list of hosts with an entry that is none.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn check_hosts(
    value: *mut *mut core::ffi::c_char,
    _extra: *mut *mut core::ffi::c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server gives a pointer to the value, which is null or a string; it reads the two texts, which are made
    // in the current context, right after this function has returned.
    unsafe {
        if (*value).is_null() {
            return true;
        }
        let Err(entry) = cohort_core::address::hosts(&CStr::from_ptr(*value).to_string_lossy()) else { return true };
        let detail = CString::new(format!("\"{entry}\" is not a valid host.")).unwrap_or_default();
        pg_sys::GUC_check_errdetail_string = pg_sys::pstrdup(detail.as_ptr());
        let hint =
            c"An entry is a name, *.name, *, or an address ([2001:db8::1]), with an optional :port from 1 to 65535.";
        pg_sys::GUC_check_errhint_string = pg_sys::pstrdup(hint.as_ptr());
        false
    }
}

/// Rereads the configuration file, in a worker that was signalled to, outside of any transaction.
pub(crate) fn reload() {
    // SAFETY: as every worker's main loop does it.
    unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) }
}

/// Lets this process's commits be on disk before they count, where the settings do not ask for it: what is sent to the
/// outside must be known here after any crash.
pub(crate) fn commit_durably() {
    // SAFETY: reads and sets a setting that every role may change, outside of any transaction.
    unsafe {
        if pg_sys::synchronous_commit == pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_OFF.cast_signed() {
            let (name, value) = (c"synchronous_commit".as_ptr(), c"on".as_ptr());
            let (context, source) = (pg_sys::GucContext::PGC_USERSET, pg_sys::GucSource::PGC_S_OVERRIDE);
            pg_sys::SetConfigOption(name, value, context, source);
        }
    }
}

fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting.get().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Maximum number of concurrent runs of syncs in one database.
pub(crate) fn max_sync_workers() -> usize {
    usize::try_from(MAX_SYNC_WORKERS.get()).unwrap_or(1)
}

/// Time limit for name resolution and connection to a destination.
pub(crate) fn connect_timeout() -> Duration {
    Duration::from_millis(u64::try_from(CONNECT_TIMEOUT.get()).unwrap_or(1))
}

/// Time limit for the response of a destination.
pub(crate) fn request_timeout() -> Duration {
    Duration::from_millis(u64::try_from(REQUEST_TIMEOUT.get()).unwrap_or(1))
}

/// The wait after a first failed attempt, in milliseconds.
pub(crate) fn retry_base() -> u64 {
    u64::try_from(RETRY_BASE.get()).unwrap_or(1)
}

/// The shortest interval of a sync, in seconds.
pub(crate) fn min_sync_interval() -> i64 {
    i64::from(MIN_SYNC_INTERVAL.get())
}

/// Hosts that destinations may be on.
pub(crate) fn allowed_hosts() -> String {
    text(&ALLOWED_HOSTS)
}

/// Allows destinations with non-public addresses.
pub(crate) fn allow_private_networks() -> bool {
    ALLOW_PRIVATE_NETWORKS.get()
}

/// Allows superusers to own syncs.
pub(crate) fn allow_superuser_syncs() -> bool {
    ALLOW_SUPERUSER_SYNCS.get()
}

/// Directory of the secret files.
pub(crate) fn secrets_dir() -> String {
    text(&SECRETS_DIR)
}

/// Certificates that are trusted in place of the built-in ones.
pub(crate) fn ca_file() -> String {
    text(&CA_FILE)
}

/// Whether rules are evaluated with the index.
pub(crate) fn engine_is_bitmap() -> bool {
    ENGINE.get() == Engine::Bitmap
}

/// Bytes of memory that the index may take for what of an evaluation grows with the data.
pub(crate) fn eval_memory() -> usize {
    usize::try_from(EVAL_MEMORY.get()).unwrap_or(0).saturating_mul(1024)
}

/// Maximum number of threads of one evaluation, the session's own included.
pub(crate) fn question_threads() -> usize {
    usize::try_from(QUESTION_THREADS.get()).unwrap_or(1)
}

/// Maximum number of threads that help all sessions.
pub(crate) fn max_threads() -> usize {
    usize::try_from(MAX_THREADS.get()).unwrap_or(0)
}

/// Number of rows for each thread of an evaluation; 0 for as many threads as may be.
pub(crate) fn min_thread_rows() -> u64 {
    u64::try_from(MIN_THREAD_ROWS.get()).unwrap_or(0)
}

/// Whether the helpers of evaluations panic, for tests.
pub(crate) fn debug_thread_panic() -> bool {
    DEBUG_THREAD_PANIC.get()
}

/// Maximum number of events in a segment written by sealing.
pub(crate) fn seal_batch() -> usize {
    usize::try_from(SEAL_BATCH.get()).unwrap_or(1)
}

/// Maximum number of events in a segment written by merging.
pub(crate) fn segment_rows() -> usize {
    usize::try_from(SEGMENT_ROWS.get()).unwrap_or(1)
}

/// The most bytes of the segments that sealing and merging make.
pub(crate) fn segment_size() -> usize {
    usize::try_from(SEGMENT_SIZE.get()).unwrap_or(64).saturating_mul(1024)
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

/// Syncs run.
pub(crate) fn sync_enabled() -> bool {
    SYNC_ENABLED.get()
}

/// Maximum number of databases that are sealed at the same time.
pub(crate) fn max_sealers() -> usize {
    usize::try_from(MAX_SEALERS.get()).unwrap_or(1)
}

/// Events of the tail at which a worker seals at once.
pub(crate) fn seal_rows() -> usize {
    usize::try_from(SEAL_ROWS.get()).unwrap_or(1)
}

/// The time after which a worker seals what there is.
pub(crate) fn seal_interval() -> Duration {
    Duration::from_millis(u64::try_from(SEAL_INTERVAL.get()).unwrap_or(100))
}
