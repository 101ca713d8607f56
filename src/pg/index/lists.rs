//! Fixed lists as bitmaps of ordinals. `list_chunk` contains the ids, which are authoritative. `list_index` and `list_part`
//! contain the ordinals of these ids, and the hashes of ids without an ordinal, to detect when they get one. They are valid
//! while the list, the key of the index and the number of erasures are unchanged.

use std::collections::BTreeMap;

use cohort_core::segment::{CHUNK_BITS, Corrupt, Key, customer_hash};
use pgrx::{FromDatum, pg_sys};
use roaring::RoaringBitmap;

use super::direct;
use super::directory::Directory;
use super::pages::Pages;
use super::scan::{IndexScan, Relation, Scratch, Sought, TableScan, find};
use super::store::State;
use super::{damaged, tables};
use crate::pg::errors::Fallible;
use crate::pg::spi::{self, Snapshot};

/// Columns of `list_chunk`, counted from 1, as `sql/tables.sql` creates it.
mod chunk {
    pub(super) const CONTENT: usize = 4;
    pub(super) const CUSTOMER_IDS: usize = 5;
}

/// Columns of `list_index`, as `sql/index.sql` creates it.
mod column {
    pub(super) const COHORT_ID: usize = 1;
    pub(super) const CONTENT: usize = 2;
    pub(super) const HASH_KEY: usize = 3;
    pub(super) const ERASURES: usize = 4;
    pub(super) const CUSTOMERS: usize = 5;
    pub(super) const KNOWN: usize = 6;
    pub(super) const UNKNOWN: usize = 7;
}

/// Columns of `list_part`.
mod part {
    pub(super) const PART: usize = 2;
    pub(super) const BYTES: usize = 3;
    pub(super) const CHECKSUM: usize = 4;
}

/// Stored bytes of a hash; the other bytes are zero.
const HASH: usize = 12;
/// Bits that are not stored.
const UNSTORED: usize = u128::BITS as usize - 8 * HASH;

type Content = [u8; 16];

/// The result of looking up a list.
struct Kept {
    content: Content,
    key: Key,
    erasures: i64,
    customers: u32,
    known: u64,
    unknown: u64,
}

impl Kept {
    /// The stored bitmap of a list, if it is valid.
    fn find(internals: pg_sys::Oid, list: i64, state: &State) -> Fallible<Option<Self>> {
        let Some(content) = content(internals, list)? else { return Ok(None) };
        let kept = Self::read(internals, list)?;
        Ok(kept.filter(|kept| {
            kept.content == content
                && kept.key == state.key
                && kept.erasures == state.erasures
                && kept.customers <= state.customers
        }))
    }

    fn read(internals: pg_sys::Oid, list: i64) -> Fallible<Option<Self>> {
        let table = Relation::table(find(internals, c"list_index")?);
        let mut scan = IndexScan::new(table, find(internals, c"list_index_pkey")?, 1)?;
        scan.seek(&[Sought::Int8Equals(list)]);
        let Some(row) = scan.next() else { return Ok(None) };
        let number = |column| row.word(column);
        let Ok(key) = row.bytes(column::HASH_KEY).as_bytes().try_into() else { return Ok(None) };
        Ok(Some(Self {
            content: uuid(row.datum(column::CONTENT)),
            key,
            erasures: number(column::ERASURES).cast_signed(),
            customers: u32::try_from(number(column::CUSTOMERS)).unwrap_or(u32::MAX),
            known: number(column::KNOWN),
            unknown: number(column::UNKNOWN),
        }))
    }

