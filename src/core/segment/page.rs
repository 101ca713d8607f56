//! A stored page of a segment: its bytes, and a checksum of the bytes and of their place.

use super::layout;
use super::stream::Corrupt;

/// Number of bytes of a segment in a page, which is one row of the table.
pub const PAGE: usize = 8_000;
/// Number of bytes of the checksum after them.
const SUM: usize = 4;

/// CRC-32 of the segment's id, the page's number and its bytes. It detects changed bytes and a page in the wrong place.
fn sum(segment: i64, page: i32, bytes: &[u8]) -> [u8; SUM] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&page.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

/// A page as it is stored.
#[must_use]
pub fn seal(segment: i64, page: i32, bytes: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(bytes.len() + SUM);
    stored.extend_from_slice(bytes);
    stored.extend_from_slice(&sum(segment, page, bytes));
    stored
}

/// The bytes of a stored page, compared with their checksum.
///
/// # Errors
/// When they do not match their checksum there.
pub fn open(segment: i64, page: i32, stored: &[u8]) -> Result<&[u8], Corrupt> {
    match open_any(segment, page, stored) {
        Ok(bytes) if bytes.len() <= PAGE => return Ok(bytes),
        Ok(_) | Err(_) => {}
    }
    // Where a segment begins its version comes before all else: another one may have other checksums.
    if page == 0 {
        layout::version(stored)?;
    }
    Err(Corrupt::new(format!("the checksum of page {page} of segment {segment} is wrong")))
}

/// The same of bytes that are no page of a segment, but belong to one: `place` tells them from others.
///
/// # Errors
/// When they do not match their checksum there.
pub fn open_any(segment: i64, place: i32, stored: &[u8]) -> Result<&[u8], Corrupt> {
    let bytes = unverified(stored)?;
    if sum(segment, place, bytes) == stored[bytes.len()..] {
        return Ok(bytes);
    }
    Err(Corrupt::new("the checksum is wrong"))
}

/// The bytes of a stored page whose checksum was verified before.
///
/// # Errors
/// When there is no checksum behind them.
pub fn unverified(stored: &[u8]) -> Result<&[u8], Corrupt> {
    let length = stored.len().checked_sub(SUM).ok_or_else(|| Corrupt::new("a page has no checksum"))?;
    Ok(&stored[..length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_changed_page_is_seen(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            bit in any::<prop::sample::Index>(),
            (segment, page) in (any::<i64>(), 0..9_i32),
        ) {
            let stored = seal(segment, page, &bytes);
            prop_assert_eq!(open(segment, page, &stored), Ok(bytes.as_slice()));
            prop_assert!(open(segment.wrapping_add(1), page, &stored).is_err());
            prop_assert!(open(segment, page + 1, &stored).is_err());
            let mut changed = stored.clone();
            let bit = bit.index(changed.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(segment, page, &changed).is_err());
            prop_assert!(open(segment, page, &stored[..stored.len() - 1]).is_err());
            prop_assert!(open(segment, page, &vec![0; stored.len()]).is_err());
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut bytes = b"KCOHORT".to_vec();
        bytes.push(200);
        bytes.resize(100, 7);
        assert!(matches!(open(3, 0, &bytes), Err(Corrupt::Foreign(_))));
        assert!(matches!(open(3, 1, &bytes), Err(Corrupt::Damaged(_))));
    }
}
