//! The distinct values of one path in one group, and their codes.
//!
//! Code 0 is "no value". Then come, in this order: `false`, `true`, the numbers by value, the numbers that fit no
//! 64-bit mantissa at the dictionary's scale, the strings by their bytes, and the JSON texts by their bytes. So a range
//! of numbers is a range of codes, and a string is found by bisection.
//!
//! Where the numbers lie close together, every mantissa from the smallest to the largest has a code, whether it occurs
//! or not: then code and number are a subtraction apart, and no list of numbers is stored or looked up.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::column::{Column, PACK, Reader, Writer};
use super::item::{Decimal, Item};
use super::stream::{Corrupt, Span, Stream, Unwritable, narrow, place, read_into};

/// The most codes of a run for each number that occurs: four bits more a row, at most, than a list's, and no list.
const SPREAD: usize = 16;

/// The code of "no value".
pub const MISSING: u32 = 0;

/// The position of a dictionary.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Dictionary {
    has_false: bool,
    has_true: bool,
    /// Digits behind the point of every number in `numbers`.
    scale: u8,
    numbers: Column,
    /// Where no list is stored: the smallest mantissa, and how many codes there are from it on.
    run: Option<(i64, u32)>,
    bigs: u32,
    texts: u32,
    jsons: u32,
    /// Where each of the texts ends in `bytes`.
    ends: Column,
    bytes: Span,
    /// Whether any string may be read as a number.
    pub(crate) numeric_texts: bool,
}

/// What kinds of values there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each kind is there or not, whatever the others are")]
pub struct Kinds {
    /// `true` or `false`.
    pub booleans: bool,
    /// Numbers.
    pub numbers: bool,
    /// Strings.
    pub strings: bool,
    /// Arrays, or objects that are kept as a whole.
    pub structures: bool,
}

impl Kinds {
    /// Those of either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            booleans: self.booleans | other.booleans,
            numbers: self.numbers | other.numbers,
            strings: self.strings | other.strings,
            structures: self.structures | other.structures,
        }
    }

    /// Their names, as `jsonb_typeof` calls them.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (self.booleans, "boolean"),
            (self.numbers, "number"),
            (self.strings, "string"),
            (self.structures, "array"),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect()
    }
}

impl Dictionary {
    /// What kinds of values it has.
    pub(crate) fn kinds(&self) -> Kinds {
        Kinds {
            booleans: self.has_false || self.has_true,
            numbers: self.number_codes() > 0 || self.bigs > 0,
            strings: self.texts > 0,
            structures: self.jsons > 0,
        }
    }

    /// As [`Span::move_by`].
    pub(super) fn move_by(&mut self, part: u64) {
        self.numbers.move_by(part);
        self.ends.move_by(part);
        self.bytes.move_by(part);
    }

    fn bools(&self) -> u32 {
        u32::from(self.has_false) + u32::from(self.has_true)
    }

    /// How many values there are; codes go from 1 to this number.
    pub(crate) fn len(&self) -> u32 {
        [self.number_codes(), self.bigs, self.texts, self.jsons]
            .iter()
            .fold(self.bools(), |all, n| all.saturating_add(*n))
    }

    /// Sanity check for untrusted bytes: whether `rows` rows can yield a run of this length. Readers allocate by it.
    pub(crate) fn is_plausible(&self, rows: u32) -> bool {
        self.run.is_none_or(|(_, codes)| codes as usize <= (rows as usize).saturating_mul(SPREAD))
    }

    /// The codes of the two booleans, where they occur.
    pub(crate) fn bool_code(&self, value: bool) -> Option<u32> {
        if value { self.has_true.then_some(1 + u32::from(self.has_false)) } else { self.has_false.then_some(1) }
    }

    /// The codes of the numbers that fit.
    pub(crate) fn numbers(&self) -> Range<u32> {
        let start = 1 + self.bools();
        start..start.saturating_add(self.number_codes())
    }

    fn number_codes(&self) -> u32 {
        self.run.map_or(self.numbers.rows, |(_, codes)| codes)
    }

