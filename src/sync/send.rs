//! Sending of batches: recording the members of a batch before it is sent, and its result afterwards.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use cohort_core::destination::{Batch, Context, Destination, Keeps, Outcome, Row, Skip, redact};
use cohort_core::sync::halves;
use pgrx::pg_sys;

use super::plan::{Kind, had, profiles};
use super::run::{Course, Job};
use super::spool::Entry;
use super::store;
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::Fallible;
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};
use crate::wire::{Failure, Limits, Wire};

/// Rows that were refused one by one, with none taken, after which the fault is not with the rows.
const MOST_REFUSED: u64 = 100;

/// A batch whose members are recorded: committed before it is sent.
#[derive(Debug, Default)]
pub(super) struct Intent {
    /// Zero: nothing needs to be sent.
    pub(super) batch: i64,
    pub(super) rows: Vec<Row>,
    /// Whether the destination may have had each before.
    pub(super) known: Vec<bool>,
    /// The stamp of each one's profile.
    pub(super) sources: Vec<Option<i64>>,
}

/// Columns of new members, as arrays for one statement.
#[derive(Default)]
struct Fresh {
    customers: Vec<String>,
    identities: Vec<Vec<u8>>,
    keys: [Vec<Option<i64>>; 4],
    sources: Vec<Option<i64>>,
}

/// Columns of members that were there.
#[derive(Default)]
struct Kept {
    members: Vec<i64>,
    customers: Vec<String>,
    identities: Vec<Vec<u8>>,
    keys: [Vec<Option<i64>>; 4],
    sources: Vec<Option<i64>>,
}

fn push_keys(columns: &mut [Vec<Option<i64>>; 4], keys: &[i64]) {
    for (place, column) in columns.iter_mut().enumerate() {
        column.push(keys.get(place).copied());
    }
}

/// Records the members of a batch: renders each from its profile as it is now, which the sync's owner may read.
pub(super) fn intend(
    job: &Job,
    destination: &dyn Destination,
    entries: &[Entry],
    skipped: &mut BTreeMap<String, u64>,
) -> Fallible<Intent> {
    let ids: Vec<&str> = entries.iter().map(|entry| entry.customer.as_str()).collect();
    let profiles = profiles(Snapshot::Fresh, destination, &ids)?;
    let mut had = if entries.iter().any(|entry| Kind::of(entry.number) != Kind::New) {
        had(Snapshot::Fresh, job.sync, &ids)?
    } else {
        HashMap::new()
    };
    // A changed identity is another row there, and the old one is to be removed; elsewhere it replaces what was sent.
    let replaces = |keys: &[i64]| destination.keeps() == Keeps::Set && !keys.is_empty();
    let (mut fresh, mut kept, mut same, mut gone) =
        (Fresh::default(), Kept::default(), Kept::default(), Kept::default());
    let mut intent = Intent::default();
    for (index, (entry, (profile, source))) in entries.iter().zip(&profiles).enumerate() {
        let before = had.remove(&index);
        let (identity, properties) = match destination.render(&entry.customer, profile.as_ref()) {
            Ok(rendered) => rendered,
            Err(Skip(reason)) => {
                *skipped.entry(reason.to_owned()).or_default() += 1;
                // Nothing identifies them any more: what was sent is taken back.
                if let Some(before) = before.filter(|before| !before.leaving) {
                    gone.members.push(before.member);
                    gone.customers.push(entry.customer.clone());
                }
                continue;
            }
        };
        let entered_at = before.as_ref().map_or(job.snapshot_at, |before| before.entered_at);
        if destination.oldest_seconds().is_some_and(|oldest| entered_at / 1_000_000 < store::now() / 1_000_000 - oldest)
        {
            *skipped.entry("too_old".to_owned()).or_default() += 1;
            if let Some(before) = &before {
                // Never sent any more, and settled thereby.
                same.members.push(before.member);
                same.customers.push(entry.customer.clone());
                same.sources.push(*source);
            }
            continue;
        }
        match &before {
            Some(before) if before.identity == identity.bytes || !replaces(&identity.keys) => {
                if before.identity == identity.bytes && Kind::of(entry.number) == Kind::Look {
                    same.members.push(before.member);
                    same.customers.push(entry.customer.clone());
                    same.sources.push(*source);
                    continue;
                }
                kept.members.push(before.member);
                kept.customers.push(entry.customer.clone());
                kept.identities.push(identity.bytes.clone());
                push_keys(&mut kept.keys, &identity.keys);
                kept.sources.push(*source);
            }
            _ => {
                if let Some(before) = before.as_ref().filter(|before| !before.leaving) {
                    gone.members.push(before.member);
                    gone.customers.push(entry.customer.clone());
                }
                fresh.customers.push(entry.customer.clone());
                fresh.identities.push(identity.bytes.clone());
                push_keys(&mut fresh.keys, &identity.keys);
                fresh.sources.push(*source);
            }
        }
        intent.known.push(before.is_some());
        intent.sources.push(*source);
        intent.rows.push(Row { customer: entry.customer.clone(), identity: identity.bytes, properties, entered_at });
    }
    with_owners_rights(|| {
        if !intent.rows.is_empty() {
            let count = i32::try_from(intent.rows.len()).unwrap_or(i32::MAX);
            intent.batch = spi::one(
                Snapshot::Fresh,
                "INSERT INTO kursaha_cohort.sync_batch (sync_id, run_id, rows) VALUES ($1, $2, $3) RETURNING batch_id",
                &[job.sync.into(), job.run.into(), count.into()],
                |row| row.need(1),
            )?;
        }
        write(job, intent.batch, fresh, kept, same, gone, destination.oldest_seconds().is_some())
    })?;
    Ok(intent)
}

