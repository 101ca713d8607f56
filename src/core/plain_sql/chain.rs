//! A rule as a chain of common table expressions, one per condition.
//!
//! Every condition yields a set of customers or the complement of a set. Complements are resolved against the universe at
//! the end, and only if necessary, because the universe is the most expensive set.

use std::collections::HashMap;

use super::clock::Clock;
use super::did::{Found, customers};
use super::predicate::{element, positive};
use super::scan::Scan;
use super::{Context, HELPERS, Source, Unresolved, compare, group, quote, rank, rows, sequence};
use crate::rule::{Condition, MAX_REACHED, Rule};

/// The result of a condition.
#[derive(Clone)]
pub(super) struct Set {
    /// The common table expression's name.
    table: String,
    /// Whether the condition holds for the complement of the table.
    all_but: bool,
}

impl Set {
    /// Whether a customer is in it.
    fn holds(&self, customer: &str) -> String {
        let not = if self.all_but { "NOT " } else { "" };
        format!("{customer} {not}IN ({FROM}{})", self.table)
    }
}

/// The chain as far as it is written.
pub(super) struct Chain<'a> {
    cx: &'a Context<'a>,
    tables: Vec<String>,
    conditions: usize,
    universe: bool,
    /// Cohorts that are in the chain already.
    cohorts: HashMap<String, Set>,
    /// The cohorts through which the one being written was reached.
    through: Vec<String>,
}

/// A condition's place in its rule.
pub(super) struct Place<'a> {
    pub(super) condition: &'a Condition,
    pub(super) path: String,
}

/// The conditions right below one, with their places.
pub(super) fn below<'a>(place: &Place<'a>) -> Vec<Place<'a>> {
    let children = place.condition.children().into_iter();
    children.map(|(way, condition)| Place { condition, path: format!("{}{way}", place.path) }).collect()
}

/// The statement that returns a condition's members.
pub(super) fn members(place: &Place, clock: &Clock, cx: &Context) -> Result<String, Unresolved> {
    if let Some(customer) = cx.only.filter(|_| looks_at_others(place.condition, cx, &mut Vec::new())) {
        // What one customer is asked depends on others: all are asked, and one is taken.
        let everyone = members(place, clock, &Context { only: None, ..*cx })?;
        return Ok(format!(
            "SELECT m.customer_id\nFROM (\n{}\n) m\nWHERE m.customer_id = {customer}",
            quote::indent(&everyone)
        ));
    }
    let mut chain =
        Chain { cx, tables: Vec::new(), conditions: 0, universe: false, cohorts: HashMap::new(), through: Vec::new() };
    let set = chain.condition(place, clock)?;
    let last = if set.all_but {
        chain.universe = true;
        format!("{FROM}universe\nEXCEPT\n{FROM}{}", set.table)
    } else {
        format!("{FROM}{}", set.table)
    };
    if chain.universe {
        let comment = "-- everyone: customers with a profile or an event";
        chain.tables.insert(0, format!("{comment}\nuniverse AS (\n{}\n)", quote::indent(&super::universe(cx))));
    }
    Ok(format!("WITH\n{}\n{last}", chain.tables.join(",\n")))
}

/// Whether it depends on other customers whether a condition holds of one.
pub(super) fn looks_at_others(condition: &Condition, cx: &Context, through: &mut Vec<String>) -> bool {
    match condition {
        Condition::Group(_) | Condition::Rank(_) => true,
        Condition::Compare(compare) => compare.over.is_some(),
        Condition::Cohort(name) => {
            if through.contains(name) {
                return false;
            }
            through.push(name.clone());
            match (cx.cohort)(name) {
                Some(Source::Rule(rule)) => looks_at_others(&rule.condition, cx, through),
                Some(Source::List(_)) | None => false,
            }
        }
        Condition::And(_)
        | Condition::Or(_)
        | Condition::Not(_)
        | Condition::Did(_)
        | Condition::DidNot(_)
        | Condition::Sequence(_)
        | Condition::Profile(_)
        | Condition::ProfileElement(_)
        | Condition::CustomerIn(_)
        | Condition::Sample(_) => {
            condition.children().into_iter().any(|(_, child)| looks_at_others(child, cx, through))
        }
    }
}

const FROM: &str = "SELECT customer_id FROM ";

