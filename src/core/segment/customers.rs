//! Which customer has which ordinal, both ways: the ids in the order of ordinals, and a table from keyed hashes of ids
//! to ordinals.
//!
//! Entries of the table are 16 bytes: the hash (12, big-endian) and the ordinal (4, little-endian), ascending. They are
//! cut into 2^`bits` buckets by the hash's first bits. The hash is the first 96 of 128 bits of SipHash-1-3 under a secret
//! key of the index: two ids with one hash do not happen (of a billion ids with a chance of one in 10^11), not even to
//! someone who looks for them.

#![expect(clippy::cast_possible_truncation, reason = "a bucket is the first bits of a hash; an entry has 16 bytes")]

use std::hash::Hasher;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::column::{Column, Reader, Writer};
use super::layout::{self, Layout};
use super::stream::{Corrupt, Span, Stream, Unwritable, narrow, place, read_into};

/// The secret key of the hashes of ids.
pub type Key = [u8; 16];

/// The hash of a customer id.
#[must_use]
pub fn customer_hash(key: &Key, id: &str) -> u128 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(id.as_bytes());
    // The low bits are dropped, so that a hash sorts as its stored bytes do.
    hasher.finish128().as_u128() >> 32 << 32
}

const HASH: usize = 12;
const ENTRY: usize = HASH + 4;
/// Approximate number of entries of a bucket.
const BUCKET: usize = 256;

/// The customers of consecutive ordinals.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CustomersHeader {
    /// The first ordinal.
    pub first: u32,
    /// The number of customers.
    pub count: u32,
    /// The end of each id in `ids`.
    ends: Column,
    ids: Span,
    bits: u8,
    /// The start of each bucket in the table, in entries, and the end of the last bucket.
    buckets: Column,
    table: u64,
}

/// Collects customers in the order of their ordinals.
pub struct CustomersBuilder {
    first: u32,
    ids: Vec<u8>,
    ends: Vec<usize>,
    entries: Vec<(u128, u32)>,
}

impl CustomersBuilder {
    /// Starts with an ordinal.
    #[must_use]
    pub fn new(first: u32) -> Self {
        Self { first, ids: Vec::new(), ends: Vec::new(), entries: Vec::new() }
    }

    /// Adds the customer of the next ordinal.
    pub fn push(&mut self, id: &str, hash: u128) {
        let ordinal = self.next();
        self.ids.extend_from_slice(id.as_bytes());
        self.ends.push(self.ids.len());
        if !id.is_empty() {
            self.entries.push((hash, ordinal));
        }
    }

    /// The ordinal of the next customer.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.first.saturating_add(u32::try_from(self.ends.len()).unwrap_or(u32::MAX))
    }

    /// Bytes of the ids.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ids.len()
    }

    /// The number of customers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no customers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes.
    ///
    /// # Errors
    /// When they are too many for a segment.
    pub fn finish(self) -> Result<Vec<u8>, Unwritable> {
        self.finish_checking(&|| ())
    }

    /// The same, calling `check` now and then, which may end it by unwinding.
    ///
    /// # Errors
    /// As [`CustomersBuilder::finish`].
    pub fn finish_checking(mut self, check: &dyn Fn()) -> Result<Vec<u8>, Unwritable> {
        /// Number of comparisons that take a few milliseconds.
        const OFTEN: u32 = 1 << 20;
        let writer = Writer::new();
        let mut out = Vec::new();
        let mut header = CustomersHeader {
            first: self.first,
            count: narrow(self.ends.len(), "customers")?,
            ..CustomersHeader::default()
        };
        header.ids = Span { at: 0, length: narrow(self.ids.len(), "bytes of customer ids")? };
        out.append(&mut self.ids);
        let ends: Vec<i64> = self.ends.iter().map(|end| place(*end)).collect::<Result<_, _>>()?;
        header.ends = writer.plain(&ends, &mut out)?;
        let mut compared = 0_u32;
        self.entries.sort_unstable_by(|left, right| {
            compared = compared.wrapping_add(1);
            if compared.is_multiple_of(OFTEN) {
                check();
            }
            left.cmp(right)
        });
        check();
        let buckets = (self.entries.len() / BUCKET).max(1).next_power_of_two();
        header.bits = buckets.trailing_zeros() as u8;
        let mut starts: Vec<i64> = Vec::with_capacity(buckets + 1);
        for bucket in 0..buckets {
            let start = self.entries.partition_point(|(hash, _)| bucket_of(*hash, header.bits) < bucket as u64);
            starts.push(place(start)?);
        }
        starts.push(place(self.entries.len())?);
        header.buckets = writer.plain(&starts, &mut out)?;
        header.table = out.len() as u64;
        for (hash, ordinal) in &self.entries {
            out.extend_from_slice(&hash.to_be_bytes()[..HASH]);
            out.extend_from_slice(&ordinal.to_le_bytes());
        }
        layout::close(&header, &[], out)
    }
}

