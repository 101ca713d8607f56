//! Which codes of a column satisfy a test.

use super::bits::pack_rows;
use super::clock::Clock;
use super::json;
use super::test::{Equal, Exact, Kind, Range, Test};
use crate::rule::PathStep;
use crate::segment::dictionary::Dictionary;
use crate::segment::item::Item;
use crate::segment::{Corrupt, Group, Property, Stream};

/// A set of codes; never the code of a missing value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Codes {
    /// From one to another, both included.
    Range(u32, u32),
    /// One bit a code.
    Bits(Vec<u64>),
}

impl Codes {
    /// The smallest description of some codes.
    fn of(mut codes: Vec<u32>) -> Option<Self> {
        codes.sort_unstable();
        codes.dedup();
        let (first, last) = (*codes.first()?, *codes.last()?);
        if (last - first) as usize == codes.len() - 1 {
            return Some(Self::Range(first, last));
        }
        let mut bits = vec![0; last as usize / 64 + 1];
        for code in codes {
            bits[code as usize / 64] |= 1 << (code % 64);
        }
        Some(Self::Bits(bits))
    }

    /// Whether a code is in the set.
    pub(crate) fn contains(&self, code: u32) -> bool {
        match self {
            Self::Range(first, last) => (*first..=*last).contains(&code),
            Self::Bits(bits) => bits.get(code as usize / 64).is_some_and(|word| word >> (code % 64) & 1 == 1),
        }
    }

    /// How many codes there are.
    pub(crate) fn len(&self) -> u32 {
        match self {
            Self::Range(first, last) => last - first + 1,
            Self::Bits(bits) => bits.iter().map(|word| word.count_ones()).sum(),
        }
    }

    /// The codes in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let all = match self {
            Self::Range(first, last) => *first..last.saturating_add(1),
            Self::Bits(bits) => 0..u32::try_from(bits.len() * 64).unwrap_or(u32::MAX),
        };
        all.filter(|code| self.contains(*code))
    }

    /// Which of a pack's codes are in the set, as bits. The codes are given as differences from `base`.
    pub(crate) fn mask(&self, offsets: &[u32; crate::segment::PACK], base: u32) -> u128 {
        match self {
            Self::Range(_, last) if *last < base => 0,
            Self::Range(first, last) => {
                let low = first.saturating_sub(base);
                let width = last - base - low;
                pack_rows(offsets, |offset| offset.wrapping_sub(low) <= width)
            }
            Self::Bits(bits) => pack_rows(offsets, |offset| {
                let code = offset.wrapping_add(base);
                bits.get(code as usize / 64).is_some_and(|word| word >> (code % 64) & 1 == 1)
            }),
        }
    }
}

/// A column of a group that a test looks at, and the codes that satisfy it.
pub(crate) struct Found<'a> {
    pub(crate) property: &'a Property,
    pub(crate) codes: Codes,
}

/// How a column's path relates to the keys that are looked for.
pub(crate) enum PathMatch {
    /// The column's values are those looked for, or hold them at these steps.
    Leads(Vec<PathStep>),
    /// The column lies below: its values show that there is an object.
    Below,
    /// The rest: values of any path.
    Rest,
    /// Nothing to do with it.
    None,
}

/// Relates a column's path to keys and the steps behind them.
pub(crate) fn relate<K: AsRef<str>>(path: &[K], keys: &[String], inside: &[PathStep]) -> PathMatch {
    let same = path.iter().zip(keys).all(|(left, right)| left.as_ref() == right);
    if !same {
        return PathMatch::None;
    }
    if path.len() > keys.len() {
        return if inside.is_empty() { PathMatch::Below } else { PathMatch::None };
    }
    PathMatch::Leads(keys[path.len()..].iter().cloned().map(PathStep::Key).chain(inside.iter().cloned()).collect())
}

/// The values at some keys and steps in a column's value.
pub(crate) fn each_item(item: Item, path: &[String], keys: &[String], inside: &[PathStep], each: &mut dyn FnMut(Item)) {
    if path.is_empty() {
        let Item::Json(text) = item else { return };
        for (other, value) in json::rest_pairs(text) {
            if let PathMatch::Leads(below) = relate(&other, keys, inside) {
                json::reach(value, &below, &mut |value| {
                    json::as_item(value, &mut *each);
                });
            }
        }
        return;
    }
    match (relate(path, keys, inside), item) {
        (PathMatch::Leads(below), item) if below.is_empty() => each(item),
        (PathMatch::Leads(below), Item::Json(text)) => json::reach(text, &below, &mut |value| {
            json::as_item(value, &mut *each);
        }),
        _ => {}
    }
}

fn relation(property: &Property, keys: &[String], inside: &[PathStep]) -> PathMatch {
    if property.path.is_empty() { PathMatch::Rest } else { relate(&property.path, keys, inside) }
}

/// The columns that decide a positive test: it holds where any of them has one of the codes.
pub(crate) fn find<'a>(
    test: &Test,
    group: &'a Group,
    stream: &dyn Stream,
    clock: &Clock,
) -> Result<Vec<Found<'a>>, Corrupt> {
    let mut found = Vec::new();
    for property in &group.properties {
        let dictionary = &property.dictionary;
        let codes = match relation(property, &test.keys, &test.inside) {
            PathMatch::Below if matches!(test.kind, Kind::Exists) => everything(dictionary),
            PathMatch::Below | PathMatch::None => None,
            PathMatch::Leads(below) => leading(test, &below, dictionary, stream, clock)?,
            PathMatch::Rest => {
                let mut codes = Vec::new();
                dictionary.each(stream, dictionary.jsons(), &mut |code, item| {
                    if matches!(item, Item::Json(pairs) if rest_holds(test, pairs, clock)) {
                        codes.push(code);
                    }
                })?;
                Codes::of(codes)
            }
        };
        if let Some(codes) = codes {
            found.push(Found { property, codes });
        }
    }
    Ok(found)
}