/// Writes what a batch makes of its members. `settle`: the same ones count as sent with it.
fn write(job: &Job, batch: i64, fresh: Fresh, kept: Kept, same: Kept, gone: Kept, settle: bool) -> Fallible<()> {
    let bytes = |identities: Vec<Vec<u8>>| identities.into_iter().map(Some).collect::<Vec<Option<Vec<u8>>>>();
    if !fresh.customers.is_empty() {
        let [key1, key2, key3, key4] = fresh.keys;
        spi::touch(
            "INSERT INTO kursaha_cohort.sync_member \
                 (sync_id, batch_id, entered_at, customer_id, identity, key1, key2, key3, key4, source) \
             SELECT $1, $2, to_timestamp($3 / 1000000.0), u.* FROM unnest($4, $5, $6, $7, $8, $9, $10) u",
            &[
                job.sync.into(),
                batch.into(),
                job.snapshot_at.into(),
                fresh.customers.into(),
                bytes(fresh.identities).into(),
                key1.into(),
                key2.into(),
                key3.into(),
                key4.into(),
                fresh.sources.into(),
            ],
        )?;
    }
    if !kept.members.is_empty() {
        let [key1, key2, key3, key4] = kept.keys;
        spi::touch(
            "UPDATE kursaha_cohort.sync_member m SET batch_id = $2, identity = u.identity, key1 = u.key1, key2 = u.key2, \
                 key3 = u.key3, key4 = u.key4, source = u.source, leaving = false, shared = NULL \
             FROM unnest($3, $4, $5, $6, $7, $8, $9, $10) \
                 u (customer_id, member_id, identity, key1, key2, key3, key4, source) \
             WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
            &[
                job.sync.into(),
                batch.into(),
                kept.customers.into(),
                kept.members.into(),
                bytes(kept.identities).into(),
                key1.into(),
                key2.into(),
                key3.into(),
                key4.into(),
                kept.sources.into(),
            ],
        )?;
    }
    if !same.members.is_empty() {
        spi::touch(
            "UPDATE kursaha_cohort.sync_member m SET source = u.source, \
                 batch_id = CASE WHEN $2 THEN (SELECT nextval('kursaha_cohort.sync_batch_batch_id_seq')) ELSE m.batch_id END \
             FROM unnest($3, $4, $5) u (customer_id, member_id, source) \
             WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
            &[job.sync.into(), settle.into(), same.customers.into(), same.members.into(), same.sources.into()],
        )?;
    }
    if gone.members.is_empty() { Ok(()) } else { leave(job.sync, gone.members, gone.customers) }
}

/// Marks members as leaving.
pub(super) fn leave(sync: i64, members: Vec<i64>, customers: Vec<String>) -> Fallible<()> {
    spi::touch(
        "UPDATE kursaha_cohort.sync_member m SET leaving = true FROM unnest($2, $3) u (customer_id, member_id) \
         WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
        &[sync.into(), customers.into(), members.into()],
    )?;
    Ok(())
}

