//! The operators of the rule language: one table of names, aliases, families and negations.
//!
//! An evaluator matches on the [`Family`] of an operator, so that a new operator does not compile before every evaluator
//! answers it.

use std::cmp::Ordering;

/// A property operator by its canonical meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the operator of its snake-case name in `TABLE`")]
pub enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    Between,
    NotBetween,
    In,
    NotIn,
    Contains,
    NotContains,
    StartsWith,
    NotStartsWith,
    EndsWith,
    NotEndsWith,
    Regex,
    NotRegex,
    Exists,
    NotExists,
    ContainsAny,
    ContainsAll,
    ContainsNone,
    Before,
    Since,
    On,
    InTheLast,
    InTheNext,
    MoreThanAgo,
    AnniversaryInTheNext,
    AnniversaryInTheLast,
    This,
    Previous,
    Next,
    AnniversaryThis,
}

/// What a positive operator asks of a value. All operators of a family have arguments of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Whether there is a value: no argument.
    Exists,
    /// The order of the value and a scalar.
    Order(Relation),
    /// Whether the value is between two scalars, both included.
    Between,
    /// Whether the value equals one of a list.
    In,
    /// Which elements of a list are among those of the value, an array.
    Elements(Elements),
    /// Whether the value, a string, contains a text.
    Text(TextMatch),
    /// The order of the value, read as an instant, and a date.
    Date(DateOrder),
    /// Whether the value, read as an instant, is in a window that an interval and `as_of` give.
    Interval(IntervalWindow),
    /// Whether the value, read as an instant, is in a window of calendar units around `as_of`.
    Calendar(CalendarWindow),
}

/// A relation between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the operator of its name")]
pub enum Relation {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Relation {
    /// Whether it holds between two values of this order.
    #[must_use]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Gt => order.is_gt(),
            Self::Gte => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Lte => order.is_le(),
        }
    }
}

/// How many elements of a list an array must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Elements {
    /// At least one.
    Any,
    /// Each of them.
    All,
}

/// Where a text must be in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// Anywhere, or as an element of an array.
    Contains,
    /// At the start.
    StartsWith,
    /// At the end.
    EndsWith,
    /// Anywhere, as a pattern.
    Regex,
}

/// The order of an instant and a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// The instant is before the date begins.
    Before,
    /// The date has begun.
    Since,
    /// The instant is the date's, or on it if it is a day.
    On,
}

/// A window between `as_of` and an interval before or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntervalWindow {
    /// From an interval ago to `as_of`.
    InTheLast,
    /// From `as_of` to an interval later.
    InTheNext,
    /// Before an interval ago.
    MoreThanAgo,
    /// The anniversary is from `as_of` to an interval later.
    AnniversaryInTheNext,
    /// The anniversary is from an interval ago to `as_of`.
    AnniversaryInTheLast,
}

/// A window of calendar units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CalendarWindow {
    /// The unit that contains `as_of`.
    This,
    /// A number of units before it.
    Previous,
    /// A number of units after it.
    Next,
    /// The anniversary is in the unit that contains `as_of`.
    AnniversaryThis,
}

impl Family {
    /// What the argument must be.
    const fn takes(self) -> Takes {
        match self {
            Self::Exists => Takes::Nothing,
            Self::Order(Relation::Eq) => Takes::Scalar,
            Self::Order(Relation::Gt | Relation::Gte | Relation::Lt | Relation::Lte) => Takes::Ordered,
            Self::Between => Takes::Range,
            Self::In | Self::Elements(_) => Takes::List,
            Self::Text(TextMatch::Regex) => Takes::Pattern,
            Self::Text(TextMatch::Contains | TextMatch::StartsWith | TextMatch::EndsWith) => Takes::Text,
            Self::Date(_) => Takes::Date,
            Self::Interval(_) => Takes::Interval,
            Self::Calendar(CalendarWindow::This) => Takes::Unit,
            Self::Calendar(CalendarWindow::Previous | CalendarWindow::Next) => Takes::Units,
            Self::Calendar(CalendarWindow::AnniversaryThis) => Takes::ShortUnit,
        }
    }
}

