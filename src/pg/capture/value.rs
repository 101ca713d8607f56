//! Column values of an application's row as `jsonb`, as text and as instants.
//!
//! All output is independent of the session: [`Fixed`](crate::pg::output::Fixed) sets the output formats and the capture's time zone meanwhile.

use std::ffi::{CStr, c_int};

use pgrx::{direct_function_call_as_datum, pg_sys, varlena};

/// How the values of a column are read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int2,
    Int4,
    Int8,
    Bool,
    Numeric,
    Float4,
    Float8,
    Time,
    Jsonb,
    /// By the type's output function, as a string.
    Output(pg_sys::Oid),
    /// By `to_jsonb`, which may raise errors and run casts that users made.
    ToJsonb(*mut pg_sys::FmgrInfo),
}

/// A column of an application's table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) number: i32,
    /// The type below all domains.
    base: pg_sys::Oid,
    /// Whether values have a length of their own.
    varying: bool,
    kind: Kind,
}

/// One value.
pub(super) enum Value {
    Scalar(pg_sys::JsonbValue),
    /// An object or array.
    Container(*mut pg_sys::Jsonb),
    /// The `null` of a json value.
    Null,
}

impl Column {
    /// A column of a type; what is looked up lives in `context`.
    pub(super) fn of(number: i32, declared: pg_sys::Oid, context: pg_sys::MemoryContext) -> Self {
        let mut typmod = -1;
        // SAFETY: catalog look-ups inside a transaction.
        let base = unsafe { pg_sys::getBaseTypeAndTypmod(declared, &raw mut typmod) };
        let kind = match base {
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID => Kind::Text,
            pg_sys::INT2OID => Kind::Int2,
            pg_sys::INT4OID => Kind::Int4,
            pg_sys::INT8OID => Kind::Int8,
            pg_sys::BOOLOID => Kind::Bool,
            pg_sys::NUMERICOID => Kind::Numeric,
            pg_sys::FLOAT4OID => Kind::Float4,
            pg_sys::FLOAT8OID => Kind::Float8,
            pg_sys::TIMESTAMPTZOID | pg_sys::TIMESTAMPOID | pg_sys::DATEOID => Kind::Time,
            pg_sys::JSONBOID => Kind::Jsonb,
            pg_sys::UUIDOID
            | pg_sys::NAMEOID
            | pg_sys::INETOID
            | pg_sys::CIDROID
            | pg_sys::INTERVALOID
            | pg_sys::TIMEOID
            | pg_sys::TIMETZOID
            | pg_sys::BYTEAOID => Kind::Output(output_of(base)),
            _ if plain_enum(base) => Kind::Output(output_of(base)),
            _ => Kind::ToJsonb(to_jsonb_of(declared, context)),
        };
        // SAFETY: a catalog look-up inside a transaction.
        let varying = unsafe { pg_sys::get_typlen(base) } == -1;
        Self { number, base, varying, kind }
    }

    /// Whether reading a value may raise an error or run what users made.
    pub(super) fn risky(&self) -> bool {
        matches!(self.kind, Kind::ToJsonb(_))
    }

    /// How many bytes a value has before it is converted, where that may be many.
    pub(super) fn size(&self, datum: pg_sys::Datum) -> usize {
        // SAFETY: the datum is of the column's type.
        if self.varying { unsafe { pg_sys::toast_raw_datum_size(datum) } } else { 0 }
    }

