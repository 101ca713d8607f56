//! Integer columns. A pack has 128 values, and a frame has 64 packs. A frame is the unit of reading.
//!
//! A frame of `n` packs is `n` bytes of widths, `n` bases (i64, little-endian), then the packs' bits as the crate
//! `bitpacking` lays them out. A value is its pack's base plus the bits (sorted columns: the running sum of the bits).
//! A width above 32 means two layers, the low 32 bits and the rest.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the halves of 64 bits are packed by themselves"
)]

use std::ops::Range;

use bitpacking::{BitPacker, BitPacker4x};
use serde::{Deserialize, Serialize};

use super::stream::{Corrupt, Stream, Unwritable, narrow, read_into};

/// Values of a pack.
pub const PACK: usize = 128;
/// Packs of a frame.
const FRAME: usize = 64;
/// Bytes of a base.
const BASE: usize = 8;
/// Lanes of a pack: values that are stored next to each other.
const LANES: usize = 4;

/// The only codec: frames of packs, as the module describes.
const PACKED: u8 = 1;

/// The position of a column and its number of values.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Column {
    /// The number of values.
    pub(crate) rows: u32,
    /// The codec of the values.
    codec: u8,
    /// Whether the packs contain the differences of ascending values.
    sorted: bool,
    /// The offset of the first frame.
    at: u64,
    /// Bytes of each frame.
    frames: Vec<u32>,
}

impl Column {
    /// As [`Span::move_by`](super::Span).
    pub(super) fn move_by(&mut self, part: u64) {
        self.at = self.at.saturating_add(part);
    }

    /// Whether the packs hold differences of ascending values.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn is_sorted(&self) -> bool {
        self.sorted
    }

    /// Whether the number of values fits the frames: readers allocate by that number.
    pub(crate) fn is_plausible(&self) -> bool {
        self.frames.len() == (self.rows as usize).div_ceil(FRAME * PACK)
    }
}

/// Appends columns to the bytes of a segment.
pub(crate) struct Writer {
    packer: BitPacker4x,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { packer: BitPacker4x::new() }
    }

    /// Writes a column of unsorted numbers.
    pub(crate) fn plain(&self, values: &[i64], out: &mut Vec<u8>) -> Result<Column, Unwritable> {
        Self::column(values.len(), false, out, |frame, heads, bits| {
            for pack in values[frame].chunks(PACK) {
                let base = pack.iter().copied().min().unwrap_or(0);
                let mut low = [0_u32; PACK];
                let mut high = [0_u32; PACK];
                for (place, value) in pack.iter().enumerate() {
                    let offset = value.wrapping_sub(base).cast_unsigned();
                    low[place] = (offset & u64::from(u32::MAX)) as u32;
                    high[place] = (offset >> 32) as u32;
                }
                let upper = self.packer.num_bits(&high);
                let lower = if upper > 0 { 32 } else { self.packer.num_bits(&low) };
                heads.push((lower + upper, base));
                self.put(&low, lower, bits);
                self.put(&high, upper, bits);
            }
        })
    }

    /// Writes a column of ascending numbers, which may contain equal ones.
    pub(crate) fn sorted(&self, values: &[u32], out: &mut Vec<u8>) -> Result<Column, Unwritable> {
        Self::column(values.len(), true, out, |frame, heads, bits| {
            for pack in values[frame].chunks(PACK) {
                let base = pack[0];
                let mut all = [pack[pack.len() - 1]; PACK];
                all[..pack.len()].copy_from_slice(pack);
                let width = self.packer.num_bits_sorted(base, &all);
                heads.push((width, i64::from(base)));
                let start = bits.len();
                bits.resize(start + usize::from(width) * PACK / 8, 0);
                self.packer.compress_sorted(base, &all, &mut bits[start..], width);
            }
        })
    }

    fn put(&self, values: &[u32; PACK], width: u8, bits: &mut Vec<u8>) {
        let start = bits.len();
        bits.resize(start + usize::from(width) * PACK / 8, 0);
        self.packer.compress(values, &mut bits[start..], width);
    }

    fn column(
        rows: usize,
        sorted: bool,
        out: &mut Vec<u8>,
        mut frame: impl FnMut(Range<usize>, &mut Vec<(u8, i64)>, &mut Vec<u8>),
    ) -> Result<Column, Unwritable> {
        let rows_stored = narrow(rows, "rows of a column")?;
        let at = out.len() as u64;
        let mut column = Column { rows: rows_stored, codec: PACKED, sorted, at, frames: Vec::new() };
        let (mut heads, mut bits) = (Vec::new(), Vec::new());
        for start in (0..rows).step_by(FRAME * PACK) {
            heads.clear();
            bits.clear();
            frame(start..rows.min(start + FRAME * PACK), &mut heads, &mut bits);
            let from = out.len();
            out.extend(heads.iter().map(|(width, _)| *width));
            out.extend(heads.iter().flat_map(|(_, base)| base.to_le_bytes()));
            out.extend_from_slice(&bits);
            column.frames.push(narrow(out.len() - from, "bytes of a frame")?);
        }
        Ok(column)
    }
}

