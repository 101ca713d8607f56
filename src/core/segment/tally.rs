//! The values that occur at a path: how many rows have one, how many values differ, and which are the most frequent.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use roaring::RoaringBitmap;

use super::column::{PACK, Reader};
use super::dictionary::{self, Kinds, Mantissas};
use super::group::Group;
use super::item::{Decimal, Item, Numeric};
use super::stream::{Corrupt, Stream};
use crate::value;

/// Hashes that are kept: up to this number, values are counted exactly.
const HASHES: usize = 4_096;
/// Values of one group that are kept as examples.
const FREQUENT: usize = 64;
/// Characters of the longest example.
const LONGEST: usize = 100;
/// Codes of one dictionary that are counted one by one: 64 MiB. Beyond it, a code counts as one row.
const COUNTED: usize = 1 << 24;

/// The values at one path, of any number of groups.
#[derive(Debug, Default)]
pub struct Tally {
    kinds: Kinds,
    rows: u64,
    /// The smallest hashes of the values: with the largest of them the others are estimated.
    hashes: BTreeSet<u64>,
    /// By the JSON text: rows.
    frequent: HashMap<String, u64>,
}

impl Tally {
    /// The kinds of the values.
    #[must_use]
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// The number of rows with a value.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of different values: exact up to 4,096, and an estimate with an error of a few percent beyond.
    #[must_use]
    pub fn distinct(&self) -> u64 {
        let kept = self.hashes.len() as u64;
        match self.hashes.last() {
            Some(largest) if self.hashes.len() == HASHES => {
                let spread = (u128::from(kept - 1) << 64) / u128::from((*largest).max(1));
                u64::try_from(spread).unwrap_or(u64::MAX).max(kept)
            }
            _ => kept,
        }
    }

    /// The JSON texts of the most frequent scalars of at most 100 characters, the most frequent first. A value that is rare
    /// in every group may be missing.
    #[must_use]
    pub fn examples(&self, most: usize) -> Vec<&str> {
        let mut all: Vec<(&String, &u64)> = self.frequent.iter().collect();
        all.sort_unstable_by_key(|(text, rows)| (Reverse(**rows), text.as_str()));
        all.into_iter().take(most).map(|(text, _)| text.as_str()).collect()
    }

    fn add(&mut self, item: Item<'_>, rows: u32, frequent: &mut BTreeSet<(u32, Reverse<String>)>) {
        self.rows += u64::from(rows);
        match item {
            Item::Bool(_) => self.kinds.booleans = true,
            Item::Number(_) | Item::Big(_) => self.kinds.numbers = true,
            Item::Text(_) => self.kinds.strings = true,
            Item::Json(_) => self.kinds.structures = true,
        }
        self.hashes.insert(hash(item));
        if self.hashes.len() > HASHES {
            self.hashes.pop_last();
        }
        if frequent.len() == FREQUENT && frequent.first().is_some_and(|(least, _)| *least > rows) {
            return;
        }
        if let Some(text) = example(item) {
            frequent.insert((rows, Reverse(text)));
            if frequent.len() > FREQUENT {
                frequent.pop_first();
            }
        }
    }
}

/// Equal for values that `count_distinct` counts once.
fn hash(item: Item<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match item {
        Item::Bool(value) => (0_u8, value).hash(&mut hasher),
        Item::Number(number) => (1_u8, number).hash(&mut hasher),
        Item::Big(text) => match item.numeric() {
            Some(Numeric::Small(number)) => (1_u8, number).hash(&mut hasher),
            Some(Numeric::Large(exact)) => (2_u8, value::plain(&exact)).hash(&mut hasher),
            None => (2_u8, text).hash(&mut hasher),
        },
        Item::Text(text) => (3_u8, text).hash(&mut hasher),
        Item::Json(text) => (4_u8, text).hash(&mut hasher),
    }
    hasher.finish()
}

/// The JSON text of a scalar that is not long.
fn example(item: Item<'_>) -> Option<String> {
    let text = match item {
        Item::Bool(value) => value.to_string(),
        Item::Number(number) => value::plain(&number.exact()),
        Item::Big(text) => text.to_owned(),
        Item::Text(text) if text.len() <= 4 * LONGEST => serde_json::to_string(text).ok()?,
        Item::Text(_) | Item::Json(_) => return None,
    };
    (text.chars().count() <= LONGEST).then_some(text)
}

/// How many rows have each code.
struct Counts {
    rows: Vec<u32>,
    /// Codes beyond those.
    others: RoaringBitmap,
}

impl Counts {
    fn of(&self, code: u32) -> u32 {
        self.rows.get(code as usize).copied().unwrap_or_else(|| u32::from(self.others.contains(code)))
    }
}

