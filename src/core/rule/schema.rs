//! The JSON Schema of rules, for editors and for programs that write rules.

use serde_json::{Map, Value, json};

use super::operator::{ICONTAINS, Operator, Takes};
use super::rows::MAX_NAME;
use crate::rule::{CalendarUnit, Order, Quantifier, Referred, WEEKDAYS};
use crate::sample::MAX_SALT;
use crate::time::Interval;

/// What the schema cannot say; also its `$comment`.
const BEYOND: &str = "This schema accepts some rules that the parser refuses: a regular expression that is not valid or \
     too large; bounds or dates of a between in the wrong order; intervals of a between_ago in the wrong order; an \
     interval above 1000 years; percentages in the wrong order; hours with two equal times; a count of 0 with per; a \
     number with an exponent beyond 5000 or with more digits than numeric allows; a step name that is used twice; a \
     ref to a step that is not an earlier one; within or after in the first did step; an after that is longer than \
     within; within in a did_not between two steps; more than 32 nested conditions and predicates; more than 1000 \
     conditions, predicates and steps; more than 1 MiB of text; a cohort that does not exist; a \
     table or column that does not exist, is temporary, has a name above 63 bytes or cannot be read; a column of no ids.";

/// The schema of rules (JSON Schema draft 2020-12), with the server's time zones; without any, every string passes as
/// a time zone.
///
/// It accepts whatever [`super::parse()`] accepts. It also accepts rules that the parser refuses for reasons that a JSON
/// Schema cannot state: the validity of a regular expression, the order of the bounds of `between` and `between_ago`,
/// intervals above 1,000 years, exponents beyond the limit, step names that come twice or do not exist, depth, totals,
/// the size of the text, and cohorts that do not exist. Its `$comment` lists them.
#[must_use]
pub fn json_schema(zone_names: &[String]) -> Value {
    let timezone = if zone_names.is_empty() { json!({"type": "string"}) } else { json!({"enum": zone_names}) };
    let top = json!({"version": {"const": 1}, "timezone": timezone});
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": BEYOND,
        "title": "Cohort rule",
        "description": "A condition that selects the customers of a cohort.",
        "oneOf": conditions(&top),
        "$defs": {
            "condition": {"oneOf": conditions(&json!({}))},
            "conditions": list(&reference("condition")),
            "events": {"oneOf": [reference("event"), list(&reference("event"))]},
            "event": {"type": "string", "minLength": 1},
            "where": either_list("predicate"),
            "predicate": {"oneOf": predicates("predicate", "path", "elementWhere", EVENT)},
            "elementWhere": either_list("elementPredicate"),
            "elementPredicate": of_elements("elementPredicate", "elementWhere", EVENT),
            "elementPath": {"oneOf": [{"const": "."}, reference("path")]},
            "profileElementWhere": either_list("profileElementPredicate"),
            "profileElementPredicate": of_elements("profileElementPredicate", "profileElementWhere", PROFILE),
            "stepWhere": either_list("stepPredicate"),
            "stepPredicate": {"oneOf": predicates("stepPredicate", "path", "stepElementWhere", STEP)},
            "stepElementWhere": either_list("stepElementPredicate"),
            "stepElementPredicate": of_elements("stepElementPredicate", "stepElementWhere", STEP),
            "path": {"oneOf": [
                {"type": "string", "pattern": format!("^{DOTTED}$")},
                list(&json!({"type": "string"})),
            ]},
            "singlePath": {"oneOf": [
                {"type": "string", "pattern": format!("^{SINGLE}$")},
                list(&json!({"type": "string"})),
            ]},
            "count": count(),
            "time": either_list("timeForm"),
            "timeForm": {"oneOf": time_forms()},
            "anchor": {"oneOf": anchors()},
            "aggregate": {"oneOf": aggregates()},
            "sample": sample(),
            "eventAmount": event_amount(),
            "amount": {"oneOf": [
                reference("eventAmount"), object(&["profile"], &json!({"profile": reference("singlePath")})),
            ]},
            "steps": {
                "type": "array", "minItems": 1, "maxItems": MAX_LIST,
                "items": {"oneOf": steps()}, "contains": {"required": ["did"]},
            },
            "scalar": {"type": ["string", "number", "boolean"]},
            "scalars": list(&reference("scalar")),
            "interval": {"type": "string", "pattern": interval_pattern()},
            "date": {"type": "string", "pattern": date_pattern()},
        },
    });
    let of_rows = json!({
        "rows": rows(),
        "rowWhere": either_list("rowPredicate"),
        "rowPredicate": {"oneOf": predicates("rowPredicate", "path", "rowElementWhere", ROW)},
        "rowElementWhere": either_list("rowElementPredicate"),
        "rowElementPredicate": of_elements("rowElementPredicate", "rowElementWhere", ROW),
    });
    schema["$defs"] = merged(schema["$defs"].take(), &of_rows);
    schema
}