    /// The ordinals of the ids that had one; `None` if they exceed the memory limit.
    fn known(&self, internals: pg_sys::Oid, list: i64, memory: usize) -> Fallible<Option<RoaringBitmap>> {
        let mut known = RoaringBitmap::new();
        let mut left = Some(memory);
        each_part(internals, list, (0, i32::MAX), &mut |bytes| {
            left = left.and_then(|left| left.checked_sub(bytes.len()));
            if left.is_some() {
                known |= RoaringBitmap::deserialize_from(bytes).map_err(|_| corrupt(list))?;
            }
            Ok(left.is_some())
        })?;
        match left {
            None => Ok(None),
            Some(_) if known.len() == self.known => Ok(Some(known)),
            Some(_) => Err(damaged(corrupt(list))),
        }
    }

    /// Whether it matches the current ids of the list.
    fn is_right(&self, internals: pg_sys::Oid, list: i64, state: &State, directory: &Directory) -> Fallible<bool> {
        let mut hashes = Vec::new();
        each_hashes(internals, list, &state.key, &mut |more| {
            hashes.extend_from_slice(more);
            Ok(true)
        })?;
        let found = directory.find_hashes(&hashes)?;
        let mut known = RoaringBitmap::new();
        let mut unknown = Vec::new();
        for (hash, ordinal) in hashes.iter().zip(found) {
            match ordinal.filter(|ordinal| *ordinal < self.customers) {
                Some(ordinal) => drop(known.insert(ordinal)),
                None => unknown.push(hash >> UNSTORED << UNSTORED),
            }
        }
        let mut stored = self.unknown(internals, list)?;
        stored.sort_unstable();
        unknown.sort_unstable();
        Ok(self.known(internals, list, usize::MAX)? == Some(known) && stored == unknown)
    }

    /// The hashes of the ids without an ordinal.
    fn unknown(&self, internals: pg_sys::Oid, list: i64) -> Fallible<Vec<u128>> {
        let mut hashes = Vec::new();
        if self.unknown == 0 {
            return Ok(hashes);
        }
        each_part(internals, list, (i32::MIN, -1), &mut |bytes| {
            hashes.extend(bytes.chunks_exact(HASH).map(|hash| {
                let mut whole = [0; 16];
                whole[..HASH].copy_from_slice(hash);
                u128::from_be_bytes(whole)
            }));
            Ok(true)
        })?;
        if hashes.len() as u64 == self.unknown { Ok(hashes) } else { Err(damaged(corrupt(list))) }
    }
}

fn corrupt(list: i64) -> Corrupt {
    Corrupt::new(format!("the bitmap of the fixed list {list} does not match its checksum"))
}

fn uuid(datum: Option<pg_sys::Datum>) -> Content {
    // SAFETY: the column is a uuid, which is a pointer to 16 bytes.
    datum.map_or([0; 16], |datum| unsafe { *datum.cast_mut_ptr::<Content>() })
}

/// Calls a function with the stored bytes of each part in a range, in order, until it returns false.
fn each_part(
    internals: pg_sys::Oid,
    list: i64,
    (lowest, highest): (i32, i32),
    take: &mut dyn FnMut(&[u8]) -> Result<bool, Corrupt>,
) -> Fallible<()> {
    let table = Relation::table(find(internals, c"list_part")?);
    let mut scan = IndexScan::new(table, find(internals, c"list_part_pkey")?, 3)?;
    scan.seek(&[Sought::Int8Equals(list), Sought::Int4From(lowest), Sought::Int4To(highest)]);
    while let Some(row) = scan.next() {
        pgrx::check_for_interrupts!();
        let bytes = row.bytes(part::BYTES);
        if u64::from(checksum(list, row.int4(part::PART), bytes.as_bytes())) != row.word(part::CHECKSUM) {
            return Err(damaged(corrupt(list)));
        }
        if !take(bytes.as_bytes()).map_err(damaged)? {
            break;
        }
    }
    Ok(())
}

fn checksum(list: i64, part: i32, bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&list.to_le_bytes());
    sum.update(&part.to_le_bytes());
    sum.update(bytes);
    sum.finalize()
}

