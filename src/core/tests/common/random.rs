//! Random JSON: valid rules, rules with something changed, and anything.

use serde_json::{Map, Number, Value, json};

/// Names and aliases of operators, by what they take.
const SCALAR: &str = "eq = == equals is neq != <> ne not_equals is_not";
const ORDERED: &str = "gt gte lt lte > >= < <= greater_than greater_than_or_equal less_than \
    less_than_or_equal";
const RANGE: &str = "between not_between";
const LIST: &str = "in any_of not_in none_of";
const ARRAY: &str = "contains_any contains_all contains_none";
const TEXT: &str = "contains not_contains starts_with not_starts_with ends_with not_ends_with regex \
    not_regex matches icontains";
const NOTHING: &str = "exists not_exists is_set is_not_set";
const INTERVAL: &str = "in_the_last in_the_next more_than_ago anniversary_in_the_next \
    anniversary_in_the_last birthday_in_the_next";

/// A small generator of random numbers (splitmix64); proptest chooses and reports the seed.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("smaller than a usize")
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn list(&mut self, longest: usize, mut item: impl FnMut(&mut Self) -> Value) -> Value {
        let length = 1 + self.below(longest);
        (0..length).map(|_| item(self)).collect()
    }

    fn number(&mut self) -> Value {
        let text = match self.below(4) {
            0 => self.below(1_000).to_string(),
            1 => format!("-{}.{}", self.below(50), self.below(1_000)),
            2 => self.next().to_string(),
            _ => self.pick(&["1e400", "3.0", "-0", "9007199254740993", "1e-300", "0.10", "1E3"]).to_owned(),
        };
        Value::Number(text.parse::<Number>().expect("a number"))
    }

    fn whole(&mut self, least: usize) -> Value {
        let text = match self.below(5) {
            0 => format!("{}.0", least + self.below(9)),
            1 => format!("{}.000", least + self.below(9)),
            _ => (least + self.below(9)).to_string(),
        };
        Value::Number(text.parse::<Number>().expect("a number"))
    }

    fn word(&mut self) -> &'static str {
        self.pick(&["a", "purchase", "*", "π", "A b", "x\"y", "line\nbreak", "ß", "1", "true", "", " "])
    }

    fn scalar(&mut self) -> Value {
        match self.below(4) {
            0 => self.number(),
            1 => json!(self.chance(2)),
            _ => json!(self.word()),
        }
    }

    fn event(&mut self) -> Value {
        json!(self.pick(&["cart", "purchase", "*", "sign up", "π", "a\nb"]))
    }

    fn events(&mut self) -> Value {
        if self.chance(3) { self.list(3, Self::event) } else { self.event() }
    }

    fn path(&mut self) -> Value {
        if self.chance(4) {
            return self.list(3, |random| json!(random.word()));
        }
        json!(self.pick(&["price", "cart.total", "items[].sku", "m[][]", "list.0", "a b.c", "x[].y[][].z", "$-é"]))
    }

    fn interval(&mut self) -> Value {
        let number = 1 + self.below(400);
        let unit = self.pick(&["days", "d", "months", "h", "min", "weeks", "y", "microseconds", "s", "mon"]);
        let blank = self.pick(&["", " ", "  "]);
        let more = self.pick(&["", "", " 15 milliseconds", " 0 sec 3 minute"]);
        // Both may say seconds or minutes; then a single item will do.
        let more = if unit == "s" || unit == "min" { "" } else { more };
        json!(format!("{number}{blank}{unit}{more}"))
    }

    fn date(&mut self) -> Value {
        let day = format!("{:04}-{:02}-{:02}", 1990 + self.below(60), 1 + self.below(12), 1 + self.below(28));
        let time =
            self.pick(&["", "", "T10:20:30", "T23:59:59.9999999", "T00:00:00Z", "T01:02:03.5-0330", "T01:02:03+15"]);
        json!(format!("{day}{time}"))
    }

    fn comparison(&mut self, mut number: impl FnMut(&mut Self, usize) -> Value) -> Map<String, Value> {
        let name = self.pick(&["eq", "neq", "gt", "gte", "lt", "lte", "between"]);
        let value = if name == "between" { json!([number(self, 0), number(self, 10)]) } else { number(self, 0) };
        Map::from_iter([(name.to_owned(), value)])
    }

    fn times(&mut self) -> Value {
        if self.chance(4) { self.list(3, Self::window) } else { self.window() }
    }

    fn units(&mut self) -> Value {
        let unit = self.pick(&["day", "week", "month", "quarter", "year"]);
        let text = match self.below(4) {
            0 => unit.to_owned(),
            1 => format!("{}{unit}s", 1 + self.below(1_000)),
            2 => format!("0{} {unit}", 1 + self.below(9)),
            _ => format!("{}  {unit}s", 1 + self.below(20)),
        };
        json!(text)
    }

    fn anchored(&mut self) -> Value {
        let anchor = match self.below(4) {
            0 => json!({"first": self.events()}),
            1 => json!({"last": self.events(), "where": self.filter(&[])}),
            2 => json!({"profile": ["a[]", "b"]}),
            _ => json!({"profile": "trial.ends"}),
        };
        let mut form = Map::from_iter([(self.pick(&["from", "until"]).to_owned(), anchor)]);
        if self.chance(2) {
            form.insert("within".into(), self.interval());
        }
        Value::Object(form)
    }

    fn weekday(&mut self) -> Value {
        json!(self.pick(&["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]))
    }

    fn window(&mut self) -> Value {
        let unit = self.pick(&["day", "week", "month", "quarter", "year"]);
        match self.below(12) {
            8 => self.anchored(),
            9 if self.chance(2) => json!({"weekday": self.weekday()}),
            9 => json!({"weekday": self.list(3, Self::weekday)}),
            10 => json!({"hours": [self.pick(&["00:00", "18:30", "23:59"]), self.pick(&["24:00", "06:00"])]}),
            11 => json!({"previous": self.units()}),
            0 => json!({"in_the_last": self.interval()}),
            1 => json!({"more_than_ago": self.interval()}),
            2 => json!({"between_ago": ["401 years", self.interval()]}),
            3 => json!({"since": self.date()}),
            4 => json!({"before": self.date()}),
            5 => json!({"between": ["1989-05-05", self.date()]}),
            6 => json!({"this": unit}),
            _ => json!({"previous": unit}),
        }
    }

    fn aggregate(&mut self) -> Value {
        let mut object = if self.chance(3) {
            let mut object = if self.chance(2) {
                Map::from_iter([("eq".to_owned(), self.scalar())])
            } else {
                Map::from_iter([("in".to_owned(), self.list(3, Self::scalar))])
            };
            object.insert("fn".into(), json!("most_frequent"));
            object
        } else {
            let mut object = self.comparison(Self::whole);
            object.insert("fn".into(), json!(self.pick(&["sum", "avg", "min", "max", "count_distinct"])));
            object
        };
        object.insert("property".into(), self.path());
        Value::Object(object)
    }

    fn test(&mut self, key: &str, names: &[String]) -> Map<String, Value> {
        let mut object = Map::from_iter([(key.to_owned(), self.path())]);
        if self.chance(6) || !names.is_empty() && self.chance(3) {
            let text = self.chance(2);
            let operators: &[&str] =
                if text { &["eq", "=", "is", "neq", "<>"] } else { &["gt", ">=", "lt", "<=", "before", "since", "on"] };
            object.insert("operator".into(), json!(self.pick(operators)));
            let path = self.pick(&["id", "cart.items[].sku", "a b"]);
            let name = match self.below(2 + names.len()) {
                0 if key == "property" => "event",
                0 | 1 => "profile",
                place => &names[place - 2],
            };
            let ref_ = if self.chance(4) { json!([name, path, ""]) } else { json!(format!("{name}.{path}")) };
            object.insert("ref".into(), ref_);
            if text && self.chance(3) {
                object.insert("ignore_case".into(), json!(self.chance(2)));
            }
            return object;
        }
        if self.chance(8) {
            object.insert("operator".into(), json!(self.pick(&["in", "any_of", "not_in", "none_of"])));
            object.insert("rows".into(), self.rows());
            if self.chance(3) {
                object.insert("ignore_case".into(), json!(self.chance(2)));
            }
            return object;
        }
        let (operators, value, text) = match self.below(12) {
            9 => ("this", Some(json!(self.pick(&["day", "quarter"]))), false),
            10 => ("previous next", Some(self.units()), false),
            11 => ("anniversary_this", Some(json!(self.pick(&["day", "week", "month"]))), false),
            0 => (SCALAR, Some(self.scalar()), true),
            1 if self.chance(2) => (ORDERED, Some(self.number()), false),
            1 => (ORDERED, Some(json!(self.word())), false),
            2 if self.chance(2) => (RANGE, Some(json!([-50.5, self.whole(0)])), false),
            2 => (RANGE, Some(json!(["", self.word()])), false),
            3 => (LIST, Some(self.list(4, Self::scalar)), true),
            4 => (ARRAY, Some(self.list(4, Self::scalar)), false),
            5 => (TEXT, Some(json!(self.pick(&["", "a", "^a+$", "Straße", "π|x"]))), true),
            6 => (NOTHING, None, false),
            7 => ("before since on", Some(self.date()), false),
            _ => (INTERVAL, Some(self.interval()), false),
        };
        let operators: Vec<&str> = operators.split(' ').collect();
        let operator = self.pick(&operators);
        object.insert("operator".into(), json!(operator));
        object.extend(value.map(|value| ("value".into(), value)));
        if text && self.chance(3) {
            object.insert("ignore_case".into(), json!(operator == "icontains" || self.chance(2)));
        }
        object
    }

    /// A column of a table.
    fn rows(&mut self) -> Value {
        let table = self.pick(&["shop.product", " Shop . \"Odd \"\"Name\" ", "läden.ä$1", "\"a.b\".c"]);
        let mut rows = json!({"table": table, "column": self.pick(&["id", "Odd Name", "\"", "é"])});
        if self.chance(2) {
            let mut where_ = self.filter(&[]);
            of_row(&mut where_, false);
            rows["where"] = where_;
        }
        rows
    }

    /// Predicates on an element of an array.
    fn of_element(&mut self, depth: usize) -> Value {
        let mut predicate = self.predicate(depth, &[]);
        if predicate.get("ref").is_some() && self.chance(3) {
            let refs = [json!("element"), json!("element.a.b"), json!(["element", "a.b"])];
            predicate["ref"] = refs[self.below(refs.len())].clone();
        }
        for key in ["property", "element"] {
            if predicate.get(key).is_some() && self.chance(3) {
                predicate[key] = json!(".");
            }
        }
        if self.chance(2) { predicate } else { json!([predicate]) }
    }

    fn predicate(&mut self, depth: usize, names: &[String]) -> Value {
        match self.below(if depth == 0 { 1 } else { 7 }) {
            6 => json!({"element": self.path(), "where": self.of_element(depth - 1)}),
            1 => json!({"and": self.list(3, |random| random.predicate(depth - 1, names))}),
            2 => json!({"or": self.list(3, |random| random.predicate(depth - 1, names))}),
            3 => json!({"not": self.predicate(depth - 1, names)}),
            _ => Value::Object(self.test("property", names)),
        }
    }

    fn filter(&mut self, names: &[String]) -> Value {
        if self.chance(2) { self.predicate(2, names) } else { self.list(3, |random| random.predicate(1, names)) }
    }

    fn did(&mut self) -> Map<String, Value> {
        let word = self.pick(&["did", "did", "did_not"]);
        let mut object = Map::from_iter([(word.to_owned(), self.events())]);
        if self.chance(2) {
            object.insert("where".into(), self.filter(&[]));
        }
        if self.chance(3) {
            object.insert("time".into(), self.times());
        }
        if self.chance(4) {
            object.insert("occurrence".into(), self.occurrence());
            if self.chance(2) {
                object.insert("among".into(), self.filter(&[]));
            }
            return object;
        }
        if self.chance(3) {
            object.insert("count".into(), Value::Object(self.comparison(Self::whole)));
        }
        if self.chance(4) {
            object.insert("per".into(), json!(self.pick(&["day", "week", "month", "quarter", "year"])));
            object.insert("periods".into(), self.periods());
            // A count of 0 would be an error.
            if object.contains_key("count") {
                object.insert("count".into(), json!({"gte": self.whole(1)}));
            }
        }
        if self.chance(3) {
            object.insert("aggregate".into(), self.aggregate());
        }
        object
    }

    fn periods(&mut self) -> Value {
        let mut periods = self.comparison(Self::whole);
        if self.chance(2) {
            periods.insert("streak".into(), json!(self.pick(&["longest", "current"])));
        }
        Value::Object(periods)
    }

    fn occurrence(&mut self) -> Value {
        let nth =
            Value::Number(self.pick(&["1", "-1", "1000", "-1000.0", "20.00"]).parse::<Number>().expect("a number"));
        if self.chance(2) { json!({"nth": nth}) } else { json!(self.pick(&["first", "last"])) }
    }

    fn sequence(&mut self) -> Map<String, Value> {
        let mut names: Vec<String> = Vec::new();
        let mut steps = Vec::new();
        let leading = self.below(6).saturating_sub(4);
        let last = leading + self.below(4);
        for index in 0..=last {
            let did = index == leading || index > leading && !self.chance(3);
            let mut step = Map::from_iter([((if did { "did" } else { "did_not" }).to_owned(), self.events())]);
            if self.chance(2) {
                step.insert("where".into(), self.filter(&names));
            }
            if did && self.chance(4) {
                step.insert("time".into(), self.times());
            }
            if did && self.chance(5) {
                step.insert("times".into(), self.whole(2));
            } else if did && self.chance(4) {
                step.insert("occurrence".into(), self.occurrence());
                if self.chance(2) {
                    step.insert("among".into(), self.filter(&[]));
                }
            }
            if did && index > leading && self.chance(3) {
                step.insert("within".into(), json!("2 months"));
                step.insert("after".into(), json!(self.pick(&["60 days", "1 second", "2 mon"])));
            } else if !did && (index < leading || index == last) && self.chance(2) {
                step.insert("within".into(), self.interval());
            }
            if did && !step.contains_key("times") && !step.contains_key("occurrence") && self.chance(2) {
                let name = format!("{}{index}", self.pick(&["c", "step ", "é["]));
                step.insert("as".into(), json!(name));
                names.push(name);
            }
            steps.push(Value::Object(step));
        }
        let mut object = Map::from_iter([("sequence".to_owned(), Value::Array(steps))]);
        if self.chance(2) {
            object.insert("within".into(), self.interval());
        }
        object
    }

    fn group(&mut self, depth: usize) -> Map<String, Value> {
        let inner = Value::Object(self.condition(depth));
        Map::from_iter([
            ("group".to_owned(), json!(self.pick(&["company", "a.b"]))),
            (self.pick(&["any", "all", "none"]).to_owned(), inner),
        ])
    }

    fn amount(&mut self) -> Value {
        let mut amount = Map::from_iter([("did".to_owned(), self.events())]);
        if self.chance(2) {
            amount.insert("where".into(), self.filter(&[]));
        }
        if self.chance(3) {
            amount.insert("time".into(), self.times());
        }
        if self.chance(2) {
            let function = self.pick(&["sum", "avg", "min", "max", "count_distinct"]);
            amount.insert("aggregate".into(), json!({"fn": function, "property": self.path()}));
        }
        Value::Object(amount)
    }

    fn compare(&mut self) -> Map<String, Value> {
        let operator = self.pick(&["eq", "!=", "gt", ">=", "less_than", "lte"]);
        let mut compare = Map::from_iter([
            ("compare".to_owned(), self.amount()),
            ("operator".to_owned(), json!(operator)),
            ("to".to_owned(), if self.chance(2) { self.amount() } else { self.number() }),
        ]);
        if self.chance(3) {
            compare.insert("factor".into(), self.number());
        }
        // A figure of a group cannot be a profile's.
        match self.below(9) {
            0..3 => drop(compare.insert("over".into(), json!("company"))),
            3..5 => drop(compare.insert("to".into(), json!({"profile": "limit"}))),
            5.. => {}
        }
        compare
    }

    fn rank(&mut self, depth: usize) -> Map<String, Value> {
        let mut rank = Map::from_iter([
            ("rank".to_owned(), if self.chance(4) { json!({"profile": "age"}) } else { self.amount() }),
            ("order".to_owned(), json!(self.pick(&["most", "least"]))),
        ]);
        if self.chance(2) {
            rank.insert("top".into(), self.whole(1));
        } else {
            rank.insert("percent".into(), json!([self.below(60), 60.5]));
        }
        if self.chance(2) {
            rank.insert("by".into(), json!(self.pick(&["company", "a.b"])));
        }
        if self.chance(2) {
            rank.insert("of".into(), Value::Object(self.condition(depth)));
        }
        rank
    }

    fn sample(&mut self) -> Value {
        let from = self.below(60);
        let percent = json!([from, 60.5]);
        json!({"percent": percent, "salt": self.pick(&["spring", " ", "π\n"])})
    }

    fn condition(&mut self, depth: usize) -> Map<String, Value> {
        let nested = |random: &mut Self| Value::Object(random.condition(depth - 1));
        let one = |word: &str, value| Map::from_iter([(word.to_owned(), value)]);
        match self.below(if depth == 0 { 7 } else { 12 }) {
            4 if self.chance(2) => self.compare(),
            10 => self.group(depth - 1),
            11 => self.rank(depth - 1),
            0 | 1 => self.sequence(),
            2 if self.chance(3) => one("customer_in", self.rows()),
            2 if self.chance(2) => one("cohort", json!(self.word())),
            2 => one("sample", self.sample()),
            3 if self.chance(4) => {
                let mut where_ = self.of_element(1);
                of_profile(&mut where_);
                Map::from_iter([
                    ("profile".to_owned(), self.path()),
                    ("element".to_owned(), json!(true)),
                    ("where".to_owned(), where_),
                ])
            }
            3 => self.test("profile", &[]),
            7 => one("and", self.list(3, nested)),
            8 => one("or", self.list(3, nested)),
            9 => one("not", nested(self)),
            _ => self.did(),
        }
    }

    /// A valid rule, with aliases of operators.
    pub fn rule(&mut self) -> Value {
        let mut rule = self.condition(3);
        if self.chance(4) {
            let version = self.pick(&["1", "1.0"]);
            rule.insert("version".into(), Value::Number(version.parse().expect("a number")));
        }
        if self.chance(4) {
            rule.insert("timezone".into(), json!(self.pick(&["UTC", "Asia/Kolkata", "America/Sao_Paulo"])));
        }
        Value::Object(rule)
    }

    /// Changes something of a JSON value.
    pub fn mutate(&mut self, value: &mut Value) {
        let count = nodes(value);
        let mut chosen = self.below(count);
        self.mutate_node(value, &mut chosen);
    }

    fn mutate_node(&mut self, value: &mut Value, chosen: &mut usize) -> bool {
        if *chosen == 0 {
            self.change(value);
            return true;
        }
        *chosen -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|item| self.mutate_node(item, chosen)),
            Value::Object(members) => members.values_mut().any(|member| self.mutate_node(member, chosen)),
            _ => false,
        }
    }

    fn change(&mut self, value: &mut Value) {
        match (self.below(4), &mut *value) {
            (0, Value::Object(members)) if !members.is_empty() => {
                let key = members.keys().nth(self.below(members.len())).cloned().unwrap_or_default();
                let old = members.remove(&key);
                if self.chance(2) {
                    members.insert(self.key().to_owned(), old.unwrap_or_default());
                }
            }
            (1, Value::Object(members)) => {
                let key = self.key();
                let new = self.fitting(key);
                members.insert(key.to_owned(), new);
            }
            (0, Value::Array(items)) if !items.is_empty() => {
                drop(items.remove(self.below(items.len())));
            }
            (1, Value::Array(items)) => items.push(self.anything(1)),
            (2, Value::Array(items)) => items.reverse(),
            _ => *value = self.anything(2),
        }
    }

    /// Most often what may stand under a key, so that what a rule excludes is tried too.
    fn fitting(&mut self, key: &str) -> Value {
        if self.chance(3) {
            return self.anything(1);
        }
        match key {
            "did" | "did_not" | "first" | "last" => self.events(),
            "where" | "among" => self.filter(&[]),
            "count" => Value::Object(self.comparison(Self::whole)),
            "time" => self.times(),
            "from" | "until" => json!({"first": self.events()}),
            "weekday" => self.weekday(),
            "hours" => json!(["18:00", "24:00"]),
            "previous" => self.units(),
            "aggregate" => self.aggregate(),
            "occurrence" => self.occurrence(),
            "nth" | "factor" => self.number(),
            "per" => json!(self.pick(&["day", "week"])),
            "periods" => self.periods(),
            "streak" => json!("current"),
            "element" | "profile" | "property" => self.path(),
            "group" | "over" | "by" => json!("company"),
            "compare" | "to" | "rank" => self.amount(),
            "order" => json!(self.pick(&["most", "least"])),
            "any" | "all" | "none" | "of" => Value::Object(self.condition(1)),
            "value" => self.scalar(),
            "ignore_case" => json!(self.chance(2)),
            "within" | "in_the_last" => self.interval(),
            "and" | "or" => json!([self.rule()]),
            "not" => self.rule(),
            "eq" | "gte" | "top" => self.whole(0),
            "as" => json!("c9"),
            "ref" => json!(self.pick(&["c0.id", "event.a", "profile.a.b", "element", "element.a", "row.a"])),
            "rows" | "customer_in" => self.rows(),
            "table" => json!(self.pick(&["a.b", "a", "a.b.c", "a.\"B\"", "1.2", "pg_temp.a", "a.b;"])),
            "column" => json!(self.pick(&["id", "", "a b"])),
            "version" => json!(1),
            "timezone" => json!("UTC"),
            "sample" => self.sample(),
            "percent" => json!([self.below(110), self.number()]),
            "salt" => json!(self.word()),
            _ => self.anything(1),
        }
    }

    fn key(&mut self) -> &'static str {
        self.pick(&[
            "and",
            "or",
            "not",
            "did",
            "did_not",
            "profile",
            "cohort",
            "sequence",
            "where",
            "count",
            "time",
            "aggregate",
            "occurrence",
            "operator",
            "value",
            "ref",
            "rows",
            "customer_in",
            "table",
            "column",
            "ignore_case",
            "property",
            "fn",
            "gte",
            "eq",
            "in",
            "between",
            "within",
            "as",
            "version",
            "timezone",
            "sample",
            "among",
            "nth",
            "per",
            "periods",
            "streak",
            "element",
            "group",
            "compare",
            "to",
            "over",
            "factor",
            "rank",
            "order",
            "top",
            "by",
            "of",
            "any",
            "all",
            "from",
            "until",
            "first",
            "last",
            "weekday",
            "hours",
            "previous",
            "percent",
            "salt",
            "since",
            "this",
            "in_the_last",
            "after",
            "foo",
            "a b",
            "",
            ">=",
        ])
    }

    fn text(&mut self) -> &'static str {
        self.pick(&[
            "",
            "eq",
            "gtt",
            "icontains",
            "exists",
            "between",
            "in",
            "regex",
            "since",
            "after",
            "in_the_last",
            "first",
            "sum",
            "most_frequent",
            "month",
            "30 days",
            "0 days",
            "1 d 1 days",
            "1d2h",
            "1 s 1 seconds",
            "1 day ",
            "1001 years",
            "1 day\n",
            "0 s 1 m",
            "00 d",
            "1 mon 2 months",
            "99999999999999999999 d",
            "2026-02-29",
            "2024-02-29",
            "2000-02-29",
            "1900-02-29",
            "0000-01-01",
            "2026-01-01T24:00:00",
            "2026-01-01T10:00:00+15:59",
            "2026-01-01T10:00:00+16",
            "2026-01-01T10:00:00+5:30",
            "2026-01-01\n",
            "2026-04-31",
            "9999-12-31",
            ".",
            "a.b",
            "a..b",
            "[]",
            "a[0]",
            "a[].b",
            ".a",
            "c0.x",
            "c0",
            "c1.",
            "c1.a",
            "(",
            "*",
            "UTC",
            "24:00",
            "7:00",
            "18:60",
            "saturday",
            "Sat",
            "3 months",
            "1001 days",
            "0 days",
            "3 month ",
            "months",
            "utc",
            "x.y",
            "a\nb",
            "ßπ",
        ])
    }

    /// Any JSON, with the words of rules in it.
    pub fn anything(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.chance(2)),
            2 => self.number(),
            3 => {
                let text = self.pick(&[
                    "0",
                    "-1",
                    "1.5",
                    "2",
                    "9223372036854775807",
                    "9223372036854775808",
                    "1e5000",
                    "1e5001",
                    "-1e-5001",
                    "1.0",
                ]);
                Value::Number(text.parse().expect("a number"))
            }
            4 | 5 => json!(self.text()),
            6 => (0..self.below(4)).map(|_| self.anything(depth - 1)).collect(),
            7 => {
                let mut part = self.rule();
                if self.chance(2) {
                    self.mutate(&mut part);
                }
                part
            }
            _ => {
                let members = (0..self.below(5)).map(|_| (self.key().to_owned(), self.anything(depth - 1)));
                Value::Object(members.collect())
            }
        }
    }
}