const MAX_LIST: usize = 100_000;

/// A path with dots: names without dots and brackets, each perhaps with `[]` behind it.
const DOTTED: &str = r"[^.\[\]]+(?:\[\])*(?:\.[^.\[\]]+(?:\[\])*)*";

/// The same without `[]`.
const SINGLE: &str = r"[^.\[\]]+(?:\.[^.\[\]]+)*";

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": MAX_LIST, "items": items})
}

fn either_list(of: &str) -> Value {
    json!({"oneOf": [reference(of), list(&reference(of))]})
}

fn pair(of: &Value) -> Value {
    json!({"type": "array", "minItems": 2, "maxItems": 2, "items": of})
}

/// An object with these keys and no others.
fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

/// An object with exactly one of these keys.
fn one_of_keys(properties: &Value) -> Value {
    json!({
        "type": "object", "minProperties": 1, "maxProperties": 1,
        "properties": properties, "additionalProperties": false,
    })
}

fn merged(mut left: Value, right: &Value) -> Value {
    if let (Some(left), Some(right)) = (left.as_object_mut(), right.as_object()) {
        left.extend(right.clone());
    }
    left
}

/// The forms of a condition; at the top there may be more keys.
fn conditions(also: &Value) -> Vec<Value> {
    let form = |word: &str, properties: Value| object(&[word], &merged(properties, also));
    let did = |word: &str| {
        let options = json!({
            word: reference("events"), "where": reference("where"), "count": reference("count"),
            "time": reference("time"), "aggregate": reference("aggregate"),
            "occurrence": occurrence(), "among": reference("where"), "per": unit(), "periods": periods(),
        });
        let excluded = json!({"not": {
            "required": ["occurrence"],
            "anyOf": [{"required": ["count"]}, {"required": ["aggregate"]}, {"required": ["per"]}],
        }});
        merged(
            merged(form(word, options), &excluded),
            &json!({"dependentRequired": {"among": ["occurrence"], "per": ["periods"], "periods": ["per"]}}),
        )
    };
    let mut forms = vec![
        form("and", json!({"and": reference("conditions")})),
        form("or", json!({"or": reference("conditions")})),
        form("not", json!({"not": reference("condition")})),
        did("did"),
        did("did_not"),
        form("cohort", json!({"cohort": {"type": "string"}})),
        form("customer_in", json!({"customer_in": reference("rows")})),
        form("sequence", json!({"sequence": reference("steps"), "within": reference("interval")})),
        form("sample", json!({"sample": reference("sample")})),
    ];
    forms.extend(compares(also));
    forms.extend(ranks(also));
    for (quantifier, _) in Quantifier::ALL {
        let group = json!({"group": reference("singlePath"), quantifier: reference("condition")});
        forms.push(object(&["group", quantifier], &merged(group, also)));
    }
    let where_ = reference("profileElementWhere");
    let element = json!({"profile": reference("path"), "element": {"const": true}, "where": where_});
    forms.push(object(&["profile", "element", "where"], &merged(element, also)));
    forms.extend(tests("profile", "path", PROFILE, also));
    forms
}

/// What references name at a place.
#[derive(Clone, Copy)]
struct Names {
    /// A pattern of the names that a path follows.
    with_path: &'static str,
    element: bool,
    /// Whether predicates may compare with rows of tables.
    rows: bool,
}

const EVENT: Names = Names { with_path: "(?:event|profile)", element: false, rows: true };
const PROFILE: Names = Names { with_path: "profile", element: false, rows: true };
const ROW: Names = Names { with_path: "row", element: false, rows: false };
const STEP: Names = Names { with_path: r"(?!(?:element|row)(?:\.|$))[^.]+", element: false, rows: true };

impl Names {
    fn within_element(self) -> Self {
        Self { element: true, ..self }
    }

