//! `jsonb` in its binary form, walked into a segment's builder.

use std::ffi::CStr;

use cohort_core::segment::GroupBuilder;
use cohort_core::segment::item::{Decimal, Item};
use pgrx::pg_sys;

/// Objects nested deeper are kept as JSON text: the walk recurses, and paths of rules rarely go so far.
const DEEPEST: usize = 16;

/// Hands the values of a `jsonb` to a builder's current row. `keys` are the only keys of the outermost object that
/// matter, if not all do.
///
/// # Safety
/// The datum is a `jsonb`. What is allocated stays in the current memory context.
pub(super) unsafe fn values(datum: pg_sys::Datum, keys: Option<&[&str]>, builder: &mut GroupBuilder) {
    // SAFETY: as the caller vouches; the detoasted value lives in the current context.
    unsafe {
        #[expect(clippy::cast_ptr_alignment, reason = "a jsonb is aligned to int")]
        let jsonb = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::Jsonb>();
        let root = &raw mut (*jsonb).root;
        // Of data that are no object every property is missing.
        if (*root).header & pg_sys::JB_FOBJECT != 0 {
            object(root, keys, 0, builder);
        }
    }
}

/// # Safety
/// The container is an object's.
unsafe fn object(
    container: *mut pg_sys::JsonbContainer,
    keys: Option<&[&str]>,
    depth: usize,
    builder: &mut GroupBuilder,
) -> bool {
    let mut any = false;
    // SAFETY: the iterator reads the container; `value` is set by each call.
    unsafe {
        let mut iterator = pg_sys::JsonbIteratorInit(container);
        let mut value = pg_sys::JsonbValue::default();
        let mut wanted = true;
        loop {
            match pg_sys::JsonbIteratorNext(&raw mut iterator, &raw mut value, true) {
                pg_sys::JsonbIteratorToken::WJB_DONE => return any,
                pg_sys::JsonbIteratorToken::WJB_KEY => {
                    let key = string(&value);
                    wanted = keys.is_none_or(|keys| keys.contains(&key));
                    if wanted {
                        builder.enter(key);
                    }
                }
                pg_sys::JsonbIteratorToken::WJB_VALUE if wanted => {
                    any |= one(&value, depth, builder);
                    builder.leave();
                }
                _ => {}
            }
        }
    }
}

/// # Safety
/// The value comes from an iterator over a live `jsonb`.
unsafe fn one(value: &pg_sys::JsonbValue, depth: usize, builder: &mut GroupBuilder) -> bool {
    // SAFETY: each member of the union is read as its tag says.
    unsafe {
        match value.type_ {
            pg_sys::jbvType::jbvString => builder.value(Item::Text(string(value))),
            pg_sys::jbvType::jbvBool => builder.value(Item::Bool(value.val.boolean)),
            pg_sys::jbvType::jbvNumeric => number(value.val.numeric, builder),
            pg_sys::jbvType::jbvBinary => {
                let container = value.val.binary.data;
                let is_object = (*container).header & pg_sys::JB_FOBJECT != 0;
                // An object of which nothing is left is there all the same.
                if !(is_object && depth < DEEPEST && object(container, None, depth + 1, builder)) {
                    let nothing_inside = is_object && depth < DEEPEST;
                    if nothing_inside {
                        builder.value(Item::Json("{}"));
                    } else {
                        let text = pg_sys::JsonbToCString(std::ptr::null_mut(), container, value.val.binary.len);
                        builder.value(Item::Json(CStr::from_ptr(text).to_str().unwrap_or("{}")));
                    }
                }
            }
            _ => return false, // null is the same as missing
        }
    }
    true
}

/// # Safety
/// The value is a string.
unsafe fn string(value: &pg_sys::JsonbValue) -> &str {
    // SAFETY: the bytes lie in the jsonb; the server keeps valid UTF-8 only.
    unsafe {
        let length = usize::try_from(value.val.string.len).unwrap_or(0);
        std::str::from_utf8(std::slice::from_raw_parts(value.val.string.val.cast::<u8>(), length)).unwrap_or_default()
    }
}

/// # Safety
/// The pointer is to a `numeric`.
unsafe fn number(numeric: pg_sys::Numeric, builder: &mut GroupBuilder) {
    // SAFETY: the bytes behind the length are the numeric's; numeric_out gives a C string in the current context.
    unsafe {
        let length = pgrx::varsize_any_exhdr(numeric.cast());
        let bytes = std::slice::from_raw_parts(pgrx::vardata_any(numeric.cast()).cast::<u8>(), length);
        if let Some(number) = small(bytes) {
            return builder.value(Item::Number(number));
        }
        let text = pgrx::direct_function_call_as_datum(pg_sys::numeric_out, &[Some(pg_sys::Datum::from(numeric))]);
        let Some(text) = text else { return };
        let text = CStr::from_ptr(text.cast_mut_ptr()).to_str().unwrap_or("0");
        builder.value(Decimal::parse(text).map_or(Item::Big(text), Item::Number));
    }
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