    /// How many numbers are stored one by one.
    pub(crate) fn listed_numbers(&self) -> u32 {
        self.numbers.rows
    }

    /// The codes of the numbers that do not.
    pub(crate) fn bigs(&self) -> Range<u32> {
        let start = self.numbers().end;
        start..start.saturating_add(self.bigs)
    }

    /// The codes of the strings.
    pub(crate) fn texts(&self) -> Range<u32> {
        let start = self.bigs().end;
        start..start.saturating_add(self.texts)
    }

    /// The codes of the JSON texts.
    pub(crate) fn jsons(&self) -> Range<u32> {
        let start = self.texts().end;
        start..start.saturating_add(self.jsons)
    }

    /// The digits behind the point of the numbers that fit.
    pub(crate) fn scale(&self) -> u8 {
        self.scale.min(super::item::MAX_SCALE)
    }

    /// The numbers that fit, as mantissas at [`Self::scale`].
    pub(crate) fn mantissas(&self, stream: &dyn Stream) -> Result<Mantissas, Corrupt> {
        Ok(match self.run {
            Some((smallest, codes)) => Mantissas::Run(smallest, codes),
            None => Mantissas::List(Reader::new(stream, &self.numbers).all()?),
        })
    }

    /// How many of the numbers come before the first of which `before` does not hold: a binary search that reads what it
    /// compares only.
    pub(crate) fn numbers_below(&self, stream: &dyn Stream, before: impl Fn(i64) -> bool) -> Result<u32, Corrupt> {
        let Some((smallest, codes)) = self.run else {
            return Reader::new(stream, &self.numbers).partition_point(before);
        };
        let (mut low, mut high) = (0, codes);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(smallest.saturating_add(i64::from(middle))) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The code of a string, if the dictionary contains it: a binary search that reads only the compared values.
    pub(crate) fn find_text(&self, stream: &dyn Stream, wanted: &str) -> Result<Option<u32>, Corrupt> {
        let mut ends = Reader::new(stream, &self.ends);
        let (mut low, mut high) = (self.bigs, self.bigs.saturating_add(self.texts));
        let mut bytes = Vec::new();
        while low < high {
            let middle = low + (high - low) / 2;
            let start = if middle == 0 { 0 } else { ends.get(middle - 1)? };
            let end = ends.get(middle)?;
            let length = u32::try_from(end.saturating_sub(start)).map_err(|_| damaged())?;
            read_into(stream, self.bytes.at.saturating_add(start.max(0).cast_unsigned()), length, &mut bytes)?;
            match bytes.as_slice().cmp(wanted.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(self.bigs().start + middle)),
            }
        }
        Ok(None)
    }

