//! Destinations and syncs: all SQL text about them, as typed functions. Callers check who asks; the statements here run
//! with the extension's rights, because nobody else may write these tables.

use cohort_core::destination::{self, BadConfig, Destination};
use cohort_core::schedule::{BadSchedule, Schedule};
use cohort_core::sync::{SyncMove, SyncState};
use cohort_core::text;
use serde_json::{Map, Value};

use crate::pg::databases::with_owners_rights;
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::jsonb::Jsonb;
use crate::pg::settings;
use crate::pg::spi::{self, Row, Snapshot};
use crate::pg::store::{not_owner, operates};

/// A destination as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) config: Value,
    pub(crate) secret: Option<String>,
    pub(crate) state: Map<String, Value>,
    pub(crate) owned: bool,
    /// The name of the role that owns it.
    pub(crate) owner: String,
    /// How often it was set.
    pub(crate) version: i32,
}

impl Place {
    fn read(row: &Row) -> Fallible<Self> {
        Ok(Self {
            id: row.need(1)?,
            kind: row.need(2)?,
            config: json(&row.need::<Jsonb>(3)?)?,
            secret: row.get(4),
            state: match json(&row.need::<Jsonb>(5)?)? {
                Value::Object(state) => state,
                _ => Map::new(),
            },
            owned: row.need(6)?,
            version: row.need(7)?,
            owner: row.need(8)?,
        })
    }

    /// What it does, read from its configuration.
    pub(crate) fn open(&self) -> Fallible<Box<dyn Destination>> {
        destination::open(&self.kind, &self.config).map_err(|bad| bad_config(&bad))
    }
}

/// The error of a configuration.
pub(crate) fn bad_config(bad: &BadConfig) -> pgrx::pg_sys::panic::ErrorReport {
    invalid(format!("invalid destination: {} {}", bad.path, bad.problem)).set_hint(bad.hint.clone())
}

/// The error of a schedule.
pub(crate) fn bad_schedule(bad: &BadSchedule) -> pgrx::pg_sys::panic::ErrorReport {
    invalid(format!("invalid schedule: {}", bad.problem)).set_hint(bad.hint.clone())
}

fn json(text: &Jsonb) -> Fallible<Value> {
    serde_json::from_str(&text.0).map_err(|error| {
        failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("a stored value is not valid JSON: {error}"))
    })
}

const PLACE: &str =
    "d.destination_id, d.kind, d.config, d.secret, d.state, kursaha_cohort.owns(d.owner), d.version, d.owner::text";

/// The destination of a name, if there is one. `owned` speaks of the current user, so this runs with that one's rights.
pub(crate) fn find_place(name: &str) -> Fallible<Option<Place>> {
    let sql = format!("SELECT {PLACE} FROM kursaha_cohort.destination d WHERE d.name = $1");
    spi::first(Snapshot::Fresh, &sql, &[name.into()], Place::read)
}

/// The destination of a name.
pub(crate) fn get_place(name: &str) -> Fallible<Place> {
    if let Some(place) = find_place(name)? {
        return Ok(place);
    }
    let names: Vec<String> = spi::run(
        Snapshot::Fresh,
        "SELECT name FROM kursaha_cohort.destination ORDER BY name COLLATE \"C\" LIMIT 10000",
        &[],
        |row| row.need(1),
    )?;
    let shown: String = name.chars().take(100).collect();
    Err(failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("destination \"{shown}\" does not exist")).set_hint(
        match text::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => "The view cohort_destination lists them; cohort_destination_create creates one.".to_owned(),
        },
    ))
}

/// The destination of a name, if the current user may change it.
pub(crate) fn get_own_place(name: &str) -> Fallible<Place> {
    let place = get_place(name)?;
    if place.owned {
        return Ok(place);
    }
    Err(not_owner(&format!("destination \"{name}\""), &place.owner))
}

/// The destination of a name, if the current user may change it or is an operator.
pub(crate) fn get_place_to_operate(name: &str) -> Fallible<Place> {
    let place = get_place(name)?;
    if place.owned || operates()? {
        Ok(place)
    } else {
        Err(not_owner(&format!("destination \"{name}\""), &place.owner))
    }
}

