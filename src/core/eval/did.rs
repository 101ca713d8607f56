//! `did`, chunk by chunk.

use super::bits::Bits;
use super::clock::Clock;
use super::figure::Figures;
use super::limits::{Budget, Stop};
use super::matching::Matching;
use super::plan::{DidPlan, Plan};
use super::refer::References;
use super::rows::{Bound, Rows, ones};
use super::source::{Part, Source};
use super::time::{Offsets, Timed};
use crate::segment::ids::IdReader;
use crate::segment::times::Times;
use crate::segment::{CHUNK, CHUNK_MASK, Entry, PACK};

/// A condition bound to every group that it looks at.
#[derive(Clone)]
pub(crate) struct Did<'a> {
    pub(super) plan: &'a DidPlan,
    pub(super) groups: Vec<Matching<'a>>,
    pub(super) clock: Clock<'a>,
    pub(super) offsets: Offsets<'a>,
    pub(super) timed: Timed<'a>,
    pub(super) figures: Option<Figures<'a>>,
    pub(super) counters: Vec<u32>,
    pub(super) budget: &'a Budget<'a>,
    /// Count matching events even where only their existence matters.
    exactly: bool,
    /// Between which times the events of all groups lie.
    times: (i64, i64),
    /// Matching events seen.
    pub(crate) events: u64,
    pub(crate) skipped: usize,
}

/// The groups of some event types in a part.
pub(crate) fn groups<'a>(part: &'a Part<'a>, types: Option<&[String]>) -> impl Iterator<Item = &'a Entry> {
    let wanted: Option<Vec<String>> = types.map(<[String]>::to_vec);
    part.header.groups.iter().filter(move |entry| wanted.as_ref().is_none_or(|types| types.contains(&entry.name)))
}

/// Does something for each row of a mask; full packs, which are common, go without looking for bits.
fn for_each(rows: u128, mut each: impl FnMut(usize)) {
    if rows == u128::MAX {
        (0..PACK).for_each(each);
    } else {
        ones(rows).for_each(&mut each);
    }
}

