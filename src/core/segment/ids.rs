//! Event ids, stored as the difference from a predicted id.
//!
//! Ids are assigned roughly in time order, so the id of an event can be predicted from its time with a small error, and
//! only that error is stored. The time range of the group is divided into equal cells. A mark is the predicted id at the
//! beginning of a cell; between two marks the prediction is linear. If the errors are not smaller, the ids are stored.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::RowKey;
use super::column::{Column, PACK, Reader, Writer};
use super::stream::{Corrupt, Stream, Unwritable};

/// Rows of a cell, about.
const CELL: usize = 128;

/// The ids of a group's rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ids {
    /// By row: the id less its guess.
    pub(crate) rests: Column,
    guide: Option<Guide>,
}

/// What guesses ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Guide {
    /// The start of the first cell: the time of the group's earliest row.
    first: i64,
    /// A cell is two to this power microseconds long.
    shift: u8,
    /// The id to expect where each cell begins, and where the last one ends.
    marks: Column,
}

/// A time, and the id that belongs to it.
type Row = (i64, i64);

/// The predicted id at a time.
fn between(before: Row, after: Row, at: i64) -> i64 {
    let (span, within) = (after.0.saturating_sub(before.0), at.saturating_sub(before.0));
    if span <= 0 {
        return after.1;
    }
    let step = i128::from(after.1.wrapping_sub(before.1)) * i128::from(within) / i128::from(span);
    before.1.wrapping_add(i64::try_from(step).unwrap_or(0))
}

/// A guide in memory.
struct Marks {
    first: i64,
    shift: u8,
    ids: Vec<i64>,
}

impl Marks {
    /// Marks for rows in any order.
    fn of(rows: &[(RowKey, u32)]) -> Option<Self> {
        let times = || rows.iter().map(|(key, _)| key.at);
        let (first, last) = (times().min()?, times().max()?);
        let length = last.checked_sub(first)?.cast_unsigned();
        let most = (rows.len() / CELL).max(1) as u64;
        let shift = (0..63_u8).find(|shift| length >> shift < most)?;
        let cells = usize::try_from(length >> shift).ok()? + 1;
        // Of each cell the earliest and the latest row.
        let mut ends: Vec<Option<[Row; 2]>> = vec![None; cells];
        for (key, _) in rows {
            let slot = &mut ends[usize::try_from(key.at.wrapping_sub(first).cast_unsigned() >> shift).ok()?];
            let row = (key.at, key.event_id);
            *slot = Some(slot.map_or([row, row], |[earliest, latest]| [earliest.min(row), latest.max(row)]));
        }
        // A mark lies on the line from the latest row before it to the earliest row behind it.
        let [start, mut before] = ends[0]?;
        let befores: Vec<Row> = ends
            .iter()
            .map(|ends| {
                before = ends.map_or(before, |[_, latest]| latest);
                before
            })
            .collect();
        let mut after = before;
        let mut marks = vec![after.1];
        for cell in (1..cells).rev() {
            after = ends[cell].map_or(after, |[earliest, _]| earliest);
            let at = first.saturating_add(i64::try_from(cell).ok()? << shift);
            marks.push(between(befores[cell - 1], after, at));
        }
        marks.push(start.1);
        marks.reverse();
        Some(Self { first, shift, ids: marks })
    }

    fn guess(&self, at: i64) -> i64 {
        let since = at.wrapping_sub(self.first).cast_unsigned();
        let cell = usize::try_from(since >> self.shift).unwrap_or(usize::MAX);
        let (Some(from), Some(to)) = (self.ids.get(cell), self.ids.get(cell.saturating_add(1))) else { return 0 };
        let within = i128::from(since & ((1 << self.shift) - 1));
        let step = (i128::from(to.wrapping_sub(*from)) * within) >> self.shift;
        // Less than the whole of the difference, which is 64 bits.
        from.wrapping_add(i64::try_from(step).unwrap_or(0))
    }
}

impl Ids {
    /// Writes the ids of rows, in their order. With `guided`, predicts them from the times, which takes fewer bytes and
    /// a little more time.
    pub(super) fn write(
        rows: &[(RowKey, u32)],
        guided: bool,
        writer: &Writer,
        out: &mut Vec<u8>,
    ) -> Result<Self, Unwritable> {
        let ids: Vec<i64> = rows.iter().map(|(key, _)| key.event_id).collect();
        if guided && let Some(marks) = Marks::of(rows) {
            let mut plain = Vec::new();
            writer.plain(&ids, &mut plain)?;
            let start = out.len();
            let rests: Vec<i64> = rows.iter().map(|(key, _)| key.event_id.wrapping_sub(marks.guess(key.at))).collect();
            let rests = writer.plain(&rests, out)?;
            let Marks { first, shift, ids: marks } = marks;
            let guide = Guide { first, shift, marks: writer.plain(&marks, out)? };
            if out.len() - start < plain.len() {
                return Ok(Self { rests, guide: Some(guide) });
            }
            out.truncate(start);
        }
        Ok(Self { rests: writer.plain(&ids, out)?, guide: None })
    }

