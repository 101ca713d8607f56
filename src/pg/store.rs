//! Saved cohorts: the SQL statements about them, as typed functions.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use cohort_core::eval::{Calendar, Plan};
use cohort_core::plain_sql::{self, Context, Source, Unresolved};
use cohort_core::rule::{self, MAX_REACHED, Rule};
use cohort_core::text;
use cohort_core::time::Micros;
use pgrx::pg_sys::panic::ErrorReport;

use super::databases::with_owners_rights;
use super::errors::{Fallible, SqlState, failure, invalid, invalid_rule};
use super::extension;
use super::here;
use super::index::{self, Definition};
use super::jsonb::Jsonb;
use super::query::{self, Query};
use super::rows::{self, Reading, ServerTables, TooMany};
use super::settings;
use super::spi::{self, Row, Snapshot};
use super::time;
use super::zones::ServerZones;

/// A saved cohort.
#[derive(Debug, Clone)]
pub(crate) struct Cohort {
    /// Its identity.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
    /// The canonical rule's text; `None` for a fixed list and a query.
    pub(crate) rule: Option<String>,
    /// Whether it is a query.
    pub(crate) is_query: bool,
    /// How often the rule or list was set.
    pub(crate) version: i32,
    /// Whether the current user may change it.
    pub(crate) owned: bool,
    /// The name of the role that owns it.
    pub(crate) owner: String,
}

impl Cohort {
    fn read(row: &Row) -> Fallible<Self> {
        Ok(Self {
            id: row.need(1)?,
            name: row.need(2)?,
            rule: row.get::<Jsonb>(3).map(|json| json.0),
            is_query: false,
            version: row.need(4)?,
            owned: row.need(5)?,
            owner: row.need(6)?,
        })
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match (&self.rule, self.is_query) {
            (Some(_), _) => "a rule",
            (None, true) => "a query",
            (None, false) => "a fixed list",
        }
    }
}

const COLUMNS: &str = "c.cohort_id, c.name, c.rule, c.version, kursaha_cohort.owns(c.owner), c.owner::text";

/// The cohort of a name, if there is one.
pub(crate) fn find(snapshot: Snapshot, name: &str) -> Fallible<Option<Cohort>> {
    let sql = format!("SELECT {COLUMNS} FROM kursaha_cohort.cohort c WHERE c.name = $1");
    let mut found = spi::first(snapshot, &sql, &[name.into()], Cohort::read)?;
    if let Some(cohort) = found.as_mut().filter(|cohort| cohort.rule.is_none()) {
        cohort.is_query = query::is_query(snapshot, cohort.id)?;
    }
    Ok(found)
}

/// What a question needs of the cohort of a name, if there is one.
fn definition(snapshot: Snapshot, name: &str) -> Fallible<Option<(i64, Option<String>)>> {
    if snapshot == Snapshot::Callers {
        match index::definition(name)? {
            Definition::Is(id, rule) => return Ok(Some((id, rule))),
            Definition::None => return Ok(None),
            Definition::Ask => {}
        }
    }
    Ok(find(snapshot, name)?.map(|cohort| (cohort.id, cohort.rule)))
}

/// Whether there is a query cohort of a name, as the active snapshot sees it.
pub(crate) fn is_query(name: &str) -> Fallible<bool> {
    match definition(Snapshot::Callers, name)? {
        Some((id, None)) => query::is_query(Snapshot::Callers, id),
        Some((_, Some(_))) | None => Ok(false),
    }
}

/// The cohort of a name.
pub(crate) fn get(snapshot: Snapshot, name: &str) -> Fallible<Cohort> {
    if let Some(cohort) = find(snapshot, name)? {
        return Ok(cohort);
    }
    let missing = failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("cohort \"{}\" does not exist", shorten(name)));
    let names = names(snapshot)?;
    Err(missing.set_hint(match text::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None => "The view cohort_definition lists the saved cohorts.".to_owned(),
    }))
}

/// The cohort of a name, if the current user may change it; definitions are locked until the transaction ends.
pub(crate) fn get_for_change(name: &str) -> Fallible<Cohort> {
    lock_definitions()?;
    get_owned(name)
}

