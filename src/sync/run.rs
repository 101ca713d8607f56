//! One run of a sync, from the evaluation to the last response. A run can be resumed: acknowledged members are recorded,
//! and a resumed run compares again and continues with the remaining difference.

use std::collections::{BTreeMap, HashSet};

use cohort_core::destination::{Action, Batch, Destination, Hidden, Keeps, Outcome, Row, Setup, redact};
use cohort_core::sync::{self as rules, MOST_ATTEMPTS};
use pgrx::pg_sys::panic::ErrorReport;
use serde_json::{Map, Value, json};

use super::binding;
use super::plan::{self, Facts};
use super::send::{self, Delivery, Intent, Line, Verdict};
use super::spool::Spool;
use super::store::{self, Place};
use super::table;
use crate::pg::databases::{as_owner, with_owners_rights};
use crate::pg::errors::{Fallible, SqlState};
use crate::pg::jsonb::Jsonb;
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};
use crate::pg::transaction::{Isolation, Trouble, attempt};

/// The most requests that make a destination ready: a list of audiences has 200 a page.
const MOST_STEPS: usize = 500;

/// A run as it stands.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) sync: i64,
    pub(super) run: i64,
    /// When the cohort was evaluated, microseconds since 1970.
    pub(super) snapshot_at: i64,
    cohort: String,
    forced: bool,
    again_below: i64,
    mapping: i64,
    look: bool,
    batches: u64,
    place: Place,
    parts: Vec<Value>,
}

/// What every request of a run needs.
pub(super) struct Course {
    pub(super) cohort: String,
    pub(super) sync: i64,
    pub(super) run: i64,
    pub(super) state: Map<String, Value>,
    pub(super) secret: String,
}

impl Course {
    /// A text fit for tables and logs.
    pub(super) fn clean(&self, text: &str) -> String {
        redact(text, &self.hidden(None, &[]))
    }

    /// What must not be seen of a request with these rows.
    pub(super) fn hidden(&self, destination: Option<&dyn Destination>, rows: &[Row]) -> Hidden {
        let mut hidden = Hidden::secret(&self.secret);
        for value in destination.iter().flat_map(|destination| rows.iter().flat_map(|row| destination.sent(row))) {
            hidden.value(&value);
        }
        hidden
    }
}

/// How an attempt at a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// What was acknowledged equals the cohort.
    Success { remark: Option<String> },
    /// Removals are pending.
    Partial { why: String },
    /// A guard stopped it.
    Held { why: String },
    /// To be taken up again when the destination allows it.
    Throttled { why: String, seconds: Option<u64> },
    /// To be tried again, some times.
    Retry { why: String },
    /// Nothing will work until someone acts.
    Attention { why: String, hint: String },
    /// This run failed; the next may not.
    Failed { why: String, hint: Option<String> },
    /// Someone stopped it.
    Cancelled { why: String },
    /// Someone paused the sync.
    Paused,
    /// This process is to end: another takes it up.
    Interrupted,
    /// The destination was changed meanwhile: to be taken up again at once, with what it is now.
    Changed,
    /// The sync or the extension is not there any more.
    Gone,
}

impl From<Trouble> for Ending {
    fn from(trouble: Trouble) -> Self {
        let why = trouble.shown();
        match trouble.state {
            SqlState::ERRCODE_T_R_SERIALIZATION_FAILURE
            | SqlState::ERRCODE_T_R_DEADLOCK_DETECTED
            | SqlState::ERRCODE_LOCK_NOT_AVAILABLE
            | SqlState::ERRCODE_DISK_FULL
            | SqlState::ERRCODE_TOO_MANY_CONNECTIONS => Self::Retry { why },
            SqlState::ERRCODE_QUERY_CANCELED => Self::Cancelled { why },
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE => Self::Attention { why, hint: trouble.hint.unwrap_or_else(|| {
                "A run has the rights of the sync's owner: GRANT the missing privileges to that role, then cohort_sync_resume.".to_owned()
            }) },
            SqlState::ERRCODE_UNDEFINED_TABLE
            | SqlState::ERRCODE_UNDEFINED_COLUMN
            | SqlState::ERRCODE_DATATYPE_MISMATCH => Self::Attention { why, hint: trouble.hint.unwrap_or_else(|| {
                "Correct the table or the destination, then cohort_sync_resume.".to_owned()
            }) },
            _ => Self::Failed { why, hint: trouble.hint },
        }
    }
}

impl From<ErrorReport> for Ending {
    fn from(error: ErrorReport) -> Self {
        Self::from(Trouble::from(error))
    }
}

impl Ending {
    fn of(outcome: Outcome, course: &Course) -> Self {
        match outcome {
            Outcome::Done(_) => Self::Success { remark: None },
            Outcome::Again { why, .. } | Outcome::BadRows { why } => Self::Retry { why: course.clean(&why) },
            Outcome::Wait { why, seconds } => Self::Throttled { why: course.clean(&why), seconds },
            // A hint is our own words, in which a setting's long name would pass for a secret.
            Outcome::Attention { why, hint } => Self::Attention { why: course.clean(&why), hint },
            Outcome::Deferred { why } => Self::Partial { why: course.clean(&why) },
        }
    }
}