/// The content value of a list in the active snapshot; `None` if the list has no ids.
fn content(internals: pg_sys::Oid, list: i64) -> Fallible<Option<Content>> {
    let table = Relation::table(find(internals, c"list_chunk")?);
    let mut scan = IndexScan::new(table, find(internals, c"list_chunk_pkey")?, 2)?;
    scan.seek(&[Sought::Int8Equals(list), Sought::TextEquals("")]);
    Ok(scan.next().and_then(|row| row.datum(chunk::CONTENT)).map(|datum| uuid(Some(datum))))
}

/// Calls a function with the hashes of a list's ids, row by row, until it returns false.
fn each_hashes(
    internals: pg_sys::Oid,
    list: i64,
    key: &Key,
    take: &mut dyn FnMut(&[u128]) -> Fallible<bool>,
) -> Fallible<()> {
    let table = Relation::table(find(internals, c"list_chunk")?);
    let mut scan = IndexScan::new(table, find(internals, c"list_chunk_pkey")?, 1)?;
    scan.seek(&[Sought::Int8Equals(list)]);
    let scratch = Scratch::new();
    while let Some(row) = scan.next() {
        pgrx::check_for_interrupts!();
        let hashes: Vec<u128> = scratch.run(|| {
            let ids = row.datum(chunk::CUSTOMER_IDS);
            // SAFETY: the column is a text[]; what is made of it lives in the scratch memory until it is cleared.
            let ids = ids.and_then(|ids| unsafe { pgrx::Array::<&str>::from_datum(ids, false) });
            ids.iter().flat_map(|ids| ids.iter().flatten()).map(|id| customer_hash(key, id)).collect()
        });
        scratch.clear();
        if !take(&hashes)? {
            break;
        }
    }
    Ok(())
}

/// The ordinals of a list's customers in the active snapshot. Customers in no segment get ordinals from the map of the
/// tail. `None` if the result exceeds the memory limit.
pub(super) fn ordinals(
    internals: pg_sys::Oid,
    list: i64,
    state: &State,
    directory: &Directory,
    (strangers, stranger): (usize, &dyn Fn(u128) -> Option<u32>),
    memory: usize,
) -> Fallible<Option<RoaringBitmap>> {
    /// Bytes of memory for a hash and its ordinal.
    const SOUGHT: usize = size_of::<u128>() + size_of::<Option<u32>>();
    let mut all = RoaringBitmap::new();
    let Some(kept) = Kept::find(internals, list, state)? else {
        // Many at a time: they are looked up in the order of their hashes.
        let together = (memory / SOUGHT).clamp(1 << 9, 1 << 16);
        let mut open: Vec<u128> = Vec::new();
        let mut fits = true;
        let mut look = |open: &mut Vec<u128>| {
            let found = directory.find_hashes(open)?;
            all.extend(open.iter().zip(found).filter_map(|(hash, known)| known.or_else(|| stranger(*hash))));
            open.clear();
            fits &= all.serialized_size() <= memory;
            Ok(fits)
        };
        each_hashes(internals, list, &state.key, &mut |hashes| {
            open.extend_from_slice(hashes);
            if open.len() >= together { look(&mut open) } else { Ok(true) }
        })?;
        look(&mut open)?;
        return Ok(fits.then_some(all));
    };
    let Some(known) = kept.known(internals, list, memory)? else { return Ok(None) };
    all |= known;
    let newer = state.customers > kept.customers;
    if kept.unknown > 0 && (newer || strangers > 0) {
        let unknown = usize::try_from(kept.unknown).unwrap_or(usize::MAX);
        if unknown.saturating_mul(SOUGHT).saturating_add(all.serialized_size()) > memory {
            return Ok(None);
        }
        let unknown = kept.unknown(internals, list)?;
        let since = if newer { directory.find_since(&unknown, kept.customers)? } else { vec![None; unknown.len()] };
        all.extend(unknown.iter().zip(since).filter_map(|(hash, known)| known.or_else(|| stranger(*hash))));
    }
    Ok(Some(all))
}