/// The cohort of a name for its owner's refresh, its row locked until the transaction ends.
pub(crate) fn get_for_refresh(name: &str) -> Fallible<Cohort> {
    loop {
        let found = get_owned(name)?;
        let sql = "SELECT FROM kursaha_cohort.cohort WHERE cohort_id = $1 FOR NO KEY UPDATE";
        with_owners_rights(|| spi::touch(sql, &[found.id.into()]))?;
        let cohort = get_owned(name)?; // as it is now that the lock is held
        if cohort.id == found.id {
            return Ok(cohort);
        }
        // Another cohort has the name by now, and its row is not the one that was locked.
    }
}

fn get_owned(name: &str) -> Fallible<Cohort> {
    let cohort = get(Snapshot::Fresh, name)?;
    if cohort.owned {
        return Ok(cohort);
    }
    Err(not_owner(&format!("cohort \"{name}\""), &cohort.owner))
}

/// The error of who may not change something because it belongs to another role.
pub(crate) fn not_owner(what: &str, owner: &str) -> ErrorReport {
    failure(SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE, format!("must be owner of {what}"))
        .set_detail(format!("It belongs to \"{owner}\"."))
        .set_hint(format!(
            "Act as that role or a member of it. \"{owner}\", an operator or a superuser can change the owner."
        ))
}

/// Whether the current user is an operator: may pause, preview, test and hand over what others own.
pub(crate) fn operates() -> Fallible<bool> {
    spi::one(
        Snapshot::Callers,
        "SELECT has_function_privilege('kursaha_cohort.cohort_operate()', 'EXECUTE')",
        &[],
        |row| row.need(1),
    )
}

/// Holds other changes of definitions off until the transaction ends, so that two of them cannot close a cycle or
/// drop what the other begins to name. Reading is not held up. A transaction whose snapshot misses such a change gets
/// 40001.
pub(crate) fn lock_definitions() -> Fallible<()> {
    // A transaction that holds the row leaves it: thousands of changes would pile up as many versions of it, each to be
    // stepped over by the next.
    with_owners_rights(|| {
        spi::one(
            Snapshot::Fresh,
            "WITH held AS (UPDATE kursaha_cohort.definition_lock SET holder = pg_current_xact_id() \
                           WHERE holder <> pg_current_xact_id()) \
             SELECT here FROM kursaha_cohort.definition_lock",
            &[],
            |row| row.need::<bool>(1),
        )
    })
    .map(|_| ())
}

/// All names, in byte order.
pub(crate) fn all_names(snapshot: Snapshot) -> Fallible<Vec<String>> {
    spi::run(snapshot, "SELECT name FROM kursaha_cohort.cohort ORDER BY name COLLATE \"C\"", &[], |row| row.need(1))
}

/// Names of which the nearest to a wrong one is looked for.
pub(crate) fn names(snapshot: Snapshot) -> Fallible<Vec<String>> {
    spi::run(snapshot, "SELECT name FROM kursaha_cohort.cohort ORDER BY name COLLATE \"C\" LIMIT 10000", &[], |row| {
        row.need(1)
    })
}

/// The cohorts whose rules name this one, in byte order.
pub(crate) fn referrers(id: i64) -> Fallible<Vec<Cohort>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM kursaha_cohort.reference r JOIN kursaha_cohort.cohort c USING (cohort_id) \
         WHERE r.referenced_id = $1 ORDER BY c.name COLLATE \"C\""
    );
    spi::run(Snapshot::Fresh, &sql, &[id.into()], Cohort::read)
}

/// Every pair of a cohort and one that its rule names.
pub(crate) fn references(snapshot: Snapshot) -> Fallible<Vec<(i64, i64)>> {
    spi::run(snapshot, "SELECT cohort_id, referenced_id FROM kursaha_cohort.reference", &[], |row| {
        Ok((row.need(1)?, row.need(2)?))
    })
}

/// Reads the text of a rule that was saved. The tables that it names are not looked up.
pub(crate) fn parse(rule: &str) -> Fallible<Rule> {
    rule::parse_text_checking(rule, &ServerZones, &here::check).map_err(|problems| invalid_rule(&problems))
}

/// Reads and checks the text of a rule that the caller gave.
pub(crate) fn parse_given(rule: &str) -> Fallible<Rule> {
    rule::parse_text_within(rule, &SURROUNDINGS).map_err(|problems| invalid_rule(&problems))
}

/// What the rules that callers give are read within.
pub(crate) const SURROUNDINGS: rule::Surroundings<'static> =
    rule::Surroundings { zones: &ServerZones, tables: Some(&ServerTables), check: &here::check };

