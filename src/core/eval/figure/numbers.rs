//! Sums, averages and extremes in whole numbers of 64 or 128 bits.

use std::sync::Arc;

use super::super::bits::Bits;
use super::super::by_code::ByCode;
use super::super::compare::Exactly;
use super::super::plan::AggregatePlan;
use super::super::rows::ones;
use super::bounds::{Bounds, comparison};
use super::values::Values;
use crate::rule::Figure;
use crate::segment::column::Reader;
use crate::segment::dictionary::Mantissas;
use crate::segment::item::Numeric;
use crate::segment::{CHUNK, CHUNK_MASK, Corrupt, PACK};

/// The numeric values of one column at the common scale.
#[derive(Clone)]
pub(super) struct Scaled<'a, T> {
    pub(super) reader: Reader<'a>,
    /// The code of the first number.
    first: u32,
    numbers: Arc<ScaledNumbers<T>>,
    others: Arc<ByCode<T>>,
}

/// Numbers by their place among the codes of numbers.
enum ScaledNumbers<T> {
    List(Vec<T>),
    /// An arithmetic sequence: starting at `smallest`, `step` apart.
    Run {
        smallest: T,
        step: T,
        codes: u32,
    },
}

/// Sums, averages and extremes in whole numbers.
#[derive(Clone)]
pub(crate) struct Numbers<'a, T> {
    figure: &'a Figure,
    /// By group.
    pub(super) columns: Vec<Vec<Scaled<'a, T>>>,
    scale: u8,
    /// By ordinal: the figure so far.
    accumulators: Vec<T>,
    /// Who has a value at all.
    touched: Bits,
    /// By ordinal, of averages only: how many values.
    counts: Vec<u32>,
}

impl<'a, T: Width> Numbers<'a, T> {
    pub(super) fn new(
        aggregate: &'a AggregatePlan,
        columns: Vec<Vec<Values<'a>>>,
        scale: u8,
        narrow: impl Fn(i128) -> T,
    ) -> Self {
        let scaled = |column: Values<'a>| {
            let shift = 10_i128.pow(u32::from(scale.saturating_sub(column.digits)));
            let numbers = match column.mantissas {
                Mantissas::Run(smallest, codes) => {
                    ScaledNumbers::Run { smallest: narrow(i128::from(smallest) * shift), step: narrow(shift), codes }
                }
                Mantissas::List(list) => {
                    ScaledNumbers::List(list.into_iter().map(|mantissa| narrow(i128::from(mantissa) * shift)).collect())
                }
            };
            let others = column.others.map(|value| match value {
                Numeric::Small(number) => narrow(number.at_scale(scale)),
                Numeric::Large(_) => narrow(0), // told apart before: these are exact numbers' work
            });
            Scaled { reader: column.reader, first: column.first, numbers: Arc::new(numbers), others: Arc::new(others) }
        };
        Self {
            figure: &aggregate.figure,
            columns: columns.into_iter().map(|group| group.into_iter().map(scaled).collect()).collect(),
            scale,
            accumulators: Vec::new(),
            touched: Bits::none(),
            counts: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        self.accumulators.clear();
        self.accumulators.resize(CHUNK, T::default());
        self.touched = Bits::none();
        if matches!(self.figure, Figure::Avg(_)) {
            self.counts.clear();
            self.counts.resize(CHUNK, 0);
        }
    }

