//! Values as text and as `jsonb` under the server's output settings, whatever the session's are.

use std::ffi::c_int;

use pgrx::{pg_guard, pg_sys};

unsafe extern "C-unwind" {
    static mut bytea_output: c_int;
}

/// The server's output settings while values are converted; the session's own come back when this is dropped.
pub(crate) struct Fixed {
    zone: *mut pg_sys::pg_tz,
    float_digits: c_int,
    date_style: c_int,
    date_order: c_int,
    interval_style: c_int,
    bytea: c_int,
}

impl Fixed {
    /// Sets the formats, and `zone` as the time zone.
    pub(crate) fn with(zone: *mut pg_sys::pg_tz) -> Self {
        // SAFETY: plain variables of the server, which has one thread here; the zone stays allocated for good.
        unsafe {
            let before = Self {
                zone: pg_sys::session_timezone,
                float_digits: pg_sys::extra_float_digits,
                date_style: pg_sys::DateStyle,
                date_order: pg_sys::DateOrder,
                interval_style: pg_sys::IntervalStyle,
                bytea: bytea_output,
            };
            pg_sys::session_timezone = zone;
            pg_sys::extra_float_digits = 1;
            pg_sys::DateStyle = pg_sys::USE_ISO_DATES.cast_signed();
            pg_sys::DateOrder = pg_sys::DATEORDER_YMD.cast_signed();
            pg_sys::IntervalStyle = pg_sys::INTSTYLE_POSTGRES.cast_signed();
            bytea_output = 1;
            before
        }
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            pg_sys::session_timezone = self.zone;
            pg_sys::extra_float_digits = self.float_digits;
            pg_sys::DateStyle = self.date_style;
            pg_sys::DateOrder = self.date_order;
            pg_sys::IntervalStyle = self.interval_style;
            bytea_output = self.bytea;
        }
    }
}

/// Declares a function of one argument of any type: the C symbol `$name`, answered by `$answer`.
macro_rules! of_any {
    ($name:ident, $info:ident, $answer:path) => {
        #[doc = concat!("The C entry of [`", stringify!($answer), "`].")]
        #[unsafe(no_mangle)]
        #[pg_guard]
        pub extern "C-unwind" fn $name(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            // SAFETY: the function manager calls a strict function of one argument.
            unsafe { $answer(fcinfo, (*fcinfo).args.as_slice(1)[0].value) }
        }

        /// Says that the function follows calling convention 1.
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pg_sys::Pg_finfo_record {
            const CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &CONVENTION
        }
    };
}

of_any!(kursaha_row_json, pg_finfo_kursaha_row_json, row_json);
of_any!(kursaha_row_text, pg_finfo_kursaha_row_text, row_text);

fn fixed() -> Fixed {
    // SAFETY: finds a zone that is always known; it stays allocated for good.
    Fixed::with(unsafe { pg_sys::pg_tzset(c"UTC".as_ptr()) })
}

/// A value of a table's row as `to_jsonb` gives it.
///
/// # Safety
/// Called by the function manager, with the argument of the call.
unsafe fn row_json(fcinfo: pg_sys::FunctionCallInfo, value: pg_sys::Datum) -> pg_sys::Datum {
    let _fixed = fixed();
    // SAFETY: `to_jsonb` reads the type of its argument from the expression of the call, which has that argument.
    unsafe {
        let mut function = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(pg_sys::Oid::from(pg_sys::F_TO_JSONB), &raw mut function);
        function.fn_expr = (*(*fcinfo).flinfo).fn_expr;
        pg_sys::FunctionCall1Coll(&raw mut function, pg_sys::InvalidOid, value)
    }
}

/// A value of a table's row as a cast to `text` gives it.
///
/// # Safety
/// As [`row_json`].
unsafe fn row_text(fcinfo: pg_sys::FunctionCallInfo, value: pg_sys::Datum) -> pg_sys::Datum {
    let _fixed = fixed();
    // SAFETY: catalog look-ups inside a transaction; a cast takes a value of its type, and a type's output function too.
    unsafe {
        let of = pg_sys::getBaseType(pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 0));
        if of == pg_sys::TEXTOID || of == pg_sys::VARCHAROID {
            return value;
        }
        let mut cast = pg_sys::InvalidOid;
        let explicit = pg_sys::CoercionContext::COERCION_EXPLICIT;
        match pg_sys::find_coercion_pathway(pg_sys::TEXTOID, of, explicit, &raw mut cast) {
            pg_sys::CoercionPathType::COERCION_PATH_RELABELTYPE => value,
            pg_sys::CoercionPathType::COERCION_PATH_FUNC => match pg_sys::get_func_nargs(cast) {
                1 => pg_sys::OidFunctionCall1Coll(cast, pg_sys::InvalidOid, value),
                2 => pg_sys::OidFunctionCall2Coll(cast, pg_sys::InvalidOid, value, pg_sys::Datum::from(-1_i32)),
                _ => pg_sys::OidFunctionCall3Coll(
                    cast,
                    pg_sys::InvalidOid,
                    value,
                    pg_sys::Datum::from(-1_i32),
                    pg_sys::Datum::from(true),
                ),
            },
            _ => {
                let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
                pg_sys::getTypeOutputInfo(of, &raw mut output, &raw mut varlena);
                let text = pg_sys::OidOutputFunctionCall(output, value);
                pg_sys::Datum::from(pg_sys::cstring_to_text(text))
            }
        }
    }
}
