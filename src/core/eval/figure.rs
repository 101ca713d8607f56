//! Figures over a customer's matching events: sums and extremes of numbers, distinct and most frequent scalars.
//!
//! Numbers are whole: all values of the property, in all groups, are brought to one scale. Where that exceeds what 64
//! or 128 bits hold, exact decimals take over, slower and without limit.

#![expect(
    clippy::cast_possible_truncation,
    reason = "ordinals and scalars are taken out of the halves of 64 bits that hold them"
)]

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::bits::Bits;
use super::by_code::ByCode;
use super::codes::each_item;
use super::compare::Exactly;
use super::did::Matching;
use super::limits::{Budget, Stop};
use super::plan::{AggregatePlan, wanted};
use super::rows::ones;
use super::test::{Equal, exact_bytes};
use crate::rule::{Comparison, Figure};
use crate::segment::column::Reader;
use crate::segment::dictionary::{Loaded, Mantissas};
use crate::segment::item::{Item, Numeric};
use crate::segment::{CHUNK, CHUNK_MASK, Corrupt, PACK};
use crate::value::{Number, plain};

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

/// The numeric values of one column, by code.
#[derive(Clone)]
struct Values<'a> {
    reader: Reader<'a>,
    first: u32,
    mantissas: Mantissas,
    digits: u8,
    /// Codes outside `mantissas`: strings that are numbers, numbers that do not fit, arrays.
    others: ByCode<Numeric>,
    /// The most values of one row.
    elements: usize,
}

impl Values<'_> {
    fn bytes(&self) -> u64 {
        let listed = match &self.mantissas {
            Mantissas::List(list) => size_of_val(list.as_slice()),
            Mantissas::Run(..) => 0,
        };
        let others = self.others.values().map(|number| 2 * size_of::<Numeric>() + numeric_bytes(number));
        (listed + others.sum::<usize>()) as u64
    }

    fn scale(&self) -> u8 {
        let others = self.others.values().map(|value| match value {
            Numeric::Small(number) => number.scale,
            Numeric::Large(_) => 0,
        });
        let own = if self.mantissas.is_empty() { 0 } else { self.digits };
        others.max().unwrap_or(0).max(own)
    }

    fn large(&self) -> bool {
        self.others.values().any(|value| matches!(value, Numeric::Large(_)))
    }

    /// The largest magnitude at a scale.
    fn most(&self, scale: u8) -> Option<i128> {
        let shift = 10_i128.checked_pow(u32::from(scale.saturating_sub(self.digits)))?;
        let (first, last) = self.mantissas.ends().unwrap_or_default();
        let mut most = i128::from(first).abs().max(i128::from(last).abs()).checked_mul(shift)?;
        for value in self.others.values() {
            if let Numeric::Small(number) = value {
                most = most.max(number.at_scale(scale).abs());
            }
        }
        Some(most)
    }
}

