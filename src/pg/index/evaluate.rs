//! An evaluation: combines the segments and the tail of the caller's snapshot into a source, and evaluates a plan over
//! it.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use cohort_core::eval::{self, Answer, Budget, Ids, Limits, Part, Plan, Question, Source, Stop, Wish};
use cohort_core::segment::{Corrupt, Header, Key, customer_hash};
use cohort_core::value::Scalar;
use roaring::RoaringBitmap;

use super::directory::{ByHash, Directory};
use super::events::{self, Intake, Wanted};
use super::pages::{Interruptible, PageStream, Pages};
use super::removed::{bury, dead_by_segment};
use super::store::{self, Kind, Segment};
use super::{Damaged, REMAKE, cache, damaged, direct, foreign, interrupts, lists, tables, threads, unwritable};
use crate::pg::errors::{Fallible, or_raise};
use crate::pg::here::Here;
use crate::pg::settings;

/// The tail as a segment in memory.
pub(super) struct Memory {
    pub(super) header: Header,
    pub(super) bytes: Interruptible,
}

impl Memory {
    pub(super) fn new(intake: Intake) -> Fallible<Self> {
        let (header, bytes) = intake.builder.in_memory_checking(&interrupts).map_err(unwritable)?;
        Ok(Self { header, bytes: Interruptible(bytes) })
    }

    fn part(&self) -> Part<'_> {
        Part { header: &self.header, stream: &self.bytes, dead: HashMap::new() }
    }
}

/// The result of one evaluation.
pub(crate) struct Evaluated {
    /// The members.
    pub(crate) answer: Answer,
    /// All customers, if requested.
    pub(crate) universe: Option<RoaringBitmap>,
    /// The members of each referenced cohort, if requested.
    pub(crate) cohorts: Vec<RoaringBitmap>,
    /// Number of rows of the tail that were read.
    pub(crate) tail: usize,
    /// Number of segments of events, and of those with events in the windows of the rule.
    pub(crate) segments: usize,
    pub(crate) opened: usize,
    /// Number of threads.
    pub(crate) threads: usize,
    directory: Directory,
    /// Number of ordinals of segments. Higher ordinals belong to the tail.
    sealed: u32,
    strangers: Vec<Box<str>>,
}

impl Evaluated {
    /// Passes the ids of some ordinals to a function.
    pub(crate) fn ids_of(&self, members: &RoaringBitmap, each: &mut dyn FnMut(&str)) -> Fallible<()> {
        self.directory.ids(members, each)?;
        strangers_of(&self.strangers, self.sealed, members, each);
        Ok(())
    }

    /// How many ordinals segments assigned. Those from there on belong to the tail, and name a customer in this evaluation only.
    pub(crate) fn sealed(&self) -> u32 {
        self.sealed
    }

    /// Passes on the ids of some ordinals, with the ordinals.
    pub(crate) fn named(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str)) -> Fallible<()> {
        self.directory.ordinals_and_ids(wanted, each)?;
        for ordinal in wanted.range(self.sealed..) {
            if let Some(id) = self.strangers.get((ordinal - self.sealed) as usize) {
                each(ordinal, id);
            }
        }
        Ok(())
    }

    /// The ordinals that segments assigned to some ids.
    pub(crate) fn ordinals_of(&self, ids: &[String]) -> Fallible<Vec<Option<u32>>> {
        self.directory.find(ids)
    }

    /// The ordinals that segments assigned to the customers whose profiles a transaction from `since` on wrote, or whose
    /// removal is not sealed.
    pub(crate) fn changed_profiles(&self, since: u64) -> Fallible<RoaringBitmap> {
        let tables = tables()?;
        let mut found = RoaringBitmap::new();
        let mut look = |ids: &[String]| {
            found.extend(self.directory.find(ids)?.into_iter().flatten());
            Ok(())
        };
        events::written_profiles(&tables, since, &mut look)?;
        look(&direct::removed_profiles(tables.internals)?)?;
        Ok(found)
    }

    /// The members, and the map to their ids, which holds no table open.
    pub(crate) fn into_named(self) -> (RoaringBitmap, Named) {
        (self.answer.members, Named { sealed: self.sealed, strangers: self.strangers })
    }

    /// The given ids that belong to members. Each id is given once.
    pub(crate) fn members_among(&self, ids: &[&str]) -> Fallible<Vec<String>> {
        let members = &self.answer.members;
        let known = self.directory.find(ids)?;
        let is_member = |known: &Option<u32>| known.is_some_and(|ordinal| members.contains(ordinal));
        let mut found: Vec<String> = Vec::new();
        let mut unknown: HashSet<&str> = HashSet::new();
        for (id, known) in ids.iter().zip(known) {
            if is_member(&known) {
                found.push((*id).to_owned());
            } else if known.is_none() {
                unknown.insert(id);
            }
        }
        strangers_of(&self.strangers, self.sealed, members, &mut |id| {
            if unknown.contains(id) {
                found.push(id.to_owned());
            }
        });
        Ok(found)
    }
}

