//! The customers of one chunk as bits.

use roaring::RoaringBitmap;

use crate::segment::CHUNK;

const WORDS: usize = CHUNK / 64;

/// A set of ordinals within one chunk.
#[derive(Clone)]
pub(crate) struct Bits(Box<[u64; WORDS]>);

impl Bits {
    pub(crate) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// The first `count` ordinals.
    pub(crate) fn first(count: usize) -> Self {
        let mut bits = Self::none();
        let whole = count.min(CHUNK) / 64;
        bits.0[..whole].fill(u64::MAX);
        if let Some(word) = bits.0.get_mut(whole) {
            *word = (1 << (count % 64)) - 1;
        }
        bits
    }

    pub(crate) fn insert(&mut self, low: u32) {
        self.0[low as usize / 64 % WORDS] |= 1 << (low % 64);
    }

    pub(crate) fn remove(&mut self, low: u32) {
        self.0[low as usize / 64 % WORDS] &= !(1 << (low % 64));
    }

    pub(crate) fn contains(&self, low: u32) -> bool {
        self.0[low as usize / 64 % WORDS] >> (low % 64) & 1 == 1
    }

    pub(crate) fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, other)| *word &= !other);
    }

    pub(crate) fn add(&mut self, set: &RoaringBitmap) {
        let mut iter = set.iter();
        let mut buffer = [0_u32; 256];
        loop {
            let batch = iter.next_many(&mut buffer);
            if batch.is_empty() {
                return;
            }
            for low in &*batch {
                self.insert(*low);
            }
        }
    }

    /// How many there are. Eight words are added up bit by bit before any bits are counted (Harley and Seal's way; see
    /// Warren, Hacker's Delight, 5-1), four of them side by side, which the compiler does in few steps.
    pub(crate) fn len(&self) -> u64 {
        type Lanes = [u64; 4];
        const NONE: Lanes = [0; 4];
        fn carry(a: Lanes, b: Lanes, c: Lanes) -> (Lanes, Lanes) {
            let sum = std::array::from_fn(|lane| a[lane] ^ b[lane] ^ c[lane]);
            (std::array::from_fn(|lane| a[lane] & b[lane] | (a[lane] ^ b[lane]) & c[lane]), sum)
        }
        let count = |lanes: Lanes| lanes.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let (mut eights, mut fours, mut twos, mut ones) = (0, NONE, NONE, NONE);
        let (blocks, _) = self.0.as_chunks::<32>();
        for block in blocks {
            let (words, _) = block.as_chunks::<4>();
            let (two_a, sum) = carry(ones, words[0], words[1]);
            let (two_b, sum) = carry(sum, words[2], words[3]);
            let (four_a, two) = carry(twos, two_a, two_b);
            let (two_a, sum) = carry(sum, words[4], words[5]);
            let (two_b, sum) = carry(sum, words[6], words[7]);
            let (four_b, two) = carry(two, two_a, two_b);
            let (eight, four) = carry(fours, four_a, four_b);
            (fours, twos, ones) = (four, two, sum);
            eights += count(eight);
        }
        8 * eights + 4 * count(fours) + 2 * count(twos) + count(ones)
    }

    /// Whether fewer than `many` bits are set.
    pub(crate) fn fewer_than(&self, many: u64) -> bool {
        let mut count = 0;
        for words in self.0.chunks(64) {
            count += words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
            if count >= many {
                return false;
            }
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Whether any ordinal from `first` to `last` is in the set.
    pub(crate) fn any_within(&self, first: u32, last: u32) -> bool {
        let (from, to) = (first as usize / 64 % WORDS, last as usize / 64 % WORDS);
        let head = u64::MAX << (first % 64);
        let tail = u64::MAX >> (63 - last % 64);
        if from == to {
            return self.0[from] & head & tail != 0;
        }
        self.0[from] & head != 0
            || self.0[to] & tail != 0
            || (from + 1 < to && self.0[from + 1..to].iter().any(|word| *word != 0))
    }

    /// The first and the last ordinal.
    pub(crate) fn ends(&self) -> Option<(u32, u32)> {
        let first = self.0.iter().position(|word| *word != 0)?;
        let last = self.0.iter().rposition(|word| *word != 0)?;
        let at = |place: usize, bit: u32| u32::try_from(place * 64).unwrap_or(u32::MAX) + bit;
        Some((at(first, self.0[first].trailing_zeros()), at(last, self.0[last].ilog2())))
    }

    /// The ordinals from one to another, both included, that are in the set.
    pub(crate) fn within(&self, first: u32, last: u32) -> Self {
        let mut bits = Self::none();
        for (number, word) in bits.0.iter_mut().enumerate() {
            let start = u32::try_from(number * 64).unwrap_or(u32::MAX);
            if start + 63 >= first && start <= last {
                let head = u64::MAX << first.saturating_sub(start);
                let tail = u64::MAX >> (start + 63).saturating_sub(last);
                *word = self.0[number] & head & tail;
            }
        }
        bits
    }

    /// The ordinals in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(self.0.iter()).flat_map(|(number, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                Some(number * 64 + bit)
            })
        })
    }

    /// Sets each bit to what `holds` says of its ordinal's value.
    pub(crate) fn of_values<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> Self {
        let mut bits = Self::none();
        for (word, values) in bits.0.iter_mut().zip(values.as_chunks::<64>().0) {
            *word = pack(values, &holds);
        }
        bits
    }

    /// The same set as ordinals of a chunk.
    pub(crate) fn to_roaring(&self, chunk: u16) -> RoaringBitmap {
        // A few ordinals one by one, many as the words that they are.
        if self.len() < 4_096 {
            let start = u32::from(chunk) << 16;
            return self.iter().map(|low| start | low).collect();
        }
        let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        RoaringBitmap::from_lsb0_bytes(u32::from(chunk) << 16, &bytes)
    }

    /// The part of a set of ordinals that lies in a chunk.
    pub(crate) fn of_chunk(set: &RoaringBitmap, chunk: u16) -> Self {
        let mut bits = Self::none();
        let start = u32::from(chunk) << 16;
        for ordinal in set.range(start..=start | 0xffff) {
            bits.insert(ordinal & 0xffff);
        }
        bits
    }
}

