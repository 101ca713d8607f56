//! A question in FROM of which the query wants few members: `WHERE customer_id = …`, `WHERE customer_id IN (…)`, or
//! nothing but a LIMIT. The call becomes one of `kursaha_cohort.members_of_cohort` or `members_of_rule`, which get the
//! ids, or the number, as an argument. The query's own conditions stay, so that its result is the same.

use std::sync::OnceLock;

use pgrx::{FromDatum, PgList, pg_guard, pg_sys};

use super::call::{Call, Kind};
use super::node::as_kind;

/// The hook that was there before, which is called first.
static BEFORE: OnceLock<pg_sys::set_rel_pathlist_hook_type> = OnceLock::new();

pub(super) fn register() {
    // SAFETY: a variable of the server, which has one thread here.
    unsafe {
        if BEFORE.set(pg_sys::set_rel_pathlist_hook).is_ok() {
            pg_sys::set_rel_pathlist_hook = Some(pathlist);
        }
    }
}

/// The planner has made the ways to read a relation.
#[pg_guard]
unsafe extern "C-unwind" fn pathlist(
    root: *mut pg_sys::PlannerInfo,
    relation: *mut pg_sys::RelOptInfo,
    index: pg_sys::Index,
    entry: *mut pg_sys::RangeTblEntry,
) {
    // SAFETY: the planner's own structures, as it passes them to such a hook.
    unsafe {
        if let Some(Some(before)) = BEFORE.get() {
            before(root, relation, index, entry);
        }
        if let Some(function) = lone_function(relation, entry)
            && let Some(call) = Call::of((*function).funcexpr)
            && let Some(wanted) = wanted(root, relation)
            && let Some(narrowed) = narrowed(root, &call, &wanted)
        {
            (*function).funcexpr = narrowed.cast();
            (*relation).tuples = wanted.rows().min((*relation).tuples);
            (*relation).rows = wanted.rows().min((*relation).rows);
            (*relation).pathlist = std::ptr::null_mut();
            let path =
                pg_sys::create_functionscan_path(root, relation, std::ptr::null_mut(), (*relation).lateral_relids);
            pg_sys::add_path(relation, path);
        }
    }
}

/// The function that a relation consists of: one alone, without ordinality, which numbers the rows that it gives.
unsafe fn lone_function(
    relation: *mut pg_sys::RelOptInfo,
    entry: *mut pg_sys::RangeTblEntry,
) -> Option<*mut pg_sys::RangeTblFunction> {
    // SAFETY: the planner's own structures.
    unsafe {
        if (*entry).rtekind != pg_sys::RTEKind::RTE_FUNCTION || (*entry).funcordinality {
            return None;
        }
        // A relation that was found to be empty has another path.
        let path = PgList::<pg_sys::Path>::from_pg((*relation).pathlist).get_ptr(0)?;
        if (*path).pathtype != pg_sys::NodeTag::T_FunctionScan {
            return None;
        }
        let functions = PgList::<pg_sys::RangeTblFunction>::from_pg((*entry).functions);
        if functions.len() == 1 { functions.get_ptr(0) } else { None }
    }
}

/// Which of the members a query wants.
enum Wanted {
    /// The one of an expression.
    One(*mut pg_sys::OpExpr, *mut pg_sys::Node),
    /// The ids in an array expression.
    Among(*mut pg_sys::Node),
    /// Any members, up to a number.
    First(i64),
}

impl Wanted {
    fn rows(&self) -> f64 {
        /// Elements of an array that is not known yet, as PostgreSQL itself has it.
        const ELEMENTS: usize = 10;
        let rows = match self {
            Self::One(..) => 1,
            // SAFETY: the tag says what the node is.
            Self::Among(array) => unsafe {
                if let Some(list) = as_kind::<pg_sys::ArrayExpr>(*array) {
                    PgList::<pg_sys::Node>::from_pg((*list).elements).len()
                } else if let Some(known) = as_kind::<pg_sys::Const>(*array) {
                    let known = Vec::<Option<String>>::from_datum((*known).constvalue, (*known).constisnull);
                    known.map_or(0, |known| known.len())
                } else {
                    ELEMENTS
                }
            },
            Self::First(most) => usize::try_from(*most).unwrap_or(usize::MAX),
        };
        f64::from(u32::try_from(rows).unwrap_or(u32::MAX)).max(1.0)
    }
}

