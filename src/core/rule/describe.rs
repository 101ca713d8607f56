//! One short English line for a condition or a step, for people who read a plan or the plain SQL.

use super::{
    Aggregate, Amount, Anchor, Argument, Comparison, Condition, Cut, Did, ElementTest, EventTypes, Figure, Hours,
    Occurrence, Order, Periods, Predicate, Property, PropertyTest, Rank, Rows, Step, StepKind, Streak, Times, Where,
    Window, WrittenPath, weekday_name,
};
use crate::value::Scalar;

/// The longest line, in characters. What a rule lists by the thousand is cut, and is not walked through either.
const LONGEST: usize = 200;

impl Condition {
    /// One line of at most 200 characters without control characters, so that it can stand in a `--` comment. Of
    /// `and`, `or` and `not` it names the combinator only.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut line = Line::default();
        match self {
            Self::And(_) => line.push("all of"),
            Self::Or(_) => line.push("any of"),
            Self::Not(_) => line.push("not"),
            Self::Did(did) => line.did("did", did),
            Self::DidNot(did) => line.did("did not", did),
            Self::Profile(test) => {
                line.push("profile ");
                line.test(test);
            }
            Self::ProfileElement(test) => {
                line.push("profile: ");
                line.element(test);
            }
            Self::Cohort(name) => {
                line.push("in cohort ");
                line.quoted(name);
            }
            Self::CustomerIn(rows) => {
                line.push("customer in");
                line.rows(rows);
            }
            Self::Sequence(sequence) => {
                line.joined(&sequence.steps, " then ", Line::step);
                if let Some(within) = &sequence.within {
                    line.push(" within ");
                    line.push(&within.text);
                }
            }
            Self::Compare(compare) => {
                line.amount(&compare.left);
                line.push(" ");
                line.push(compare.operator.name());
                line.push(" ");
                if let Some(factor) = &compare.factor {
                    line.push(factor.text());
                    line.push(" times ");
                }
                line.amount(&compare.right);
                if let Some(over) = &compare.over {
                    line.push(", over all with the same ");
                    line.property(over);
                }
            }
            Self::Rank(rank) => line.rank(rank),
            Self::Group(group) => {
                line.push(group.quantifier.name());
                line.push(" of the customers with the same ");
                line.property(&group.property);
            }
            Self::Sample(sample) => {
                line.push("sample from ");
                line.push(sample.from.text());
                line.push(" to ");
                line.push(sample.to.text());
                line.push(" % by ");
                line.quoted(&sample.salt);
            }
        }
        line.finish()
    }
}

impl Step {
    /// One line, as [`Condition::describe`].
    #[must_use]
    pub fn describe(&self) -> String {
        let mut line = Line::default();
        line.step(self);
        line.finish()
    }
}

/// A line that takes no more than it can show.
#[derive(Default)]
struct Line {
    text: String,
    characters: usize,
}

