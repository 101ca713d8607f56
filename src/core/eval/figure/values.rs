//! The numeric values of a property in the columns of a group.

use super::super::by_code::ByCode;
use super::super::codes::each_item;
use super::super::limits::{Budget, Stop};
use super::super::matching::Matching;
use super::super::plan::AggregatePlan;
use super::super::test::exact_bytes;
use super::ENTRY;
use crate::segment::column::Reader;
use crate::segment::dictionary::Mantissas;
use crate::segment::item::Numeric;

/// The numeric values of one column, by code.
#[derive(Clone)]
pub(super) struct Values<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) first: u32,
    pub(super) mantissas: Mantissas,
    pub(super) digits: u8,
    /// Codes outside `mantissas`: strings that are numbers, numbers that do not fit, arrays.
    pub(super) others: ByCode<Numeric>,
    /// The most values of one row.
    pub(super) elements: usize,
}

impl Values<'_> {
    pub(super) fn bytes(&self) -> u64 {
        let listed = match &self.mantissas {
            Mantissas::List(list) => size_of_val(list.as_slice()),
            Mantissas::Run(..) => 0,
        };
        let others = self.others.values().map(|number| 2 * size_of::<Numeric>() + numeric_bytes(number));
        (listed + others.sum::<usize>()) as u64
    }

    pub(super) fn scale(&self) -> u8 {
        let others = self.others.values().map(|value| match value {
            Numeric::Small(number) => number.scale,
            Numeric::Large(_) => 0,
        });
        let own = if self.mantissas.is_empty() { 0 } else { self.digits };
        others.max().unwrap_or(0).max(own)
    }

    pub(super) fn large(&self) -> bool {
        self.others.values().any(|value| matches!(value, Numeric::Large(_)))
    }

    /// The largest magnitude at a scale.
    pub(super) fn most(&self, scale: u8) -> Option<i128> {
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
pub(super) fn values_of<'a>(
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
