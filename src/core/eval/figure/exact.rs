//! Sums, averages and extremes in exact decimals, for values that 128 bits do not hold.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::super::bits::Bits;
use super::super::limits::{Budget, Stop};
use super::super::rows::ones;
use super::super::test::exact_bytes;
use super::ENTRY;
use super::bounds::{Bounds, compare_average, comparison, satisfies};
use super::values::Values;
use crate::rule::Figure;
use crate::segment::PACK;

/// Sums, averages and extremes by customer.
pub(crate) struct ExactNumbers<'a> {
    pub(super) figure: &'a Figure,
    pub(super) columns: Vec<Vec<Values<'a>>>,
    pub(super) of: HashMap<u32, (BigDecimal, u64)>,
    pub(super) budget: &'a Budget<'a>,
    /// Bytes that are paid for what the chunk's customers have.
    pub(super) taken: u64,
}

/// Without what a chunk's customers have.
impl Clone for ExactNumbers<'_> {
    fn clone(&self) -> Self {
        Self { columns: self.columns.clone(), of: HashMap::new(), taken: 0, ..*self }
    }
}

impl ExactNumbers<'_> {
    pub(super) fn begin(&mut self) {
        self.of.clear();
        self.budget.give(std::mem::take(&mut self.taken));
    }

    pub(super) fn add(&mut self, group: usize, pack: usize, ordinals: &[u32; PACK], rows: u128) -> Result<(), Stop> {
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

    pub(super) fn satisfied(&self) -> Bits {
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
