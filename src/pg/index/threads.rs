//! Evaluation by several threads: the server's thread (the leader), which pins the pages that chunks will read, and
//! helpers, which call no server functions. The result does not depend on the number of threads.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;

use cohort_core::eval::{Answer, Divided, Found, Question, Stop, Worker};
use pgrx::pg_sys;

use super::fetch::Held;
use super::pages::Pages;
use super::pins::{AtWork, Job};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::here::{self, Leading, Unwound, with_signals_blocked};
use crate::pg::seats::{self, Helper, Seats};
use crate::pg::settings;

/// The result of each chunk; `None` if the leader has to evaluate it.
type Known = Vec<Option<Result<Found, Stop>>>;

/// Evaluates a question, and returns the number of threads.
pub(super) fn answer(mut question: Question<'_>, pages: &Pages) -> Fallible<(Result<Answer, Stop>, usize)> {
    let threads = worth(&question, pages);
    let (known, threads) = if threads > 1 { together(&mut question, pages, threads)? } else { (Vec::new(), 1) };
    Ok((question.answer(known), threads))
}

/// The useful number of threads.
fn worth(question: &Question<'_>, pages: &Pages) -> usize {
    let most = settings::question_threads();
    if most < 2 || !pages.can_hold() || most_held(most) == 0 {
        return 1;
    }
    // SAFETY: variables of the server. Where interrupts are held or an error would be fatal, an evaluation cannot end early.
    let calm =
        unsafe { !pg_sys::IsInParallelMode() && pg_sys::InterruptHoldoffCount == 0 && pg_sys::CritSectionCount == 0 };
    if !calm {
        return 1;
    }
    match settings::min_thread_rows() {
        0 => most,
        rows => {
            let by_rows = usize::try_from(question.rows() / rows).unwrap_or(usize::MAX);
            match most.min(by_rows).min(usize::from(question.chunks())) {
                0 | 1 => 1,
                threads => threads.min(1 + idle_cores()),
            }
        }
    }
}

/// Estimated number of idle cores. A helper without a free core would delay the end of the evaluation.
fn idle_cores() -> usize {
    static ALLOWED: OnceLock<usize> = OnceLock::new();
    let Ok(load) = std::fs::read_to_string("/proc/loadavg") else { return usize::MAX };
    // The fourth field: how many tasks run or could, this one among them, then how many there are.
    let runnable = load.split(' ').nth(3).and_then(|tasks| tasks.split('/').next()?.parse::<usize>().ok());
    // SAFETY: reads a number of the system.
    let cores = usize::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) });
    let (Some(runnable), Ok(cores)) = (runnable, cores) else { return usize::MAX };
    // What this process may use does not change, and asking for it takes longer than a short question.
    let allowed = *ALLOWED.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    cores.saturating_sub(runnable).min(allowed.saturating_sub(1))
}

/// Maximum number of pinned pages: a small part of the server's buffers for all sessions together.
fn most_held(threads: usize) -> usize {
    /// Pages for each thread: about those of its current chunk and of a waiting one.
    const OF_THREAD: usize = 256;
    /// All sessions together pin at most one in this number of the server's buffers.
    const SHARE: usize = 8;
    // SAFETY: variables of the server, set when it starts.
    let (buffers, sessions) = unsafe { (pg_sys::NBuffers, pg_sys::MaxBackends) };
    let number = |number: i32| usize::try_from(number).unwrap_or(1).max(1);
    // Every session that has helpers has a seat.
    let sessions = if seats::are_shared() { SHARE * (settings::max_threads() + 1) } else { number(sessions) };
    (number(buffers) / sessions).min(OF_THREAD * threads)
}

fn together(question: &mut Question<'_>, pages: &Pages, threads: usize) -> Fallible<(Known, usize)> {
    let alone = || Ok((Vec::new(), 1));
    let seats = Seats::take(threads - 1);
    if seats.number() == 0 {
        return alone();
    }
    let Some(divided) = question.divide(seats.number() + 1) else { return alone() };
    pgrx::check_for_interrupts!();
    if here::is_interrupted() {
        return alone();
    }
    let table = Table::new(question.chunks());
    let mut holding = Holding { most: most_held(threads), pages, jobs: VecDeque::new(), held: 0 };
    let leading = Leading::new();
    let helpers = std::thread::scope(|scope| {
        // Also when an error of the server unwinds this: the scope waits for the helpers.
        let _closing = Closing(&table);
        let helpers = start(scope, seats.number(), &table, &divided);
        if helpers > 0 {
            let lead = || lead(question, &table, &mut holding, &divided, helpers);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(lead)) {
                raise_again(payload.into());
            }
        }
        helpers
    });
    drop(leading);
    drop(holding);
    pgrx::check_for_interrupts!();
    let state = table.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(panic) = state.panic {
        return Err(failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("a thread of an evaluation failed: {panic}"))
            .set_hint("SET kursaha_cohort.question_threads = 1 evaluates without other threads."));
    }
    Ok((state.known, helpers + 1))
}