/// One column of an open segment, with the frame that was read last.
pub(crate) struct Reader<'a> {
    stream: &'a dyn Stream,
    column: &'a Column,
    packer: BitPacker4x,
    /// The number of the frame in `bytes`.
    frame: Option<usize>,
    bytes: Vec<u8>,
    /// The offset of each pack's bits in `bytes`.
    starts: Vec<u32>,
    /// The offset of each frame of the column, computed when the first frame is read.
    offsets: Vec<u64>,
}

/// Without the frame that was read last.
impl Clone for Reader<'_> {
    fn clone(&self) -> Self {
        Self { offsets: self.offsets.clone(), ..Self::new(self.stream, self.column) }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(stream: &'a dyn Stream, column: &'a Column) -> Self {
        Self {
            stream,
            column,
            packer: BitPacker4x::new(),
            frame: None,
            bytes: Vec::new(),
            starts: Vec::new(),
            offsets: Vec::new(),
        }
    }

    /// Frees the memory of the frame.
    pub(crate) fn release(&mut self) {
        self.frame = None;
        (self.bytes, self.starts) = (Vec::new(), Vec::new());
    }

    /// Reads the frame of a pack. Returns the position of the pack in it.
    #[inline]
    fn seek(&mut self, pack: usize) -> Result<usize, Corrupt> {
        let (frame, within) = (pack / FRAME, pack % FRAME);
        if self.frame != Some(frame) {
            self.load(frame)?;
        }
        if within < self.starts.len() { Ok(within) } else { Err(too_short()) }
    }

    /// Finds out where the frames begin.
    fn place_frames(&mut self) {
        let Self { column, offsets, .. } = self;
        if offsets.is_empty() {
            offsets.extend(column.frames.iter().scan(column.at, |at, length| {
                let start = *at;
                *at = at.saturating_add(u64::from(*length));
                Some(start)
            }));
        }
    }

    /// Says that some packs will be read.
    pub(crate) fn foresee(&mut self, packs: &Range<usize>) {
        self.place_frames();
        let frames = packs.start / FRAME..packs.end.div_ceil(FRAME).min(self.offsets.len());
        if let (Some(from), Some(lengths)) = (self.offsets.get(frames.start), self.column.frames.get(frames)) {
            self.stream.foresee(*from, lengths.iter().map(|length| u64::from(*length)).sum());
        }
    }

    fn load(&mut self, frame: usize) -> Result<(), Corrupt> {
        self.place_frames();
        let Self { column, bytes, starts, offsets, .. } = self;
        if column.codec != PACKED {
            return Err(Corrupt::Foreign(format!("a column has the codec {}", column.codec)));
        }
        let (Some(at), Some(length)) = (offsets.get(frame), column.frames.get(frame)) else {
            return Err(too_short());
        };
        self.frame = None;
        read_into(self.stream, *at, *length, bytes)?;
        let rows = column.rows as usize - (frame * FRAME * PACK).min(column.rows as usize);
        let packs = rows.div_ceil(PACK).min(FRAME);
        let widths = bytes.get(..packs).ok_or_else(too_short)?;
        if widths.iter().max() > Some(&if column.sorted { 32 } else { 64 }) {
            return Err(Corrupt::new("a pack is wider than its values"));
        }
        let mut start = (packs * (1 + BASE)) as u32;
        starts.clear();
        starts.extend(widths.iter().map(|width| {
            let this = start;
            start += u32::from(*width) * (PACK / 8) as u32;
            this
        }));
        if start as usize > bytes.len() {
            return Err(too_short());
        }
        self.frame = Some(frame);
        Ok(())
    }

    fn base(&self, within: usize) -> i64 {
        let at = self.starts.len() + within * BASE;
        let bytes = self.bytes.get(at..at + BASE).and_then(|bytes| bytes.try_into().ok());
        i64::from_le_bytes(bytes.unwrap_or_default())
    }

    /// The first value of a pack of a sorted column.
    pub(crate) fn first(&mut self, pack: usize) -> Result<u32, Corrupt> {
        let within = self.seek(pack)?;
        Ok(low_half(self.base(within)))
    }

    /// The values of a pack of a column whose values fit into 32 bits. Values after the last row are undefined.
    pub(crate) fn small(&mut self, pack: usize, values: &mut [u32; PACK]) -> Result<(), Corrupt> {
        let within = self.seek(pack)?;
        let (width, base) = (self.bytes[within], low_half(self.base(within)));
        if width > 32 {
            return Err(Corrupt::new("a pack is wider than its values"));
        }
        let bits = &self.bytes[self.starts[within] as usize..];
        if self.column.sorted {
            self.packer.decompress_sorted(base, bits, values, width);
            return Ok(());
        }
        self.packer.decompress(bits, values, width);
        if base != 0 {
            for value in values {
                *value = value.wrapping_add(base);
            }
        }
        Ok(())
    }

    /// One value of a pack of an unsorted column whose values fit into 32 bits: the same value as in [`Reader::small`],
    /// in a fraction of the time.
    pub(crate) fn one(&mut self, pack: usize, place: usize) -> Result<u32, Corrupt> {
        let within = self.seek(pack)?;
        small_value(&self.bytes, &self.starts, within, place)
    }

    /// Retains the given rows, which are in ascending order, whose value is selected. The column is as for
    /// [`Reader::one`].
    pub(crate) fn retain(&mut self, rows: &mut Vec<u32>, wanted: impl Fn(u32) -> bool) -> Result<(), Corrupt> {
        let (mut from, mut kept) = (0, 0);
        while let Some(first) = rows.get(from) {
            let pack = *first as usize / PACK;
            self.seek(pack)?;
            let behind = (pack / FRAME + 1) * FRAME * PACK;
            let (bytes, starts) = (self.bytes.as_slice(), self.starts.as_slice());
            let to = from + rows[from..].partition_point(|row| (*row as usize) < behind);
            for place in from..to {
                let row = rows[place];
                let value = small_value(bytes, starts, row as usize / PACK % FRAME, row as usize % PACK)?;
                // Without a branch, which would be guessed wrongly time and again.
                rows[kept] = row;
                kept += usize::from(wanted(value));
            }
            from = to;
        }
        rows.truncate(kept);
        Ok(())
    }

    /// The values of a pack of an unsorted column. Values after the last row are undefined.
    pub(crate) fn large(&mut self, pack: usize, values: &mut [i64; PACK]) -> Result<(), Corrupt> {
        let within = self.seek(pack)?;
        let (width, base) = (self.bytes[within], self.base(within));
        let bits = &self.bytes[self.starts[within] as usize..];
        let mut layer = [0_u32; PACK];
        self.packer.decompress(bits, &mut layer, width.min(32));
        for (value, low) in values.iter_mut().zip(&layer) {
            *value = base.wrapping_add(i64::from(*low));
        }
        if width > 32 {
            self.packer.decompress(&bits[32 * PACK / 8..], &mut layer, width - 32);
            for (value, high) in values.iter_mut().zip(&layer) {
                *value = value.wrapping_add((u64::from(*high) << 32).cast_signed());
            }
        }
        Ok(())
    }

    /// The values of a pack of an unsorted column as differences from a number, if they fit into 32 bits.
    pub(crate) fn offsets(&mut self, pack: usize, values: &mut [u32; PACK]) -> Result<Option<i64>, Corrupt> {
        let within = self.seek(pack)?;
        let (width, base) = (self.bytes[within], self.base(within));
        if width > 32 {
            return Ok(None);
        }
        self.packer.decompress(&self.bytes[self.starts[within] as usize..], values, width);
        Ok(Some(base))
    }

    /// The number of values before the first one for which `before` is false, in an unsorted column with ascending
    /// values.
    pub(crate) fn partition_point(&mut self, before: impl Fn(i64) -> bool) -> Result<u32, Corrupt> {
        let rows = self.column.rows as usize;
        // A pack's base is its smallest value: its first.
        let (mut low, mut high) = (0, rows.div_ceil(PACK));
        while low < high {
            let middle = low + (high - low) / 2;
            let within = self.seek(middle)?;
            if before(self.base(within)) { low = middle + 1 } else { high = middle }
        }
        let Some(last) = low.checked_sub(1) else { return Ok(0) };
        let mut pack = [0_i64; PACK];
        self.large(last, &mut pack)?;
        let here = pack[..PACK.min(rows - last * PACK)].partition_point(|value| before(*value));
        Ok(u32::try_from(last * PACK + here).unwrap_or(u32::MAX))
    }

    /// Passes on all values in order.
    pub(crate) fn each(&mut self, mut take: impl FnMut(i64) -> Result<(), Corrupt>) -> Result<(), Corrupt> {
        let rows = self.column.rows as usize;
        let mut pack = [0_i64; PACK];
        for number in 0..rows.div_ceil(PACK) {
            self.large(number, &mut pack)?;
            pack[..PACK.min(rows - number * PACK)].iter().try_for_each(|value| take(*value))?;
        }
        Ok(())
    }

    /// All values.
    pub(crate) fn all(&mut self) -> Result<Vec<i64>, Corrupt> {
        let mut values = Vec::new();
        self.each(|value| {
            values.push(value);
            Ok(())
        })?;
        Ok(values)
    }

    /// One value of a column that is not sorted.
    pub(crate) fn get(&mut self, row: u32) -> Result<i64, Corrupt> {
        let (pack, place) = (row as usize / PACK, row as usize % PACK);
        let within = self.seek(pack)?;
        let (width, start) = (u32::from(self.bytes[within]), self.starts[within] as usize);
        let low = bits(&self.bytes, start, place, width.min(32));
        let high = if width > 32 { bits(&self.bytes, start + 32 * PACK / 8, place, width - 32) } else { 0 };
        Ok(self.base(within).wrapping_add((low | high << 32).cast_signed()))
    }
}

