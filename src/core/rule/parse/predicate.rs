//! Predicates, and the one comparison that predicates and profile conditions share.

use serde_json::Value;

use super::problem::{Hint, quote};
use super::{Object, Reader};
use crate::rule::operator::{ICONTAINS, Operator, Takes};
use crate::rule::{Argument, ElementTest, Predicate, PropertyTest, Use, Where};
use crate::value::Scalar;

const WORDS: [&str; 5] = ["and", "or", "not", "property", "element"];

/// What stands beside the property in a comparison.
pub(super) const TEST_KEYS: [&str; 5] = ["operator", "value", "ref", "rows", "ignore_case"];

const EXPECTED: &str = "a predicate, as an object";

/// What the text of `operator` was found to be.
struct Spelled {
    operator: Operator,
    /// Spelled `icontains`.
    ignoring_case: bool,
    /// Refused, but known well enough to check what stands beside it.
    refused: bool,
}

impl<'a> Reader<'a> {
    /// `where`.
    pub(super) fn filter(&mut self, value: &'a Value) -> Option<Where> {
        match value {
            Value::Array(_) => self.list(value, "a list of predicates", Self::predicate).map(Where::All),
            _ => self.predicate(value).map(Where::One),
        }
    }

    fn predicate(&mut self, value: &'a Value) -> Option<Predicate> {
        self.nested(value, EXPECTED, |reader, object| {
            // Without any of the words it is most likely a comparison that lacks its property.
            let mut words: Vec<&'static str> = WORDS.into_iter().filter(|word| object.contains_key(*word)).collect();
            let mut allowed = words.clone();
            if words.is_empty() {
                words.push("property");
                allowed.extend(WORDS);
            }
            if words.contains(&"property") {
                allowed.extend(TEST_KEYS);
            }
            if words.contains(&"element") {
                allowed.push("where");
            }
            reader.unknown_keys(object, &allowed);
            if let [first, second, ..] = words.as_slice() {
                reader.problem(
                    format!("\"{first}\" and \"{second}\" exclude each other"),
                    "Write each predicate as an object of its own, and put them in a list.",
                );
            }
            let mut predicate = None;
            for word in &words {
                predicate = reader.predicate_form(object, word);
            }
            predicate.filter(|_| words.len() == 1)
        })
    }

    fn predicate_form(&mut self, object: &'a Object, word: &'static str) -> Option<Predicate> {
        match word {
            "and" => self.required(object, word, Self::predicates).map(Predicate::And),
            "or" => self.required(object, word, Self::predicates).map(Predicate::Or),
            "not" => self.required(object, word, Self::predicate).map(|inner| Predicate::Not(Box::new(inner))),
            "element" => self.element(object, word).map(|test| Predicate::Element(Box::new(test))),
            "property" => self.test(object, Some(word)).map(Predicate::Test),
            other => unreachable!("\"{other}\" is not a key of a predicate"),
        }
    }

    /// `{"element": P, "where": …}`, or the same of a profile under another key.
    pub(super) fn element(&mut self, object: &'a Object, key: &'static str) -> Option<ElementTest> {
        let property = self.required(object, key, Self::property);
        self.elements += 1;
        let filter = self.required(object, "where", Self::filter);
        self.elements -= 1;
        Some(ElementTest { property: property?, filter: filter? })
    }

    /// `"element": true` of a profile condition.
    pub(super) fn element_of_profile(&mut self, object: &'a Object, key: &'static str) -> Option<ElementTest> {
        let flag = self.required(object, "element", |reader, value| {
            let flag = reader.boolean(value)?;
            if !flag {
                reader.problem(
                    "\"element\" can only be true",
                    "Write true, or remove the key to compare the property itself.",
                );
            }
            flag.then_some(())
        });
        self.element(object, key).filter(|_| flag.is_some())
    }

    fn predicates(&mut self, value: &'a Value) -> Option<Vec<Predicate>> {
        self.list(value, "a list of predicates", Self::predicate)
    }