/// The fixed lists with a valid bitmap that does not match their ids, and the difference.
pub(super) fn check(
    internals: pg_sys::Oid,
    state: &State,
    directory: &Directory,
    wrong: &mut dyn FnMut(i64, String),
) -> Fallible<()> {
    let mut lists = Vec::new();
    let mut scan = TableScan::new(Relation::table(find(internals, c"list_index")?))?;
    while let Some(row) = scan.next() {
        lists.push(row.word(column::COHORT_ID).cast_signed());
    }
    drop(scan);
    lists.sort_unstable();
    for list in lists {
        let Some(kept) = Kept::find(internals, list, state)? else { continue };
        match kept.is_right(internals, list, state, directory) {
            Ok(true) => {}
            Ok(false) => wrong(list, "its bitmap does not match its customers".to_owned()),
            Err(error) => wrong(list, error.message().to_owned()),
        }
    }
    Ok(())
}

/// Number of a list's ids with an ordinal when its bitmap was built.
pub(super) fn known_about(internals: pg_sys::Oid, list: i64) -> Option<u64> {
    Kept::read(internals, list).ok().flatten().map(|kept| kept.known)
}

/// Stores the bitmap of a list whose ids were just set. Does nothing if the index has no customers.
pub(crate) fn keep_list(list: i64) -> Fallible<()> {
    spi::with_snapshot(|| {
        let internals = tables()?.internals;
        let state = direct::state(internals)?;
        if state.customers == 0 || Kept::find(internals, list, &state)?.is_some() {
            return Ok(());
        }
        // The ids as they are stored: cohort_forget may have taken one out since they were.
        refresh(list)
    })
}

/// Updates the bitmaps of all lists after a change of the index. A list whose cohort is being changed is skipped until
/// the next sealing.
pub(super) fn keep_all() -> Fallible<()> {
    let lists: Vec<i64> = spi::run(
        Snapshot::Fresh,
        "SELECT c.cohort_id FROM kursaha_cohort.cohort c \
         LEFT JOIN kursaha_cohort.list_chunk l ON l.cohort_id = c.cohort_id AND l.from_id = '' \
         LEFT JOIN kursaha_cohort.list_index i ON i.cohort_id = c.cohort_id AND i.content = l.content \
         CROSS JOIN kursaha_cohort.index_state s \
         WHERE c.rule IS NULL AND l.content IS NOT NULL AND s.customers > 0 \
           AND (i.cohort_id IS NULL OR i.hash_key <> s.hash_key OR i.erasures <> s.erasures \
                OR i.unknown > 0 AND i.customers < s.customers)",
        &[],
        |row| row.need(1),
    )?;
    for list in lists {
        // An import holds the cohort's row until it commits, and sealing must not wait for it.
        let mine: Option<i64> = spi::first(
            Snapshot::Fresh,
            "SELECT cohort_id FROM kursaha_cohort.cohort WHERE cohort_id = $1 FOR NO KEY UPDATE SKIP LOCKED",
            &[list.into()],
            |row| row.need(1),
        )?;
        if mine.is_some() {
            spi::with_snapshot(|| refresh(list))?;
        }
    }
    Ok(())
}

fn refresh(list: i64) -> Fallible<()> {
    let internals = tables()?.internals;
    let state = direct::state(internals)?;
    let mut hashes = Vec::new();
    each_hashes(internals, list, &state.key, &mut |more| {
        hashes.extend_from_slice(more);
        Ok(true)
    })?;
    keep(internals, list, &state, hashes)
}

