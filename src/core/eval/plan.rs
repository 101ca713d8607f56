//! A rule made ready: every window is two instants, every test its operator's, every cohort's name its rule.

use std::collections::HashMap;
use std::sync::Arc;

use super::clock::{Calendar, Clock};
use super::compare::{AmountPlan, ComparePlan, Exactly};
use super::group::GroupPlan;
use super::limits::{Budget, Stop};
use super::needs::Needs;
use super::periods::PeriodsPlan;
use super::rank::RankPlan;
use super::refer::{How, Other, Refer};
use super::sample::SamplePlan;
use super::test::{Patterns, Test, split};
use super::time::TimePlan;
use crate::plain_sql::{Source, Unresolved};
use crate::rule::{
    Amount, Argument, Compare, Comparison, Condition, Did, ElementTest, Figure, Function, MAX_REACHED, Measure,
    Occurrence, PathStep, Predicate, PropertyTest, Referred, Rule, Sequence, StepKind, Times, Where,
};
use crate::time::Interval;
use crate::value::{Number, Scalar};

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

/// Makes a rule ready, condition by condition.
struct Planner<'a, 'c> {
    plan: Plan<'a>,
    /// The cohorts that are ready.
    names: HashMap<String, usize>,
    /// The cohorts whose rules are being made ready, from the outermost on.
    through: Vec<String>,
    cohort: &'c dyn Fn(&str) -> Option<Source>,
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
    fn needs<'p>(&'p self, needs: &mut Needs<'p>) {
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

/// A figure over the matching events.
pub(crate) struct AggregatePlan {
    pub(crate) keys: Vec<String>,
    pub(crate) inside: Vec<PathStep>,
    pub(crate) figure: Figure,
}

/// A property of the profile.
pub(crate) struct ProfilePlan {
    /// The positive test.
    pub(crate) pred: Pred,
    pub(crate) negated: bool,
    pub(crate) zone: Arc<str>,
}

/// Predicates on one event.
#[derive(Clone)]
pub(crate) enum Pred {
    And(Vec<Pred>),
    Or(Vec<Pred>),
    Not(Box<Pred>),
    /// The positive test.
    Test(Arc<Test>),
    /// A comparison with another property of what is at hand.
    Refer(Arc<Refer>),
    /// A comparison with a property of an event bound before; places in the sequence's slots.
    Same {
        own: usize,
        other: usize,
        how: How,
    },
    /// What compares elements with an event bound before: not answered here.
    Elsewhere,
}

impl Pred {
    /// Whether it asks nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::And(list) if list.is_empty())
    }

    /// Whether it looks at other events.
    pub(crate) fn refers(&self) -> bool {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().any(Self::refers),
            Self::Not(inner) => inner.refers(),
            Self::Test(_) | Self::Refer(_) | Self::Elsewhere => false,
            Self::Same { .. } => true,
        }
    }
}

/// A sequence.
pub(crate) struct SequencePlan {
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) within: Option<Interval>,
    /// The properties that references compare: of the tested event, or of the events bound by earlier steps.
    pub(crate) slots: Vec<Slot>,
    /// Properties of bound events that states carry.
    pub(crate) bound: Vec<Carried>,
    pub(crate) zone: Arc<str>,
}

impl SequencePlan {
    fn needs<'p>(&'p self, needs: &mut Needs<'p>) {
        for step in &self.steps {
            let types = step.types.as_deref();
            needs.events(types, None);
            step.time.needs(needs);
            needs.filter(types, &step.filter);
            if let Some((_, among)) = &step.occurrence {
                needs.filter(types, among);
            }
            if !self.slots.is_empty() {
                needs.data(types, self.slots.iter().filter_map(|slot| slot.keys.first()));
            }
        }
    }
}

/// A property that references compare.
#[derive(Clone, PartialEq)]
pub(crate) struct Slot {
    pub(crate) keys: Vec<String>,
    pub(crate) inside: Vec<PathStep>,
}

impl Slot {
    fn new(path: &[PathStep]) -> Self {
        let (keys, inside) = split(path);
        Self { keys, inside }
    }

    /// The whole path.
    pub(crate) fn way(&self) -> Vec<PathStep> {
        self.keys.iter().cloned().map(PathStep::Key).chain(self.inside.iter().cloned()).collect()
    }
}