    /// The schema of `ref`.
    fn references(self) -> Value {
        let name = if self.element { format!("(?:element|{})", self.with_path) } else { self.with_path.to_owned() };
        let path = json!({
            "type": "array", "minItems": 2, "maxItems": MAX_LIST, "items": {"type": "string"},
            "prefixItems": [{"type": "string", "pattern": format!("^{name}$")}],
        });
        let mut forms = vec![json!({"type": "string", "pattern": format!(r"^{name}\.{DOTTED}$")}), path];
        if self.element {
            forms.extend([json!({"const": "element"}), json!({"const": ["element"]})]);
        }
        json!({"oneOf": forms})
    }
}

/// The predicates of elements of what `names` are of.
fn of_elements(this: &str, where_: &str, names: Names) -> Value {
    json!({"oneOf": predicates(this, "elementPath", where_, names.within_element())})
}

fn predicates(this: &str, path: &str, element_where: &str, names: Names) -> Vec<Value> {
    let mut forms = vec![
        object(&["and"], &json!({"and": list(&reference(this))})),
        object(&["or"], &json!({"or": list(&reference(this))})),
        object(&["not"], &json!({"not": reference(this)})),
        object(&["element", "where"], &json!({"element": reference(path), "where": reference(element_where)})),
    ];
    forms.extend(tests("property", path, names, &json!({})));
    forms
}

/// The comparisons of one property, a form for each kind of value.
fn tests(key: &str, path: &str, names: Names, also: &Value) -> Vec<Value> {
    let mut groups: Vec<(Takes, bool, Vec<&str>)> = Vec::new();
    for operator in Operator::all() {
        let names = std::iter::once(operator.name()).chain(operator.aliases().iter().copied());
        let (takes, text) = (operator.takes(), operator.takes_ignore_case());
        match groups.iter_mut().find(|group| (group.0, group.1) == (takes, text)) {
            Some(group) => group.2.extend(names),
            None => groups.push((takes, text, names.collect())),
        }
    }
    let form = |names: &[&str], argument: Option<(&str, Value)>, ignore_case: Option<Value>| {
        let mut required = vec![key, "operator"];
        let mut properties = Map::new();
        properties.insert(key.to_owned(), reference(path));
        properties.insert("operator".to_owned(), json!({"enum": names}));
        if let Some((name, schema)) = argument {
            required.push(name);
            properties.insert(name.to_owned(), schema);
        }
        if let Some(schema) = ignore_case {
            properties.insert("ignore_case".to_owned(), schema);
        }
        object(&required, &merged(Value::Object(properties), also))
    };
    let boolean = || json!({"type": "boolean"});
    let mut forms: Vec<Value> = groups
        .iter()
        .map(|(takes, text, names)| form(names, argument(*takes).map(|schema| ("value", schema)), text.then(boolean)))
        .collect();
    forms.push(form(&[ICONTAINS], Some(("value", json!({"type": "string"}))), Some(json!({"const": true}))));
    for text in [true, false] {
        let takes = Operator::all().filter(|operator| operator.takes_ref() && operator.takes_ignore_case() == text);
        let all: Vec<&str> = takes
            .flat_map(|operator| std::iter::once(operator.name()).chain(operator.aliases().iter().copied()))
            .collect();
        forms.push(form(&all, Some(("ref", names.references())), text.then(boolean)));
    }
    if names.rows {
        let takes = Operator::all().filter(|operator| operator.takes_rows());
        let all: Vec<&str> = takes
            .flat_map(|operator| std::iter::once(operator.name()).chain(operator.aliases().iter().copied()))
            .collect();
        forms.push(form(&all, Some(("rows", reference("rows"))), Some(boolean())));
    }
    forms
}

/// The values of a column of a table.
fn rows() -> Value {
    let blank = r"[ \t\n\r\x0b\x0c]*";
    // Letters, the underscore and whatever is not ASCII; then also digits and $.
    let name = r#"(?:"(?:[^"\x00]|"")+"|[^\x00-@\[-\^`{-\x7f][^\x00-#%-/:-@\[-\^`{-\x7f]*)"#;
    let table = format!(r"^{blank}{name}{blank}\.{blank}{name}{blank}$");
    object(
        &["table", "column"],
        &json!({
            "table": {"type": "string", "pattern": table},
            "column": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
            "where": reference("rowWhere"),
        }),
    )
}