/// The map from ordinals to customers in the snapshot of an evaluation. Use it under the same snapshot.
pub(crate) struct Named {
    sealed: u32,
    strangers: Vec<Box<str>>,
}

impl Named {
    /// Passes the ids of some ordinals to a function.
    pub(crate) fn ids_of(&self, members: &RoaringBitmap, each: &mut dyn FnMut(&str)) -> Fallible<()> {
        if members.min().is_some_and(|least| least < self.sealed) {
            let tables = tables()?;
            let state = direct::state(tables.internals)?;
            let segments = direct::segments(tables.internals)?;
            let pages = Pages::open(tables.internals)?;
            Directory::open(&state, &segments, &pages)?.ids(members, each)?;
        }
        strangers_of(&self.strangers, self.sealed, members, each);
        Ok(())
    }
}

/// Calls `each` with the ids of the ordinals that belong to the tail.
fn strangers_of(strangers: &[Box<str>], sealed: u32, members: &RoaringBitmap, each: &mut dyn FnMut(&str)) {
    for ordinal in members.range(sealed..) {
        if let Some(id) = strangers.get((ordinal - sealed) as usize) {
            each(id);
        }
    }
}

/// What an evaluation returns in addition to the members.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ask {
    /// All customers as well.
    pub(crate) universe: bool,
    /// The members and the number of matching events.
    pub(crate) wish: Wish,
    /// The members of each cohort that the rule references as well, in the order of the references.
    pub(crate) cohorts: bool,
}

/// Makes the allocator keep freed memory for the next evaluation. Otherwise each evaluation requests its memory from
/// the system page by page and returns it, which takes up to half of its time.
fn keep_memory() {
    /// The C library keeps twice the largest block that was ever freed (`M_TRIM_THRESHOLD` in mallopt(3)): 32 MB.
    const BLOCK: usize = 16 << 20;
    thread_local! {
        static ONCE: () = drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK)));
    }
    ONCE.with(|()| ());
}

/// The result of an evaluation, or the reason why plain SQL must be used.
pub(crate) type Outcome = Result<Evaluated, String>;

fn too_large(what: &str) -> String {
    format!("{what} would need more than kursaha_cohort.eval_memory")
}

