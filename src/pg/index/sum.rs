//! Checksums of the small tables of the index, which list the segments and their dead rows. A change that does not set
//! the checksum is damage.

use cohort_core::segment::{Corrupt, page};
use pgrx::pg_sys;
use roaring::RoaringBitmap;

use super::store::{Segment, State};
use super::{damaged, direct};
use crate::pg::errors::Fallible;
use crate::pg::extension;
use crate::pg::spi;

/// The checksum of the state and of all segments.
fn of(state: &State, segments: &[Segment]) -> i32 {
    let mut all: Vec<&Segment> = segments.iter().collect();
    all.sort_by_key(|segment| segment.id);
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&state.watermark.to_le_bytes());
    bytes.extend_from_slice(&state.customers.to_le_bytes());
    bytes.extend_from_slice(&state.key);
    bytes.push(u8::from(state.removed));
    bytes.extend_from_slice(&state.erasures.to_le_bytes());
    for segment in all {
        bytes.push(segment.kind as u8);
        let (first, last) = segment.times.unwrap_or((i64::MAX, i64::MIN));
        let numbers = [segment.id, segment.position, segment.rows, segment.dead, segment.bytes, first, last]
            .map(i64::cast_unsigned);
        for number in numbers.into_iter().chain([segment.stamps.0, segment.stamps.1]) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    crc32fast::hash(&bytes).cast_signed()
}

/// The message for tables that do not match their checksum.
pub(super) const WRONG: &str = "the checksum of index_state and segment is wrong";

/// Whether the state and the segments in a snapshot match their checksum.
pub(super) fn matches(state: &State, segments: &[Segment]) -> bool {
    of(state, segments) == state.sum
}

/// Raises an error if the state and the segments do not match their checksum.
pub(super) fn compare(state: &State, segments: &[Segment]) -> Fallible<()> {
    if !matches(state, segments) {
        return Err(damaged(Corrupt::new(WRONG)));
    }
    // SAFETY: reads a variable of the server under its lock.
    if state.watermark > unsafe { pg_sys::ReadNextFullTransactionId() }.value {
        return Err(damaged(Corrupt::new(
            "its watermark is a future transaction id: the server's transaction counter was reset to a lower value",
        )));
    }
    Ok(())
}

/// The checksum of the tables, including changes of this transaction.
fn written() -> Fallible<i32> {
    let internals = extension::schema_oids()?.1;
    spi::with_snapshot(|| Ok(of(&direct::state(internals)?, &direct::segments(internals)?)))
}

/// As above, but `None` for invalid contents: TRUNCATE must not fail because of them.
pub(crate) fn current() -> Option<i32> {
    written().ok()
}

/// Whether the tables, including changes of this transaction, match their checksum.
pub(super) fn is_right() -> bool {
    let compared = extension::schema_oids().and_then(|(_, internals)| {
        spi::with_snapshot(|| Ok(matches(&direct::state(internals)?, &direct::segments(internals)?)))
    });
    compared.unwrap_or(false)
}

/// Stores the checksum.
pub(super) fn write() -> Fallible<()> {
    spi::touch("UPDATE kursaha_cohort.index_state SET sum = $1", &[written()?.into()]).map(drop)
}

/// A number that identifies a group within a segment: the checksum of its name.
fn place(event_type: &str) -> i32 {
    crc32fast::hash(event_type.as_bytes()).cast_signed()
}

/// The stored form of the dead rows of a group.
pub(super) fn seal_dead(segment: i64, event_type: &str, rows: &[u8]) -> Vec<u8> {
    page::seal(segment, place(event_type), rows)
}

/// The dead rows of a group of a segment.
pub(super) fn open_dead(segment: i64, event_type: &str, stored: &[u8]) -> Fallible<RoaringBitmap> {
    let wrong = || damaged(Corrupt::new(format!("the rows gone from segment {segment} do not match their checksum")));
    let bytes = page::open_any(segment, place(event_type), stored).map_err(|_| wrong())?;
    RoaringBitmap::deserialize_from(bytes).map_err(|_| wrong())
}