/// Takes a run up, as its owner, and goes on with it as far as it gets. Called by a worker outside of any transaction.
pub(crate) fn perform(run: i64) {
    settings::commit_durably();
    let mut counts = Counts::default();
    let ending = match attempt(Isolation::ReadCommitted, || load(run)) {
        Ok(Some(job)) => {
            counts.mapping = Some(job.mapping);
            let ending = go(job, &mut counts).unwrap_or_else(|ending| ending);
            // SAFETY: the flags were looked at; what follows must not be interrupted by the same request.
            if unsafe { (&raw const pgrx::pg_sys::ProcDiePending).read_volatile() } != 0 {
                Ending::Interrupted
            } else {
                ending
            }
        }
        Ok(None) => Ending::Gone,
        Err(trouble) => Ending::from(trouble),
    };
    // SAFETY: as above: the request has been heard, and its outcome is about to be written.
    unsafe {
        pgrx::pg_sys::ProcDiePending = 0;
        pgrx::pg_sys::QueryCancelPending = 0;
    }
    if ending == Ending::Gone {
        return;
    }
    if let Err(trouble) = attempt(Isolation::ReadCommitted, || as_owner(|| conclude(run, &ending, &counts))) {
        pgrx::log!("kursaha_cohort: the end of run {run} could not be recorded: {}", trouble.message);
    }
}

/// What this attempt did.
#[derive(Debug, Default)]
struct Counts {
    /// Fingerprint of how profiles were rendered.
    mapping: Option<i64>,
    skipped: BTreeMap<String, u64>,
}

fn load(run: i64) -> Fallible<Option<Job>> {
    let found = with_owners_rights(|| {
        spi::first(
            Snapshot::Fresh,
            "SELECT r.sync_id, c.name, r.forced, s.again_below, s.mapping, r.batches, d.name, r.parts \
             FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s ON s.sync_id = r.sync_id AND s.run_id = r.run_id \
             JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id) \
             WHERE r.run_id = $1 AND r.state = 'running'",
            &[run.into()],
            |row| {
                let place = store::get_place(&row.need::<String>(7)?)?;
                let parts = serde_json::from_str(&row.need::<Jsonb>(8)?.0).unwrap_or_default();
                Ok((
                    row.get::<i64>(5),
                    Job {
                        sync: row.need(1)?,
                        run,
                        snapshot_at: 0,
                        cohort: row.need(2)?,
                        forced: row.need(3)?,
                        again_below: row.need(4)?,
                        mapping: 0,
                        look: false,
                        batches: u64::try_from(row.need::<i64>(6)?).unwrap_or(0),
                        place,
                        parts,
                    },
                ))
            },
        )
    })?;
    let Some((mapping, mut job)) = found else { return Ok(None) };
    job.mapping = job.place.open()?.fingerprint();
    job.look = mapping != Some(job.mapping);
    Ok(Some(job))
}

/// Runs a step in a transaction.
fn step<T>(work: impl FnOnce() -> Fallible<T>) -> Result<T, Ending> {
    attempt(Isolation::ReadCommitted, work).map_err(Ending::from)
}

/// The same as the extension, if the sync is still there and may go on.
fn guarded<T>(job: &Job, work: impl FnOnce() -> Fallible<T>) -> Result<T, Ending> {
    let outcome = step(|| {
        let found: Option<(String, i32)> = with_owners_rights(|| {
            // The locks keep a cohort_sync_drop and a cohort_destination_update out until this transaction ended, so that
            // nothing is left behind, and nothing recorded for a place that is not the destination's any more.
            spi::first(
                Snapshot::Fresh,
                "SELECT s.state, d.version FROM kursaha_cohort.sync s JOIN kursaha_cohort.destination d USING (destination_id) \
                 WHERE s.sync_id = $1 AND s.run_id = $2 FOR KEY SHARE OF s FOR SHARE OF d",
                &[job.sync.into(), job.run.into()],
                |row| Ok((row.need(1)?, row.need(2)?)),
            )
        })?;
        match found.as_ref().map(|(state, version)| (state.as_str(), *version == job.place.version)) {
            None => Ok(Err(Ending::Gone)),
            Some((_, false)) => Ok(Err(Ending::Changed)),
            Some(("paused", _)) => Ok(Err(Ending::Paused)),
            // It goes on when that is on again.
            Some(_) if !settings::sync_enabled() => Ok(Err(Ending::Interrupted)),
            Some(_) => work().map(Ok),
        }
    });
    outcome?
}

