//! Builds the bytes of a segment from rows in any order.

use std::collections::HashMap;
use std::fmt::Write as _;

use roaring::RoaringBitmap;

use super::column::{PACK, Writer};
use super::dictionary::{Builder as Dictionary, MISSING};
use super::group::{Chunk, Group, Property};
use super::header::{Entry, Header};
use super::ids::Ids;
use super::item::{Decimal, Item};
use super::lists::Lists;
use super::stream::{Corrupt, Span, Stream, Unwritable, narrow};
use super::{CHUNK_BITS, RowKey, SECOND};

/// Chunks with at least this number of customers store their customer set as an 8 kB bitmap, because OR-ing two bitmaps is
/// nearly free.
const DENSE: usize = 8_192;

/// One column of a group under construction.
struct Growing {
    path: Vec<String>,
    /// Provisional codes by row. Rows after the end have no value.
    codes: Vec<u32>,
    dictionary: Dictionary,
}

impl Growing {
    fn new(path: Vec<String>) -> Self {
        Self { path, codes: Vec::new(), dictionary: Dictionary::default() }
    }

    fn set(&mut self, row: usize, code: u32) {
        self.codes.resize(row, MISSING);
        self.codes.push(code);
    }
}

/// A key of an object: the keys below it, and the column of its values.
#[derive(Default)]
struct Node {
    below: Keys,
    column: Option<usize>,
}

/// The keys of an object and the node of each. Most objects have few keys, for which a linear search is fastest.
#[derive(Default)]
struct Keys {
    first: Vec<(Box<str>, usize)>,
    others: HashMap<Box<str>, usize>,
}

impl Keys {
    const FEW: usize = 8;

    fn get(&self, key: &str) -> Option<usize> {
        let first = self.first.iter().find(|(known, _)| **known == *key).map(|(_, node)| *node);
        first.or_else(|| if self.others.is_empty() { None } else { self.others.get(key).copied() })
    }

    fn insert(&mut self, key: &str, node: usize) {
        if self.first.len() < Self::FEW {
            self.first.push((key.into(), node));
        } else {
            self.others.insert(key.into(), node);
        }
    }
}

/// The rows of one event type, or of the profiles.
///
/// [`GroupBuilder::row`] starts a row. The values of the row follow; [`GroupBuilder::enter`] and
/// [`GroupBuilder::leave`] enclose the values of an object.
pub struct GroupBuilder {
    rows: Vec<RowKey>,
    columns: Vec<Growing>,
    nodes: Vec<Node>,
    /// The nodes from the root to the current object; `None` for a key without a node.
    at: Vec<Option<usize>>,
    /// The keys from the root to the current object.
    keys: Vec<String>,
    depth: usize,
    /// Maximum number of columns. Values without a column are stored together.
    most: usize,
    /// The values of the current row that have no column, as the elements of a JSON array.
    rest: String,
}

impl GroupBuilder {
    fn new(most: usize) -> Self {
        Self {
            rows: Vec::new(),
            columns: Vec::new(),
            nodes: vec![Node::default()],
            at: vec![Some(0)],
            keys: Vec::new(),
            depth: 0,
            most: most.max(1),
            rest: String::new(),
        }
    }

    /// Starts a row.
    pub fn row(&mut self, key: RowKey) {
        self.flush();
        self.rows.push(key);
    }

    /// Enters the object at a key.
    pub fn enter(&mut self, key: &str) {
        let here = self.at[self.depth];
        let full = self.columns.len() >= self.most;
        let below = here.and_then(|node| match self.nodes[node].below.get(key) {
            Some(known) => Some(known),
            None if full => None,
            None => {
                self.nodes.push(Node::default());
                let new = self.nodes.len() - 1;
                self.nodes[node].below.insert(key, new);
                Some(new)
            }
        });
        self.depth += 1;
        self.at.truncate(self.depth);
        self.at.push(below);
        if let Some(slot) = self.keys.get_mut(self.depth - 1) {
            slot.clear();
            slot.push_str(key);
        } else {
            self.keys.push(key.to_owned());
        }
    }

    /// Leaves the object.
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Sets the value at the current path, at most once for each path of a row.
    pub fn value(&mut self, item: Item) {
        let Some(row) = self.rows.len().checked_sub(1) else { return };
        let column = self.at[self.depth].and_then(|node| match self.nodes[node].column {
            Some(column) => Some(column),
            None if self.columns.len() >= self.most => None,
            None => {
                self.columns.push(Growing::new(self.keys[..self.depth].to_vec()));
                self.nodes[node].column = Some(self.columns.len() - 1);
                self.nodes[node].column
            }
        });
        if let Some(column) = column {
            let column = &mut self.columns[column];
            let code = column.dictionary.code(item);
            column.set(row, code);
        } else {
            if !self.rest.is_empty() {
                self.rest.push(',');
            }
            self.rest.push('[');
            for key in &self.keys[..self.depth] {
                write_string(key, &mut self.rest);
                self.rest.push(',');
            }
            write_item(item, &mut self.rest);
            self.rest.push(']');
        }
    }

