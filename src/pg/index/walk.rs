//! Reads binary `jsonb` into the builder of a segment.

use std::ffi::CStr;

use cohort_core::segment::GroupBuilder;
use cohort_core::segment::item::{Decimal, Item};
use pgrx::pg_sys;

use crate::pg::binary_json::{Ends, count, digits, entry, for_server, text, word};

/// Objects nested deeper are stored as JSON text: the reader is recursive, and rules rarely use such deep paths.
const DEEPEST: usize = 16;

/// Adds the values of a `jsonb` to the current row of a builder. If `keys` is given, only these top-level keys are
/// read. The bytes follow the length word of the datum.
pub(super) fn values(bytes: &[u8], keys: Option<&[&str]>, builder: &mut GroupBuilder) {
    // Of data that are no object every property is missing.
    if word(bytes, 0).is_some_and(|header| header & pg_sys::JB_FOBJECT != 0) {
        object(bytes, keys, 0, builder);
    }
}

/// The values of an object: its header, an entry for each key and then for each value, and then their bytes. Returns
/// whether there was any. The server wrote the bytes; invalid bytes have no values.
fn object(container: &[u8], keys: Option<&[&str]>, depth: usize, builder: &mut GroupBuilder) -> bool {
    let pairs = count(container);
    let data = container.get(4 + pairs * 8..).unwrap_or_default();
    let ends = Ends { container };
    let mut any = false;
    let mut start = 0;
    // Where values begin is known only when one is looked for.
    let mut value_start: Option<(usize, usize)> = None;
    let mut missing = keys.map_or(usize::MAX, <[&str]>::len);
    for place in 0..pairs {
        if missing == 0 {
            break;
        }
        let Some((_, end)) = ends.of(place, start) else { return any };
        let key = data.get(start..end).unwrap_or_default();
        start = end;
        if keys.is_some_and(|keys| !keys.iter().any(|wanted| wanted.as_bytes() == key)) {
            continue;
        }
        missing -= 1; // no key comes twice
        let key = std::str::from_utf8(key).unwrap_or_default();
        let number = pairs + place;
        let from = match value_start {
            Some((next, from)) if next == number => from,
            _ => ends.start_of(number),
        };
        let Some((kind, to)) = ends.of(number, from) else { return any };
        value_start = Some((number + 1, to));
        builder.enter(key);
        any |= value(data, kind, from, to, depth, builder);
        builder.leave();
    }
    any
}

/// Adds one value, and returns whether it is a value and not null.
fn value(data: &[u8], kind: u32, start: usize, end: usize, depth: usize, builder: &mut GroupBuilder) -> bool {
    // Numbers and containers begin at the next multiple of four.
    let aligned = || data.get(start.next_multiple_of(4)..end).unwrap_or_default();
    match kind {
        entry::STRING => builder.value(Item::Text(text(data, start, end))),
        entry::FALSE => builder.value(Item::Bool(false)),
        entry::TRUE => builder.value(Item::Bool(true)),
        entry::NUMERIC => number(aligned(), builder),
        entry::CONTAINER => {
            let container = aligned();
            let is_object = word(container, 0).is_some_and(|header| header & pg_sys::JB_FOBJECT != 0);
            // An object of which nothing is left is there all the same.
            if !(is_object && depth < DEEPEST && object(container, None, depth + 1, builder)) {
                let nothing_inside = is_object && depth < DEEPEST;
                if nothing_inside {
                    builder.value(Item::Json("{}"));
                } else {
                    with_text(container, |text| builder.value(Item::Json(text)));
                }
            }
        }
        _ => return false, // null is the same as missing
    }
    true
}

fn with_text(container: &[u8], take: impl FnOnce(&str)) {
    let mut aligned = for_server(container);
    // SAFETY: a whole container, aligned; the text is a C string in the current context.
    unsafe {
        let length = i32::try_from(container.len()).unwrap_or(i32::MAX);
        let text = pg_sys::JsonbToCString(std::ptr::null_mut(), aligned.as_mut_ptr().cast(), length);
        take(CStr::from_ptr(text).to_str().unwrap_or("{}"));
    }
}

/// A `numeric` with its length.
fn number(bytes: &[u8], builder: &mut GroupBuilder) {
    let head = if bytes.first().is_some_and(|first| first & 1 == 1) { 1 } else { 4 };
    if let Some(number) = bytes.get(head..).and_then(small) {
        return builder.value(Item::Number(number));
    }
    let digits = digits(bytes);
    let text = digits.as_deref().unwrap_or("0");
    builder.value(Decimal::parse(text).map_or(Item::Big(text), Item::Number));
}

/// The value of a `numeric` in its short form (`numeric.c`: a header of sign, display scale and weight, then digits to
/// the base 10,000), if it fits.
fn small(bytes: &[u8]) -> Option<Decimal> {
    let word = |at: usize| Some(u16::from_ne_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let header = word(0)?;
    if header & 0xC000 != 0x8000 {
        return None;
    }
    let weight = i32::from(header & 0x3F) - if header & 0x40 == 0 { 0 } else { 0x40 };
    let digits = (bytes.len() - 2) / 2;
    let mut mantissa = 0_i64;
    for digit in 0..digits {
        mantissa = mantissa.checked_mul(10_000)?.checked_add(i64::from(word(2 + digit * 2)?))?;
    }
    if header & 0x2000 != 0 {
        mantissa = -mantissa;
    }
    // The last digit stands for 10,000 to this power.
    let power = weight + 1 - i32::try_from(digits).ok()?;
    match u32::try_from(power) {
        Ok(power) => Decimal::new(mantissa.checked_mul(10_000_i64.checked_pow(power)?)?, 0),
        Err(_) => Decimal::new(mantissa, u32::try_from(-power * 4).ok()?),
    }
}
