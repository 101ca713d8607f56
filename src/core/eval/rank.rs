//! `rank`: the customers between two places of a ranking. Who they are is found out before the first chunk is asked: of
//! each ranking the figures are kept, and the places at which it is cut are found without putting it in order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use roaring::RoaringBitmap;

use super::bits::Bits;
use super::compare::{AmountPlan, Bound, Exactly, Total};
use super::limits::{Budget, Stop};
use super::naming::Naming;
use super::plan::Node;
use super::source::Source;
use super::test::{exact_bytes, split};
use super::{Run, chunks, ordinals};
use crate::rule::{Cut, Order, Rank};
use crate::segment::{CHUNK, CHUNK_BITS};

/// Bytes that something allocated takes besides what it holds, about.
const ENTRY: usize = 64;

/// A ranking with fewer is not worth leaving any out.
const LEAST_FULL: usize = 1_024;

/// `rank` made ready.
pub(crate) struct RankPlan {
    pub(crate) figure: AmountPlan,
    order: Order,
    cut: CutPlan,
    /// The keys of the property whose values have rankings of their own.
    pub(crate) by: Option<Vec<String>>,
    inner: Option<Node>,
}

enum CutPlan {
    Top(usize),
    /// As shares of 1.
    Shares(BigDecimal, BigDecimal),
}

impl RankPlan {
    pub(crate) fn new(rank: &Rank, figure: AmountPlan, inner: Option<Node>) -> Self {
        let share = |percent: &crate::value::Number| percent.value() * BigDecimal::new(1.into(), 2);
        let cut = match &rank.cut {
            Cut::Top(top) => CutPlan::Top(usize::try_from(top.value).unwrap_or(usize::MAX)),
            Cut::Percent(from, to) => CutPlan::Shares(share(from), share(to)),
        };
        let by = rank.by.as_ref().map(|property| split(&property.steps).0);
        Self { figure, order: rank.order, cut, by, inner }
    }

    /// The first place that is in and the first that is not, counted from 0, of a ranking of `customers` customers.
    fn places(&self, customers: usize) -> (usize, usize) {
        match &self.cut {
            CutPlan::Top(top) => (0, customers.min(*top)),
            CutPlan::Shares(from, to) => {
                let place = |share: &BigDecimal| {
                    let exact = share * BigDecimal::from(customers as u64);
                    exact.with_scale_round(0, RoundingMode::Ceiling).to_usize().unwrap_or(customers).min(customers)
                };
                (place(from), place(to))
            }
        }
    }

    /// The most places that can be in, from the first on, whatever the number of customers; `None` where that depends on it.
    fn at_most(&self) -> Option<usize> {
        match self.cut {
            CutPlan::Top(top) => Some(top),
            CutPlan::Shares(..) => None,
        }
    }
}

/// A figure, as small as it can be kept.
enum Key {
    /// A mantissa at the scale of [`Scaled`].
    Whole(i64),
    /// The same, divided by how many numbers it is the sum of.
    Mean(i64, u32),
    Other(Box<Total>),
}

/// What keys are in order by.
struct Scaled {
    scale: Option<u8>,
    order: Order,
}

impl Scaled {
    /// The key of a figure, and how many bytes it takes besides its place in a list.
    fn key(&mut self, total: Total) -> (Key, usize) {
        if let Exactly::Small(mantissa, scale) = total.number {
            let common = *self.scale.get_or_insert(scale);
            let shift = common.checked_sub(scale).and_then(|digits| 10_i128.checked_pow(digits.into()));
            let mantissa =
                shift.and_then(|shift| mantissa.checked_mul(shift)).and_then(|wide| i64::try_from(wide).ok());
            match (mantissa, u32::try_from(total.of)) {
                (Some(mantissa), Ok(1)) => return (Key::Whole(mantissa), 0),
                (Some(mantissa), Ok(of)) => return (Key::Mean(mantissa, of), 0),
                _ => {}
            }
        }
        let digits = match &total.number {
            Exactly::Small(..) => 0,
            Exactly::Large(number) => 2 * exact_bytes(number),
        };
        (Key::Other(Box::new(total)), size_of::<Total>() + ENTRY + digits)
    }

    /// Which figure stands first.
    fn compare(&self, left: &Key, right: &Key) -> Ordering {
        let small = |key: &Key| match key {
            Key::Whole(mantissa) => Some((*mantissa, 1)),
            Key::Mean(mantissa, of) => Some((*mantissa, *of)),
            Key::Other(_) => None,
        };
        let order = match (left, right) {
            (Key::Whole(left), Key::Whole(right)) => left.cmp(right),
            _ => match (small(left), small(right)) {
                (Some((left, of_left)), Some((right, of_right))) => {
                    (i128::from(left) * i128::from(of_right)).cmp(&(i128::from(right) * i128::from(of_left)))
                }
                _ => self.total(left).compare(&self.total(right)),
            },
        };
        match self.order {
            Order::Most => order.reverse(),
            Order::Least => order,
        }
    }

