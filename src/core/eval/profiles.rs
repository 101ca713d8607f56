//! The values of one property of profiles, customer by customer.

use std::sync::Arc;

use super::bits::Bits;
use super::codes::each_item;
use super::limits::{Budget, Stop};
use super::profiles_of_chunk;
use super::rows::{Rows, ones};
use super::source::{Part, Source};
use crate::rule::PathStep;
use crate::segment::column::Reader;
use crate::segment::dictionary::{Loaded, MISSING};
use crate::segment::item::Item;
use crate::segment::{Corrupt, PACK};

/// A property bound to every part.
#[derive(Clone)]
pub(crate) struct ProfileValues<'a> {
    keys: &'a [String],
    inside: &'a [PathStep],
    parts: Vec<PartValues<'a>>,
}

#[derive(Clone)]
struct PartValues<'a> {
    part: &'a Part<'a>,
    rows: Option<Rows<'a>>,
    columns: Vec<(Reader<'a>, &'a [String], Arc<Loaded<'a>>)>,
}

impl<'a> ProfileValues<'a> {
    pub(crate) fn new(
        keys: &'a [String],
        inside: &'a [PathStep],
        source: &'a Source<'a>,
        budget: &Budget,
    ) -> Result<Self, Stop> {
        let mut parts = Vec::new();
        for part in &source.profiles {
            let entry = part.header.groups.first();
            let rows = entry.map(|entry| Rows::new(part, entry, (i64::MIN, i64::MAX))).transpose()?.flatten();
            let mut columns = Vec::new();
            for property in rows.iter().flat_map(|rows| &rows.group.properties) {
                if keys.starts_with(&property.path) {
                    budget.take(property.dictionary.loaded_bytes())?;
                    let loaded = Arc::new(property.dictionary.load(part.stream)?);
                    columns.push((Reader::new(part.stream, &property.codes), property.path.as_slice(), loaded));
                }
            }
            parts.push(PartValues { part, rows, columns });
        }
        Ok(Self { keys, inside, parts })
    }

    /// Says that a chunk will be asked.
    pub(crate) fn foresee(&mut self, chunk: u16) -> Result<(), Corrupt> {
        for PartValues { part, rows, columns } in &mut self.parts {
            if let Some(packs) = rows.as_mut().and_then(|rows| rows.foresee(chunk, None)) {
                for (reader, ..) in columns.iter_mut() {
                    reader.foresee(&packs);
                }
            }
            part.header.foresee_customers(chunk, part.stream)?;
        }
        Ok(())
    }

    /// About how many rows are looked at.
    pub(crate) fn looked_at(&self) -> u64 {
        self.parts.iter().filter_map(|part| part.rows.as_ref()).map(|rows| u64::from(rows.group.rows)).sum()
    }

    /// Passes on the values of customers of a chunk with the ordinals within it; several of one customer only through
    /// `[]`.
    pub(crate) fn chunk(
        &mut self,
        chunk: u16,
        wanted: Option<&Bits>,
        each: &mut dyn FnMut(u32, Item<'_>),
    ) -> Result<(), Stop> {
        let mut newer = Bits::none();
        for PartValues { part, rows, columns } in &mut self.parts {
            if let Some(rows) = rows {
                let (newer, keys, inside) = (&newer, self.keys, self.inside);
                rows.scan(chunk, wanted, None, |pack, ordinals, rows| {
                    let mut codes = [MISSING; PACK];
                    for (reader, path, loaded) in columns.iter_mut() {
                        reader.small(pack, &mut codes)?;
                        for place in ones(rows) {
                            let ordinal = ordinals[place];
                            if codes[place] == MISSING
                                || newer.contains(ordinal)
                                || wanted.is_some_and(|wanted| !wanted.contains(ordinal))
                            {
                                continue;
                            }
                            let item = loaded.item(codes[place]);
                            let item = item.ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
                            each_item(item, path, keys, inside, &mut |item| each(ordinal, item));
                        }
                    }
                    Ok::<(), Corrupt>(())
                })?;
            }
            let (here, removed) = profiles_of_chunk(part, chunk)?;
            newer.union(&here);
            newer.union(&removed);
        }
        Ok(())
    }
}
