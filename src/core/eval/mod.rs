//! A plan over a source: which customers a rule selects.
//!
//! Every condition decides each customer alone, so a rule is evaluated chunk by chunk, 65,536 ordinals at a time:
//! counters and sets fit in the processor's cache, and memory does not grow with the number of customers.

pub(crate) mod bits;
mod by_code;
mod clock;
mod codes;
mod compare;
mod did;
mod figure;
mod group;
mod json;
mod limits;
mod matching;
mod naming;
mod needs;
mod occurrence;
mod periods;
mod plan;
mod profiles;
mod question;
mod rank;
mod refer;
mod rows;
mod sample;
mod sequence;
mod source;
mod test;
mod time;
mod values;

use std::sync::Arc;

use roaring::RoaringBitmap;

pub use clock::Calendar;
pub use json::rest_values;
pub use limits::{Budget, Limits, Stop};
pub use plan::Plan;
pub(crate) use plan::holds;
pub use question::{Divided, Found, Question, Worker};
pub use source::{Ids, Part, Source};
pub use test::anniversary_between;

use crate::segment::{CHUNK, Corrupt};
use bits::Bits;
use compare::Compared;
use did::Did;
use plan::{CohortPlan, Node, SetPlan};
use refer::References;
use rows::{Bound, Rows, ones};
use sequence::Sequence;

/// What a rule selects, and what it took.
#[derive(Debug, Default)]
pub struct Answer {
    /// The members' ordinals, where they were asked for.
    pub members: RoaringBitmap,
    /// How many members there are.
    pub size: u64,
    /// Events that conditions counted.
    pub events: u64,
    /// Groups of events that were read.
    pub groups: usize,
    /// Groups that could be left out: outside the window, or without a value that matches.
    pub skipped: usize,
}

#[derive(Clone)]
struct Run<'a> {
    plan: &'a Plan<'a>,
    source: &'a Source<'a>,
    references: References<'a>,
    dids: Vec<Did<'a>>,
    profiles: Vec<Profile<'a>>,
    sequences: Vec<Sequence<'a>>,
    compares: Vec<Compared<'a>>,
    /// The customers of sets that are found before any chunk is asked.
    sets: Vec<Arc<RoaringBitmap>>,
    /// Of the chunk being evaluated: the members of cohorts, as far as they are known.
    cohorts: Vec<Option<Bits>>,
    universe: Option<Bits>,
    check: &'a (dyn Fn() + Sync),
}

/// A property of profiles, bound to every part.
#[derive(Clone)]
struct Profile<'a> {
    parts: Vec<Option<(Rows<'a>, Bound<'a>)>>,
}

/// What an evaluation is to find out besides how many members there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// Who they are.
    pub members: bool,
    /// The exact number of matching events of every condition, even where a stored set of customers would do.
    pub events: bool,
}

/// The customers that a rule selects.
///
/// # Errors
/// When a segment is damaged, or more memory would be needed.
pub fn evaluate(plan: &Plan<'_>, source: &Source<'_>, wish: Wish, limits: Limits<'_>) -> Result<Answer, Stop> {
    Question::new(plan, source, wish, limits, &Budget::new(limits))?.answer(Vec::new())
}

/// The members of each cohort that the rule itself names, in the order in which it names them first.
///
/// # Errors
/// When a segment is damaged, or more memory would be needed.
pub fn cohorts(plan: &Plan<'_>, source: &Source<'_>, limits: Limits<'_>) -> Result<Vec<RoaringBitmap>, Stop> {
    let budget = Budget::new(limits);
    let mut run = Run::new(plan, source, false, limits, &budget)?;
    let mut sets = vec![RoaringBitmap::new(); plan.named.len()];
    for chunk in 0..chunks(source) {
        (limits.check)();
        run.begin();
        for (set, cohort) in sets.iter_mut().zip(&plan.named) {
            *set |= run.cohort(chunk, *cohort)?.to_roaring(chunk);
        }
    }
    Ok(sets)
}

/// Everyone: customers with a profile, or with an event up to the instant.
///
/// # Errors
/// When a segment is damaged.
pub fn universe(source: &Source<'_>, as_of: i64, check: &dyn Fn()) -> Result<RoaringBitmap, Corrupt> {
    let mut all = RoaringBitmap::new();
    for chunk in 0..chunks(source) {
        check();
        all |= universe_of_chunk(source, as_of, chunk)?.to_roaring(chunk);
    }
    Ok(all)
}

fn chunks(source: &Source<'_>) -> u16 {
    // 65,536 chunks would be all ordinals there are; the last of them is out of reach.
    u16::try_from((source.customers as usize).div_ceil(CHUNK)).unwrap_or(u16::MAX)
}