/// A rule and the cohorts that it names, with the rows of tables that they read; or why plain SQL must answer.
type Read = Result<(Rule, HashMap<String, Source>), String>;

/// A rule with everything that it names, ready to be put into SQL at one instant.
pub(crate) struct Question {
    /// What is asked.
    pub(crate) rule: Rule,
    schema: String,
    as_of: String,
    /// The instant, where it is known now (and not an SQL expression); microseconds as PostgreSQL counts.
    instant: i64,
    cohorts: HashMap<String, Source>,
    /// The rule and the cohorts with the rows of tables that they name, read at most once; or why not.
    read: OnceCell<Read>,
    /// The query, where a query cohort is asked.
    query: Option<Query>,
}

impl Question {
    /// A rule at an instant, with the cohorts it names as a snapshot has them.
    pub(crate) fn of_rule(snapshot: Snapshot, rule: Rule, as_of: Micros) -> Fallible<Self> {
        let mut question = Self::new(snapshot, rule, time::literal(as_of)?)?;
        question.instant = time::to_postgres(as_of);
        Ok(question)
    }

    /// The same with `as_of` as an SQL expression.
    pub(crate) fn new(snapshot: Snapshot, rule: Rule, as_of: String) -> Fallible<Self> {
        let mut cohorts = HashMap::new();
        let question_rule = rule;
        let mut open: Vec<String> = named_by(&question_rule);
        while let Some(name) = open.pop() {
            if cohorts.contains_key(&name) {
                continue;
            }
            let Some((id, rule)) = definition(snapshot, &name)? else { continue };
            let source = match &rule {
                Some(text) => {
                    let rule = parse(text)?;
                    open.extend(named_by(&rule));
                    Source::Rule(rule)
                }
                None if query::is_query(snapshot, id)? => return Err(names_query(&question_rule, &name)),
                None => Source::List(id),
            };
            cohorts.insert(name, source);
        }
        Ok(Self {
            rule: question_rule,
            schema: extension::served_schema()?,
            as_of,
            instant: 0,
            cohorts,
            read: OnceCell::new(),
            query: None,
        })
    }

    /// A saved cohort at an instant. A fixed list is asked as the rule that names it.
    pub(crate) fn of_cohort(snapshot: Snapshot, name: &str, as_of: Micros) -> Fallible<Self> {
        let rule = match definition(snapshot, name)? {
            Some((_, Some(rule))) => parse(&rule)?,
            Some((id, None)) => {
                if let Some(query) = Query::find(snapshot, id, name, as_of)? {
                    return Self::of_query(name, query, as_of);
                }
                Self::rule_of_list(name)
            }
            None => Self::rule_of(&get(snapshot, name)?)?, // which says what is wrong
        };
        Self::of_rule(snapshot, rule, as_of)
    }

    fn of_query(name: &str, query: Query, as_of: Micros) -> Fallible<Self> {
        Ok(Self {
            rule: Self::rule_of_list(name),
            schema: extension::served_schema()?,
            as_of: time::literal(as_of)?,
            instant: time::to_postgres(as_of),
            cohorts: HashMap::new(),
            read: OnceCell::new(),
            query: Some(query),
        })
    }

    /// The query, where a query cohort is asked. Its members are those of the query, and no rule stands for them.
    pub(crate) fn query(&self) -> Option<&Query> {
        self.query.as_ref()
    }

    /// A statement that returns the members.
    pub(crate) fn members(&self) -> Fallible<String> {
        match &self.query {
            Some(query) => Ok(query.statement(&self.schema, &self.as_of)),
            None => self.ask(None, plain_sql::members),
        }
    }

    /// The rule of a saved cohort.
    pub(crate) fn rule_of(cohort: &Cohort) -> Fallible<Rule> {
        match &cohort.rule {
            Some(text) => parse(text),
            None if cohort.is_query => Err(failure(
                SqlState::ERRCODE_WRONG_OBJECT_TYPE,
                format!("cohort \"{}\" is a query, not a rule", cohort.name),
            )
            .set_hint("cohort_run, cohort_count, cohort_contains, cohort_refresh and syncs take query cohorts.")),
            None => Ok(Self::rule_of_list(&cohort.name)),
        }
    }

    fn rule_of_list(name: &str) -> Rule {
        Rule { version: None, timezone: None, condition: rule::Condition::Cohort(name.to_owned()) }
    }

