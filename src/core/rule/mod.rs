//! A cohort rule: the types that every other part reads, after [`parse()`] has checked them.
//!
//! `serde_json::Value` --[`parse()`]--> [`Rule`] --[`Rule::to_json`]--> canonical `serde_json::Value`.
//! A [`Rule`] keeps whatever its JSON said (`did_not` stays `did_not`, a single predicate stays single), so that the
//! canonical JSON differs from what was given in operator names only.

mod describe;
mod operator;
mod parse;
mod pattern;
mod rank;
mod rows;
mod schema;
mod to_json;
mod walk;

pub use operator::{CalendarWindow, DateOrder, Elements, Family, IntervalWindow, Operator, Relation, Takes, TextMatch};
pub use parse::{
    MAX_TEXT, Problem, Surroundings, parse, parse_figure, parse_text, parse_text_checking, parse_text_within, read_json,
};
pub use pattern::{KEPT_PATTERN_BYTES, MOST_PATTERN_BYTES, Pattern, Refused, compile_pattern, keep_patterns_within};
pub use rank::{Cut, Order, Rank};
pub use rows::{Column, Rows, Table, TableName, Tables, Unreadable, Use};
pub use schema::json_schema;

use std::cmp::Ordering;

use chrono::Weekday;

use crate::time::{DateValue, Interval};
use crate::value::{Number, Scalar};

/// The most cohorts that a saved rule may reach, one through another.
pub const MAX_CHAIN: usize = 32;

/// The most that an evaluation may reach: the longest chain that can be saved, and the cohort at its beginning, where an
/// evaluation names it (a sync that leaves out suppressed cohorts, an overlap).
pub const MAX_REACHED: usize = MAX_CHAIN + 1;

/// One whole rule: a condition, and the zone in which its calendar is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `"version"` if it was written; 1 is the only one.
    pub version: Option<Whole>,
    /// The IANA name that was written; [`Rule::zone`] gives the one in force.
    pub timezone: Option<String>,
    /// What a customer must satisfy.
    pub condition: Condition,
}

impl Rule {
    /// The rule's time zone: what it says, or `UTC`.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.timezone.as_deref().unwrap_or("UTC")
    }
}

/// What decides about one customer.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of a non-empty list.
    And(Vec<Condition>),
    /// Any of a non-empty list.
    Or(Vec<Condition>),
    /// The universe without these.
    Not(Box<Condition>),
    /// Did the event.
    Did(Did),
    /// Exactly `not` of [`Condition::Did`].
    DidNot(Did),
    /// A property of the customer's profile; no profile row reads as an empty profile.
    Profile(PropertyTest),
    /// One element of an array in the profile satisfies all of some predicates.
    ProfileElement(ElementTest),
    /// Member of another saved cohort, by name.
    Cohort(String),
    /// Steps in order.
    Sequence(Sequence),
    /// Customers whose ids are values of a column.
    CustomerIn(Rows),
    /// Part of all customers, by the hash of the id.
    Sample(Sample),
    /// Something holds in the customer's group.
    Group(Group),
    /// Two figures are held against one another.
    Compare(Box<Compare>),
    /// The first of a ranking.
    Rank(Box<Rank>),
}

/// `left operator factor × right`, of each customer, or of each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// The figure under `compare`.
    pub left: Amount,
    /// One of `eq neq gt gte lt lte`.
    pub operator: Operator,
    /// The figure under `to`.
    pub right: Amount,
    /// What the right one is multiplied by; absent is 1.
    pub factor: Option<Number>,
    /// The property whose scalar value names the groups over which figures are taken; without `[]`.
    pub over: Option<Property>,
}

impl Compare {
    /// The relation of the figures, and whether it must not hold.
    ///
    /// # Panics
    /// If the operator has no relation, which the parser does not let stand here.
    #[must_use]
    pub fn relation(&self) -> (Relation, bool) {
        self.operator.relation().expect("an operator that compares figures has a relation")
    }
}

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// The same for everybody.
    Number(Number),
    /// A property's numeric value; without `[]`.
    Profile(Property),
    /// Over events.
    Events(Box<EventAmount>),
}

