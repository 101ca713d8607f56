//! `per` and `periods`.

use serde_json::Value;

use super::condition::COMPARISONS;
use super::problem::{Hint, quote};
use super::{Object, Reader, Segment};
use crate::rule::{Comparison, Periods, Streak, Whole};

impl<'a> Reader<'a> {
    /// `per` and `periods`, which go together; `count` is what stands beside them.
    #[expect(clippy::option_option, reason = "a missing key and a wrong value are two outcomes")]
    pub(super) fn periods(&mut self, object: &'a Object, count: Option<&Comparison<Whole>>) -> Option<Option<Periods>> {
        let unit = self.optional(object, "per", Self::calendar_unit);
        let numbers = self.optional(object, "periods", Self::number_of_periods);
        match (object.contains_key("per"), object.contains_key("periods")) {
            (true, false) => self.missing(
                object,
                "\"per\" requires \"periods\"".to_owned(),
                vec!["periods"],
                "Add a comparison of the number of periods, as in \"periods\": {\"gte\": 3}.",
            ),
            (false, true) => self.missing(
                object,
                "\"periods\" requires \"per\"".to_owned(),
                vec!["per"],
                "Add the unit of the periods, as in \"per\": \"day\".",
            ),
            (true, true) | (false, false) => {}
        }
        if object.contains_key("occurrence") {
            for other in ["per", "periods"].into_iter().filter(|other| object.contains_key(*other)) {
                self.problem(
                    format!("\"occurrence\" cannot be combined with \"{other}\""),
                    "Remove one of them, or write two conditions and join them with \"and\".",
                );
            }
        }
        if object.contains_key("per") && count.is_some_and(only_nothing) {
            self.at(Segment::Key("count"), |reader| {
                reader.problem(
                    "with \"per\", a count of 0 never holds",
                    "Compare the number of periods, as in \"periods\": {\"eq\": 0}.",
                );
            });
        }
        match (unit?, numbers?) {
            (Some(unit), Some((comparison, streak))) => Some(Some(Periods { unit, comparison, streak })),
            (None, None) => Some(None),
            _ => None,
        }
    }

    fn number_of_periods(&mut self, value: &'a Value) -> Option<(Comparison<Whole>, Option<Streak>)> {
        let object = self.object(value, "an object such as {\"gte\": 3}")?;
        self.comparison_keys(object, &["streak"], &COMPARISONS);
        let comparison = self.comparison(object, "a list of two whole numbers, the lower one first", Self::whole);
        let streak = self.optional(object, "streak", Self::streak);
        Some((comparison?, streak?))
    }

    fn streak(&mut self, value: &'a Value) -> Option<Streak> {
        let name = self.string(value, "\"longest\" or \"current\"")?;
        let streak = Streak::ALL.iter().find(|(word, _)| *word == name).map(|(_, streak)| *streak);
        if streak.is_none() {
            let valid = Streak::ALL.iter().map(|(word, _)| *word).collect();
            self.problem(format!("unknown streak {}", quote(name)), Hint::Name { wrong: name, valid });
        }
        streak
    }
}

/// Whether nothing but 0 satisfies a count.
fn only_nothing(count: &Comparison<Whole>) -> bool {
    match count.map(|whole| whole.value) {
        Comparison::Eq(0) | Comparison::Lt(1) | Comparison::Lte(0) | Comparison::Between(0, 0) => true,
        Comparison::Eq(_)
        | Comparison::Neq(_)
        | Comparison::Gt(_)
        | Comparison::Gte(_)
        | Comparison::Lt(_)
        | Comparison::Lte(_)
        | Comparison::Between(..) => false,
    }
}