/// The columns of a group that hold the property's values.
fn values_of<'a>(
    aggregate: &AggregatePlan,
    matching: &Matching<'a>,
    budget: &Budget<'_>,
) -> Result<Vec<Values<'a>>, Stop> {
    let stream = matching.rows.stream;
    let mut columns = Vec::new();
    for property in &matching.rows.group.properties {
        let dictionary = &property.dictionary;
        let mut values = Values {
            reader: Reader::new(stream, &property.codes),
            first: dictionary.numbers().start,
            mantissas: Mantissas::List(Vec::new()),
            digits: dictionary.scale(),
            others: ByCode::default(),
            elements: 1,
        };
        let mut others = Vec::new();
        let plain_values = property.path == aggregate.keys && aggregate.inside.is_empty() && !property.path.is_empty();
        if plain_values {
            // As they are, and brought to the scale of all.
            budget.take(u64::from(dictionary.listed_numbers()) * size_of::<(i64, i128)>() as u64)?;
            values.mantissas = dictionary.mantissas(stream)?;
            others.push(dictionary.bigs());
            if dictionary.numeric_texts {
                others.push(dictionary.texts());
            }
        } else if property.path.is_empty() || aggregate.keys.starts_with(&property.path) {
            others.push(dictionary.jsons());
        }
        for codes in others {
            budget.take(ByCode::<Numeric>::bytes(&codes))?;
            values.others.begin(&codes);
            let mut room = Ok(());
            dictionary.each(stream, codes, &mut |_, item| {
                budget.worked(3);
                let bytes = values.others.add(|numbers| {
                    let before = numbers.len();
                    if room.is_ok() {
                        each_item(item, &property.path, &aggregate.keys, &aggregate.inside, &mut |item| {
                            numbers.extend(item.numeric());
                        });
                    }
                    let found = &numbers[before..];
                    values.elements = values.elements.max(found.len());
                    found.iter().map(|number| 2 * size_of::<Numeric>() + numeric_bytes(number)).sum::<usize>()
                });
                if room.is_ok() {
                    // Beyond 2^32 values they are too many as well.
                    room = bytes.ok_or(Stop::TooLarge).and_then(|bytes| budget.take(bytes as u64));
                }
            })?;
            room?;
        }
        if !values.mantissas.is_empty() || !values.others.is_empty() {
            columns.push(values);
        }
    }
    Ok(columns)
}

/// Bytes that a number takes besides its place in a list.
fn numeric_bytes(number: &Numeric) -> usize {
    match number {
        Numeric::Small(_) => 0,
        Numeric::Large(number) => ENTRY + exact_bytes(number),
    }
}

/// The numeric values of one column at the common scale.
#[derive(Clone)]
struct Scaled<'a, T> {
    reader: Reader<'a>,
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
    columns: Vec<Vec<Scaled<'a, T>>>,
    scale: u8,
    /// By ordinal: the figure so far.
    accumulators: Vec<T>,
    /// Who has a value at all.
    touched: Bits,
    /// By ordinal, of averages only: how many values.
    counts: Vec<u32>,
}

impl<'a, T: Width> Numbers<'a, T> {
    fn new(aggregate: &'a AggregatePlan, columns: Vec<Vec<Values<'a>>>, scale: u8, narrow: impl Fn(i128) -> T) -> Self {
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

    fn begin(&mut self) {
        self.accumulators.clear();
        self.accumulators.resize(CHUNK, T::default());
        self.touched = Bits::none();
        if matches!(self.figure, Figure::Avg(_)) {
            self.counts.clear();
            self.counts.resize(CHUNK, 0);
        }
    }

    fn add(&mut self, group: usize, pack: usize, ordinals: &[u32; PACK], rows: u128) -> Result<(), Corrupt> {
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

    fn satisfied(&self) -> Bits {
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
    fn each(&self, each: &mut dyn FnMut(u32, Exactly, u64)) {
        for ordinal in self.touched.iter() {
            let number = Exactly::Small(self.accumulators[ordinal as usize].into(), self.scale);
            let of = if matches!(self.figure, Figure::Avg(_)) { self.counts[ordinal as usize].into() } else { 1 };
            each(ordinal, number, of);
        }
    }
}

impl Scalars<'_> {
    /// Passes on how many different scalars each customer has.
    fn each_number(&mut self, each: &mut dyn FnMut(u32, Exactly, u64)) {
        self.pairs.sort_unstable();
        for one in self.pairs.chunk_by(|left, right| left >> 32 == right >> 32) {
            let distinct = one.chunk_by(|left, right| left == right).count();
            each((one[0] >> 32) as u32, Exactly::Small(distinct as i128, 0), 1);
        }
    }
}

/// Hands out the values of some rows of a pack.
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

/// The comparison of a figure of numbers.
fn comparison(figure: &Figure) -> Option<&Comparison<Number>> {
    match figure {
        Figure::Sum(comparison)
        | Figure::Avg(comparison)
        | Figure::Min(comparison)
        | Figure::Max(comparison)
        | Figure::CountDistinct(comparison) => Some(comparison),
        Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_) => None,
    }
}

/// A comparison with a number at a scale, as whole numbers.
struct Bounds {
    /// From one to another, both included.
    low: i128,
    high: i128,
    /// Whether it is the numbers outside that satisfy it.
    outside: bool,
    exact: Comparison<BigDecimal>,
    scale: u8,
}

impl Bounds {
    fn new(comparison: &Comparison<Number>, scale: u8) -> Self {
        let exact = match comparison {
            Comparison::Eq(number) => Comparison::Eq(number.value().clone()),
            Comparison::Neq(number) => Comparison::Neq(number.value().clone()),
            Comparison::Gt(number) => Comparison::Gt(number.value().clone()),
            Comparison::Gte(number) => Comparison::Gte(number.value().clone()),
            Comparison::Lt(number) => Comparison::Lt(number.value().clone()),
            Comparison::Lte(number) => Comparison::Lte(number.value().clone()),
            Comparison::Between(low, high) => Comparison::Between(low.value().clone(), high.value().clone()),
        };
        let (low, high, outside) = match &exact {
            Comparison::Eq(number) => (ceiling(number, scale), floor(number, scale), false),
            Comparison::Neq(number) => (ceiling(number, scale), floor(number, scale), true),
            Comparison::Gt(number) => (floor(number, scale).saturating_add(1), i128::MAX, false),
            Comparison::Gte(number) => (ceiling(number, scale), i128::MAX, false),
            Comparison::Lt(number) => (i128::MIN, ceiling(number, scale).saturating_sub(1), false),
            Comparison::Lte(number) => (i128::MIN, floor(number, scale), false),
            Comparison::Between(low, high) => (ceiling(low, scale), floor(high, scale), false),
        };
        Self { low, high, outside, exact, scale }
    }