/// The ordinals of a chunk that may belong to somebody.
fn ordinals(source: &Source<'_>, chunk: u16) -> Bits {
    Bits::first((source.customers as usize).saturating_sub(usize::from(chunk) * CHUNK).min(CHUNK))
}

fn reaches_beyond(part: &Part<'_>, as_of: i64) -> bool {
    part.header.times().is_some_and(|(_, last)| last > as_of)
}

/// Whether everyone with an event in a part is in the universe.
fn is_whole(part: &Part<'_>, as_of: i64) -> bool {
    !reaches_beyond(part, as_of) && part.dead.values().all(RoaringBitmap::is_empty)
}

/// Whether every ordinal is somebody's in the universe.
fn universe_by_ordinals(source: &Source<'_>, as_of: i64) -> bool {
    source.everyone && !source.events.iter().any(|part| reaches_beyond(part, as_of))
}

fn universe_of_chunk(source: &Source<'_>, as_of: i64, chunk: u16) -> Result<Bits, Corrupt> {
    if universe_by_ordinals(source, as_of) {
        return Ok(ordinals(source, chunk));
    }
    let mut bits = Bits::none();
    let mut newer = Bits::none();
    for part in &source.profiles {
        let (here, removed) = profiles_of_chunk(part, chunk)?;
        let mut live = here.clone();
        live.subtract(&newer);
        bits.union(&live);
        newer.union(&here);
        newer.union(&removed);
    }
    for part in &source.events {
        if is_whole(part, as_of) {
            if let Some(set) = part.header.customers(chunk, part.stream)? {
                bits.add(&set);
            }
            continue;
        }
        for entry in &part.header.groups {
            let Some(mut rows) = Rows::new(part, entry, (i64::MIN, as_of))? else { continue };
            rows.scan(chunk, None, None, |_, ordinals, rows| {
                ones(rows).for_each(|place| bits.insert(ordinals[place]));
                Ok::<(), Corrupt>(())
            })?;
        }
    }
    Ok(bits)
}

