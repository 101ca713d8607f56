//! The directory of a segment: a list of its groups. A rule opens only the groups that it needs.

use std::sync::OnceLock;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::group::{Group, read_set};
use super::layout::{self, Layout};
use super::stream::{Corrupt, Span, Stream, Unwritable, narrow};
use super::{CHUNK_BITS, CHUNK_MASK};

/// The directory of a segment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Header {
    /// The groups, which have different names.
    pub groups: Vec<Entry>,
    /// In segments of profiles: the customers whose profile was removed.
    removed: Vec<ChunkSet>,
}

/// A group: the rows of one event type, or all profiles.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Entry {
    /// The event type; empty for profiles.
    pub name: String,
    /// The number of rows.
    pub rows: u32,
    /// The earliest row's time.
    pub first: i64,
    /// The latest row's time.
    pub last: i64,
    /// The position of its header, which consists of a checksum and the group.
    place: Span,
    /// The offset of the data to which the header refers.
    #[serde(skip)]
    data: u64,
    /// The group, once it has been opened.
    #[serde(skip)]
    group: OnceLock<Group>,
}

/// A set of customers of one chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ChunkSet {
    number: u16,
    set: Span,
}

impl Entry {
    /// A group that is open.
    pub(super) fn of(name: String, times: (i64, i64), group: Group) -> Self {
        let (rows, (first, last)) = (group.rows, times);
        Self { name, rows, first, last, group: group.into(), ..Self::default() }
    }

    /// The position of the group's header: four bytes of checksum, then the group.
    #[must_use]
    pub fn place(&self) -> Span {
        self.place
    }

    /// A group with the positions of its columns. Dictionaries are cached.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn open(&self, stream: &dyn Stream) -> Result<&Group, Corrupt> {
        if let Some(group) = self.group.get() {
            return Ok(group);
        }
        let bytes = self.place.read(stream)?;
        let (sum, bytes) = bytes.split_first_chunk().ok_or_else(|| Corrupt::new("a group has no header"))?;
        if crc32fast::hash(bytes) != u32::from_le_bytes(*sum) {
            return Err(Corrupt::new("the checksum of a group's header is wrong"));
        }
        let group: Group = postcard::from_bytes(bytes)
            .map_err(|error| Corrupt::new(format!("the header of a group is damaged: {error}")))?;
        let group = group.placed(self.rows, self.data)?;
        Ok(self.group.get_or_init(|| group))
    }
}

impl Header {
    /// A header for the groups that were built.
    pub(super) fn of(groups: Vec<Entry>, removed: Vec<(u16, Span)>) -> Self {
        Self { groups, removed: removed.into_iter().map(|(number, set)| ChunkSet { number, set }).collect() }
    }

    /// The bytes of a segment whose groups are open.
    pub(super) fn close(mut self, data: Vec<u8>) -> Result<Vec<u8>, Unwritable> {
        let mut headers = Vec::new();
        for entry in &mut self.groups {
            let group = entry.group.get().ok_or_else(|| Unwritable::new("a group is not open"))?;
            let bytes = layout::serialized(group)?;
            let at = headers.len();
            headers.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            headers.extend_from_slice(&bytes);
            entry.place = Span { at: at as u64, length: narrow(headers.len() - at, "bytes of a header")? };
        }
        layout::close(&self, &headers, data)
    }

    /// Reads the directory of a segment.
    ///
    /// # Errors
    /// When the bytes are no segment.
    pub fn open(stream: &dyn Stream) -> Result<Self, Corrupt> {
        Ok(Self::read(stream)?.0)
    }

    fn read(stream: &dyn Stream) -> Result<(Self, Layout), Corrupt> {
        let (mut header, layout) = layout::open::<Self>(stream)?;
        for entry in &mut header.groups {
            entry.place.move_by(layout.headers);
            entry.data = layout.data;
        }
        for chunk in &mut header.removed {
            chunk.set.move_by(layout.data);
        }
        Ok((header, layout))
    }

    /// Approximate memory in bytes: a read header takes twice its stored size.
    #[must_use]
    pub fn memory(&self) -> usize {
        let entries = self.groups.iter().map(|entry| {
            let open = entry.group.get().map_or(0, |_| 2 * entry.place.length as usize);
            size_of::<Entry>() + entry.name.len() + open
        });
        size_of::<Self>() + entries.sum::<usize>() + self.removed.len() * size_of::<ChunkSet>()
    }

    /// Compares all bytes with their checksums, and lists of rows with the columns that they were made from.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn verify(stream: &dyn Stream, check: &dyn Fn()) -> Result<(), Corrupt> {
        let (header, layout) = Self::read(stream)?;
        layout.verify(stream, check)?;
        header.groups.iter().try_for_each(|entry| {
            check();
            entry.open(stream)?.agree(stream)
        })
    }

    /// Whether any of the given customers has a row or a removal in the segment.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn holds(&self, customers: &RoaringBitmap, stream: &dyn Stream) -> Result<bool, Corrupt> {
        for ordinal in customers {
            let (chunk, low) = ((ordinal >> CHUNK_BITS) as u16, ordinal & CHUNK_MASK);
            let any = self.customers(chunk, stream)?.is_some_and(|set| set.contains(low));
            if any || self.removed(chunk, stream)?.is_some_and(|set| set.contains(low)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.groups.iter().map(|group| u64::from(group.rows)).sum()
    }

    /// The earliest and the latest time; `None` without rows.
    #[must_use]
    pub fn times(&self) -> Option<(i64, i64)> {
        let first = self.groups.iter().map(|group| group.first).min()?;
        Some((first, self.groups.iter().map(|group| group.last).max()?))
    }

    /// The group of a name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Entry> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The customers of a chunk in any group.
    pub(crate) fn customers(&self, chunk: u16, stream: &dyn Stream) -> Result<Option<RoaringBitmap>, Corrupt> {
        let mut all: Option<RoaringBitmap> = None;
        for entry in &self.groups {
            if let Some(set) = entry.open(stream)?.customers(chunk, stream)? {
                *all.get_or_insert_default() |= set;
            }
        }
        Ok(all)
    }

    /// Announces that [`Header::customers`] and [`Header::removed`] will be called.
    pub(crate) fn foresee_customers(&self, chunk: u16, stream: &dyn Stream) -> Result<(), Corrupt> {
        if let Ok(place) = self.removed.binary_search_by_key(&chunk, |set| set.number) {
            self.removed[place].set.foresee(stream);
        }
        self.groups.iter().try_for_each(|entry| {
            entry.open(stream)?.foresee_customers(chunk, stream);
            Ok(())
        })
    }

    /// The customers of a chunk whose profile was removed.
    pub(crate) fn removed(&self, chunk: u16, stream: &dyn Stream) -> Result<Option<RoaringBitmap>, Corrupt> {
        match self.removed.binary_search_by_key(&chunk, |set| set.number) {
            Ok(place) => read_set(self.removed[place].set, stream).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Every customer whose profile was removed.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn all_removed(&self, stream: &dyn Stream) -> Result<RoaringBitmap, Corrupt> {
        let mut all = RoaringBitmap::new();
        for chunk in &self.removed {
            for low in read_set(chunk.set, stream)? {
                all.insert(u32::from(chunk.number) << CHUNK_BITS | low);
            }
        }
        Ok(all)
    }
}
