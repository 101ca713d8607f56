//! Statement triggers that notify the workers of logged rows and changed syncs.

use pgrx::{pg_guard, pg_sys};

use super::board;

/// Declares a statement trigger to the function manager: the C symbol `$name`, which calls `$note`.
macro_rules! note_trigger {
    ($name:ident, $info:ident, $note:expr) => {
        /// The C entry.
        #[unsafe(no_mangle)]
        #[pg_guard]
        pub extern "C-unwind" fn $name(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            ($note)();
            pg_sys::Datum::from(0_usize)
        }

        /// Says that the function follows calling convention 1.
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pg_sys::Pg_finfo_record {
            const CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &CONVENTION
        }
    };
}

note_trigger!(kursaha_note_rows, pg_finfo_kursaha_note_rows, || board::note_rows(1));
note_trigger!(kursaha_note_asked, pg_finfo_kursaha_note_asked, board::note_asked);