/// Evaluates a plan over the segments and the tail, as the active snapshot sees them.
#[expect(clippy::too_many_lines, reason = "the steps of an evaluation, one after the other")]
pub(crate) fn evaluate(plan: &Plan<'_>, as_of: i64, ask: Ask) -> Fallible<Outcome> {
    keep_memory();
    let memory = settings::eval_memory();
    let tables = tables()?;
    let wanted = wanted(plan, ask.universe);
    let profiles = ask.universe || plan.needs_profiles();
    let (state, segments) = direct::state_and_segments(tables.internals)?;
    let pages = Pages::open(tables.internals)?;
    let window = if ask.universe { None } else { plan.window() };
    let of_events = || segments.iter().filter(|segment| segment.kind == Kind::Events);
    let reached = || of_events().filter(|segment| segment.reaches_into(window));
    let others = segments.iter().filter(|segment| match segment.kind {
        Kind::Customers => true,
        Kind::Profiles => profiles,
        Kind::Events => false,
    });
    if let Some(what) = foreign_segment(reached().chain(others), &pages)? {
        return Ok(Err(told(&what)));
    }
    let directory = Directory::open(&state, &segments, &pages)?;

    // The tail.
    let tail = (state.watermark, u64::MAX);
    let mut events = Intake::by_row(state.key).within(memory);
    let mut fits = |intake: &mut Intake| Ok(intake.fits());
    events::read_events(&tables, tail, &wanted, &mut events, &mut fits)?;
    let mut newest = Intake::by_row(state.key).within(memory.saturating_sub(events.bytes()));
    let profile_keys = plan.profile_keys();
    let mut removed_profiles = Vec::new();
    if profiles {
        events::read_profiles(&tables, tail, Some(&profile_keys), &mut newest, &mut fits)?;
        removed_profiles = direct::removed_profiles(tables.internals)?;
        events::remove_profiles(&removed_profiles, &mut newest);
    }
    let Some(mut memory) = memory.checked_sub(events.bytes().saturating_add(newest.bytes())) else {
        return Ok(Err(too_large("the tail")));
    };
    let tail_rows = events.len() + newest.len();
    let mut strangers = Strangers::new(state.customers);
    strangers.number(&mut events, &directory)?;
    strangers.number(&mut newest, &directory)?;
    let (events, newest) = (Memory::new(events)?, Memory::new(newest)?);

    // What is gone from sealed segments.
    let mut dead = dead_by_segment(&segments)?;
    let mut opened = Vec::new();
    for segment in reached() {
        let stream = PageStream::new(&pages, segment.id);
        let header = cache::header(&stream).in_segment(segment.id)?;
        opened.push((segment.clone(), header, stream.within(memory)));
    }
    let removed = bury(tables.internals, wanted.types.as_deref(), &opened, &directory, &mut dead)?.entries;

    let mut profile_parts = Vec::new();
    if profiles {
        for segment in segments.iter().rev().filter(|segment| segment.kind == Kind::Profiles) {
            let stream = PageStream::new(&pages, segment.id);
            profile_parts.push((cache::header(&stream).in_segment(segment.id)?, stream.within(memory)));
        }
    }
    let mut source = Source {
        customers: state.customers.saturating_add(u32::try_from(strangers.ids.len()).unwrap_or(u32::MAX)),
        everyone: !state.removed && removed.is_empty() && removed_profiles.is_empty(),
        ..Source::default()
    };
    for (segment, header, stream) in &opened {
        let dead = dead.remove(&segment.id).unwrap_or_default();
        source.events.push(Part { header, stream, dead });
    }
    source.events.push(events.part());
    source.profiles.push(newest.part());
    for (header, stream) in &profile_parts {
        source.profiles.push(Part { header, stream, dead: HashMap::new() });
    }
    for list in plan.lists() {
        let stranger = |hash| strangers.ordinals.get(&hash).copied();
        let found =
            lists::ordinals(tables.internals, list, &state, &directory, (strangers.ids.len(), &stranger), memory)?;
        let Some(ordinals) = found else { return Ok(Err(too_large("a fixed list"))) };
        memory = memory.saturating_sub(ordinals.serialized_size());
        source.lists.insert(list, ordinals);
    }
    for ids in plan.ids() {
        let taken: usize = ids.iter().map(|id| IDS_ENTRY + text_of(id).len()).sum();
        let Some(left) = memory.checked_sub(taken) else { return Ok(Err(too_large("the ids of a table's rows"))) };
        memory = left;
        source.ids_of_rows.push(strangers.ordinals_of(ids, state.key, &directory)?);
    }
    let limits = Limits { memory: memory as u64, check: &interrupts };
    let ids = Customers { directory: Here::new(&directory), sealed: state.customers, strangers: &strangers.ids };
    source.ids = Some(&ids);
    let budget = Budget::new(limits);
    let (answer, threads) = match Question::new(plan, &source, ask.wish, limits, &budget) {
        Ok(question) => threads::answer(question, &pages)?,
        Err(stop) => (Err(stop), 1),
    };
    let answer = match answered("the rule's values and sequences", answer)? {
        Ok(answer) => answer,
        Err(why) => return Ok(Err(why)),
    };
    let cohorts =
        if ask.cohorts { answered("the cohorts", eval::cohorts(plan, &source, limits))? } else { Ok(Vec::new()) };
    let cohorts = match cohorts {
        Ok(cohorts) => cohorts,
        Err(why) => return Ok(Err(why)),
    };
    let universe =
        if ask.universe { Some(eval::universe(&source, as_of, &interrupts).map_err(damaged)?) } else { None };
    Ok(Ok(Evaluated {
        answer,
        universe,
        cohorts,
        tail: tail_rows,
        segments: of_events().count(),
        opened: opened.len(),
        threads,
        directory,
        sealed: state.customers,
        strangers: strangers.ids,
    }))
}

