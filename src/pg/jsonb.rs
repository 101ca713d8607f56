//! Conversion of `jsonb` between SQL and Rust.

use std::ffi::{CStr, CString};

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, direct_function_call_as_datum, pg_sys};

/// The text of a `jsonb` value.
///
/// pgrx's own `JsonB` parses at once and panics on values nested deeper than `serde_json` allows (128), which
/// `jsonb` itself accepts; a text lets the parser of rules say what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Jsonb(pub(crate) String);

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller vouches for a jsonb datum; jsonb_out detoasts it and gives a palloc'd C string.
        unsafe {
            let text = direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(datum)])?;
            let pointer = text.cast_mut_ptr::<core::ffi::c_char>();
            let owned = CStr::from_ptr(pointer).to_string_lossy().into_owned();
            pg_sys::pfree(pointer.cast());
            Some(Self(owned))
        }
    }
}

impl IntoDatum for Jsonb {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let text = CString::new(self.0).ok()?;
        // SAFETY: jsonb_in reads a C string and gives a new datum, or raises an error.
        unsafe { direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(text.as_ptr().into())]) }
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

impl From<&serde_json::Value> for Jsonb {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string())
    }
}

// SAFETY: the SQL type is jsonb, which is what the conversions above read and write.
unsafe impl SqlTranslatable for Jsonb {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Jsonb);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: reads the argument as the jsonb that SqlTranslatable declares.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above; a STRICT function is never called with NULL.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| pgrx::error!("a jsonb argument is null"))
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum::<Self>() }.into()
    }
}

// SAFETY: boxes through IntoDatum, whose type is the declared jsonb.
unsafe impl pgrx::callconv::BoxRet for Jsonb {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut pgrx::callconv::FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: the datum is of the declared type.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

/// A scalar inside a `jsonb` value, borrowed from it.
pub(crate) enum Scalar<'a> {
    /// A string's characters.
    String(&'a str),
    /// A number.
    Number(JsonNumber),
    /// `true` or `false`.
    Bool,
}

/// A `numeric` datum inside a `jsonb` value.
pub(crate) struct JsonNumber(pg_sys::Numeric);

impl JsonNumber {
    /// The number, if its normalised exponent lies within what rules accept.
    pub(crate) fn within_exponent(&self) -> Option<pgrx::AnyNumeric> {
        // SAFETY: the pointer is to an aligned, undeoasted numeric inside a jsonb that outlives this value; AnyNumeric
        // copies it.
        let number = unsafe { pgrx::AnyNumeric::from_datum(pg_sys::Datum::from(self.0), false) }?;
        // SAFETY: the first two bytes behind the length are the numeric's header (numeric.c).
        let header = unsafe { std::ptr::read_unaligned(pgrx::vardata_any(self.0.cast()).cast::<u16>()) };
        // The short form holds up to 64 groups of four digits on either side of the point: far inside the limits.
        if header & 0xC000 == 0x8000 || cohort_core::value::decimal(&number.to_string()).is_some() {
            Some(number)
        } else {
            None
        }
    }
}

/// A `jsonb` argument of which only a scalar matters: objects, arrays and `null` read as `None`.
pub(crate) struct JsonScalar<'a>(pub(crate) Option<Scalar<'a>>);

impl<'a> JsonScalar<'a> {
    /// The characters, if it is a string.
    pub(crate) fn into_string(self) -> Option<&'a str> {
        match self.0 {
            Some(Scalar::String(string)) => Some(string),
            _ => None,
        }
    }
}

// SAFETY: the SQL type is jsonb, which is what unboxing reads.
unsafe impl SqlTranslatable for JsonScalar<'_> {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(JsonScalar<'static>);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Err(ReturnsError::Datum);
}

// SAFETY: reads the argument as the jsonb that SqlTranslatable declares.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonScalar<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the argument is a jsonb; the detoasted copy lives in the call's memory context, and what points into
        // it is bound to the call by the lifetime.
        unsafe {
            let Some(datum) = arg.unbox_arg_using_from_datum::<RawDatum>() else { return Self(None) };
            // A detoasted value is aligned like a palloc'd chunk or a jsonb attribute: to four bytes at least.
            #[expect(clippy::cast_ptr_alignment, reason = "jsonb is aligned to int")]
            let jsonb = pg_sys::pg_detoast_datum(datum.0.cast_mut_ptr()).cast::<pg_sys::Jsonb>();
            let mut value = pg_sys::JsonbValue::default();
            if !pg_sys::JsonbExtractScalar(&raw mut (*jsonb).root, &raw mut value) {
                return Self(None);
            }
            Self(match value.type_ {
                pg_sys::jbvType::jbvNumeric => Some(Scalar::Number(JsonNumber(value.val.numeric))),
                pg_sys::jbvType::jbvBool => Some(Scalar::Bool),
                pg_sys::jbvType::jbvString => {
                    let length = usize::try_from(value.val.string.len).unwrap_or(0);
                    let bytes = std::slice::from_raw_parts(value.val.string.val.cast::<u8>(), length);
                    // The extension lives in UTF8 databases only, whose text the server has checked.
                    Some(Scalar::String(std::str::from_utf8_unchecked(bytes)))
                }
                _ => None,
            })
        }
    }
}