unsafe fn wanted(root: *mut pg_sys::PlannerInfo, relation: *mut pg_sys::RelOptInfo) -> Option<Wanted> {
    // SAFETY: the planner's own structures; tags say what nodes are.
    unsafe {
        let conditions = PgList::<pg_sys::RestrictInfo>::from_pg((*relation).baserestrictinfo);
        if conditions.is_empty() {
            return first(root, relation).map(Wanted::First);
        }
        let clauses: Vec<*mut pg_sys::Node> = conditions.iter_ptr().map(|info| (*info).clause.cast()).collect();
        let equal = clauses.iter().find_map(|clause| one(relation, *clause));
        equal.or_else(|| clauses.iter().find_map(|clause| among(relation, *clause)))
    }
}

/// `customer_id = …`, either way round.
unsafe fn one(relation: *mut pg_sys::RelOptInfo, clause: *mut pg_sys::Node) -> Option<Wanted> {
    // SAFETY: as in `wanted`.
    unsafe {
        let clause = as_kind::<pg_sys::OpExpr>(clause)?;
        if !is_equality((*clause).opno, (*clause).inputcollid) {
            return None;
        }
        let sides = PgList::<pg_sys::Node>::from_pg((*clause).args);
        let (left, right) = (sides.get_ptr(0)?, sides.get_ptr(1)?);
        let value = if is_id(relation, left) { right } else { left };
        let other = if is_id(relation, left) { left } else { right };
        (is_id(relation, other) && is_known(value)).then_some(Wanted::One(clause, value))
    }
}

/// `customer_id IN (…)` and `customer_id = ANY (…)`.
unsafe fn among(relation: *mut pg_sys::RelOptInfo, clause: *mut pg_sys::Node) -> Option<Wanted> {
    // SAFETY: as in `wanted`.
    unsafe {
        let clause = as_kind::<pg_sys::ScalarArrayOpExpr>(clause)?;
        if !(*clause).useOr || !is_equality((*clause).opno, (*clause).inputcollid) {
            return None;
        }
        let sides = PgList::<pg_sys::Node>::from_pg((*clause).args);
        let (id, array) = (sides.get_ptr(0)?, sides.get_ptr(1)?);
        let is_array = pg_sys::exprType(array) == pg_sys::TEXTARRAYOID;
        (is_array && is_id(relation, id) && is_known(array)).then_some(Wanted::Among(array))
    }
}

/// Whether an operator says that two texts have the same bytes.
unsafe fn is_equality(operator: pg_sys::Oid, collation: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up of a collation that the query names.
    unsafe {
        operator == pg_sys::Oid::from(pg_sys::TextEqualOperator)
            && collation != pg_sys::InvalidOid
            && pg_sys::get_collation_isdeterministic(collation)
    }
}

/// Whether an expression is the relation's one column.
unsafe fn is_id(relation: *mut pg_sys::RelOptInfo, mut node: *mut pg_sys::Node) -> bool {
    // SAFETY: as in `wanted`.
    unsafe {
        while let Some(relabelled) = as_kind::<pg_sys::RelabelType>(node) {
            node = (*relabelled).arg.cast();
        }
        let Some(column) = as_kind::<pg_sys::Var>(node) else { return false };
        u32::try_from((*column).varno).is_ok_and(|number| number == (*relation).relid)
            && (*column).varattno == 1
            && (*column).varlevelsup == 0
    }
}

/// Whether an expression has one value for all of a scan's rows.
unsafe fn is_known(node: *mut pg_sys::Node) -> bool {
    // SAFETY: these walk the expression.
    unsafe {
        !pg_sys::contain_var_clause(node)
            && !pg_sys::contain_volatile_functions(node)
            && !pg_sys::contain_subplans(node)
    }
}

/// How many rows a query takes that reads this relation alone, in any order, and passes each row on.
unsafe fn first(root: *mut pg_sys::PlannerInfo, relation: *mut pg_sys::RelOptInfo) -> Option<i64> {
    // SAFETY: as in `wanted`.
    unsafe {
        let query = (*root).parse;
        // Without grouping, DISTINCT, windows and functions that give sets, the planner knows the limit here.
        let passed_on = (*root).limit_tuples > 0.0
            && (*query).sortClause.is_null()
            && (*query).setOperations.is_null()
            && (*query).limitOption == pg_sys::LimitOption::LIMIT_OPTION_COUNT
            && (*relation).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL
            && pg_sys::bms_equal((*root).all_baserels, (*relation).relids);
        if !passed_on {
            return None;
        }
        let offset = if (*query).limitOffset.is_null() { 0 } else { constant((*query).limitOffset)? };
        constant((*query).limitCount)?.checked_add(offset)
    }
}

/// The number that an expression is. (The planner's own figure may be a guess.)
unsafe fn constant(node: *mut pg_sys::Node) -> Option<i64> {
    // SAFETY: the tag says what the node is, its type what the datum is.
    unsafe {
        let number = as_kind::<pg_sys::Const>(node)?;
        let is_number = (*number).consttype == pg_sys::INT8OID;
        if is_number { i64::from_datum((*number).constvalue, (*number).constisnull) } else { None }
    }
}