    fn holds(&self, value: i128) -> bool {
        (self.low <= value && value <= self.high) != self.outside
    }

    /// The same of `sum / count`: the sum is compared with the number times the count, so that nothing is rounded.
    fn average(&self, sum: i128, count: u32) -> bool {
        // Where the sum divides without remainder, whole numbers decide.
        let (quotient, remainder) = (sum.div_euclid(i128::from(count)), sum.rem_euclid(i128::from(count)));
        if remainder == 0 {
            return self.holds(quotient);
        }
        let sum = BigDecimal::new(BigInt::from(sum), i64::from(self.scale));
        compare_average(&self.exact, &sum, u64::from(count))
    }
}

/// The smallest whole number not below `number × 10^scale`, as far as 128 bits go.
fn ceiling(number: &BigDecimal, scale: u8) -> i128 {
    rounded(number, scale, true)
}

/// The largest whole number not above it.
fn floor(number: &BigDecimal, scale: u8) -> i128 {
    rounded(number, scale, false)
}

fn rounded(number: &BigDecimal, scale: u8, up: bool) -> i128 {
    let (digits, exponent) = number.normalized().into_bigint_and_exponent();
    let shift = i64::from(scale) - exponent;
    let negative = digits < BigInt::from(0);
    let saturated = if negative { i128::MIN } else { i128::MAX };
    if shift >= 0 {
        if digits == BigInt::from(0) {
            return 0;
        }
        // 10^39 exceeds 128 bits: no need to compute what a rule with a huge exponent says.
        let Some(power) = u32::try_from(shift).ok().filter(|shift| *shift < 60) else { return saturated };
        return i128::try_from(digits * BigInt::from(10).pow(power)).unwrap_or(saturated);
    }
    let divisor = BigInt::from(10).pow(u32::try_from(-shift).unwrap_or(u32::MAX));
    let quotient = &digits / &divisor;
    let exact = &quotient * &divisor == digits;
    let quotient = i128::try_from(quotient).unwrap_or(saturated);
    match (exact, up, negative) {
        (false, true, false) => quotient.saturating_add(1),
        (false, false, true) => quotient.saturating_sub(1),
        _ => quotient,
    }
}

fn compare_average(comparison: &Comparison<BigDecimal>, sum: &BigDecimal, count: u64) -> bool {
    let times = |number: &BigDecimal| sum.cmp(&(number * BigDecimal::from(count)));
    satisfies(comparison, times)
}

fn satisfies(comparison: &Comparison<BigDecimal>, compare: impl Fn(&BigDecimal) -> Ordering) -> bool {
    match comparison {
        Comparison::Eq(number) => compare(number).is_eq(),
        Comparison::Neq(number) => compare(number).is_ne(),
        Comparison::Gt(number) => compare(number).is_gt(),
        Comparison::Gte(number) => compare(number).is_ge(),
        Comparison::Lt(number) => compare(number).is_lt(),
        Comparison::Lte(number) => compare(number).is_le(),
        Comparison::Between(low, high) => compare(low).is_ge() && compare(high).is_le(),
    }
}

/// The same in exact decimals.
pub(crate) struct ExactNumbers<'a> {
    figure: &'a Figure,
    columns: Vec<Vec<Values<'a>>>,
    of: HashMap<u32, (BigDecimal, u64)>,
    budget: &'a Budget<'a>,
    /// Bytes that are paid for what the chunk's customers have.
    taken: u64,
}

