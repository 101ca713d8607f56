//! The rows of one event type in a segment, or of all profiles.

use std::ops::Range;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::column::{Column, PACK, Reader};
use super::dictionary::{self, Dictionary, Kinds};
use super::ids::{IdReader, Ids};
use super::lists::Lists;
use super::stream::{Corrupt, Span, Stream};
use super::times::Times;
use super::{CHUNK_BITS, CHUNK_MASK, RowKey, item};

/// The columns of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// The number of rows, which the directory contains.
    #[serde(skip)]
    pub rows: u32,
    pub(super) chunks: Vec<Chunk>,
    pub(crate) ordinals: Column,
    pub(super) seconds: Column,
    pub(super) micros: Column,
    pub(crate) ids: Ids,
    pub(crate) properties: Vec<Property>,
}

/// The rows of one chunk in a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) number: u16,
    /// Its first row.
    pub(super) start: u32,
    /// The customers with rows, as a roaring bitmap of ordinals in the chunk, if there are many.
    pub(super) customers: Span,
}

/// The values at one path.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Property {
    /// The keys of the path; empty for the values without a column, which are stored as `[[key, …, value], …]`.
    pub(crate) path: Vec<String>,
    pub(crate) codes: Column,
    pub(crate) lists: Option<Lists>,
    pub(crate) dictionary: Dictionary,
}

impl Group {
    /// Completes a group that was read: sets its number of rows and the offset of its data.
    pub(super) fn placed(mut self, rows: u32, data: u64) -> Result<Self, Corrupt> {
        self.rows = rows;
        self.validate()?;
        for column in [&mut self.ordinals, &mut self.seconds, &mut self.micros] {
            column.move_by(data);
        }
        self.ids.move_by(data);
        for chunk in &mut self.chunks {
            chunk.customers.move_by(data);
        }
        for property in &mut self.properties {
            property.codes.move_by(data);
            property.dictionary.move_by(data);
            if let Some(lists) = &mut property.lists {
                lists.move_by(data);
            }
        }
        Ok(self)
    }

    fn validate(&self) -> Result<(), Corrupt> {
        let columns = [&self.ordinals, &self.seconds, &self.micros, &self.ids.rests];
        let codes = self.properties.iter().map(|property| &property.codes);
        if columns.into_iter().chain(codes).any(|column| column.rows != self.rows || !column.is_plausible()) {
            return Err(Corrupt::new("the number of values of a column differs from the number of rows of its group"));
        }
        if self.properties.iter().any(|property| !property.dictionary.is_plausible(self.rows)) {
            return Err(Corrupt::new("a dictionary has more codes than its rows can need"));
        }
        let fitting = |property: &Property| {
            let lists = property.lists.as_ref();
            lists.is_none_or(|lists| lists.is_plausible(self.rows, property.dictionary.len()))
        };
        if !self.ids.is_plausible() || !self.properties.iter().all(fitting) {
            return Err(Corrupt::new("the parts of a group contradict each other"));
        }
        let ascending = self.chunks.windows(2).all(|two| two[0].number < two[1].number && two[0].start < two[1].start);
        let inside = self.chunks.first().is_none_or(|first| first.start == 0)
            && self.chunks.last().is_none_or(|last| last.start < self.rows);
        if !ascending || !inside || self.chunks.is_empty() != (self.rows == 0) {
            return Err(Corrupt::new("the chunks of a group are out of order"));
        }
        Ok(())
    }

    /// The rows of a chunk: the first row, and the row after the last one.
    pub(crate) fn chunk_rows(&self, chunk: u16) -> Option<(u32, u32)> {
        let place = self.chunks.binary_search_by_key(&chunk, |chunk| chunk.number).ok()?;
        let end = self.chunks.get(place + 1).map_or(self.rows, |next| next.start);
        Some((self.chunks[place].start, end))
    }

    /// The packs that hold the rows of a chunk.
    pub(crate) fn packs(&self, chunk: u16) -> Option<Range<usize>> {
        let (start, end) = self.chunk_rows(chunk)?;
        Some(start as usize / PACK..(end as usize).div_ceil(PACK))
    }

