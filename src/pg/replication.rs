//! Keeps rows of another server's index out of the index.
//!
//! The trigger is `ENABLE REPLICA`: it fires where rows are applied, by a subscription's worker or by other tools in
//! sessions whose `session_replication_role` is `replica`. Such a session may seal and reindex as well; what the
//! extension's own statements write passes.

use pgrx::pg_sys;

use super::errors::{Fallible, SqlState, failure};
use super::{spi, trigger};

trigger::row_trigger!(kursaha_not_replicated, pg_finfo_kursaha_not_replicated, not_replicated);

/// Drops a row that is written neither by a statement of the extension's own nor by a trigger: those keep the logs of
/// what a replicated row took away, and clear the index when TRUNCATE is replicated.
fn not_replicated(fcinfo: pg_sys::FunctionCallInfo) -> Fallible<pg_sys::HeapTuple> {
    // SAFETY: called by the function manager.
    let data = unsafe { trigger::data(fcinfo) }.ok_or_else(|| {
        failure(
            SqlState::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "this function is a row trigger of the tables of the index",
        )
    })?;
    // SAFETY: a function without arguments that reads a variable of the server.
    let depth: Option<i32> = unsafe { pgrx::direct_function_call(pg_sys::pg_trigger_depth, &[]) };
    if !spi::is_running() && depth == Some(1) {
        return Ok(std::ptr::null_mut());
    }
    let is_update = data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_UPDATE;
    Ok(if is_update { data.tg_newtuple } else { data.tg_trigtuple })
}