fn go(mut job: Job, counts: &mut Counts) -> Result<Ending, Ending> {
    let destination = step(|| job.place.open())?;
    let destination = &*destination;

    // What there is to do.
    let facts = Facts { sync: Some(job.sync), again_below: job.again_below, look: job.look };
    let (mut adds, mut removals, found, at) = attempt(Isolation::RepeatableRead, || {
        let (mut adds, mut removals) = (Spool::new(), Spool::new());
        let found = plan::compare(
            &job.cohort,
            &job.place,
            destination,
            facts,
            &mut |slice| {
                for (kind, customer) in slice {
                    adds.push(*kind as i64, customer);
                }
                Ok(())
            },
            &mut |member, customer| {
                removals.push(member, customer);
                Ok(())
            },
        )?;
        adds.rewind()?;
        removals.rewind()?;
        let at = crate::pg::time::as_of(None)?.0;
        Ok((adds, removals, found, at))
    })
    .map_err(Ending::from)?;
    job.snapshot_at = at;
    let figures = found.figures;
    if found.suppressed > 0 {
        counts.skipped.insert(plan::SUPPRESSED.to_owned(), found.suppressed);
    }
    step(|| {
        with_owners_rights(|| {
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            spi::touch(
                "UPDATE kursaha_cohort.sync_run SET snapshot_at = to_timestamp($2 / 1000000.0), size = $3, adds = $4, \
                     removes = $5, skipped = (skipped - $6) || $7 WHERE run_id = $1",
                &[
                    job.run.into(),
                    at.into(),
                    number(figures.size).into(),
                    number(adds.len()).into(),
                    number(figures.removes).into(),
                    plan::SUPPRESSED.into(),
                    Jsonb::from(&json!(counts.skipped)).into(),
                ],
            )
        })
    })?;
    if !job.forced
        && let Some(why) = rules::guard(figures)
    {
        return Ok(Ending::Held { why });
    }

    let mut course = Course {
        cohort: job.cohort.clone(),
        sync: job.sync,
        run: job.run,
        state: job.place.state.clone(),
        secret: String::new(),
    };
    let mut line = Line::default();
    let pending = pending_removals(&job)?;
    let idle = adds.len() == 0 && removals.len() == 0 && !pending;
    if destination.keeps() != Keeps::Rows && (!idle || destination.keeps() == Keeps::Objects) {
        course.secret = attempt(Isolation::ReadCommitted, || binding::secret_of(&job.place, destination, true))
            .map_err(|trouble| Ending::Attention { why: trouble.message, hint: trouble.hint.unwrap_or_default() })?;
        make_ready(&job, destination, &mut course, &mut line)?;
    }
    loop {
        let entries = step(|| removals.take(10_000))?;
        if entries.is_empty() {
            break;
        }
        let (members, customers) = entries.into_iter().map(|entry| (entry.number, entry.customer)).unzip();
        guarded(&job, || with_owners_rights(|| send::leave(job.sync, members, customers)))?;
    }
    add(&mut job, destination, &course, &mut line, &mut adds, counts)?;
    let deferred = remove(&mut job, destination, &course, &mut line)?;
    if destination.keeps() == Keeps::Objects {
        write_objects(&mut job, destination, &course, &mut line)?;
    }
    Ok(match deferred {
        Some(why) => Ending::Partial { why },
        None => Ending::Success { remark: destination.remark(figures.size) },
    })
}

/// Whether removals of earlier runs are pending.
fn pending_removals(job: &Job) -> Result<bool, Ending> {
    step(|| {
        with_owners_rights(|| {
            spi::one(
                Snapshot::Fresh,
                "SELECT EXISTS (SELECT FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND leaving)",
                &[job.sync.into()],
                |row| row.need(1),
            )
        })
    })
}

/// Makes the destination ready, and keeps what was learned.
fn make_ready(job: &Job, destination: &dyn Destination, course: &mut Course, line: &mut Line) -> Result<(), Ending> {
    let before = course.state.clone();
    let mut answer = None;
    for _ in 0..MOST_STEPS {
        match destination.set_up(&mut course.state, answer.as_ref(), &course.secret) {
            Setup::Ready => return keep_state(job, &before, course),
            Setup::Failed(outcome) => return Err(Ending::of(outcome, course)),
            Setup::Send(request) => match exchanged(line, request, course)? {
                None => return Err(stopped()),
                Some(response) => answer = Some(response),
            },
        }
    }
    Err(Ending::Attention {
        why: format!("{MOST_STEPS} requests were not enough to find the destination's set"),
        hint: "Name it by its id (audience_id) with cohort_destination_update, then cohort_sync_resume.".to_owned(),
    })
}

/// Keeps what was learned at the destination.
fn keep_state(job: &Job, before: &Map<String, Value>, course: &Course) -> Result<(), Ending> {
    if course.state != *before {
        let state = Value::Object(course.state.clone());
        guarded(job, || {
            with_owners_rights(|| {
                spi::touch(
                    "UPDATE kursaha_cohort.destination SET state = $2 WHERE destination_id = $1",
                    &[job.place.id.into(), Jsonb::from(&state).into()],
                )
            })
        })?;
    }
    Ok(())
}