/// The call that gives the wanted members only; `None` where the current user may not call it.
unsafe fn narrowed(root: *mut pg_sys::PlannerInfo, call: &Call, wanted: &Wanted) -> Option<*mut pg_sys::FuncExpr> {
    let (name, question) = match call.kind {
        Kind::Run => (c"members_of_cohort", pg_sys::TEXTOID),
        Kind::Evaluate => (c"members_of_rule", pg_sys::JSONBOID),
        Kind::Members => return None,
    };
    // SAFETY: the planner's own structures, and new nodes in its memory.
    unsafe {
        let types = [question, pg_sys::TIMESTAMPTZOID, pg_sys::TEXTARRAYOID, pg_sys::INT8OID];
        let function = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP.cast_signed(),
            i16::try_from(pg_sys::Anum_pg_proc_oid).unwrap_or(0),
            name.as_ptr().into(),
            pg_sys::buildoidvector(types.as_ptr(), 4).into(),
            pg_sys::get_namespace_oid(c"kursaha_cohort".as_ptr(), true).into(),
            pg_sys::Datum::from(0),
        );
        let original = call.expression;
        let mut arguments = call.arguments();
        if function == pg_sys::InvalidOid || arguments.len() != 2 {
            return None;
        }
        // The plan is this user's: another one's rights are asked when it is planned for that one.
        (*(*root).glob).dependsOnRole = true;
        if !may_execute((*original).funcid) || !may_execute(function) {
            return None;
        }
        let mut ids: *mut pg_sys::Node = null_of(pg_sys::TEXTARRAYOID, -1, false);
        let mut most: *mut pg_sys::Node = null_of(pg_sys::INT8OID, 8, true);
        match wanted {
            Wanted::One(clause, value) => ids = array_of(*value, (**clause).inputcollid),
            Wanted::Among(array) => ids = pg_sys::copyObjectImpl(array.cast()).cast(),
            Wanted::First(count) => {
                most = constant_of(pg_sys::INT8OID, 8, pg_sys::Datum::from(*count), false, true);
            }
        }
        arguments = PgList::from_pg(pg_sys::list_copy(arguments.into_pg()));
        arguments.push(ids);
        arguments.push(most);
        let narrowed = pg_sys::makeFuncExpr(
            function,
            (*original).funcresulttype,
            arguments.into_pg(),
            (*original).funccollid,
            (*original).inputcollid,
            pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
        );
        (*narrowed).funcretset = true;
        Some(narrowed)
    }
}

unsafe fn may_execute(function: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe {
        // Its type is wider from PostgreSQL 16 on.
        const EXECUTE: pg_sys::AclMode = pg_sys::ACL_EXECUTE as pg_sys::AclMode;
        #[cfg(feature = "pg15")]
        let result = pg_sys::pg_proc_aclcheck(function, pg_sys::GetUserId(), EXECUTE);
        #[cfg(not(feature = "pg15"))]
        let result = pg_sys::object_aclcheck(pg_sys::ProcedureRelationId, function, pg_sys::GetUserId(), EXECUTE);
        result == pg_sys::AclResult::ACLCHECK_OK
    }
}

unsafe fn null_of(of: pg_sys::Oid, length: i32, by_value: bool) -> *mut pg_sys::Node {
    // SAFETY: a new node.
    unsafe { constant_of(of, length, pg_sys::Datum::from(0), true, by_value) }
}

unsafe fn constant_of(
    of: pg_sys::Oid,
    length: i32,
    value: pg_sys::Datum,
    is_null: bool,
    by_value: bool,
) -> *mut pg_sys::Node {
    // SAFETY: a new node.
    unsafe { pg_sys::makeConst(of, -1, pg_sys::get_typcollation(of), length, value, is_null, by_value).cast() }
}

/// `ARRAY[value]`
unsafe fn array_of(value: *mut pg_sys::Node, collation: pg_sys::Oid) -> *mut pg_sys::Node {
    // SAFETY: a new node, zeroed as makeNode() has it.
    unsafe {
        let array = pg_sys::palloc0(size_of::<pg_sys::ArrayExpr>()).cast::<pg_sys::ArrayExpr>();
        (*array).xpr.type_ = pg_sys::NodeTag::T_ArrayExpr;
        (*array).array_typeid = pg_sys::TEXTARRAYOID;
        (*array).array_collid = collation;
        (*array).element_typeid = pg_sys::TEXTOID;
        (*array).location = -1;
        let mut elements = PgList::<pg_sys::Node>::new();
        elements.push(pg_sys::copyObjectImpl(value.cast()).cast());
        (*array).elements = elements.into_pg();
        array.cast()
    }
}
