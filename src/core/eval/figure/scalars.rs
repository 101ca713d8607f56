//! Distinct and most frequent scalars.

#![expect(
    clippy::cast_possible_truncation,
    reason = "ordinals and scalars are taken out of the halves of 64 bits that hold them"
)]

use std::collections::HashMap;
use std::sync::Arc;

use super::super::bits::Bits;
use super::super::codes::each_item;
use super::super::compare::Exactly;
use super::super::limits::{Budget, Stop};
use super::super::matching::Matching;
use super::super::plan::{AggregatePlan, wanted};
use super::super::rows::ones;
use super::super::test::Equal;
use super::ENTRY;
use super::bounds::{Bounds, comparison};
use crate::segment::column::Reader;
use crate::segment::dictionary::Loaded;
use crate::segment::item::Item;
use crate::segment::{Corrupt, PACK};
use crate::value::plain;

/// A scalar, by value: numbers are one whatever their digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::eval) enum Scalar {
    Bool(bool),
    /// The shortest plain decimal.
    Number(String),
    Text(String),
}

impl Scalar {
    pub(in crate::eval) fn of(item: Item) -> Option<Self> {
        match item {
            Item::Bool(value) => Some(Self::Bool(value)),
            Item::Number(_) | Item::Big(_) => item.numeric().map(|number| Self::Number(plain(&number.exact()))),
            Item::Text(text) => Some(Self::Text(text.to_owned())),
            Item::Json(_) => None,
        }
    }

    pub(in crate::eval) fn text(&self) -> &str {
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
pub(super) struct ScalarColumn<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) path: &'a [String],
    pub(super) loaded: Arc<Loaded<'a>>,
    /// By code, once it is known: its scalar, or [`LISTED`] and where its scalars are in `lists`.
    pub(super) known: Vec<u32>,
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
    pub(super) aggregate: &'a AggregatePlan,
    pub(super) columns: Vec<Vec<ScalarColumn<'a>>>,
    pub(super) numbers: HashMap<Scalar, u32>,
    pub(super) met: Vec<Scalar>,
    /// The scalars of each value that was met.
    pub(super) lists: Vec<Vec<u32>>,
    /// Ordinal (high half) and scalar (low half) of the chunk's matching events: one number sorts faster than a pair.
    pub(super) pairs: Vec<u64>,
    pub(super) budget: &'a Budget<'a>,
    /// The number of pairs that are charged to the budget.
    pub(super) paid: usize,
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
    pub(super) fn new(
        aggregate: &'a AggregatePlan,
        groups: &[Matching<'a>],
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
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

    pub(super) fn begin(&mut self) {
        self.pairs.clear();
    }

    pub(super) fn add(&mut self, group: usize, pack: usize, ordinals: &[u32; PACK], rows: u128) -> Result<(), Stop> {
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

    pub(super) fn satisfied(&mut self) -> Bits {
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

impl Scalars<'_> {
    /// Passes on how many different scalars each customer has.
    pub(super) fn each_number(&mut self, each: &mut dyn FnMut(u32, Exactly, u64)) {
        self.pairs.sort_unstable();
        for one in self.pairs.chunk_by(|left, right| left >> 32 == right >> 32) {
            let distinct = one.chunk_by(|left, right| left == right).count();
            each((one[0] >> 32) as u32, Exactly::Small(distinct as i128, 0), 1);
        }
    }
}
