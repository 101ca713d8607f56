//! Conditions and the options of `did`.

use serde_json::Value;

use super::predicate::TEST_KEYS;
use super::problem::{Hint, quote};
use super::rank::RANK_KEYS;
use super::{Document, Object, Reader};
use crate::rule::{
    Aggregate, Comparison, Condition, Did, EventTypes, Figure, Group, Occurrence, Operator, Periods, Property,
    Quantifier, Times, Use, Where, Whole,
};
use crate::value::Scalar;

/// The word that says what a condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    And,
    Or,
    Not,
    Did,
    DidNot,
    Profile,
    Cohort,
    CustomerIn,
    Sequence,
    Sample,
    Group,
    Compare,
    Rank,
}

impl Word {
    const ALL: [(&'static str, Self); 13] = [
        ("and", Self::And),
        ("or", Self::Or),
        ("not", Self::Not),
        ("did", Self::Did),
        ("did_not", Self::DidNot),
        ("profile", Self::Profile),
        ("cohort", Self::Cohort),
        ("customer_in", Self::CustomerIn),
        ("sequence", Self::Sequence),
        ("sample", Self::Sample),
        ("group", Self::Group),
        ("compare", Self::Compare),
        ("rank", Self::Rank),
    ];

    fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|(name, _)| *name).collect()
    }

    /// The keys that may stand beside it.
    fn beside(self) -> &'static [&'static str] {
        match self {
            Self::And | Self::Or | Self::Not | Self::Cohort | Self::CustomerIn | Self::Sample => &[],
            Self::Did | Self::DidNot => &OPTIONS,
            Self::Profile => &TEST_KEYS,
            Self::Sequence => &["within"],
            Self::Group => &QUANTIFIERS,
            Self::Compare => &["operator", "to", "factor", "over"],
            Self::Rank => &RANK_KEYS,
        }
    }
}

const OPTIONS: [&str; 8] = ["where", "count", "time", "aggregate", "occurrence", "among", "per", "periods"];
pub(super) const COMPARISONS: [&str; 7] = ["eq", "neq", "gt", "gte", "lt", "lte", "between"];
const QUANTIFIERS: [&str; 3] = ["any", "all", "none"];
const FIGURES: [&str; 6] = ["sum", "avg", "min", "max", "count_distinct", "most_frequent"];
const ONE_WORD: &str = "Write exactly one of and, or, not, did, did_not, profile, cohort, customer_in, sequence, sample, group, compare, rank in one \
                        object; join several conditions with and.";
const ONE_COMPARISON: &str = "Write exactly one of eq, neq, gt, gte, lt, lte, between.";

/// The options of a `did`.
struct Options {
    filter: Option<Where>,
    count: Option<Comparison<Whole>>,
    time: Option<Times>,
    aggregate: Option<Aggregate>,
    occurrence: Option<Occurrence>,
    among: Option<Where>,
    periods: Option<Periods>,
}

impl<'a> Reader<'a> {
    /// The condition that is the whole rule; its `version` and `timezone` are read elsewhere.
    pub(super) fn top_condition(&mut self, value: &'a Value) -> Option<Condition> {
        self.condition_with(value, &["version", "timezone"])
    }

    pub(super) fn condition(&mut self, value: &'a Value) -> Option<Condition> {
        self.condition_with(value, &[])
    }

