//! Row lists (postings) for values of medium frequency, so that a look-up does not scan the column.

use serde::{Deserialize, Serialize};

use super::column::{Column, PACK, Reader, Writer};
use super::stream::{Corrupt, Stream, Unwritable, place};

/// Groups with fewer rows have no row lists, because scanning them is fast.
const MANY_ROWS: usize = 4_096;
/// A value has a list if at most one row in this number has it.
pub(crate) const RARE: usize = 32;
/// Maximum number of bits per row of the lists of a property.
const MOST_BITS: f64 = 10.0;

/// The row lists of a property.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lists {
    /// For each code, starting at 0: the end of its list in `gaps`. An empty list means that the code has no list.
    ends: Column,
    /// For each code: the first row of its list.
    firsts: Column,
    /// All lists in sequence: the distance of each row from the previous one; 0 for the first row.
    gaps: Column,
}

impl Lists {
    /// Writes row lists for the codes of a column, from 0 to `last`, if they do not take too many bytes.
    pub(super) fn write(
        codes: &[i64],
        last: u32,
        writer: &Writer,
        out: &mut Vec<u8>,
    ) -> Result<Option<Self>, Unwritable> {
        let rows = codes.len();
        if rows < MANY_ROWS || last as usize > rows / 8 {
            return Ok(None);
        }
        let code = |code: i64| {
            let code = usize::try_from(code).ok().filter(|code| *code <= last as usize);
            code.ok_or_else(|| Unwritable::new("a code is outside its dictionary"))
        };
        let mut counts = vec![0_usize; last as usize + 1];
        for one in codes {
            counts[code(*one)?] += 1;
        }
        counts[0] = 0; // no value
        for count in &mut counts {
            if *count * RARE > rows {
                *count = 0;
            }
        }
        let listed: usize = counts.iter().sum();
        if listed == 0 || bits(&counts, rows) > MOST_BITS * as_float(listed) {
            return Ok(None);
        }
        let mut next: Vec<usize> = counts
            .iter()
            .scan(0, |start, count| {
                *start += count;
                Some(*start - count)
            })
            .collect();
        let mut gaps = vec![0_i64; listed];
        let mut firsts = vec![0_i64; counts.len()];
        let mut before = vec![None; counts.len()];
        for (row, one) in (0_i64..).zip(codes) {
            let code = code(*one)?;
            if counts[code] > 0 {
                match before[code].replace(row) {
                    None => firsts[code] = row,
                    Some(before) => gaps[next[code]] = row - before,
                }
                next[code] += 1;
            }
        }
        let ends: Vec<i64> = next.iter().map(|end| place(*end)).collect::<Result<_, _>>()?;
        let mut column = |values: &[i64]| writer.plain(values, out);
        Ok(Some(Self { ends: column(&ends)?, firsts: column(&firsts)?, gaps: column(&gaps)? }))
    }

    /// As [`Span::move_by`](super::Span).
    pub(super) fn move_by(&mut self, part: u64) {
        for column in [&mut self.ends, &mut self.firsts, &mut self.gaps] {
            column.move_by(part);
        }
    }

    /// Whether the lists fit a column of `rows` rows with codes up to `last`.
    pub(super) fn is_plausible(&self, rows: u32, last: u32) -> bool {
        let codes = last.checked_add(1);
        let columns = [&self.ends, &self.firsts, &self.gaps];
        Some(self.ends.rows) == codes
            && Some(self.firsts.rows) == codes
            && self.gaps.rows <= rows
            && columns.into_iter().all(Column::is_plausible)
    }

    pub(crate) fn open<'a>(&'a self, stream: &'a dyn Stream) -> ListsReader<'a> {
        let [ends, firsts] = [&self.ends, &self.firsts].map(|column| Reader::new(stream, column));
        ListsReader { stream, gaps: &self.gaps, ends, firsts }
    }