    /// As [`Span::move_by`](super::Span).
    pub(super) fn move_by(&mut self, part: u64) {
        self.rests.move_by(part);
        if let Some(guide) = &mut self.guide {
            guide.marks.move_by(part);
        }
    }

    pub(super) fn is_plausible(&self) -> bool {
        self.guide.as_ref().is_none_or(|guide| guide.shift < 63 && guide.marks.is_plausible())
    }
}

/// The ids of an open group.
#[derive(Clone)]
pub(crate) struct IdReader<'a> {
    rests: Reader<'a>,
    guide: Option<(&'a Guide, &'a dyn Stream)>,
    /// Read when the first id is needed.
    marks: Option<Arc<Marks>>,
}

impl<'a> IdReader<'a> {
    pub(crate) fn new(stream: &'a dyn Stream, ids: &'a Ids) -> Self {
        let guide = ids.guide.as_ref().map(|guide| (guide, stream));
        Self { rests: Reader::new(stream, &ids.rests), guide, marks: None }
    }

    /// Reads the data that all predictions need.
    pub(crate) fn prepare(&mut self) -> Result<(), Corrupt> {
        if let Some((guide, stream)) = self.guide {
            let ids = Reader::new(stream, &guide.marks).all()?;
            self.marks = Some(Arc::new(Marks { first: guide.first, shift: guide.shift, ids }));
            self.guide = None;
        }
        Ok(())
    }

    /// Says that the ids of some packs will be read.
    pub(crate) fn foresee(&mut self, packs: &Range<usize>) {
        self.rests.foresee(packs);
    }

    /// The ids of a pack's rows, given their times.
    pub(crate) fn pack(&mut self, pack: usize, at: &[i64; PACK], ids: &mut [i64; PACK]) -> Result<(), Corrupt> {
        self.rests.large(pack, ids)?;
        self.prepare()?;
        if let Some(marks) = &self.marks {
            for (id, at) in ids.iter_mut().zip(at) {
                *id = id.wrapping_add(marks.guess(*at));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(rows: &[(RowKey, u32)], guided: bool) -> (Vec<i64>, usize, bool) {
        let mut bytes = vec![9; 3];
        let ids = Ids::write(rows, guided, &Writer::new(), &mut bytes).unwrap();
        let mut reader = IdReader::new(&bytes, &ids);
        let mut found = Vec::new();
        for (number, rows) in rows.chunks(PACK).enumerate() {
            let (mut at, mut pack) = ([0; PACK], [0; PACK]);
            at.iter_mut().zip(rows).for_each(|(at, (key, _))| *at = key.at);
            reader.pack(number, &at, &mut pack).unwrap();
            found.extend_from_slice(&pack[..rows.len()]);
        }
        (found, bytes.len(), ids.guide.is_some())
    }

    proptest! {
        #[test]
        fn ids_come_back(rows in prop::collection::vec((any::<u32>(), any::<i64>(), any::<i64>()), 0..1_000)) {
            let key = |(ordinal, at, event_id)| (RowKey { ordinal, at, event_id }, 0);
            let rows: Vec<(RowKey, u32)> = rows.into_iter().map(key).collect();
            let expected: Vec<i64> = rows.iter().map(|(key, _)| key.event_id).collect();
            prop_assert_eq!(back(&rows, true).0, expected);
        }
    }

    #[test]
    fn ids_in_the_order_of_time_are_small() {
        let mut random = crate::segment::random(1);
        let mut at = 0;
        let mut rows: Vec<(RowKey, u32)> = Vec::new();
        for event_id in 0..100_000 {
            at += random(3_000_000);
            rows.push((RowKey { ordinal: u32::try_from(random(10_000)).unwrap(), at, event_id }, 0));
        }
        rows.sort_unstable();
        let (guided, small, used) = back(&rows, true);
        let (plain, large, _) = back(&rows, false);
        assert_eq!(guided, plain);
        assert!(used && small * 2 < large, "{small} bytes, {large} as they are");
        // Ids that have nothing to do with times stand for themselves.
        for (key, _) in &mut rows {
            key.event_id = random(1 << 31);
        }
        assert!(!back(&rows, true).2);
    }
}