/// A figure over events: how many there are, or something of a property of theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct EventAmount {
    /// Which events.
    pub events: EventTypes,
    /// Conditions on one event's own data.
    pub filter: Option<Where>,
    /// Which events count, by `occurred_at`.
    pub time: Option<Times>,
    /// What of them; absent: how many there are.
    pub measure: Option<Measure>,
}

/// `aggregate` without a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// `fn`.
    pub function: Function,
    /// Which property's values; through `[]` every element is a value of its own.
    pub property: Property,
}

/// What a figure makes of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The sum of the numeric values.
    Sum,
    /// Their average, never rounded.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many different scalars.
    CountDistinct,
}

impl Function {
    /// All of them, with the names rules use.
    pub const ALL: [(&'static str, Self); 5] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("count_distinct", Self::CountDistinct),
    ];

    /// The name rules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::CountDistinct => "count_distinct",
        }
    }
}

/// A condition on the customers that share a value of their profiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The property whose scalar value names the group; without `[]`.
    pub property: Property,
    /// Of how many of them the condition must hold.
    pub quantifier: Quantifier,
    /// The condition.
    pub condition: Box<Condition>,
}

/// Of how many customers of a group a condition must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// All.
    All,
    /// None.
    None,
}

impl Quantifier {
    /// All of them, with the names rules use.
    pub const ALL: [(&'static str, Self); 3] = [("any", Self::Any), ("all", Self::All), ("none", Self::None)];

    /// The name rules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

/// The event types of a `did`, `did_not` or step, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventTypes {
    /// A single type, or `"*"`.
    One(String),
    /// Any of a non-empty list; a `"*"` in it means any event.
    Many(Vec<String>),
}

impl EventTypes {
    /// The exact types looked for, or `None` for any event.
    #[must_use]
    pub fn named(&self) -> Option<&[String]> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names.as_slice(),
        };
        (!names.iter().any(|name| name == "*")).then_some(names)
    }
}

/// `did` or `did_not` with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct Did {
    /// Which events.
    pub events: EventTypes,
    /// Conditions on one event's own data.
    pub filter: Option<Where>,
    /// How many matching events; absent: at least one.
    pub count: Option<Comparison<Whole>>,
    /// Which events count, by `occurred_at`.
    pub time: Option<Times>,
    /// A figure over the matching events.
    pub aggregate: Option<Aggregate>,
    /// Only one of the customer's events of these types is tested.
    pub occurrence: Option<Occurrence>,
    /// The events of which `occurrence` takes one.
    pub among: Option<Where>,
    /// By calendar units, and how many of these hold.
    pub periods: Option<Periods>,
}

impl Did {
    /// The comparison of `count` with plain numbers.
    #[must_use]
    pub fn count(&self) -> Option<Comparison<u64>> {
        self.count.map(|comparison| comparison.map(|whole| whole.value))
    }
}

/// `where`: one predicate, or a non-empty list that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Where {
    /// Written as an object.
    One(Predicate),
    /// Written as a list.
    All(Vec<Predicate>),
}

impl Where {
    /// The predicates that must all hold.
    #[must_use]
    pub fn predicates(&self) -> &[Predicate] {
        match self {
            Self::One(predicate) => std::slice::from_ref(predicate),
            Self::All(predicates) => predicates,
        }
    }
}

/// What decides about one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// All of a non-empty list.
    And(Vec<Predicate>),
    /// Any of a non-empty list.
    Or(Vec<Predicate>),
    /// The negation.
    Not(Box<Predicate>),
    /// One property.
    Test(PropertyTest),
    /// One element of an array satisfies all of some predicates.
    Element(Box<ElementTest>),
}

/// `{"element": P, "where": …}`: one and the same element of an array satisfies all of these.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementTest {
    /// The array, or through `[]` the arrays.
    pub property: Property,
    /// What an element must satisfy; paths start there, and [`Property::ELEMENT`] is the element itself.
    pub filter: Where,
}

