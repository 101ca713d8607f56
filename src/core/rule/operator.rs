//! The operators of the rule language: one table of names, aliases and what each takes.

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
    takes: Takes,
    /// Whether `ignore_case` may stand beside it.
    text: bool,
    /// The operator of which this is the exact negation.
    negates: Option<Operator>,
}

#[rustfmt::skip]
const TABLE: &[Spec] = &[
    spec(Operator::Eq, "eq", &["=", "==", "equals", "is"], Takes::Scalar).text(),
    spec(Operator::Neq, "neq", &["!=", "<>", "ne", "not_equals", "is_not"], Takes::Scalar).text().not(Operator::Eq),
    spec(Operator::Gt, "gt", &[">", "greater_than"], Takes::Ordered),
    spec(Operator::Gte, "gte", &[">=", "greater_than_or_equal"], Takes::Ordered),
    spec(Operator::Lt, "lt", &["<", "less_than"], Takes::Ordered),
    spec(Operator::Lte, "lte", &["<=", "less_than_or_equal"], Takes::Ordered),
    spec(Operator::Between, "between", &[], Takes::Range),
    spec(Operator::NotBetween, "not_between", &[], Takes::Range).not(Operator::Between),
    spec(Operator::In, "in", &["any_of"], Takes::List).text(),
    spec(Operator::NotIn, "not_in", &["none_of"], Takes::List).text().not(Operator::In),
    spec(Operator::Contains, "contains", &[], Takes::Text).text(),
    spec(Operator::NotContains, "not_contains", &[], Takes::Text).text().not(Operator::Contains),
    spec(Operator::StartsWith, "starts_with", &[], Takes::Text).text(),
    spec(Operator::NotStartsWith, "not_starts_with", &[], Takes::Text).text().not(Operator::StartsWith),
    spec(Operator::EndsWith, "ends_with", &[], Takes::Text).text(),
    spec(Operator::NotEndsWith, "not_ends_with", &[], Takes::Text).text().not(Operator::EndsWith),
    spec(Operator::Regex, "regex", &["matches"], Takes::Pattern).text(),
    spec(Operator::NotRegex, "not_regex", &[], Takes::Pattern).text().not(Operator::Regex),
    spec(Operator::Exists, "exists", &["is_set"], Takes::Nothing),
    spec(Operator::NotExists, "not_exists", &["is_not_set"], Takes::Nothing).not(Operator::Exists),
    spec(Operator::ContainsAny, "contains_any", &[], Takes::List),
    spec(Operator::ContainsAll, "contains_all", &[], Takes::List),
    spec(Operator::ContainsNone, "contains_none", &[], Takes::List).not(Operator::ContainsAny),
    spec(Operator::Before, "before", &[], Takes::Date),
    spec(Operator::Since, "since", &[], Takes::Date),
    spec(Operator::On, "on", &[], Takes::Date),
    spec(Operator::InTheLast, "in_the_last", &[], Takes::Interval),
    spec(Operator::InTheNext, "in_the_next", &[], Takes::Interval),
    spec(Operator::MoreThanAgo, "more_than_ago", &[], Takes::Interval),
    spec(Operator::AnniversaryInTheNext, "anniversary_in_the_next", &["birthday_in_the_next"], Takes::Interval),
    spec(Operator::AnniversaryInTheLast, "anniversary_in_the_last", &[], Takes::Interval),
    spec(Operator::This, "this", &[], Takes::Unit),
    spec(Operator::Previous, "previous", &[], Takes::Units),
    spec(Operator::Next, "next", &[], Takes::Units),
    spec(Operator::AnniversaryThis, "anniversary_this", &[], Takes::ShortUnit),
];

/// Spelled `icontains`, it is `contains` with `ignore_case`; the parser rewrites it.
pub(super) const ICONTAINS: &str = "icontains";

const fn spec(operator: Operator, name: &'static str, aliases: &'static [&'static str], takes: Takes) -> Spec {
    Spec { operator, name, aliases, takes, text: false, negates: None }
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
        self.spec().takes
    }

    /// Whether `ignore_case` may stand beside it.
    #[must_use]
    pub fn takes_ignore_case(self) -> bool {
        self.spec().text
    }

    /// Whether `ref` may stand in place of its `value`.
    #[must_use]
    pub fn takes_ref(self) -> bool {
        matches!(self.takes(), Takes::Scalar | Takes::Ordered | Takes::Date)
    }

    /// Whether `rows` may stand in place of its `value`.
    #[must_use]
    pub fn takes_rows(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
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