    fn condition_with(&mut self, value: &'a Value, also: &[&'static str]) -> Option<Condition> {
        self.nested(value, "a condition, as an object", |reader, object| {
            let present = Word::ALL.into_iter().filter(|(name, _)| object.contains_key(*name));
            let words: Vec<(&'static str, Word)> = present.collect();
            let mut keys = allowed(&words, also);
            if let ([("profile", Word::Profile)], true) = (words.as_slice(), object.contains_key("element")) {
                keys.retain(|key| !TEST_KEYS.contains(key));
                keys.extend(["element", "where"]);
            }
            reader.unknown_keys(object, &keys);
            reader.exactly_one(object, &Word::names(), "the key of the condition", ONE_WORD);
            if words.is_empty() {
                reader.options(object);
                reader.test(object, None);
                reader.optional(object, "within", Self::interval);
            }
            let mut condition = None;
            for (name, word) in &words {
                condition = reader.condition_form(object, name, *word);
            }
            condition.filter(|_| words.len() == 1)
        })
    }

    fn condition_form(&mut self, object: &'a Object, name: &'static str, word: Word) -> Option<Condition> {
        match word {
            Word::And => self.required(object, name, Self::conditions).map(Condition::And),
            Word::Or => self.required(object, name, Self::conditions).map(Condition::Or),
            Word::Not => self.required(object, name, Self::condition).map(|inner| Condition::Not(Box::new(inner))),
            Word::Did => self.did(object, name).map(Condition::Did),
            Word::DidNot if object.contains_key("did") => {
                // Excluded already; the options have been looked at with `did`.
                self.required(object, name, Self::events);
                None
            }
            Word::DidNot => self.did(object, name).map(Condition::DidNot),
            Word::Profile => {
                self.document = Document::Profile;
                let condition = if object.contains_key("element") {
                    self.element_of_profile(object, name).map(Condition::ProfileElement)
                } else {
                    self.test(object, Some(name)).map(Condition::Profile)
                };
                self.document = Document::Event;
                condition
            }
            Word::Cohort => self
                .required(object, name, |reader, value| reader.string(value, "the name of a cohort"))
                .map(|cohort| Condition::Cohort(cohort.to_owned())),
            Word::CustomerIn => {
                self.required(object, name, |reader, value| reader.rows(value, Use::Ids)).map(Condition::CustomerIn)
            }
            Word::Sequence => self.sequence(object).map(Condition::Sequence),
            Word::Sample => self.required(object, name, Self::sample).map(Condition::Sample),
            Word::Group => self.group(object, name).map(Condition::Group),
            Word::Compare => self.compare(object, name).map(|compare| Condition::Compare(Box::new(compare))),
            Word::Rank => self.rank(object, name).map(|rank| Condition::Rank(Box::new(rank))),
        }
    }

    fn conditions(&mut self, value: &'a Value) -> Option<Vec<Condition>> {
        self.list(value, "a list of conditions", Self::condition)
    }

    fn group(&mut self, object: &'a Object, name: &'static str) -> Option<Group> {
        let property = self.required(object, name, Self::single_property);
        let present = self.exactly_one(
            object,
            &QUANTIFIERS,
            "the quantifier of the group",
            "Write exactly one of any, all, none with a condition.",
        );
        let mut group = None;
        for word in &present {
            let condition = self.required(object, word, Self::condition);
            let quantifier = Quantifier::ALL.iter().find(|(name, _)| name == word).map(|(_, quantifier)| *quantifier);
            group = quantifier.zip(condition);
        }
        let (quantifier, condition) = group.filter(|_| present.len() == 1)?;
        Some(Group { property: property?, quantifier, condition: Box::new(condition) })
    }

    fn did(&mut self, object: &'a Object, word: &'static str) -> Option<Did> {
        let events = self.required(object, word, Self::events);
        let Options { filter, count, time, aggregate, occurrence, among, periods } = self.options(object)?;
        Some(Did { events: events?, filter, count, time, aggregate, occurrence, among, periods })
    }

    /// `E`.
    pub(super) fn events(&mut self, value: &'a Value) -> Option<EventTypes> {
        match value {
            Value::Array(_) => self.list(value, "a list of event types", Self::event).map(EventTypes::Many),
            _ => self.event(value).map(EventTypes::One),
        }
    }

    fn event(&mut self, value: &'a Value) -> Option<String> {
        let name = self.string(value, "an event type, as a string")?;
        if name.is_empty() {
            self.problem("the event type is empty", "Write the name of an event, or \"*\" for any event.");
            return None;
        }
        Some(name.to_owned())
    }

    fn options(&mut self, object: &'a Object) -> Option<Options> {
        let filter = self.optional(object, "where", Self::filter);
        let count = self.optional(object, "count", Self::count);
        let time = self.optional(object, "time", Self::times);
        let aggregate = self.optional(object, "aggregate", Self::aggregate);
        let occurrence = self.optional(object, "occurrence", Self::occurrence);
        let among = self.among(object);
        let periods = self.periods(object, count.as_ref().and_then(Option::as_ref));
        if object.contains_key("occurrence") {
            for other in ["aggregate", "count"].into_iter().filter(|other| object.contains_key(*other)) {
                self.problem(
                    format!("\"occurrence\" cannot be combined with \"{other}\""),
                    "Remove one of them, or write two conditions and join them with \"and\".",
                );
            }
        }
        Some(Options {
            filter: filter?,
            count: count?,
            time: time?,
            aggregate: aggregate?,
            occurrence: occurrence?,
            among: among?,
            periods: periods?,
        })
    }

    fn count(&mut self, value: &'a Value) -> Option<Comparison<Whole>> {
        let object = self.object(value, "an object such as {\"gte\": 3}")?;
        self.comparison_keys(object, &[], &COMPARISONS);
        self.comparison(object, "a list of two whole numbers, the lower one first", Self::whole)
    }

    /// Reports the keys that are neither these nor comparisons; for an operator's other spelling the hint names the
    /// canonical one.
    pub(super) fn comparison_keys(
        &mut self,
        object: &'a Object,
        beside: &[&'static str],
        comparisons: &[&'static str],
    ) {
        let allowed = [beside, comparisons].concat();
        for key in object.keys().filter(|key| !allowed.contains(&key.as_str())) {
            let canonical = Operator::from_name(key).map(Operator::name).filter(|name| comparisons.contains(name));
            let hint = match canonical {
                Some(name) => format!("Did you mean \"{name}\"?").into(),
                None => Hint::Name { wrong: key, valid: allowed.clone() },
            };
            self.unknown_key(key, hint);
        }
    }

    pub(super) fn comparison<N: PartialOrd>(
        &mut self,
        object: &'a Object,
        two: &'static str,
        read: fn(&mut Self, &'a Value) -> Option<N>,
    ) -> Option<Comparison<N>> {
        let present = self.exactly_one(object, &COMPARISONS, "the comparison", ONE_COMPARISON);
        let mut comparison = None;
        for name in &present {
            comparison = self.required(object, name, |reader, value| match *name {
                "between" => {
                    let (low, high) = reader.pair(value, two, read)?;
                    if low > high {
                        reader.problem("the first bound is above the second", "Write the lower bound first.");
                        return None;
                    }
                    Some(Comparison::Between(low, high))
                }
                "eq" => read(reader, value).map(Comparison::Eq),
                "neq" => read(reader, value).map(Comparison::Neq),
                "gt" => read(reader, value).map(Comparison::Gt),
                "gte" => read(reader, value).map(Comparison::Gte),
                "lt" => read(reader, value).map(Comparison::Lt),
                "lte" => read(reader, value).map(Comparison::Lte),
                other => unreachable!("\"{other}\" is not a comparison"),
            });
        }
        comparison.filter(|_| present.len() == 1)
    }

    fn aggregate(&mut self, value: &'a Value) -> Option<Aggregate> {
        let object =
            self.object(value, "an object such as {\"fn\": \"sum\", \"property\": \"price\", \"gte\": 100}")?;
        let name = self.required(object, "fn", |reader, value| {
            let name = reader.string(value, "the name of a function")?;
            let known = FIGURES.into_iter().find(|figure| *figure == name);
            if known.is_none() {
                let hint = Hint::Name { wrong: name, valid: FIGURES.to_vec() };
                reader.problem(format!("unknown function {}", quote(name)), hint);
            }
            known
        });
        let property: Option<Property> = self.required(object, "property", Self::property);
        let figure = match name {
            Some("most_frequent") => self.most_frequent(object),
            Some(name) => {
                self.comparison_keys(object, &["fn", "property"], &COMPARISONS);
                let comparison = self.comparison(object, "a list of two numbers, the lower one first", Self::number);
                comparison.map(match name {
                    "sum" => Figure::Sum,
                    "avg" => Figure::Avg,
                    "min" => Figure::Min,
                    "max" => Figure::Max,
                    "count_distinct" => Figure::CountDistinct,
                    other => unreachable!("\"{other}\" is not a function"),
                })
            }
            None => {
                self.any_comparison(object);
                None
            }
        };
        Some(Aggregate { property: property?, figure: figure? })
    }

    fn most_frequent(&mut self, object: &'a Object) -> Option<Figure> {
        self.comparison_keys(object, &["fn", "property"], &["eq", "in"]);
        self.exactly_one(
            object,
            &["eq", "in"],
            "the comparison",
            "\"most_frequent\" accepts one comparison: eq or in.",
        );
        let is = self.optional(object, "eq", Self::scalar);
        let one_of = self.optional(object, "in", Self::scalars);
        match (is?, one_of?) {
            (Some(value), None) => Some(Figure::MostFrequentIs(value)),
            (None, Some(values)) => Some(Figure::MostFrequentIn(values)),
            _ => None,
        }
    }

    /// The comparison of an unknown function: reports what suits none.
    fn any_comparison(&mut self, object: &'a Object) {
        const ANY: [&str; 8] = ["eq", "neq", "gt", "gte", "lt", "lte", "between", "in"];
        self.comparison_keys(object, &["fn", "property"], &ANY);
        for name in self.exactly_one(object, &ANY, "the comparison", ONE_COMPARISON) {
            self.optional(object, name, |reader, value| match name {
                "between" => reader.pair(value, "a list of two numbers, the lower one first", Self::number).map(drop),
                "in" => reader.scalars(value).map(drop),
                "eq" => reader.scalar(value).map(drop),
                _ => reader.number(value).map(drop),
            });
        }
    }

    fn scalars(&mut self, value: &'a Value) -> Option<Vec<Scalar>> {
        self.list(value, "a list of values", Self::scalar)
    }
}

/// The keys of a condition with these words. Without any word it might be anything.
fn allowed(words: &[(&'static str, Word)], also: &[&'static str]) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = words.iter().map(|(name, _)| *name).chain(also.iter().copied()).collect();
    let any = words.is_empty();
    if any {
        keys.extend(Word::names());
    }
    for (_, word) in Word::ALL.into_iter().filter(|(_, word)| any || words.iter().any(|(_, other)| other == word)) {
        keys.extend(word.beside().iter().filter(|key| !keys.contains(key)).copied().collect::<Vec<_>>());
    }
    keys
}