/// One comparison of one property of an event's data or a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct PropertyTest {
    /// Which property.
    pub property: Property,
    /// The canonical operator.
    pub operator: Operator,
    /// What it is compared with; its shape fits the operator ([`Operator::takes`]).
    pub argument: Argument,
    /// `ignore_case` as written; absent is `false`.
    pub ignore_case: Option<bool>,
}

/// The right-hand side of a [`PropertyTest`].
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// `exists`, `not_exists`.
    None,
    /// `eq neq` (any scalar), `gt gte lt lte` (number or string).
    Scalar(Scalar),
    /// `"ref": "event.price"` in place of `value`, where [`Operator::takes_ref`] says so.
    Ref(Reference),
    /// `between`, `not_between`: two numbers or two strings, the lower first.
    Range(Scalar, Scalar),
    /// `in not_in contains_any contains_all contains_none`: a non-empty list.
    List(Vec<Scalar>),
    /// `"rows": …` in place of `value`, with `in` and `not_in`.
    Rows(Box<Rows>),
    /// `contains starts_with ends_with regex` and their negations.
    Text(String),
    /// `before since on`.
    Date(DateValue),
    /// `in_the_last in_the_next more_than_ago anniversary_in_the_next anniversary_in_the_last`.
    Interval(Interval),
    /// `this previous next anniversary_this`.
    Units(Units),
}

/// `"event.price"`: another property, with which one is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// How it was written, for the canonical JSON.
    pub written: WrittenPath,
    /// What the property is of: what stands before the first dot.
    pub of: Referred,
    /// Where the path behind it leads; empty of an element itself only.
    pub steps: Vec<PathStep>,
}

/// What has the property that a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referred {
    /// The same event.
    Event,
    /// The customer's profile.
    Profile,
    /// The innermost element.
    Element,
    /// The same row of a table.
    Row,
    /// The event that an earlier step of the sequence bound by this name.
    Step(String),
}

impl Referred {
    /// The names that are no steps'.
    pub const RESERVED: [&'static str; 4] = ["profile", "event", "element", "row"];
}

/// The path of a property inside `jsonb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// How it was written, for the canonical JSON.
    pub written: WrittenPath,
    /// Where it leads, outermost first; starts with a [`PathStep::Key`], and is empty only of [`Property::ELEMENT`].
    pub steps: Vec<PathStep>,
}

impl Property {
    /// The path of an element itself, within its own predicates.
    pub const ELEMENT: &'static str = ".";
}

/// The two spellings of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenPath {
    /// `"cart.items[].sku"`.
    Dotted(String),
    /// `["a.b", "c"]`: every text is a key as it stands.
    Keys(Vec<String>),
}

/// One step into a `jsonb` value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// Into an object; anything else has no such property.
    Key(String),
    /// To every element of an array; anything else has none.
    Elements,
}

/// One comparison with numbers of type `N`: `{"gte": 3}` or `{"between": [2, 5]}` (inclusive, lower first).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison<N> {
    /// `eq`.
    Eq(N),
    /// `neq`.
    Neq(N),
    /// `gt`.
    Gt(N),
    /// `gte`.
    Gte(N),
    /// `lt`.
    Lt(N),
    /// `lte`.
    Lte(N),
    /// `between`.
    Between(N, N),
}

impl<N> Comparison<N> {
    /// The same comparison with other numbers.
    #[must_use]
    pub fn map<M>(self, mut convert: impl FnMut(N) -> M) -> Comparison<M> {
        match self {
            Self::Eq(number) => Comparison::Eq(convert(number)),
            Self::Neq(number) => Comparison::Neq(convert(number)),
            Self::Gt(number) => Comparison::Gt(convert(number)),
            Self::Gte(number) => Comparison::Gte(convert(number)),
            Self::Lt(number) => Comparison::Lt(convert(number)),
            Self::Lte(number) => Comparison::Lte(convert(number)),
            Self::Between(low, high) => Comparison::Between(convert(low), convert(high)),
        }
    }
}