    /// Passes on the values of some codes of [`Self::bigs`], [`Self::texts`] and [`Self::jsons`] in turn. One pack of them
    /// is in memory at a time, because there may be as many values as rows.
    pub(crate) fn each(
        &self,
        stream: &dyn Stream,
        codes: Range<u32>,
        take: &mut dyn FnMut(u32, Item<'_>),
    ) -> Result<(), Corrupt> {
        let first = self.bigs().start;
        if codes.is_empty() {
            return Ok(());
        }
        if codes.start < first || codes.end > self.jsons().end || self.ends.rows != self.jsons().end - first {
            return Err(damaged());
        }
        let (from, to) = ((codes.start - first) as usize, (codes.end - first) as usize);
        let mut reader = Reader::new(stream, &self.ends);
        let mut start = match codes.start - first {
            0 => 0,
            place => u64::try_from(reader.get(place - 1)?).map_err(|_| damaged())?,
        };
        let (mut ends, mut bytes) = ([0; PACK], Vec::new());
        for pack in from / PACK..to.div_ceil(PACK) {
            reader.large(pack, &mut ends)?;
            let places = from.max(pack * PACK)..to.min((pack + 1) * PACK);
            let ends = &ends[places.start - pack * PACK..places.end - pack * PACK];
            let last = ends.last().and_then(|end| u64::try_from(*end).ok()).ok_or_else(damaged)?;
            let length = last.checked_sub(start).and_then(|length| u32::try_from(length).ok()).ok_or_else(damaged)?;
            if last > u64::from(self.bytes.length) {
                return Err(damaged());
            }
            read_into(stream, self.bytes.at.saturating_add(start), length, &mut bytes)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
            let mut before = 0;
            for (place, end) in places.zip(ends) {
                let end = u64::try_from(*end).ok().and_then(|end| usize::try_from(end.checked_sub(start)?).ok());
                let value =
                    end.and_then(|end| text.get(std::mem::replace(&mut before, end)..end)).ok_or_else(damaged)?;
                let code = first + u32::try_from(place).map_err(|_| damaged())?;
                take(code, self.text_item(code, value));
            }
            start = last;
        }
        Ok(())
    }

    /// The value of a text: a string or JSON, according to its code.
    fn text_item<'a>(&self, code: u32, text: &'a str) -> Item<'a> {
        if code < self.bigs().end {
            Item::Big(text)
        } else if code < self.texts().end {
            Item::Text(text)
        } else {
            Item::Json(text)
        }
    }

    /// Memory in bytes that [`Self::load`] allocates.
    pub(crate) fn loaded_bytes(&self) -> u64 {
        let numbers = u64::from(self.numbers.rows) * size_of::<i64>() as u64;
        u64::from(self.bytes.length) + numbers + u64::from(self.ends.rows) * size_of::<u32>() as u64
    }

    /// Reads all of it into memory.
    pub(crate) fn load(&self, stream: &dyn Stream) -> Result<Loaded<'_>, Corrupt> {
        let mantissas = self.mantissas(stream)?;
        let bytes = self.bytes.read(stream)?;
        let text = String::from_utf8(bytes).map_err(|_| damaged())?;
        let mut previous = 0_u32;
        let mut ends = Vec::new();
        Reader::new(stream, &self.ends).each(|end| {
            let end = u32::try_from(end).ok().filter(|end| *end >= previous && text.is_char_boundary(*end as usize));
            previous = end.ok_or_else(damaged)?;
            ends.push(previous);
            Ok(())
        })?;
        if ends.len() as u64 != u64::from(self.bigs) + u64::from(self.texts) + u64::from(self.jsons) {
            return Err(damaged());
        }
        Ok(Loaded { dictionary: self, mantissas, text, ends })
    }
}

fn damaged() -> Corrupt {
    Corrupt::new("a dictionary does not match its header")
}

/// Numbers by their place among the codes of numbers.
#[derive(Clone)]
pub(crate) enum Mantissas {
    /// Ascending.
    List(Vec<i64>),
    /// From one on, as many as there are.
    Run(i64, u32),
}

impl Mantissas {
    pub(crate) fn get(&self, place: u32) -> Option<i64> {
        match self {
            Self::List(list) => list.get(place as usize).copied(),
            Self::Run(smallest, codes) => (place < *codes).then(|| smallest.wrapping_add(i64::from(place))),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends().is_none()
    }

    /// The smallest and the largest.
    pub(crate) fn ends(&self) -> Option<(i64, i64)> {
        match self {
            Self::List(list) => Some((*list.first()?, *list.last()?)),
            Self::Run(smallest, codes) => {
                codes.checked_sub(1).map(|last| (*smallest, smallest.saturating_add(i64::from(last))))
            }
        }
    }
}

/// A dictionary in memory.
pub(crate) struct Loaded<'a> {
    dictionary: &'a Dictionary,
    mantissas: Mantissas,
    text: String,
    ends: Vec<u32>,
}

impl Loaded<'_> {
    /// The value of a code; `None` for [`MISSING`] and for codes that do not exist.
    pub(crate) fn item(&self, code: u32) -> Option<Item<'_>> {
        let dictionary = self.dictionary;
        let numbers = dictionary.numbers();
        if code == MISSING {
            return None;
        }
        if code < numbers.start {
            return Some(Item::Bool(dictionary.bool_code(true) == Some(code)));
        }
        if code < numbers.end {
            let mantissa = self.mantissas.get(code - numbers.start)?;
            return Decimal::new(mantissa, u32::from(dictionary.scale())).map(Item::Number);
        }
        let place = (code - numbers.end) as usize;
        let start = if place == 0 { 0 } else { *self.ends.get(place - 1)? };
        let text = self.text.get(start as usize..*self.ends.get(place)? as usize)?;
        Some(dictionary.text_item(code, text))
    }
}