/// A property of a bound event.
pub(crate) struct Carried {
    pub(crate) step: usize,
    pub(crate) slot: usize,
    pub(crate) until: usize,
}

/// One step.
pub(crate) struct StepPlan {
    pub(crate) kind: StepKind,
    pub(crate) types: Option<Vec<String>>,
    pub(crate) filter: Pred,
    pub(crate) time: TimePlan,
    /// Which one of the customer's events it takes, and of which events.
    pub(crate) occurrence: Option<(Occurrence, Pred)>,
    pub(crate) within: Option<Interval>,
    pub(crate) after: Option<Interval>,
}

impl StepPlan {
    /// Whether the time since the previous step's event matters.
    pub(crate) fn is_windowed(&self) -> bool {
        self.kind == StepKind::Did && (self.within.is_some() || self.after.is_some())
    }

    fn filters(&self) -> impl Iterator<Item = &Pred> {
        let among = self.occurrence.iter().map(|(_, among)| among);
        [&self.filter].into_iter().chain(among).chain(self.time.filters())
    }
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
        let mut planner = Planner { plan, names: HashMap::new(), through: Vec::new(), cohort };
        planner.plan.top = planner.node("$", &rule.condition, &Arc::from(rule.zone()))?;
        Ok(planner.plan)
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

impl Planner<'_, '_> {
    fn node(&mut self, path: &str, condition: &Condition, zone: &Arc<str>) -> Result<Node, Unresolved> {
        Ok(match condition {
            Condition::And(list) => Node::And(self.nodes(path, "and", list, zone)?),
            Condition::Or(list) => Node::Or(self.nodes(path, "or", list, zone)?),
            Condition::Not(inner) => Node::Not(Box::new(self.node(&format!("{path}.not"), inner, zone)?)),
            Condition::Did(did) => self.did(did, zone),
            Condition::DidNot(did) => Node::Not(Box::new(self.did(did, zone))),
            Condition::Profile(test) => {
                let pred = positive(test, &self.plan.clock(zone), Document::Profile, &mut |_| Pred::Elsewhere);
                let negated = test.operator.negates().is_some();
                self.plan.profiles.push(ProfilePlan { pred, negated, zone: Arc::clone(zone) });
                Node::Profile(self.plan.profiles.len() - 1)
            }
            Condition::ProfileElement(test) => {
                let pred = Pred::Test(Arc::new(element(test, &self.plan.clock(zone), Document::Profile)));
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
            filter: filter(did.filter.as_ref(), &clock, &mut |_| Pred::Elsewhere),
            count: did.count(),
            aggregate: did.aggregate.as_ref().map(|aggregate| {
                let (keys, inside) = split(&aggregate.property.steps);
                AggregatePlan { keys, inside, figure: aggregate.figure.clone() }
            }),
            occurrence: did.occurrence,
            periods: did.periods.as_ref().map(|periods| PeriodsPlan::new(periods, &clock)),
            among: filter(did.among.as_ref(), &clock, &mut |_| Pred::Elsewhere),
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
                filter: filter(amount.filter.as_ref(), &clock, &mut |_| Pred::Elsewhere),
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
        let (mut slots, mut bound): (Vec<Slot>, Vec<Carried>) = (Vec::new(), Vec::new());
        let mut slot = |path: &[PathStep]| {
            let slot = Slot::new(path);
            slots.iter().position(|known| *known == slot).unwrap_or_else(|| {
                slots.push(slot);
                slots.len() - 1
            })
        };
        let mut steps = Vec::new();
        for (place, step) in sequence.steps.iter().enumerate() {
            let mut refer = |test: &PropertyTest| {
                let Argument::Ref(reference) = &test.argument else { return Pred::Elsewhere };
                let Referred::Step(name) = &reference.of else { return Pred::Elsewhere };
                let from = sequence.steps.iter().position(|step| step.name.as_ref() == Some(name));
                let Some(from) = from else { return Pred::Elsewhere };
                let own = slot(&test.property.steps);
                let theirs = slot(&reference.steps);
                let known = bound.iter().position(|known| known.step == from && known.slot == theirs);
                let other = known.unwrap_or_else(|| {
                    bound.push(Carried { step: from, slot: theirs, until: place });
                    bound.len() - 1
                });
                bound[other].until = place;
                Pred::Same { own, other, how: how(test) }
            };
            steps.push(StepPlan {
                kind: step.kind,
                types: step.events.named().map(<[String]>::to_vec),
                filter: filter(step.filter.as_ref(), &clock, &mut refer),
                time: time(step.time.as_ref(), &clock, zone),
                occurrence: step
                    .occurrence
                    .map(|occurrence| (occurrence, filter(step.among.as_ref(), &clock, &mut |_| Pred::Elsewhere))),
                within: step.within.clone(),
                after: step.after.clone(),
            });
        }
        SequencePlan { steps, within: sequence.within.clone(), slots, bound, zone: Arc::clone(zone) }
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
    let mut of_anchor = |where_: Option<&Where>| filter(where_, clock, &mut |_| Pred::Elsewhere);
    TimePlan::new(times.map_or(&[], Times::forms), clock, zone, &mut of_anchor)
}

/// A figure's measure as an aggregate, whose comparison is not asked.
fn measure(measure: &Measure) -> AggregatePlan {
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

/// What predicates look at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Document {
    Event,
    Profile,
}

/// Makes a comparison with an event of another step ready.
type ReferToStep<'r> = &'r mut dyn FnMut(&PropertyTest) -> Pred;

fn element(test: &ElementTest, clock: &Clock, document: Document) -> Test {
    let predicates = test.filter.predicates().iter();
    let all = predicates.map(|one| predicate(one, clock, document, &mut |_| Pred::Elsewhere)).collect();
    Test::element(&test.property, Pred::And(all))
}

/// The predicates on an event.
fn filter(filter: Option<&Where>, clock: &Clock, refer: ReferToStep<'_>) -> Pred {
    let predicates = filter.map_or(&[][..], Where::predicates);
    Pred::And(predicates.iter().map(|one| predicate(one, clock, Document::Event, refer)).collect())
}

fn predicate(one: &Predicate, clock: &Clock, document: Document, refer: ReferToStep<'_>) -> Pred {
    match one {
        Predicate::And(list) => Pred::And(list.iter().map(|one| predicate(one, clock, document, refer)).collect()),
        Predicate::Or(list) => Pred::Or(list.iter().map(|one| predicate(one, clock, document, refer)).collect()),
        Predicate::Not(inner) => Pred::Not(Box::new(predicate(inner, clock, document, refer))),
        Predicate::Element(test) => Pred::Test(Arc::new(element(test, clock, document))),
        Predicate::Test(test) => {
            let pred = positive(test, clock, document, refer);
            if test.operator.negates().is_some() { Pred::Not(Box::new(pred)) } else { pred }
        }
    }
}

/// The test, or the one that it negates.
fn positive(test: &PropertyTest, clock: &Clock, document: Document, refer: ReferToStep<'_>) -> Pred {
    let Argument::Ref(reference) = &test.argument else {
        return Pred::Test(Arc::new(Test::new(test, clock)));
    };
    let other = match (&reference.of, document) {
        (Referred::Step(_), _) => return refer(test),
        (Referred::Element, _) => Other::Element(reference.steps.clone()),
        (Referred::Row, _) => return Pred::Elsewhere, // only the predicates of rows refer to one, which SQL answers
        (Referred::Profile, Document::Event) => Other::Profile(Slot::new(&reference.steps)),
        (Referred::Event, _) | (Referred::Profile, Document::Profile) => Other::Row(Slot::new(&reference.steps)),
    };
    Pred::Refer(Arc::new(Refer { own: Slot::new(&test.property.steps), other, how: how(test) }))
}

fn how(test: &PropertyTest) -> How {
    How { family: test.operator.family(), ignore_case: test.ignore_case.unwrap_or(false) }
}

/// The scalars that `most_frequent` is compared with.
pub(crate) fn wanted(figure: &Figure) -> Option<&[Scalar]> {
    match figure {
        Figure::MostFrequentIs(scalar) => Some(std::slice::from_ref(scalar)),
        Figure::MostFrequentIn(scalars) => Some(scalars),
        Figure::Sum(_) | Figure::Avg(_) | Figure::Min(_) | Figure::Max(_) | Figure::CountDistinct(_) => None,
    }
}