/// Records that a batch arrived, but for some of its rows.
pub(super) fn acknowledge(job: &Job, intent: &Intent, delivery: &Delivery) -> Fallible<()> {
    let (mut new, mut known) = (Vec::new(), Vec::new());
    let (mut refused, mut reasons, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    for (index, reason) in &delivery.refused {
        let customer = intent.rows[*index].customer.clone();
        if intent.known[*index] {
            known.push(customer.clone());
        } else {
            new.push(customer.clone());
        }
        refused.push(customer);
        reasons.push(reason.clone());
        sources.push(intent.sources[*index]);
    }
    with_owners_rights(|| {
        if !refused.is_empty() {
            spi::touch(
                "DELETE FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND customer_id = ANY ($2) AND batch_id = $3",
                &[job.sync.into(), new.into(), intent.batch.into()],
            )?;
            // What the destination had of them before is taken back.
            spi::touch(
                "UPDATE kursaha_cohort.sync_member SET leaving = true \
                 WHERE sync_id = $1 AND customer_id = ANY ($2) AND batch_id = $3",
                &[job.sync.into(), known.into(), intent.batch.into()],
            )?;
            spi::touch(
                "INSERT INTO kursaha_cohort.sync_rejected (sync_id, run_id, batch_id, customer_id, source, reason) \
                 SELECT $1, $2, $6, u.* FROM unnest($3, $4, $5) u \
                 ON CONFLICT (sync_id, customer_id) DO UPDATE SET source = EXCLUDED.source, reason = EXCLUDED.reason, \
                     run_id = EXCLUDED.run_id, batch_id = EXCLUDED.batch_id, rejected_at = EXCLUDED.rejected_at",
                &[job.sync.into(), job.run.into(), refused.into(), sources.into(), reasons.into(), intent.batch.into()],
            )?;
        }
        if delivery.outcome == Verdict::Arrived {
            let taken: Vec<String> = (0..intent.rows.len())
                .filter(|index| !delivery.refused.iter().any(|(refused, _)| refused == index))
                .map(|index| intent.rows[index].customer.clone())
                .collect();
            spi::touch(
                "DELETE FROM kursaha_cohort.sync_rejected WHERE sync_id = $1 AND customer_id = ANY ($2)",
                &[job.sync.into(), taken.into()],
            )?;
            spi::touch("DELETE FROM kursaha_cohort.sync_batch WHERE batch_id = $1", &[intent.batch.into()])?;
        }
        Ok(())
    })
}

/// What became of a batch as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The destination has it, but for refused rows.
    Arrived,
    /// Not, or not all of it, or nobody knows.
    Not(Outcome),
    /// The wait was given up: this process is to end, or the run is cancelled.
    Interrupted,
}

/// A batch's way.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) outcome: Verdict,
    /// Rows that the destination refused, with its words.
    pub(super) refused: Vec<(usize, String)>,
    /// Rows that arrived, or may have.
    pub(super) rows: u64,
    /// Rows that it took and cannot use, by reason.
    pub(super) invalid: BTreeMap<String, u64>,
}

impl Delivery {
    /// The result where `rows` rows arrived and none was refused.
    pub(super) fn arrived(rows: usize) -> Self {
        Self { outcome: Verdict::Arrived, refused: Vec::new(), rows: rows as u64, invalid: BTreeMap::new() }
    }
}

/// The connection to a destination, opened when it is needed first.
#[derive(Default)]
pub(super) struct Line {
    wire: Option<Wire>,
    /// Requests answered well, in this attempt.
    good: u64,
    refused: u64,
}

impl Line {
    /// Sends one request and waits for its answer. `None`: the wait was given up.
    pub(super) fn exchange(
        &mut self,
        request: cohort_core::destination::Request,
    ) -> Fallible<Option<Result<cohort_core::destination::Response, Failure>>> {
        self.open()?.start(request)?;
        self.answer()
    }

    /// The same, and the wait is given up at an instant.
    pub(super) fn exchange_until(
        &mut self,
        request: cohort_core::destination::Request,
        end: Instant,
    ) -> Fallible<Option<Result<cohort_core::destination::Response, Failure>>> {
        let wire = self.open()?;
        wire.start(request)?;
        let answer = wire.wait(&mut || !interrupted() && Instant::now() < end);
        if answer.is_none() {
            self.wire = None;
        }
        Ok(answer)
    }