/// A dictionary under construction. Values get provisional codes in the order in which they are added.
#[derive(Default)]
pub(crate) struct Builder {
    bools: [Option<u32>; 2],
    numbers: HashMap<Decimal, u32>,
    bigs: HashMap<Box<str>, u32>,
    texts: HashMap<Box<str>, u32>,
    jsons: HashMap<Box<str>, u32>,
    codes: u32,
    /// Of all texts.
    text_bytes: usize,
}

impl Builder {
    /// The provisional code of a value.
    pub(crate) fn code(&mut self, item: Item) -> u32 {
        let next = self.codes + 1;
        let text = match item {
            Item::Big(text) | Item::Text(text) | Item::Json(text) => text.len(),
            Item::Bool(_) | Item::Number(_) => 0,
        };
        let code = match item {
            Item::Bool(value) => *self.bools[usize::from(value)].get_or_insert(next),
            Item::Number(number) => *self.numbers.entry(number).or_insert(next),
            Item::Big(text) => text_code(&mut self.bigs, text, next),
            Item::Text(text) => text_code(&mut self.texts, text, next),
            Item::Json(text) => text_code(&mut self.jsons, text, next),
        };
        if code == next {
            self.codes = next;
            self.text_bytes += text;
        }
        code
    }

    /// Estimated memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        /// Memory of a map entry, including the overhead of its allocation.
        const ENTRY: usize = 64;
        self.codes as usize * ENTRY + self.text_bytes
    }

    /// Writes the dictionary. Returns it, and the final code of each provisional code.
    pub(crate) fn finish(self, writer: &Writer, out: &mut Vec<u8>) -> Result<(Dictionary, Vec<u32>), Unwritable> {
        let mut codes = Codes { by_provisional: vec![MISSING; self.codes as usize + 1], next: 0 };
        let mut dictionary = Dictionary {
            has_false: self.bools[0].is_some(),
            has_true: self.bools[1].is_some(),
            ..Dictionary::default()
        };
        for code in self.bools.into_iter().flatten() {
            codes.place(code);
        }

        // One scale for all: the largest that occurs. What then exceeds a mantissa joins the large numbers.
        let scale = self.numbers.keys().map(|number| number.scale).max().unwrap_or(0);
        let (mut numbers, mut bigs) = (Vec::new(), Vec::new());
        for (number, code) in self.numbers {
            match i64::try_from(number.at_scale(scale)) {
                Ok(mantissa) => numbers.push((mantissa, code)),
                Err(_) => bigs.push((crate::value::plain(&number.exact()).into_boxed_str(), code)),
            }
        }
        numbers.sort_unstable();
        dictionary.scale = scale;
        dictionary.run = run(&numbers);
        if let Some((smallest, count)) = dictionary.run {
            for (mantissa, code) in &numbers {
                // The run has at most as many codes as 32 bits hold.
                let place = u32::try_from(mantissa.wrapping_sub(smallest));
                let place = place.map_err(|_| Unwritable::new("a number is outside its run"))?;
                codes.by_provisional[*code as usize] = codes.next + 1 + place;
            }
            codes.next += count;
        } else {
            for (_, code) in &numbers {
                codes.place(*code);
            }
            let mantissas: Vec<i64> = numbers.iter().map(|(mantissa, _)| *mantissa).collect();
            dictionary.numbers = writer.plain(&mantissas, out)?;
        }

        bigs.extend(self.bigs);
        dictionary.bigs = narrow(bigs.len(), "numbers")?;
        let sorted = |map: HashMap<Box<str>, u32>| {
            let mut texts: Vec<(Box<str>, u32)> = map.into_iter().collect();
            texts.sort_unstable();
            texts
        };
        let (texts, jsons) = (sorted(self.texts), sorted(self.jsons));
        dictionary.texts = narrow(texts.len(), "strings")?;
        dictionary.jsons = narrow(jsons.len(), "JSON texts")?;
        dictionary.numeric_texts = texts.iter().any(|(text, _)| {
            text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
                && Item::Text(text).numeric().is_some()
        });
        let (mut ends, start) = (Vec::new(), out.len());
        for (text, code) in bigs.iter().chain(&texts).chain(&jsons) {
            codes.place(*code);
            out.extend_from_slice(text.as_bytes());
            ends.push(place(out.len() - start)?);
        }
        dictionary.bytes = Span { at: start as u64, length: narrow(out.len() - start, "bytes of values")? };
        dictionary.ends = writer.plain(&ends, out)?;
        Ok((dictionary, codes.by_provisional))
    }
}