/// The schema of `value`.
fn argument(takes: Takes) -> Option<Value> {
    Some(match takes {
        Takes::Nothing => return None,
        Takes::Scalar => reference("scalar"),
        Takes::Ordered => json!({"type": ["number", "string"]}),
        Takes::Range => {
            json!({"oneOf": [pair(&json!({"type": "number"})), pair(&json!({"type": "string"}))]})
        }
        Takes::List => reference("scalars"),
        Takes::Text | Takes::Pattern => json!({"type": "string"}),
        Takes::Date => reference("date"),
        Takes::Interval => reference("interval"),
        Takes::Unit => unit(),
        Takes::Units => units(),
        Takes::ShortUnit => json!({"enum": ["day", "week", "month"]}),
    })
}

fn comparisons(number: &Value) -> Value {
    json!({
        "eq": number, "neq": number, "gt": number, "gte": number, "lt": number, "lte": number,
        "between": pair(number),
    })
}

fn count() -> Value {
    one_of_keys(&comparisons(&json!({"type": "integer", "minimum": 0, "maximum": i64::MAX})))
}

fn aggregates() -> Vec<Value> {
    let form = |names: Value, comparisons: Value| {
        let common = json!({"fn": {"enum": names}, "property": reference("path")});
        // The function, the property and exactly one comparison.
        let three = json!({"minProperties": 3, "maxProperties": 3});
        merged(object(&["fn", "property"], &merged(common, &comparisons)), &three)
    };
    vec![
        form(json!(["sum", "avg", "min", "max", "count_distinct"]), comparisons(&json!({"type": "number"}))),
        form(json!(["most_frequent"]), json!({"eq": reference("scalar"), "in": reference("scalars")})),
    ]
}

/// The comparisons of two figures, of which at most one is a number.
fn compares(also: &Value) -> Vec<Value> {
    let names: Vec<&str> = Operator::all()
        .filter(|operator| operator.relation().is_some())
        .flat_map(|operator| std::iter::once(operator.name()).chain(operator.aliases().iter().copied()))
        .collect();
    let number = json!({"type": "number"});
    let form = |left: Value, right: Value, over: bool| {
        let mut keys = json!({"compare": left, "operator": {"enum": names}, "to": right, "factor": number});
        if over {
            keys["over"] = reference("singlePath");
        }
        let mut form = object(&["compare", "operator", "to"], &merged(keys, also));
        if over {
            form["required"] = json!(["compare", "operator", "to", "over"]);
        }
        form
    };
    let (one, events) = (reference("amount"), reference("eventAmount"));
    vec![
        form(one.clone(), json!({"oneOf": [number, one]}), false),
        form(number.clone(), one, false),
        form(events.clone(), json!({"oneOf": [number, events]}), true),
        form(number.clone(), events, true),
    ]
}

/// The rankings: cut by number, or by share.
fn ranks(also: &Value) -> [Value; 2] {
    let form = |cut: &str, schema: Value| {
        let orders: Vec<&str> = Order::ALL.iter().map(|(name, _)| *name).collect();
        let keys = json!({
            "rank": reference("amount"), "order": {"enum": orders}, cut: schema,
            "by": reference("singlePath"), "of": reference("condition"),
        });
        object(&["rank", "order", cut], &merged(keys, also))
    };
    [form("top", json!({"type": "integer", "minimum": 1, "maximum": 1_000_000_000})), form("percent", percent())]
}

fn event_amount() -> Value {
    let functions = json!(["sum", "avg", "min", "max", "count_distinct"]);
    let measure = object(&["fn", "property"], &json!({"fn": {"enum": functions}, "property": reference("path")}));
    object(
        &["did"],
        &json!({
            "did": reference("events"), "where": reference("where"), "time": reference("time"), "aggregate": measure,
        }),
    )
}

fn periods() -> Value {
    let whole = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    let comparison =
        |name: &str, number: Value| object(&[name], &json!({name: number, "streak": {"enum": ["longest", "current"]}}));
    let single = ["eq", "neq", "gt", "gte", "lt", "lte"].map(|name| comparison(name, whole.clone()));
    let mut forms = single.to_vec();
    forms.push(comparison("between", pair(&whole)));
    json!({"oneOf": forms})
}

fn occurrence() -> Value {
    let nth = json!({"type": "integer", "oneOf": [
        {"minimum": 1, "maximum": 1000}, {"minimum": -1000, "maximum": -1},
    ]});
    json!({"oneOf": [{"enum": ["first", "last"]}, object(&["nth"], &json!({"nth": nth}))]})
}