    /// A comparison of the property under `key`. Without a key, nothing can be read; what is there is checked.
    pub(super) fn test(&mut self, object: &'a Object, key: Option<&'static str>) -> Option<PropertyTest> {
        let property = match key {
            Some(key) => self.required(object, key, Self::property),
            None => None,
        };
        let spelled = match key {
            Some(_) => self.required(object, "operator", Self::operator),
            None => self.optional(object, "operator", Self::operator).flatten(),
        };
        let ignore_case = self.optional(object, "ignore_case", Self::boolean);
        let ignore_case = self.ignoring_case(object, spelled.as_ref(), ignore_case);
        let operator = spelled.as_ref().map(|spelled| spelled.operator);
        let argument = self.argument(object, operator, ignore_case.flatten() == Some(true));
        let spelled = spelled.filter(|spelled| !spelled.refused)?;
        Some(PropertyTest {
            property: property?,
            operator: spelled.operator,
            argument: argument?,
            ignore_case: ignore_case?,
        })
    }

    fn operator(&mut self, value: &'a Value) -> Option<Spelled> {
        let name = self.string(value, "the name of an operator")?;
        if name == ICONTAINS {
            return Some(Spelled { operator: Operator::Contains, ignoring_case: true, refused: false });
        }
        if name == "after" {
            self.problem("there is no operator \"after\"", "Use \"since\", which includes the given instant.");
            return Some(Spelled { operator: Operator::Since, ignoring_case: false, refused: true });
        }
        let found = Operator::from_name(name);
        if found.is_none() {
            self.problem(format!("unknown operator {}", quote(name)), Hint::Operator(name));
        }
        found.map(|operator| Spelled { operator, ignoring_case: false, refused: false })
    }

    /// `ignore_case` as the rule keeps it, once it is seen to agree with the operator.
    #[expect(clippy::option_option, reason = "a missing key and a wrong value are two outcomes")]
    fn ignoring_case(
        &mut self,
        object: &'a Object,
        spelled: Option<&Spelled>,
        written: Option<Option<bool>>,
    ) -> Option<Option<bool>> {
        let Some(spelled) = spelled else {
            return written;
        };
        if spelled.ignoring_case {
            if written == Some(Some(false)) {
                self.at(super::Segment::Key("ignore_case"), |reader| {
                    reader.problem("\"icontains\" always ignores case", "Use \"contains\", or remove \"ignore_case\".");
                });
                return None;
            }
            return written.map(|_| Some(true));
        }
        if object.contains_key("ignore_case") && !spelled.operator.takes_ignore_case() {
            self.problem(
                format!("\"{}\" does not accept \"ignore_case\"", spelled.operator.name()),
                "Remove \"ignore_case\". It is allowed with eq, neq, in, not_in, contains, starts_with, ends_with, regex and \
                 their negations.",
            );
            return None;
        }
        written
    }

    /// `value`, `ref` or `rows`.
    fn argument(&mut self, object: &'a Object, operator: Option<Operator>, ignore_case: bool) -> Option<Argument> {
        let has_value = object.contains_key("value");
        let has_reference = object.contains_key("ref");
        let has_rows = object.contains_key("rows");
        if let Some(operator) = operator.filter(|operator| operator.takes() == Takes::Nothing) {
            if has_value || has_reference || has_rows {
                self.problem(format!("\"{}\" does not accept a value", operator.name()), "Remove \"value\".");
                return None;
            }
            return Some(Argument::None);
        }
        let given: Vec<&str> = ["value", "ref", "rows"].into_iter().filter(|key| object.contains_key(*key)).collect();
        if let [first, second, ..] = given.as_slice() {
            self.problem(format!("\"{first}\" and \"{second}\" exclude each other"), "Write one of them.");
        }
        let value = self.optional(object, "value", |reader, value| reader.value(value, operator, ignore_case));
        if let Some(operator) = operator.filter(|operator| has_reference && !operator.takes_ref()) {
            self.problem(
                format!("\"{}\" does not accept a ref", operator.name()),
                "\"ref\" is allowed with eq, neq, gt, gte, lt, lte, before, since and on.",
            );
        }
        let reference = self.optional(object, "ref", Self::reference);
        if let Some(operator) = operator.filter(|operator| has_rows && !operator.takes_rows()) {
            self.problem(
                format!("\"{}\" does not accept rows", operator.name()),
                "\"rows\" is allowed with in and not_in.",
            );
        }
        let rows = self.optional(object, "rows", |reader, value| reader.rows(value, Use::Values));
        let operator = operator?;
        if given.is_empty() {
            let mut keys = vec!["value"];
            keys.extend(operator.takes_ref().then_some("ref"));
            keys.extend(operator.takes_rows().then_some("rows"));
            self.missing(object, "the key \"value\" is missing".to_owned(), keys, value_hint(operator));
        }
        match (value?, reference?, rows?) {
            (Some(argument), None, None) => Some(argument),
            (None, Some(reference), None) if operator.takes_ref() => Some(Argument::Ref(reference)),
            (None, None, Some(rows)) if operator.takes_rows() => Some(Argument::Rows(Box::new(rows))),
            _ => None,
        }
    }