/// Starts as many helpers as the system allows. All signals are blocked in helpers, so the leader receives them.
fn start<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    helpers: usize,
    table: &'env Table,
    divided: &'env Divided<'_>,
) -> usize {
    /// Stack size of a helper in bytes, larger than the server's default limit.
    const STACK: usize = 8 << 20;
    let panics = settings::debug_thread_panic();
    let start_one = |_: &usize| {
        let helper = Helper::new();
        let work = move || {
            let _helper = helper;
            help(table, Evaluator::new(divided, panics));
        };
        Builder::new().name("kursaha_cohort".to_owned()).stack_size(STACK).spawn_scoped(scope, work).is_ok()
    };
    with_signals_blocked(|| (0..helpers).filter(start_one).count())
}

/// The state that leader and helpers share.
struct Table {
    state: Mutex<State>,
    /// Wakes helpers when a job waits, or when no more jobs follow.
    job: Condvar,
    /// Wakes the leader when a job is done.
    done: Condvar,
}

struct State {
    waiting: VecDeque<Arc<Job>>,
    /// The numbers of the jobs that were done since the leader last read them.
    done: Vec<usize>,
    known: Known,
    /// Chunks that helpers could not evaluate.
    given_back: usize,
    answered: usize,
    closed: bool,
    /// The message of a helper's panic.
    panic: Option<String>,
}

impl Table {
    fn new(chunks: u16) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            done: Vec::new(),
            known: (0..chunks).map(|_| None).collect(),
            given_back: 0,
            answered: 0,
            closed: false,
            panic: None,
        };
        Self { state: Mutex::new(state), job: Condvar::new(), done: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next job.
    fn take(&self) -> Option<Arc<Job>> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            state = self.job.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish(&self, job: &Job) {
        self.state().done.push(job.number);
        self.done.notify_one();
    }
}

impl State {
    /// Whether helpers cannot evaluate most chunks.
    fn is_futile(&self) -> bool {
        const SOME: usize = 4;
        self.given_back >= SOME && self.given_back > self.answered
    }
}

/// Makes all helpers end, even if the leader unwinds.
struct Closing<'t>(&'t Table);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        here::stop();
        self.0.state().closed = true;
        self.0.job.notify_all();
    }
}

/// Pages that the leader has pinned.
struct Holding<'p> {
    most: usize,
    pages: &'p Pages,
    jobs: VecDeque<(usize, Vec<Held>)>,
    held: usize,
}

impl Holding<'_> {
    /// Unpins the pages of jobs that are done.
    fn release(&mut self, done: &[usize]) {
        self.jobs.retain(|(number, _)| !done.contains(number));
        self.held = self.jobs.iter().map(|(_, held)| held.len()).sum();
    }

    /// Pins the pages of a job.
    fn job(&mut self, number: usize, ready: Ready) -> Arc<Job> {
        let pin = |(segment, page): &(i64, i32)| self.pages.hold(*segment, *page);
        let (held, pages): (Vec<Held>, Vec<_>) = ready.pages.iter().filter_map(pin).unzip();
        self.held += held.len();
        self.jobs.push_back((number, held));
        Job::new(number, ready.chunks, pages)
    }
}

/// The queue of jobs of an evaluation.
struct Jobs {
    /// The first chunk of the next job, and the end of the chunks.
    next: u16,
    end: u16,
    number: usize,
    /// Number of chunks of a job. They are adjacent, because adjacent chunks share pages.
    together: u16,
    /// A job whose pages are foreseen but not pinned, because the limit was reached.
    ready: Option<Ready>,
}

/// Chunks, and the pages that they will read.
struct Ready {
    chunks: Range<u16>,
    pages: Vec<(i64, i32)>,
}

impl Jobs {
    fn is_empty(&self) -> bool {
        self.next >= self.end && self.ready.is_none()
    }

    /// The next job, if its pages can be pinned. Chunks that need more pages than the limit are skipped.
    fn next(&mut self, question: &mut Question<'_>, holding: &mut Holding<'_>, threads: usize) -> Option<Arc<Job>> {
        loop {
            let ready = match self.ready.take() {
                None if self.next >= self.end => return None,
                None => self.foresee(question, holding),
                Some(ready) => ready,
            };
            let pages = ready.pages.len();
            if pages > holding.most {
                self.together = 1;
                continue;
            }
            if holding.held + pages > holding.most {
                self.ready = Some(ready);
                return None;
            }
            self.number += 1;
            self.adapt(ready.chunks.len(), pages, holding.most, threads);
            return Some(holding.job(self.number, ready));
        }
    }