    /// Announces that [`Group::customers`] will be called.
    pub(crate) fn foresee_customers(&self, chunk: u16, stream: &dyn Stream) {
        let Ok(place) = self.chunks.binary_search_by_key(&chunk, |chunk| chunk.number) else { return };
        match (self.chunks[place].customers, self.packs(chunk)) {
            (set, _) if set.length > 0 => set.foresee(stream),
            (_, Some(packs)) => Reader::new(stream, &self.ordinals).foresee(&packs),
            (_, None) => {}
        }
    }

    /// Whether the customers with rows in a chunk are stored as a bitmap.
    pub(crate) fn has_set(&self, chunk: u16) -> bool {
        let place = self.chunks.binary_search_by_key(&chunk, |chunk| chunk.number);
        place.is_ok_and(|place| self.chunks[place].customers.length > 0)
    }

    /// The customers with rows in a chunk.
    pub(crate) fn customers(&self, chunk: u16, stream: &dyn Stream) -> Result<Option<RoaringBitmap>, Corrupt> {
        match self.chunks.binary_search_by_key(&chunk, |chunk| chunk.number) {
            Ok(place) if self.chunks[place].customers.length > 0 => {
                read_set(self.chunks[place].customers, stream).map(Some)
            }
            Ok(_) => self.customers_by_rows(chunk, stream).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn customers_by_rows(&self, chunk: u16, stream: &dyn Stream) -> Result<RoaringBitmap, Corrupt> {
        let mut set = RoaringBitmap::new();
        let Some((start, end)) = self.chunk_rows(chunk) else { return Ok(set) };
        let (start, end) = (start as usize, end as usize);
        let mut ordinals = Reader::new(stream, &self.ordinals);
        let mut pack = [0_u32; PACK];
        for number in start / PACK..end.div_ceil(PACK) {
            ordinals.small(number, &mut pack)?;
            let rows = start.saturating_sub(number * PACK)..PACK.min(end - number * PACK);
            set.extend(pack[rows].iter().map(|ordinal| ordinal & CHUNK_MASK));
        }
        Ok(set)
    }

    /// Passes on the keys of all rows in order.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn keys(&self, stream: &dyn Stream, mut each: impl FnMut(u32, RowKey)) -> Result<(), Corrupt> {
        let mut keys = KeyReader::new(self, stream);
        for pack in 0..(self.rows as usize).div_ceil(PACK) {
            let from = pack * PACK;
            for (place, key) in keys.pack(pack)?.iter().enumerate().take(self.rows as usize - from) {
                each(u32::try_from(from + place).unwrap_or(u32::MAX), *key);
            }
        }
        Ok(())
    }

    /// The paths at which there are values, and what kinds of values; the empty path stands for values that have no
    /// column of their own.
    pub fn paths(&self) -> impl Iterator<Item = (&[String], Kinds)> {
        self.properties.iter().map(|property| (property.path.as_slice(), property.dictionary.kinds()))
    }

    /// How many rows have a value at one of the paths, counted from 0.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn rows_with(&self, path: usize, stream: &dyn Stream) -> Result<u32, Corrupt> {
        let Some(property) = self.properties.get(path) else { return Ok(0) };
        let mut codes = Reader::new(stream, &property.codes);
        let mut pack = [0_u32; PACK];
        let (rows, mut found) = (self.rows as usize, 0_u32);
        for number in 0..rows.div_ceil(PACK) {
            codes.small(number, &mut pack)?;
            let here = pack.iter().take(rows - number * PACK).filter(|code| **code != dictionary::MISSING).count();
            found += u32::try_from(here).unwrap_or(0);
        }
        Ok(found)
    }

