//! Removed rows in the packed form of the removal log: each row as the difference from the previous one.

use super::stream::Corrupt;

/// A removed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal<'a> {
    /// The event's id.
    pub event_id: i64,
    /// The transaction that wrote the row.
    pub stamp: u64,
    /// The customer of the event.
    pub customer: &'a str,
}

/// Packs removed rows.
#[derive(Debug, Default)]
pub struct RemovalsBuilder {
    bytes: Vec<u8>,
    entries: u32,
    event_id: i64,
    stamp: u64,
}

impl RemovalsBuilder {
    /// Adds a row.
    pub fn push(&mut self, removal: Removal<'_>) {
        self.signed(removal.event_id.wrapping_sub(self.event_id));
        self.signed(removal.stamp.wrapping_sub(self.stamp).cast_signed());
        self.number(removal.customer.len() as u64);
        self.bytes.extend_from_slice(removal.customer.as_bytes());
        (self.event_id, self.stamp) = (removal.event_id, removal.stamp);
        self.entries += 1;
    }

    /// The number of rows.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// The packed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Zigzag encoding: small numbers of either sign need few bytes.
    fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// Varint: seven bits per byte, least significant first. The highest bit is set if more bytes follow.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push((value & 0x7f) as u8);
    }
}

/// The packed rows, in order.
pub fn removals(bytes: &[u8]) -> impl Iterator<Item = Result<Removal<'_>, Corrupt>> {
    let mut reader = Reader { bytes };
    let (mut event_id, mut stamp) = (0_i64, 0_u64);
    std::iter::from_fn(move || {
        if reader.bytes.is_empty() {
            return None;
        }
        let next = reader.next(&mut event_id, &mut stamp);
        if next.is_none() {
            reader.bytes = &[];
        }
        Some(next.ok_or_else(|| Corrupt::new("an entry of the removal log is invalid")))
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn next(&mut self, event_id: &mut i64, stamp: &mut u64) -> Option<Removal<'a>> {
        *event_id = event_id.wrapping_add(self.signed()?);
        *stamp = stamp.wrapping_add(self.signed()?.cast_unsigned());
        let length = usize::try_from(self.number()?).ok()?;
        let (customer, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(Removal { event_id: *event_id, stamp: *stamp, customer: std::str::from_utf8(customer).ok()? })
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Removal, RemovalsBuilder, removals};

    #[test]
    fn rows_come_back_in_their_order() {
        let rows = [
            Removal { event_id: 1, stamp: 700, customer: "ada" },
            Removal { event_id: i64::MIN, stamp: u64::MAX, customer: "" },
            Removal { event_id: i64::MAX, stamp: 0, customer: "é".repeat(255).leak() },
            Removal { event_id: -7, stamp: 1 << 40, customer: "bob" },
        ];
        let mut builder = RemovalsBuilder::default();
        for row in rows {
            builder.push(row);
        }
        assert_eq!(builder.entries(), 4);
        let read: Result<Vec<_>, _> = removals(builder.bytes()).collect();
        assert_eq!(read, Ok(rows.to_vec()));
    }

    #[test]
    fn damage_is_an_error() {
        let mut builder = RemovalsBuilder::default();
        builder.push(Removal { event_id: 5, stamp: 700, customer: "ada" });
        for length in 1..builder.bytes().len() {
            assert!(removals(&builder.bytes()[..length]).any(|row| row.is_err()), "{length}");
        }
        assert!(removals(&[0xff; 40]).any(|row| row.is_err()));
    }
}
