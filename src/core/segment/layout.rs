//! The parts of a segment: prefix, directory, headers of groups, data, checksums of the data. The parts that are read
//! first are in the first page or two. Offsets after the directory are relative to the beginning of their part.

use serde::{Deserialize, Serialize};

use super::PAGE;
use super::stream::{Corrupt, Span, Stream, Unwritable, narrow, read_into};

/// The first bytes of every segment, in every version.
const MAGIC: [u8; 7] = *b"KCOHORT";
/// The version of the format, which comes next.
pub const VERSION: u8 = 4;
/// Magic and version; checksum of what follows up to the end of the directory; lengths of the directory, the headers and the data.
const PREFIX: usize = 8 + 4 + 4 + 4 + 8;
/// The offset from which the checksum is computed.
const SUMMED: usize = 8 + 4;
/// Maximum size of a directory. A larger one is treated as damaged: even if every event of a segment has a different
/// type with a long name, the directory is smaller.
const MAX_DIRECTORY: u32 = 1 << 30;

/// The offsets of the parts of a segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Layout {
    /// The headers of groups.
    pub(super) headers: u64,
    pub(super) data: u64,
    /// Behind the data.
    sums: u64,
}

/// Writes directory and headers before the data, and the checksums of the data after them.
pub(super) fn close<D: Serialize>(directory: &D, headers: &[u8], mut data: Vec<u8>) -> Result<Vec<u8>, Unwritable> {
    let sums: Vec<u8> = data.chunks(PAGE).flat_map(|page| crc32fast::hash(page).to_le_bytes()).collect();
    let directory = serialized(directory)?;
    let mut front = vec![0; PREFIX];
    front[..MAGIC.len()].copy_from_slice(&MAGIC);
    front[MAGIC.len()] = VERSION;
    for (at, part) in [(12, directory.as_slice()), (16, headers)] {
        front[at..at + 4].copy_from_slice(&narrow(part.len(), "bytes of the directory or of headers")?.to_le_bytes());
    }
    front[20..28].copy_from_slice(&(data.len() as u64).to_le_bytes());
    front.extend_from_slice(&directory);
    let sum = crc32fast::hash(&front[SUMMED..]).to_le_bytes();
    front[8..12].copy_from_slice(&sum);
    front.extend_from_slice(headers);
    // The data may be a gigabyte: it is moved where it is.
    data.splice(0..0, front);
    data.extend_from_slice(&sums);
    data.extend_from_slice(&crc32fast::hash(&sums).to_le_bytes());
    Ok(data)
}

/// A directory or a header as its bytes.
pub(super) fn serialized<T: Serialize>(value: &T) -> Result<Vec<u8>, Unwritable> {
    postcard::to_stdvec(value).map_err(|error| Unwritable::new(format!("a header cannot be written: {error}")))
}

/// Whether the first bytes of a segment say that this version of the crate can read it.
///
/// # Errors
/// When they do not.
pub(super) fn version(front: &[u8]) -> Result<(), Corrupt> {
    match front.strip_prefix(&MAGIC).and_then(<[u8]>::first) {
        Some(&VERSION) => Ok(()),
        Some(other) => Err(Corrupt::Foreign(format!("its format has version {other}, this one reads {VERSION}"))),
        None => Err(Corrupt::new("these bytes are not a segment")),
    }
}

/// Reads a directory. Returns the offsets of the other parts.
pub(super) fn open<D: for<'a> Deserialize<'a>>(stream: &dyn Stream) -> Result<(D, Layout), Corrupt> {
    let mut prefix = Vec::with_capacity(PREFIX);
    stream.read(0, PREFIX, &mut prefix)?;
    version(&prefix)?;
    let number = |range: std::ops::Range<usize>| {
        prefix[range].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let length = u32::try_from(number(12..16)).ok().filter(|length| *length <= MAX_DIRECTORY);
    let length = length.ok_or_else(|| Corrupt::new("the directory is too long"))?;
    let bytes = Span { at: PREFIX as u64, length }.read(stream)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&prefix[SUMMED..]);
    sum.update(&bytes);
    if u64::from(sum.finalize()) != number(8..12) {
        return Err(Corrupt::new("the directory's checksum is wrong"));
    }
    let directory =
        postcard::from_bytes(&bytes).map_err(|error| Corrupt::new(format!("the directory is damaged: {error}")))?;
    let headers = PREFIX as u64 + u64::from(length);
    let data = headers + number(16..20);
    Ok((directory, Layout { headers, data, sums: data.saturating_add(number(20..28)) }))
}

impl Layout {
    /// Verifies the checksum of every block of the data.
    pub(super) fn verify(&self, stream: &dyn Stream, check: &dyn Fn()) -> Result<(), Corrupt> {
        const SUM: usize = size_of::<u32>();
        let blocks = (self.sums - self.data).div_ceil(PAGE as u64);
        let length = blocks.saturating_add(1).saturating_mul(SUM as u64);
        let length = u32::try_from(length).map_err(|_| Corrupt::new("the data are too long"))?;
        let sums = Span { at: self.sums, length }.read(stream)?;
        let (sums, own) = sums.split_at(sums.len() - SUM);
        if crc32fast::hash(sums).to_le_bytes() != own {
            return Err(Corrupt::new("the checksum of the checksums is wrong"));
        }
        let mut at = self.data;
        let mut bytes = Vec::new();
        for (number, expected) in sums.as_chunks::<SUM>().0.iter().enumerate() {
            check();
            let length = (self.sums - at).min(PAGE as u64);
            read_into(stream, at, u32::try_from(length).unwrap_or(0), &mut bytes)?;
            if crc32fast::hash(&bytes).to_le_bytes() != *expected {
                return Err(Corrupt::new(format!("the checksum of block {number} of the data is wrong")));
            }
            at += length;
        }
        Ok(())
    }
}
