//! A plan bound to a source, to be asked chunk by chunk: by one thread, or by several that share nothing but what is read
//! before. Answers do not depend on how many there are.

use std::collections::HashSet;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::limits::{Budget, Limits, Stop};
use super::plan::{CohortPlan, Node, Plan};
use super::rows::Rows;
use super::source::{Part, Source};
use super::{Answer, Did, Run, Wish, chunks, universe_by_ordinals};

/// A rule to be answered.
pub struct Question<'a> {
    run: Run<'a>,
    leaves: Leaves,
    wish: Wish,
    budget: &'a Budget<'a>,
    /// What was left of the budget when it was divided.
    left: Option<u64>,
}

/// What is found out about a chunk.
#[derive(Debug, Default)]
pub struct Found {
    size: u64,
    members: RoaringBitmap,
    /// Events that conditions counted.
    events: u64,
}

impl<'a> Question<'a> {
    /// Binds a plan.
    ///
    /// # Errors
    /// When a segment is damaged, or more memory would be needed.
    pub fn new(
        plan: &'a Plan<'a>,
        source: &'a Source<'a>,
        wish: Wish,
        limits: Limits<'a>,
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        let run = Run::new(plan, source, wish.events, limits, budget)?;
        Ok(Self { run, leaves: Leaves::of(plan), wish, budget, left: None })
    }

    /// How many chunks there are.
    #[must_use]
    pub fn chunks(&self) -> u16 {
        chunks(self.run.source)
    }

    /// About how many rows are looked at, those of other kinds of conditions counted as rows that take as long.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let Self { run, leaves, .. } = self;
        let dids = leaves.dids.iter().map(|did| run.dids[*did].looked_at());
        let compares = leaves.compares.iter().map(|compare| run.compares[*compare].looked_at());
        let sequences = leaves.sequences.iter().map(|sequence| run.sequences[*sequence].looked_at());
        let profiles = leaves.profiles.iter().flat_map(|profile| &run.profiles[*profile].parts).flatten();
        let profiles = profiles.map(|(rows, bound)| rows.looked_at(bound));
        dids.chain(compares).chain(sequences).chain(profiles).fold(0, u64::saturating_add)
    }

    /// Reads ahead what all chunks need, so that a number of threads can answer them. `None` where one thread has to: the
    /// question asks what only that one can find out, or memory is lacking for the others, or something cannot be read,
    /// which the answer will say.
    pub fn divide(&mut self, threads: usize) -> Option<Divided<'a>> {
        let left = self.budget.left();
        let divided = self.prepare(threads).unwrap_or(false);
        if !divided {
            self.budget.restore(left);
            return None;
        }
        self.left = Some(left);
        let mut run = self.run.clone();
        run.sequences.iter_mut().for_each(|sequence| sequence.divide(threads));
        Some(Divided { run: Arc::new(run), wish: self.wish })
    }

    fn prepare(&mut self, threads: usize) -> Result<bool, Stop> {
        let Self { run, leaves, .. } = self;
        let mut prepared = !leaves.samples;
        for did in &leaves.dids {
            let did = &mut run.dids[*did];
            did.prepare()?;
            prepared &= did.is_prepared();
        }
        for compare in &leaves.compares {
            let compare = &mut run.compares[*compare];
            compare.prepare()?;
            prepared &= compare.is_prepared();
        }
        for sequence in &leaves.sequences {
            let sequence = &mut run.sequences[*sequence];
            sequence.prepare()?;
            prepared &= sequence.is_prepared();
        }
        for profile in &leaves.profiles {
            for (rows, bound) in run.profiles[*profile].parts.iter_mut().flatten() {
                rows.prepare(bound)?;
            }
        }
        let dids = run.dids.iter().map(Did::copy_bytes);
        let compares = run.compares.iter().map(super::Compared::copy_bytes);
        let sequences = run.sequences.iter().map(super::Sequence::copy_bytes);
        let bytes: u64 = dids.chain(compares).chain(sequences).sum();
        // The first copy is of no thread.
        self.budget.take(bytes.saturating_mul(threads as u64 + 1))?;
        Ok(prepared)
    }

    /// Tells the streams what a chunk will read, as far as it can be known; the rest cannot be read by others.
    pub fn foresee(&mut self, chunk: u16) {
        // What is damaged is not foreseen: whoever answers the chunk says so.
        let _ = self.foresee_all(chunk);
    }

    fn foresee_all(&mut self, chunk: u16) -> Result<(), Stop> {
        let Self { run, leaves, .. } = self;
        for did in &leaves.dids {
            run.dids[*did].foresee(chunk)?;
        }
        for compare in &leaves.compares {
            run.compares[*compare].foresee(chunk)?;
        }
        for sequence in &leaves.sequences {
            run.sequences[*sequence].foresee(chunk)?;
        }
        for profile in &leaves.profiles {
            for (rows, bound) in run.profiles[*profile].parts.iter_mut().flatten() {
                rows.foresee(chunk, Some(bound));
            }
        }
        let source = run.source;
        if leaves.universe && !universe_by_ordinals(source, run.plan.as_of) {
            for part in &source.events {
                foresee_universe(part, run.plan.as_of, chunk)?;
            }
        }
        if leaves.universe || !leaves.profiles.is_empty() {
            for part in &source.profiles {
                part.header.foresee_customers(chunk, part.stream)?;
            }
        }
        Ok(())
    }

    /// The answer, with what is known of chunks already, by their number: what others have not found out is found out here.
    ///
    /// # Errors
    /// When a segment is damaged, or more memory would be needed: that of the first chunk of which it is true.
    pub fn answer(mut self, mut known: Vec<Option<Result<Found, Stop>>>) -> Result<Answer, Stop> {
        let mut answer = Answer { events: self.run.events(), ..Answer::default() };
        if let Some(left) = self.left {
            // Nobody else is at work any more, and what they took is free.
            self.budget.restore(left);
        }
        known.resize_with(self.chunks().into(), || None);
        for (chunk, known) in (0..).zip(known) {
            (self.run.check)();
            let found = match known {
                // Memory may have lacked because others used it at the same time.
                None | Some(Err(Stop::TooLarge)) => self.run.find(chunk, self.wish)?,
                Some(known) => known?,
            };
            answer.size += found.size;
            answer.events += found.events;
            answer.members |= found.members;
        }
        answer.groups = self.run.dids.iter().map(Did::parts).sum();
        answer.skipped = self.run.dids.iter().map(|did| did.skipped).sum();
        Ok(answer)
    }
}