    /// Compares the lists with the column from which they were built.
    pub(super) fn agree(&self, stream: &dyn Stream, codes: &Column) -> Result<(), Corrupt> {
        let mut listed = vec![false; self.ends.rows as usize];
        let mut by_row = vec![0; codes.rows as usize];
        let mut lists = self.open(stream);
        for (code, listed) in (0_u32..).zip(&mut listed) {
            if let Some(mut list) = lists.list(code)? {
                *listed = true;
                list.each(0, u32::MAX, |row| {
                    if let Some(slot) = by_row.get_mut(row as usize) {
                        *slot = code;
                    }
                })?;
            }
        }
        let mut reader = Reader::new(stream, codes);
        let mut pack = [0; PACK];
        for (number, rows) in by_row.chunks(PACK).enumerate() {
            reader.small(number, &mut pack)?;
            let differs = |(code, on_list): (&u32, &u32)| {
                let expected = if listed.get(*code as usize) == Some(&true) { *code } else { 0 };
                *on_list != expected
            };
            if pack.iter().zip(rows).any(differs) {
                return Err(Corrupt::new("a row list does not match its column"));
            }
        }
        Ok(())
    }
}

/// The estimated size of lists. The gaps of a pack have the width of the largest gap, which is about five times the
/// median.
fn bits(counts: &[usize], rows: usize) -> f64 {
    const OF_CODE: f64 = 40.0;
    let gaps = counts.iter().filter(|count| **count > 0).map(|count| {
        let count = as_float(*count);
        count * (5.0 * as_float(rows) / count).log2()
    });
    gaps.sum::<f64>() + OF_CODE * as_float(counts.len())
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rows, for an estimate")]
fn as_float(number: usize) -> f64 {
    number as f64
}

/// The lists of an open property.
pub(crate) struct ListsReader<'a> {
    stream: &'a dyn Stream,
    gaps: &'a Column,
    ends: Reader<'a>,
    firsts: Reader<'a>,
}

impl<'a> ListsReader<'a> {
    /// The row list of a code, if it has one.
    pub(crate) fn list(&mut self, code: u32) -> Result<Option<ListReader<'a>>, Corrupt> {
        let start = match code.checked_sub(1) {
            Some(before) => self.ends.get(before)?,
            None => 0,
        };
        let end = self.ends.get(code)?;
        if start == end {
            return Ok(None);
        }
        let place = |at: i64| usize::try_from(at).ok().filter(|at| *at <= self.gaps.rows as usize);
        let (Some(start), Some(end)) = (place(start), place(end)) else {
            return Err(Corrupt::new("a row list has an unexpected offset"));
        };
        if start > end {
            return Err(Corrupt::new("a row list ends before its start"));
        }
        let first = self.firsts.get(code)?;
        let gaps = Reader::new(self.stream, self.gaps);
        let mut list = ListReader { gaps, first, start, end, next: 0, row: 0, pack: [0; PACK], passed: 0, last: None };
        list.rewind()?;
        Ok(Some(list))
    }
}

/// The rows of one value in ascending order.
#[derive(Clone)]
pub(crate) struct ListReader<'a> {
    gaps: Reader<'a>,
    first: i64,
    /// The start and the end of the list in the gaps, and the position of `row`.
    start: usize,
    end: usize,
    next: usize,
    /// The next row, unless the list is at its end.
    row: i64,
    /// The gaps around `next`.
    pack: [u32; PACK],
    /// Rows below this one were passed to the caller.
    passed: u32,
    /// The pack of the column that was read last, and its rows.
    last: Option<(usize, u128)>,
}

