//! Makes a rule ready, condition by condition.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::clock::Clock;
use super::super::compare::{AmountPlan, ComparePlan, Exactly};
use super::super::group::GroupPlan;
use super::super::periods::PeriodsPlan;
use super::super::rank::RankPlan;
use super::super::sample::SamplePlan;
use super::super::test::split;
use super::super::time::TimePlan;
use super::bound::{BoundEvents, NoSteps};
use super::did::{AggregatePlan, DidPlan, measure};
use super::elements::elements;
use super::predicate::{Document, Pred, filter, positive};
use super::sequence::{SequencePlan, StepPlan};
use super::{CohortPlan, Node, Plan, ProfilePlan, SetPlan};
use crate::plain_sql::{Source, Unresolved};
use crate::rule::{Amount, Compare, Condition, Did, MAX_REACHED, Rule, Sequence, Times, Where};

/// Makes a rule ready, condition by condition.
pub(super) struct Planner<'a, 'c> {
    plan: Plan<'a>,
    /// The cohorts that are ready.
    names: HashMap<String, usize>,
    /// The cohorts whose rules are being made ready, from the outermost on.
    through: Vec<String>,
    cohort: &'c dyn Fn(&str) -> Option<Source>,
}

impl<'a, 'c> Planner<'a, 'c> {
    pub(super) fn new(plan: Plan<'a>, cohort: &'c dyn Fn(&str) -> Option<Source>) -> Self {
        Self { plan, names: HashMap::new(), through: Vec::new(), cohort }
    }