fn bucket_of(hash: u128, bits: u8) -> u64 {
    if bits == 0 { 0 } else { (hash >> (128 - u32::from(bits.min(64)))) as u64 }
}

impl CustomersHeader {
    /// Reads the header.
    ///
    /// # Errors
    /// When the bytes are no customers.
    pub fn open(stream: &dyn Stream) -> Result<Self, Corrupt> {
        Ok(Self::read(stream)?.0)
    }

    fn read(stream: &dyn Stream) -> Result<(Self, Layout), Corrupt> {
        let (mut header, layout) = layout::open::<Self>(stream)?;
        if header.ends.rows != header.count || header.first.checked_add(header.count).is_none() || header.bits > 32 {
            return Err(Corrupt::new("the number of customers differs from their header"));
        }
        header.ends.move_by(layout.data);
        header.ids.move_by(layout.data);
        header.buckets.move_by(layout.data);
        header.table = header.table.saturating_add(layout.data);
        Ok((header, layout))
    }

    /// Verifies all checksums.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn verify(stream: &dyn Stream, check: &dyn Fn()) -> Result<(), Corrupt> {
        Self::read(stream)?.1.verify(stream, check)
    }

    /// Looks hashes up, given in ascending order: `found` gets the place in `hashes` and the ordinal.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn find(&self, stream: &dyn Stream, hashes: &[u128], mut found: impl FnMut(usize, u32)) -> Result<(), Corrupt> {
        let mut buckets = Reader::new(stream, &self.buckets);
        let mut bytes = Vec::new();
        let mut loaded = None;
        for (place, hash) in hashes.iter().enumerate() {
            let bucket = u32::try_from(bucket_of(*hash, self.bits)).unwrap_or(u32::MAX);
            if loaded != Some(bucket) {
                let (start, end) = (buckets.get(bucket)?, buckets.get(bucket.saturating_add(1))?);
                let entries = u32::try_from(end.saturating_sub(start))
                    .ok()
                    .and_then(|entries| entries.checked_mul(ENTRY as u32))
                    .ok_or_else(|| Corrupt::new("a bucket of customers is out of order"))?;
                let at = self.table.saturating_add(start.max(0).cast_unsigned().saturating_mul(ENTRY as u64));
                read_into(stream, at, entries, &mut bytes)?;
                loaded = Some(bucket);
            }
            let wanted = hash.to_be_bytes();
            let (entries, _) = bytes.as_chunks::<ENTRY>();
            if let Ok(entry) = entries.binary_search_by(|entry| entry[..HASH].cmp(&wanted[..HASH])) {
                let ordinal = u32::from_le_bytes(entries[entry][HASH..].try_into().unwrap_or_default());
                if ordinal.checked_sub(self.first).is_none_or(|place| place >= self.count) {
                    return Err(Corrupt::new("an ordinal is outside the range of its customers"));
                }
                found(place, ordinal);
            }
        }
        Ok(())
    }

    /// Calls a function with the ids of a set of ordinals, or of all, in ascending order. An erased customer has the
    /// empty id.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn ids(
        &self,
        stream: &dyn Stream,
        wanted: Option<&RoaringBitmap>,
        each: &mut dyn FnMut(u32, &str),
    ) -> Result<(), Corrupt> {
        /// Number of ids that are read together when most of them are needed.
        const RUN: u32 = 512;
        let end = self.first + self.count;
        let mut ends = Reader::new(stream, &self.ends);
        let mut pack = [0_i64; super::PACK];
        let mut packed = None;
        let mut end_of = |place: u32| -> Result<u64, Corrupt> {
            let number = place as usize / super::PACK;
            if packed != Some(number) {
                ends.large(number, &mut pack)?;
                packed = Some(number);
            }
            Ok(pack[place as usize % super::PACK].max(0).cast_unsigned())
        };
        let mut bytes = Vec::new();
        let mut run = 0..0_u32;
        let mut run_start = 0_u64;
        let mut one = |ordinal: u32| -> Result<(), Corrupt> {
            let place = ordinal - self.first;
            if !run.contains(&place) {
                let from = place;
                run = from..self.count.min(from.saturating_add(RUN));
                run_start = if from == 0 { 0 } else { end_of(from - 1)? };
                let run_end = end_of(run.end - 1)?;
                let length = u32::try_from(run_end.saturating_sub(run_start)).ok().filter(|n| *n <= self.ids.length);
                let length = length.ok_or_else(|| Corrupt::new("customer ids are out of order"))?;
                read_into(stream, self.ids.at.saturating_add(run_start), length, &mut bytes)?;
            }
            let start = if place == 0 { 0 } else { end_of(place - 1)? };
            let stop = end_of(place)?;
            let range = usize::try_from(start.wrapping_sub(run_start)).unwrap_or(usize::MAX)
                ..usize::try_from(stop.wrapping_sub(run_start)).unwrap_or(usize::MAX);
            let id = bytes.get(range).and_then(|id| std::str::from_utf8(id).ok());
            each(ordinal, id.ok_or_else(|| Corrupt::new("customer ids are out of order"))?);
            Ok(())
        };
        match wanted {
            Some(wanted) => wanted.range(self.first..end).try_for_each(one),
            None => (self.first..end).try_for_each(&mut one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_found_both_ways() {
        let key = [3; 16];
        let ids: Vec<String> = (0..5_000).map(|number| format!("customer-{number}")).collect();
        let mut builder = CustomersBuilder::new(100);
        for id in &ids {
            builder.push(id, customer_hash(&key, id));
        }
        let bytes = builder.finish().unwrap();
        let header = CustomersHeader::open(&bytes).unwrap();
        CustomersHeader::verify(&bytes, &|| ()).unwrap();
        let mut hashes: Vec<(u128, usize)> = ids.iter().map(|id| customer_hash(&key, id)).zip(0..).collect();
        hashes.push((customer_hash(&key, "someone else"), usize::MAX));
        hashes.sort_unstable();
        let wanted: Vec<u128> = hashes.iter().map(|(hash, _)| *hash).collect();
        let mut found = 0;
        header
            .find(&bytes, &wanted, |place, ordinal| {
                assert_eq!(ordinal as usize, hashes[place].1 + 100);
                found += 1;
            })
            .unwrap();
        assert_eq!(found, ids.len());
        let wanted: RoaringBitmap = [100, 101, 2_000, 5_099].into_iter().collect();
        let mut names = Vec::new();
        header.ids(&bytes, Some(&wanted), &mut |ordinal, id| names.push((ordinal, id.to_owned()))).unwrap();
        assert_eq!(names.len(), 4);
        assert!(names.iter().all(|(ordinal, id)| *id == ids[*ordinal as usize - 100]));
        let mut count = 0;
        header.ids(&bytes, None, &mut |_, _| count += 1).unwrap();
        assert_eq!(count, 5_000);
    }
}
