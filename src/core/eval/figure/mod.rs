//! Figures over a customer's matching events: sums and extremes of numbers, distinct and most frequent scalars.
//!
//! Numbers are whole: all values of the property, in all groups, are brought to one scale. Where that exceeds what 64
//! or 128 bits hold, exact decimals take over, slower and without limit.

mod bounds;
mod exact;
mod numbers;
mod scalars;
mod values;

use std::collections::HashMap;
use std::ops::Range;

use super::bits::Bits;
use super::compare::Exactly;
use super::limits::{Budget, Stop};
use super::matching::Matching;
use super::plan::AggregatePlan;
use crate::rule::Figure;
use crate::segment::PACK;
use crate::segment::column::Reader;
use exact::ExactNumbers;
use numbers::Numbers;
pub(super) use scalars::Scalar;
use scalars::Scalars;
use values::{Values, values_of};

/// Bytes that an entry of a map takes besides what it holds, about.
const ENTRY: usize = 64;

/// A figure bound to the groups of a condition.
#[derive(Clone)]
pub(crate) enum Figures<'a> {
    Small(Numbers<'a, i64>),
    Wide(Numbers<'a, i128>),
    Exact(ExactNumbers<'a>),
    Scalars(Scalars<'a>),
}

impl<'a> Figures<'a> {
    pub(crate) fn new(
        aggregate: &'a AggregatePlan,
        groups: &[Matching<'a>],
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        if matches!(aggregate.figure, Figure::CountDistinct(_) | Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_))
        {
            return Ok(Self::Scalars(Scalars::new(aggregate, groups, budget)?));
        }
        let mut columns = Vec::new();
        for matching in groups {
            columns.push(values_of(aggregate, matching, budget)?);
        }
        let rows: i128 = groups.iter().map(|matching| i128::from(matching.rows.group.rows)).sum();
        // The one scale, and the largest magnitude that a sum can reach at it.
        let all = || columns.iter().flatten();
        let scale = all().map(Values::scale).max().unwrap_or(0);
        let elements: i128 = all().map(|column| column.elements as i128).max().unwrap_or(1);
        let most = all().try_fold(0, |most: i128, column| column.most(scale).map(|more| more.max(most)));
        let large = all().any(Values::large);
        let reach = most.filter(|_| !large).and_then(|most| most.checked_mul(rows.max(1))?.checked_mul(elements));
        Ok(match reach {
            Some(reach) if reach < i128::from(i64::MAX / 4) => {
                Self::Small(Numbers::new(aggregate, columns, scale, |wide| i64::try_from(wide).unwrap_or(0)))
            }
            Some(reach) if reach < i128::MAX / 4 => Self::Wide(Numbers::new(aggregate, columns, scale, |wide| wide)),
            _ => Self::Exact(ExactNumbers { figure: &aggregate.figure, columns, of: HashMap::new(), budget, taken: 0 }),
        })
    }

    /// Says that rows of some packs of a group will be added.
    pub(crate) fn foresee(&mut self, group: usize, packs: &Range<usize>) {
        fn all<'r, 'a: 'r>(readers: impl Iterator<Item = &'r mut Reader<'a>>, packs: &Range<usize>) {
            readers.for_each(|reader| reader.foresee(packs));
        }
        match self {
            Self::Small(numbers) => all(numbers.columns[group].iter_mut().map(|column| &mut column.reader), packs),
            Self::Wide(numbers) => all(numbers.columns[group].iter_mut().map(|column| &mut column.reader), packs),
            Self::Exact(numbers) => all(numbers.columns[group].iter_mut().map(|column| &mut column.reader), packs),
            Self::Scalars(scalars) => all(scalars.columns[group].iter_mut().map(|column| &mut column.reader), packs),
        }
    }

    /// Bytes that a copy takes, besides the bytes that are charged when a chunk is evaluated.
    pub(crate) fn copy_bytes(&self) -> u64 {
        match self {
            Self::Small(_) | Self::Wide(_) => 0,
            Self::Exact(numbers) => numbers.columns.iter().flatten().map(Values::bytes).sum(),
            Self::Scalars(scalars) => {
                let known = scalars.columns.iter().flatten().map(|column| size_of_val(column.known.as_slice()));
                let met = scalars.met.iter().map(|scalar| 2 * (size_of::<Scalar>() + scalar.text().len()) + ENTRY);
                let lists = scalars.lists.iter().map(|list| size_of_val(list.as_slice()) + ENTRY);
                known.chain(met).chain(lists).sum::<usize>() as u64
            }
        }
    }

    /// Begins a chunk.
    pub(crate) fn begin(&mut self) {
        match self {
            Self::Small(numbers) => numbers.begin(),
            Self::Wide(numbers) => numbers.begin(),
            Self::Exact(numbers) => numbers.begin(),
            Self::Scalars(scalars) => scalars.begin(),
        }
    }

    /// Adds matching rows of a group.
    pub(crate) fn add(&mut self, group: usize, pack: usize, ordinals: &[u32; PACK], rows: u128) -> Result<(), Stop> {
        match self {
            Self::Small(numbers) => Ok(numbers.add(group, pack, ordinals, rows)?),
            Self::Wide(numbers) => Ok(numbers.add(group, pack, ordinals, rows)?),
            Self::Exact(numbers) => numbers.add(group, pack, ordinals, rows),
            Self::Scalars(scalars) => scalars.add(group, pack, ordinals, rows),
        }
    }

    /// Passes on the figures: the ordinal, the number, and of how many values it is the average (else 1).
    pub(super) fn each(&mut self, each: &mut dyn FnMut(u32, Exactly, u64)) {
        match self {
            Self::Small(numbers) => numbers.each(each),
            Self::Wide(numbers) => numbers.each(each),
            Self::Exact(numbers) => {
                let average = matches!(numbers.figure, Figure::Avg(_));
                for (ordinal, (number, count)) in &numbers.of {
                    each(*ordinal, Exactly::Large(number.clone()), if average { *count } else { 1 });
                }
            }
            Self::Scalars(scalars) => scalars.each_number(each),
        }
    }

    /// The customers whose figure satisfies the comparison.
    pub(crate) fn satisfied(&mut self) -> Bits {
        match self {
            Self::Small(numbers) => numbers.satisfied(),
            Self::Wide(numbers) => numbers.satisfied(),
            Self::Exact(numbers) => numbers.satisfied(),
            Self::Scalars(scalars) => scalars.satisfied(),
        }
    }
}
