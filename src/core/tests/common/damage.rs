//! Damage to segments that no checksum gives away.

use cohort_core::segment::{Entry, Header};

/// Gives the directory of a segment, and the headers of its groups, the checksums of what they are; false where there is
/// no directory.
pub fn mend(bytes: &mut [u8]) -> bool {
    let of_directory = |bytes: &[u8]| {
        let length = u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?) as usize;
        bytes.get(12..28_usize.checked_add(length)?).map(crc32fast::hash)
    };
    let Some(sum) = of_directory(bytes) else { return false };
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    let Ok(header) = Header::open(&bytes.to_vec()) else { return true };
    for place in header.groups.iter().map(Entry::place) {
        let at = usize::try_from(place.at).unwrap_or(usize::MAX);
        let inside = at.checked_add(place.length as usize).and_then(|end| bytes.get_mut(at..end));
        if let Some((sum, header)) = inside.and_then(|header| header.split_first_chunk_mut()) {
            *sum = crc32fast::hash(header).to_le_bytes();
        }
    }
    true
}