/// One bit for each of 64 values. The comparisons go to bytes first, which the compiler does many at once; a product
/// then brings eight of these bytes, each 0 or 1, together in one.
#[inline]
pub(crate) fn pack<T: Copy>(values: &[T; 64], holds: impl Fn(T) -> bool) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut flags = [0_u8; 64];
    for (flag, value) in flags.iter_mut().zip(values) {
        *flag = u8::from(holds(*value));
    }
    let mut word = 0;
    for (place, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        word |= (u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56) << (place * 8);
    }
    word
}

/// The same for a pack of rows.
#[inline]
pub(crate) fn pack_rows<T: Copy>(values: &[T; crate::segment::PACK], holds: impl Fn(T) -> bool) -> u128 {
    let halves = values.as_chunks::<64>().0;
    u128::from(pack(&halves[0], &holds)) | u128::from(pack(&halves[1], &holds)) << 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stand_where_their_values_do() {
        let values: [u32; 128] = std::array::from_fn(|place| u32::try_from(place * 7 % 11).unwrap());
        let expected = values
            .iter()
            .enumerate()
            .filter(|(_, value)| **value < 4)
            .fold(0_u128, |bits, (place, _)| bits | 1 << place);
        assert_eq!(pack_rows(&values, |value| value < 4), expected);
    }

    #[test]
    fn bits_are_counted() {
        let mut random = crate::segment::random(5);
        for share in [0, 1, 50, 99, 100] {
            let mut bits = Bits::none();
            (0..65_536).filter(|_| random(100) < share).for_each(|low| bits.insert(low));
            assert_eq!(bits.len(), bits.iter().count() as u64, "{share} of a hundred");
        }
    }

    #[test]
    fn ranges_are_searched_to_their_ends() {
        let mut bits = Bits::none();
        bits.insert(63);
        bits.insert(640);
        for (first, last, expected) in
            [(0, 62, false), (0, 63, true), (63, 63, true), (64, 639, false), (64, 640, true), (641, 65_535, false)]
        {
            assert_eq!(bits.any_within(first, last), expected, "{first}..={last}");
        }
        assert_eq!(bits.iter().collect::<Vec<_>>(), [63, 640]);
        assert_eq!(bits.to_roaring(2).iter().collect::<Vec<_>>(), [131_072 + 63, 131_072 + 640]);
        assert_eq!(Bits::of_chunk(&bits.to_roaring(2), 2).len(), 2);
        assert_eq!(Bits::first(65).len(), 65);
        assert!(Bits::first(65).fewer_than(66) && !Bits::first(65).fewer_than(65));
    }
}