/// One request outside of a batch.
fn exchanged(
    line: &mut Line,
    request: cohort_core::destination::Request,
    course: &Course,
) -> Result<Option<cohort_core::destination::Response>, Ending> {
    match line.exchange(request)? {
        None => Ok(None),
        Some(Ok(response)) => Ok(Some(response)),
        Some(Err(failure)) => Err(Ending::of(failure.into(), course)),
    }
}

/// Why a wait was given up.
fn stopped() -> Ending {
    // SAFETY: a flag that a signal handler sets.
    if unsafe { (&raw const pgrx::pg_sys::ProcDiePending).read_volatile() } != 0 {
        Ending::Interrupted
    } else {
        Ending::Cancelled { why: "cancelled on request".to_owned() }
    }
}

/// Sends the additions. Records the next batch while the current one is in flight; there is never more than one request in
/// flight.
fn add(
    job: &mut Job,
    destination: &dyn Destination,
    course: &Course,
    line: &mut Line,
    adds: &mut Spool,
    counts: &mut Counts,
) -> Result<(), Ending> {
    let mut on_its_way: Option<Intent> = None;
    loop {
        let next = match next_batch(job, destination, adds, counts) {
            // What is on its way is waited for, so that whoever goes on with the sync is alone with the destination.
            Err(ending @ (Ending::Paused | Ending::Changed | Ending::Interrupted)) => {
                if on_its_way.is_some() {
                    line.answer()?;
                }
                return Err(ending);
            }
            other => other?,
        };
        if let Some(intent) = on_its_way.take() {
            let batch = Batch { action: Action::Add, rows: &intent.rows };
            let delivery = line.finish(destination, course, &batch, job.batches)?;
            note_part(job, destination, Action::Add, &delivery);
            guarded(job, || {
                send::acknowledge(job, &intent, &delivery)?;
                record(job, &delivery, Action::Add, Some(&counts.skipped))
            })?;
            judge(delivery, course)?;
        }
        let Some(intent) = next else { return Ok(()) };
        job.batches += 1;
        let batch = Batch { action: Action::Add, rows: &intent.rows };
        line.begin(destination, course, &batch, job.batches.to_string())?;
        on_its_way = Some(intent);
    }
}

/// Records the next batch that has anyone in it. Rows of this database's tables are there then.
fn next_batch(
    job: &mut Job,
    destination: &dyn Destination,
    adds: &mut Spool,
    counts: &mut Counts,
) -> Result<Option<Intent>, Ending> {
    let rows_at_once = destination.batch_rows(Action::Add);
    loop {
        let entries = step(|| adds.take(rows_at_once))?;
        if entries.is_empty() {
            return Ok(None);
        }
        let first_time = job.batches == 0;
        let mut skipped = counts.skipped.clone();
        let intent = guarded(job, || {
            let intent = send::intend(job, destination, &entries, &mut skipped)?;
            if first_time {
                with_owners_rights(|| {
                    spi::touch(
                        "UPDATE kursaha_cohort.sync_run SET first_sent_at = coalesce(first_sent_at, clock_timestamp()) \
                         WHERE run_id = $1",
                        &[job.run.into()],
                    )
                })?;
            }
            if destination.keeps() == Keeps::Rows && !intent.rows.is_empty() {
                let mut delivery = Delivery::arrived(intent.rows.len());
                for refused in table::write(destination, Action::Add, &intent.rows)? {
                    delivery.rows -= 1;
                    delivery.refused.push((refused.place, refused.reason));
                }
                record(job, &delivery, Action::Add, Some(&skipped))?;
                send::acknowledge(job, &intent, &delivery)?;
            }
            Ok(intent)
        })?;
        counts.skipped = skipped;
        if intent.rows.is_empty() {
            continue;
        }
        if destination.keeps() == Keeps::Rows {
            job.batches += 1;
            continue;
        }
        return Ok(Some(intent));
    }
}

/// Ends the attempt unless a batch arrived.
fn judge(delivery: Delivery, course: &Course) -> Result<(), Ending> {
    match delivery.outcome {
        Verdict::Arrived => Ok(()),
        Verdict::Interrupted => Err(stopped()),
        Verdict::Not(outcome) => Err(Ending::of(outcome, course)),
    }
}

/// Records in the run what a batch did, and who was skipped so far if that changed.
fn record(job: &Job, delivery: &Delivery, action: Action, skipped: Option<&BTreeMap<String, u64>>) -> Fallible<()> {
    let arrived = delivery.outcome == Verdict::Arrived;
    let rows = if arrived { i64::try_from(delivery.rows).unwrap_or(i64::MAX) } else { 0 };
    let (added, removed) = if action == Action::Add { (rows, 0) } else { (0, rows) };
    let refused = i64::try_from(delivery.refused.len()).unwrap_or(i64::MAX);
    with_owners_rights(|| {
        spi::touch(
            "UPDATE kursaha_cohort.sync_run r SET added = added + $2, removed = removed + $3, \
                 batches = CASE WHEN $4 THEN batches + 1 ELSE batches END, \
                 attempts = CASE WHEN $4 THEN 0 ELSE attempts END, rejected = rejected + $5, skipped = coalesce($6, skipped), parts = $8, \
                 invalid = (SELECT coalesce(jsonb_object_agg(u.key, u.sum), '{}') FROM ( \
                     SELECT i.key, sum(i.value::bigint) FROM ( \
                         SELECT * FROM jsonb_each_text(r.invalid) UNION ALL SELECT * FROM jsonb_each_text($7)) i \
                     GROUP BY i.key ORDER BY sum(i.value::bigint) DESC LIMIT 50) u (key, sum)) \
             WHERE run_id = $1",
            &[
                job.run.into(),
                added.into(),
                removed.into(),
                arrived.into(),
                refused.into(),
                skipped.map(|skipped| Jsonb::from(&json!(skipped))).into(),
                Jsonb::from(&json!(delivery.invalid)).into(),
                Jsonb::from(&json!(job.parts)).into(),
            ],
        )?;
        Ok(())
    })
}