impl Chain<'_> {
    fn condition(&mut self, place: &Place, clock: &Clock) -> Result<Set, Unresolved> {
        match place.condition {
            Condition::And(_) => {
                let sets = self.conditions(place, clock)?;
                let (inside, outside) = split(&sets);
                Ok(self.combine(place, inside, outside, "INTERSECT", "UNION", false))
            }
            Condition::Or(_) => {
                // By De Morgan: outside are those that every part leaves out.
                let sets = self.conditions(place, clock)?;
                let (inside, outside) = split(&sets);
                Ok(self.combine(place, outside, inside, "INTERSECT", "UNION", true))
            }
            Condition::Not(_) => {
                let sets = self.conditions(place, clock)?;
                Ok(sets.into_iter().next().map_or_else(|| self.everyone(), |set| Set { all_but: !set.all_but, ..set }))
            }
            Condition::Did(did) => {
                let found = customers(did, self.cx, clock);
                Ok(self.found(place, found, false))
            }
            Condition::DidNot(did) => {
                let found = customers(did, self.cx, clock);
                Ok(self.found(place, found, true))
            }
            Condition::Profile(test) => {
                let mut conditions: Vec<String> =
                    self.cx.only.iter().map(|customer| format!("p.customer_id = {customer}")).collect();
                conditions.push(positive(test, "p.profile", clock, &|_| "p.profile".to_owned()));
                let sql = format!(
                    "SELECT p.customer_id\nFROM {}.cohort_customer p\n{}",
                    self.cx.schema,
                    quote::wheres(&conditions)
                );
                // A negation is true of customers without a profile row, too.
                Ok(self.leaf(place, &sql, test.operator.negates().is_some()))
            }
            Condition::ProfileElement(test) => {
                let mut conditions: Vec<String> =
                    self.cx.only.iter().map(|customer| format!("p.customer_id = {customer}")).collect();
                conditions.push(element(test, "p.profile", clock, &|_| "p.profile".to_owned()));
                let table = format!("{}.cohort_customer p", self.cx.schema);
                let scan = Scan { from: vec![table], conditions };
                Ok(self.leaf(place, &scan.select("p.customer_id"), false))
            }
            Condition::Cohort(name) => self.cohort(name, &place.path),
            Condition::CustomerIn(rows) => {
                let everyone = self.everyone().table;
                Ok(self.leaf(place, &rows::customers(rows, &everyone, clock), false))
            }
            Condition::Compare(compare) => {
                let everyone = if compare.over.is_some() { String::new() } else { self.everyone().table };
                Ok(self.leaf(place, &compare::customers(compare, self.cx, clock, &everyone), false))
            }
            Condition::Rank(ranking) => {
                let of = self.conditions(place, clock)?.into_iter().next().map(|of| of.holds("f.key"));
                Ok(self.leaf(place, &rank::customers(ranking, of.as_deref(), self.cx, clock), false))
            }
            Condition::Group(group) => {
                let sets = self.conditions(place, clock)?;
                let Some(inner) = sets.into_iter().next() else { return Ok(self.everyone()) };
                let satisfied = inner.holds("s.customer_id");
                Ok(self.leaf(place, &group::customers(group, &satisfied, self.cx), false))
            }
            Condition::Sample(sample) => {
                let in_range = super::sample::in_range(sample, "u.customer_id", self.cx);
                let everyone = self.everyone();
                Ok(self.leaf(
                    place,
                    &format!("SELECT u.customer_id\nFROM {} u\n{}", everyone.table, quote::wheres(&in_range)),
                    false,
                ))
            }
            Condition::Sequence(steps) => {
                let name = self.next_name();
                let statements = sequence::statements(steps, self.cx, clock, &name, false);
                let mut comment = comment(place, false, &name);
                for (step, sql) in &statements.steps {
                    // Inlined into one another, a thousand steps would exceed the planner's stack.
                    self.tables.push(format!("{comment}{step} AS MATERIALIZED (\n{}\n)", quote::indent(sql)));
                    comment.clear();
                }
                let last = format!("SELECT DISTINCT s.customer_id\n{}", statements.satisfied);
                self.tables.push(format!("{name} AS (\n{}\n)", quote::indent(&last)));
                Ok(Set { table: name, all_but: false })
            }
        }
    }

    fn conditions(&mut self, place: &Place, clock: &Clock) -> Result<Vec<Set>, Unresolved> {
        below(place).iter().map(|place| self.condition(place, clock)).collect()
    }

    /// The customers in all of `kept` and in none of `removed`. Without `kept`, the complement of the union of
    /// `removed`. With `all_but`, the set contains the customers who do not satisfy the condition.
    fn combine(
        &mut self,
        place: &Place,
        kept: Vec<String>,
        removed: Vec<String>,
        every: &str,
        any: &str,
        all_but: bool,
    ) -> Set {
        let all = |tables: Vec<String>, word: &str| {
            let selects: Vec<String> = tables.into_iter().map(|table| format!("{FROM}{table}")).collect();
            selects.join(&format!("\n{word}\n"))
        };
        if kept.is_empty() {
            return self.named(place, removed, |removed| all(removed, any), !all_but);
        }
        if removed.is_empty() {
            return self.named(place, kept, |kept| all(kept, every), all_but);
        }
        let sql = format!("{}\nEXCEPT\n{}", all(kept, every), all(removed, "EXCEPT"));
        self.leaf(place, &sql, all_but)
    }

    /// The name of a single table, or a combination of several.
    fn named(&mut self, place: &Place, tables: Vec<String>, all: impl Fn(Vec<String>) -> String, all_but: bool) -> Set {
        match <[String; 1]>::try_from(tables) {
            Ok([table]) => Set { table, all_but },
            Err(tables) => self.leaf(place, &all(tables), all_but),
        }
    }

    fn found(&mut self, place: &Place, found: Found, negated: bool) -> Set {
        match found {
            Found::These(sql) => self.leaf(place, &sql, negated),
            Found::AllBut(sql) => self.leaf(place, &sql, !negated),
            Found::Everyone => Set { all_but: negated, ..self.everyone() },
        }
    }

    fn everyone(&mut self) -> Set {
        self.universe = true;
        Set { table: "universe".to_owned(), all_but: false }
    }

    fn next_name(&mut self) -> String {
        self.conditions += 1;
        format!("c{}", self.conditions)
    }

    fn leaf(&mut self, place: &Place, sql: &str, all_but: bool) -> Set {
        let table = self.next_name();
        let comment = comment(place, all_but, &table);
        self.tables.push(format!("{comment}{table} AS (\n{}\n)", quote::indent(sql)));
        Set { table, all_but }
    }

    fn cohort(&mut self, name: &str, path: &str) -> Result<Set, Unresolved> {
        if let Some(set) = self.cohorts.get(name) {
            return Ok(set.clone());
        }
        if self.through.iter().any(|through| through == name) {
            return Err(Unresolved::Cycle(name.to_owned()));
        }
        if self.through.len() >= MAX_REACHED {
            return Err(Unresolved::TooDeep(name.to_owned()));
        }
        let Some(source) = (self.cx.cohort)(name) else {
            return Err(Unresolved::Unknown {
                name: name.to_owned(),
                path: self.through.is_empty().then(|| format!("{path}.cohort")),
            });
        };
        let (sql, all_but) = match source {
            Source::Rule(rule) => {
                let set = self.rule(name, &rule)?;
                (format!("{FROM}{}", set.table), set.all_but)
            }
            Source::List(cohort_id) => (self.list(cohort_id), false),
        };
        let table = format!("cohort_{}", self.cohorts.len() + 1);
        let holds = if all_but { format!(" ({table} holds everyone else)") } else { String::new() };
        let words = quote::comment(&format!("cohort {name:?}"));
        // MATERIALIZED: evaluated once, however often it is named.
        self.tables.push(format!("-- {words}{holds}\n{table} AS MATERIALIZED (\n{}\n)", quote::indent(&sql)));
        let set = Set { table, all_but };
        self.cohorts.insert(name.to_owned(), set.clone());
        Ok(set)
    }

    fn rule(&mut self, name: &str, rule: &Rule) -> Result<Set, Unresolved> {
        self.through.push(name.to_owned());
        let clock = Clock { as_of: self.cx.as_of, zone: quote::text(rule.zone()) };
        let place = Place { condition: &rule.condition, path: format!("{name:?} $") };
        let set = self.condition(&place, &clock);
        self.through.pop();
        set
    }

    /// The rows of a fixed list that are in the universe, without reading all of the universe.
    fn list(&self, cohort_id: i64) -> String {
        let Context { schema, as_of, only, .. } = self.cx;
        let only = only.map_or(String::new(), |customer| {
            format!("\n  AND l.customer_id = {customer} AND l.from_id <= {customer} AND l.last_id >= {customer}")
        });
        let rows = format!(
            "SELECT l.customer_id\nFROM {HELPERS}.readable_list_member l\nWHERE l.cohort_id = {cohort_id}{only}"
        );
        format!(
            "{rows}\n  AND EXISTS (SELECT 1 FROM {schema}.cohort_customer p WHERE p.customer_id = l.customer_id)\n\
             UNION\n\
             {rows}\n  AND EXISTS (\n    SELECT 1\n    FROM {schema}.cohort_event e\n    \
             WHERE e.customer_id = l.customer_id\n      AND e.occurred_at <= {as_of}\n  )"
        )
    }
}

/// The tables of sets, and of complements.
fn split(sets: &[Set]) -> (Vec<String>, Vec<String>) {
    let tables = |all_but| sets.iter().filter(|set| set.all_but == all_but).map(|set| set.table.clone()).collect();
    (tables(false), tables(true))
}

fn comment(place: &Place, all_but: bool, table: &str) -> String {
    let words = match place.condition {
        // What these are made of stands in the statement below.
        Condition::And(_) => "all of these".to_owned(),
        Condition::Or(_) => "any of these".to_owned(),
        condition => quote::comment(&condition.describe()),
    };
    let holds = if all_but { format!(" ({table} holds everyone else)") } else { String::new() };
    format!("-- {}: {words}{holds}\n", quote::comment(&place.path))
}