    /// Asks the translation for something, with every name resolved.
    pub(crate) fn ask<T>(
        &self,
        only: Option<&str>,
        ask: impl FnOnce(&Rule, &Context<'_>) -> Result<T, Unresolved>,
    ) -> Fallible<T> {
        self.check_rows()?;
        let cohort = |name: &str| self.cohorts.get(name).cloned();
        let context = self.context(only, &cohort);
        ask(&self.rule, &context).map_err(|unresolved| self.unresolved(&unresolved))
    }

    fn context<'a>(&'a self, only: Option<&'a str>, cohort: &'a dyn Fn(&str) -> Option<Source>) -> Context<'a> {
        Context { schema: &self.schema, as_of: &self.as_of, cohort, only }
    }

    /// The rules that the question is about: its own, and those of the cohorts that they name.
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        let of_cohorts = self.cohorts.values().filter_map(|source| match source {
            Source::Rule(rule) => Some(rule),
            Source::List(_) => None,
        });
        std::iter::once(&self.rule).chain(of_cohorts)
    }

    fn names_rows(&self) -> bool {
        self.rules().any(|rule| !rule.rows().is_empty())
    }

    /// Raises the error of a column that is no longer there.
    fn check_rows(&self) -> Fallible<()> {
        for rule in self.rules() {
            for (rows, used) in rule.rows() {
                rows::check(rows, used)?;
            }
        }
        Ok(())
    }

    /// The rule and the cohorts with the values of the rows that they name, or why plain SQL must answer.
    fn with_rows(&self) -> Fallible<&Read> {
        if let Some(read) = self.read.get() {
            return Ok(read);
        }
        let read = self.read_rows()?;
        Ok(self.read.get_or_init(|| read))
    }

    fn read_rows(&self) -> Fallible<Read> {
        let (mut rule, mut cohorts) = (self.rule.clone(), self.cohorts.clone());
        let mut reading = Reading::within(settings::eval_memory());
        let context = self.context(None, &|_| None);
        let of_cohorts = cohorts.values_mut().filter_map(|source| match source {
            Source::Rule(rule) => Some(rule),
            Source::List(_) => None,
        });
        for rule in std::iter::once(&mut rule).chain(of_cohorts) {
            let zone = rule.zone().to_owned();
            let read = rule.each_rows(&mut |rows, used| {
                let read = rows::check(rows, used)
                    .and_then(|()| reading.read(&plain_sql::read_rows(rows, used, &zone, &context), used));
                match read {
                    Ok(Ok(values)) => rows.values = Some(values),
                    Ok(Err(TooMany)) => return Err(Ok(rows.table.written.clone())),
                    Err(error) => return Err(Err(error)),
                }
                Ok(())
            });
            match read {
                Ok(()) => {}
                Err(Ok(table)) => {
                    return Ok(Err(format!("the rows of {table} would need more than kursaha_cohort.eval_memory")));
                }
                Err(Err(error)) => return Err(error),
            }
        }
        Ok(Ok((rule, cohorts)))
    }

    /// The instant of a question made with [`Question::of_rule`]: microseconds since 2000-01-01 UTC.
    pub(crate) fn instant(&self) -> i64 {
        self.instant
    }

    /// One condition of the rule as a question of its own.
    pub(crate) fn part(&self, condition: rule::Condition) -> Self {
        Self {
            rule: Rule { version: None, timezone: self.rule.timezone.clone(), condition },
            schema: self.schema.clone(),
            as_of: self.as_of.clone(),
            instant: self.instant,
            cohorts: self.cohorts.clone(),
            read: OnceCell::new(),
            query: None,
        }
    }

    /// The question of the rule alone: the cohorts that it names are taken for fixed lists.
    pub(crate) fn alone(&self) -> Self {
        let cohorts = self.cohorts.keys().map(|name| (name.clone(), Source::List(0))).collect();
        Self { cohorts, ..self.part(self.rule.condition.clone()) }
    }

    /// Makes the rule ready for the index, with the rows that it names, and asks it; or says why plain SQL must answer.
    pub(crate) fn planned<T>(
        &self,
        calendar: &dyn Calendar,
        as_of: i64,
        ask: impl FnOnce(&Plan<'_>) -> Fallible<Result<T, String>>,
    ) -> Fallible<Result<T, String>> {
        let (mut rule, mut cohorts) = (&self.rule, &self.cohorts);
        if self.names_rows() {
            match self.with_rows()? {
                Ok(read) => (rule, cohorts) = (&read.0, &read.1),
                Err(why) => return Ok(Err(why.clone())),
            }
        }
        self.plan(rule, cohorts, calendar, as_of, ask)
    }

    /// Asks what the rule made ready looks like. Rows of tables are not read.
    pub(crate) fn shape<T>(
        &self,
        calendar: &dyn Calendar,
        as_of: i64,
        ask: impl FnOnce(&Plan<'_>) -> T,
    ) -> Fallible<T> {
        self.plan(&self.rule, &self.cohorts, calendar, as_of, |plan| Ok(ask(plan)))
    }

    fn plan<T>(
        &self,
        rule: &Rule,
        cohorts: &HashMap<String, Source>,
        calendar: &dyn Calendar,
        as_of: i64,
        ask: impl FnOnce(&Plan<'_>) -> Fallible<T>,
    ) -> Fallible<T> {
        let cohort = |name: &str| cohorts.get(name).cloned();
        let plan = Plan::new(rule, as_of, calendar, &cohort).map_err(|unresolved| self.unresolved(&unresolved))?;
        ask(&plan)
    }

    /// The statement whose rows are the universe.
    pub(crate) fn universe(&self) -> String {
        self.universe_with(None)
    }

    /// The statement that has a row if one customer, given as an SQL expression, is in the universe.
    pub(crate) fn universe_of(&self, customer: &str) -> String {
        self.universe_with(Some(customer))
    }

    fn universe_with(&self, only: Option<&str>) -> String {
        plain_sql::universe(&Context { schema: &self.schema, as_of: &self.as_of, cohort: &|_| None, only })
    }

    fn unresolved(&self, unresolved: &Unresolved) -> ErrorReport {
        match unresolved {
            Unresolved::Unknown { name, path } => {
                let place = path.clone().unwrap_or_else(|| "$".to_owned());
                let error =
                    invalid(format!("invalid cohort rule at {place}: cohort \"{}\" does not exist", shorten(name)));
                let known = match names(Snapshot::Callers) {
                    Ok(known) => known,
                    Err(error) => return error,
                };
                error.set_hint(match text::nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("Did you mean \"{near}\"?"),
                    None => "Save it first with cohort_create.".to_owned(),
                })
            }
            Unresolved::Cycle(name) => invalid(format!(
                "invalid cohort rule at {}: cohort \"{}\" would refer to itself",
                self.place_of(name),
                shorten(name)
            ))
            .set_hint("Refer only to cohorts that do not refer to this one, directly or through other cohorts."),
            Unresolved::TooDeep(name) => invalid(format!(
                "invalid cohort rule at {}: the chain of references has more than {MAX_REACHED} cohorts",
                self.place_of(name)
            ))
            .set_hint("Replace a reference by the conditions of the referenced cohort."),
        }
    }

    /// The place in the rule itself where a name stands, or the first place that names any cohort.
    fn place_of(&self, name: &str) -> String {
        let places = self.rule.cohort_names();
        let place = places.iter().find(|(_, named)| *named == name).or(places.first());
        place.map_or_else(|| "$".to_owned(), |(path, _)| path.clone())
    }
}

/// What helps where a rule names a query cohort.
pub(crate) const QUERY_IN_RULE: &str =
    "cohort_import saves the members of a query as a fixed list, which a rule can name.";

/// The error of a rule that names a query cohort.
fn names_query(rule: &Rule, name: &str) -> ErrorReport {
    let places = rule.cohort_names();
    let place = places.iter().find(|(_, named)| *named == name).or(places.first());
    let place = place.map_or("$", |(path, _)| path.as_str());
    invalid(format!(
        "invalid cohort rule at {place}: cohort \"{}\" is a query, which a rule cannot name",
        shorten(name)
    ))
    .set_hint(QUERY_IN_RULE)
}

/// The names of the cohorts that a rule names itself, each once.
pub(crate) fn named_by(rule: &Rule) -> Vec<String> {
    let mut seen = HashSet::new();
    rule.cohort_names()
        .into_iter()
        .filter(|(_, name)| seen.insert((*name).to_owned()))
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn shorten(name: &str) -> String {
    if name.chars().count() <= 100 { name.to_owned() } else { name.chars().take(100).chain(['…']).collect() }
}