/// Builds and stores the bitmap of a list.
fn keep(internals: pg_sys::Oid, list: i64, state: &State, mut hashes: Vec<u128>) -> Fallible<()> {
    let Some(content) = content(internals, list)? else { return Ok(()) };
    let segments = direct::segments(internals)?;
    let directory = Directory::open(state, &segments, &Pages::open(internals)?)?;
    hashes.sort_unstable();
    let found = directory.find_hashes(&hashes)?;
    let mut known: Vec<u32> = found.iter().flatten().copied().collect();
    known.sort_unstable();
    let unknown: Vec<u128> =
        hashes.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(hash, _)| *hash).collect();
    write_parts(list, parts(&known, &unknown)?)?;
    spi::touch(
        "INSERT INTO kursaha_cohort.list_index AS i (cohort_id, content, hash_key, erasures, customers, known, unknown) \
         VALUES ($1, encode($2, 'hex')::uuid, $3, $4, $5, $6, $7) ON CONFLICT (cohort_id) DO UPDATE SET \
         content = excluded.content, hash_key = excluded.hash_key, erasures = excluded.erasures, \
         customers = excluded.customers, known = excluded.known, unknown = excluded.unknown",
        &[
            list.into(),
            content.to_vec().into(),
            state.key.to_vec().into(),
            state.erasures.into(),
            i64::from(state.customers).into(),
            i64::try_from(known.len()).unwrap_or(i64::MAX).into(),
            i64::try_from(unknown.len()).unwrap_or(i64::MAX).into(),
        ],
    )?;
    Ok(())
}

/// The parts of ascending ordinals and hashes.
fn parts(known: &[u32], unknown: &[u128]) -> Fallible<BTreeMap<i32, Vec<u8>>> {
    /// Approximate number of hashes in a part: a part fits into a page.
    const TOGETHER: usize = 512;
    let mut parts: BTreeMap<i32, Vec<u8>> = BTreeMap::new();
    for chunk in known.chunk_by(|one, next| one >> CHUNK_BITS == next >> CHUNK_BITS) {
        let number = i32::try_from(chunk[0] >> CHUNK_BITS).unwrap_or(i32::MAX);
        let bits: RoaringBitmap = chunk.iter().copied().collect();
        let bytes = parts.entry(number).or_default();
        bits.serialize_into(bytes).map_err(|error| damaged(Corrupt::new(error.to_string())))?;
    }
    // By the first bits of the hash: an id more or less changes one part.
    let bits = (unknown.len() / TOGETHER).max(1).next_power_of_two().trailing_zeros();
    for hash in unknown {
        let number = i32::try_from(hash.checked_shr(u128::BITS - bits).unwrap_or(0)).unwrap_or(0);
        parts.entry(-1 - number).or_default().extend_from_slice(&hash.to_be_bytes()[..HASH]);
    }
    Ok(parts)
}

/// Stores the parts of a list that differ from the stored ones.
fn write_parts(list: i64, mut parts: BTreeMap<i32, Vec<u8>>) -> Fallible<()> {
    let mut gone = Vec::new();
    spi::each(
        Snapshot::Fresh,
        "SELECT part, checksum, bytes FROM kursaha_cohort.list_part WHERE cohort_id = $1",
        &[list.into()],
        |row| {
            let (part, sum, stored): (i32, i64, Vec<u8>) = (row.need(1)?, row.need(2)?, row.need(3)?);
            let same =
                parts.get(&part).is_some_and(|bytes| *bytes == stored && i64::from(checksum(list, part, bytes)) == sum);
            if same {
                parts.remove(&part);
            } else {
                gone.push(part);
            }
            Ok(())
        },
    )?;
    if !gone.is_empty() {
        spi::touch(
            "DELETE FROM kursaha_cohort.list_part WHERE cohort_id = $1 AND part = ANY ($2)",
            &[list.into(), gone.into()],
        )?;
    }
    for (part, bytes) in parts {
        pgrx::check_for_interrupts!();
        let sum = i64::from(checksum(list, part, &bytes));
        spi::touch(
            "INSERT INTO kursaha_cohort.list_part (cohort_id, part, bytes, checksum) VALUES ($1, $2, $3, $4)",
            &[list.into(), part.into(), bytes.into(), sum.into()],
        )?;
    }
    Ok(())
}