/// A whole number from 0 to 2^63-1, which may have been written `3.0`: a stored rule keeps that spelling, because only
/// operator names are rewritten. Two are equal when their values are.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    /// The number.
    pub value: u64,
    /// How many zeros stood behind the decimal point. `jsonb` has no other spelling of a whole number.
    pub decimals: u16,
}

impl From<u64> for Whole {
    fn from(value: u64) -> Self {
        Self { value, decimals: 0 }
    }
}

impl PartialEq for Whole {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialOrd for Whole {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

/// A figure over the matching events of one customer. No value at all means no match.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which property's values; through `[]` every element is a value of its own.
    pub property: Property,
    /// The figure and what it is compared with.
    pub figure: Figure,
}

/// `fn` of an aggregate with its comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// `sum` of the numeric values.
    Sum(Comparison<Number>),
    /// `avg`, compared as sum against value times count.
    Avg(Comparison<Number>),
    /// `min` of the numeric values.
    Min(Comparison<Number>),
    /// `max` of the numeric values.
    Max(Comparison<Number>),
    /// `count_distinct` of the scalars (a comparison as in `sum`: any number).
    CountDistinct(Comparison<Number>),
    /// `most_frequent` scalar with `eq`.
    MostFrequentIs(Scalar),
    /// `most_frequent` scalar with `in`.
    MostFrequentIn(Vec<Scalar>),
}

/// `occurrence`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Occurrence {
    /// The earliest by (`occurred_at`, event id).
    First,
    /// The latest.
    Last,
    /// `{"nth": 3}`: from 1 to 1,000.
    Nth(Whole),
    /// `{"nth": -3}`: the same, counted from the last.
    NthLast(Whole),
}

/// `per` and `periods`: in how many calendar units `count` and `aggregate` hold for that unit's events alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Periods {
    /// The unit.
    pub unit: CalendarUnit,
    /// What the number is compared with.
    pub comparison: Comparison<Whole>,
    /// What is counted: all periods that hold, or those of one run.
    pub streak: Option<Streak>,
}

/// Which run of adjoining periods is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streak {
    /// The longest.
    Longest,
    /// The one that ends with the unit of `as_of`, or right before it.
    Current,
}

impl Streak {
    /// Both, with the names rules use.
    pub const ALL: [(&'static str, Self); 2] = [("longest", Self::Longest), ("current", Self::Current)];

    /// The name rules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Longest => "longest",
            Self::Current => "current",
        }
    }
}

/// `time`: which events count.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a condition has one of them, and a rule few conditions")]
pub enum Times {
    /// Written as an object.
    One(Window),
    /// Written as a non-empty list of forms that must all hold.
    All(Vec<Window>),
}

impl Times {
    /// The forms that must all hold.
    #[must_use]
    pub fn forms(&self) -> &[Window] {
        match self {
            Self::One(window) => std::slice::from_ref(window),
            Self::All(windows) => windows,
        }
    }
}

/// One form of `time`. `I` is the interval, `t` the event's time.
#[derive(Debug, Clone, PartialEq)]
pub enum Window {
    /// `as_of - I < t <= as_of`.
    InTheLast(Interval),
    /// `t <= as_of - I`.
    MoreThanAgo(Interval),
    /// `as_of - I1 < t <= as_of - I2`, the longer first.
    BetweenAgo(Interval, Interval),
    /// `t >=` that instant.
    Since(DateValue),
    /// `t <` that instant.
    Before(DateValue),
    /// From the first instant to the last, inclusive; a date as the end covers its whole day.
    Between(DateValue, DateValue),
    /// The calendar unit that holds `as_of`.
    This(CalendarUnit),
    /// This number of complete units before it.
    Previous(Units),
    /// The local day is one of these.
    Weekday(Weekdays),
    /// The local time of day.
    Hours(Hours),
    /// `a <= t <= a + I`.
    From(Anchor, Option<Interval>),
    /// `a - I <= t <= a`.
    Until(Anchor, Option<Interval>),
}

