//! Whom a sync sends: the members of its cohort, less those of cohorts above it in the list that it follows, less those
//! that are suppressed.

use cohort_core::rule::{Condition, Rule};

use super::{priority, suppression};
use crate::pg::answer;
use crate::pg::errors::Fallible;
use crate::pg::spi::Snapshot;
use crate::pg::store::{self, Question};
use crate::pg::time;

/// Whom a sync sends, and of whom suppression takes them.
pub(super) struct Audience {
    /// Whom it sends.
    pub(super) question: Question,
    /// Whom it would send if nobody were suppressed, where cohorts are.
    unsuppressed: Option<Question>,
}

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
            return Ok(Self { question, unsuppressed: None });
        }
        let rule = Question::rule_of(&store::get(Snapshot::Callers, cohort)?)?;
        let rule = without(rule, &above);
        let question = |rule: &Rule| Question::of_rule(Snapshot::Callers, rule.clone(), as_of);
        if suppressed.is_empty() {
            return Ok(Self { question: question(&rule)?, unsuppressed: None });
        }
        let unsuppressed = question(&rule)?;
        Ok(Self { question: question(&without(rule, &suppressed))?, unsuppressed: Some(unsuppressed) })
    }

    /// The number of the cohort's members that are suppressed, where `sent` members are sent; under the same snapshot.
    pub(super) fn suppressed(&self, sent: u64) -> Fallible<u64> {
        let Some(all) = &self.unsuppressed else { return Ok(0) };
        Ok(u64::try_from(answer::size(all)?).unwrap_or(0).saturating_sub(sent))
    }
}

/// A rule less the members of some cohorts.
fn without(rule: Rule, cohorts: &[String]) -> Rule {
    if cohorts.is_empty() {
        return rule;
    }
    let others = cohorts.iter().map(|name| Condition::Not(Box::new(Condition::Cohort(name.clone()))));
    Rule { condition: Condition::And(std::iter::once(rule.condition).chain(others).collect()), ..rule }
}