/// A sync as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) id: i64,
    pub(crate) cohort: String,
    pub(crate) destination: String,
    pub(crate) owned: bool,
    /// The name of the role that owns it, as which its runs connect.
    pub(crate) owner: String,
    pub(crate) timing: Timing,
    pub(crate) state: SyncState,
    pub(crate) why: Option<String>,
    pub(crate) run: Option<i64>,
}

/// When a sync is due.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    pub(crate) frequency: String,
    pub(crate) at: Option<String>,
    pub(crate) timezone: String,
    /// Microseconds since 1970.
    pub(crate) anchor: i64,
}

impl Timing {
    /// Reads four columns, from one on: frequency, at, timezone, and the anchor in microseconds.
    pub(super) fn read(row: &Row, from: i32) -> Fallible<Self> {
        Ok(Self {
            frequency: row.need(from)?,
            at: row.get(from + 1),
            timezone: row.need(from + 2)?,
            anchor: row.need(from + 3)?,
        })
    }

    /// As a schedule.
    pub(crate) fn schedule(&self) -> Result<Schedule, BadSchedule> {
        let shortest = settings::min_sync_interval();
        Schedule::parse(&self.frequency, self.at.as_deref(), &self.timezone, self.anchor, shortest)
    }
}

const SYNC: &str = "s.sync_id, c.name, d.name, kursaha_cohort.owns(s.owner), s.frequency, s.at, s.timezone, \
    (extract(epoch FROM s.anchor) * 1000000)::bigint, s.state, s.why, s.run_id, s.owner::text \
    FROM kursaha_cohort.sync s JOIN kursaha_cohort.cohort c USING (cohort_id) \
    JOIN kursaha_cohort.destination d USING (destination_id)";

impl std::fmt::Display for Sync {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the sync of \"{}\" to \"{}\"", self.cohort, self.destination)
    }
}

impl Sync {
    fn read(row: &Row) -> Fallible<Self> {
        Ok(Self {
            id: row.need(1)?,
            cohort: row.need(2)?,
            destination: row.need(3)?,
            owned: row.need(4)?,
            timing: Timing::read(row, 5)?,
            state: state_of(&row.need::<String>(9)?)?,
            why: row.get(10),
            run: row.get(11),
            owner: row.need(12)?,
        })
    }
}

impl Sync {
    /// Asks for a run out of turn; `force` lets it pass the guards.
    pub(crate) fn request(&self, force: bool) -> Fallible<()> {
        let why = || self.why.clone().unwrap_or_default();
        let refused = |text: String| failure(SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, text);
        match self.state {
            SyncState::Active => {}
            SyncState::Held if force => {}
            SyncState::Held => {
                return Err(refused(format!("{self} is held: {}", why())).set_hint(
                    "If this is intended, call cohort_sync_now(…, force => true). Otherwise correct the cohort, then call cohort_sync_resume.",
                ));
            }
            SyncState::Paused | SyncState::NeedsAttention | SyncState::Quarantined => {
                return Err(refused(format!("{self} is {}", self.state))
                    .set_detail(why())
                    .set_hint("cohort_sync_resume resumes it."));
            }
        }
        set_sync(self.id, "requested = 'now', forced = s.forced OR $2", vec![force.into()])
    }
}

/// The sync of a cohort and a destination, if there is one.
pub(crate) fn find_sync(cohort: &str, destination: &str) -> Fallible<Option<Sync>> {
    let sql = format!("SELECT {SYNC} WHERE c.name = $1 AND d.name = $2");
    spi::first(Snapshot::Fresh, &sql, &[cohort.into(), destination.into()], Sync::read)
}

/// The sync of a cohort and a destination.
fn get_sync(cohort: &str, destination: &str) -> Fallible<Sync> {
    if let Some(sync) = find_sync(cohort, destination)? {
        return Ok(sync);
    }
    // Says which of the two is not there, if it is that.
    crate::pg::store::get(Snapshot::Fresh, cohort)?;
    get_place(destination)?;
    Err(failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("cohort \"{cohort}\" is not synced to \"{destination}\""))
        .set_hint("cohort_sync_create creates a sync; the view cohort_sync_status lists the existing ones."))
}