    /// The value of an operator; of an unknown one, what no operator takes is still reported.
    fn value(&mut self, value: &'a Value, operator: Option<Operator>, ignore_case: bool) -> Option<Argument> {
        let Some(operator) = operator else {
            match value {
                Value::Array(_) => drop(self.list(value, "a list of values", Self::scalar)),
                _ => drop(self.scalar(value)),
            }
            return None;
        };
        match operator.takes() {
            Takes::Nothing => None,
            Takes::Scalar => self.scalar(value).map(Argument::Scalar),
            Takes::Ordered => self.ordered(value).map(Argument::Scalar),
            Takes::Range => self.range(value),
            Takes::List => self.list(value, "a list of values", Self::scalar).map(Argument::List),
            Takes::Text => self.string(value, "a string").map(|text| Argument::Text(text.to_owned())),
            Takes::Pattern => self.pattern(value, ignore_case),
            Takes::Date => self.date(value).map(Argument::Date),
            Takes::Interval => self.interval(value).map(Argument::Interval),
            Takes::Unit => self.one_unit(value).map(Argument::Units),
            Takes::Units => self.units(value).map(Argument::Units),
            Takes::ShortUnit => self.short_unit(value).map(Argument::Units),
        }
    }

    fn range(&mut self, value: &'a Value) -> Option<Argument> {
        let (low, high) = self.pair(value, "a list of two values, [low, high]", Self::ordered)?;
        let descending = match (&low, &high) {
            (Scalar::Number(low), Scalar::Number(high)) => low > high,
            (Scalar::String(low), Scalar::String(high)) => low.as_bytes() > high.as_bytes(),
            _ => {
                self.problem("a number cannot be compared with a string", "Write two numbers or two strings.");
                return None;
            }
        };
        if descending {
            self.problem("the first bound is above the second", "Write the lower bound first.");
            return None;
        }
        Some(Argument::Range(low, high))
    }
}

fn value_hint(operator: Operator) -> &'static str {
    match operator.takes() {
        Takes::Nothing => "",
        Takes::Scalar => "Add a \"value\": a string, a number or a boolean.",
        Takes::Ordered => "Add a \"value\": a number or a string.",
        Takes::Range => "Add a \"value\": a list of two values, the lower one first.",
        Takes::List => "Add a \"value\": a list of strings, numbers or booleans.",
        Takes::Text => "Add a \"value\": a string.",
        Takes::Pattern => "Add a \"value\": a regular expression.",
        Takes::Date => "Add a \"value\": a date such as \"2026-03-01\".",
        Takes::Interval => "Add a \"value\": an interval such as \"30 days\".",
        Takes::Unit => "Add a \"value\": one of day, week, month, quarter, year.",
        Takes::Units => "Add a \"value\": a calendar unit such as \"month\" or \"3 months\".",
        Takes::ShortUnit => "Add a \"value\": one of day, week, month.",
    }
}