    /// Ends the current row.
    fn flush(&mut self) {
        self.depth = 0;
        if !self.rest.is_empty() {
            let pairs = std::mem::take(&mut self.rest);
            self.set_rest(self.rows.len() - 1, &pairs);
        }
    }

    /// Stores the values of a row that have no column. `pairs` are the elements of an array. Rows are in ascending
    /// order.
    fn set_rest(&mut self, row: usize, pairs: &str) {
        let text = format!("[{pairs}]");
        // The rest has a column of its own beyond the limit, at the empty path.
        let column = self.nodes[0].column.unwrap_or_else(|| {
            self.columns.push(Growing::new(Vec::new()));
            self.columns.len() - 1
        });
        self.nodes[0].column = Some(column);
        let column = &mut self.columns[column];
        let code = column.dictionary.code(Item::Json(&text));
        column.set(row, code);
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Estimated memory in bytes, including the memory for writing the segment.
    fn bytes(&self) -> usize {
        /// Memory of a row while rows are sorted, and of a value while columns are packed.
        const ORDER: usize = size_of::<u64>() + size_of::<(RowKey, u32)>();
        let of_column = |column: &Growing| {
            column.codes.len() * size_of::<u32>() + self.rows.len() * size_of::<i64>() + column.dictionary.bytes()
        };
        self.rows.len() * (size_of::<RowKey>() + ORDER) + self.columns.iter().map(of_column).sum::<usize>()
    }

    /// Adds the rows of another segment's group, except the rows in `dead`.
    fn append(&mut self, group: &Group, stream: &dyn Stream, dead: Option<&RoaringBitmap>) -> Result<(), Corrupt> {
        self.flush();
        let first = self.rows.len();
        let live: Vec<bool> = (0..group.rows).map(|row| dead.is_none_or(|dead| !dead.contains(row))).collect();
        group.keys(stream, |row, key| {
            if live[row as usize] {
                self.rows.push(key);
            }
        })?;
        // Values that find no column here, by row.
        let mut homeless: HashMap<usize, String> = HashMap::new();
        for property in &group.properties {
            let loaded = property.dictionary.load(stream)?;
            let column = self.column_for(&property.path);
            let mut known: Vec<u32> = vec![u32::MAX; property.dictionary.len() as usize + 1];
            let mut reader = super::column::Reader::new(stream, &property.codes);
            let mut pack = [0_u32; PACK];
            let mut target = first;
            for row in 0..group.rows {
                let place = row as usize % PACK;
                if place == 0 {
                    reader.small(row as usize / PACK, &mut pack)?;
                }
                if !live[row as usize] {
                    continue;
                }
                let code = pack[place];
                if code != MISSING {
                    let damaged = || Corrupt::new("a code has no value in its dictionary");
                    let entry = known.get_mut(code as usize).ok_or_else(damaged)?;
                    if let Some(column) = column {
                        let column = &mut self.columns[column];
                        if *entry == u32::MAX {
                            *entry = column.dictionary.code(loaded.item(code).ok_or_else(damaged)?);
                        }
                        column.set(target, *entry);
                    } else {
                        let item = loaded.item(code).ok_or_else(damaged)?;
                        let rest = homeless.entry(target).or_default();
                        append_rest(&property.path, item, rest);
                    }
                }
                target += 1;
            }
        }
        let mut rows: Vec<(usize, String)> = homeless.into_iter().collect();
        rows.sort_unstable();
        for (row, pairs) in rows {
            self.set_rest(row, &pairs);
        }
        Ok(())
    }

    /// The column of a path, created if the limit allows it.
    fn column_for(&mut self, path: &[String]) -> Option<usize> {
        if path.is_empty() {
            return None; // the rest is put together row by row
        }
        let mut node = 0;
        for key in path {
            let full = self.columns.len() >= self.most;
            node = match self.nodes[node].below.get(key) {
                Some(known) => known,
                None if full => return None,
                None => {
                    self.nodes.push(Node::default());
                    let new = self.nodes.len() - 1;
                    self.nodes[node].below.insert(key, new);
                    new
                }
            };
        }
        if self.nodes[node].column.is_none() && self.columns.len() < self.most {
            self.columns.push(Growing::new(path.to_vec()));
            self.nodes[node].column = Some(self.columns.len() - 1);
        }
        self.nodes[node].column
    }

    fn finish(
        mut self,
        name: String,
        lasting: bool,
        (writer, out): (&Writer, &mut Vec<u8>),
        check: &dyn Fn(),
    ) -> Result<Entry, Unwritable> {
        self.flush();
        check();
        let order = order(&self.rows);
        check();
        let ordinals: Vec<u32> = order.iter().map(|(key, _)| key.ordinal).collect();
        let part = |part: fn(&RowKey) -> i64| order.iter().map(|(key, _)| part(key)).collect::<Vec<i64>>();
        let times = || self.rows.iter().map(|key| key.at);
        let times = (times().min().unwrap_or(i64::MAX), times().max().unwrap_or(i64::MIN));
        let mut group = Group {
            rows: narrow(order.len(), "rows")?,
            chunks: Vec::new(),
            ordinals: writer.sorted(&ordinals, out)?,
            seconds: writer.plain(&part(|key| key.at.div_euclid(SECOND)), out)?,
            micros: writer.plain(&part(|key| key.at.rem_euclid(SECOND)), out)?,
            ids: Ids::write(&order, lasting, writer, out)?,
            properties: Vec::new(),
        };
        let mut start = 0_u32;
        for rows in ordinals.chunk_by(|left, right| left >> CHUNK_BITS == right >> CHUNK_BITS) {
            let mut chunk = Chunk { number: (rows[0] >> CHUNK_BITS) as u16, start, customers: Span::default() };
            let mut customers: Vec<u32> = rows.iter().map(|ordinal| ordinal & super::CHUNK_MASK).collect();
            customers.dedup();
            // Of a few customers the column of ordinals tells as fast, in fewer bytes.
            if customers.len() >= DENSE {
                chunk.customers = write_set(&customers.into_iter().collect(), out)?;
            }
            group.chunks.push(chunk);
            start += narrow(rows.len(), "rows")?;
        }
        self.columns.sort_by(|left, right| left.path.cmp(&right.path));
        for column in self.columns {
            check();
            let (dictionary, codes) = column.dictionary.finish(writer, out)?;
            let values: Vec<i64> = order
                .iter()
                .map(|(_, row)| column.codes.get(*row as usize).map_or(0, |code| i64::from(codes[*code as usize])))
                .collect();
            let codes = writer.plain(&values, out)?;
            let lists = if lasting { Lists::write(&values, dictionary.len(), writer, out)? } else { None };
            group.properties.push(Property { path: column.path, codes, lists, dictionary });
        }
        Ok(Entry::of(name, times, group))
    }
}

/// The sorted rows, each with its original position.
fn order(rows: &[RowKey]) -> Vec<(RowKey, u32)> {
    // One number sorts faster than a key of three; few rows have the ordinal of another, and those come after.
    let mut places: Vec<u64> = (0_u64..).zip(rows).map(|(place, key)| u64::from(key.ordinal) << 32 | place).collect();
    places.sort_unstable();
    let row = |place: &u64| {
        let place = u32::try_from(place & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        (rows[place as usize], place)
    };
    let mut order: Vec<(RowKey, u32)> = places.iter().map(row).collect();
    for rows in order.chunk_by_mut(|left, right| left.0.ordinal == right.0.ordinal) {
        if rows.len() > 1 {
            rows.sort_unstable();
        }
    }
    order
}

fn append_rest(path: &[String], item: Item, rest: &mut String) {
    if path.is_empty() {
        // The rest of the other segment: an array of what is needed here.
        if let Item::Json(text) = item {
            let inside = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default();
            if !rest.is_empty() && !inside.is_empty() {
                rest.push(',');
            }
            rest.push_str(inside);
        }
        return;
    }
    if !rest.is_empty() {
        rest.push(',');
    }
    rest.push('[');
    for key in path {
        write_string(key, rest);
        rest.push(',');
    }
    write_item(item, rest);
    rest.push(']');
}

fn write_item(item: Item, out: &mut String) {
    match item {
        Item::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Item::Number(number) => out.push_str(&crate::value::plain(&Decimal::exact(number))),
        Item::Big(text) | Item::Json(text) => out.push_str(text),
        Item::Text(text) => write_string(text, out),
    }
}

/// Writes a JSON string.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn write_set(set: &RoaringBitmap, out: &mut Vec<u8>) -> Result<Span, Unwritable> {
    let at = out.len();
    set.serialize_into(&mut *out)
        .map_err(|error| Unwritable::new(format!("a set of customers cannot be written: {error}")))?;
    Ok(Span { at: at as u64, length: narrow(out.len() - at, "bytes of a set of customers")? })
}

/// A segment under construction.
pub struct SegmentBuilder {
    groups: Vec<(String, GroupBuilder)>,
    /// The position of each group in `groups`.
    places: HashMap<String, usize>,
    /// The group that was used last, which is mostly the next one, too.
    last: usize,
    removed: RoaringBitmap,
    most: usize,
}

impl SegmentBuilder {
    /// An empty segment with at most `most` paths with a column in each group. The other values of a row are stored
    /// together.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { groups: Vec::new(), places: HashMap::new(), last: 0, removed: RoaringBitmap::new(), most }
    }