/// What an operator's `value` must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// No `value` at all.
    Nothing,
    /// A string, number or boolean.
    Scalar,
    /// A number or a string.
    Ordered,
    /// `[low, high]`, two numbers or two strings.
    Range,
    /// A non-empty list of scalars.
    List,
    /// A string.
    Text,
    /// A string that is a pattern of the `regex` crate.
    Pattern,
    /// A date or timestamp.
    Date,
    /// An interval.
    Interval,
    /// A calendar unit.
    Unit,
    /// One or more calendar units.
    Units,
    /// A calendar unit that is no longer than a month.
    ShortUnit,
}

/// One operator of the language.
struct Spec {
    operator: Operator,
    name: &'static str,
    aliases: &'static [&'static str],
    /// What it asks, or what the operator asks that it negates.
    family: Family,
    /// Whether `ignore_case` may stand beside it.
    text: bool,
    /// The operator of which this is the exact negation.
    negates: Option<Operator>,
}

#[rustfmt::skip]
const TABLE: &[Spec] = &[
    spec(Operator::Eq, "eq", &["=", "==", "equals", "is"], Family::Order(Relation::Eq)).text(),
    spec(Operator::Neq, "neq", &["!=", "<>", "ne", "not_equals", "is_not"], Family::Order(Relation::Eq)).text().not(Operator::Eq),
    spec(Operator::Gt, "gt", &[">", "greater_than"], Family::Order(Relation::Gt)),
    spec(Operator::Gte, "gte", &[">=", "greater_than_or_equal"], Family::Order(Relation::Gte)),
    spec(Operator::Lt, "lt", &["<", "less_than"], Family::Order(Relation::Lt)),
    spec(Operator::Lte, "lte", &["<=", "less_than_or_equal"], Family::Order(Relation::Lte)),
    spec(Operator::Between, "between", &[], Family::Between),
    spec(Operator::NotBetween, "not_between", &[], Family::Between).not(Operator::Between),
    spec(Operator::In, "in", &["any_of"], Family::In).text(),
    spec(Operator::NotIn, "not_in", &["none_of"], Family::In).text().not(Operator::In),
    spec(Operator::Contains, "contains", &[], Family::Text(TextMatch::Contains)).text(),
    spec(Operator::NotContains, "not_contains", &[], Family::Text(TextMatch::Contains)).text().not(Operator::Contains),
    spec(Operator::StartsWith, "starts_with", &[], Family::Text(TextMatch::StartsWith)).text(),
    spec(Operator::NotStartsWith, "not_starts_with", &[], Family::Text(TextMatch::StartsWith)).text().not(Operator::StartsWith),
    spec(Operator::EndsWith, "ends_with", &[], Family::Text(TextMatch::EndsWith)).text(),
    spec(Operator::NotEndsWith, "not_ends_with", &[], Family::Text(TextMatch::EndsWith)).text().not(Operator::EndsWith),
    spec(Operator::Regex, "regex", &["matches"], Family::Text(TextMatch::Regex)).text(),
    spec(Operator::NotRegex, "not_regex", &[], Family::Text(TextMatch::Regex)).text().not(Operator::Regex),
    spec(Operator::Exists, "exists", &["is_set"], Family::Exists),
    spec(Operator::NotExists, "not_exists", &["is_not_set"], Family::Exists).not(Operator::Exists),
    spec(Operator::ContainsAny, "contains_any", &[], Family::Elements(Elements::Any)),
    spec(Operator::ContainsAll, "contains_all", &[], Family::Elements(Elements::All)),
    spec(Operator::ContainsNone, "contains_none", &[], Family::Elements(Elements::Any)).not(Operator::ContainsAny),
    spec(Operator::Before, "before", &[], Family::Date(DateOrder::Before)),
    spec(Operator::Since, "since", &[], Family::Date(DateOrder::Since)),
    spec(Operator::On, "on", &[], Family::Date(DateOrder::On)),
    spec(Operator::InTheLast, "in_the_last", &[], Family::Interval(IntervalWindow::InTheLast)),
    spec(Operator::InTheNext, "in_the_next", &[], Family::Interval(IntervalWindow::InTheNext)),
    spec(Operator::MoreThanAgo, "more_than_ago", &[], Family::Interval(IntervalWindow::MoreThanAgo)),
    spec(Operator::AnniversaryInTheNext, "anniversary_in_the_next", &["birthday_in_the_next"], Family::Interval(IntervalWindow::AnniversaryInTheNext)),
    spec(Operator::AnniversaryInTheLast, "anniversary_in_the_last", &[], Family::Interval(IntervalWindow::AnniversaryInTheLast)),
    spec(Operator::This, "this", &[], Family::Calendar(CalendarWindow::This)),
    spec(Operator::Previous, "previous", &[], Family::Calendar(CalendarWindow::Previous)),
    spec(Operator::Next, "next", &[], Family::Calendar(CalendarWindow::Next)),
    spec(Operator::AnniversaryThis, "anniversary_this", &[], Family::Calendar(CalendarWindow::AnniversaryThis)),
];

