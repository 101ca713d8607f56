//! Figures over events and profiles, exact, and what compares with them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use cohort_core::rule::{
    Aggregate, Amount, Compare, Comparison, Cut, EventAmount, Figure, Function, Operator, Order, Rank,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::predicate::all_hold;
use super::values::{Identity, equals, numeric, reach};
use super::world::{Event, World, is_of};

/// An exact number: a numerator over a number of values.
#[derive(Debug, Clone)]
pub struct Exact {
    over: BigDecimal,
    of: BigDecimal,
}

impl From<BigDecimal> for Exact {
    fn from(number: BigDecimal) -> Self {
        Self { over: number, of: BigDecimal::from(1) }
    }
}

impl From<usize> for Exact {
    fn from(number: usize) -> Self {
        Self::from(BigDecimal::from(BigInt::from(number)))
    }
}

impl Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.over * &other.of).cmp(&(&other.over * &self.of))
    }
}

/// Whether a number satisfies a comparison; `order` compares it with one.
fn satisfies<N>(comparison: &Comparison<N>, order: impl Fn(&N) -> Ordering) -> bool {
    match comparison {
        Comparison::Eq(other) => order(other).is_eq(),
        Comparison::Neq(other) => order(other).is_ne(),
        Comparison::Gt(other) => order(other).is_gt(),
        Comparison::Gte(other) => order(other).is_ge(),
        Comparison::Lt(other) => order(other).is_lt(),
        Comparison::Lte(other) => order(other).is_le(),
        Comparison::Between(low, high) => order(low).is_ge() && order(high).is_le(),
    }
}

/// Whether a count satisfies a comparison.
pub fn counts(comparison: &Comparison<u64>, number: usize) -> bool {
    satisfies(comparison, |other| (number as u64).cmp(other))
}

/// What a function makes of values; `None` where there is none of a kind that it uses.
fn figure(function: Function, values: &[&Value]) -> Option<Exact> {
    let numbers: Vec<BigDecimal> = values.iter().filter_map(|value| numeric(value)).collect();
    let sum = || numbers.iter().fold(BigDecimal::from(0), |sum, number| sum + number);
    match function {
        Function::CountDistinct => {
            let different: BTreeSet<Identity> = values.iter().filter_map(|value| Identity::of(value)).collect();
            (!different.is_empty()).then(|| Exact::from(different.len()))
        }
        Function::Sum => (!numbers.is_empty()).then(|| Exact::from(sum())),
        Function::Avg => {
            (!numbers.is_empty()).then(|| Exact { over: sum(), of: BigDecimal::from(BigInt::from(numbers.len())) })
        }
        Function::Min => numbers.iter().min().cloned().map(Exact::from),
        Function::Max => numbers.iter().max().cloned().map(Exact::from),
    }
}

/// Whether an aggregate over events holds; without a value it does not.
pub fn aggregates(aggregate: &Aggregate, events: &[&Event]) -> bool {
    let values: Vec<&Value> = events.iter().flat_map(|event| reach(&event.data, &aggregate.property.steps)).collect();
    let (function, comparison) = match &aggregate.figure {
        Figure::Sum(comparison) => (Function::Sum, comparison),
        Figure::Avg(comparison) => (Function::Avg, comparison),
        Figure::Min(comparison) => (Function::Min, comparison),
        Figure::Max(comparison) => (Function::Max, comparison),
        Figure::CountDistinct(comparison) => (Function::CountDistinct, comparison),
        Figure::MostFrequentIs(other) => {
            return most_frequent(&values).is_some_and(|value| equals(value, other, false));
        }
        Figure::MostFrequentIn(list) => {
            return most_frequent(&values).is_some_and(|value| list.iter().any(|other| equals(value, other, false)));
        }
    };
    figure(function, &values)
        .is_some_and(|number| satisfies(comparison, |other| number.cmp(&Exact::from(other.value().clone()))))
}

/// The most frequent scalar; a tie goes to the smallest.
fn most_frequent<'v>(values: &[&'v Value]) -> Option<&'v Value> {
    let mut found: BTreeMap<Identity, (usize, &Value)> = BTreeMap::new();
    for value in values {
        if let Some(identity) = Identity::of(value) {
            found.entry(identity).or_insert((0, value)).0 += 1;
        }
    }
    // In the order of ties: the first of the most frequent values.
    let most = found.values().map(|(count, _)| *count).max()?;
    found.into_values().find(|(count, _)| *count == most).map(|(_, value)| value)
}

