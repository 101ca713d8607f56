//! What the micro-benchmarks of `benches/micro` measure and no other crate sees.

use roaring::RoaringBitmap;

use crate::eval::bits::Bits;
use crate::segment::column::{Column, Reader, Writer};
use crate::segment::{Corrupt, PACK};

/// A column with its bytes.
pub struct PackedColumn {
    column: Column,
    bytes: Vec<u8>,
}

impl PackedColumn {
    /// Any numbers.
    ///
    /// # Panics
    /// With more numbers than a column holds.
    #[must_use]
    pub fn plain(values: &[i64]) -> Self {
        let mut bytes = Vec::new();
        let column = Writer::new().plain(values, &mut bytes).expect("it fits");
        Self { column, bytes }
    }

    /// Ascending numbers.
    ///
    /// # Panics
    /// With more numbers than a column holds.
    #[must_use]
    pub fn sorted(values: &[u32]) -> Self {
        let mut bytes = Vec::new();
        let column = Writer::new().sorted(values, &mut bytes).expect("it fits");
        Self { column, bytes }
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Reads every value and adds them up.
    pub fn sum(&self) -> Result<i64, Corrupt> {
        let mut sum = 0_i64;
        if self.column.is_sorted() {
            let mut reader = Reader::new(&self.bytes, &self.column);
            let mut values = [0; PACK];
            for pack in 0..(self.column.rows as usize).div_ceil(PACK) {
                reader.small(pack, &mut values)?;
                sum = values.iter().fold(sum, |sum, value| sum.wrapping_add(i64::from(*value)));
            }
            return Ok(sum);
        }
        Reader::new(&self.bytes, &self.column).each(|value| {
            sum = sum.wrapping_add(value);
            Ok(())
        })?;
        Ok(sum)
    }

    /// Reads some rows one by one.
    pub fn pick(&self, rows: &[u32]) -> Result<i64, Corrupt> {
        let mut reader = Reader::new(&self.bytes, &self.column);
        rows.iter().try_fold(0_i64, |sum, row| Ok(sum.wrapping_add(reader.get(*row)?)))
    }
}

/// The customers of one chunk.
#[derive(Clone)]
pub struct Mask(Bits);

impl Mask {
    /// The customers of the first chunk that a bitmap has.
    #[must_use]
    pub fn of(set: &RoaringBitmap) -> Self {
        Self(Bits::of_chunk(set, 0))
    }

    /// Those of both.
    pub fn intersect(&mut self, other: &Self) {
        self.0.intersect(&other.0);
    }

    /// Those of either.
    pub fn union(&mut self, other: &Self) {
        self.0.union(&other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// As a bitmap.
    #[must_use]
    pub fn to_bitmap(&self) -> RoaringBitmap {
        self.0.to_roaring(0)
    }
}
