//! Query cohorts: members from a query that runs with the rights of the owner of the cohort.

use std::panic::AssertUnwindSafe;

use cohort_core::time::Micros;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::pg_sys::PgTryBuilder;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};

use super::databases::{with_owners_rights, with_rights_of};
use super::describe::describe;
use super::errors::{Fallible, SqlState, failure, invalid};
use super::spi::{self, Snapshot};
use super::store::Cohort;
use super::{extension, index, stamp, time};

/// The most ids that are read together where the caller does not say.
const SLICE: usize = 16_384;

/// The query of a saved cohort at an instant.
pub(crate) struct Query {
    cohort: String,
    text: String,
    owner: pg_sys::Oid,
    has_profile: bool,
    as_of: Micros,
}

/// What a query returns of a member besides the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The profile as text.
    pub(crate) profile: Option<String>,
    /// A number that changes with the profile.
    pub(crate) stamp: Option<i64>,
}

/// A member.
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) given: Given,
}

/// What is read.
#[derive(Default)]
pub(crate) struct Wish {
    /// The profiles, too.
    pub(crate) profiles: bool,
    /// Only members that are among these.
    pub(crate) among: Option<Vec<String>>,
}

/// Whether a cohort without a rule is a query.
pub(crate) fn is_query(snapshot: Snapshot, cohort: i64) -> Fallible<bool> {
    if snapshot == Snapshot::Callers {
        return index::has_query(cohort);
    }
    if !index::knows_queries()? {
        return Ok(false);
    }
    with_owners_rights(|| {
        spi::one(
            snapshot,
            "SELECT EXISTS (SELECT FROM kursaha_cohort.cohort_query WHERE cohort_id = $1)",
            &[cohort.into()],
            |row| row.need(1),
        )
    })
}

/// The text of the current query of a cohort.
pub(crate) fn text_of(snapshot: Snapshot, cohort: i64) -> Fallible<Option<String>> {
    if !is_query(snapshot, cohort)? {
        return Ok(None);
    }
    with_owners_rights(|| {
        spi::first(
            snapshot,
            "SELECT q.query FROM kursaha_cohort.cohort_query q JOIN kursaha_cohort.cohort c USING (cohort_id, version) \
             WHERE q.cohort_id = $1",
            &[cohort.into()],
            |row| row.need(1),
        )
    })
}

/// Why a superuser's rights are refused.
const WHOSE_RIGHTS: &str = "The query of a cohort runs with the rights of the owner of the cohort, for every caller.";