/// The sync of a cohort and a destination, if the current user may change it.
pub(crate) fn get_own_sync(cohort: &str, destination: &str) -> Fallible<Sync> {
    let sync = get_sync(cohort, destination)?;
    if sync.owned { Ok(sync) } else { Err(not_owner(&sync.to_string(), &sync.owner)) }
}

/// The sync of a cohort and a destination, if the current user may change it or is an operator.
pub(crate) fn get_sync_to_operate(cohort: &str, destination: &str) -> Fallible<Sync> {
    let sync = get_sync(cohort, destination)?;
    if sync.owned || operates()? { Ok(sync) } else { Err(not_owner(&sync.to_string(), &sync.owner)) }
}

/// The syncs of a cohort or of a destination, by the names of the other.
pub(crate) fn syncs_of(cohort: Option<i64>, destination: Option<i64>) -> Fallible<Vec<Sync>> {
    let sql = format!(
        "SELECT {SYNC} WHERE s.cohort_id = $1 OR s.destination_id = $2 ORDER BY c.name COLLATE \"C\", d.name COLLATE \"C\""
    );
    spi::run(Snapshot::Fresh, &sql, &[cohort.into(), destination.into()], Sync::read)
}

/// All syncs, by the names of their cohorts and destinations.
pub(crate) fn all_syncs() -> Fallible<Vec<Sync>> {
    let sql = format!("SELECT {SYNC} ORDER BY c.name COLLATE \"C\", d.name COLLATE \"C\"");
    spi::run(Snapshot::Fresh, &sql, &[], Sync::read)
}

/// The state of a name that the tables hold.
fn state_of(name: &str) -> Fallible<SyncState> {
    SyncState::parse(name).ok_or_else(|| {
        failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("a sync is in the unexpected state \"{name}\""))
    })
}

/// The assignment of a sync's state after a move, for an UPDATE of `sync s`. Its parameters `$2` and `$3` are those of
/// [`moved`].
pub(crate) const MOVED: &str =
    "state = coalesce((SELECT m.next FROM unnest($2, $3) m (before, next) WHERE m.before = s.state), s.state)";

/// The states before a move, and the states after it.
pub(crate) fn moved<'a>(by: SyncMove) -> [pgrx::datum::DatumWithOid<'a>; 2] {
    let (from, to) = SyncState::paths(by);
    [from.into(), to.into()]
}

/// Changes one sync: the part of an UPDATE after SET, whose `$1` is the sync's id; tells the listeners.
pub(crate) fn set_sync(sync: i64, assignments: &str, args: Vec<pgrx::datum::DatumWithOid<'_>>) -> Fallible<()> {
    with_owners_rights(|| {
        let sql = format!("UPDATE kursaha_cohort.sync s SET {assignments}, updated_at = now() WHERE s.sync_id = $1");
        let mut all = vec![sync.into()];
        all.extend(args);
        spi::touch(&sql, &all)?;
        Ok(())
    })?;
    tell(sync, None)
}

/// Tells the listeners of `cohort_sync` that a sync or one of its runs changed. Any role that may connect can listen, so
/// this holds ids and states and nothing else; the views say the rest to those who may read them.
pub(crate) fn tell(sync: i64, run: Option<i64>) -> Fallible<()> {
    with_owners_rights(|| {
        spi::touch(
            "SELECT pg_notify('cohort_sync', json_build_object('sync_id', s.sync_id, 'state', s.state, 'run_id', r.run_id, \
                 'run_state', r.state)::text) \
             FROM kursaha_cohort.sync s LEFT JOIN kursaha_cohort.sync_run r ON r.run_id = $2 WHERE s.sync_id = $1",
            &[sync.into(), run.into()],
        )?;
        Ok(())
    })
}

/// This server and database: a sync runs where it was made, or was armed.
pub(crate) fn home() -> String {
    // SAFETY: both are known once a process is connected to a database.
    unsafe { format!("{}/{}", pgrx::pg_sys::GetSystemIdentifier(), pgrx::pg_sys::MyDatabaseId.to_u32()) }
}

pub(crate) use crate::pg::board::now;
