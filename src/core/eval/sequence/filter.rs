//! The predicates of a step: what the event answers alone, and what it answers with the events bound before.

use std::sync::Arc;

use super::super::clock::Clock;
use super::super::limits::Stop;
use super::super::plan::{Carried, ElementsPlan, Held, Pred, SlotPlan};
use super::super::refer::How;
use super::super::values::{Interned, Join};
use super::history::{Event, History};
use super::states::Way;
use crate::rule::{Family, Relation};

/// How a step's filter is answered.
pub(super) enum StepFilter {
    /// By the event's own data: known when the event is collected.
    Known,
    /// By the event and those bound.
    Refers(Tree),
}

/// A filter with references; leaves without are places among an event's conditions.
pub(super) enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Condition(usize),
    Same { own: usize, other: usize, how: How },
    Elements(Arc<ElementsPlan>),
}

pub(super) fn tree(pred: &Pred, leaves: &mut Vec<Pred>) -> Tree {
    if !pred.refers() {
        leaves.push(pred.clone());
        return Tree::Condition(leaves.len() - 1);
    }
    match pred {
        Pred::And(list) => Tree::And(list.iter().map(|pred| tree(pred, leaves)).collect()),
        Pred::Or(list) => Tree::Or(list.iter().map(|pred| tree(pred, leaves)).collect()),
        Pred::Not(inner) => Tree::Not(Box::new(tree(inner, leaves))),
        Pred::Same { own, other, how } => Tree::Same { own: *own, other: *other, how: *how },
        Pred::Elements(elements) => Tree::Elements(Arc::clone(elements)),
        // They refer to no other event, so they were leaves.
        Pred::Test(_) | Pred::Refer(_) => Tree::Or(Vec::new()),
    }
}

impl Way {
    /// Whether its conditions hold of an event.
    pub(super) fn is_open(&self, history: History<'_>, event: &Event) -> bool {
        self.conditions.iter().all(|condition| history.condition(event, *condition))
    }
}

/// The most ways of a step that are told apart.
const MOST_WAYS: usize = 8;
/// The most equalities of a way that states are found by.
const MOST_JOINS: usize = 4;

/// The ways in which a step's filter may hold.
pub(super) fn ways(answer: &StepFilter, slots: &[SlotPlan], bound: &[Carried]) -> Vec<Way> {
    fn of_tree(tree: &Tree) -> Vec<Way> {
        match tree {
            Tree::Same { own, other, how: How { family: Family::Order(Relation::Eq), ignore_case } } => {
                let join = Join { own: *own, other: *other, ignore_case: *ignore_case };
                vec![Way { joins: vec![join], ..Way::default() }]
            }
            Tree::Condition(place) => vec![Way { conditions: vec![*place], ..Way::default() }],
            Tree::Elements(elements) => {
                let join = |(own, other, ignore_case): &(usize, usize, bool)| Join {
                    own: *own,
                    other: *other,
                    ignore_case: *ignore_case,
                };
                vec![Way { joins: elements.equal.iter().map(join).collect(), ..Way::default() }]
            }
            Tree::Same { .. } | Tree::Not(_) => vec![Way::default()],
            Tree::And(list) => list.iter().map(of_tree).fold(vec![Way::default()], |all, more| {
                if all.len() * more.len() > MOST_WAYS {
                    return all; // fewer are ruled out
                }
                let both = |one: &Way, other: &Way| Way {
                    conditions: [one.conditions.as_slice(), &other.conditions].concat(),
                    joins: [one.joins.as_slice(), &other.joins].concat(),
                };
                all.iter().flat_map(|one| more.iter().map(move |other| both(one, other))).collect()
            }),
            Tree::Or(list) => {
                let all: Vec<Way> = list.iter().flat_map(of_tree).collect();
                if all.len() > MOST_WAYS { vec![Way::default()] } else { all }
            }
        }
    }
    let StepFilter::Refers(tree) = answer else { return vec![Way::default()] };
    let mut ways = of_tree(tree);
    for way in &mut ways {
        // Of properties that have one value each, several are found together; of lists there would be too many pairs.
        let single = |join: &Join| slots[join.own].is_single() && slots[bound[join.other].slot].is_single();
        let singles: Vec<Join> = way.joins.iter().copied().filter(single).take(MOST_JOINS).collect();
        if singles.is_empty() { way.joins.truncate(1) } else { way.joins = singles }
    }
    ways
}

pub(super) fn decide(
    tree: &Tree,
    history: History<'_>,
    event: &Event,
    kept: &[u32],
    values: &mut Interned<'_>,
    clock: &Clock,
) -> Result<bool, Stop> {
    match tree {
        Tree::And(list) => {
            for tree in list {
                if !decide(tree, history, event, kept, values, clock)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Tree::Or(list) => {
            for tree in list {
                if decide(tree, history, event, kept, values, clock)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Tree::Not(inner) => Ok(!decide(inner, history, event, kept, values, clock)?),
        Tree::Condition(place) => Ok(history.condition(event, *place)),
        Tree::Same { own, other, how } => values.same(history.slot(event, *own), kept[*other], *how, clock),
        Tree::Elements(elements) => {
            let list = |held: &Held| match *held {
                Held::Slot(slot) => history.slot(event, slot),
                Held::Bound(place) => kept[place],
            };
            let lists = std::iter::once(history.slot(event, elements.arrays));
            let lists = lists.chain(elements.outside.iter().map(|(_, held)| list(held))).collect();
            Ok(values.any_element(elements, lists, clock))
        }
    }
}