    /// The group of an event type. The group of profiles has the empty name.
    pub fn group(&mut self, name: &str) -> &mut GroupBuilder {
        if self.groups.get(self.last).is_none_or(|(last, _)| last != name) {
            self.last = self.places.get(name).copied().unwrap_or_else(|| {
                self.groups.push((name.to_owned(), GroupBuilder::new(self.most)));
                self.places.insert(name.to_owned(), self.groups.len() - 1);
                self.groups.len() - 1
            });
        }
        &mut self.groups[self.last].1
    }

    /// Marks a customer's profile as removed from older segments.
    pub fn remove_profile(&mut self, ordinal: u32) {
        self.removed.insert(ordinal);
    }

    /// Replaces the ordinal `i` of every row and every removal by `ordinals[i]`.
    pub fn renumber(&mut self, ordinals: &[u32]) {
        let new = |old: u32| ordinals.get(old as usize).copied().unwrap_or(old);
        for (_, group) in &mut self.groups {
            group.rows.iter_mut().for_each(|key| key.ordinal = new(key.ordinal));
        }
        self.removed = std::mem::take(&mut self.removed).into_iter().map(new).collect();
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.groups.iter().map(|(_, group)| group.len()).sum()
    }

    /// Estimated memory in bytes, including the memory for writing the segment.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.groups.iter().map(|(_, group)| group.bytes()).sum()
    }

    /// Adds the rows of a segment. `dead` returns the rows of a group, by its name, that are omitted.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn append(
        &mut self,
        header: &Header,
        stream: &dyn Stream,
        dead: &dyn Fn(&str) -> Option<RoaringBitmap>,
        check: &dyn Fn(),
    ) -> Result<(), Corrupt> {
        for entry in &header.groups {
            check();
            let dead = dead(&entry.name);
            self.group(&entry.name).append(entry.open(stream)?, stream, dead.as_ref())?;
        }
        Ok(())
    }

    /// The bytes of the segment.
    ///
    /// # Errors
    /// When it holds more than the format has room for.
    pub fn finish(self) -> Result<Vec<u8>, Unwritable> {
        self.finish_checking(&|| ())
    }

    /// The same, calling `check`, which may end it by unwinding, before each column.
    ///
    /// # Errors
    /// As [`SegmentBuilder::finish`].
    pub fn finish_checking(self, check: &dyn Fn()) -> Result<Vec<u8>, Unwritable> {
        let (header, out) = self.write(true, check)?;
        header.close(out)
    }

    /// The segment for one question: its bytes have neither header nor checksums, nor what pays with the second only.
    ///
    /// # Errors
    /// As [`SegmentBuilder::finish`].
    pub fn in_memory(self) -> Result<(Header, Vec<u8>), Unwritable> {
        self.in_memory_checking(&|| ())
    }

    /// The same, calling `check`, which may end it by unwinding, before each column.
    ///
    /// # Errors
    /// As [`SegmentBuilder::finish`].
    pub fn in_memory_checking(self, check: &dyn Fn()) -> Result<(Header, Vec<u8>), Unwritable> {
        self.write(false, check)
    }

    fn write(self, lasting: bool, check: &dyn Fn()) -> Result<(Header, Vec<u8>), Unwritable> {
        let writer = Writer::new();
        let mut out = Vec::new();
        let mut groups = self.groups;
        groups.sort_by(|left, right| left.0.cmp(&right.0));
        let groups = groups.into_iter().filter(|(_, group)| !group.is_empty());
        let groups = groups.map(|(name, group)| group.finish(name, lasting, (&writer, &mut out), check));
        let groups = groups.collect::<Result<_, _>>()?;
        let mut removed: HashMap<u16, RoaringBitmap> = HashMap::new();
        for ordinal in self.removed {
            removed.entry((ordinal >> CHUNK_BITS) as u16).or_default().insert(ordinal & super::CHUNK_MASK);
        }
        let mut removed: Vec<(u16, RoaringBitmap)> = removed.into_iter().collect();
        removed.sort_by_key(|(number, _)| *number);
        let removed = removed.iter().map(|(number, set)| Ok((*number, write_set(set, &mut out)?)));
        let removed = removed.collect::<Result<_, Unwritable>>()?;
        Ok((Header::of(groups, removed), out))
    }
}