    fn total(&self, key: &Key) -> Total {
        let scale = self.scale.unwrap_or(0);
        match key {
            Key::Whole(mantissa) => Total { number: Exactly::Small((*mantissa).into(), scale), of: 1 },
            Key::Mean(mantissa, of) => Total { number: Exactly::Small((*mantissa).into(), scale), of: (*of).into() },
            Key::Other(total) => total.as_ref().clone(),
        }
    }
}

/// One who is ranked.
struct Entrant {
    key: Key,
    ordinal: u32,
}

/// One ranking.
#[derive(Default)]
struct Ranking {
    entrants: Vec<Entrant>,
    /// When it has as many, those behind the last place that can be in are left out.
    full: usize,
}

impl Ranking {
    /// Leaves out all that stand behind the first `most` and those alike.
    fn keep_first(&mut self, most: usize, scaled: &Scaled, budget: &Budget<'_>) {
        budget.worked(self.entrants.len() / 10);
        let (_, last, _) =
            self.entrants.select_nth_unstable_by(most - 1, |left, right| scaled.compare(&left.key, &right.key));
        let last = std::mem::replace(&mut last.key, Key::Whole(0));
        let place = most - 1;
        let mut number = 0;
        self.entrants.retain(|one| {
            number += 1;
            number - 1 == place || scaled.compare(&one.key, &last).is_le()
        });
        if let Some(one) = self.entrants.get_mut(place) {
            one.key = last;
        }
        self.full = 2 * self.entrants.len();
    }

    /// The customers before a place, besides those of a tie that it splits.
    fn before(&mut self, place: usize, scaled: &Scaled, found: &mut RoaringBitmap) -> Option<Split> {
        if place == 0 || place >= self.entrants.len() {
            found.extend(self.entrants.iter().filter(|_| place > 0).map(|one| one.ordinal));
            return None;
        }
        self.entrants.select_nth_unstable_by(place, |left, right| scaled.compare(&left.key, &right.key));
        let key = &self.entrants[place].key;
        let mut split = Split { alike: Vec::new(), wanted: place };
        for one in &self.entrants {
            match scaled.compare(&one.key, key) {
                Ordering::Less => {
                    found.insert(one.ordinal);
                    split.wanted -= 1;
                }
                Ordering::Equal => split.alike.push(one.ordinal),
                Ordering::Greater => {}
            }
        }
        (split.wanted > 0).then_some(split)
    }
}

/// Customers with the same figure, of whom only the first by their ids stand before a place.
struct Split {
    alike: Vec<u32>,
    wanted: usize,
}

/// The rankings as far as customers were looked at.
struct Rankings<'a> {
    plan: &'a RankPlan,
    scaled: Scaled,
    of: Vec<Ranking>,
    budget: &'a Budget<'a>,
    /// Bytes that were taken and are not paid for.
    owed: usize,
    paid: u64,
}

impl<'a> Rankings<'a> {
    fn new(plan: &'a RankPlan, budget: &'a Budget<'a>) -> Self {
        // Values of profiles come at scales of their own: most have room for four digits.
        let scale = match plan.figure {
            AmountPlan::Profile(_) => Some(4),
            AmountPlan::Number(_) | AmountPlan::Events(_) => None,
        };
        Self { plan, scaled: Scaled { scale, order: plan.order }, of: Vec::new(), budget, owed: 0, paid: 0 }
    }

    fn add(&mut self, ranking: usize, ordinal: u32, total: Total) {
        if self.of.len() <= ranking {
            self.owed += (ranking + 1 - self.of.len()) * (size_of::<Ranking>() + ENTRY);
            self.of.resize_with(ranking + 1, Ranking::default);
        }
        let (key, bytes) = self.scaled.key(total);
        let ranking = &mut self.of[ranking];
        let room = ranking.entrants.capacity();
        ranking.entrants.push(Entrant { key, ordinal });
        self.owed += bytes + (ranking.entrants.capacity() - room) * size_of::<Entrant>();
        if let Some(most) = self.plan.at_most()
            && ranking.entrants.len() >= ranking.full.max(most.saturating_mul(2)).max(LEAST_FULL)
        {
            ranking.keep_first(most, &self.scaled, self.budget);
        }
    }

    fn pay(&mut self) -> Result<(), Stop> {
        let bytes = std::mem::take(&mut self.owed) as u64;
        self.budget.take(bytes)?;
        self.paid += bytes;
        Ok(())
    }

