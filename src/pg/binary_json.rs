//! `jsonb` in its binary form (`utils/jsonb.h`), read in place.

use std::ffi::CStr;

use pgrx::pg_sys;

/// The types of a container's entries: the upper bits of each.
pub(crate) mod entry {
    const LENGTH: u32 = 0x0FFF_FFFF;
    const TYPE: u32 = 0x7000_0000;
    /// The lower bits say where the entry ends, not how long it is.
    const IS_END: u32 = 0x8000_0000;
    pub(crate) const STRING: u32 = 0;
    pub(crate) const NUMERIC: u32 = 0x1000_0000;
    pub(crate) const FALSE: u32 = 0x2000_0000;
    pub(crate) const TRUE: u32 = 0x3000_0000;
    pub(crate) const CONTAINER: u32 = 0x5000_0000;

    /// The type of an entry.
    pub(crate) const fn kind(entry: u32) -> u32 {
        entry & TYPE
    }

    pub(super) const fn length(entry: u32) -> usize {
        (entry & LENGTH) as usize
    }

    pub(super) const fn is_end(entry: u32) -> bool {
        entry & IS_END != 0
    }
}

/// Four bytes in the machine's order.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// Where the entries of a container end.
pub(crate) struct Ends<'a> {
    pub(crate) container: &'a [u8],
}

impl Ends<'_> {
    fn entry(&self, number: usize) -> Option<u32> {
        word(self.container, 4 + number * 4)
    }

    /// The type of an entry that begins at `start`, and where it ends.
    pub(crate) fn of(&self, number: usize, start: usize) -> Option<(u32, usize)> {
        let entry = self.entry(number)?;
        let length = entry::length(entry);
        let end = if entry::is_end(entry) { length } else { start.checked_add(length)? };
        Some((entry::kind(entry), end))
    }

    /// Where an entry begins: the nearest end that is written, and the lengths from there.
    pub(crate) fn start_of(&self, number: usize) -> usize {
        let mut start = 0_usize;
        for before in (0..number).rev() {
            // An entry that is not there counts as the end at 0 that precedes the first.
            let Some(entry) = self.entry(before) else { break };
            start = start.saturating_add(entry::length(entry));
            if entry::is_end(entry) {
                break;
            }
        }
        start
    }
}

/// A value inside a `jsonb`, borrowed from it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A string's characters.
    String(&'a str),
    /// A `numeric` with its length.
    Number(&'a [u8]),
    /// An array: its container.
    Array(&'a [u8]),
    /// An object: its container.
    Object(&'a [u8]),
}

impl<'a> Value<'a> {
    /// What the bytes behind a datum's length hold.
    pub(crate) fn root(container: &'a [u8]) -> Self {
        let header = word(container, 0).unwrap_or(0);
        if header & pg_sys::JB_FSCALAR != 0 {
            return elements(container).next().unwrap_or(Self::Null);
        }
        Self::container(container)
    }

    fn container(container: &'a [u8]) -> Self {
        if word(container, 0).is_some_and(|header| header & pg_sys::JB_FOBJECT != 0) {
            Self::Object(container)
        } else {
            Self::Array(container)
        }
    }

    fn new(data: &'a [u8], kind: u32, start: usize, end: usize) -> Self {
        // Numbers and containers begin at the next multiple of four.
        let aligned = || data.get(start.next_multiple_of(4)..end).unwrap_or_default();
        match kind {
            entry::STRING => Self::String(text(data, start, end)),
            entry::NUMERIC => Self::Number(aligned()),
            entry::FALSE | entry::TRUE => Self::Bool,
            entry::CONTAINER => Self::container(aligned()),
            _ => Self::Null,
        }
    }

    /// What `jsonb_typeof` calls it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::String(_) => "string",
            Self::Number(_) => "number",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// Characters between two places.
pub(crate) fn text(data: &[u8], start: usize, end: usize) -> &str {
    // The server keeps valid UTF-8 only.
    data.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

/// How many elements or pairs a container has.
pub(crate) fn count(container: &[u8]) -> usize {
    word(container, 0).map_or(0, |header| (header & pg_sys::JB_CMASK) as usize)
}

/// The elements of an array.
pub(crate) fn elements(container: &[u8]) -> impl Iterator<Item = Value<'_>> {
    let number = count(container);
    let data = container.get(4 + number * 4..).unwrap_or_default();
    let ends = Ends { container };
    let mut start = 0;
    (0..number).map_while(move |place| {
        let (kind, end) = ends.of(place, start)?;
        Some(Value::new(data, kind, std::mem::replace(&mut start, end), end))
    })
}

/// The keys and values of an object.
pub(crate) fn pairs(container: &[u8]) -> impl Iterator<Item = (&str, Value<'_>)> {
    let number = count(container);
    let data = container.get(4 + number * 8..).unwrap_or_default();
    let ends = Ends { container };
    let mut start = 0;
    let mut value_start = ends.start_of(number);
    (0..number).map_while(move |place| {
        let (_, end) = ends.of(place, start)?;
        let key = text(data, std::mem::replace(&mut start, end), end);
        let (kind, end) = ends.of(number + place, value_start)?;
        Some((key, Value::new(data, kind, std::mem::replace(&mut value_start, end), end)))
    })
}

/// Bytes where the server's own functions can read them.
pub(crate) fn for_server(bytes: &[u8]) -> Vec<u64> {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_ne_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}

/// The digits of a `numeric` with its length.
pub(crate) fn digits(number: &[u8]) -> Option<String> {
    let aligned = for_server(number);
    // SAFETY: a whole numeric, aligned; numeric_out gives a C string in the current context.
    unsafe {
        let datum = pg_sys::Datum::from(aligned.as_ptr());
        let text = pgrx::direct_function_call_as_datum(pg_sys::numeric_out, &[Some(datum)])?;
        CStr::from_ptr(text.cast_mut_ptr()).to_str().ok().map(str::to_owned)
    }
}