/// An instant of each customer's own.
#[derive(Debug, Clone, PartialEq)]
pub enum Anchor {
    /// That of the first event.
    First(AnchorEvent),
    /// That of the last one.
    Last(AnchorEvent),
    /// A property of the profile, read as a date.
    Profile(Property),
}

/// The events of which an anchor takes one.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorEvent {
    /// Which events.
    pub events: EventTypes,
    /// Conditions on the event's own data.
    pub filter: Option<Where>,
}

/// `weekday`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weekdays {
    /// Written as a text.
    One(Weekday),
    /// Any of a non-empty list.
    Many(Vec<Weekday>),
}

impl Weekdays {
    /// The days.
    #[must_use]
    pub fn days(&self) -> &[Weekday] {
        match self {
            Self::One(day) => std::slice::from_ref(day),
            Self::Many(days) => days,
        }
    }
}

/// The days of the week with the names rules use.
pub const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
];

/// The name that rules use for a day of the week.
#[must_use]
pub fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS[day.num_days_from_monday() as usize].0
}

/// `hours`: from one minute of the day to another, the latter not included; over midnight if it is not the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minutes since midnight.
    pub from: u16,
    /// Minutes since midnight, 1,440 for `24:00`.
    pub to: u16,
}

impl Hours {
    /// How rules write a minute of the day.
    #[must_use]
    pub fn text(minute: u16) -> String {
        format!("{:02}:{:02}", minute / 60, minute % 60)
    }
}

/// A number of calendar units: `"3 months"`, or `"month"` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// As written.
    pub text: String,
    /// From 1 to 1,000.
    pub count: u16,
    /// Which.
    pub unit: CalendarUnit,
}

/// A calendar unit in the rule's zone; weeks start on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    /// A day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// A quarter.
    Quarter,
    /// A year.
    Year,
}

impl CalendarUnit {
    /// All of them, with the names rules use.
    pub const ALL: [(&'static str, Self); 5] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
    ];

    /// The name rules use, which is also that of PostgreSQL's `date_trunc`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

/// The customers whose place lies in a range: [`crate::sample`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The first place, in percent, included.
    pub from: Number,
    /// The last, not included.
    pub to: Number,
    /// What makes one sample independent of another.
    pub salt: String,
}

/// Steps that happened in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// At least one; the first is a [`StepKind::Did`].
    pub steps: Vec<Step>,
    /// From the first event's time to the last one's, its end included.
    pub within: Option<Interval>,
}

/// One step of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Whether the event must be there or must not.
    pub kind: StepKind,
    /// Which events.
    pub events: EventTypes,
    /// Conditions on the event's data; may use [`Argument::Ref`] to earlier steps.
    pub filter: Option<Where>,
    /// The name that later steps may refer to; on `did` steps only.
    pub name: Option<String>,
    /// Which events it may take, by `occurred_at`; on `did` steps only.
    pub time: Option<Times>,
    /// Only one of the customer's events of these types may be taken; on `did` steps only.
    pub occurrence: Option<Occurrence>,
    /// The events of which `occurrence` takes one.
    pub among: Option<Where>,
    /// Of a `did` step the most time since the previous one's event; of a `did_not` how far it looks.
    pub within: Option<Interval>,
    /// The least time since the previous `did` step's event.
    pub after: Option<Interval>,
    /// How often the step stands in a row; on `did` steps only.
    pub times: Option<Whole>,
}

impl Sequence {
    /// The same with each step that has `times` written as often: `within` and `after` are the first one's.
    #[must_use]
    pub fn expanded(&self) -> Self {
        let mut steps = Vec::new();
        for step in &self.steps {
            let times = step.times.map_or(1, |times| times.value);
            let first = Step { times: None, ..step.clone() };
            let more = Step { within: None, after: None, ..first.clone() };
            steps.push(first);
            steps.extend((1..times).map(|_| more.clone()));
        }
        Self { steps, within: self.within.clone() }
    }
}

/// Whether a step demands an event or its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// An event of its own, later than the previous one.
    Did,
    /// No such event in the gap.
    DidNot,
}