/// The assignment of final codes.
struct Codes {
    by_provisional: Vec<u32>,
    next: u32,
}

impl Codes {
    fn place(&mut self, provisional: u32) {
        self.next += 1;
        self.by_provisional[provisional as usize] = self.next;
    }
}

/// The run of ascending numbers, if they are dense enough that every number in the range gets a code.
fn run(numbers: &[(i64, u32)]) -> Option<(i64, u32)> {
    let (smallest, largest) = (numbers.first()?.0, numbers.last()?.0);
    let codes = largest.checked_sub(smallest)?.checked_add(1)?;
    let codes = u32::try_from(codes).ok()?;
    (codes as usize <= numbers.len().saturating_mul(SPREAD)).then_some((smallest, codes))
}

fn text_code(map: &mut HashMap<Box<str>, u32>, text: &str, next: u32) -> u32 {
    // Looked up before it is copied: most values were seen before.
    match map.get(text) {
        Some(code) => *code,
        None => *map.entry(text.into()).or_insert(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Owned {
        Bool(bool),
        Number(i64, u32),
        Text(String),
        Json(String),
    }

    impl Owned {
        fn item(&self) -> Item<'_> {
            match self {
                Self::Bool(value) => Item::Bool(*value),
                Self::Number(mantissa, scale) => {
                    Decimal::new(*mantissa, *scale).map_or(Item::Big("99999999999999999999"), Item::Number)
                }
                Self::Text(text) => Item::Text(text),
                Self::Json(text) => Item::Json(text),
            }
        }
    }

    fn values() -> impl Strategy<Value = Vec<Owned>> {
        let one = prop_oneof![
            any::<bool>().prop_map(Owned::Bool),
            (any::<i64>(), 0..20_u32).prop_map(|(mantissa, scale)| Owned::Number(mantissa, scale)),
            (-50..50_i64, 0..3_u32).prop_map(|(mantissa, scale)| Owned::Number(mantissa, scale)),
            ".{0,4}".prop_map(Owned::Text),
            ".{0,4}".prop_map(Owned::Json),
        ];
        prop::collection::vec(one, 0..300)
    }

    proptest! {
        #[test]
        fn every_value_has_its_code(values in values()) {
            let mut builder = Builder::default();
            let provisional: Vec<u32> = values.iter().map(|value| builder.code(value.item())).collect();
            let mut bytes = Vec::new();
            let (dictionary, codes) = builder.finish(&Writer::new(), &mut bytes).unwrap();
            let loaded = dictionary.load(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
            for (value, provisional) in values.iter().zip(provisional) {
                let code = codes[provisional as usize];
                let found = loaded.item(code);
                match (value.item(), found) {
                    (Item::Number(number), Some(Item::Big(text))) => prop_assert_eq!(Decimal::parse(text), Some(number)),
                    (item, found) => prop_assert_eq!(Some(item), found),
                }
                if let Owned::Text(text) = value {
                    prop_assert_eq!(dictionary.find_text(&bytes, text), Ok(Some(code)));
                }
            }
            prop_assert_eq!(dictionary.find_text(&bytes, "not there at all"), Ok(None));
        }
    }
}