/// Notes an object for the manifest.
fn note_part(job: &mut Job, destination: &dyn Destination, action: Action, delivery: &Delivery) {
    if destination.keeps() == Keeps::Objects && delivery.outcome == Verdict::Arrived {
        let batch = job.batches;
        job.parts.push(json!({"part": format!("delta-{batch:08}"), "action": action.name(), "rows": delivery.rows}));
    }
}

/// Takes away who is leaving; gives why some could not be.
fn remove(
    job: &mut Job,
    destination: &dyn Destination,
    course: &Course,
    line: &mut Line,
) -> Result<Option<String>, Ending> {
    if !pending_removals(job)? {
        return Ok(None);
    }
    if destination.keeps() == Keeps::Nothing {
        // It keeps nothing that could be taken back; who comes again has entered again.
        guarded(job, || {
            with_owners_rights(|| {
                spi::touch("DELETE FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND leaving", &[job.sync.into()])
            })
        })?;
        return Ok(None);
    }
    guarded(job, || with_owners_rights(|| find_shared(job, destination.shared())))?;
    let rows_at_once = destination.batch_rows(Action::Remove);
    let mut last = 0;
    // Why the table keeps rows.
    let mut kept = None;
    loop {
        let page = guarded(job, || with_owners_rights(|| leaving(job.sync, last, rows_at_once)))?;
        let Some(end) = page.last().map(|leaver| leaver.member) else { return Ok(kept) };
        last = end;
        let mut rows = Vec::with_capacity(page.len());
        let mut settled = Vec::new();
        let mut sent = Vec::with_capacity(page.len());
        for leaver in page {
            match destination.without(&leaver.identity, &|key| leaver.shared.contains(&key)) {
                None => settled.push((leaver.member, leaver.customer)),
                Some(identity) => {
                    rows.push(Row { customer: leaver.customer.clone(), identity, ..Row::default() });
                    sent.push((leaver.member, leaver.customer));
                }
            }
        }
        if rows.is_empty() {
            guarded(job, || with_owners_rights(|| forget(job.sync, settled)))?;
            continue;
        }
        job.batches += 1;
        if destination.keeps() == Keeps::Rows {
            kept = guarded(job, || {
                let mut refused = table::write(destination, Action::Remove, &rows)?;
                // What is no value of the column's type is not in the table.
                refused.retain(|row| !row.is_no_value);
                let places: HashSet<usize> = refused.iter().map(|row| row.place).collect();
                let gone =
                    sent.into_iter().enumerate().filter(|(place, _)| !places.contains(place)).map(|(_, row)| row);
                settled.extend(gone);
                with_owners_rights(|| forget(job.sync, settled))?;
                record(job, &Delivery::arrived(rows.len() - refused.len()), Action::Remove, None)?;
                Ok(refused.into_iter().next().map(|row| row.reason))
            })?
            .or(kept);
            continue;
        }
        let batch = Batch { action: Action::Remove, rows: &rows };
        line.begin(destination, course, &batch, job.batches.to_string())?;
        let delivery = line.finish(destination, course, &batch, job.batches)?;
        note_part(job, destination, Action::Remove, &delivery);
        guarded(job, || {
            if delivery.outcome == Verdict::Arrived {
                // What the destination refuses to remove it does not have as we sent it.
                settled.append(&mut sent);
            }
            with_owners_rights(|| forget(job.sync, settled))?;
            record(job, &delivery, Action::Remove, None)
        })?;
        if let Verdict::Not(Outcome::Deferred { why }) = &delivery.outcome {
            // The audience would become too small: every further removal would be refused alike.
            return Ok(Some(course.clean(why)));
        }
        judge(delivery, course)?;
    }
}

/// A member to remove.
struct Leaver {
    member: i64,
    customer: String,
    identity: Vec<u8>,
    shared: Vec<i64>,
}

fn leaving(sync: i64, after: i64, most: usize) -> Fallible<Vec<Leaver>> {
    spi::run(
        Snapshot::Fresh,
        "SELECT member_id, customer_id, identity, coalesce(shared, '{}') FROM kursaha_cohort.sync_member \
         WHERE sync_id = $1 AND leaving AND member_id > $2 ORDER BY member_id LIMIT $3",
        &[sync.into(), after.into(), i64::try_from(most).unwrap_or(1).into()],
        |row| Ok(Leaver { member: row.need(1)?, customer: row.need(2)?, identity: row.need(3)?, shared: row.need(4)? }),
    )
}