    /// Who stands at the places that are in.
    fn cut(mut self, source: &Source<'_>) -> Result<RoaringBitmap, Stop> {
        let (mut within, mut before) = (RoaringBitmap::new(), RoaringBitmap::new());
        let (mut splits_within, mut splits_before) = (Vec::new(), Vec::new());
        for mut ranking in std::mem::take(&mut self.of) {
            self.budget.worked(50 + ranking.entrants.len() / 10);
            let (from, to) = self.plan.places(ranking.entrants.len());
            splits_within.extend(ranking.before(to, &self.scaled, &mut within));
            splits_before.extend(ranking.before(from, &self.scaled, &mut before));
            let alike =
                [&splits_within, &splits_before].map(|splits| splits.last().map_or(0, |split| split.alike.len()));
            self.owed += alike.iter().sum::<usize>() * size_of::<u32>();
            self.pay()?;
        }
        first_by_id(&splits_within, source, self.budget, &mut within)?;
        first_by_id(&splits_before, source, self.budget, &mut before)?;
        self.budget.give(self.paid);
        Ok(within - before)
    }
}

/// What an id takes that is kept.
fn room_for(id: &str) -> u64 {
    (id.len() + size_of::<(Box<str>, u32)>() + ENTRY) as u64
}

/// Adds the customers of each tie who stand before the place that splits it.
fn first_by_id(
    splits: &[Split],
    source: &Source<'_>,
    budget: &Budget<'_>,
    found: &mut RoaringBitmap,
) -> Result<(), Stop> {
    if splits.is_empty() {
        return Ok(());
    }
    let Some(ids) = source.ids else { return Err(Stop::TooLarge) };
    let mut alike: Vec<(u32, usize)> = Vec::new();
    for (number, split) in splits.iter().enumerate() {
        budget.take((split.alike.len() * size_of::<(u32, usize)>()) as u64)?;
        alike.extend(split.alike.iter().map(|ordinal| (*ordinal, number)));
    }
    alike.sort_unstable();
    let all: RoaringBitmap = alike.iter().map(|(ordinal, _)| *ordinal).collect();
    let mut first: Vec<BinaryHeap<(Box<str>, u32)>> = splits.iter().map(|_| BinaryHeap::new()).collect();
    let mut left = alike.iter().peekable();
    let (mut bytes, mut enough) = (0, Ok(()));
    ids.each(&all, &mut |ordinal, id| {
        while left.next_if(|(next, _)| *next < ordinal).is_some() {}
        while let Some((_, number)) = left.next_if(|(next, _)| *next == ordinal) {
            if enough.is_err() {
                return;
            }
            let (heap, wanted) = (&mut first[*number], splits[*number].wanted);
            if heap.len() == wanted {
                if heap.peek().is_none_or(|(last, _)| id >= &**last) {
                    continue;
                }
                let last = heap.pop().map_or(0, |(last, _)| room_for(&last));
                budget.give(last);
                bytes -= last;
            }
            enough = budget.take(room_for(id));
            bytes += room_for(id);
            heap.push((id.into(), ordinal));
        }
    });
    enough?;
    found.extend(first.into_iter().flatten().map(|(_, ordinal)| ordinal));
    budget.give(bytes);
    Ok(())
}

impl<'a> Run<'a> {
    /// The customers between the places of a ranking.
    pub(super) fn rank(&mut self, rank: &'a RankPlan, budget: &'a Budget<'a>) -> Result<RoaringBitmap, Stop> {
        /// Of a customer without a group.
        const NONE: u32 = u32::MAX;
        let mut figure = Bound::new(self.plan, &rank.figure, self.source, &self.references, budget)?;
        let by = rank.by.as_ref().map(|keys| Naming::new(keys, self.source, budget, 0));
        let mut naming = by.transpose()?;
        let mut rankings = Rankings::new(rank, budget);
        let mut groups = vec![0; CHUNK];
        for chunk in 0..chunks(self.source) {
            (self.check)();
            let mut wanted = ordinals(self.source, chunk);
            if let Some(naming) = &mut naming {
                groups.fill(NONE);
                wanted = Bits::none();
                naming.chunk(chunk, &mut |low, number| {
                    groups[low as usize] = number;
                    wanted.insert(low);
                })?;
            }
            if let Some(inner) = &rank.inner {
                self.begin();
                wanted = self.node(chunk, inner, &wanted)?;
            }
            if wanted.is_empty() {
                continue;
            }
            figure.each(chunk, &wanted, &mut |low, total| {
                rankings.add(groups[low as usize] as usize, u32::from(chunk) << CHUNK_BITS | low, total);
            })?;
            rankings.pay()?;
        }
        rankings.cut(self.source)
    }
}
