//! The map between customer ids and ordinals, in both directions.

#![expect(clippy::cast_possible_truncation, reason = "the halves of a hash are what is meant")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use cohort_core::segment::{CustomersHeader, Key, customer_hash};
use roaring::RoaringBitmap;

use super::cache;
use super::pages::{PageStream, Pages};
use super::store::{Kind, Segment, State};
use super::{Damaged, damaged};
use crate::pg::errors::Fallible;

/// Maximum number of customers whose ordinals a backend caches: 48 bytes each.
const MOST_KNOWN: usize = 200_000;

thread_local! {
    /// Cached ordinals, with the key of the index and its number of erasures. The ordinals are valid while neither of
    /// the two changes.
    static KNOWN: RefCell<((Key, i64), ByHash<u32>)> = RefCell::new((([0; 16], 0), ByHash::default()));
}

/// A map by the hash of a customer id. The hash is keyed and evenly distributed, so it is not hashed again.
pub(super) type ByHash<T> = HashMap<u128, T, BuildHasherDefault<HashItself>>;

/// The hash of a customer's hash.
#[derive(Default)]
pub(super) struct HashItself(u64);

impl Hasher for HashItself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        // The low 32 bits are always zero.
        self.0 = (hash >> 64) as u64 ^ hash as u64;
    }
}

/// The customers in segments.
pub(super) struct Directory {
    key: Key,
    erasures: i64,
    /// Whether results may be cached. Ordinals that this transaction assigned may not: it can still be rolled back.
    lasting: bool,
    customers: u32,
    parts: Vec<(Rc<CustomersHeader>, PageStream)>,
}

impl Directory {
    pub(super) fn open(state: &State, segments: &[Segment], pages: &Rc<Pages>) -> Fallible<Self> {
        let mut parts = Vec::new();
        for segment in segments.iter().filter(|segment| segment.kind == Kind::Customers) {
            let stream = PageStream::new(pages, segment.id);
            parts.push((cache::customers(&stream).in_segment(segment.id)?, stream));
        }
        parts.sort_by_key(|(header, _)| header.first);
        Ok(Self { key: state.key, erasures: state.erasures, lasting: !state.own, customers: state.customers, parts })
    }

    /// The ordinals of the customers that have one.
    pub(super) fn find<S: AsRef<str>>(&self, ids: &[S]) -> Fallible<Vec<Option<u32>>> {
        let hashes: Vec<u128> = ids.iter().map(|id| customer_hash(&self.key, id.as_ref())).collect();
        self.find_hashes(&hashes)
    }

    /// The ordinals of the customers that have one, by the hashes of their ids.
    pub(super) fn find_hashes(&self, ids: &[u128]) -> Fallible<Vec<Option<u32>>> {
        let mut found = vec![None; ids.len()];
        let mut wanted: Vec<(u128, usize)> = Vec::new();
        let hashes = ids.iter().copied();
        if self.lasting {
            KNOWN.with_borrow_mut(|(key, known)| {
                if *key != (self.key, self.erasures) {
                    *key = (self.key, self.erasures);
                    known.clear();
                }
                for (place, hash) in hashes.enumerate() {
                    // A snapshot may be older than what was found under another one.
                    match known.get(&hash).filter(|ordinal| **ordinal < self.customers) {
                        Some(ordinal) => found[place] = Some(*ordinal),
                        None => wanted.push((hash, place)),
                    }
                }
            });
        } else {
            wanted.extend(hashes.enumerate().map(|(place, hash)| (hash, place)));
        }
        if wanted.is_empty() {
            return Ok(found);
        }
        wanted.sort_unstable();
        let hashes: Vec<u128> = wanted.iter().map(|(hash, _)| *hash).collect();
        for (header, stream) in &self.parts {
            pgrx::check_for_interrupts!();
            let result = header.find(stream, &hashes, |place, ordinal| found[wanted[place].1] = Some(ordinal));
            result.map_err(damaged)?;
        }
        if self.lasting {
            KNOWN.with_borrow_mut(|(_, known)| {
                if known.len() + wanted.len() > MOST_KNOWN {
                    known.clear();
                }
                let new = wanted.iter().filter_map(|(hash, place)| found[*place].map(|ordinal| (*hash, ordinal)));
                known.extend(new.take(MOST_KNOWN));
            });
        }
        Ok(found)
    }

    /// The ordinals by hash, only of segments that contain ordinals at or above `first`. The hashes are in ascending
    /// order.
    pub(super) fn find_since(&self, hashes: &[u128], first: u32) -> Fallible<Vec<Option<u32>>> {
        let mut found = vec![None; hashes.len()];
        for (header, stream) in
            self.parts.iter().filter(|(header, _)| header.first.saturating_add(header.count) > first)
        {
            pgrx::check_for_interrupts!();
            let result = header.find(stream, hashes, |place, ordinal| found[place] = Some(ordinal));
            result.map_err(damaged)?;
        }
        Ok(found)
    }

    /// Passes the ids of some ordinals to a function, in ascending order of ordinals.
    pub(super) fn ids(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(&str)) -> Fallible<()> {
        self.ordinals_and_ids(wanted, &mut |_, id| each(id))
    }

    /// The same with the ordinals.
    pub(super) fn ordinals_and_ids(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str)) -> Fallible<()> {
        for (header, stream) in &self.parts {
            pgrx::check_for_interrupts!();
            header.ids(stream, Some(wanted), each).map_err(damaged)?;
        }
        Ok(())
    }

    /// The id of every ordinal.
    pub(super) fn all_ids(&self, each: &mut dyn FnMut(u32, &str)) -> Fallible<()> {
        for (header, stream) in &self.parts {
            pgrx::check_for_interrupts!();
            header.ids(stream, None, each).map_err(damaged)?;
        }
        Ok(())
    }
}
