//! A rule made ready: every window is two instants, every test its operator's, every cohort's name its rule.

mod bound;
mod did;
mod elements;
mod planner;
mod predicate;
mod sequence;

use std::sync::Arc;

use super::clock::{Calendar, Clock};
use super::compare::{AmountPlan, ComparePlan};
use super::group::GroupPlan;
use super::limits::{Budget, Stop};
use super::needs::Needs;
use super::rank::RankPlan;
use super::sample::SamplePlan;
use super::test::Patterns;
use crate::plain_sql::{Source, Unresolved};
use crate::rule::Rule;
use crate::value::Scalar;
use planner::Planner;

pub(crate) use did::{AggregatePlan, DidPlan, holds, wanted};
pub(crate) use elements::{ElementsPlan, Held};
pub(crate) use predicate::Pred;
pub(crate) use sequence::{Carried, SequencePlan, Slot, SlotPlan, StepPlan};

/// A rule at an instant.
pub struct Plan<'a> {
    pub(crate) as_of: i64,
    pub(crate) calendar: &'a dyn Calendar,
    pub(crate) top: Node,
    pub(crate) dids: Vec<DidPlan>,
    pub(crate) profiles: Vec<ProfilePlan>,
    pub(crate) sequences: Vec<SequencePlan>,
    pub(crate) samples: Vec<SamplePlan>,
    /// The ids of each `customer_in`.
    pub(crate) ids: Vec<Arc<Vec<Scalar>>>,
    pub(crate) compares: Vec<ComparePlan>,
    /// Inner ones before outer ones.
    pub(crate) sets: Vec<SetPlan>,
    pub(crate) cohorts: Vec<CohortPlan>,
    /// The cohorts that the rule itself names, in its order.
    pub(crate) named: Vec<usize>,
}

/// A condition; leaves are places in the plan's lists.
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Did(usize),
    Profile(usize),
    Sequence(usize),
    Sample(usize),
    Ids(usize),
    Set(usize),
    Compare(usize),
    Cohort(usize),
}

/// A set of customers of which other customers decide.
pub(crate) enum SetPlan {
    Group(GroupPlan),
    Rank(RankPlan),
}

/// Another cohort.
pub(crate) enum CohortPlan {
    Rule(Node),
    /// The fixed list with this id.
    List(i64),
}

/// A property of the profile.
pub(crate) struct ProfilePlan {
    /// The positive test.
    pub(crate) pred: Pred,
    pub(crate) negated: bool,
    pub(crate) zone: Arc<str>,
}

impl<'a> Plan<'a> {
    /// Makes a rule ready.
    ///
    /// # Errors
    /// When a cohort that it names cannot be resolved.
    pub fn new(
        rule: &Rule,
        as_of: i64,
        calendar: &'a dyn Calendar,
        cohort: &dyn Fn(&str) -> Option<Source>,
    ) -> Result<Self, Unresolved> {
        let plan = Self {
            as_of,
            calendar,
            top: Node::And(Vec::new()),
            dids: Vec::new(),
            profiles: Vec::new(),
            sequences: Vec::new(),
            samples: Vec::new(),
            ids: Vec::new(),
            compares: Vec::new(),
            sets: Vec::new(),
            cohorts: Vec::new(),
            named: Vec::new(),
        };
        Planner::new(plan, cohort).plan(rule)
    }

    /// Whether everyone must be known.
    fn needs_universe(&self) -> bool {
        self.open(&self.top)
            || !self.ids.is_empty()
            || self.cohorts.iter().any(|cohort| match cohort {
                CohortPlan::Rule(node) => self.open(node),
                CohortPlan::List(_) => true,
            })
    }