fn is_superuser(role: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Refuses a role that may not own a query cohort.
pub(crate) fn may_own(role: pg_sys::Oid) -> Fallible<()> {
    if !is_superuser(role) {
        return Ok(());
    }
    Err(failure(SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE, "a superuser cannot own a query cohort")
        .set_detail(WHOSE_RIGHTS)
        .set_hint("SET ROLE to an ordinary role with cohort_grant('editor', …)."))
}

/// Refuses to run a query whose owner has become a superuser.
fn may_run(owner: pg_sys::Oid, cohort: &str) -> Fallible<()> {
    if !is_superuser(owner) {
        return Ok(());
    }
    Err(failure(
        SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("the query of cohort \"{cohort}\" cannot run: its owner is a superuser"),
    )
    .set_detail(WHOSE_RIGHTS)
    .set_hint("Use cohort_set_owner to transfer the cohort to an ordinary role."))
}

/// The role that owns a query cohort, if its query may run with the rights of that role.
pub(crate) fn owner_of(cohort: &Cohort) -> Fallible<pg_sys::Oid> {
    let owner: Option<pg_sys::Oid> = with_owners_rights(|| {
        spi::one(
            Snapshot::Fresh,
            "SELECT (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.oid = kursaha_cohort.owner_role(c.owner)) \
             FROM kursaha_cohort.cohort c WHERE c.cohort_id = $1",
            &[cohort.id.into()],
            |row| Ok(row.get(1)),
        )
    })?;
    let owner = owner.ok_or_else(|| no_owner(&cohort.name, &cohort.owner))?;
    may_run(owner, &cohort.name)?;
    Ok(owner)
}

fn no_owner(cohort: &str, role: &str) -> ErrorReport {
    failure(
        SqlState::ERRCODE_UNDEFINED_OBJECT,
        format!("the query of cohort \"{cohort}\" cannot run: its owner \"{role}\" does not exist"),
    )
    .set_hint("Use cohort_set_owner to transfer the cohort to another role.")
}

impl Query {
    /// That of a query cohort, as the active snapshot or a fresh one has it.
    pub(crate) fn find(snapshot: Snapshot, id: i64, cohort: &str, as_of: Micros) -> Fallible<Option<Self>> {
        if !is_query(snapshot, id)? {
            return Ok(None);
        }
        let found = with_owners_rights(|| {
            spi::first(
                snapshot,
                "SELECT q.query, q.has_profile, q.takes_instant, r.oid, c.owner::text \
                 FROM kursaha_cohort.cohort c JOIN kursaha_cohort.cohort_query q USING (cohort_id, version) \
                 LEFT JOIN pg_catalog.pg_roles r ON r.oid = kursaha_cohort.owner_role(c.owner) WHERE c.cohort_id = $1",
                &[id.into()],
                |row| {
                    Ok((
                        row.need::<String>(1)?,
                        row.need::<bool>(2)?,
                        row.need::<bool>(3)?,
                        row.get::<pg_sys::Oid>(4),
                        row.need::<String>(5)?,
                    ))
                },
            )
        })?;
        let Some((text, has_profile, takes_instant, owner, role)) = found else { return Ok(None) };
        let owner = owner.ok_or_else(|| no_owner(cohort, &role))?;
        may_run(owner, cohort)?;
        if !takes_instant && as_of != time::as_of(None)? {
            return Err(failure(
                SqlState::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("the query of cohort \"{cohort}\" can only be evaluated as of now"),
            )
            .set_hint("Omit as_of, or refer to the instant as $1 in the query."));
        }
        Ok(Some(Self { cohort: cohort.to_owned(), text, owner, has_profile, as_of }))
    }

    /// Whether it returns profiles.
    pub(crate) fn has_profile(&self) -> bool {
        self.has_profile
    }

    /// A statement that returns the members, in which the query does not stand.
    pub(crate) fn statement(&self, schema: &str, as_of: &str) -> String {
        format!("SELECT m.customer_id\nFROM {schema}.cohort_run({}, {as_of}) m", pgrx::spi::quote_literal(&self.cohort))
    }

    /// Passes the members to a closure in slices, each once and in byte order. NULL and what cannot be the id of a customer
    /// is left out, and whom row-level security hides from the current user.
    pub(crate) fn each(
        &self,
        wish: &Wish,
        most: usize,
        take: &mut dyn FnMut(Vec<Member>) -> Fallible<()>,
    ) -> Fallible<()> {
        let (given, order) = if wish.profiles && self.has_profile {
            ("q.profile::text, hashtextextended(q.profile::text, 0)", ", q.profile")
        } else {
            ("NULL::text, NULL::bigint", "")
        };
        let among = if wish.among.is_some() { " AND q.customer_id::text COLLATE \"C\" = ANY ($2)" } else { "" };
        // A parameter that a statement does not use needs a type, too, which the argument has.
        let sql = format!(
            "SELECT DISTINCT ON (1) q.customer_id::text COLLATE \"C\", {given} FROM (\n{}\n) AS q \
             WHERE q.customer_id IS NOT NULL{among} ORDER BY 1{order}",
            self.text
        );
        let mut args: Vec<DatumWithOid<'_>> = vec![time::server(self.as_of)?.into()];
        if let Some(ids) = &wish.among {
            args.push(ids.clone().into());
        }
        let hides = hides_rows()?;
        let as_owner = |work: &mut dyn FnMut() -> Fallible<()>| with_rights_of(self.owner, work);
        let mut read =
            |row: &spi::Row| Ok(Member { id: row.need(1)?, given: Given { profile: row.get(2), stamp: row.get(3) } });
        spi::in_pieces_of(&sql, &args, most, &as_owner, &mut read, &mut |mut members: Vec<Member>| {
            members.retain(|member| stamp::check_customer_id(&member.id).is_ok());
            if hides {
                members = seen(members)?;
            }
            if !members.is_empty() {
                take(members)?;
            }
            Ok(true)
        })
    }

    /// The ids of the members, or of those among some.
    pub(crate) fn members(&self, among: Option<Vec<String>>) -> Fallible<Vec<String>> {
        let mut ids = Vec::new();
        self.each(&Wish { among, ..Wish::default() }, SLICE, &mut |members| {
            ids.extend(members.into_iter().map(|member| member.id));
            Ok(())
        })?;
        Ok(ids)
    }

    /// The number of members.
    pub(crate) fn size(&self) -> Fallible<i64> {
        let mut size = 0;
        self.each(&Wish::default(), SLICE, &mut |members| {
            size += i64::try_from(members.len()).unwrap_or(i64::MAX);
            Ok(())
        })?;
        Ok(size)
    }
}

/// Whether row-level security decides which customers the current user sees.
fn hides_rows() -> Fallible<bool> {
    let schema = extension::served_schema()?;
    spi::one(
        Snapshot::Callers,
        &format!(
            "SELECT row_security_active('{schema}.cohort_event'::regclass) \
             OR row_security_active('{schema}.cohort_customer'::regclass)"
        ),
        &[],
        |row| row.need(1),
    )
}

/// Those of some members whom the current user sees.
fn seen(members: Vec<Member>) -> Fallible<Vec<Member>> {
    let schema = extension::served_schema()?;
    let ids: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
    let places: Vec<i64> = spi::run(
        Snapshot::Callers,
        &format!(
            "SELECT u.place FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
             WHERE EXISTS (SELECT FROM {schema}.cohort_customer c WHERE c.customer_id = u.customer_id) \
                OR EXISTS (SELECT FROM {schema}.cohort_event e WHERE e.customer_id = u.customer_id)"
        ),
        &[ids.into()],
        |row| row.need(1),
    )?;
    let places: std::collections::HashSet<i64> = places.into_iter().collect();
    let numbered = (1_i64..).zip(members);
    Ok(numbered.filter(|(place, _)| places.contains(place)).map(|(_, member)| member).collect())
}

/// A query that can be saved.
pub(crate) struct Checked {
    /// The statement without what stands around it.
    pub(crate) text: String,
    pub(crate) has_profile: bool,
    pub(crate) takes_instant: bool,
}

const FORM: &str =
    "Write one SELECT that returns customer_id of type text, and profile of type jsonb if syncs send profiles.";

/// Checks a query with the rights of the role that owns the cohort.
pub(crate) fn check(text: &str, owner: pg_sys::Oid) -> Fallible<Checked> {
    let qualify = |caught: CaughtError| {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = caught;
        Err(failure(report.sql_error_code(), format!("invalid query: {}", report.message()))
            .set_hint("Queries of cohorts run with search_path = pg_catalog: write names with their schemas."))
    };
    let text = AssertUnwindSafe(text);
    PgTryBuilder::new(AssertUnwindSafe(|| with_rights_of(owner, || check_as_owner(&text))))
        .catch_when(SqlState::ERRCODE_UNDEFINED_TABLE, qualify)
        .catch_when(SqlState::ERRCODE_UNDEFINED_FUNCTION, qualify)
        .catch_when(SqlState::ERRCODE_UNDEFINED_OBJECT, qualify)
        .execute()
}

fn check_as_owner(text: &str) -> Fallible<Checked> {
    let Some(described) = describe(text, &[pg_sys::TIMESTAMPTZOID])? else {
        return Err(invalid("invalid query: it is not a single SELECT").set_hint(FORM));
    };
    if !described.reads_only {
        return Err(invalid("invalid query: it writes or locks rows").set_hint(FORM));
    }
    // In the session of another role the name would be of an object of that role.
    let temporary =
        described.temporary.or_else(|| text.to_lowercase().contains("pg_temp").then(|| "pg_temp".to_owned()));
    if let Some(name) = temporary {
        return Err(invalid(format!("invalid query: \"{name}\" is temporary"))
            .set_hint("Use objects that are visible in every session."));
    }
    let mut has_profile = false;
    for (place, (name, kind)) in described.columns.iter().enumerate() {
        if described.columns[..place].iter().any(|(other, _)| other == name) {
            return Err(invalid(format!("invalid query: it returns the column \"{name}\" twice")).set_hint(FORM));
        }
        let fits = match name.as_str() {
            "customer_id" => matches!(*kind, pg_sys::TEXTOID | pg_sys::VARCHAROID),
            "profile" => {
                has_profile = true;
                *kind == pg_sys::JSONBOID
            }
            _ => {
                let problem = format!("invalid query: column {} is \"{name}\"", place + 1);
                return Err(invalid(problem).set_hint(FORM));
            }
        };
        if !fits {
            let (wanted, cast) = if name == "profile" { ("jsonb", "to_jsonb(…)") } else { ("text", "…::text") };
            return Err(invalid(format!("invalid query: column \"{name}\" is not of type {wanted}"))
                .set_hint(format!("Convert it: {cast} AS {name}.")));
        }
    }
    if !described.columns.iter().any(|(name, _)| name == "customer_id") {
        return Err(invalid("invalid query: it returns no column \"customer_id\"").set_hint(FORM));
    }
    // The server checks privileges when a statement begins to run, and that it only reads.
    let now = time::server(time::as_of(None)?)?;
    let sql = format!("SELECT q.customer_id FROM (\n{}\n) AS q LIMIT 0", described.text);
    spi::each(Snapshot::Callers, &sql, &[now.into()], |_| Ok(()))?;
    Ok(Checked { text: described.text, has_profile, takes_instant: described.takes_parameter })
}