/// Without what a chunk's customers have.
impl Clone for ExactNumbers<'_> {
    fn clone(&self) -> Self {
        Self { columns: self.columns.clone(), of: HashMap::new(), taken: 0, ..*self }
    }
}

impl ExactNumbers<'_> {
    fn begin(&mut self) {
        self.of.clear();
        self.budget.give(std::mem::take(&mut self.taken));
    }

    fn add(&mut self, group: usize, pack: usize, ordinals: &[u32; PACK], rows: u128) -> Result<(), Stop> {
        let (of, figure, budget, taken) = (&mut self.of, self.figure, self.budget, &mut self.taken);
        let mut put = |ordinal: u32, value: BigDecimal| {
            let (before, after) = match of.entry(ordinal) {
                Entry::Vacant(empty) => {
                    let bytes = 2 * ENTRY + exact_bytes(&value);
                    empty.insert((value, 1));
                    (0, bytes)
                }
                Entry::Occupied(mut entry) => {
                    let (so_far, count) = entry.get_mut();
                    let before = exact_bytes(so_far);
                    *count += 1;
                    match figure {
                        Figure::Min(_) if value < *so_far => *so_far = value,
                        Figure::Max(_) if value > *so_far => *so_far = value,
                        Figure::Min(_) | Figure::Max(_) => {}
                        Figure::Sum(_) | Figure::Avg(_) => *so_far += value,
                        Figure::CountDistinct(_) | Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_) => {
                            unreachable!("these have their values counted as scalars")
                        }
                    }
                    (before, exact_bytes(so_far))
                }
            };
            // Digits are added to one another at some ten bytes a nanosecond, and brought to one scale more slowly.
            // An addition of exact decimals takes some microseconds.
            budget.worked(10 + after / 64);
            let more = after.saturating_sub(before) as u64;
            budget.take(more)?;
            *taken += more;
            Ok::<(), Stop>(())
        };
        let mut codes = [0_u32; PACK];
        for column in &mut self.columns[group] {
            column.reader.small(pack, &mut codes)?;
            for place in ones(rows) {
                if let Some(mantissa) = column.mantissas.get(codes[place].wrapping_sub(column.first)) {
                    put(ordinals[place], BigDecimal::new(BigInt::from(mantissa), i64::from(column.digits)))?;
                } else {
                    for value in column.others.get(codes[place]) {
                        put(ordinals[place], value.exact())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn satisfied(&self) -> Bits {
        let mut bits = Bits::none();
        let Some(comparison) = comparison(self.figure) else { return bits };
        let limits = Bounds::new(comparison, 0);
        for (ordinal, (value, count)) in &self.of {
            self.budget.worked(5 + exact_bytes(value) / 64);
            let holds = match self.figure {
                Figure::Avg(_) => compare_average(&limits.exact, value, *count),
                Figure::Sum(_) | Figure::Min(_) | Figure::Max(_) | Figure::CountDistinct(_) => {
                    satisfies(&limits.exact, |number| value.cmp(number))
                }
                Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_) => false,
            };
            if holds {
                bits.insert(*ordinal);
            }
        }
        bits
    }
}

/// A scalar, by value: numbers are one whatever their digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Scalar {
    Bool(bool),
    /// The shortest plain decimal.
    Number(String),
    Text(String),
}

impl Scalar {
    pub(super) fn of(item: Item) -> Option<Self> {
        match item {
            Item::Bool(value) => Some(Self::Bool(value)),
            Item::Number(_) | Item::Big(_) => item.numeric().map(|number| Self::Number(plain(&number.exact()))),
            Item::Text(text) => Some(Self::Text(text.to_owned())),
            Item::Json(_) => None,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(text) | Self::Text(text) => text,
        }
    }

    fn equals(&self, wanted: &Equal) -> bool {
        match self {
            Self::Bool(value) => wanted.holds(&Item::Bool(*value)),
            Self::Number(text) => wanted.holds(&Item::Big(text)),
            Self::Text(text) => wanted.holds(&Item::Text(text)),
        }
    }
}

/// One column of scalars.
#[derive(Clone)]
struct ScalarColumn<'a> {
    reader: Reader<'a>,
    path: &'a [String],
    loaded: Arc<Loaded<'a>>,
    /// By code, once it is known: its scalar, or [`LISTED`] and where its scalars are in `lists`.
    known: Vec<u32>,
}