fn rest_holds(test: &Test, pairs: &str, clock: &Clock) -> bool {
    json::rest_pairs(pairs).any(|(path, value)| match relate(&path, &test.keys, &test.inside) {
        PathMatch::Below => matches!(test.kind, Kind::Exists),
        PathMatch::Leads(below) => json::as_item(value, |item| test.holds(item, &below, clock)).unwrap_or(false),
        PathMatch::Rest | PathMatch::None => false,
    })
}

fn everything(dictionary: &Dictionary) -> Option<Codes> {
    (dictionary.len() > 0).then(|| Codes::Range(1, dictionary.len()))
}

fn leading(
    test: &Test,
    below: &[PathStep],
    dictionary: &Dictionary,
    stream: &dyn Stream,
    clock: &Clock,
) -> Result<Option<Codes>, Corrupt> {
    let general = |range: std::ops::Range<u32>, codes: &mut Vec<u32>| {
        dictionary.each(stream, range, &mut |code, item| {
            if test.holds(item, below, clock) {
                codes.push(code);
            }
        })
    };
    let mut codes = Vec::new();
    if !below.is_empty() {
        general(dictionary.jsons(), &mut codes)?;
        return Ok(Codes::of(codes));
    }
    match &test.kind {
        Kind::Exists => return Ok(everything(dictionary)),
        Kind::Never => return Ok(None),
        Kind::Numbers(range) => {
            let numbers = numbers_within(range, dictionary, stream)?;
            if dictionary.bigs().is_empty() && !dictionary.numeric_texts {
                return Ok((!numbers.is_empty()).then(|| Codes::Range(numbers.start, numbers.end - 1)));
            }
            codes.extend(numbers);
            general(dictionary.bigs(), &mut codes)?;
            general(dictionary.texts(), &mut codes)?;
        }
        Kind::Equal(equal) => return equal_codes(equal, dictionary, stream, &general),
        Kind::Contains(..) | Kind::ContainsAny(_) | Kind::ContainsAll(_) => {
            general(dictionary.texts(), &mut codes)?;
            general(dictionary.jsons(), &mut codes)?;
        }
        Kind::Element(_) => general(dictionary.jsons(), &mut codes)?,
        Kind::Texts(_)
        | Kind::StartsWith(..)
        | Kind::EndsWith(..)
        | Kind::Regex(_)
        | Kind::Instant(..)
        | Kind::Day(_)
        | Kind::Anniversary(..) => {
            general(dictionary.texts(), &mut codes)?;
        }
    }
    Ok(Codes::of(codes))
}

/// The codes of the numbers that fit and lie in a range.
fn numbers_within(
    range: &Range<Exact>,
    dictionary: &Dictionary,
    stream: &dyn Stream,
) -> Result<std::ops::Range<u32>, Corrupt> {
    if dictionary.numbers().is_empty() {
        return Ok(0..0);
    }
    let scale = dictionary.scale();
    let below = |bound: &Exact, included: bool| {
        dictionary.numbers_below(stream, |mantissa| match bound.compare_mantissa(mantissa, scale) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => included,
            std::cmp::Ordering::Greater => false,
        })
    };
    let low = range.low.as_ref().map_or(Ok(0), |(bound, included)| below(bound, !*included))?;
    let all = dictionary.numbers();
    let high = range.high.as_ref().map_or(Ok(all.end - all.start), |(bound, included)| below(bound, *included))?;
    Ok(all.start.saturating_add(low)..all.start.saturating_add(high.max(low)))
}

/// Tests the values of some codes one by one.
type General<'a> = &'a dyn Fn(std::ops::Range<u32>, &mut Vec<u32>) -> Result<(), Corrupt>;

fn equal_codes(
    equal: &Equal,
    dictionary: &Dictionary,
    stream: &dyn Stream,
    general: General,
) -> Result<Option<Codes>, Corrupt> {
    /// Above this number of strings, reading all of them is cheaper than looking up each.
    const FEW: usize = 16;
    let mut codes: Vec<u32> = [false, true]
        .into_iter()
        .filter(|value| equal.bools[usize::from(*value)])
        .filter_map(|value| dictionary.bool_code(value))
        .collect();
    if equal.numbers.len() > FEW.max(dictionary.numbers().len()) {
        general(dictionary.numbers(), &mut codes)?;
    } else if !equal.numbers.is_empty() && !dictionary.numbers().is_empty() {
        let (scale, start) = (dictionary.scale(), dictionary.numbers().start);
        for number in &equal.numbers {
            let below =
                dictionary.numbers_below(stream, |mantissa| number.compare_mantissa(mantissa, scale).is_lt())?;
            let not_above =
                dictionary.numbers_below(stream, |mantissa| number.compare_mantissa(mantissa, scale).is_le())?;
            if below < not_above {
                codes.push(start + below);
            }
        }
    }
    let numeric = !equal.numbers.is_empty() && (dictionary.numeric_texts || !dictionary.bigs().is_empty());
    let texts = !equal.texts.is_empty() && !dictionary.texts().is_empty();
    if numeric || texts && (equal.ignore_case || equal.texts.len() > FEW) {
        general(dictionary.bigs(), &mut codes)?;
        general(dictionary.texts(), &mut codes)?;
    } else if texts {
        for text in &equal.texts {
            codes.extend(dictionary.find_text(stream, text)?);
        }
    }
    Ok(Codes::of(codes))
}
