//! A segment: an immutable slice of events, or of profiles, as columns and roaring bitmaps.
//!
//! `docs/SEGMENT.md` describes the bytes. Rows are grouped by event type and, within a group, sorted by (ordinal,
//! time, event id); 65,536 ordinals make a *chunk*, the unit in which rules are evaluated. Nothing here trusts the
//! bytes: for any input the result is a value or [`Corrupt`].

mod build;
pub(crate) mod column;
mod customers;
pub(crate) mod dictionary;
mod group;
mod header;
pub(crate) mod ids;
pub mod item;
mod layout;
pub(crate) mod lists;
pub mod page;
mod removals;
mod stream;
mod tally;
pub(crate) mod times;

pub use build::{GroupBuilder, SegmentBuilder};
pub use column::PACK;
pub use customers::{CustomersBuilder, CustomersHeader, Key, customer_hash};
pub use dictionary::Kinds;
pub use group::Group;
pub use header::{Entry, Header};
pub use layout::VERSION as FORMAT;
pub use page::PAGE;
pub use removals::{Removal, RemovalsBuilder, removals};
pub use stream::{Corrupt, Span, Stream, Unwritable};
pub use tally::Tally;

pub(crate) use group::Property;

/// Bits of an ordinal within its chunk.
pub const CHUNK_BITS: u32 = 16;
/// Ordinals of a chunk.
pub const CHUNK: usize = 1 << CHUNK_BITS;
/// The part of an ordinal within its chunk.
pub(crate) const CHUNK_MASK: u32 = (1 << CHUNK_BITS) - 1;
/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// What identifies a row, in the order in which rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// Whose it is.
    pub ordinal: u32,
    /// When: microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts.
    pub at: i64,
    /// The event's id.
    pub event_id: i64,
}

/// Pseudo-random numbers from 0 up to, but not including, a bound. They depend only on the seed.
#[cfg(test)]
pub(crate) fn random(seed: u64) -> impl FnMut(i64) -> i64 {
    let mut state = seed | 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).cast_signed() % below
    }
}