/// Four bytes as a number; bytes after the end are 0.
#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word))
}

/// One value of up to 32 bits, by the position of its pack in the frame and its position in the pack.
#[inline]
fn small_value(frame: &[u8], starts: &[u32], within: usize, place: usize) -> Result<u32, Corrupt> {
    let (Some(start), Some(width)) = (starts.get(within), frame.get(within)) else {
        return Err(too_short());
    };
    if *width > 32 {
        return Err(Corrupt::new("a pack is wider than its values"));
    }
    // The low half of the base: such values have no other.
    let base = word(frame, starts.len() + within * BASE);
    Ok(base.wrapping_add(bits(frame, *start as usize, place, u32::from(*width)) as u32))
}

/// The bits of one value in a layer of a pack. The layer starts at `start` and is up to 32 bits wide.
#[inline]
fn bits(bytes: &[u8], start: usize, place: usize, width: u32) -> u64 {
    // Four lanes, each a run of bits in words of 32; the lanes' words take turns.
    let (lane, bit) = (place % LANES, place / LANES * width as usize);
    let word = |number: usize| u64::from(word(bytes, start + (number * LANES + lane) * 4));
    let first = bit / 32;
    // What lies behind the value is cut off, so that the second word may be any.
    let two = word(first) | word(first + 1) << 32;
    two >> (bit % 32) & ((1 << width) - 1)
}

