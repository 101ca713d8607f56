//! Predicates on the properties of an event or a profile.

use super::{Operator, Rows, Units};
use crate::time::{DateValue, Interval};
use crate::value::Scalar;

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