    fn foresee(&mut self, question: &mut Question<'_>, holding: &Holding<'_>) -> Ready {
        let chunks = self.next..self.end.min(self.next.saturating_add(self.together));
        chunks.clone().for_each(|chunk| question.foresee(chunk));
        self.next = chunks.end;
        Ready { chunks, pages: holding.pages.foreseen(holding.most) }
    }

    /// Chooses the size of jobs so that one job waits for each thread, and all threads end at about the same time.
    fn adapt(&mut self, chunks: usize, pages: usize, most: usize, threads: usize) {
        const LARGEST: usize = 4;
        const EACH: usize = 4;
        let by_pages = most * chunks / (pages.max(1) * threads * 2);
        let by_number = usize::from(self.end) / (threads * EACH);
        self.together = u16::try_from(by_pages.min(by_number).clamp(1, LARGEST)).unwrap_or(1);
    }
}

/// Resumes a panic of the leader, except for an interrupt. An interrupt is handled after the helpers have ended; chunks
/// without a result are then evaluated again.
fn raise_again(unwound: Unwound) {
    match unwound {
        Unwound::Stopped | Unwound::NotHere => {}
        Unwound::Other(payload) => resume_unwind(payload),
    }
}

/// The leader's loop: pins pages ahead of the helpers, and evaluates chunks itself while enough jobs wait.
fn lead(question: &mut Question<'_>, table: &Table, holding: &mut Holding<'_>, divided: &Divided<'_>, helpers: usize) {
    /// Interval at which the waiting leader checks for interrupts.
    const MOMENT: Duration = Duration::from_millis(1);
    let threads = helpers + 1;
    // For tests: the leader leaves all to the helpers.
    let takes_part = settings::min_thread_rows() > 0;
    let mut jobs = Jobs { next: 0, end: question.chunks(), number: 0, together: 1, ready: None };
    let mut evaluator = Evaluator::new(divided, false);
    loop {
        if here::is_interrupted() {
            return;
        }
        let done = std::mem::take(&mut table.state().done);
        holding.release(&done);
        while table.state().waiting.len() < 2 * threads {
            let Some(job) = jobs.next(question, holding, threads) else { break };
            table.state().waiting.push_back(job);
            table.job.notify_one();
        }
        let own = {
            let mut state = table.state();
            if state.is_futile() || state.panic.is_some() {
                return;
            }
            if takes_part { state.waiting.pop_front() } else { None }
        };
        if let Some(job) = own {
            match evaluator.work(&job, table) {
                None => {}
                Some(unwound) => return raise_again(unwound),
            }
            continue;
        }
        let state = table.state();
        if jobs.is_empty() && holding.jobs.len() == state.done.len() {
            return;
        }
        if state.done.is_empty() {
            drop(table.done.wait_timeout(state, MOMENT));
        }
    }
}

/// The loop of a helper.
fn help(table: &Table, mut evaluator: Evaluator<'_, '_>) {
    here::help();
    while let Some(job) = table.take() {
        match evaluator.work(&job, table) {
            None | Some(Unwound::NotHere) => {}
            Some(Unwound::Stopped) => return,
            Some(Unwound::Other(payload)) => {
                let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                table.state().panic = Some(text.unwrap_or_else(|| "it panicked".to_owned()));
                table.done.notify_one();
                return;
            }
        }
    }
}

/// The state of one evaluating thread.
struct Evaluator<'d, 'a> {
    divided: &'d Divided<'a>,
    /// Created by the thread at its first job.
    worker: Option<Worker<'a>>,
    /// For tests.
    panics: bool,
}

impl<'d, 'a> Evaluator<'d, 'a> {
    fn new(divided: &'d Divided<'a>, panics: bool) -> Self {
        Self { divided, worker: None, panics }
    }

    fn find(&mut self, chunk: u16) -> Result<Found, Stop> {
        assert!(!self.panics, "kursaha_cohort.debug_thread_panic is on");
        self.worker.get_or_insert_with(|| self.divided.worker()).find(chunk)
    }

    /// Evaluates the chunks of a job. Returns a panic, except one that leaves the chunk to the leader.
    fn work(&mut self, job: &Arc<Job>, table: &Table) -> Option<Unwound> {
        let at_work = AtWork::on(job);
        let mut unwound = None;
        for chunk in job.chunks.clone() {
            let found = catch_unwind(AssertUnwindSafe(|| self.find(chunk)));
            let mut state = table.state();
            match found {
                Ok(found) => {
                    state.known[usize::from(chunk)] = Some(found);
                    state.answered += 1;
                }
                Err(payload) => {
                    // It may have stopped half-way.
                    self.worker = None;
                    match Unwound::from(payload) {
                        Unwound::NotHere => state.given_back += 1,
                        other => {
                            unwound = Some(other);
                            break;
                        }
                    }
                }
            }
        }
        drop(at_work);
        table.finish(job);
        unwound
    }
}