fn too_short() -> Corrupt {
    Corrupt::new("a column is shorter than its header specifies")
}

/// The low half of a base. In columns whose values fit into 32 bits the high half is 0.
fn low_half(base: i64) -> u32 {
    (base & i64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_column_of_another_codec_is_foreign() {
        let mut bytes = Vec::new();
        let mut column = Writer::new().plain(&[1, 2, 3], &mut bytes).unwrap();
        column.codec = PACKED + 1;
        assert!(matches!(Reader::new(&bytes, &column).all(), Err(Corrupt::Foreign(_))));
    }

    proptest! {
        #[test]
        fn plain_columns_come_back(values in prop::collection::vec(prop_oneof![any::<i64>(), 0..1000_i64], 0..20_000)) {
            let mut bytes = vec![7; 13];
            let column = Writer::new().plain(&values, &mut bytes).unwrap();
            let read = Reader::new(&bytes, &column).all();
            prop_assert_eq!(read, Ok(values));
        }

        #[test]
        fn single_values_are_those_of_their_pack(
            values in prop::collection::vec((0..i64::from(u32::MAX), 0..33_u32), 0..1_000),
        ) {
            let values: Vec<i64> = values.chunks(PACK).flat_map(|pack| {
                let shift = pack[0].1;
                pack.iter().map(move |(value, _)| value >> shift)
            }).collect();
            let mut bytes = vec![7; 5];
            let column = Writer::new().plain(&values, &mut bytes).unwrap();
            let mut reader = Reader::new(&bytes, &column);
            for (row, value) in values.iter().enumerate() {
                prop_assert_eq!(reader.one(row / PACK, row % PACK).map(i64::from), Ok(*value));
            }
            let mut kept: Vec<u32> = (0..).take(values.len()).filter(|row| row % 3 != 1).collect();
            let expected: Vec<u32> = kept.iter().copied().filter(|row| values[*row as usize] % 5 == 2).collect();
            prop_assert_eq!(reader.retain(&mut kept, |value| value % 5 == 2), Ok(()));
            prop_assert_eq!(kept, expected);
        }

        #[test]
        fn any_value_is_found(values in prop::collection::vec((any::<i64>(), 0..64_u32), 1..1_000)) {
            let values: Vec<i64> = values.chunks(PACK).flat_map(|pack| {
                let shift = pack[0].1;
                pack.iter().map(move |(value, _)| value >> shift)
            }).collect();
            let mut bytes = Vec::new();
            let column = Writer::new().plain(&values, &mut bytes).unwrap();
            let mut reader = Reader::new(&bytes, &column);
            for (row, value) in (0..).zip(&values) {
                prop_assert_eq!(reader.get(row), Ok(*value));
            }
        }

        #[test]
        fn bounds_are_found(mut values in prop::collection::vec(-1_000..1_000_i64, 0..2_000), bound in -1_100..1_100_i64) {
            values.sort_unstable();
            let mut bytes = Vec::new();
            let column = Writer::new().plain(&values, &mut bytes).unwrap();
            let found = Reader::new(&bytes, &column).partition_point(|value| value < bound);
            prop_assert_eq!(found.map(|found| found as usize), Ok(values.partition_point(|value| *value < bound)));
        }

        #[test]
        fn sorted_columns_come_back(mut values in prop::collection::vec(any::<u32>(), 0..20_000)) {
            values.sort_unstable();
            let mut bytes = Vec::new();
            let column = Writer::new().sorted(&values, &mut bytes).unwrap();
            let mut reader = Reader::new(&bytes, &column);
            let mut pack = [0; PACK];
            for (number, expected) in values.chunks(PACK).enumerate() {
                prop_assert_eq!(reader.first(number), Ok(expected[0]));
                prop_assert_eq!(reader.small(number, &mut pack), Ok(()));
                prop_assert_eq!(&pack[..expected.len()], expected);
            }
        }
    }
}