/// Refers to the profile where there is no event.
fn of_profile(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(of_profile),
        Value::Object(members) => {
            if let Some(reference) = members.get_mut("ref") {
                *reference = match &*reference {
                    Value::String(text) => json!(text.replace("event.", "profile.")),
                    Value::Array(keys) if keys[0] == "event" => json!(["profile", "a.b"]),
                    other => other.clone(),
                };
            }
            members.values_mut().for_each(of_profile);
        }
        _ => {}
    }
}

/// Refers to the row, where nothing else can be named, and compares with no rows of other tables.
fn of_row(value: &mut Value, in_element: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| of_row(item, in_element)),
        Value::Object(members) => {
            if members.remove("rows").is_some() {
                members.insert("value".into(), json!(["a"]));
            }
            if let Some(reference) = members.get_mut("ref") {
                *reference = match &*reference {
                    Value::String(text) => json!(text.replace("event.", "row.").replace("profile.", "row.")),
                    Value::Array(keys) if keys[0] == "event" || keys[0] == "profile" => json!(["row", "a.b"]),
                    other => other.clone(),
                };
            }
            for key in ["property", "element"] {
                if !in_element && members.get(key).is_some_and(|path| path[0] == "") {
                    members.insert(key.into(), json!(["Odd Name", ""]));
                }
            }
            let of_element = members.contains_key("element");
            members.values_mut().for_each(|member| of_row(member, in_element || of_element));
        }
        _ => {}
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}