/// Makes room for more pairs, which is paid for before it is taken.
fn grow(pairs: &mut Vec<u64>, more: usize, paid: &mut usize, budget: &Budget<'_>) -> Result<(), Stop> {
    let needed = pairs.len() + more;
    if needed > *paid {
        let room = needed.max(*paid * 2).max(1 << 10);
        budget.take(((room - *paid) * size_of::<u64>()) as u64)?;
        *paid = room;
        pairs.reserve_exact(room - pairs.len());
    }
    Ok(())
}

/// Of a code that was not met.
const UNKNOWN: u32 = u32::MAX;
/// Of a code that has not exactly one scalar.
const LISTED: u32 = 1 << 31;

/// Distinct and most frequent scalars.
pub(crate) struct Scalars<'a> {
    aggregate: &'a AggregatePlan,
    columns: Vec<Vec<ScalarColumn<'a>>>,
    numbers: HashMap<Scalar, u32>,
    met: Vec<Scalar>,
    /// The scalars of each value that was met.
    lists: Vec<Vec<u32>>,
    /// Ordinal (high half) and scalar (low half) of the chunk's matching events: one number sorts faster than a pair.
    pairs: Vec<u64>,
    budget: &'a Budget<'a>,
    /// The number of pairs that are charged to the budget.
    paid: usize,
}

/// Without the pairs of a chunk.
impl Clone for Scalars<'_> {
    fn clone(&self) -> Self {
        Self {
            columns: self.columns.clone(),
            numbers: self.numbers.clone(),
            met: self.met.clone(),
            lists: self.lists.clone(),
            pairs: Vec::new(),
            paid: 0,
            ..*self
        }
    }
}

