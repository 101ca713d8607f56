//! The type `kursaha_cohort.owner`: a role, stored as its OID and its name at that time.
//!
//! Its text is the role's name as it is now, so that a rename keeps what the role owns, and a dump restores it for the
//! role of that name, whichever OID that has there. A role that is not there reads as its name and owns nothing: a later
//! role of the same name is another one. That of a dropped role reads as a name that no role can have, so that a dump
//! does not give to a namesake what was another's.

use std::ffi::CStr;

use pgrx::{pg_guard, pg_sys};

/// The value as it is stored; `sql/tables.sql` declares its length and alignment.
#[repr(C)]
struct Owner {
    /// Invalid where the name was of no role.
    role: pg_sys::Oid,
    /// What the role was called when the value was made.
    name: pg_sys::NameData,
}

const _: () = assert!(size_of::<Owner>() == 68, "sql/tables.sql declares this length");

/// Before the name of a dropped role. PostgreSQL keeps names that begin so for itself.
const DROPPED: &[u8] = b"pg_dropped ";

/// Declares a C function of the type to the function manager: the C symbol `$name`, answered by `$body`.
macro_rules! function_of_type {
    ($name:ident, $info:ident, $body:path) => {
        #[doc = concat!("The C entry of [`", stringify!($body), "()`].")]
        #[unsafe(no_mangle)]
        #[pg_guard]
        pub extern "C-unwind" fn $name(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            // SAFETY: all of these are STRICT functions of one argument.
            $body(unsafe { pgrx::fcinfo::pg_getarg_datum_raw(fcinfo, 0) })
        }

        /// Says that the function follows calling convention 1.
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pg_sys::Pg_finfo_record {
            const CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &CONVENTION
        }
    };
}

function_of_type!(kursaha_owner_in, pg_finfo_kursaha_owner_in, read);
function_of_type!(kursaha_owner_out, pg_finfo_kursaha_owner_out, write);
function_of_type!(kursaha_owner_of, pg_finfo_kursaha_owner_of, of_role);
function_of_type!(kursaha_owner_role, pg_finfo_kursaha_owner_role, role_of);

/// A value in memory of the current context.
fn owner(role: pg_sys::Oid, name: &[u8]) -> pg_sys::Datum {
    // SAFETY: the memory is as large as the value and zeroed, which ends the name; the copy leaves the last byte.
    unsafe {
        let value = pg_sys::palloc0(size_of::<Owner>()).cast::<Owner>();
        (*value).role = role;
        let room = (*value).name.data.len() - 1;
        let fits = pg_sys::pg_mbcliplen(
            name.as_ptr().cast(),
            i32::try_from(name.len()).unwrap_or(i32::MAX),
            i32::try_from(room).unwrap_or(0),
        );
        let fits = usize::try_from(fits).unwrap_or(0).min(name.len()).min(room);
        std::ptr::copy_nonoverlapping(name.as_ptr().cast(), (*value).name.data.as_mut_ptr(), fits);
        pg_sys::Datum::from(value)
    }
}

/// The name of a role, if it is there.
fn name_of(role: pg_sys::Oid) -> Option<&'static CStr> {
    // SAFETY: a catalog look-up inside a transaction; the name is in the current context, which outlives the call.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        (!name.is_null()).then(|| CStr::from_ptr(name))
    }
}

/// Reads a text: the role of that name, or none and the name.
fn read(text: pg_sys::Datum) -> pg_sys::Datum {
    // SAFETY: the argument is a C string; a role's name is as long as a name may be at most, as is this one then.
    unsafe {
        let whole = CStr::from_ptr(text.cast_mut_ptr());
        let none = owner(pg_sys::InvalidOid, whole.to_bytes());
        let clipped = none.cast_mut_ptr::<Owner>();
        (*clipped).role = pg_sys::get_role_oid((*clipped).name.data.as_ptr(), true);
        none
    }
}

/// Writes the role's name as it is now; of a role that is gone, what it was called.
fn write(value: pg_sys::Datum) -> pg_sys::Datum {
    // SAFETY: the argument is a value of the type; the text is copied into the current context.
    unsafe {
        let value = &*value.cast_mut_ptr::<Owner>();
        let kept = CStr::from_ptr(value.name.data.as_ptr());
        let text = if value.role == pg_sys::InvalidOid {
            pg_sys::pstrdup(kept.as_ptr())
        } else if let Some(name) = name_of(value.role) {
            pg_sys::pstrdup(name.as_ptr())
        } else {
            let text = [DROPPED, kept.to_bytes_with_nul()].concat();
            pg_sys::pstrdup(text.as_ptr().cast())
        };
        pg_sys::Datum::from(text)
    }
}

/// The value of a role's OID.
fn of_role(role: pg_sys::Datum) -> pg_sys::Datum {
    let role = pg_sys::Oid::from(u32::try_from(role.value() & 0xffff_ffff).unwrap_or(0));
    owner(role, name_of(role).map_or(b"", CStr::to_bytes))
}

/// The role's OID; invalid where the name was of no role.
fn role_of(value: pg_sys::Datum) -> pg_sys::Datum {
    // SAFETY: the argument is a value of the type.
    pg_sys::Datum::from(unsafe { (*value.cast_mut_ptr::<Owner>()).role })
}
