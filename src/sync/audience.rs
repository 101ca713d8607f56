//! Whom a sync sends: the members of its cohort, less those of cohorts above it in the list that it follows, less those
//! that are suppressed.

use std::cell::Cell;
use std::collections::HashSet;

use cohort_core::rule::{Condition, Rule};

use super::{priority, suppression};
use crate::pg::answer;
use crate::pg::errors::Fallible;
use crate::pg::index::Evaluated;
use crate::pg::query::{Given, Query, Wish};
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Question};
use crate::pg::time;

/// Whom a sync sends.
#[expect(clippy::large_enum_variant, reason = "there is one in a run")]
pub(super) enum Audience {
    /// One question selects them.
    Selected {
        question: Question,
        /// Whom it would send if nobody were suppressed, where cohorts are.
        unsuppressed: Option<Question>,
    },
    /// The members of a cohort that are not among some ids. A rule cannot name a query cohort, and whom a query returns need
    /// not be in the universe.
    Filtered { question: Question, above: HashSet<String>, suppressed: HashSet<String>, left_out: Cell<u64> },
}

/// A slice of the members: their ids, and what a query returned of each.
type Slice<'a> = dyn FnMut(&[String], Option<&[Given]>) -> Fallible<()> + 'a;

impl Audience {
    /// As the active snapshot has it; `sync` is none for a pair without one.
    pub(super) fn of(cohort: &str, destination: i64, sync: Option<i64>) -> Fallible<Self> {
        let (mut above, mut suppressed) = (Vec::new(), Vec::new());
        if suppression::is_known()? {
            above = sync.map_or_else(|| Ok(Vec::new()), priority::above)?;
            suppressed = suppression::at(destination)?;
        }
        let as_of = time::as_of(None)?;
        if above.is_empty() && suppressed.is_empty() {
            let question = Question::of_cohort(Snapshot::Callers, cohort, as_of)?;
            return Ok(Self::Selected { question, unsuppressed: None });
        }
        for name in std::iter::once(cohort).chain(above.iter().chain(&suppressed).map(String::as_str)) {
            if store::is_query(name)? {
                return Ok(Self::Filtered {
                    question: Question::of_cohort(Snapshot::Callers, cohort, as_of)?,
                    above: ids_of(&above)?,
                    suppressed: ids_of(&suppressed)?,
                    left_out: Cell::new(0),
                });
            }
        }
        let rule = Question::rule_of(&store::get(Snapshot::Callers, cohort)?)?;
        let rule = without(rule, &above);
        let question = |rule: &Rule| Question::of_rule(Snapshot::Callers, rule.clone(), as_of);
        if suppressed.is_empty() {
            return Ok(Self::Selected { question: question(&rule)?, unsuppressed: None });
        }
        let unsuppressed = question(&rule)?;
        Ok(Self::Selected { question: question(&without(rule, &suppressed))?, unsuppressed: Some(unsuppressed) })
    }

    /// They as ordinals, where one question selects them and the index answers it.
    pub(super) fn ordinals(&self) -> Fallible<Option<Evaluated>> {
        match self {
            Self::Selected { question, .. } => answer::ordinals(question),
            Self::Filtered { .. } => Ok(None),
        }
    }

    /// Passes them to a closure in slices of at most `most`; returns their number. `profiles`: with what a query returns.
    pub(super) fn in_slices(&self, most: usize, profiles: bool, each: &mut Slice<'_>) -> Fallible<u64> {
        let (question, less) = match self {
            Self::Selected { question, .. } => (question, None),
            Self::Filtered { question, above, suppressed, left_out } => (question, Some((above, suppressed, left_out))),
        };
        let mut total = 0;
        let keep = |id: &String| {
            let Some((above, suppressed, left_out)) = less else { return true };
            if above.contains(id) {
                return false;
            }
            let sent = !suppressed.contains(id);
            if !sent {
                left_out.set(left_out.get() + 1);
            }
            sent
        };
        let Some(query) = question.query() else {
            answer::in_slices(question, most, &mut |ids| {
                let ids: Vec<String> = ids.iter().filter(|id| keep(id)).cloned().collect();
                total += ids.len() as u64;
                if ids.is_empty() { Ok(()) } else { each(&ids, None) }
            })?;
            return Ok(total);
        };
        let gives = profiles && query.has_profile();
        query.each(&Wish { profiles, among: None }, most, &mut |members| {
            let kept = members.into_iter().filter(|member| keep(&member.id));
            let (ids, profiles): (Vec<String>, Vec<Given>) = kept.map(|member| (member.id, member.given)).unzip();
            total += ids.len() as u64;
            if ids.is_empty() { Ok(()) } else { each(&ids, gives.then_some(profiles.as_slice())) }
        })?;
        Ok(total)
    }

    /// The number of the cohort's members that are suppressed, where `sent` members are sent; under the same snapshot.
    pub(super) fn suppressed(&self, sent: u64) -> Fallible<u64> {
        match self {
            Self::Selected { unsuppressed: None, .. } => Ok(0),
            Self::Selected { unsuppressed: Some(all), .. } => {
                Ok(u64::try_from(answer::size(all)?).unwrap_or(0).saturating_sub(sent))
            }
            Self::Filtered { left_out, .. } => Ok(left_out.get()),
        }
    }
}

/// The ids of the members of some cohorts. Of a fixed list all ids: that an id is in no universe is no reason to send it.
fn ids_of(cohorts: &[String]) -> Fallible<HashSet<String>> {
    let as_of = time::as_of(None)?;
    let mut found = HashSet::new();
    for name in cohorts {
        let cohort = store::get(Snapshot::Callers, name)?;
        if cohort.rule.is_none() && !cohort.is_query {
            spi::each(
                Snapshot::Callers,
                "SELECT m.customer_id FROM kursaha_cohort.readable_list_member m WHERE m.cohort_id = $1",
                &[cohort.id.into()],
                |row| {
                    found.insert(row.need::<String>(1)?);
                    Ok(())
                },
            )?;
        } else {
            found.extend(answer::members(&Question::of_cohort(Snapshot::Callers, name, as_of)?)?);
        }
    }
    Ok(found)
}

/// The query of a cohort, if it is a query that returns profiles.
pub(super) fn query_with_profiles(cohort: &str) -> Fallible<Option<Question>> {
    if !store::is_query(cohort)? {
        return Ok(None);
    }
    let question = Question::of_cohort(Snapshot::Callers, cohort, time::as_of(None)?)?;
    Ok(Some(question).filter(|question| question.query().is_some_and(Query::has_profile)))
}

/// A rule less the members of some cohorts.
fn without(rule: Rule, cohorts: &[String]) -> Rule {
    if cohorts.is_empty() {
        return rule;
    }
    let others = cohorts.iter().map(|name| Condition::Not(Box::new(Condition::Cohort(name.clone()))));
    Rule { condition: Condition::And(std::iter::once(rule.condition).chain(others).collect()), ..rule }
}