fn percent() -> Value {
    pair(&json!({"type": "number", "minimum": 0, "maximum": 100}))
}

fn sample() -> Value {
    object(
        &["percent", "salt"],
        &json!({
            "percent": percent(),
            "salt": {"type": "string", "minLength": 1, "maxLength": MAX_SALT},
        }),
    )
}

fn time_forms() -> Vec<Value> {
    let (interval, date) = (reference("interval"), reference("date"));
    let weekdays: Vec<&str> = WEEKDAYS.iter().map(|(name, _)| *name).collect();
    let weekday = json!({"enum": weekdays});
    let minute = "(?:[01][0-9]|2[0-3]):[0-5][0-9]";
    let simple = one_of_keys(&json!({
        "in_the_last": interval, "more_than_ago": interval, "between_ago": pair(&interval),
        "since": date, "before": date, "between": pair(&date),
        "this": unit(), "previous": units(),
        "weekday": {"oneOf": [weekday, list(&weekday)]},
        "hours": {
            "type": "array", "minItems": 2, "maxItems": 2,
            "prefixItems": [
                {"type": "string", "pattern": format!("^{minute}$")},
                {"type": "string", "pattern": format!("^(?:{minute}|24:00)$")},
            ],
        },
    }));
    let anchored = |word: &str| object(&[word], &json!({word: reference("anchor"), "within": interval}));
    vec![simple, anchored("from"), anchored("until")]
}

fn anchors() -> Vec<Value> {
    let event = |word: &str| object(&[word], &json!({word: reference("events"), "where": reference("where")}));
    vec![event("first"), event("last"), object(&["profile"], &json!({"profile": reference("singlePath")}))]
}

/// One calendar unit.
fn unit() -> Value {
    let units: Vec<&str> = CalendarUnit::ALL.iter().map(|(name, _)| *name).collect();
    json!({"enum": units})
}

/// One or more calendar units.
fn units() -> Value {
    let units: Vec<&str> = CalendarUnit::ALL.iter().map(|(name, _)| *name).collect();
    let any = units.join("|");
    json!({"type": "string", "pattern": format!("^(?:{any}|0*(?:[1-9][0-9]{{0,2}}|1000) *(?:{any})s?)$")})
}

fn step_name() -> Value {
    json!({"type": "string", "pattern": format!("^(?!(?:{})$)[^.]+$", Referred::RESERVED.join("|"))})
}

/// The steps of a sequence, wherever they stand.
fn steps() -> [Value; 2] {
    let interval = reference("interval");
    let mut did = object(
        &["did"],
        &json!({
            "did": reference("events"), "where": reference("stepWhere"), "as": step_name(), "time": reference("time"),
            "occurrence": occurrence(), "among": reference("where"), "within": interval, "after": interval,
            "times": {"type": "integer", "minimum": 2, "maximum": 100},
        }),
    );
    did["dependentRequired"] = json!({"among": ["occurrence"]});
    did["not"] = json!({"required": ["times"], "anyOf": [{"required": ["as"]}, {"required": ["occurrence"]}]});
    let absence = json!({"did_not": reference("events"), "where": reference("stepWhere"), "within": interval});
    [did, object(&["did_not"], &absence)]
}

/// Whole numbers with units, each unit at most once, and not all of them zero.
fn interval_pattern() -> String {
    let mut pattern = String::from("^(?=.*[1-9])");
    for names in Interval::unit_names() {
        let item = format!("[0-9] *(?:{})(?: |$)", names.join("|"));
        pattern.extend(["(?!.*", &item, ".*", &item, ")"]);
    }
    let units: Vec<&str> = Interval::unit_names().flatten().copied().collect();
    let item = format!("[0-9]+ *(?:{})", units.join("|"));
    pattern + &format!("{item}(?: +{item})*$")
}

/// Dates that exist, from year 1 to 9999, with or without a time and an offset.
fn date_pattern() -> String {
    let year = "[0-9]{4}";
    let leap_year = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
    let long = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])";
    let short = "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)";
    let february = "02-(?:0[1-9]|1[0-9]|2[0-8])";
    let day = format!("(?:{year}-(?:{long}|{short}|{february})|{leap_year}-02-29)");
    let time = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?";
    let offset = "(?:Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)";
    format!("^(?!0000){day}(?:T{time}{offset}?)?$")
}