/// The customers of a chunk that have a profile in a part, and those whose profile it says is gone.
fn profiles_of_chunk(part: &Part<'_>, chunk: u16) -> Result<(Bits, Bits), Corrupt> {
    let (mut here, mut removed) = (Bits::none(), Bits::none());
    if let Some(set) = part.header.customers(chunk, part.stream)? {
        here.add(&set);
    }
    if let Some(set) = part.header.removed(chunk, part.stream)? {
        removed.add(&set);
    }
    removed.subtract(&here);
    Ok((here, removed))
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan<'a>,
        source: &'a Source<'a>,
        exactly: bool,
        limits: Limits<'a>,
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        let check = limits.check;
        if !plan.sequences.is_empty() {
            // Their events, one sequence at a time.
            budget.take(limits.memory / sequence::SHARE)?;
        }
        plan.prepare(budget, check)?;
        let mut run = Run {
            plan,
            source,
            references: References::new(plan, source, budget, check)?,
            dids: Vec::new(),
            profiles: Vec::new(),
            sequences: Vec::new(),
            compares: Vec::new(),
            sets: Vec::new(),
            cohorts: Vec::new(),
            universe: None,
            check,
        };
        for did in &plan.dids {
            check();
            run.dids.push(Did::new(plan, did, source, exactly, &run.references, budget)?);
        }
        for profile in &plan.profiles {
            check();
            let clock = plan.clock(&profile.zone);
            let mut parts = Vec::new();
            for part in &source.profiles {
                let entry = part.header.groups.first();
                let rows = entry.map(|entry| Rows::new(part, entry, (i64::MIN, i64::MAX))).transpose()?.flatten();
                let bound = |rows: Rows<'a>| {
                    Bound::new(&profile.pred, rows.group, part.stream, &clock, &run.references)
                        .map(|bound| (rows, bound))
                };
                parts.push(rows.map(bound).transpose()?);
            }
            run.profiles.push(Profile { parts });
        }
        for sequence in &plan.sequences {
            check();
            run.sequences.push(Sequence::new(plan, sequence, source, limits, &run.references, budget)?);
        }
        for compare in &plan.compares {
            check();
            run.compares.push(Compared::new(plan, compare, source, &run.references, budget)?);
        }
        run.compare_all(budget)?;
        run.find_sets(budget)?;
        Ok(run)
    }

    /// Finds the sets of which other customers decide, inner ones first.
    fn find_sets(&mut self, budget: &'a Budget<'a>) -> Result<(), Stop> {
        let plan: &'a Plan<'a> = self.plan;
        for set in &plan.sets {
            let set = match set {
                SetPlan::Group(group) => self.group(group, budget)?,
                SetPlan::Rank(rank) => self.rank(rank, budget)?,
            };
            self.sets.push(Arc::new(set));
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.cohorts = self.plan.cohorts.iter().map(|_| None).collect();
        self.universe = None;
    }

    fn chunk(&mut self, chunk: u16) -> Result<Bits, Stop> {
        self.begin();
        self.members(chunk, &self.plan.top)
    }

    /// The members of a whole rule.
    fn members(&mut self, chunk: u16, node: &Node) -> Result<Bits, Stop> {
        let wanted = if self.plan.open(node) { self.universe(chunk)? } else { ordinals(self.source, chunk) };
        self.node(chunk, node, &wanted)
    }

    fn universe(&mut self, chunk: u16) -> Result<Bits, Corrupt> {
        if let Some(known) = &self.universe {
            return Ok(known.clone());
        }
        let bits = universe_of_chunk(self.source, self.plan.as_of, chunk)?;
        self.universe = Some(bits.clone());
        Ok(bits)
    }

    /// Those of some customers for whom a condition holds.
    fn node(&mut self, chunk: u16, node: &Node, wanted: &Bits) -> Result<Bits, Stop> {
        (self.check)();
        if wanted.is_empty() {
            return Ok(Bits::none());
        }
        match node {
            Node::And(list) => {
                let mut left = wanted.clone();
                for node in list {
                    left = self.node(chunk, node, &left)?;
                }
                Ok(left)
            }
            Node::Or(list) => {
                let (mut found, mut left) = (Bits::none(), wanted.clone());
                for node in list {
                    let more = self.node(chunk, node, &left)?;
                    left.subtract(&more);
                    found.union(&more);
                }
                Ok(found)
            }
            Node::Not(inner) => {
                let mut left = wanted.clone();
                left.subtract(&self.node(chunk, inner, wanted)?);
                Ok(left)
            }
            Node::Did(did) => self.dids[*did].chunk(chunk, wanted),
            Node::Profile(profile) => Ok(self.profile(chunk, *profile, wanted)?),
            Node::Sequence(sequence) => {
                let mut bits = self.sequences[*sequence].chunk(chunk, wanted)?;
                bits.intersect(wanted);
                Ok(bits)
            }
            Node::Compare(compare) => self.compares[*compare].chunk(chunk, wanted),
            Node::Set(set) => {
                let mut bits = Bits::of_chunk(&self.sets[*set], chunk);
                bits.intersect(wanted);
                Ok(bits)
            }
            Node::Ids(ids) => {
                let mut bits = match self.source.ids_of_rows.get(*ids) {
                    Some(customers) => Bits::of_chunk(customers, chunk),
                    None => Bits::none(),
                };
                bits.intersect(wanted);
                if !bits.is_empty() {
                    bits.intersect(&self.universe(chunk)?);
                }
                Ok(bits)
            }
            Node::Sample(sample) => Ok(self.plan.samples[*sample].chunk(chunk, wanted, self.source)),
            Node::Cohort(cohort) => {
                let mut bits = self.cohort(chunk, *cohort)?;
                bits.intersect(wanted);
                Ok(bits)
            }
        }
    }

    fn profile(&mut self, chunk: u16, number: usize, wanted: &Bits) -> Result<Bits, Corrupt> {
        let (mut found, mut newer) = (Bits::none(), Bits::none());
        for (part, bound) in self.source.profiles.iter().zip(&mut self.profiles[number].parts) {
            if let Some((rows, bound)) = bound {
                let newer = &newer;
                rows.scan(chunk, None, Some(bound), |_, ordinals, rows| {
                    for place in ones(rows) {
                        if !newer.contains(ordinals[place]) {
                            found.insert(ordinals[place]);
                        }
                    }
                    Ok::<(), Corrupt>(())
                })?;
            }
            let (here, removed) = profiles_of_chunk(part, chunk)?;
            newer.union(&here);
            newer.union(&removed);
        }
        if self.plan.profiles[number].negated {
            let mut others = wanted.clone();
            others.subtract(&found);
            return Ok(others);
        }
        found.intersect(wanted);
        Ok(found)
    }

    fn cohort(&mut self, chunk: u16, number: usize) -> Result<Bits, Stop> {
        if let Some(known) = &self.cohorts[number] {
            return Ok(known.clone());
        }
        let bits = match &self.plan.cohorts[number] {
            CohortPlan::Rule(node) => self.members(chunk, node)?,
            CohortPlan::List(id) => {
                let mut bits = match self.source.lists.get(id) {
                    Some(list) => Bits::of_chunk(list, chunk),
                    None => Bits::none(),
                };
                if !bits.is_empty() {
                    bits.intersect(&self.universe(chunk)?);
                }
                bits
            }
        };
        self.cohorts[number] = Some(bits.clone());
        Ok(bits)
    }
}