    /// The value as `jsonb`. A json column that is null itself counts as NULL, as [`Value::Null`].
    pub(super) fn value(&self, datum: pg_sys::Datum) -> Value {
        // SAFETY: the datum is of the column's type; all results are allocated in the current context.
        unsafe {
            match self.kind {
                Kind::Text => {
                    let text = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
                    string(varlena::vardata_any(text).cast_mut().cast(), varlena::varsize_any_exhdr(text))
                }
                Kind::Int2 => integer(i64::from(datum.value() as i16)),
                Kind::Int4 => integer(i64::from(datum.value() as i32)),
                Kind::Int8 => integer(datum.value() as i64),
                Kind::Bool => {
                    let mut value = scalar(pg_sys::jbvType::jbvBool);
                    value.val.boolean = datum.value() != 0;
                    Value::Scalar(value)
                }
                Kind::Numeric => {
                    let number: pg_sys::Numeric = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
                    if pg_sys::numeric_is_nan(number) || pg_sys::numeric_is_inf(number) {
                        output(pg_sys::numeric_out, pg_sys::Datum::from(number))
                    } else {
                        numeric(number)
                    }
                }
                Kind::Float4 => {
                    float(f64::from(f32::from_bits(datum.value() as u32)), output(pg_sys::float4out, datum))
                }
                Kind::Float8 => float(f64::from_bits(datum.value() as u64), output(pg_sys::float8out, datum)),
                Kind::Time => {
                    let text = pg_sys::JsonEncodeDateTime(std::ptr::null_mut(), datum, self.base, std::ptr::null());
                    c_string(text)
                }
                Kind::Jsonb => Self::of_jsonb(pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast()),
                Kind::Output(function) => c_string(pg_sys::OidOutputFunctionCall(function, datum)),
                Kind::ToJsonb(function) => {
                    let json = pg_sys::FunctionCall1Coll(function, pg_sys::InvalidOid, datum);
                    Self::of_jsonb(pg_sys::pg_detoast_datum(json.cast_mut_ptr()).cast())
                }
            }
        }
    }

    /// # Safety
    /// `json` is a whole `jsonb` value.
    unsafe fn of_jsonb(json: *mut pg_sys::Jsonb) -> Value {
        // SAFETY: as the caller says.
        unsafe {
            let mut value = scalar(pg_sys::jbvType::jbvNull);
            if !pg_sys::JsonbExtractScalar(&raw mut (*json).root, &raw mut value) {
                return Value::Container(json);
            }
            if value.type_ == pg_sys::jbvType::jbvNull { Value::Null } else { Value::Scalar(value) }
        }
    }

    /// The value as an id: what `->>` gives of it. `None` for a json null.
    pub(super) fn text(&self, datum: pg_sys::Datum) -> Option<String> {
        // SAFETY: the datum is of the column's type, the values are as `value` gives them.
        unsafe {
            match self.value(datum) {
                Value::Null => None,
                Value::Container(json) => {
                    direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(pg_sys::Datum::from(json))]).map(owned)
                }
                Value::Scalar(value) => match value.type_ {
                    pg_sys::jbvType::jbvString => {
                        let string = value.val.string;
                        let bytes = std::slice::from_raw_parts(string.val.cast::<u8>(), string.len as usize);
                        Some(String::from_utf8_lossy(bytes).into_owned())
                    }
                    pg_sys::jbvType::jbvBool => Some(value.val.boolean.to_string()),
                    _ => direct_function_call_as_datum(
                        pg_sys::numeric_out,
                        &[Some(pg_sys::Datum::from(value.val.numeric))],
                    )
                    .map(owned),
                },
            }
        }
    }

    /// The value of a time column as an instant, in the zone that [`Fixed`](crate::pg::output::Fixed) set; `None` when it has none.
    pub(super) fn instant(&self, datum: pg_sys::Datum) -> Option<i64> {
        let mut overflow: c_int = 0;
        // SAFETY: plain arithmetic on the datum of that type.
        let at = unsafe {
            match self.base {
                pg_sys::TIMESTAMPTZOID => datum.value() as i64,
                pg_sys::TIMESTAMPOID => {
                    pg_sys::timestamp2timestamptz_opt_overflow(datum.value() as i64, &raw mut overflow)
                }
                pg_sys::DATEOID => pg_sys::date2timestamptz_opt_overflow(datum.value() as i32, &raw mut overflow),
                _ => return None,
            }
        };
        (overflow == 0 && at != i64::MIN && at != i64::MAX).then_some(at)
    }
}

/// The output function of a type.
fn output_of(base: pg_sys::Oid) -> pg_sys::Oid {
    let mut function = pg_sys::InvalidOid;
    let mut varlena = false;
    // SAFETY: a catalog look-up inside a transaction.
    unsafe { pg_sys::getTypeOutputInfo(base, &raw mut function, &raw mut varlena) };
    function
}

