//! Row triggers that the function manager calls without a wrapper of pgrx, because that wrapper copies each tuple.

use pgrx::pg_sys;

/// What a trigger function was called for; `None` when it was not called as a trigger.
///
/// # Safety
/// The argument comes from the function manager, and the result is used during the call only.
pub(super) unsafe fn data<'a>(fcinfo: pg_sys::FunctionCallInfo) -> Option<&'a pg_sys::TriggerData> {
    // SAFETY: a trigger call carries a TriggerData in its context, as the tag says.
    unsafe {
        if fcinfo.is_null()
            || (*fcinfo).context.is_null()
            || !pgrx::is_a((*fcinfo).context, pg_sys::NodeTag::T_TriggerData)
        {
            return None;
        }
        #[expect(clippy::cast_ptr_alignment, reason = "the tag says that the node is a TriggerData")]
        let data = &*(*fcinfo).context.cast::<pg_sys::TriggerData>();
        Some(data)
    }
}

/// Declares a trigger function to the function manager: the C symbol `$name`, answered by `$answer`, which takes the
/// call's information and gives the tuple that goes on, or a null pointer for none.
macro_rules! row_trigger {
    ($name:ident, $info:ident, $answer:path) => {
        #[doc = concat!("The C entry of [`", stringify!($answer), "`].")]
        #[unsafe(no_mangle)]
        #[pgrx::pg_guard]
        pub extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            pgrx::pg_sys::Datum::from($answer(fcinfo).unwrap_or_else(|error| std::panic::panic_any(error)))
        }

        /// Says that the function follows calling convention 1.
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const CONVENTION: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &CONVENTION
        }
    };
}
pub(super) use row_trigger;