impl Group {
    /// Adds the values at one of the paths, counted from 0, of all rows except some. `check` runs at intervals.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn tally(
        &self,
        path: usize,
        except: &RoaringBitmap,
        stream: &dyn Stream,
        check: &dyn Fn(),
        into: &mut Tally,
    ) -> Result<(), Corrupt> {
        let Some(property) = self.properties.get(path) else { return Ok(()) };
        let dictionary = &property.dictionary;
        let codes = (dictionary.len() as usize).saturating_add(1);
        let mut counts = Counts { rows: vec![0; codes.min(COUNTED)], others: RoaringBitmap::new() };
        let mut reader = Reader::new(stream, &property.codes);
        let mut pack = [0_u32; PACK];
        for number in 0..(self.rows as usize).div_ceil(PACK) {
            if number.is_multiple_of(PACK) {
                check();
            }
            reader.small(number, &mut pack)?;
            for (row, code) in (number * PACK..self.rows as usize).zip(pack) {
                let is_left_out = || u32::try_from(row).is_ok_and(|row| except.contains(row));
                if code == dictionary::MISSING || !except.is_empty() && is_left_out() {
                    continue;
                }
                match counts.rows.get_mut(code as usize) {
                    Some(rows) => *rows += 1,
                    None => drop(counts.others.insert(code)),
                }
            }
        }
        let mut frequent = BTreeSet::new();
        let mut take = |code: u32, item: Item<'_>| match counts.of(code) {
            0 => {}
            rows => into.add(item, rows, &mut frequent),
        };
        for value in [false, true] {
            if let Some(code) = dictionary.bool_code(value) {
                take(code, Item::Bool(value));
            }
        }
        let (numbers, scale) = (dictionary.numbers(), u32::from(dictionary.scale()));
        let mantissas: Mantissas = dictionary.mantissas(stream)?;
        for code in numbers.clone() {
            let number = mantissas.get(code - numbers.start).and_then(|mantissa| Decimal::new(mantissa, scale));
            take(code, number.map(Item::Number).ok_or_else(|| Corrupt::new("a code has no number in its dictionary"))?);
        }
        dictionary.each(stream, dictionary.bigs().start..dictionary.jsons().end, &mut take)?;
        for (rows, Reverse(text)) in frequent {
            *into.frequent.entry(text).or_default() += u64::from(rows);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{RowKey, SegmentBuilder, random};

    /// Fills the tallies of the path `p` with groups of these values.
    fn tally(groups: &[&[Item<'_>]], except: &RoaringBitmap) -> Tally {
        let mut tally = Tally::default();
        for values in groups {
            let mut builder = SegmentBuilder::new(usize::MAX);
            let group = builder.group("e");
            for (ordinal, value) in (0..).zip(*values) {
                group.row(RowKey { ordinal, at: 0, event_id: i64::from(ordinal) });
                group.enter("p");
                group.value(*value);
                group.leave();
            }
            let (header, bytes) = builder.in_memory().expect("a small segment");
            let group = header.group("e").expect("its group").open(&bytes).expect("not damaged");
            group.tally(0, except, &bytes, &|| (), &mut tally).expect("not damaged");
        }
        tally
    }

    #[test]
    fn values_of_several_groups_are_counted_together() {
        let number = |text: &str| Item::Number(Decimal::parse(text).expect("a decimal"));
        let first = [number("1"), number("1"), number("2.5"), Item::Text("1"), Item::Bool(true), Item::Json("[1]")];
        let second = [number("2.50"), number("2.5"), Item::Text("\"ü"), Item::Bool(true), Item::Big("1e0")];
        let tally = tally(&[&first, &second[..4]], &RoaringBitmap::new());
        assert_eq!((tally.rows(), tally.distinct()), (10, 6));
        assert_eq!(tally.examples(20), ["2.5", "1", "true", "\"1\"", "\"\\\"ü\""]);
        assert_eq!(tally.examples(1), ["2.5"]);
        assert_eq!(tally.kinds().names(), ["boolean", "number", "string", "array"]);
        assert_eq!(hash(second[4]), hash(number("1")));
    }

    #[test]
    fn rows_that_are_gone_do_not_count() {
        let values = [Item::Text("a"), Item::Text("b"), Item::Bool(false)];
        let tally = tally(&[&values], &RoaringBitmap::from_iter([1, 2]));
        assert_eq!((tally.rows(), tally.distinct()), (1, 1));
        assert_eq!((tally.examples(20), tally.kinds().names()), (vec!["\"a\""], vec!["string"]));
    }

    #[test]
    fn many_values_are_estimated() {
        let mut next = random(7);
        let numbers: Vec<Item<'_>> =
            (0..60_000).map(|_| Item::Number(Decimal { mantissa: next(30_000), scale: 0 })).collect();
        let mut all: Vec<String> = numbers.iter().map(|item| format!("{item:?}")).collect();
        all.sort_unstable();
        all.dedup();
        let exact = all.len() as u64;
        let found = tally(&[&numbers[..30_000], &numbers[30_000..]], &RoaringBitmap::new()).distinct();
        assert!(found.abs_diff(exact) < exact / 20, "{found} for {exact}");
    }
}
