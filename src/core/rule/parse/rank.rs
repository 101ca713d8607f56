//! `rank`.

use serde_json::Value;

use super::problem::{Hint, quote};
use super::{Object, Reader};
use crate::rule::{Amount, Cut, Order, Rank, Whole};

/// The keys beside `rank`.
pub(super) const RANK_KEYS: [&str; 5] = ["order", "top", "percent", "by", "of"];

/// The most places that `top` names.
const MAX_TOP: u64 = 1_000_000_000;

impl<'a> Reader<'a> {
    pub(super) fn rank(&mut self, object: &'a Object, name: &'static str) -> Option<Rank> {
        let figure = self.required(object, name, |reader, value| {
            let figure = reader.amount(value)?;
            if matches!(figure, Amount::Number(_)) {
                reader.problem(
                    "a constant is not a figure for a ranking",
                    "Write a figure of events or of the profile, such as {\"did\": \"purchase\"}.",
                );
                return None;
            }
            Some(figure)
        });
        let order = self.required(object, "order", Self::order);
        let by = self.optional(object, "by", Self::single_property);
        let of = self.optional(object, "of", Self::condition);
        let present = self.exactly_one(
            object,
            &["top", "percent"],
            "\"top\" or \"percent\"",
            "Write exactly one of top and percent, as in \"top\": 1000 or \"percent\": [0, 20].",
        );
        let top = self.optional(object, "top", Self::top);
        let percent = if object.contains_key("percent") { self.percent(object).map(Some) } else { Some(None) };
        let cut = match (top?, percent?) {
            (Some(top), None) => Cut::Top(top),
            (None, Some((from, to))) => Cut::Percent(from, to),
            _ => return None,
        };
        let rank = Rank { figure: figure?, order: order?, cut, by: by?, of: of?.map(Box::new) };
        (present.len() == 1).then_some(rank)
    }

    fn order(&mut self, value: &'a Value) -> Option<Order> {
        let name = self.string(value, "\"most\" or \"least\"")?;
        let known = Order::ALL.iter().find(|(word, _)| *word == name).map(|(_, order)| *order);
        if known.is_none() {
            let hint = match name {
                "desc" | "descending" => "\"most\" puts the largest figure first.".into(),
                "asc" | "ascending" => "\"least\" puts the smallest figure first.".into(),
                wrong => Hint::Name { wrong, valid: Order::ALL.iter().map(|(word, _)| *word).collect() },
            };
            self.problem(format!("unknown order {}", quote(name)), hint);
        }
        known
    }

    fn top(&mut self, value: &'a Value) -> Option<Whole> {
        if let Value::String(text) = value {
            let digits =
                |share: &&str| (1..=9).contains(&share.len()) && share.chars().all(|c| c.is_ascii_digit() || c == '.');
            let share = text.trim().strip_suffix('%').map(str::trim_end).filter(digits);
            self.problem(
                "expected a whole number, found a string",
                match share {
                    Some(share) => format!("For a share write \"percent\": [0, {share}] in place of \"top\"."),
                    None => "Write a whole number, as in \"top\": 1000.".to_owned(),
                },
            );
            return None;
        }
        let number = self.whole(value)?;
        if !(1..=MAX_TOP).contains(&number.value) {
            self.problem(
                format!("{} is not a number of customers from 1 to {MAX_TOP}", number.value),
                format!("Write a whole number from 1 to {MAX_TOP}."),
            );
            return None;
        }
        Some(number)
    }
}