    fn open(&mut self) -> Fallible<&mut Wire> {
        Ok(match &mut self.wire {
            Some(wire) => wire,
            none => none.insert(Wire::open(Limits::from_settings())?),
        })
    }

    /// Waits for the answer to the request that was begun last.
    pub(super) fn answer(&mut self) -> Fallible<Option<Result<cohort_core::destination::Response, Failure>>> {
        let answer = self.open()?.wait(&mut || !interrupted());
        if answer.is_none() {
            self.wire = None;
        }
        Ok(answer)
    }

    /// Sends a request of a batch and returns at once: [`Self::finish`] waits for its answer.
    pub(super) fn begin(
        &mut self,
        destination: &dyn Destination,
        course: &Course,
        batch: &Batch<'_>,
        label: String,
    ) -> Fallible<()> {
        let context = context(course, label);
        let request = destination.request(batch, &course.state, &context, &course.secret);
        self.open()?.start(request)
    }

    /// Waits for the answer to a batch that was begun. One that has bad rows, or is too large, is sent again in halves,
    /// until the bad rows stand alone.
    pub(super) fn finish(
        &mut self,
        destination: &dyn Destination,
        course: &Course,
        batch: &Batch<'_>,
        number: u64,
    ) -> Fallible<Delivery> {
        let action = batch.action;
        let mut delivery = Delivery::arrived(0);
        let mut open: Vec<(usize, &[Row], String)> = vec![(0, batch.rows, number.to_string())];
        let mut begun = true;
        while let Some((first, part, label)) = open.pop() {
            if !std::mem::take(&mut begun) {
                self.begin(destination, course, &Batch { action, rows: part }, label.clone())?;
            }
            let outcome = match self.answer()? {
                None => {
                    delivery.outcome = Verdict::Interrupted;
                    return Ok(delivery);
                }
                Some(Ok(answer)) => destination.read(action, &answer, store::now() / 1_000_000),
                Some(Err(failure)) => failure.into(),
            };
            // What it says may repeat what it was sent; only here both are known.
            let outcome = if outcome == Outcome::done() {
                outcome
            } else {
                let hidden = course.hidden(Some(destination), part);
                outcome.reworded(|why| redact(why, &hidden))
            };
            let divide = |why: String, open: &mut Vec<_>, delivery: &mut Delivery| {
                if part.len() == 1 {
                    delivery.refused.push((first, why));
                    return true;
                }
                let (left, right) = halves(part);
                open.push((first + left.len(), right, format!("{label}.2")));
                open.push((first, left, format!("{label}.1")));
                false
            };
            match outcome {
                Outcome::Done(receipt) => {
                    self.good += 1;
                    delivery.rows += part.len() as u64;
                    for (reason, count) in receipt.reasons {
                        *delivery.invalid.entry(reason).or_default() += count;
                    }
                }
                Outcome::BadRows { why } | Outcome::Again { why, smaller: true } => {
                    if divide(why.clone(), &mut open, &mut delivery) {
                        self.refused += 1;
                        if self.good == 0 && self.refused >= MOST_REFUSED {
                            delivery.outcome = Verdict::Not(Outcome::attention(
                                why,
                                "Every row is refused: look at the mapping and the version of the API.",
                            ));
                            delivery.refused.clear();
                            return Ok(delivery);
                        }
                    }
                }
                other => {
                    delivery.outcome = Verdict::Not(other);
                    return Ok(delivery);
                }
            }
        }
        Ok(delivery)
    }
}

/// What a request of a batch knows.
pub(super) fn context(course: &Course, batch: String) -> Context {
    Context {
        cohort: course.cohort.clone(),
        sync: course.sync,
        run: course.run,
        batch,
        now: store::now() / 1_000_000,
        random: random(),
    }
}

/// Whether to stop waiting for a response.
pub(super) fn interrupted() -> bool {
    // SAFETY: flags that signal handlers set.
    unsafe {
        if (&raw const pg_sys::ProcDiePending).read_volatile() != 0
            || (&raw const pg_sys::QueryCancelPending).read_volatile() != 0
        {
            return true;
        }
        if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
            pg_sys::ConfigReloadPending = 0;
            settings::reload();
        }
    }
    // What other processes wait for, such as the end of a dropped database's files.
    pgrx::check_for_interrupts!();
    false
}

/// A random number.
pub(super) fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| store::now().unsigned_abs())
}