    /// The row of an event of a customer, if it is here.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn find(&self, stream: &dyn Stream, ordinal: u32, event_id: i64) -> Result<Option<u32>, Corrupt> {
        let Some((start, end)) = self.chunk_rows((ordinal >> CHUNK_BITS) as u16) else { return Ok(None) };
        let mut ordinals = Reader::new(stream, &self.ordinals);
        // The last pack that begins below the ordinal may hold its first row.
        let (mut low, mut high) = (start as usize / PACK, (end as usize).div_ceil(PACK));
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if ordinals.first(middle)? < ordinal { low = middle } else { high = middle }
        }
        let mut keys = KeyReader::new(self, stream);
        let mut pack = [0_u32; PACK];
        for number in low..(end as usize).div_ceil(PACK) {
            ordinals.small(number, &mut pack)?;
            let rows = PACK.min(self.rows as usize - number * PACK);
            if pack[0] > ordinal {
                break;
            }
            if pack[..rows].binary_search(&ordinal).is_err() {
                continue;
            }
            let keys = keys.pack(number)?;
            let found = keys[..rows].iter().position(|key| key.ordinal == ordinal && key.event_id == event_id);
            if let Some(place) = found {
                return Ok(u32::try_from(number * PACK + place).ok());
            }
        }
        Ok(None)
    }

    /// Compares row lists with their columns.
    pub(super) fn agree(&self, stream: &dyn Stream) -> Result<(), Corrupt> {
        self.properties.iter().try_for_each(|property| match &property.lists {
            Some(lists) => lists.agree(stream, &property.codes),
            None => Ok(()),
        })
    }

    /// Passes on every value of every row: row, path and value, by path and then by row. Values of the rest come with
    /// the empty path.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn values(
        &self,
        stream: &dyn Stream,
        mut each: impl FnMut(u32, &[String], item::Item<'_>),
    ) -> Result<(), Corrupt> {
        for property in &self.properties {
            let loaded = property.dictionary.load(stream)?;
            let mut codes = Reader::new(stream, &property.codes);
            let mut pack = [0_u32; PACK];
            for row in 0..self.rows {
                if (row as usize).is_multiple_of(PACK) {
                    codes.small(row as usize / PACK, &mut pack)?;
                }
                let code = pack[row as usize % PACK];
                if code != dictionary::MISSING {
                    let item =
                        loaded.item(code).ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
                    each(row, &property.path, item);
                }
            }
        }
        Ok(())
    }
}

/// The keys of a group's rows, pack by pack.
struct KeyReader<'a> {
    ordinals: Reader<'a>,
    times: Times<'a>,
    ids: IdReader<'a>,
    keys: [RowKey; PACK],
}

impl<'a> KeyReader<'a> {
    fn new(group: &'a Group, stream: &'a dyn Stream) -> Self {
        Self {
            ordinals: Reader::new(stream, &group.ordinals),
            times: Times::new(group, stream),
            ids: IdReader::new(stream, &group.ids),
            keys: [RowKey { ordinal: 0, at: 0, event_id: 0 }; PACK],
        }
    }

    fn pack(&mut self, pack: usize) -> Result<&[RowKey; PACK], Corrupt> {
        let mut ordinals = [0_u32; PACK];
        let mut event_ids = [0_i64; PACK];
        self.ordinals.small(pack, &mut ordinals)?;
        let at = self.times.pack(pack)?;
        self.ids.pack(pack, &at, &mut event_ids)?;
        for (key, ((ordinal, at), event_id)) in self.keys.iter_mut().zip(ordinals.into_iter().zip(at).zip(event_ids)) {
            *key = RowKey { ordinal, at, event_id };
        }
        Ok(&self.keys)
    }
}

/// Reads a set of customers of one chunk.
pub(super) fn read_set(span: Span, stream: &dyn Stream) -> Result<RoaringBitmap, Corrupt> {
    let bytes = span.read(stream)?;
    let set = RoaringBitmap::deserialize_from(bytes.as_slice())
        .map_err(|error| Corrupt::new(format!("a bitmap is damaged: {error}")))?;
    if set.max().is_some_and(|highest| highest > CHUNK_MASK) {
        return Err(Corrupt::new("a bitmap has ordinals outside its chunk"));
    }
    Ok(set)
}