/// The result, or the reason why plain SQL must be used: `what` exceeded the memory limit.
fn answered<T>(what: &str, found: Result<T, Stop>) -> Fallible<Result<T, String>> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(Stop::TooLarge) => Ok(Err(too_large(what))),
        Err(Stop::Damaged(Corrupt::Foreign(what))) => Ok(Err(told(&what))),
        Err(Stop::Damaged(corrupt)) => Err(damaged(corrupt)),
    }
}

/// Describes a segment that another version wrote, if there is one. Opened headers stay in the cache.
fn foreign_segment<'a>(segments: impl Iterator<Item = &'a Segment>, pages: &Rc<Pages>) -> Fallible<Option<String>> {
    for segment in segments {
        let stream = PageStream::new(pages, segment.id);
        let opened = match segment.kind {
            Kind::Customers => cache::customers(&stream).map(drop),
            Kind::Events | Kind::Profiles => cache::header(&stream).map(drop),
        };
        match opened {
            Err(Corrupt::Foreign(what)) => return Ok(Some(format!("segment {}: {what}", segment.id))),
            opened => opened.in_segment(segment.id)?,
        }
    }
    Ok(None)
}

/// Warns of an index in another format, and returns the reason why plain SQL is used.
fn told(what: &str) -> String {
    let what = foreign(what);
    pgrx::warning!("{what}. {REMAKE}");
    what
}

fn wanted<'a>(plan: &'a Plan<'_>, everything: bool) -> Wanted<'a> {
    Wanted {
        types: if everything { None } else { plan.types() },
        with_data: plan.types_with_data(),
        keys: Some(plan.event_keys()),
    }
}

/// The map from ordinals to customers, for segments and the tail.
struct Customers<'a> {
    directory: Here<&'a Directory>,
    sealed: u32,
    strangers: &'a [Box<str>],
}

impl Ids for Customers<'_> {
    fn each(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str)) {
        or_raise(self.directory.ordinals_and_ids(wanted, each));
        for ordinal in wanted.range(self.sealed..) {
            if let Some(id) = self.strangers.get((ordinal - self.sealed) as usize) {
                each(ordinal, id);
            }
        }
    }
}

/// The customer, if only one is evaluated.
struct One<'a>(&'a str);

impl Ids for One<'_> {
    fn each(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str)) {
        if wanted.contains(0) {
            each(0, self.0);
        }
    }
}

/// Customers of the tail that are in no segment. They get ordinals above those of segments.
pub(super) struct Strangers {
    sealed: u32,
    ordinals: ByHash<u32>,
    ids: Vec<Box<str>>,
}

/// Bytes of memory for the hash of an id while the ids of a table's rows are looked up.
const IDS_ENTRY: usize = 64;

/// The text of an id among the values of a table's rows.
fn text_of(id: &Scalar) -> &str {
    match id {
        Scalar::String(id) => id,
        Scalar::Number(_) | Scalar::Bool(_) => "", // ids are read as texts
    }
}