/// Spelled `icontains`, it is `contains` with `ignore_case`; the parser rewrites it.
pub(super) const ICONTAINS: &str = "icontains";

const fn spec(operator: Operator, name: &'static str, aliases: &'static [&'static str], family: Family) -> Spec {
    Spec { operator, name, aliases, family, text: false, negates: None }
}

impl Spec {
    const fn text(mut self) -> Self {
        self.text = true;
        self
    }

    const fn not(mut self, positive: Operator) -> Self {
        self.negates = Some(positive);
        self
    }
}

impl Operator {
    /// All operators, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|spec| spec.operator)
    }

    /// The operator of a canonical name or an alias (`icontains` is not among them).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|spec| spec.name == name || spec.aliases.contains(&name)).map(|spec| spec.operator)
    }

    /// The canonical name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The accepted other spellings.
    #[must_use]
    pub fn aliases(self) -> &'static [&'static str] {
        self.spec().aliases
    }

    /// What its `value` must be.
    #[must_use]
    pub fn takes(self) -> Takes {
        self.family().takes()
    }

    /// What it asks of a value, or, if it is a negation, what the operator asks that it negates.
    #[must_use]
    pub fn family(self) -> Family {
        self.spec().family
    }

    /// The relation that it asks for, and whether it negates it, if it compares with one scalar.
    #[must_use]
    pub fn relation(self) -> Option<(Relation, bool)> {
        match self.family() {
            Family::Order(relation) => Some((relation, self.negates().is_some())),
            Family::Exists
            | Family::Between
            | Family::In
            | Family::Elements(_)
            | Family::Text(_)
            | Family::Date(_)
            | Family::Interval(_)
            | Family::Calendar(_) => None,
        }
    }

    /// Whether `ignore_case` may stand beside it.
    #[must_use]
    pub fn takes_ignore_case(self) -> bool {
        self.spec().text
    }

    /// Whether `ref` may stand in place of its `value`.
    #[must_use]
    pub fn takes_ref(self) -> bool {
        matches!(self.family(), Family::Order(_) | Family::Date(_))
    }

    /// Whether `rows` may stand in place of its `value`.
    #[must_use]
    pub fn takes_rows(self) -> bool {
        self.family() == Family::In
    }

    /// The positive operator of which this one is the exact negation, if it is one.
    #[must_use]
    pub fn negates(self) -> Option<Self> {
        self.spec().negates
    }

    fn spec(self) -> &'static Spec {
        TABLE.iter().find(|spec| spec.operator == self).expect("every operator stands in the table")
    }
}