/// The bytes of a `jsonb` argument behind its length.
#[derive(Clone, Copy)]
pub(crate) struct JsonBytes<'a>(&'a [u8]);

impl<'a> JsonBytes<'a> {
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

// SAFETY: the SQL type is jsonb, which is what unboxing reads.
unsafe impl SqlTranslatable for JsonBytes<'_> {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(JsonBytes<'static>);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Err(ReturnsError::Datum);
}

// SAFETY: reads the argument as the jsonb that SqlTranslatable declares.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonBytes<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: a STRICT function is never called with NULL.
        unsafe { Self::unbox_nullable_arg(arg) }.into_option().unwrap_or(Self(&[]))
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: the argument is a jsonb; the detoasted copy lives in the call's memory context, and what points into
        // it is bound to the call by the lifetime.
        unsafe {
            let datum = arg.unbox_arg_using_from_datum::<RawDatum>();
            datum
                .map(|datum| {
                    let jsonb = pg_sys::pg_detoast_datum(datum.0.cast_mut_ptr());
                    let length = pgrx::varsize_any_exhdr(jsonb);
                    Self(std::slice::from_raw_parts(pgrx::vardata_any(jsonb).cast::<u8>(), length))
                })
                .into()
        }
    }
}

/// The bytes of a `jsonb` behind its length, as a result.
pub(crate) struct OwnedJsonBytes(pub(crate) Vec<u8>);

impl OwnedJsonBytes {
    /// A value that is written as JSON; an error of the server if it is not.
    pub(crate) fn read(text: String) -> Option<Self> {
        // SAFETY: what comes is a jsonb.
        Jsonb(text).into_datum().map(|datum| unsafe { Self::copy(datum) })
    }

    /// This object with the pairs of another one, which come before its own.
    pub(crate) fn with(self, other: Self) -> Option<Self> {
        // SAFETY: both are jsonb values, and so is the result.
        unsafe {
            let both = direct_function_call_as_datum(pg_sys::jsonb_concat, &[self.into_datum(), other.into_datum()])?;
            Some(Self::copy(both))
        }
    }

    /// # Safety
    /// The datum is a jsonb that is not toasted.
    unsafe fn copy(datum: pg_sys::Datum) -> Self {
        // SAFETY: as the caller says; the bytes are copied.
        unsafe {
            let jsonb = datum.cast_mut_ptr::<pg_sys::varlena>();
            let length = pgrx::varsize_any_exhdr(jsonb);
            Self(std::slice::from_raw_parts(pgrx::vardata_any(jsonb).cast::<u8>(), length).to_vec())
        }
    }
}

impl IntoDatum for OwnedJsonBytes {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let header = pg_sys::VARHDRSZ;
        // SAFETY: the chunk has room for the length and the bytes, which are those of a jsonb.
        unsafe {
            let chunk = pg_sys::palloc(header + self.0.len()).cast::<u8>();
            pgrx::set_varsize_4b(chunk.cast(), i32::try_from(header + self.0.len()).ok()?);
            std::ptr::copy_nonoverlapping(self.0.as_ptr(), chunk.add(header), self.0.len());
            Some(pg_sys::Datum::from(chunk))
        }
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: the SQL type is jsonb, whose bytes the value holds.
unsafe impl SqlTranslatable for OwnedJsonBytes {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(OwnedJsonBytes);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::Datum);
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: boxes through IntoDatum, whose type is the declared jsonb.
unsafe impl pgrx::callconv::BoxRet for OwnedJsonBytes {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut pgrx::callconv::FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: the datum is of the declared type.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

/// A datum as it came.
struct RawDatum(pg_sys::Datum);

impl FromDatum for RawDatum {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        (!is_null).then_some(Self(datum))
    }
}