    /// The plan with the conditions of a rule.
    pub(super) fn plan(mut self, rule: &Rule) -> Result<Plan<'a>, Unresolved> {
        self.plan.top = self.node("$", &rule.condition, &Arc::from(rule.zone()))?;
        Ok(self.plan)
    }

    fn node(&mut self, path: &str, condition: &Condition, zone: &Arc<str>) -> Result<Node, Unresolved> {
        Ok(match condition {
            Condition::And(list) => Node::And(self.nodes(path, "and", list, zone)?),
            Condition::Or(list) => Node::Or(self.nodes(path, "or", list, zone)?),
            Condition::Not(inner) => Node::Not(Box::new(self.node(&format!("{path}.not"), inner, zone)?)),
            Condition::Did(did) => self.did(did, zone),
            Condition::DidNot(did) => Node::Not(Box::new(self.did(did, zone))),
            Condition::Profile(test) => {
                let pred = positive(test, &self.plan.clock(zone), Document::Profile, &mut NoSteps);
                let negated = test.operator.negates().is_some();
                self.plan.profiles.push(ProfilePlan { pred, negated, zone: Arc::clone(zone) });
                Node::Profile(self.plan.profiles.len() - 1)
            }
            Condition::ProfileElement(test) => {
                let pred = elements(test, &self.plan.clock(zone), Document::Profile, &mut NoSteps);
                self.plan.profiles.push(ProfilePlan { pred, negated: false, zone: Arc::clone(zone) });
                Node::Profile(self.plan.profiles.len() - 1)
            }
            Condition::Sequence(sequence) => {
                let plan = self.sequence(sequence, zone);
                self.plan.sequences.push(plan);
                Node::Sequence(self.plan.sequences.len() - 1)
            }
            Condition::Compare(compare) => {
                let plan = self.compare(compare, zone);
                self.plan.compares.push(plan);
                Node::Compare(self.plan.compares.len() - 1)
            }
            Condition::Group(group) => {
                let way = format!("{path}.{}", group.quantifier.name());
                let inner = self.node(&way, &group.condition, zone)?;
                let (keys, _) = split(&group.property.steps);
                self.plan.sets.push(SetPlan::Group(GroupPlan { keys, quantifier: group.quantifier, inner }));
                Node::Set(self.plan.sets.len() - 1)
            }
            Condition::Rank(rank) => {
                let inner = match &rank.of {
                    Some(of) => Some(self.node(&format!("{path}.of"), of, zone)?),
                    None => None,
                };
                let figure = self.amount(&rank.figure, zone);
                self.plan.sets.push(SetPlan::Rank(RankPlan::new(rank, figure, inner)));
                Node::Set(self.plan.sets.len() - 1)
            }
            Condition::Sample(sample) => {
                self.plan.samples.push(SamplePlan::new(sample));
                Node::Sample(self.plan.samples.len() - 1)
            }
            Condition::CustomerIn(rows) => {
                self.plan.ids.push(rows.values.clone().unwrap_or_default());
                Node::Ids(self.plan.ids.len() - 1)
            }
            Condition::Cohort(name) => {
                let cohort = self.cohort(path, name)?;
                if self.through.is_empty() && !self.plan.named.contains(&cohort) {
                    self.plan.named.push(cohort);
                }
                Node::Cohort(cohort)
            }
        })
    }

    fn nodes(&mut self, path: &str, word: &str, list: &[Condition], zone: &Arc<str>) -> Result<Vec<Node>, Unresolved> {
        let mut nodes = Vec::new();
        for (place, condition) in list.iter().enumerate() {
            nodes.push(self.node(&format!("{path}.{word}[{place}]"), condition, zone)?);
        }
        // Cheap conditions first: those after them look at the customers that are left.
        nodes.sort_by_key(|node| self.plan.cost(node));
        Ok(nodes)
    }

    fn did(&mut self, did: &Did, zone: &Arc<str>) -> Node {
        let clock = self.plan.clock(zone);
        let plan = DidPlan {
            types: did.events.named().map(<[String]>::to_vec),
            time: time(did.time.as_ref(), &clock, zone),
            filter: filter(did.filter.as_ref(), &clock, &mut NoSteps),
            count: did.count(),
            aggregate: did.aggregate.as_ref().map(|aggregate| {
                let (keys, inside) = split(&aggregate.property.steps);
                AggregatePlan { keys, inside, figure: aggregate.figure.clone() }
            }),
            occurrence: did.occurrence,
            periods: did.periods.as_ref().map(|periods| PeriodsPlan::new(periods, &clock)),
            among: filter(did.among.as_ref(), &clock, &mut NoSteps),
            zone: Arc::clone(zone),
        };
        self.plan.dids.push(plan);
        Node::Did(self.plan.dids.len() - 1)
    }

    fn compare(&self, compare: &Compare, zone: &Arc<str>) -> ComparePlan {
        let (relation, negated) = compare.relation();
        ComparePlan {
            left: self.amount(&compare.left, zone),
            right: self.amount(&compare.right, zone),
            relation,
            negated,
            factor: compare.factor.as_ref().map_or(Exactly::Small(1, 0), |factor| Exactly::of(factor.value())),
            over: compare.over.as_ref().map(|property| split(&property.steps).0),
        }
    }

    fn amount(&self, amount: &Amount, zone: &Arc<str>) -> AmountPlan {
        let clock = self.plan.clock(zone);
        match amount {
            Amount::Number(number) => AmountPlan::Number(number.value().clone()),
            Amount::Profile(property) => AmountPlan::Profile(split(&property.steps).0),
            Amount::Events(amount) => AmountPlan::Events(Box::new(DidPlan {
                types: amount.events.named().map(<[String]>::to_vec),
                time: time(amount.time.as_ref(), &clock, zone),
                filter: filter(amount.filter.as_ref(), &clock, &mut NoSteps),
                count: None,
                aggregate: amount.measure.as_ref().map(measure),
                occurrence: None,
                among: Pred::And(Vec::new()),
                periods: None,
                zone: Arc::clone(zone),
            })),
        }
    }

    fn sequence(&self, sequence: &Sequence, zone: &Arc<str>) -> SequencePlan {
        let clock = self.plan.clock(zone);
        let sequence = &sequence.expanded();
        let mut bound = BoundEvents { steps: &sequence.steps, place: 0, slots: Vec::new(), carried: Vec::new() };
        let mut steps = Vec::new();
        for (place, step) in sequence.steps.iter().enumerate() {
            bound.place = place;
            steps.push(StepPlan {
                kind: step.kind,
                types: step.events.named().map(<[String]>::to_vec),
                filter: filter(step.filter.as_ref(), &clock, &mut bound),
                time: time(step.time.as_ref(), &clock, zone),
                occurrence: step
                    .occurrence
                    .map(|occurrence| (occurrence, filter(step.among.as_ref(), &clock, &mut NoSteps))),
                within: step.within.clone(),
                after: step.after.clone(),
            });
        }
        let BoundEvents { slots, carried, .. } = bound;
        SequencePlan { steps, within: sequence.within.clone(), slots, bound: carried, zone: Arc::clone(zone) }
    }

    fn cohort(&mut self, path: &str, name: &str) -> Result<usize, Unresolved> {
        if let Some(known) = self.names.get(name) {
            return Ok(*known);
        }
        if self.through.iter().any(|through| through == name) {
            return Err(Unresolved::Cycle(name.to_owned()));
        }
        if self.through.len() >= MAX_REACHED {
            return Err(Unresolved::TooDeep(name.to_owned()));
        }
        let cohort = match (self.cohort)(name) {
            None => {
                let path = self.through.is_empty().then(|| format!("{path}.cohort"));
                return Err(Unresolved::Unknown { name: name.to_owned(), path });
            }
            Some(Source::List(id)) => CohortPlan::List(id),
            Some(Source::Rule(rule)) => {
                self.through.push(name.to_owned());
                let node = self.node("$", &rule.condition, &Arc::from(rule.zone()))?;
                self.through.pop();
                CohortPlan::Rule(node)
            }
        };
        self.plan.cohorts.push(cohort);
        self.names.insert(name.to_owned(), self.plan.cohorts.len() - 1);
        Ok(self.plan.cohorts.len() - 1)
    }
}

fn time(times: Option<&Times>, clock: &Clock, zone: &Arc<str>) -> TimePlan {
    let mut of_anchor = |where_: Option<&Where>| filter(where_, clock, &mut NoSteps);
    TimePlan::new(times.map_or(&[], Times::forms), clock, zone, &mut of_anchor)
}