/// Whether a type is an enum that has no cast to json.
fn plain_enum(base: pg_sys::Oid) -> bool {
    let mut function = pg_sys::InvalidOid;
    // SAFETY: catalog look-ups inside a transaction.
    unsafe {
        pg_sys::get_typtype(base) == pg_sys::TYPTYPE_ENUM as std::ffi::c_char
            && pg_sys::find_coercion_pathway(
                pg_sys::JSONOID,
                base,
                pg_sys::CoercionContext::COERCION_EXPLICIT,
                &raw mut function,
            ) != pg_sys::CoercionPathType::COERCION_PATH_FUNC
    }
}

/// `to_jsonb` for a type, which it reads from its call's expression.
fn to_jsonb_of(declared: pg_sys::Oid, context: pg_sys::MemoryContext) -> *mut pg_sys::FmgrInfo {
    const TO_JSONB: u32 = 3787;
    // SAFETY: allocates in a context that lives as long as the plan; the nodes are well-formed.
    unsafe {
        let before = pg_sys::MemoryContextSwitchTo(context);
        let function: *mut pg_sys::FmgrInfo = pg_sys::palloc0(size_of::<pg_sys::FmgrInfo>()).cast();
        pg_sys::fmgr_info_cxt(pg_sys::Oid::from(TO_JSONB), function, context);
        let argument = pg_sys::makeVar(1, 1, declared, -1, pg_sys::InvalidOid, 0);
        let call = pg_sys::makeFuncExpr(
            pg_sys::Oid::from(TO_JSONB),
            pg_sys::JSONBOID,
            pg_sys::lappend(std::ptr::null_mut(), argument.cast()),
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
        );
        (*function).fn_expr = call.cast();
        pg_sys::MemoryContextSwitchTo(before);
        function
    }
}

fn scalar(type_: pg_sys::jbvType::Type) -> pg_sys::JsonbValue {
    pg_sys::JsonbValue { type_, ..pg_sys::JsonbValue::default() }
}

fn string(bytes: *mut std::ffi::c_char, length: usize) -> Value {
    Value::Scalar(json_string(bytes, length))
}

/// A string; it points at its bytes.
pub(super) fn json_string(bytes: *mut std::ffi::c_char, length: usize) -> pg_sys::JsonbValue {
    let mut value = scalar(pg_sys::jbvType::jbvString);
    value.val.string.val = bytes;
    value.val.string.len = length as c_int;
    value
}

unsafe fn c_string(text: *mut std::ffi::c_char) -> Value {
    // SAFETY: the caller gives a string of C.
    string(text, unsafe { CStr::from_ptr(text) }.count_bytes())
}

fn numeric(number: pg_sys::Numeric) -> Value {
    let mut value = scalar(pg_sys::jbvType::jbvNumeric);
    value.val.numeric = number;
    Value::Scalar(value)
}

fn integer(number: i64) -> Value {
    // SAFETY: allocates a numeric.
    numeric(unsafe { pg_sys::int64_to_numeric(number) })
}

unsafe fn output(function: unsafe fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum, datum: pg_sys::Datum) -> Value {
    // SAFETY: the caller pairs an output function with a datum of its type.
    unsafe {
        match direct_function_call_as_datum(function, &[Some(datum)]) {
            Some(text) => c_string(text.cast_mut_ptr()),
            None => Value::Null,
        }
    }
}

/// A float is the number that its shortest text names; what is no number stays a text.
fn float(number: f64, text: Value) -> Value {
    let Value::Scalar(shown) = text else { return text };
    if !number.is_finite() {
        return Value::Scalar(shown);
    }
    // SAFETY: the text is the C string that the output function gave.
    let read = unsafe {
        direct_function_call_as_datum(
            pg_sys::numeric_in,
            &[
                Some(pg_sys::Datum::from(shown.val.string.val)),
                Some(pg_sys::Datum::from(pg_sys::InvalidOid)),
                Some(pg_sys::Datum::from(-1_i32)),
            ],
        )
    };
    match read {
        Some(datum) => numeric(datum.cast_mut_ptr()),
        None => Value::Scalar(shown),
    }
}

fn owned(text: pg_sys::Datum) -> String {
    // SAFETY: an output function's string of C.
    unsafe { CStr::from_ptr(text.cast_mut_ptr()) }.to_string_lossy().into_owned()
}