    /// What all conditions look at.
    fn needs(&self) -> Needs<'_> {
        let mut needs = Needs::new();
        self.dids.iter().for_each(|did| did.needs(&mut needs));
        self.profiles.iter().for_each(|profile| needs.of_profiles(&profile.pred));
        self.sequences.iter().for_each(|sequence| sequence.needs(&mut needs));
        for keys in self.naming() {
            needs.profile(keys.first());
        }
        for amount in self.amounts() {
            match amount {
                AmountPlan::Number(_) => {}
                AmountPlan::Profile(keys) => needs.profile(keys.first()),
                AmountPlan::Events(did) => did.needs(&mut needs),
            }
        }
        if self.needs_universe() {
            needs.everyone();
        }
        needs
    }

    /// The keys of the properties that name groups.
    fn naming(&self) -> impl Iterator<Item = &Vec<String>> {
        let of_sets = self.sets.iter().filter_map(|set| match set {
            SetPlan::Group(group) => Some(&group.keys),
            SetPlan::Rank(rank) => rank.by.as_ref(),
        });
        of_sets.chain(self.compares.iter().filter_map(|compare| compare.over.as_ref()))
    }

    /// All figures.
    fn amounts(&self) -> impl Iterator<Item = &AmountPlan> {
        let of_sets = self.sets.iter().filter_map(|set| match set {
            SetPlan::Group(_) => None,
            SetPlan::Rank(rank) => Some(&rank.figure),
        });
        of_sets.chain(self.compares.iter().flat_map(ComparePlan::amounts))
    }

    /// The event types that are looked at; `None` for all.
    #[must_use]
    pub fn types(&self) -> Option<Vec<&str>> {
        self.needs().types()
    }

    /// The event types that the rule names.
    #[must_use]
    pub fn named_types(&self) -> Vec<&str> {
        self.needs().named()
    }

    /// The first and the last instant of all events that are looked at, as far as conditions say; `None` when every event
    /// may matter. Events outside need not be in the source.
    #[must_use]
    pub fn window(&self) -> Option<(i64, i64)> {
        self.needs().window()
    }

    /// The event types whose properties are looked at; `None` for all.
    #[must_use]
    pub fn types_with_data(&self) -> Option<Vec<&str>> {
        self.needs().types_with_data()
    }

    /// The first keys of all properties of events that are looked at.
    #[must_use]
    pub fn event_keys(&self) -> Vec<&str> {
        self.needs().event_keys()
    }

    /// The first keys of all properties of profiles that are looked at.
    #[must_use]
    pub fn profile_keys(&self) -> Vec<&str> {
        self.needs().profile_keys()
    }

    /// Whether profiles are looked at.
    #[must_use]
    pub fn needs_profiles(&self) -> bool {
        self.needs().profiles
    }

    /// Charges what the rule's values take, and compiles all patterns; may be interrupted before each.
    pub(crate) fn prepare(&self, budget: &Budget<'_>, check: &dyn Fn()) -> Result<(), Stop> {
        let mut patterns = Patterns::default();
        let mut all = Ok(());
        self.each_filter(&mut |filter| {
            if all.is_ok() {
                all = patterns.prepare_all(filter, budget, check);
            }
        });
        all
    }

    /// Passes on the predicates of all conditions.
    pub(crate) fn each_filter<'p>(&'p self, each: &mut dyn FnMut(&'p Pred)) {
        let figures = self.amounts().filter_map(|amount| match amount {
            AmountPlan::Events(did) => Some(did.as_ref()),
            AmountPlan::Number(_) | AmountPlan::Profile(_) => None,
        });
        for did in self.dids.iter().chain(figures) {
            [&did.filter, &did.among].into_iter().chain(did.time.filters()).for_each(&mut *each);
        }
        self.profiles.iter().for_each(|profile| each(&profile.pred));
        for step in self.sequences.iter().flat_map(|sequence| &sequence.steps) {
            step.filters().for_each(&mut *each);
        }
    }

    /// Whether it depends on other customers whether one is a member.
    #[must_use]
    pub fn looks_at_others(&self) -> bool {
        !self.sets.is_empty() || self.compares.iter().any(|compare| compare.over.is_some())
    }

    /// The ids of the fixed lists that are looked at.
    #[must_use]
    pub fn lists(&self) -> Vec<i64> {
        let lists = self.cohorts.iter().filter_map(|cohort| match cohort {
            CohortPlan::List(id) => Some(*id),
            CohortPlan::Rule(_) => None,
        });
        lists.collect()
    }

    /// The ids of each condition that takes them from rows of a table.
    #[must_use]
    pub fn ids(&self) -> &[Arc<Vec<Scalar>>] {
        &self.ids
    }

    pub(crate) fn clock<'b>(&'b self, zone: &'b str) -> Clock<'b> {
        Clock { as_of: self.as_of, zone, calendar: self.calendar }
    }

    /// Whether it may hold for a customer of whom nothing is known, so that members must be sought in the universe.
    pub(crate) fn open(&self, node: &Node) -> bool {
        self.of_unknown(node).0
    }

    /// Whether it may hold, and whether it may fail, for a customer of whom nothing is known but the id.
    fn of_unknown(&self, node: &Node) -> (bool, bool) {
        let always = |holds: bool| (holds, !holds);
        match node {
            Node::And(list) => list
                .iter()
                .map(|node| self.of_unknown(node))
                .fold((true, false), |all, one| (all.0 && one.0, all.1 || one.1)),
            Node::Or(list) => list
                .iter()
                .map(|node| self.of_unknown(node))
                .fold((false, true), |any, one| (any.0 || one.0, any.1 && one.1)),
            Node::Not(inner) => {
                let (holds, fails) = self.of_unknown(inner);
                (fails, holds)
            }
            Node::Did(did) => {
                let did = &self.dids[*did];
                always(match &did.periods {
                    Some(periods) => periods.holds(0),
                    None => did.aggregate.is_none() && did.occurrence.is_none() && did.counts(0),
                })
            }
            Node::Profile(profile) => always(self.profiles[*profile].negated),
            Node::Compare(compare) => always(self.compares[*compare].holds_for_unknown()),
            Node::Sample(_) => (true, true),
            // Members of another cohort are in the universe; who is in a group has a profile, who is ranked has a figure.
            Node::Sequence(_) | Node::Cohort(_) | Node::Ids(_) | Node::Set(_) => always(false),
        }
    }

    fn cost(&self, node: &Node) -> usize {
        match node {
            Node::And(list) | Node::Or(list) => list.iter().map(|node| self.cost(node)).fold(0, usize::saturating_add),
            Node::Not(inner) => self.cost(inner),
            Node::Did(did) => {
                let did = &self.dids[*did];
                let filtered = usize::from(!did.filter.is_nothing());
                if did.periods.is_some() {
                    return 20;
                }
                match (&did.aggregate, did.occurrence, did.existence()) {
                    (None, None, Some(_)) => 1 + filtered * 3,
                    (None, ..) => 6 + filtered * 3,
                    (Some(_), ..) => 12,
                }
            }
            Node::Profile(_) => 3,
            Node::Cohort(_) => 5,
            Node::Sequence(_) => 30,
            Node::Compare(compare) => {
                if self.compares[*compare].over.is_some() {
                    1
                } else {
                    24
                }
            }
            // It is known by now.
            Node::Set(_) | Node::Ids(_) => 1,
            // Ids are read and hashed one by one.
            Node::Sample(_) => 1_000,
        }
    }
}