impl<'a> Scalars<'a> {
    fn new(aggregate: &'a AggregatePlan, groups: &[Matching<'a>], budget: &'a Budget<'a>) -> Result<Self, Stop> {
        let mut columns = Vec::new();
        for matching in groups {
            let stream = matching.rows.stream;
            let mut of_group = Vec::new();
            for property in &matching.rows.group.properties {
                if aggregate.keys.starts_with(&property.path) {
                    let codes = property.dictionary.len() as usize + 1;
                    budget.take(property.dictionary.loaded_bytes() + (codes * size_of::<u32>()) as u64)?;
                    of_group.push(ScalarColumn {
                        reader: Reader::new(stream, &property.codes),
                        path: &property.path,
                        loaded: Arc::new(property.dictionary.load(stream)?),
                        known: vec![UNKNOWN; codes],
                    });
                }
            }
            columns.push(of_group);
        }
        Ok(Self {
            aggregate,
            columns,
            numbers: HashMap::new(),
            met: Vec::new(),
            lists: Vec::new(),
            pairs: Vec::new(),
            budget,
            paid: 0,
        })
    }

    fn begin(&mut self) {
        self.pairs.clear();
    }

    fn add(&mut self, group: usize, pack: usize, ordinals: &[u32; PACK], rows: u128) -> Result<(), Stop> {
        let mut codes = [0_u32; PACK];
        for column in &mut self.columns[group] {
            column.reader.small(pack, &mut codes)?;
            for place in ones(rows) {
                let code = codes[place];
                if code == 0 {
                    continue;
                }
                let known = column
                    .known
                    .get_mut(code as usize)
                    .ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
                if *known == UNKNOWN {
                    let (numbers, scalars, mut list, mut bytes) = (&mut self.numbers, &mut self.met, Vec::new(), 0);
                    let item = column
                        .loaded
                        .item(code)
                        .ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
                    let aggregate = self.aggregate;
                    each_item(item, column.path, &aggregate.keys, &aggregate.inside, &mut |item| {
                        if let Some(scalar) = Scalar::of(item) {
                            let next = u32::try_from(scalars.len()).unwrap_or(u32::MAX);
                            list.push(*numbers.entry(scalar.clone()).or_insert_with(|| {
                                bytes += 2 * (size_of::<Scalar>() + scalar.text().len()) + ENTRY;
                                scalars.push(scalar);
                                next
                            }));
                        }
                    });
                    *known = if let [scalar] = list.as_slice() {
                        *scalar
                    } else {
                        bytes += size_of_val(list.as_slice()) + ENTRY;
                        self.lists.push(list);
                        LISTED | u32::try_from(self.lists.len() - 1).unwrap_or(0)
                    };
                    self.budget.take(bytes as u64)?;
                }
                let high = u64::from(ordinals[place]) << 32;
                match *known & !LISTED {
                    scalar if scalar == *known => {
                        grow(&mut self.pairs, 1, &mut self.paid, self.budget)?;
                        self.pairs.push(high | u64::from(scalar));
                    }
                    list => {
                        let list = &self.lists[list as usize];
                        self.budget.worked(list.len() / 100);
                        grow(&mut self.pairs, list.len(), &mut self.paid, self.budget)?;
                        self.pairs.extend(list.iter().map(|scalar| high | u64::from(*scalar)));
                    }
                }
            }
        }
        Ok(())
    }

    fn satisfied(&mut self) -> Bits {
        self.pairs.sort_unstable();
        let mut bits = Bits::none();
        let wanted = wanted(&self.aggregate.figure).map(|scalars| Equal::new(scalars, false));
        let limits = comparison(&self.aggregate.figure).map(|comparison| Bounds::new(comparison, 0));
        for one in self.pairs.chunk_by(|left, right| left >> 32 == right >> 32) {
            let mut distinct = 0_i128;
            let mut best: Option<(usize, &Scalar)> = None;
            for times in one.chunk_by(|left, right| left == right) {
                distinct += 1;
                let scalar = &self.met[(times[0] & u64::from(u32::MAX)) as usize];
                // The most frequent; then the smallest text; then boolean before number before string.
                let better = best.is_none_or(|(most, old)| {
                    times.len().cmp(&most).then_with(|| (old.text(), old).cmp(&(scalar.text(), scalar))).is_gt()
                });
                if better {
                    best = Some((times.len(), scalar));
                }
            }
            let holds = match (&limits, &wanted, best) {
                (Some(limits), ..) => limits.holds(distinct),
                (None, Some(wanted), Some((_, scalar))) => scalar.equals(wanted),
                _ => false,
            };
            if holds {
                bits.insert((one[0] >> 32) as u32);
            }
        }
        bits
    }
}