impl Line {
    fn push(&mut self, text: &str) {
        for character in text.chars() {
            if self.is_full() {
                return;
            }
            // The separators U+2028 and U+2029 end a line for some readers.
            let plain =
                if character.is_control() || ('\u{2028}'..='\u{2029}').contains(&character) { ' ' } else { character };
            self.text.push(plain);
            self.characters += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.characters > LONGEST
    }

    fn finish(mut self) -> String {
        if self.is_full() {
            self.text.pop();
            self.text.pop();
            self.text.push('…');
        }
        self.text
    }

    fn quoted(&mut self, text: &str) {
        self.push("\"");
        self.push(text);
        self.push("\"");
    }

    fn joined<T>(&mut self, items: &[T], between: &str, write: impl Fn(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            if self.is_full() {
                return;
            }
            if index > 0 {
                self.push(between);
            }
            write(self, item);
        }
    }

    fn did(&mut self, verb: &str, did: &Did) {
        let Did { events, filter, count, time, aggregate, occurrence, among, periods } = did;
        self.push(verb);
        self.push(" ");
        self.events(events);
        self.occurrence(occurrence.as_ref(), among.as_ref());
        self.filter(filter.as_ref());
        if let Some(count) = count {
            self.push(", ");
            let times = |line: &mut Self, number: &super::Whole| line.push(&number.value.to_string());
            self.comparison(count, times, "exactly ");
            let single = matches!(
                count,
                Comparison::Eq(n) | Comparison::Neq(n) | Comparison::Gt(n) | Comparison::Gte(n) | Comparison::Lt(n)
                    | Comparison::Lte(n) if n.value == 1
            );
            self.push(if single { " time" } else { " times" });
        }
        self.time(time.as_ref());
        if let Some(aggregate) = aggregate {
            self.push(", ");
            self.aggregate(aggregate);
        }
        if let Some(Periods { unit, comparison, streak }) = periods {
            self.push(", a ");
            self.push(unit.name());
            self.push(", in ");
            self.comparison(comparison, |line, number| line.push(&number.value.to_string()), "exactly ");
            self.push(match streak {
                None => " of them",
                Some(Streak::Longest) => " in a row",
                Some(Streak::Current) => " in a row up to now",
            });
        }
    }

    fn occurrence(&mut self, occurrence: Option<&Occurrence>, among: Option<&Where>) {
        let number = match occurrence {
            None => return,
            Some(Occurrence::First) => "the first one".to_owned(),
            Some(Occurrence::Last) => "the last one".to_owned(),
            Some(Occurrence::Nth(number)) => format!("number {}", number.value),
            Some(Occurrence::NthLast(number)) => format!("number {} from the last", number.value),
        };
        self.push(" (");
        self.push(&number);
        if among.is_some() {
            self.push(" of those");
            self.filter(among);
        }
        self.push(")");
    }

    fn step(&mut self, step: &Step) {
        let Step { kind, events, filter, name, time, occurrence, among, within, after, times } = step;
        if *kind == StepKind::DidNot {
            self.push("no ");
        }
        self.events(events);
        if let Some(name) = name {
            self.push(" as ");
            self.push(name);
        }
        self.occurrence(occurrence.as_ref(), among.as_ref());
        self.filter(filter.as_ref());
        self.time(time.as_ref());
        if let Some(times) = times {
            self.push(", ");
            self.push(&times.value.to_string());
            self.push(" times");
        }
        for (word, interval) in [(", at least ", after), (", within ", within)] {
            if let Some(interval) = interval {
                self.push(word);
                self.push(&interval.text);
            }
        }
        if after.is_some() {
            self.push(" later");
        }
    }

    fn events(&mut self, events: &EventTypes) {
        match events {
            EventTypes::One(name) => self.event(name),
            EventTypes::Many(names) => self.joined(names, " or ", |line, name| line.event(name)),
        }
    }

    fn event(&mut self, name: &str) {
        let plain = |c: char| c.is_alphanumeric() || "_-.:/".contains(c);
        if name == "*" {
            self.push("any event");
        } else if name.chars().take(LONGEST).all(plain) {
            self.push(name);
        } else {
            self.quoted(name);
        }
    }

    fn filter(&mut self, filter: Option<&Where>) {
        if let Some(filter) = filter {
            self.push(" where ");
            self.joined(filter.predicates(), " and ", Self::predicate);
        }
    }

    fn predicate(&mut self, predicate: &Predicate) {
        match predicate {
            Predicate::And(all) => self.grouped(all, " and "),
            Predicate::Or(any) => self.grouped(any, " or "),
            Predicate::Not(inner) => {
                self.push("not ");
                self.grouped(std::slice::from_ref(inner), "");
            }
            Predicate::Test(test) => self.test(test),
            Predicate::Element(test) => self.element(test),
        }
    }

    fn element(&mut self, test: &ElementTest) {
        self.push("an element of ");
        self.property(&test.property);
        self.push(" where ");
        self.grouped(test.filter.predicates(), " and ");
    }

    fn grouped(&mut self, predicates: &[Predicate], between: &str) {
        self.push("(");
        self.joined(predicates, between, Self::predicate);
        self.push(")");
    }

    fn test(&mut self, test: &PropertyTest) {
        let PropertyTest { property, operator, argument, ignore_case } = test;
        self.property(property);
        self.push(" ");
        self.push(operator.name());
        match argument {
            Argument::None => {}
            Argument::Scalar(value) => {
                self.push(" ");
                self.scalar(value);
            }
            Argument::Ref(reference) => {
                self.push(" ");
                self.path(&reference.written);
            }
            Argument::Rows(rows) => self.rows(rows),
            Argument::Range(low, high) => {
                self.push(" ");
                self.scalar(low);
                self.push(" and ");
                self.scalar(high);
            }
            Argument::List(values) => self.list(values),
            Argument::Text(searched) => {
                self.push(" ");
                self.quoted(searched);
            }
            Argument::Date(date) => {
                self.push(" ");
                self.push(&date.text);
            }
            Argument::Units(units) => {
                self.push(" ");
                self.push(&units.text);
            }
            Argument::Interval(interval) => {
                self.push(" ");
                self.push(&interval.text);
            }
        }
        if *ignore_case == Some(true) {
            self.push(" ignoring case");
        }
    }

    fn list(&mut self, values: &[Scalar]) {
        self.push(" (");
        self.joined(values, ", ", Self::scalar);
        self.push(")");
    }

    fn rows(&mut self, rows: &Rows) {
        self.push(" ");
        self.push(&rows.column);
        self.push(" of ");
        self.push(&rows.table.written);
        self.filter(rows.filter.as_ref());
    }

    fn property(&mut self, property: &Property) {
        self.path(&property.written);
    }

    fn path(&mut self, path: &WrittenPath) {
        match path {
            WrittenPath::Dotted(path) => self.push(path),
            WrittenPath::Keys(keys) => {
                self.push("[");
                self.joined(keys, ", ", |line, key| line.quoted(key));
                self.push("]");
            }
        }
    }

    fn scalar(&mut self, value: &Scalar) {
        match value {
            Scalar::String(text) => self.quoted(text),
            Scalar::Number(number) => self.push(number.text()),
            Scalar::Bool(boolean) => self.push(if *boolean { "true" } else { "false" }),
        }
    }

    fn comparison<N>(&mut self, comparison: &Comparison<N>, number: impl Fn(&mut Self, &N), exactly: &str) {
        let (words, compared) = match comparison {
            Comparison::Eq(compared) => (exactly, compared),
            Comparison::Neq(compared) => ("not ", compared),
            Comparison::Gt(compared) => ("more than ", compared),
            Comparison::Gte(compared) => ("at least ", compared),
            Comparison::Lt(compared) => ("less than ", compared),
            Comparison::Lte(compared) => ("at most ", compared),
            Comparison::Between(low, high) => {
                number(self, low);
                self.push(" to ");
                number(self, high);
                return;
            }
        };
        self.push(words);
        number(self, compared);
    }

    fn rank(&mut self, rank: &Rank) {
        let Rank { figure, order, cut, by, of } = rank;
        match cut {
            Cut::Top(top) => {
                self.push("the first ");
                self.push(&top.value.to_string());
            }
            Cut::Percent(from, to) => {
                self.push(from.text());
                self.push(" to ");
                self.push(to.text());
                self.push(" %");
            }
        }
        if of.is_some() {
            self.push(" of the customers of its condition");
        }
        self.push(match order {
            Order::Most => " by the largest ",
            Order::Least => " by the smallest ",
        });
        self.amount(figure);
        if let Some(by) = by {
            self.push(", among all with the same ");
            self.property(by);
        }
    }

    fn amount(&mut self, amount: &Amount) {
        match amount {
            Amount::Number(number) => self.push(number.text()),
            Amount::Profile(property) => {
                self.push("profile ");
                self.property(property);
            }
            Amount::Events(amount) => {
                match &amount.measure {
                    None => self.push("number of "),
                    Some(measure) => {
                        self.push(measure.function.name());
                        self.push(" of ");
                        self.property(&measure.property);
                        self.push(" of ");
                    }
                }
                self.events(&amount.events);
                self.filter(amount.filter.as_ref());
                self.time(amount.time.as_ref());
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) {
        let (name, compared) = match &aggregate.figure {
            Figure::Sum(compared) => ("sum", Some(compared)),
            Figure::Avg(compared) => ("average", Some(compared)),
            Figure::Min(compared) => ("minimum", Some(compared)),
            Figure::Max(compared) => ("maximum", Some(compared)),
            Figure::CountDistinct(compared) => ("distinct count", Some(compared)),
            Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_) => ("most frequent", None),
        };
        self.push(name);
        self.push(if compared.is_some() { " of " } else { " " });
        self.property(&aggregate.property);
        self.push(" ");
        match &aggregate.figure {
            Figure::MostFrequentIs(value) => {
                self.push("is ");
                self.scalar(value);
            }
            Figure::MostFrequentIn(values) => {
                self.push("in");
                self.list(values);
            }
            Figure::Sum(_) | Figure::Avg(_) | Figure::Min(_) | Figure::Max(_) | Figure::CountDistinct(_) => {
                if let Some(compared) = compared {
                    self.comparison(compared, |line, number| line.push(number.text()), "");
                }
            }
        }
    }

    fn time(&mut self, times: Option<&Times>) {
        for form in times.map_or(&[][..], Times::forms) {
            if self.is_full() {
                return;
            }
            self.push(", ");
            self.form(form);
        }
    }

    fn form(&mut self, window: &Window) {
        let parts: &[&str] = match window {
            Window::InTheLast(interval) => &["in the last ", &interval.text],
            Window::MoreThanAgo(interval) => &["more than ", &interval.text, " ago"],
            Window::BetweenAgo(longer, shorter) => &["between ", &longer.text, " and ", &shorter.text, " ago"],
            Window::Since(date) => &["since ", &date.text],
            Window::Before(date) => &["before ", &date.text],
            Window::Between(first, last) => &["from ", &first.text, " to ", &last.text],
            Window::This(unit) => &["this ", unit.name()],
            Window::Previous(units) => &["the previous ", &units.text],
            Window::Weekday(days) => {
                self.push("on ");
                self.joined(days.days(), " or ", |line, day| line.push(weekday_name(*day)));
                return;
            }
            Window::Hours(hours) => &["from ", &Hours::text(hours.from), " to ", &Hours::text(hours.to)],
            Window::From(anchor, within) => {
                match within {
                    Some(within) => {
                        self.push("within ");
                        self.push(&within.text);
                        self.push(" after ");
                    }
                    None => self.push("from "),
                }
                self.anchor(anchor);
                return;
            }
            Window::Until(anchor, within) => {
                match within {
                    Some(within) => {
                        self.push("within ");
                        self.push(&within.text);
                        self.push(" before ");
                    }
                    None => self.push("until "),
                }
                self.anchor(anchor);
                return;
            }
        };
        for part in parts {
            self.push(part);
        }
    }

    fn anchor(&mut self, anchor: &Anchor) {
        let (word, event) = match anchor {
            Anchor::First(event) => ("the first ", event),
            Anchor::Last(event) => ("the last ", event),
            Anchor::Profile(property) => {
                self.push("profile ");
                self.property(property);
                return;
            }
        };
        self.push(word);
        self.events(&event.events);
        self.filter(event.filter.as_ref());
    }
}