impl Strangers {
    /// An empty map. `sealed` is the number of ordinals of segments.
    pub(super) fn new(sealed: u32) -> Self {
        Self { sealed, ordinals: HashMap::default(), ids: Vec::new() }
    }

    /// The customers of the tail and of segments that have some ids.
    fn ordinals_of(&self, ids: &[Scalar], key: Key, directory: &Directory) -> Fallible<RoaringBitmap> {
        let hashes: Vec<u128> = ids.iter().map(|id| customer_hash(&key, text_of(id))).collect();
        let found = directory.find_hashes(&hashes)?;
        let ordinals = hashes.iter().zip(found).filter_map(|(hash, known)| known.or(self.ordinals.get(hash).copied()));
        Ok(ordinals.collect())
    }

    /// Assigns ordinals to the customers of an intake.
    pub(super) fn number(&mut self, intake: &mut Intake, directory: &Directory) -> Fallible<()> {
        let found = directory.find_hashes(&intake.customers.hashes)?;
        let ordinals: Vec<u32> = intake
            .customers
            .iter()
            .zip(found)
            .map(|((id, hash), known)| {
                known.unwrap_or_else(|| {
                    *self.ordinals.entry(hash).or_insert_with(|| {
                        self.ids.push(id.into());
                        self.sealed + u32::try_from(self.ids.len() - 1).unwrap_or(0)
                    })
                })
            })
            .collect();
        intake.builder.renumber(&ordinals);
        Ok(())
    }
}

/// Whether a plan selects one customer, or the reason why plain SQL must be used. Reads only that customer's rows.
pub(crate) fn contains(plan: &Plan<'_>, customer: &str) -> Fallible<Result<bool, String>> {
    of_customer(plan, customer, |source, limits| Ok(eval::evaluate(plan, source, Wish::default(), limits)?.size > 0))
}

/// For each cohort that a rule references, in the order of the references, whether one customer is a member. Reads that
/// customer's rows once.
pub(crate) fn cohorts_of(plan: &Plan<'_>, customer: &str) -> Fallible<Result<Vec<bool>, String>> {
    of_customer(plan, customer, |source, limits| {
        Ok(eval::cohorts(plan, source, limits)?.iter().map(|members| !members.is_empty()).collect())
    })
}

/// Evaluates a question for one customer and reads only that customer's rows. Otherwise returns the reason why plain
/// SQL must be used.
fn of_customer<T>(
    plan: &Plan<'_>,
    customer: &str,
    ask: impl FnOnce(&Source<'_>, Limits<'_>) -> Result<T, Stop>,
) -> Fallible<Result<T, String>> {
    let memory = settings::eval_memory();
    let tables = tables()?;
    let wanted = wanted(plan, false);
    // Of one customer no ordinal is looked up, so that any key will do.
    let mut events = Intake::new(usize::MAX, Key::default()).within(memory);
    events.customer(customer);
    events::read_events_of(&tables, customer, &wanted, &mut events)?;
    let mut profile = Intake::new(usize::MAX, Key::default()).within(memory.saturating_sub(events.bytes()));
    profile.customer(customer);
    if plan.needs_profiles() {
        events::read_profile_of(&tables, customer, Some(&plan.profile_keys()), &mut profile)?;
    }
    let Some(memory) = memory.checked_sub(events.bytes().saturating_add(profile.bytes())) else {
        return Ok(Err(too_large("the rows of one customer")));
    };
    let (events, profile) = (Memory::new(events)?, Memory::new(profile)?);
    let customer = One(customer);
    let mut source = Source { customers: 1, ..Source::default() };
    source.events.push(events.part());
    source.profiles.push(profile.part());
    for list in plan.lists() {
        if store::on_list(list, customer.0)? {
            source.lists.insert(list, [0].into_iter().collect());
        }
    }
    for ids in plan.ids() {
        let has = ids.iter().any(|id| text_of(id) == customer.0);
        source.ids_of_rows.push(has.then_some(0).into_iter().collect());
    }
    source.ids = Some(&customer);
    let limits = Limits { memory: memory as u64, check: &interrupts };
    answered("the rule's values and sequences", ask(&source, limits))
}
