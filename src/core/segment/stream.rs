//! The source of a segment's bytes, and the errors of segments that cannot be read or written.

use std::fmt;

/// Bytes that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Corrupt {
    /// The bytes are not a segment, or do not match its header.
    Damaged(String),
    /// Another version of this crate wrote them, in a format that this version cannot read.
    Foreign(String),
    /// They exceed the memory limit of the reader.
    TooMany(String),
}

impl Corrupt {
    /// Damage.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// The same error, prefixed with the place.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        match self {
            Self::Damaged(what) => Self::Damaged(format!("{place}: {what}")),
            Self::Foreign(what) => Self::Foreign(format!("{place}: {what}")),
            Self::TooMany(what) => Self::TooMany(format!("{place}: {what}")),
        }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Damaged(what) | Self::Foreign(what) | Self::TooMany(what)) = self;
        formatter.write_str(what)
    }
}

impl std::error::Error for Corrupt {}

/// A segment cannot be written, because its content exceeds a limit of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritable(String);

impl Unwritable {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Unwritable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

/// Converts a number of rows or bytes to the type in segments.
pub(super) fn narrow(number: usize, what: &str) -> Result<u32, Unwritable> {
    u32::try_from(number).map_err(|_| Unwritable::new(format!("{what}: {number} exceeds the limit of a segment")))
}

/// Converts an offset to a value of a column.
pub(super) fn place(number: usize) -> Result<i64, Unwritable> {
    i64::try_from(number).map_err(|_| Unwritable::new(format!("the offset {number} is too large for a column")))
}

/// The bytes of one segment, read by position.
pub trait Stream: Sync {
    /// Appends `length` bytes from `at` on. `length` may come from a damaged header: memory is taken as bytes arrive.
    ///
    /// # Errors
    /// When the segment has no such bytes.
    fn read(&self, at: u64, length: usize, into: &mut Vec<u8>) -> Result<(), Corrupt>;

    /// Says that bytes will be read, perhaps by another thread.
    fn foresee(&self, _at: u64, _length: u64) {}
}

impl Stream for Vec<u8> {
    fn read(&self, at: u64, length: usize, into: &mut Vec<u8>) -> Result<(), Corrupt> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = start.checked_add(length).and_then(|end| self.get(start..end));
        into.extend_from_slice(bytes.ok_or_else(|| Corrupt::new("the segment is shorter than its header specifies"))?);
        Ok(())
    }
}

/// A range of a segment's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// The first byte.
    pub at: u64,
    /// The number of bytes.
    pub length: u32,
}

impl Span {
    /// Converts an offset relative to a part of the segment into an offset of the segment.
    pub(super) fn move_by(&mut self, part: u64) {
        self.at = self.at.saturating_add(part);
    }

    /// Says that it will be read.
    pub(crate) fn foresee(self, stream: &dyn Stream) {
        stream.foresee(self.at, self.length.into());
    }

    /// Reads the whole range.
    pub(crate) fn read(self, stream: &dyn Stream) -> Result<Vec<u8>, Corrupt> {
        let mut bytes = Vec::new();
        stream.read(self.at, self.length as usize, &mut bytes)?;
        Ok(bytes)
    }
}

/// Replaces `bytes` by a range of the stream.
pub(crate) fn read_into(stream: &dyn Stream, at: u64, length: u32, bytes: &mut Vec<u8>) -> Result<(), Corrupt> {
    bytes.clear();
    stream.read(at, length as usize, bytes)
}
