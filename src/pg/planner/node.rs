//! Functions for nodes of a query tree.

use pgrx::pg_sys;

/// A kind of node.
pub(super) trait Kind {
    /// The tag of such a node.
    const TAG: pg_sys::NodeTag;
}

macro_rules! kinds {
    ($($name:ident = $tag:ident),+ $(,)?) => {
        $(impl Kind for pg_sys::$name {
            const TAG: pg_sys::NodeTag = pg_sys::NodeTag::$tag;
        })+
    };
}

kinds! {
    ArrayExpr = T_ArrayExpr,
    Const = T_Const,
    FuncExpr = T_FuncExpr,
    OpExpr = T_OpExpr,
    RelabelType = T_RelabelType,
    ScalarArrayOpExpr = T_ScalarArrayOpExpr,
    SupportRequestRows = T_SupportRequestRows,
    Var = T_Var,
}

/// A node of one kind, if it is of that kind.
///
/// # Safety
/// The pointer is null or to a node.
pub(super) unsafe fn as_kind<T: Kind>(node: *mut pg_sys::Node) -> Option<*mut T> {
    // SAFETY: the tag says what the node is.
    let is_kind = !node.is_null() && unsafe { (*node).type_ } == T::TAG;
    is_kind.then(|| node.cast::<T>())
}
