//! Random rules over the few types, paths and values that random worlds have.

use chrono::{DateTime, SecondsFormat, TimeDelta};
use cohort_core::rule::{Operator, Takes};
use serde_json::{Map, Value, json};

use crate::common::random::Random;

pub const TYPES: [&str; 3] = ["a", "b", "c"];
pub const COHORTS: [&str; 2] = ["some", "listed"];
pub const ZONES: [&str; 5] = ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"];

const INTERVALS: [&str; 12] = [
    "1 day",
    "2 days",
    "36 hours",
    "1 week",
    "1 month",
    "1 month 2 days",
    "1 year",
    "5 s",
    "3 months",
    "1 h",
    "90 days",
    "10 min",
];
const NUMBERS: [&str; 13] =
    ["0", "1", "2", "3", "1.0", "-2.5", "0.1", "10", "9007199254740993", "9007199254740992", "1e2", "-1", "0.30"];
const TEXTS: [&str; 15] = ["", "1", "1.0", "01", "a", "A", "ab", "Σ", "σ", "İ", "i", "true", "2", "-2.5e0", "1e2"];

/// A value that data and rules have.
pub fn scalar(random: &mut Random) -> Value {
    match random.below(5) {
        0 => json!(random.chance(2)),
        1 | 2 => number(random),
        _ => json!(random.pick(&TEXTS)),
    }
}

pub fn number(random: &mut Random) -> Value {
    Value::Number(random.pick(&NUMBERS).parse().expect("a number"))
}

/// A date near an instant, in any of the forms, or beyond them.
pub fn date(random: &mut Random, as_of: i64) -> String {
    const HOUR: i64 = 3_600;
    let seconds = match random.below(5) {
        0 => 0,
        1 => i64::try_from(random.below(96)).expect("few") * HOUR - 48 * HOUR,
        2 => i64::try_from(random.below(400)).expect("few") * 24 * HOUR - 200 * 24 * HOUR,
        3 => i64::try_from(random.below(200)).expect("few") - 100,
        _ => -i64::try_from(random.below(30_000)).expect("few") * 24 * HOUR,
    };
    let at = DateTime::from_timestamp_micros(as_of).expect("an instant") + TimeDelta::seconds(seconds);
    match random.below(6) {
        0 | 1 => at.format("%Y-%m-%d").to_string(),
        2 => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
        3 => ["2000-02-29", "2000-02-29", "2023-02-28", "2024-03-01", "2026-02-29"][random.below(5)].to_owned(),
        4 => at.format("%Y-%m-%dT%H:%M:%S.5+05:30").to_string(),
        _ => at.to_rfc3339_opts(SecondsFormat::Micros, true),
    }
}

/// A date that is one, as rules demand.
fn rule_date(random: &mut Random, as_of: i64) -> String {
    loop {
        let text = date(random, as_of);
        if cohort_core::time::read(&text).is_some() {
            return text;
        }
    }
}

/// What rules are made of.
pub struct Rules<'r> {
    pub random: &'r mut Random,
    pub as_of: i64,
}

/// What a predicate may refer to.
#[derive(Clone, Copy)]
struct Around<'n> {
    event: bool,
    element: bool,
    /// In the predicates of rows, which refer to nothing else.
    row: bool,
    steps: &'n [String],
}

const EVENT: Around<'static> = Around { event: true, element: false, row: false, steps: &[] };
const PROFILE: Around<'static> = Around { event: false, element: false, row: false, steps: &[] };
const ROW: Around<'static> = Around { event: false, element: false, row: true, steps: &[] };

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

