//! What the server says of a statement before it runs.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::errors::Fallible;
use super::spi;

/// What the server says of a statement before it runs.
pub(crate) struct Described {
    /// The statement without a semicolon behind it.
    pub(crate) text: String,
    /// Names and types of the columns.
    pub(crate) columns: Vec<(String, pg_sys::Oid)>,
    /// Whether it neither writes nor locks rows, as far as it itself shows.
    pub(crate) reads_only: bool,
    /// Whether it has a parameter.
    pub(crate) takes_parameter: bool,
    /// The name of a temporary relation that it reads.
    pub(crate) temporary: Option<String>,
}

/// Describes a text with parameters of some types; `None` where it is not one SELECT.
pub(crate) fn describe(sql: &str, types: &[pg_sys::Oid]) -> Fallible<Option<Described>> {
    // SAFETY: the list is that of the plan of the text.
    spi::prepared(sql, types, |sources| unsafe { of_sources(sql, sources) })
}

/// # Safety
/// The list is that of the plan of a text.
unsafe fn of_sources(sql: &str, sources: *mut pg_sys::List) -> Option<Described> {
    // SAFETY: the server's structures are as it declares them; names in them end with a zero byte.
    unsafe {
        if sources.is_null() || (*sources).length != 1 {
            return None;
        }
        let source = &*(*(*sources).elements).ptr_value.cast::<pg_sys::CachedPlanSource>();
        let raw = source.raw_parse_tree;
        // A SELECT is one query after the rewriter, too.
        if source.query_list.is_null() || (*source.query_list).length != 1 {
            return None;
        }
        if raw.is_null() || (*(*raw).stmt).type_ != pg_sys::NodeTag::T_SelectStmt || source.resultDesc.is_null() {
            return None;
        }
        #[expect(clippy::cast_ptr_alignment, reason = "its tag says what the node is")]
        let select = (*raw).stmt.cast::<pg_sys::SelectStmt>();
        if !(*select).intoClause.is_null() {
            return None;
        }
        let begin = usize::try_from((*raw).stmt_location).unwrap_or(0);
        let length = usize::try_from((*raw).stmt_len).unwrap_or(0);
        let text = if length == 0 { sql.get(begin..) } else { sql.get(begin..begin + length) }?;
        let columns = (1..=(*source.resultDesc).natts)
            .map(|column| {
                let name = CStr::from_ptr(pg_sys::SPI_fname(source.resultDesc, column));
                (name.to_string_lossy().into_owned(), pg_sys::SPI_gettypeid(source.resultDesc, column))
            })
            .collect();
        let query = (*(*source.query_list).elements).ptr_value.cast::<pg_sys::Query>();
        let reads_only = !(*query).hasModifyingCTE && (*query).rowMarks.is_null();
        let tree = CStr::from_ptr(pg_sys::nodeToString(query.cast::<core::ffi::c_void>())).to_string_lossy();
        // A brace in a text is written with a backslash before it. 0 is PARAM_EXTERN.
        let takes_parameter =
            tree.match_indices("{PARAM :paramkind 0").any(|(place, _)| !tree[..place].ends_with('\\'));
        let mut temporary = None;
        if !source.relationOids.is_null() {
            for place in 0..usize::try_from((*source.relationOids).length).unwrap_or(0) {
                let oid = (*(*source.relationOids).elements.add(place)).oid_value;
                if pg_sys::get_rel_persistence(oid).cast_unsigned() == pg_sys::RELPERSISTENCE_TEMP {
                    let name = pg_sys::get_rel_name(oid);
                    temporary = (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned());
                }
            }
        }
        Some(Described { text: text.trim().to_owned(), columns, takes_parameter, reads_only, temporary })
    }
}