fn forget(sync: i64, members: Vec<(i64, String)>) -> Fallible<()> {
    if members.is_empty() {
        return Ok(());
    }
    let (members, customers): (Vec<i64>, Vec<String>) = members.into_iter().unzip();
    spi::touch(
        "DELETE FROM kursaha_cohort.sync_member m USING unnest($2, $3) u (customer_id, member_id) \
         WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
        &[sync.into(), customers.into(), members.into()],
    )?;
    Ok(())
}

/// Finds for who is leaving which of their keys someone who stays has, too. One pass over those who stay, where anyone
/// leaving has a key at all.
fn find_shared(job: &Job, across: bool) -> Fallible<()> {
    spi::touch(
        "WITH leaver AS MATERIALIZED ( \
             SELECT m.customer_id, m.member_id, k.key FROM kursaha_cohort.sync_member m, \
                 unnest(ARRAY[m.key1, m.key2, m.key3, m.key4]) k (key) \
             WHERE m.sync_id = $1 AND m.leaving AND k.key IS NOT NULL \
         ), held AS MATERIALIZED ( \
             SELECT DISTINCT k.key FROM kursaha_cohort.sync_member m, unnest(ARRAY[m.key1, m.key2, m.key3, m.key4]) k (key) \
             WHERE EXISTS (SELECT FROM leaver) AND NOT m.leaving AND m.sync_id = ANY ( \
                 SELECT s.sync_id FROM kursaha_cohort.sync s WHERE s.sync_id = $1 OR ($2 AND s.destination_id = $3)) \
               AND k.key IN (SELECT l.key FROM leaver l) \
         ), found AS ( \
             SELECT l.customer_id, l.member_id, array_agg(DISTINCT l.key) AS shared FROM leaver l JOIN held USING (key) \
             GROUP BY l.customer_id, l.member_id \
         ) \
         UPDATE kursaha_cohort.sync_member m SET shared = f.shared \
         FROM leaver l LEFT JOIN found f USING (customer_id, member_id) \
         WHERE m.sync_id = $1 AND m.customer_id = l.customer_id AND m.member_id = l.member_id \
           AND m.shared IS DISTINCT FROM f.shared",
        &[job.sync.into(), across.into(), job.place.id.into()],
    )?;
    Ok(())
}

/// Writes the whole set, and then the manifest that says it is complete.
fn write_objects(job: &mut Job, destination: &dyn Destination, course: &Course, line: &mut Line) -> Result<(), Ending> {
    let rows_at_once = destination.batch_rows(Action::Add);
    let mut last = (String::new(), 0_i64);
    let (mut part, mut total) = (0, 0);
    loop {
        let page = guarded(job, || plan::page(Snapshot::Fresh, job.sync, &last, rows_at_once))?;
        let Some(end) = page.last().cloned() else { break };
        last = end;
        let ids: Vec<&str> = page.iter().map(|(customer, _)| customer.as_str()).collect();
        let profiles = step(|| plan::profiles(Snapshot::Fresh, destination, &ids))?;
        let mut rows = Vec::with_capacity(ids.len());
        for (id, (profile, _)) in ids.iter().zip(&profiles) {
            let Ok((_, properties)) = destination.render(id, profile.as_ref()) else { continue };
            rows.push(Row { customer: (*id).to_owned(), properties, ..Row::default() });
        }
        part += 1;
        total += rows.len();
        send_object(destination, course, line, |context| destination.snapshot(&rows, part, context, &course.secret))?;
    }
    let parts = json!({"deltas": job.parts, "snapshot_parts": part, "members": total});
    send_object(destination, course, line, |context| destination.manifest(&parts, context, &course.secret))
}

fn send_object(
    destination: &dyn Destination,
    course: &Course,
    line: &mut Line,
    request: impl FnOnce(&cohort_core::destination::Context) -> Option<cohort_core::destination::Request>,
) -> Result<(), Ending> {
    let context = send::context(course, String::new());
    let Some(request) = request(&context) else { return Ok(()) };
    let Some(answer) = exchanged(line, request, course)? else { return Err(stopped()) };
    match destination.read(Action::Add, &answer, context.now) {
        Outcome::Done(_) => Ok(()),
        other => Err(Ending::of(other, course)),
    }
}

