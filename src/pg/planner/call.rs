//! A call of one of the evaluating functions in a plan.

use std::ffi::CStr;

use pgrx::{FromDatum, PgList, pg_sys};

use super::node::as_kind;

/// The called function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `cohort_run`
    Run,
    /// `cohort_evaluate`
    Evaluate,
    /// `cohort_members`
    Members,
}

/// A call.
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) expression: *mut pg_sys::FuncExpr,
}

impl Call {
    /// The call that an expression is, if it is one. Only the extension's own functions have its support function, and
    /// only a superuser gives it to others.
    ///
    /// # Safety
    /// The pointer is to an expression of a query that is being planned.
    pub(super) unsafe fn of(node: *mut pg_sys::Node) -> Option<Self> {
        // SAFETY: the tag says what the node is; the names live in the current memory context.
        unsafe {
            let expression = as_kind::<pg_sys::FuncExpr>(node)?;
            let support = pg_sys::get_func_support((*expression).funcid);
            if support == pg_sys::InvalidOid || name_of(support)? != c"plan_question" {
                return None;
            }
            if pg_sys::get_func_namespace(support) != pg_sys::get_namespace_oid(c"kursaha_cohort".as_ptr(), true) {
                return None;
            }
            let name = name_of((*expression).funcid)?;
            let kinds =
                [(c"cohort_run", Kind::Run), (c"cohort_evaluate", Kind::Evaluate), (c"cohort_members", Kind::Members)];
            let kind = kinds.into_iter().find(|(known, _)| *known == name)?.1;
            Some(Self { kind, expression })
        }
    }

    /// The arguments; those left out stand here with their defaults.
    pub(super) fn arguments(&self) -> PgList<pg_sys::Node> {
        // SAFETY: the expression lives as long as the query is planned.
        unsafe { PgList::from_pg((*self.expression).args) }
    }

    /// The first argument, where it is a text that is known now.
    pub(super) fn constant_text(&self) -> Option<String> {
        // SAFETY: the tag says what the node is, its type what the datum is.
        unsafe {
            let constant = as_kind::<pg_sys::Const>(self.arguments().get_ptr(0)?)?;
            if (*constant).consttype != pg_sys::TEXTOID {
                return None;
            }
            String::from_datum((*constant).constvalue, (*constant).constisnull)
        }
    }
}

/// # Safety
/// Inside a transaction; the name is valid as long as the current memory context.
unsafe fn name_of<'a>(function: pg_sys::Oid) -> Option<&'a CStr> {
    // SAFETY: a catalog look-up, which gives a copy.
    unsafe {
        let name = pg_sys::get_func_name(function);
        if name.is_null() { None } else { Some(CStr::from_ptr(name)) }
    }
}
