//! One run of a sync, from the evaluation to the last response. A run can be resumed: acknowledged members are recorded,
//! and a resumed run compares again and continues with the remaining difference.

use cohort_core::destination::{Destination, Setup};
use cohort_core::sync::{Figures, guard};

use super::batch::Counts;
use super::binding;
use super::context::RunContext;
use super::deliver::{self, Run, Strategy};
use super::diff::{self, Facts, Kept};
use super::ending::{Ending, step};
use super::finish;
use super::job::{self, Job};
use super::session::Session;
use super::settled;
use super::spool::Spool;
use crate::pg::databases::as_owner;
use crate::pg::settings;
use crate::pg::transaction::{Isolation, attempt};

/// The most requests that make a destination ready: a list of audiences has 200 a page.
const MOST_STEPS: usize = 500;

/// Members that are marked as leaving in one transaction.
const LEAVING_AT_ONCE: usize = 10_000;

/// Takes a run up, as its owner, and goes on with it as far as it gets. Called by a worker outside of any transaction.
pub(crate) fn perform(run: i64) {
    settings::commit_durably();
    let mut counts = Counts::default();
    let ending = match attempt(Isolation::ReadCommitted, || job::load(run)) {
        Ok(Some(job)) => {
            counts.mapping = Some(job.mapping);
            let ending = go(&job, &mut counts).unwrap_or_else(|ending| ending);
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
    if let Err(trouble) = attempt(Isolation::ReadCommitted, || as_owner(|| finish::conclude(run, &ending, &counts))) {
        pgrx::log!("kursaha_cohort: the end of run {run} could not be recorded: {}", trouble.message);
    }
}

/// Goes on with a run as far as it gets.
fn go(job: &Job, counts: &mut Counts) -> Result<Ending, Ending> {
    let destination = step(|| job.place.open())?;
    let destination = &*destination;
    let strategy = deliver::strategy(destination);
    let Work { mut adds, mut removals, figures, at, kept } = find_work(job, destination, strategy, counts)?;
    if !job.forced
        && let Some(why) = guard(figures)
    {
        return Ok(Ending::Held { why });
    }
    let journal = job.journal;
    let mut run = Run {
        journal,
        destination,
        context: RunContext {
            cohort: job.cohort.clone(),
            sync: journal.sync,
            run: journal.run,
            state: job.place.state.clone(),
            secret: String::new(),
        },
        session: Session::default(),
        counts,
        snapshot_at: at,
        batches: job.batches,
        parts: job.parts.clone(),
    };
    let pending = step(|| journal.has_leavers())?;
    if strategy.connects(adds.len() == 0 && removals.len() == 0 && !pending) {
        run.context.secret = attempt(Isolation::ReadCommitted, || binding::secret_of(&job.place, destination, true))
            .map_err(|trouble| Ending::Attention { why: trouble.message, hint: trouble.hint.unwrap_or_default() })?;
        make_ready(&mut run)?;
    }
    mark_leaving(&run, &mut removals)?;
    strategy.add(&mut run, &mut adds)?;
    let deferred = strategy.remove(&mut run)?;
    strategy.complete(&mut run)?;
    if let Some(why) = deferred {
        return Ok(Ending::Partial { why });
    }
    if let Some(kept) = kept {
        run.counts.delivered = settle(&run, kept)?;
    }
    Ok(Ending::Success { remark: destination.remark(figures.size) })
}

/// What a run has to do.
struct Work {
    adds: Spool,
    removals: Spool,
    figures: Figures,
    /// When the cohort was evaluated, microseconds since 1970.
    at: i64,
    /// What is kept for the next run.
    kept: Option<Kept>,
}

/// Evaluates the cohort, compares it with what the destination was told, and records what there is to do.
fn find_work(
    job: &Job,
    destination: &dyn Destination,
    strategy: &dyn Strategy,
    counts: &mut Counts,
) -> Result<Work, Ending> {
    let facts = Facts {
        sync: Some(job.journal.sync),
        again_below: job.again_below,
        look: job.look,
        sends_changes: strategy.sends_changes(),
    };
    let (adds, removals, found, at) = attempt(Isolation::RepeatableRead, || {
        let (mut adds, mut removals) = (Spool::new(), Spool::new());
        let found = diff::compare(
            &job.cohort,
            &job.place,
            destination,
            facts,
            &mut |slice| {
                for member in slice {
                    adds.push(member.kind as i64, member.customer, member.given);
                }
                Ok(())
            },
            &mut |member, customer| {
                removals.push(member, customer, None);
                Ok(())
            },
        )?;
        adds.rewind()?;
        removals.rewind()?;
        let at = crate::pg::time::as_of(None)?.0;
        Ok((adds, removals, found, at))
    })
    .map_err(Ending::from)?;
    if found.suppressed > 0 {
        counts.skipped.insert(diff::SUPPRESSED.to_owned(), found.suppressed);
    }
    let figures = found.figures;
    step(|| {
        job.journal.found(at, figures, adds.len(), diff::SUPPRESSED, &counts.skipped)?;
        if !settled::is_known()? {
            return Ok(());
        }
        job.journal.compared(&found.compared)?;
        // Either way before the ledger changes: what an earlier run kept does not know of these changes.
        match &found.kept {
            Some(kept) => kept.settled.keep(kept.given, &kept.basis, job.journal.run, at),
            None => settled::drop_of(job.journal.sync),
        }
    })?;
    Ok(Work { adds, removals, figures, at, kept: found.kept })
}

/// After a run that sent and removed everything: the next one need not look at its members. Returns how many the destination
/// has, where that is known. Where some were skipped or refused, the next run looks at all that this one looked at.
fn settle(run: &Run<'_>, mut kept: Kept) -> Result<Option<i64>, Ending> {
    if run.counts.skipped.keys().any(|reason| reason != diff::SUPPRESSED) || step(|| run.journal.has_rejected())? {
        return Ok(None);
    }
    let settles = !kept.settled.unsettled.is_empty();
    kept.settled.settled |= kept.arriving;
    kept.settled.unsettled.clear();
    run.journal
        .guarded(|| {
            if settles {
                kept.settled.keep(kept.given, &kept.basis, run.journal.run, run.snapshot_at)?;
            }
            let others = run.journal.present_among(&kept.settled.others)?;
            Ok(i64::try_from(kept.settled.settled.len()).unwrap_or(i64::MAX).saturating_add(others))
        })
        .map(Some)
}

/// Makes the destination ready, and keeps what was learned.
fn make_ready(run: &mut Run<'_>) -> Result<(), Ending> {
    let Run { journal, destination, context, session, .. } = run;
    let before = context.state.clone();
    let mut answer = None;
    for _ in 0..MOST_STEPS {
        match destination.set_up(&mut context.state, answer.as_ref(), &context.secret) {
            Setup::Ready if context.state == before => return Ok(()),
            Setup::Ready => return journal.guarded(|| journal.keep_state(&context.state)),
            Setup::Failed(outcome) => return Err(Ending::of(outcome, context)),
            Setup::Send(request) => answer = Some(session.exchange(request, context)?),
        }
    }
    Err(Ending::Attention {
        why: format!("{MOST_STEPS} requests did not find the audience"),
        hint: "Set audience_id with cohort_destination_update, then call cohort_sync_resume.".to_owned(),
    })
}

/// Marks the members to remove.
fn mark_leaving(run: &Run<'_>, removals: &mut Spool) -> Result<(), Ending> {
    loop {
        let entries = step(|| removals.take(LEAVING_AT_ONCE))?;
        if entries.is_empty() {
            return Ok(());
        }
        let (members, customers) = entries.into_iter().map(|entry| (entry.number, entry.customer)).unzip();
        run.journal.guarded(|| run.journal.leave(members, customers))?;
    }
}