impl ListReader<'_> {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Says that it will be read.
    pub(crate) fn foresee(&mut self) {
        self.gaps.foresee(&(self.start / PACK..self.end.div_ceil(PACK)));
    }

    /// Frees the memory of the last read.
    pub(crate) fn release(&mut self) {
        self.gaps.release();
    }

    fn rewind(&mut self) -> Result<(), Corrupt> {
        self.next = self.start;
        self.row = self.first;
        self.passed = 0;
        self.gaps.small(self.start / PACK, &mut self.pack)
    }

    fn step(&mut self) -> Result<(), Corrupt> {
        self.next += 1;
        if self.next < self.end {
            if self.next.is_multiple_of(PACK) {
                self.gaps.small(self.next / PACK, &mut self.pack)?;
            }
            self.row = self.row.saturating_add(i64::from(self.pack[self.next % PACK]));
        }
        Ok(())
    }

    /// Calls `take` with the rows from `from` up to, but not including, `to`. Going forward is fast; going back restarts.
    fn each(&mut self, from: u32, to: u32, mut take: impl FnMut(u32)) -> Result<(), Corrupt> {
        if from < self.passed {
            self.rewind()?;
        }
        while self.next < self.end && self.row < i64::from(to) {
            if let Some(row) = u32::try_from(self.row).ok().filter(|row| *row >= from) {
                take(row);
            }
            self.step()?;
        }
        self.passed = to;
        Ok(())
    }

    /// Adds the rows from `from` up to, but not including, `to`.
    pub(crate) fn within(&mut self, from: u32, to: u32, rows: &mut Vec<u32>) -> Result<(), Corrupt> {
        self.each(from, to, |row| rows.push(row))
    }

    /// Which rows of a pack of the column are on the list.
    pub(crate) fn mask(&mut self, pack: usize) -> Result<u128, Corrupt> {
        // Two chunks may share a pack.
        if let Some((last, mask)) = self.last
            && last == pack
        {
            return Ok(mask);
        }
        let [from, to] = [pack, pack + 1].map(|pack| u32::try_from(pack * PACK).unwrap_or(u32::MAX));
        let mut mask = 0;
        self.each(from, to, |row| mask |= 1 << (row - from))?;
        self.last = Some((pack, mask));
        Ok(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A column in which code 1 is common and others are not, and its lists.
    fn column(rows: usize, others: i64, seed: u64) -> (Vec<i64>, Vec<u8>, Column, Option<Lists>) {
        let mut random = crate::segment::random(seed);
        let codes: Vec<i64> = (0..rows).map(|_| if random(3) == 0 { 1 } else { random(others) }).collect();
        let mut bytes = vec![1; 11];
        let writer = Writer::new();
        let column = writer.plain(&codes, &mut bytes).unwrap();
        let lists = Lists::write(&codes, u32::try_from(others).unwrap(), &writer, &mut bytes).unwrap();
        (codes, bytes, column, lists)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn lists_have_the_rows_of_their_values(
            rows in 4_096..20_000_usize,
            seed in any::<u64>(),
            mut packs in prop::collection::vec(0..160_usize, 1..20),
            in_order in any::<bool>(),
        ) {
            let (codes, bytes, column, lists) = column(rows, 50, seed);
            let lists = lists.unwrap();
            prop_assert!(lists.is_plausible(u32::try_from(rows).unwrap(), 50));
            prop_assert_eq!(lists.agree(&bytes, &column), Ok(()));
            let mut open = lists.open(&bytes);
            prop_assert!(open.list(0).unwrap().is_none());
            prop_assert!(open.list(1).unwrap().is_none(), "one row in three is no rare one");
            if in_order {
                packs.sort_unstable();
            }
            for code in [2, 27, 49] {
                let mut list = open.list(code).unwrap().unwrap();
                prop_assert_eq!(list.len(), codes.iter().filter(|other| **other == i64::from(code)).count());
                let mut expected = codes.iter().zip(0..).filter(|(other, _)| **other == i64::from(code)).map(|(_, row)| row);
                let (mut found, third) = (Vec::new(), u32::try_from(rows / 3).unwrap());
                for part in 0..4 {
                    list.within(part * third, (part + 1) * third, &mut found).unwrap();
                }
                prop_assert!(expected.by_ref().take(found.len()).eq(found) && expected.next().is_none());
                for pack in &packs {
                    let expected = codes.iter().skip(pack * PACK).take(PACK).enumerate().fold(0_u128, |mask, (place, other)| {
                        mask | u128::from(*other == i64::from(code)) << place
                    });
                    prop_assert_eq!(list.mask(*pack), Ok(expected));
                }
            }
        }
    }

    #[test]
    fn lists_that_do_not_pay_are_not_written() {
        assert!(column(4_000, 100, 1).3.is_none(), "few rows");
        assert!(column(20_000, 2_000, 1).3.is_none(), "many values");
        assert!(column(20_000, 8, 1).3.is_none(), "common values only");
    }

    #[test]
    fn a_list_of_other_rows_is_seen() {
        let (mut codes, bytes, _, lists) = column(10_000, 50, 5);
        let row = codes.iter().position(|code| *code == 27).unwrap();
        codes[row] = 28;
        let mut other = bytes.clone();
        let changed = Writer::new().plain(&codes, &mut other).unwrap();
        assert!(lists.unwrap().agree(&other, &changed).is_err());
    }
}
