//! `did`, and figures over events, made ready.

use std::sync::Arc;

use super::super::needs::Needs;
use super::super::periods::PeriodsPlan;
use super::super::test::split;
use super::super::time::TimePlan;
use super::predicate::Pred;
use crate::rule::{Comparison, Figure, Function, Measure, Occurrence, PathStep};
use crate::value::{Number, Scalar};

/// `did`.
pub(crate) struct DidPlan {
    pub(crate) types: Option<Vec<String>>,
    /// Which events count.
    pub(crate) time: TimePlan,
    pub(crate) filter: Pred,
    pub(crate) count: Option<Comparison<u64>>,
    pub(crate) aggregate: Option<AggregatePlan>,
    pub(crate) occurrence: Option<Occurrence>,
    /// The events of which one is taken.
    pub(crate) among: Pred,
    pub(crate) periods: Option<PeriodsPlan>,
    pub(crate) zone: Arc<str>,
}

impl DidPlan {
    pub(super) fn needs<'p>(&'p self, needs: &mut Needs<'p>) {
        let types = self.types.as_deref();
        // A customer's first event may be the very first of all.
        needs.events(types, self.occurrence.is_none().then_some(self.time.window));
        self.time.needs(needs);
        needs.filter(types, &self.filter);
        needs.filter(types, &self.among);
        if let Some(aggregate) = &self.aggregate {
            needs.data(types, aggregate.keys.first());
        }
    }

    /// Of a figure: whether it is 0 where there is no value.
    pub(crate) fn is_zero_without_events(&self) -> bool {
        match self.aggregate.as_ref().map(|aggregate| &aggregate.figure) {
            None | Some(Figure::Sum(_) | Figure::CountDistinct(_)) => true,
            Some(
                Figure::Avg(_)
                | Figure::Min(_)
                | Figure::Max(_)
                | Figure::MostFrequentIs(_)
                | Figure::MostFrequentIn(_),
            ) => false,
        }
    }

    /// Whether this number of matching events satisfies `count`.
    pub(crate) fn counts(&self, events: u64) -> bool {
        self.count.as_ref().map_or(events >= 1, |count| holds(count, events))
    }

    /// The same as numbers of events from one to another, both included, or all others.
    pub(crate) fn bounds(&self) -> (u32, u32, bool) {
        // No customer has more events than that in a chunk's counters.
        let near = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        match self.count {
            None => (1, u32::MAX, false),
            Some(Comparison::Eq(number)) => (near(number), near(number), false),
            Some(Comparison::Neq(number)) => (near(number), near(number), true),
            Some(Comparison::Gt(number)) => match near(number).checked_add(1) {
                Some(low) => (low, u32::MAX, false),
                None => (0, u32::MAX, true),
            },
            Some(Comparison::Gte(number)) => (near(number), u32::MAX, false),
            Some(Comparison::Lt(number)) => match near(number).checked_sub(1) {
                Some(high) => (0, high, false),
                None => (0, u32::MAX, true),
            },
            Some(Comparison::Lte(number)) => (0, near(number), false),
            Some(Comparison::Between(low, high)) => (near(low), near(high), false), // the lower comes first
        }
    }

    /// Whether it only matters if there is a matching event: then what is the answer when there is one.
    pub(crate) fn existence(&self) -> Option<bool> {
        if self.aggregate.is_some() || self.occurrence.is_some() || self.periods.is_some() {
            return None;
        }
        match self.count {
            None | Some(Comparison::Gte(1) | Comparison::Gt(0) | Comparison::Neq(0)) => Some(true),
            Some(Comparison::Eq(0) | Comparison::Lt(1) | Comparison::Lte(0) | Comparison::Between(0, 0)) => Some(false),
            Some(_) => None,
        }
    }
}

/// A figure over the matching events.
pub(crate) struct AggregatePlan {
    pub(crate) keys: Vec<String>,
    pub(crate) inside: Vec<PathStep>,
    pub(crate) figure: Figure,
}

/// Whether a number satisfies a comparison.
pub(crate) fn holds(comparison: &Comparison<u64>, number: u64) -> bool {
    match *comparison {
        Comparison::Eq(other) => number == other,
        Comparison::Neq(other) => number != other,
        Comparison::Gt(other) => number > other,
        Comparison::Gte(other) => number >= other,
        Comparison::Lt(other) => number < other,
        Comparison::Lte(other) => number <= other,
        Comparison::Between(low, high) => (low..=high).contains(&number),
    }
}

/// A figure's measure as an aggregate, whose comparison is not asked.
pub(super) fn measure(measure: &Measure) -> AggregatePlan {
    let (keys, inside) = split(&measure.property.steps);
    let figure = Number::parse("0").map(Comparison::Eq).map(match measure.function {
        Function::Sum => Figure::Sum,
        Function::Avg => Figure::Avg,
        Function::Min => Figure::Min,
        Function::Max => Figure::Max,
        Function::CountDistinct => Figure::CountDistinct,
    });
    AggregatePlan { keys, inside, figure: figure.expect("0 is a number") }
}

/// The scalars that `most_frequent` is compared with.
pub(crate) fn wanted(figure: &Figure) -> Option<&[Scalar]> {
    match figure {
        Figure::MostFrequentIs(scalar) => Some(std::slice::from_ref(scalar)),
        Figure::MostFrequentIn(scalars) => Some(scalars),
        Figure::Sum(_) | Figure::Avg(_) | Figure::Min(_) | Figure::Max(_) | Figure::CountDistinct(_) => None,
    }
}