    pub(super) fn add(&mut self, group: usize, pack: usize, ordinals: &[u32; PACK], rows: u128) -> Result<(), Corrupt> {
        let (accumulators, touched, counts) = (&mut self.accumulators, &mut self.touched, &mut self.counts);
        let columns = &mut self.columns[group];
        let slot = |ordinal: u32| (ordinal & CHUNK_MASK) as usize;
        match self.figure {
            Figure::Min(_) => each_value(columns, pack, ordinals, rows, |ordinal, value| {
                let so_far = &mut accumulators[slot(ordinal)];
                *so_far = if touched.contains(ordinal) { value.min(*so_far) } else { value };
                touched.insert(ordinal);
            }),
            Figure::Max(_) => each_value(columns, pack, ordinals, rows, |ordinal, value| {
                let so_far = &mut accumulators[slot(ordinal)];
                *so_far = if touched.contains(ordinal) { value.max(*so_far) } else { value };
                touched.insert(ordinal);
            }),
            Figure::Avg(_) => each_value(columns, pack, ordinals, rows, |ordinal, value| {
                accumulators[slot(ordinal)] += value;
                counts[slot(ordinal)] += 1;
                touched.insert(ordinal);
            }),
            Figure::Sum(_) => each_value(columns, pack, ordinals, rows, |ordinal, value| {
                accumulators[slot(ordinal)] += value;
                touched.insert(ordinal);
            }),
            Figure::CountDistinct(_) | Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_) => {
                unreachable!("these have their values counted as scalars")
            }
        }
    }

    pub(super) fn satisfied(&self) -> Bits {
        let Some(limits) = comparison(self.figure).map(|comparison| Bounds::new(comparison, self.scale)) else {
            return Bits::none();
        };
        if matches!(self.figure, Figure::Avg(_)) {
            let mut bits = Bits::none();
            for ordinal in self.touched.iter() {
                let (sum, count) = (self.accumulators[ordinal as usize], self.counts[ordinal as usize]);
                if limits.average(sum.into(), count) {
                    bits.insert(ordinal);
                }
            }
            return bits;
        }
        // The limits in the accumulators' own width; a limit beyond it is none.
        let (low, high) = (T::saturated(limits.low), T::saturated(limits.high));
        let nobody = limits.low > high.into() || limits.high < low.into();
        let outside = limits.outside;
        let mut bits =
            Bits::of_values(&self.accumulators, |value| (!nobody && low <= value && value <= high) != outside);
        bits.intersect(&self.touched);
        bits
    }
}

impl<T: Width> Numbers<'_, T> {
    pub(super) fn each(&self, each: &mut dyn FnMut(u32, Exactly, u64)) {
        for ordinal in self.touched.iter() {
            let number = Exactly::Small(self.accumulators[ordinal as usize].into(), self.scale);
            let of = if matches!(self.figure, Figure::Avg(_)) { self.counts[ordinal as usize].into() } else { 1 };
            each(ordinal, number, of);
        }
    }
}

/// Passes the values of some rows of a pack to a function.
fn each_value<T: Width>(
    columns: &mut [Scaled<'_, T>],
    pack: usize,
    ordinals: &[u32; PACK],
    rows: u128,
    mut each: impl FnMut(u32, T),
) -> Result<(), Corrupt> {
    let mut codes = [0_u32; PACK];
    for Scaled { reader, first, numbers, others } in columns {
        reader.small(pack, &mut codes)?;
        let other = |place: usize, each: &mut dyn FnMut(u32, T)| {
            for value in others.get(codes[place]) {
                each(ordinals[place], *value);
            }
        };
        match &**numbers {
            ScaledNumbers::List(list) => {
                for place in ones(rows) {
                    match list.get(codes[place].wrapping_sub(*first) as usize) {
                        Some(value) => each(ordinals[place], *value),
                        None => other(place, &mut each),
                    }
                }
            }
            ScaledNumbers::Run { smallest, step, codes: count } => {
                for place in ones(rows) {
                    let number = codes[place].wrapping_sub(*first);
                    if number < *count {
                        each(ordinals[place], *smallest + step.times(number));
                    } else {
                        other(place, &mut each);
                    }
                }
            }
        }
    }
    Ok(())
}

/// A width in which figures are added up.
pub(crate) trait Width:
    Copy + Ord + Default + std::ops::Add<Output = Self> + std::ops::AddAssign + Into<i128>
{
    /// The number, or the nearest one that there is.
    fn saturated(wide: i128) -> Self;
    /// The product. What it reaches was bounded before.
    fn times(self, factor: u32) -> Self;
}

impl Width for i64 {
    fn saturated(wide: i128) -> Self {
        Self::try_from(wide).unwrap_or(if wide < 0 { Self::MIN } else { Self::MAX })
    }

    fn times(self, factor: u32) -> Self {
        self.wrapping_mul(Self::from(factor))
    }
}

impl Width for i128 {
    fn saturated(wide: i128) -> Self {
        wide
    }

    fn times(self, factor: u32) -> Self {
        self.wrapping_mul(Self::from(factor))
    }
}
