//! Defaults of the columns that users added to the public tables.

use pgrx::pg_sys;

use super::{plan, server};

/// Evaluates the defaults of the columns from a position on.
///
/// # Safety
/// The relation is open, the slices have its number of columns.
pub(super) unsafe fn fill(
    relation: pg_sys::Relation,
    state: *mut pg_sys::EState,
    from: usize,
    values: &mut [pg_sys::Datum],
    nulls: &mut [bool],
) {
    // SAFETY: as the caller says; the expressions come from the catalog.
    unsafe {
        let context = pg_sys::CreateExprContext(state);
        for n in from..values.len() {
            let attribute = &*plan::attribute((*relation).rd_att, n as i32 + 1);
            if attribute.attisdropped || attribute.attgenerated != 0 {
                continue;
            }
            let default = pg_sys::build_column_default(relation, n as i32 + 1);
            if default.is_null() {
                continue;
            }
            let expression = pg_sys::ExecPrepareExpr(default.cast(), state);
            (values[n], nulls[n]) = server::evaluate(expression, context);
        }
    }
}