/// Writes how an attempt ended.
fn conclude(run: i64, ending: &Ending, counts: &Counts) -> Fallible<()> {
    let Some((sync, attempts, failures)) = spi::first(
        Snapshot::Fresh,
        "SELECT s.sync_id, r.attempts, s.failures FROM kursaha_cohort.sync_run r \
         JOIN kursaha_cohort.sync s ON s.run_id = r.run_id WHERE r.run_id = $1 FOR UPDATE OF s",
        &[run.into()],
        |row| Ok((row.need::<i64>(1)?, row.need::<i32>(2)?, row.need::<i32>(3)?)),
    )?
    else {
        return Ok(());
    };
    let seed = run.unsigned_abs();
    let nth = u32::try_from(attempts).unwrap_or(0);
    match ending {
        Ending::Gone => return Ok(()),
        Ending::Interrupted | Ending::Changed => return later(run, "queued", None, 0, attempts),
        Ending::Throttled { why, seconds } => {
            let millis = rules::throttle(*seconds, settings::retry_base(), nth, seed);
            // Not a failure; but where it does not say for how long, the waits grow.
            let attempts = if seconds.is_some() { attempts } else { (attempts + 1).min(MOST_ATTEMPTS - 1) };
            return later(run, "waiting", Some(why), millis, attempts);
        }
        Ending::Retry { why } if attempts + 1 < MOST_ATTEMPTS => {
            let millis = rules::backoff(settings::retry_base(), nth, seed);
            return later(run, "waiting", Some(why), millis, attempts + 1);
        }
        Ending::Retry { why } => end(run, sync, "failed", Some(why), None, failures, counts)?,
        Ending::Failed { why, hint } => end(run, sync, "failed", Some(why), hint.as_deref(), failures, counts)?,
        Ending::Success { remark } => {
            let refused: i64 = spi::one(
                Snapshot::Fresh,
                "SELECT rejected FROM kursaha_cohort.sync_run WHERE run_id = $1",
                &[run.into()],
                |row| row.need(1),
            )?;
            let refused = (refused > 0).then(|| {
                (
                    format!("the destination refused {refused} of the members; the others arrived"),
                    "cohort_sync_rejected says whom and why. They are sent again when their profile changes, or after cohort_sync_resync.",
                )
            });
            match &refused {
                Some((why, hint)) => end(run, sync, "success", Some(why), Some(hint), failures, counts)?,
                None => end(run, sync, "success", remark.as_ref(), None, failures, counts)?,
            }
        }
        Ending::Partial { why } => end(run, sync, "partial", Some(why), None, failures, counts)?,
        Ending::Held { why } => end(
            run,
            sync,
            "held",
            Some(why),
            Some(
                "If that is right: cohort_sync_now(…, force => true). Else correct the cohort, then cohort_sync_resume.",
            ),
            failures,
            counts,
        )?,
        Ending::Cancelled { why } => end(run, sync, "cancelled", Some(why), None, failures, counts)?,
        Ending::Paused => {
            end(run, sync, "cancelled", Some(&"the sync was paused".to_owned()), None, failures, counts)?;
        }
        Ending::Attention { why, hint } => {
            end(run, sync, "failed", Some(why), Some(hint), failures, counts)?;
            attention(sync, why, hint)?;
        }
    }
    if let Ending::Retry { why } | Ending::Failed { why, .. } | Ending::Attention { why, .. } = ending {
        let hint = match ending {
            Ending::Attention { hint, .. } | Ending::Failed { hint: Some(hint), .. } => hint,
            _ => "See cohort_sync_status.",
        };
        log(run, sync, "failed", why, hint)?;
    }
    store::tell(sync, Some(run))
}

/// One line in the server's log: which sync, what happened, and what to do.
fn log(run: i64, sync: i64, what: &str, why: &str, hint: &str) -> Fallible<()> {
    let names = spi::first(
        Snapshot::Fresh,
        "SELECT format('cohort %s to %s', to_json(c.name), to_json(d.name)) FROM kursaha_cohort.sync s \
         JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id) WHERE s.sync_id = $1",
        &[sync.into()],
        |row| row.need::<String>(1),
    )?;
    pgrx::log!("kursaha_cohort: the sync of {} {what} (run {run}): {why}. {hint}", names.unwrap_or_default());
    Ok(())
}

/// Ends a run that cannot even begin before someone acts.
pub(super) fn refuse(run: i64, why: String, hint: &str) -> Fallible<()> {
    conclude(run, &Ending::Attention { why, hint: hint.to_owned() }, &Counts::default())
}

/// Leaves a run to be taken up again.
fn later(run: i64, state: &str, why: Option<&String>, millis: u64, attempts: i32) -> Fallible<()> {
    spi::touch(
        "UPDATE kursaha_cohort.sync_run SET state = $2, error = $3, attempts = $4, \
             resume_at = clock_timestamp() + $5 * interval '1 millisecond' WHERE run_id = $1",
        &[
            run.into(),
            state.into(),
            why.map(String::as_str).into(),
            attempts.into(),
            i64::try_from(millis).unwrap_or(i64::MAX).into(),
        ],
    )?;
    Ok(())
}

/// Leaves a sync to a person, unless one has paused it.
pub(super) fn attention(sync: i64, why: &str, hint: &str) -> Fallible<()> {
    spi::touch(
        "UPDATE kursaha_cohort.sync SET state = 'needs_attention', why = $2, hint = $3 WHERE sync_id = $1 AND state <> 'paused'",
        &[sync.into(), why.into(), hint.into()],
    )?;
    Ok(())
}