/// What a part is read for when everyone is asked for.
fn foresee_universe(part: &Part<'_>, as_of: i64, chunk: u16) -> Result<(), Stop> {
    if super::is_whole(part, as_of) {
        return Ok(part.header.foresee_customers(chunk, part.stream)?);
    }
    for entry in &part.header.groups {
        if let Some(mut rows) = Rows::new(part, entry, (i64::MIN, as_of))? {
            rows.foresee(chunk, None);
        }
    }
    Ok(())
}

/// A question that several threads answer, a chunk each at a time.
#[derive(Clone)]
pub struct Divided<'a> {
    run: Arc<Run<'a>>,
    wish: Wish,
}

impl<'a> Divided<'a> {
    /// What one thread answers with. After it has unwound it is of no use.
    #[must_use]
    pub fn worker(&self) -> Worker<'a> {
        Worker { run: (*self.run).clone(), wish: self.wish }
    }
}

/// What one thread answers with.
pub struct Worker<'a> {
    run: Run<'a>,
    wish: Wish,
}

impl Worker<'_> {
    /// Answers a chunk.
    ///
    /// # Errors
    /// When a segment is damaged, or more memory would be needed.
    pub fn find(&mut self, chunk: u16) -> Result<Found, Stop> {
        self.run.find(chunk, self.wish)
    }
}

impl Run<'_> {
    fn events(&self) -> u64 {
        self.dids.iter().map(|did| did.events).sum()
    }

    fn find(&mut self, chunk: u16, wish: Wish) -> Result<Found, Stop> {
        let before = self.events();
        let bits = self.chunk(chunk)?;
        let members = if wish.members && !bits.is_empty() { bits.to_roaring(chunk) } else { RoaringBitmap::new() };
        Ok(Found { size: bits.len(), members, events: self.events() - before })
    }
}

/// The conditions that are evaluated chunk by chunk. Conditions that found sets of customers before are not among them.
#[derive(Default)]
struct Leaves {
    dids: Vec<usize>,
    compares: Vec<usize>,
    sequences: Vec<usize>,
    profiles: Vec<usize>,
    samples: bool,
    /// Whether it is asked who there is.
    universe: bool,
    cohorts: HashSet<usize>,
}

impl Leaves {
    fn of(plan: &Plan<'_>) -> Self {
        let mut leaves = Self { universe: plan.open(&plan.top), ..Self::default() };
        leaves.add(plan, &plan.top);
        leaves
    }

    fn add(&mut self, plan: &Plan<'_>, node: &Node) {
        match node {
            Node::And(list) | Node::Or(list) => list.iter().for_each(|node| self.add(plan, node)),
            Node::Not(inner) => self.add(plan, inner),
            Node::Did(did) => self.dids.push(*did),
            Node::Profile(profile) => self.profiles.push(*profile),
            Node::Sequence(sequence) => self.sequences.push(*sequence),
            Node::Compare(compare) => self.compares.push(*compare),
            Node::Sample(_) => self.samples = true,
            Node::Ids(_) => self.universe = true,
            Node::Set(_) => {}
            Node::Cohort(cohort) => {
                if self.cohorts.insert(*cohort) {
                    match &plan.cohorts[*cohort] {
                        CohortPlan::Rule(node) => {
                            self.universe |= plan.open(node);
                            self.add(plan, node);
                        }
                        CohortPlan::List(_) => self.universe = true,
                    }
                }
            }
        }
    }
}

/// Threads take part in what is theirs to hold.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Divided<'_>>();
    shared::<Worker<'_>>();
    shared::<Found>();
};