impl World {
    /// The events that an amount counts, of some customers together.
    fn counted(&self, amount: &EventAmount, customers: &[usize], zone: &str) -> Vec<&Event> {
        let matches = |event: &&Event| {
            is_of(event, &amount.events)
                && all_hold(amount.filter.as_ref(), &event.data, &self.names(event, zone))
                && self.in_times(amount.time.as_ref(), event, zone)
        };
        customers.iter().flat_map(|customer| self.events_of(*customer)).filter(matches).collect()
    }

    /// The value of an amount; `None` without one.
    fn value(&self, amount: &Amount, customers: &[usize], zone: &str) -> Option<Exact> {
        match amount {
            Amount::Number(number) => Some(Exact::from(number.value().clone())),
            Amount::Profile(property) => {
                let values = reach(self.profile(customers[0]), &property.steps);
                values.first().and_then(|value| numeric(value)).map(Exact::from)
            }
            Amount::Events(amount) => {
                let events = self.counted(amount, customers, zone);
                match &amount.measure {
                    None => (!events.is_empty()).then(|| Exact::from(events.len())),
                    Some(measure) => {
                        let values: Vec<&Value> =
                            events.iter().flat_map(|event| reach(&event.data, &measure.property.steps)).collect();
                        figure(measure.function, &values)
                    }
                }
            }
        }
    }

    /// The same, where nothing counts as 0.
    fn or_zero(&self, amount: &Amount, customers: &[usize], zone: &str) -> Option<Exact> {
        let zero = match amount {
            Amount::Number(_) | Amount::Profile(_) => false,
            Amount::Events(amount) => match amount.measure.as_ref().map(|measure| measure.function) {
                None | Some(Function::Sum | Function::CountDistinct) => true,
                Some(Function::Avg | Function::Min | Function::Max) => false,
            },
        };
        self.value(amount, customers, zone).or_else(|| zero.then(|| Exact::from(0)))
    }

    pub fn compares(&self, compare: &Compare, customer: usize, zone: &str) -> bool {
        let customers = match &compare.over {
            None => vec![customer],
            Some(property) => {
                match self.groups(property).into_values().find(|customers| customers.contains(&customer)) {
                    Some(customers) => customers,
                    None => return false,
                }
            }
        };
        let (left, right) =
            (self.or_zero(&compare.left, &customers, zone), self.or_zero(&compare.right, &customers, zone));
        let (Some(left), Some(mut right)) = (left, right) else { return false };
        if let Some(factor) = &compare.factor {
            right.over = &right.over * factor.value();
        }
        let order = left.cmp(&right);
        match compare.operator {
            Operator::Eq => order.is_eq(),
            Operator::Neq => order.is_ne(),
            Operator::Gt => order.is_gt(),
            Operator::Gte => order.is_ge(),
            Operator::Lt => order.is_lt(),
            Operator::Lte => order.is_le(),
            other => panic!("{other:?} compares no figures"),
        }
    }

    pub fn is_ranked(&self, rank: &Rank, customer: usize, zone: &str) -> bool {
        let everyone: Vec<usize> = self.customers().collect();
        let together = match &rank.by {
            None => everyone,
            Some(property) => {
                match self.groups(property).into_values().find(|customers| customers.contains(&customer)) {
                    Some(customers) => customers,
                    None => return false,
                }
            }
        };
        let mut ranked: Vec<(Exact, usize)> = together
            .into_iter()
            .filter(|other| self.is_known(*other))
            .filter(|other| rank.of.as_ref().is_none_or(|of| self.holds(of, *other, zone)))
            .filter_map(|other| Some((self.value(&rank.figure, &[other], zone)?, other)))
            .collect();
        ranked.sort_by(|(left, a), (right, b)| {
            let order = match rank.order {
                Order::Most => right.cmp(left),
                Order::Least => left.cmp(right),
            };
            order.then_with(|| self.ids[*a].as_bytes().cmp(self.ids[*b].as_bytes()))
        });
        let Some(place) = ranked.iter().position(|(_, other)| *other == customer) else { return false };
        match &rank.cut {
            Cut::Top(top) => (place as u64) < top.value,
            Cut::Percent(from, to) => {
                let share = BigDecimal::from(BigInt::from(place * 100));
                let all = BigDecimal::from(BigInt::from(ranked.len()));
                from.value() * &all <= share && share < to.value() * &all
            }
        }
    }

    /// Whether the position of a customer under a salt lies in a range of percentages.
    pub fn is_sampled(&self, sample: &cohort_core::rule::Sample, customer: usize) -> bool {
        let text = format!("{}\0{}", sample.salt, self.ids[customer]);
        let digest = Sha256::digest(text);
        let hash = digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        let (position, all) = (BigDecimal::from(hash) * BigDecimal::from(100), BigDecimal::from(1_u128 << 64));
        sample.from.value() * &all <= position && position < sample.to.value() * &all
    }
}