impl Rules<'_> {
    pub fn rule(&mut self) -> Value {
        let mut rule = self.condition(2, true);
        if self.random.chance(2) {
            rule["timezone"] = json!(self.random.pick(&ZONES));
        }
        rule
    }

    /// A condition; `named`: it may name other cohorts.
    pub fn condition(&mut self, depth: usize, named: bool) -> Value {
        match self.random.below(if depth == 0 { 18 } else { 23 }) {
            0..=3 | 16 | 17 => self.did("did"),
            4 => self.did("did_not"),
            5 | 6 | 15 => self.profile(),
            7 if named => json!({"cohort": self.random.pick(&COHORTS)}),
            7..=9 => self.sequence(),
            10 | 11 => self.compare(),
            12 if self.random.chance(2) => json!({"customer_in": self.rows("id")}),
            12 => json!({"sample": {"percent": self.percent(), "salt": self.random.pick(&["s", "π"])}}),
            13 => self.rank(depth, named),
            14 => {
                let quantifier = self.random.pick(&["any", "all", "none"]);
                let condition = if depth == 0 { self.did("did") } else { self.condition(depth - 1, named) };
                json!({"group": self.group_path(), quantifier: condition})
            }
            18 | 19 => json!({"not": self.condition(depth - 1, named)}),
            n => {
                let list: Value = (0..=self.random.below(3)).map(|_| self.condition(depth - 1, named)).collect();
                json!({if n == 20 { "or" } else { "and" }: list})
            }
        }
    }

    fn types(&mut self) -> Value {
        match self.random.below(8) {
            0 => json!("*"),
            1 => json!([self.random.pick(&TYPES), "zz"]),
            2 => json!([self.random.pick(&TYPES), self.random.pick(&TYPES)]),
            _ => json!(self.random.pick(&TYPES)),
        }
    }

    fn interval(&mut self) -> Value {
        json!(self.random.pick(&INTERVALS))
    }

    /// A path that leads to one value.
    fn one_path(&mut self) -> Value {
        json!(self.random.pick(&["g", "x", "y", "n.k", "zz"]))
    }

    /// A path whose values some customers share.
    fn group_path(&mut self) -> Value {
        json!(self.random.pick(&["g", "g", "g", "x"]))
    }

    fn path(&mut self) -> &'static str {
        self.random.pick(&["x", "x", "y", "n.k", "n", "l[]", "l", "o[].k", "o[].l[]", "d", "zz"])
    }

    fn filter(&mut self, around: Around<'_>) -> Value {
        if self.random.chance(2) {
            self.predicate(2, around)
        } else {
            (0..=self.random.below(2)).map(|_| self.predicate(1, around)).collect()
        }
    }

    fn predicate(&mut self, depth: usize, around: Around<'_>) -> Value {
        match self.random.below(if depth == 0 { 5 } else { 9 }) {
            0..=4 => {
                let path = match around {
                    Around { element: true, .. } => self.random.pick(&[".", "k", "l[]", "k"]),
                    Around { row: true, .. } => self.random.pick(&["v", "v[]", "w", "d", "id"]),
                    _ => self.path(),
                };
                self.test("property", path, around)
            }
            5 => json!({"not": self.predicate(depth - 1, around)}),
            6 => json!({"and": [self.predicate(depth - 1, around), self.predicate(depth - 1, around)]}),
            7 => json!({"or": [self.predicate(depth - 1, around), self.predicate(depth - 1, around)]}),
            _ => {
                let path = match around {
                    Around { element: true, .. } => self.random.pick(&[".", "l"]),
                    Around { row: true, .. } => "v",
                    _ => self.random.pick(&["o", "l", "o[].l"]),
                };
                json!({"element": path, "where": self.predicate(depth - 1, Around { element: true, ..around })})
            }
        }
    }

    /// One comparison of a property.
    fn test(&mut self, key: &str, path: &str, around: Around<'_>) -> Value {
        let operators: Vec<Operator> = Operator::all().collect();
        // The plainest ones more often.
        let operator = match self.random.below(3) {
            0 => operators[self.random.below(6)],
            _ => operators[self.random.below(operators.len())],
        };
        let path = match operator.takes() {
            Takes::Date | Takes::Interval | Takes::Unit | Takes::Units | Takes::ShortUnit
                if !around.element && self.random.below(4) > 0 =>
            {
                "d"
            }
            _ => path,
        };
        let mut test = json!({key: path, "operator": operator.name()});
        if operator.takes_ref() && self.random.chance(if around.steps.is_empty() { 4 } else { 2 }) {
            test["ref"] = json!(self.reference(around));
        } else if matches!(operator, Operator::In | Operator::NotIn) && !around.row && self.random.chance(2) {
            let column = self.random.pick(&["v", "w", "id"]);
            test["rows"] = self.rows(column);
        } else if let Some(value) = self.argument(operator.takes()) {
            test["value"] = value;
        }
        if operator.takes_ignore_case() && self.random.chance(3) {
            test["ignore_case"] = json!(self.random.chance(2));
        }
        test
    }

    /// Values of the table beside the events.
    fn rows(&mut self, column: &str) -> Value {
        let rows = json!({"table": "shop.beside", "column": column});
        if self.random.chance(3) { rows } else { with(rows, "where", self.filter(ROW)) }
    }

    fn reference(&mut self, around: Around<'_>) -> String {
        if around.row && !(around.element && self.random.chance(2)) {
            return self.random.pick(&["row.v", "row.w", "row.d", "row.v[]"]).to_owned();
        }
        let path = self.random.pick(&["x", "y", "n.k", "l[]", "d", "d"]);
        match self.random.below(4) {
            _ if around.row => self.random.pick(&["element", "element.k"]).to_owned(),
            0 if around.element => self.random.pick(&["element", "element.k"]).to_owned(),
            1 if around.event => format!("event.{path}"),
            1..=3 if !around.steps.is_empty() => {
                format!("{}.{path}", around.steps[self.random.below(around.steps.len())])
            }
            _ => format!("profile.{path}"),
        }
    }

    fn argument(&mut self, takes: Takes) -> Option<Value> {
        Some(match takes {
            Takes::Nothing => return None,
            Takes::Scalar => scalar(self.random),
            Takes::Ordered => {
                if self.random.chance(2) {
                    number(self.random)
                } else {
                    json!(self.random.pick(&TEXTS))
                }
            }
            Takes::Range => match self.random.below(3) {
                0 => json!([0, 2]),
                1 => json!([-2.5, 0.1]),
                _ => json!(["1", "a"]),
            },
            Takes::List => (0..=self.random.below(3)).map(|_| scalar(self.random)).collect(),
            Takes::Text => json!(self.random.pick(&TEXTS)),
            Takes::Pattern => json!(self.random.pick(&["a", "^a", "1|b", "(?i)B", "σ", "^.$", "[0-9]+", ""])),
            Takes::Date => json!(rule_date(self.random, self.as_of)),
            Takes::Interval => self.interval(),
            Takes::Unit => json!(self.random.pick(&["day", "week", "month", "quarter", "year"])),
            Takes::Units => self.units(),
            Takes::ShortUnit => json!(self.random.pick(&["day", "week", "month"])),
        })
    }

    fn units(&mut self) -> Value {
        json!(self.random.pick(&["day", "2 days", "7days", "week", "3 weeks", "month", "2 months", "quarter", "year"]))
    }

    fn unit(&mut self) -> Value {
        json!(self.random.pick(&["day", "day", "week", "month", "quarter", "year"]))
    }

    fn whole(&mut self) -> Value {
        json!(self.random.below(4))
    }

    fn comparison(&mut self, mut number: impl FnMut(&mut Self) -> Value) -> (&'static str, Value) {
        match self.random.below(7) {
            0 => ("between", json!([0, 1 + self.random.below(3)])),
            _ => (self.random.pick(&["eq", "neq", "gt", "gte", "lt", "lte"]), number(self)),
        }
    }

    fn times(&mut self) -> Value {
        match self.random.below(4) {
            0 => (0..=self.random.below(2)).map(|_| self.time()).collect(),
            _ => self.time(),
        }
    }

    fn time(&mut self) -> Value {
        let as_of = self.as_of;
        match self.random.below(14) {
            0 | 1 => json!({"in_the_last": self.interval()}),
            2 => json!({"more_than_ago": self.interval()}),
            3 => json!({"between_ago": ["90 days", self.random.pick(&["1 day", "2 months", "36 hours"])]}),
            4 => json!({"since": rule_date(self.random, as_of)}),
            5 => json!({"before": rule_date(self.random, as_of)}),
            6 => {
                let mut dates = [rule_date(self.random, as_of), rule_date(self.random, as_of)];
                dates.sort();
                json!({"between": dates})
            }
            7 => json!({"this": self.unit()}),
            8 => json!({"previous": self.units()}),
            9 if self.random.chance(2) => json!({"weekday": self.random.pick(&["monday", "tuesday", "sunday"])}),
            9 => json!({"weekday": ["saturday", "sunday", "wednesday", "friday"]}),
            10 => {
                json!({"hours": [self.random.pick(&["00:00", "22:00", "09:30"]), self.random.pick(&["24:00", "06:00", "09:31"])]})
            }
            _ => {
                let anchor = if self.random.chance(3) {
                    json!({"profile": self.random.pick(&["d", "x"])})
                } else {
                    let anchor = json!({self.random.pick(&["first", "last"]): self.types()});
                    if self.random.chance(3) { with(anchor, "where", self.filter(EVENT)) } else { anchor }
                };
                let form = json!({self.random.pick(&["from", "until"]): anchor});
                if self.random.chance(2) { with(form, "within", self.interval()) } else { form }
            }
        }
    }

    fn did(&mut self, word: &str) -> Value {
        let mut did = json!({word: self.types()});
        if self.random.chance(2) {
            did["where"] = self.filter(EVENT);
        }
        if self.random.below(3) == 0 {
            did["time"] = self.times();
        }
        match self.random.below(10) {
            0 | 1 => self.occurrence(&mut did),
            2 => self.aggregate(&mut did),
            3 | 4 => self.count(&mut did),
            5 => {
                self.count(&mut did);
                self.aggregate(&mut did);
            }
            6..=8 => {
                did["per"] = self.unit();
                let (word, number) = self.comparison(Self::whole);
                did["periods"] = json!({word: number});
                if self.random.chance(2) {
                    did["periods"]["streak"] = json!(self.random.pick(&["longest", "current"]));
                }
                if self.random.chance(3) {
                    did["count"] = json!({"gte": 2});
                }
                if self.random.chance(3) {
                    self.aggregate(&mut did);
                }
            }
            _ => {}
        }
        did
    }

    fn occurrence(&mut self, did: &mut Value) {
        did["occurrence"] = match self.random.below(4) {
            0 => json!("first"),
            1 => json!("last"),
            2 => json!({"nth": 1 + self.random.below(3)}),
            _ => json!({"nth": -1 - i64::try_from(self.random.below(3)).expect("few")}),
        };
        if self.random.chance(2) {
            did["among"] = self.filter(EVENT);
        }
    }

    fn count(&mut self, did: &mut Value) {
        let (word, number) = self.comparison(Self::whole);
        did["count"] = json!({word: number});
    }

    fn aggregate(&mut self, did: &mut Value) {
        let path = self.random.pick(&["x", "y", "l[]", "n.k", "o[].k"]);
        let mut aggregate = Map::new();
        aggregate.insert("property".to_owned(), json!(path));
        if self.random.chance(4) {
            aggregate.insert("fn".to_owned(), json!("most_frequent"));
            if self.random.chance(2) {
                aggregate.insert("eq".to_owned(), scalar(self.random));
            } else {
                aggregate
                    .insert("in".to_owned(), json!([scalar(self.random), scalar(self.random), scalar(self.random)]));
            }
        } else {
            aggregate.insert("fn".to_owned(), json!(self.function()));
            let (word, number) = self.comparison(|rules| number(rules.random));
            aggregate.insert(word.to_owned(), number);
        }
        did["aggregate"] = Value::Object(aggregate);
    }

    fn function(&mut self) -> &'static str {
        self.random.pick(&["sum", "avg", "min", "max", "count_distinct"])
    }

    fn profile(&mut self) -> Value {
        if self.random.chance(4) {
            let path = self.random.pick(&["o", "l", "o[].l"]);
            return json!({"profile": path, "element": true,
                "where": self.predicate(1, Around { element: true, ..PROFILE })});
        }
        let path = self.path();
        self.test("profile", path, PROFILE)
    }

    fn sequence(&mut self) -> Value {
        let mut names: Vec<String> = Vec::new();
        let mut steps = Vec::new();
        let count = 1 + self.random.below(4);
        let must = self.random.below(count);
        let mut dids = 0;
        for place in 0..count {
            let absent = place != must && self.random.chance(3);
            let mut step = json!({if absent { "did_not" } else { "did" }: self.types()});
            if self.random.chance(2) {
                step["where"] = self.filter(Around { steps: &names, ..EVENT });
            }
            if absent {
                // Before the first step or behind the last one only.
                if (dids == 0 || place + 1 == count) && self.random.chance(3) {
                    step["within"] = self.interval();
                }
            } else {
                if self.random.chance(4) {
                    step["time"] = self.times();
                }
                if dids > 0 && self.random.chance(4) {
                    step["within"] = json!(self.random.pick(&["1 month", "90 days", "36 hours"]));
                }
                if dids > 0 && self.random.chance(4) {
                    step["after"] = json!(self.random.pick(&["1 h", "10 min", "1 day"]));
                }
                match self.random.below(7) {
                    0 => self.occurrence(&mut step),
                    1 | 2 => {
                        step["times"] = json!(2 + self.random.below(2));
                        if dids > 0 && self.random.chance(2) {
                            step["within"] = json!(self.random.pick(&["1 day", "36 hours", "1 week"]));
                        }
                    }
                    3..=5 => {
                        let name = format!("s{place}");
                        step["as"] = json!(name);
                        names.push(name);
                    }
                    _ => {}
                }
                dids += 1;
            }
            steps.push(step);
        }
        let sequence = json!({"sequence": steps});
        if self.random.chance(2) { with(sequence, "within", self.interval()) } else { sequence }
    }

    fn amount(&mut self, over: bool) -> Value {
        if !over && self.random.chance(4) {
            return json!({"profile": self.one_path()});
        }
        let mut amount = json!({"did": self.types()});
        if self.random.chance(3) {
            amount["where"] = self.filter(EVENT);
        }
        if self.random.chance(3) {
            amount["time"] = self.times();
        }
        if self.random.chance(2) {
            let path = self.random.pick(&["x", "y", "l[]", "n.k"]);
            amount["aggregate"] = json!({"fn": self.function(), "property": path});
        }
        amount
    }

    fn compare(&mut self) -> Value {
        let over = self.random.chance(3);
        let to = if self.random.chance(3) { number(self.random) } else { self.amount(over) };
        let operator = self.random.pick(&["eq", "neq", "gt", "gte", "lt", "lte"]);
        let mut compare = json!({"compare": self.amount(over), "operator": operator, "to": to});
        if over {
            compare["over"] = self.group_path();
        }
        if self.random.chance(3) {
            compare["factor"] = number(self.random);
        }
        compare
    }

    fn rank(&mut self, depth: usize, named: bool) -> Value {
        let mut rank = json!({"rank": self.amount(false), "order": self.random.pick(&["most", "least"])});
        if self.random.chance(2) {
            rank["top"] = json!(1 + self.random.below(4));
        } else {
            rank["percent"] = self.percent();
        }
        if self.random.chance(3) {
            rank["by"] = self.group_path();
        }
        if depth > 0 && self.random.chance(3) {
            rank["of"] = self.condition(depth - 1, named);
        }
        rank
    }

    fn percent(&mut self) -> Value {
        let from = self.random.below(4) * 20;
        json!([from, from + 10 + self.random.below(3) * 10])
    }
}