impl<'a> Did<'a> {
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        did: &'a DidPlan,
        source: &'a Source<'a>,
        exactly: bool,
        references: &References<'a>,
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        let clock = plan.clock(&did.zone);
        let timed = Timed::new(plan, &did.time, source, references, budget)?;
        let mut bound = Self {
            plan: did,
            groups: Vec::new(),
            clock,
            offsets: Offsets::new(clock),
            timed,
            figures: None,
            counters: Vec::new(),
            budget,
            exactly,
            times: (i64::MAX, i64::MIN),
            events: 0,
            skipped: 0,
        };
        // Which event is a customer's first is asked of all events that exist; the window is asked of that one.
        let window = if did.occurrence.is_some() { (i64::MIN, plan.as_of) } else { did.time.window };
        for part in &source.events {
            for entry in groups(part, did.types.as_deref()) {
                let Some(rows) = Rows::new(part, entry, window)? else {
                    bound.skipped += 1;
                    continue;
                };
                let group = rows.group;
                bound.times = (bound.times.0.min(entry.first), bound.times.1.max(entry.last));
                let filter = Bound::new(&did.filter, group, part.stream, &clock, references)?;
                if matches!(filter, Bound::Nothing) && did.occurrence.is_none() {
                    bound.skipped += 1;
                    continue;
                }
                let instants = Times::new(group, part.stream);
                let mut one = None;
                if did.occurrence.is_some() {
                    let among = Bound::new(&did.among, group, part.stream, &clock, references)?;
                    one = Some((IdReader::new(part.stream, &group.ids), among));
                }
                bound.groups.push(Matching { rows, filter, times: instants, one });
            }
        }
        if let Some(aggregate) = &did.aggregate {
            bound.figures = Some(Figures::new(aggregate, &bound.groups, budget)?);
        }
        Ok(bound)
    }

    pub(crate) fn parts(&self) -> usize {
        self.groups.len()
    }

    /// Whether the stored set of a chunk's customers answers for a group.
    fn by_set(&self, matching: &Matching<'a>, chunk: u16) -> bool {
        !self.exactly
            && self.plan.existence().is_some()
            && self.timed.is_window()
            && matches!(matching.filter, Bound::All)
            && matching.rows.whole()
            && matching.rows.group.has_set(chunk)
    }

    /// Reads what all chunks need.
    pub(super) fn prepare(&mut self) -> Result<(), Stop> {
        self.timed.prepare(self.times)?;
        if self.plan.periods.is_some() {
            self.offsets.prepare(self.times);
        }
        for Matching { rows, filter, one, .. } in &mut self.groups {
            match one {
                Some((ids, _)) => ids.prepare()?,
                None => rows.prepare(filter)?,
            }
        }
        Ok(())
    }

    /// Whether chunks are asked without the calendar, once it is [prepared](Self::prepare).
    pub(super) fn is_prepared(&self) -> bool {
        self.timed.is_prepared()
    }

    /// Says that a chunk will be asked.
    pub(super) fn foresee(&mut self, chunk: u16) -> Result<(), Stop> {
        self.timed.foresee(chunk)?;
        for number in 0..self.groups.len() {
            if self.by_set(&self.groups[number], chunk) {
                let rows = &self.groups[number].rows;
                rows.group.foresee_customers(chunk, rows.stream);
                continue;
            }
            let Matching { rows, filter, times, one } = &mut self.groups[number];
            let packs = match one {
                Some(_) => rows.foresee(chunk, None),
                None => rows.foresee(chunk, Some(filter)),
            };
            let Some(packs) = packs else { continue };
            if let Some((ids, among)) = one {
                ids.foresee(&packs);
                among.foresee(&packs);
                filter.foresee(&packs);
            }
            if one.is_some() || self.plan.periods.is_some() || !self.timed.is_window() {
                times.foresee(&packs);
            }
            if let Some(figures) = &mut self.figures {
                figures.foresee(number, &packs);
            }
        }
        Ok(())
    }

    /// About how many rows are looked at.
    pub(super) fn looked_at(&self) -> u64 {
        /// Rows for each of which a stored set takes about as long as a scan does for one.
        const OF_SET: u64 = 64;
        let rows = self.groups.iter().map(|matching| {
            let by_set = self.by_set(matching, 0);
            matching.rows.looked_at(&matching.filter) / if by_set { OF_SET } else { 1 }
        });
        rows.sum::<u64>().saturating_add(self.timed.looked_at())
    }

    /// Bytes that a copy takes.
    pub(super) fn copy_bytes(&self) -> u64 {
        self.timed.copy_bytes() + self.figures.as_ref().map_or(0, Figures::copy_bytes)
    }

    /// Those of the wanted customers of a chunk for whom the condition holds.
    pub(crate) fn chunk(&mut self, chunk: u16, wanted: &Bits) -> Result<Bits, Stop> {
        let some = wanted.fewer_than(CHUNK as u64 / 8).then_some(wanted);
        self.timed.begin(chunk, some)?;
        if let Some(periods) = &self.plan.periods {
            let mut bits = self.periodic(chunk, some, wanted, periods)?;
            bits.intersect(wanted);
            return Ok(bits);
        }
        let mut bits = match (self.plan.occurrence, self.plan.existence()) {
            (Some(occurrence), _) => {
                let bits = self.one(chunk, some, occurrence)?;
                self.events += bits.len();
                bits
            }
            (None, Some(exists)) => {
                let mut bits = self.exists(chunk, some)?;
                if !exists {
                    let mut absent = wanted.clone();
                    absent.subtract(&bits);
                    bits = absent;
                }
                bits
            }
            (None, None) => self.counted(chunk, some)?,
        };
        bits.intersect(wanted);
        Ok(bits)
    }

    fn exists(&mut self, chunk: u16, wanted: Option<&Bits>) -> Result<Bits, Stop> {
        let mut bits = Bits::none();
        let mut timed = (!self.timed.is_window()).then_some(&mut self.timed);
        for matching in &mut self.groups {
            let stored = matching.rows.group.has_set(chunk);
            if !self.exactly
                && stored
                && timed.is_none()
                && matches!(matching.filter, Bound::All)
                && matching.rows.whole()
            {
                if let Some(set) = matching.rows.group.customers(chunk, matching.rows.stream)? {
                    bits.add(&set);
                }
                continue;
            }
            let (filter, instants, events) = (&mut matching.filter, &mut matching.times, &mut self.events);
            matching.rows.scan(chunk, wanted, Some(filter), |pack, ordinals, mut rows| {
                if let Some(timed) = &mut timed {
                    rows = timed.mask(instants, pack, ordinals, rows)?;
                }
                *events += u64::from(rows.count_ones());
                for_each(rows, |place| bits.insert(ordinals[place]));
                Ok::<(), Stop>(())
            })?;
        }
        Ok(bits)
    }

    fn counted(&mut self, chunk: u16, wanted: Option<&Bits>) -> Result<Bits, Stop> {
        let plan = self.plan;
        // Figures count for themselves, unless how many events there are is asked as well.
        let count = self.figures.is_none() || plan.count.is_some();
        if count {
            self.counters.clear();
            self.counters.resize(CHUNK, 0);
        }
        if let Some(figures) = &mut self.figures {
            figures.begin();
        }
        let mut timed = (!self.timed.is_window()).then_some(&mut self.timed);
        for (number, matching) in self.groups.iter_mut().enumerate() {
            let (filter, instants, events) = (&mut matching.filter, &mut matching.times, &mut self.events);
            let (counters, figures) = (&mut self.counters, &mut self.figures);
            matching.rows.scan(chunk, wanted, Some(filter), |pack, ordinals, mut rows| {
                if let Some(timed) = &mut timed {
                    rows = timed.mask(instants, pack, ordinals, rows)?;
                }
                *events += u64::from(rows.count_ones());
                if count {
                    for_each(rows, |place| counters[(ordinals[place] & CHUNK_MASK) as usize] += 1);
                }
                if let Some(figures) = figures {
                    if let Some(wanted) = wanted {
                        for place in ones(rows) {
                            if !wanted.contains(ordinals[place]) {
                                rows &= !(1 << place);
                            }
                        }
                    }
                    if rows != 0 {
                        figures.add(number, pack, ordinals, rows)?;
                    }
                }
                Ok::<(), Stop>(())
            })?;
        }
        let by_count = |counters: &[u32]| {
            let (low, high, outside) = plan.bounds();
            let width = high.wrapping_sub(low);
            Bits::of_values(counters, |events| (events.wrapping_sub(low) <= width) != outside)
        };
        match &mut self.figures {
            None => Ok(by_count(&self.counters)),
            Some(figures) => {
                let mut bits = figures.satisfied();
                if count {
                    bits.intersect(&by_count(&self.counters));
                }
                Ok(bits)
            }
        }
    }
}