/// Ends a run, and says of its sync what that means.
fn end(
    run: i64,
    sync: i64,
    state: &str,
    why: Option<&String>,
    hint: Option<&str>,
    failures: i32,
    counts: &Counts,
) -> Fallible<()> {
    let why = why.map(String::as_str);
    let arrived = matches!(state, "success" | "partial");
    spi::touch(
        "UPDATE kursaha_cohort.sync_run SET state = $2, ended_at = clock_timestamp(), resume_at = NULL, \
             error = CASE WHEN $2 = 'success' THEN NULL ELSE $3 END, hint = $4, \
             skipped = CASE WHEN $5 = '{}' THEN skipped ELSE $5 END WHERE run_id = $1",
        &[run.into(), state.into(), why.into(), hint.into(), Jsonb::from(&json!(counts.skipped)).into()],
    )?;
    if arrived {
        // Whatever was uncertain has been sent again, or taken away.
        spi::touch("DELETE FROM kursaha_cohort.sync_batch WHERE sync_id = $1", &[sync.into()])?;
        spi::touch(
            "UPDATE kursaha_cohort.sync SET mapping = $2 WHERE sync_id = $1",
            &[sync.into(), counts.mapping.into()],
        )?;
    }
    let failures = match state {
        "failed" => failures + 1,
        "success" | "partial" => 0,
        _ => failures,
    };
    spi::touch(
        "UPDATE kursaha_cohort.sync s SET run_id = NULL, crashes = 0, failures = $2, why = $3, hint = $4, \
             state = CASE WHEN s.state = 'paused' THEN s.state WHEN $5 = 'held' THEN 'held' \
                          WHEN s.state = 'held' AND $6 THEN 'active' ELSE s.state END, \
             delivered = CASE WHEN (SELECT r.batches = 0 FROM kursaha_cohort.sync_run r WHERE r.run_id = $7) THEN s.delivered \
                 ELSE (SELECT count(*) FROM kursaha_cohort.sync_member m WHERE m.sync_id = s.sync_id AND NOT m.leaving \
                     AND m.batch_id <> ALL (ARRAY(SELECT b.batch_id FROM kursaha_cohort.sync_batch b WHERE b.sync_id = s.sync_id))) END \
         WHERE s.sync_id = $1",
        &[sync.into(), failures.into(), why.into(), hint.into(), state.into(), arrived.into(), run.into()],
    )?;
    if failures >= rules::MOST_FAILURES {
        let why = format!("{failures} runs failed in a row; the last: {}", why.unwrap_or_default());
        attention(sync, &why, hint.unwrap_or("See cohort_sync_run, then cohort_sync_resume."))?;
    }
    spi::touch(
        "DELETE FROM kursaha_cohort.sync_run r WHERE r.sync_id = $1 AND r.ended_at < now() - make_interval(mins => $2)",
        &[sync.into(), settings::history_retention_minutes().into()],
    )?;
    Ok(())
}

/// Records that the worker of a run ended without a word; after some such ends in a row the sync is left alone.
pub(crate) fn crashed(run: i64) -> Fallible<()> {
    let Some((sync, crashes)) = spi::first(
        Snapshot::Fresh,
        "UPDATE kursaha_cohort.sync s SET crashes = crashes + 1 FROM kursaha_cohort.sync_run r \
         WHERE r.run_id = $1 AND s.run_id = r.run_id AND r.state = 'running' RETURNING s.sync_id, s.crashes",
        &[run.into()],
        |row| Ok((row.need::<i64>(1)?, row.need::<i32>(2)?)),
    )?
    else {
        return Ok(());
    };
    let why = "the worker of the run exited unexpectedly: it was terminated, or it or the server crashed".to_owned();
    if crashes < rules::MOST_CRASHES {
        let nth = u32::try_from(crashes - 1).unwrap_or(0);
        let millis = rules::backoff(settings::retry_base() / 10, nth, run.unsigned_abs());
        let attempts: i32 = spi::one(
            Snapshot::Fresh,
            "SELECT attempts FROM kursaha_cohort.sync_run WHERE run_id = $1",
            &[run.into()],
            |row| row.need(1),
        )?;
        return later(run, "waiting", Some(&why), millis, attempts);
    }
    spi::touch(
        "UPDATE kursaha_cohort.sync_run SET state = 'crashed', ended_at = clock_timestamp(), error = $2 WHERE run_id = $1",
        &[run.into(), why.as_str().into()],
    )?;
    spi::touch(
        "UPDATE kursaha_cohort.sync SET state = 'quarantined', run_id = NULL, why = $2, hint = $3 WHERE sync_id = $1",
        &[
            sync.into(),
            format!("its runs crashed {crashes} times in a row").into(),
            "The server's log says more. Then cohort_sync_resume.".into(),
        ],
    )?;
    log(run, sync, "was left alone", &why, "See what ended its workers, then cohort_sync_resume.")?;
    store::tell(sync, Some(run))
}
