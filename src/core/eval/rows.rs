//! The rows of one group as a condition sees them, pack by pack.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are brought into 32 bits before")]

use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::bits::{Bits, pack_rows};
use super::clock::Clock;
use super::codes::{self, Codes, Found};
use super::plan::Pred;
use super::refer::{Compared, Elements, References};
use super::source::Part;
use crate::segment::column::Reader;
use crate::segment::lists::{ListReader, RARE};
use crate::segment::times::Times;
use crate::segment::{CHUNK_BITS, CHUNK_MASK, Corrupt, Entry, Group, PACK, SECOND, Stream};

/// Up to this number, the rows of a pack are looked at one by one rather than with all others.
const FEW: u32 = 12;

/// A predicate bound to the columns of a group.
#[derive(Clone)]
pub(crate) enum Bound<'a> {
    All,
    Nothing,
    And(Vec<Bound<'a>>),
    Or(Vec<Bound<'a>>),
    Not(Box<Bound<'a>>),
    /// A column, the dictionary codes that match, and their share in per mille.
    Codes(Reader<'a>, Codes, u32),
    /// The row lists of the matching values, and the share of their rows in per mille.
    Listed(Vec<ListReader<'a>>, u32),
    /// A comparison with another property.
    Compared(Box<Compared<'a>>),
    /// A test of elements that refers to what is outside of them.
    Elements(Box<Elements<'a>>),
}

impl<'a> Bound<'a> {
    /// Binds a predicate. References to other events are ignored here: sequences evaluate them.
    pub(crate) fn new(
        pred: &Pred,
        group: &'a Group,
        stream: &'a dyn Stream,
        clock: &Clock<'a>,
        references: &References<'a>,
    ) -> Result<Self, Corrupt> {
        let all = |list: &[Pred]| {
            list.iter().map(|pred| Self::new(pred, group, stream, clock, references)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match pred {
            Pred::And(list) => {
                let mut list = all(list)?;
                list.retain(|bound| !matches!(bound, Self::All));
                match list.len() {
                    0 => Self::All,
                    _ if list.iter().any(|bound| matches!(bound, Self::Nothing)) => Self::Nothing,
                    1 => list.remove(0),
                    _ => {
                        // What leaves fewest rows first: few rows are looked at one by one.
                        list.sort_by_key(Self::leaves);
                        Self::And(list)
                    }
                }
            }
            Pred::Or(list) => {
                let mut list = all(list)?;
                list.retain(|bound| !matches!(bound, Self::Nothing));
                match list.len() {
                    0 => Self::Nothing,
                    _ if list.iter().any(|bound| matches!(bound, Self::All)) => Self::All,
                    1 => list.remove(0),
                    _ => Self::Or(list),
                }
            }
            Pred::Not(inner) => match Self::new(inner, group, stream, clock, references)? {
                Self::All => Self::Nothing,
                Self::Nothing => Self::All,
                inner => Self::Not(Box::new(inner)),
            },
            Pred::Test(test) => {
                let mut outside = Vec::new();
                pred.outside(false, &mut outside);
                if !outside.is_empty() {
                    let elements = Elements::new(test, &outside, group, stream, *clock, references)?;
                    return Ok(Self::Elements(Box::new(elements)));
                }
                let found = codes::find(test, group, stream, clock)?;
                let mut any = found
                    .into_iter()
                    .map(|found| match Self::listed(&found, group, stream)? {
                        Some(listed) => Ok(listed),
                        None => Ok(Self::column(found, stream)),
                    })
                    .collect::<Result<Vec<Self>, Corrupt>>()?;
                match any.len() {
                    0 => Self::Nothing,
                    1 => any.remove(0),
                    _ => Self::Or(any),
                }
            }
            Pred::Refer(refer) => Self::Compared(Box::new(Compared::new(refer, group, stream, *clock, references)?)),
            Pred::Same { .. } | Pred::Elements(_) => Self::Nothing, // a sequence answers them
        })
    }

    fn column(found: Found<'a>, stream: &'a dyn Stream) -> Self {
        let all = u64::from(found.property.dictionary.len().max(1));
        let share = u64::from(found.codes.len()) * 1_000 / all;
        Self::Codes(Reader::new(stream, &found.property.codes), found.codes, u32::try_from(share).unwrap_or(1_000))
    }

    /// The lists of a few codes, where each has one and all together are still few rows.
    fn listed(found: &Found<'a>, group: &Group, stream: &'a dyn Stream) -> Result<Option<Self>, Corrupt> {
        const FEW: u32 = 16;
        let Some(lists) = &found.property.lists else { return Ok(None) };
        if found.codes.len() > FEW {
            return Ok(None);
        }
        let mut lists = lists.open(stream);
        let (mut readers, mut rows) = (Vec::new(), 0);
        for code in found.codes.iter() {
            let Some(list) = lists.list(code)? else { return Ok(None) };
            rows += list.len();
            readers.push(list);
        }
        let all = group.rows as usize;
        // Twice as many as one list may have, and going through the column is as quick.
        Ok((rows * RARE <= all * 2).then(|| Self::Listed(readers, (rows * 1_000).div_ceil(all.max(1)) as u32)))
    }

    /// A guess at how many of a thousand rows satisfy it.
    fn leaves(&self) -> u32 {
        match self {
            Self::All => 1_000,
            Self::Nothing => 0,
            Self::And(list) => list.iter().map(Self::leaves).min().unwrap_or(1_000),
            Self::Or(list) => list.iter().map(Self::leaves).sum::<u32>().min(1_000),
            Self::Not(inner) => 1_000_u32.saturating_sub(inner.leaves()),
            Self::Codes(_, _, share) | Self::Listed(_, share) => *share,
            // Values are looked at one by one.
            Self::Compared(_) => 1_001,
            Self::Elements(_) => 1_002,
        }
    }

    /// The list that every row which satisfies it is on, and what else must hold of such a row.
    fn narrow(&mut self) -> Option<(&mut ListReader<'a>, &mut [Self])> {
        let all = match self {
            Self::And(all) => all.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        let [Self::Listed(lists, _), rest @ ..] = all else { return None };
        let [list] = lists.as_mut_slice() else { return None };
        Some((list, rest))
    }

    /// Keeps, of some rows in ascending order, those that satisfy it.
    fn retain(&mut self, rows: &mut Vec<u32>) -> Result<(), Corrupt> {
        if let Self::Codes(reader, set, _) = self {
            return match set {
                Codes::Range(first, last) => reader.retain(rows, |code| (*first..=*last).contains(&code)),
                set @ Codes::Bits(_) => reader.retain(rows, |code| set.contains(code)),
            };
        }
        let mut kept = 0;
        for place in 0..rows.len() {
            let row = rows[place];
            rows[kept] = row;
            kept += usize::from(self.mask(row as usize / PACK, 1 << (row as usize % PACK))? != 0);
        }
        rows.truncate(kept);
        Ok(())
    }

    /// Gives back the memory of the frames that were read last.
    fn release(&mut self) {
        match self {
            Self::All | Self::Nothing | Self::Compared(_) | Self::Elements(_) => {}
            Self::And(all) | Self::Or(all) => all.iter_mut().for_each(Self::release),
            Self::Not(inner) => inner.release(),
            Self::Codes(reader, ..) => reader.release(),
            Self::Listed(lists, _) => lists.iter_mut().for_each(ListReader::release),
        }
    }

    /// Says that rows of some packs will be asked.
    pub(crate) fn foresee(&mut self, packs: &Range<usize>) {
        match self {
            Self::All | Self::Nothing => {}
            Self::And(all) | Self::Or(all) => all.iter_mut().for_each(|bound| bound.foresee(packs)),
            Self::Not(inner) => inner.foresee(packs),
            Self::Codes(reader, ..) => reader.foresee(packs),
            Self::Listed(lists, _) => lists.iter_mut().for_each(ListReader::foresee),
            Self::Compared(compared) => compared.foresee(packs),
            Self::Elements(elements) => elements.foresee(packs),
        }
    }

    /// Which of some rows of a pack satisfy it.
    pub(crate) fn mask(&mut self, pack: usize, rows: u128) -> Result<u128, Corrupt> {
        Ok(match self {
            Self::All => rows,
            Self::Nothing => 0,
            Self::And(list) => {
                let mut left = rows;
                for bound in list {
                    if left == 0 {
                        break;
                    }
                    left = bound.mask(pack, left)?;
                }
                left
            }
            Self::Or(list) => {
                let mut found = 0;
                for bound in list {
                    found |= bound.mask(pack, rows & !found)?;
                }
                found
            }
            Self::Not(inner) => rows & !inner.mask(pack, rows)?,
            Self::Compared(compared) => compared.mask(pack, rows)?,
            Self::Elements(elements) => elements.mask(pack, rows)?,
            Self::Listed(lists, _) => {
                let mut found = 0;
                for list in lists {
                    found |= list.mask(pack)?;
                }
                found & rows
            }
            Self::Codes(reader, set, _) => {
                if rows == 0 {
                    return Ok(0);
                }
                if rows.count_ones() <= FEW {
                    let mut found = 0;
                    for place in ones(rows) {
                        if set.contains(reader.one(pack, place)?) {
                            found |= 1 << place;
                        }
                    }
                    return Ok(found);
                }
                let mut offsets = [0_u32; PACK];
                let base = reader.offsets(pack, &mut offsets)?.and_then(|base| u32::try_from(base).ok());
                let base = base.ok_or_else(|| Corrupt::new("a pack has no codes"))?;
                set.mask(&offsets, base) & rows
            }
        })
    }
}

/// The times of a group's rows, and a window of which the group reaches beyond.
#[derive(Clone)]
struct Window<'a> {
    times: Times<'a>,
    /// The first and the last instant.
    ends: (i64, i64),
}

impl Window<'_> {
    /// Which of some rows lie in the window.
    fn mask(&mut self, pack: usize, rows: u128) -> Result<u128, Corrupt> {
        let (first, last) = self.ends;
        // The seconds decide, but for rows in the very seconds of the two ends.
        let (from, to) = (first.div_euclid(SECOND), last.div_euclid(SECOND));
        let mut offsets = [0_u32; PACK];
        let (mut inside, certain) = if let Some(base) = self.times.seconds.offsets(pack, &mut offsets)? {
            // Everything is within 32 bits of the base; an end beyond that is no end here.
            let most = base.saturating_add(i64::from(u32::MAX));
            if from > most || to < base {
                return Ok(0);
            }
            let near = |second: i64| (second.clamp(base, most) - base) as u32;
            let (low, high) = (near(from), near(to));
            let inside = pack_rows(&offsets, |offset| offset.wrapping_sub(low) <= high - low);
            let certain = pack_rows(&offsets, |offset| (offset > low || from < base) && (offset < high || to > most));
            (inside & rows, certain)
        } else {
            let mut seconds = [0_i64; PACK];
            self.times.seconds.large(pack, &mut seconds)?;
            let inside = pack_rows(&seconds, |second| second >= from && second <= to);
            (inside & rows, pack_rows(&seconds, |second| second > from && second < to))
        };
        let edges = inside & !certain;
        if edges != 0 {
            let at = self.times.pack(pack)?;
            for place in ones(edges) {
                if at[place] < first || at[place] > last {
                    inside &= !(1 << place);
                }
            }
        }
        Ok(inside)
    }
}

/// The places of the bits that are set.
pub(crate) fn ones(mask: u128) -> impl Iterator<Item = usize> {
    let halves = [(mask & u128::from(u64::MAX)) as u64, (mask >> 64) as u64];
    halves.into_iter().zip([0, 64]).flat_map(|(mut half, start)| {
        std::iter::from_fn(move || {
            if half == 0 {
                return None;
            }
            let place = half.trailing_zeros() as usize;
            half &= half - 1;
            Some(start + place)
        })
    })
}

/// The rows of a group that are alive and lie in a window.
#[derive(Clone)]
pub(crate) struct Rows<'a> {
    pub(crate) group: &'a Group,
    pub(crate) stream: &'a dyn Stream,
    dead: Option<&'a RoaringBitmap>,
    ordinals: Reader<'a>,
    /// The window, where the group reaches beyond it.
    window: Option<Window<'a>>,
    /// Where the filter begins with a list: what it leaves.
    listed: Option<Arc<Narrowed>>,
}

/// All rows of a group that are on a list, alive, in the window and satisfy the rest of a filter.
struct Narrowed {
    rows: Vec<u32>,
    /// Of each row.
    ordinals: Vec<u32>,
}

impl Narrowed {
    /// The places of a chunk's rows.
    fn of_chunk(&self, chunk: u16) -> Range<usize> {
        let below = |chunk: u32| self.ordinals.partition_point(|ordinal| ordinal >> CHUNK_BITS < chunk);
        below(u32::from(chunk))..below(u32::from(chunk) + 1)
    }
}

/// Rows in ascending order, pack by pack.
fn by_pack(rows: &[u32]) -> impl Iterator<Item = &[u32]> {
    rows.chunk_by(|left, right| left / PACK as u32 == right / PACK as u32)
}

impl<'a> Rows<'a> {
    /// The rows of a group of a part in a window; `None` when none lies there: then the group is not even opened.
    pub(crate) fn new(part: &'a Part<'a>, entry: &'a Entry, window: (i64, i64)) -> Result<Option<Self>, Corrupt> {
        if entry.rows == 0 || window.0 > window.1 || entry.last < window.0 || entry.first > window.1 {
            return Ok(None);
        }
        let (stream, dead) = (part.stream, part.dead.get(&entry.name));
        let group = entry.open(stream)?;
        let whole = window.0 <= entry.first && entry.last <= window.1;
        let window = (!whole).then(|| Window { times: Times::new(group, stream), ends: window });
        let ordinals = Reader::new(stream, &group.ordinals);
        Ok(Some(Self { group, stream, dead, ordinals, window, listed: None }))
    }

    /// Whether every row of the group is in.
    pub(crate) fn whole(&self) -> bool {
        self.window.is_none() && self.dead.is_none_or(RoaringBitmap::is_empty)
    }

    /// Reads what all chunks need of a filter that begins with a list.
    pub(crate) fn prepare(&mut self, filter: &mut Bound<'a>) -> Result<(), Corrupt> {
        if let (Some((list, rest)), None) = (filter.narrow(), &self.listed) {
            self.listed = Some(Arc::new(self.on_list(list, rest)?));
        }
        Ok(())
    }

    /// Says that a chunk will be scanned, with the filter that it was [prepared](Self::prepare) for; the packs that other
    /// columns will be read in.
    pub(crate) fn foresee(&mut self, chunk: u16, filter: Option<&mut Bound<'a>>) -> Option<Range<usize>> {
        if let (Some(listed), true) = (&self.listed, filter.is_some()) {
            let rows = &listed.rows[listed.of_chunk(chunk)];
            return Some(*rows.first()? as usize / PACK..*rows.last()? as usize / PACK + 1);
        }
        let packs = self.group.packs(chunk)?;
        self.ordinals.foresee(&packs);
        if let Some(window) = &mut self.window {
            window.times.foresee(&packs);
        }
        if let Some(filter) = filter {
            filter.foresee(&packs);
        }
        Some(packs)
    }

    /// About how many rows are looked at with a filter.
    pub(crate) fn looked_at(&self, filter: &Bound<'a>) -> u64 {
        match &filter {
            Bound::Nothing => 0,
            Bound::Listed(lists, _) => lists.iter().map(|list| list.len() as u64).sum(),
            Bound::And(all) => match all.first() {
                Some(Bound::Listed(lists, _)) => lists.iter().map(|list| list.len() as u64).sum(),
                _ => self.group.rows.into(),
            },
            _ => self.group.rows.into(),
        }
    }

    /// Hands out the packs that hold rows of a chunk whose customers are wanted: the pack, the ordinals within the
    /// chunk, and the rows. With a filter, those of which it holds: who they belong to is read for them only.
    pub(crate) fn scan<E: From<Corrupt>>(
        &mut self,
        chunk: u16,
        wanted: Option<&Bits>,
        mut filter: Option<&mut Bound<'a>>,
        mut each: impl FnMut(usize, &[u32; PACK], u128) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut ordinals = [0_u32; PACK];
        if let Some((list, rest)) = filter.as_mut().and_then(|filter| filter.narrow()) {
            let listed = if let Some(listed) = &self.listed {
                Arc::clone(listed)
            } else {
                let listed = Arc::new(self.on_list(list, rest)?);
                Arc::clone(self.listed.insert(listed))
            };
            let places = listed.of_chunk(chunk);
            let mut of_rows = listed.ordinals[places.clone()].iter();
            for rows in by_pack(&listed.rows[places]) {
                let mut mask = 0;
                for (row, ordinal) in rows.iter().zip(&mut of_rows) {
                    let place = *row as usize % PACK;
                    mask |= 1 << place;
                    ordinals[place] = ordinal & CHUNK_MASK;
                }
                each(rows[0] as usize / PACK, &ordinals, mask)?;
            }
            return Ok(());
        }
        let Some((start, end)) = self.group.chunk_rows(chunk) else { return Ok(()) };
        let (start, end) = (start as usize, end as usize);
        let mut packs = start / PACK..end.div_ceil(PACK);
        let (lowest, highest) = match wanted.map(Bits::ends) {
            None => (0, CHUNK_MASK),
            Some(None) => return Ok(()),
            Some(Some(ends)) => ends,
        };
        if lowest > CHUNK_MASK / 8 {
            // The last pack that begins below may hold the first wanted row.
            let (mut low, mut high) = (packs.start, packs.end);
            while low + 1 < high {
                let middle = low + (high - low) / 2;
                if self.ordinals.first(middle)? & CHUNK_MASK < lowest { low = middle } else { high = middle }
            }
            packs.start = low;
        }
        for pack in packs {
            let from = start.saturating_sub(pack * PACK);
            let to = PACK.min(end - pack * PACK);
            if let Some(wanted) = wanted {
                // From the pack's first ordinal to the next one's: both ends may belong to other chunks.
                let first = if from == 0 { self.ordinals.first(pack)? & CHUNK_MASK } else { 0 };
                let last = if to == PACK && (pack + 1) * PACK < end {
                    self.ordinals.first(pack + 1)? & CHUNK_MASK
                } else {
                    CHUNK_MASK
                };
                if first > highest {
                    break;
                }
                if first <= last && !wanted.any_within(first, last) {
                    continue;
                }
            }
            let mut rows = self.alive(pack, u128::MAX << from & u128::MAX >> (PACK - to))?;
            if let Some(filter) = &mut filter {
                rows = filter.mask(pack, rows)?;
            }
            if rows != 0 {
                each(pack, self.ordinals(pack, &mut ordinals)?, rows)?;
            }
        }
        Ok(())
    }

    /// The rows of a list that are alive, in the window and satisfy the rest.
    fn on_list(&mut self, list: &mut ListReader<'a>, rest: &mut [Bound<'a>]) -> Result<Narrowed, Corrupt> {
        let mut found = Vec::with_capacity(list.len());
        list.within(0, self.group.rows, &mut found)?;
        list.release();
        for bound in rest {
            bound.retain(&mut found)?;
            // All rows are known: the next group's frames take the place of these.
            bound.release();
        }
        if !self.whole() {
            let mut alive = Vec::with_capacity(found.len());
            for rows in by_pack(&found) {
                let pack = rows[0] as usize / PACK;
                let mask = self.alive(pack, rows.iter().fold(0, |mask, row| mask | 1 << (row % PACK as u32)))?;
                alive.extend(rows.iter().filter(|row| mask >> (*row % PACK as u32) & 1 == 1));
            }
            found = alive;
        }
        found.shrink_to_fit();
        let mut ordinals = Vec::with_capacity(found.len());
        let mut pack = [0_u32; PACK];
        for rows in by_pack(&found) {
            self.ordinals.small(rows[0] as usize / PACK, &mut pack)?;
            ordinals.extend(rows.iter().map(|row| pack[*row as usize % PACK]));
        }
        self.ordinals.release();
        Ok(Narrowed { rows: found, ordinals })
    }

    /// Which of some rows of a pack are there and in the window.
    fn alive(&mut self, pack: usize, mut rows: u128) -> Result<u128, Corrupt> {
        if let Some(dead) = self.dead {
            let base = u32::try_from(pack * PACK).unwrap_or(u32::MAX);
            for row in dead.range(base..base.saturating_add(PACK as u32)) {
                rows &= !(1 << (row - base));
            }
        }
        match &mut self.window {
            Some(window) => window.mask(pack, rows),
            None => Ok(rows),
        }
    }

    /// The ordinals of a pack within their chunk.
    fn ordinals<'b>(&mut self, pack: usize, ordinals: &'b mut [u32; PACK]) -> Result<&'b [u32; PACK], Corrupt> {
        self.ordinals.small(pack, ordinals)?;
        for ordinal in &mut *ordinals {
            *ordinal &= CHUNK_MASK;
        }
        Ok(ordinals)
    }
}
