//! The entries of a Kursaha events request, `{"signals": [{…}, …]}`, checked and converted to rows. They are read from
//! the binary `jsonb`, because parsing them in SQL would take longer than storing the events.

use pgrx::pg_sys::panic::ErrorReport;

use super::binary_json::{Value, count, digits, elements, pairs};
use super::errors::{Fallible, invalid};
use super::jsonb::OwnedJsonBytes;
use super::stamp::{MAX_NAME_CHARACTERS, REFUSED_CUSTOMER_IDS};
use super::time;

/// A request is read into memory as a whole; a larger one belongs into COPY.
const MOST: usize = 100_000;

/// What a request looks like.
const SHAPE: &str = "The payload is {\"signals\": [{\"customerId\": …, \"eventType\": …, \"data\": {…}, \"occurredAt\": …, \
                     \"eventKey\": …}, …]}; data, occurredAt and eventKey are optional.";

/// A field of an entry: the name under which it came, and its value unless it is missing or `null`.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: &'static str,
    value: Option<Value<'a>>,
}

impl Field<'_> {
    const fn missing(name: &'static str) -> Self {
        Self { name, value: None }
    }

    /// The characters of a string, or the digits of a number.
    fn text(&self) -> Option<String> {
        match self.value? {
            Value::String(text) => Some(text.to_owned()),
            Value::Number(number) => digits(number),
            Value::Null | Value::Bool | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// What is wrong with an id, a type or a key.
    fn name_problem(&self, number_too: bool, refused: &[&str]) -> Option<String> {
        let text = match self.value {
            None => return Some("is missing".to_owned()),
            Some(Value::String(text)) => std::borrow::Cow::Borrowed(text),
            Some(Value::Number(number)) if number_too => digits(number)?.into(),
            Some(other) => {
                let or = if number_too { " or a number" } else { "" };
                return Some(format!("must be a string{or}, not {}", other.kind()));
            }
        };
        if text.is_empty() {
            return Some("is empty".to_owned());
        }
        if refused.contains(&text.as_ref()) {
            return Some(format!("\"{text}\" is refused"));
        }
        // A text of so few bytes cannot have too many characters.
        if text.len() <= MAX_NAME_CHARACTERS {
            return None;
        }
        let length = text.chars().count();
        (length > MAX_NAME_CHARACTERS)
            .then(|| format!("is too long: {length} characters, at most {MAX_NAME_CHARACTERS}"))
    }

    fn time_problem(&self) -> Option<String> {
        match self.value? {
            Value::String(written) => time::signal_instant(written).is_none().then(|| {
                let wanted = "neither an ISO 8601 time with offset nor a date";
                // Errors are in the server's log: what is no time at all may be anything, an address for instance.
                let is_like_one = written.get(4..5) == Some("-") && written.len() <= 40;
                if is_like_one && written.bytes().all(|byte| b"0123456789-+:.TZtz ".contains(&byte)) {
                    format!("\"{written}\" is {wanted}")
                } else {
                    format!("is {wanted}")
                }
            }),
            other => Some(format!("must be a string, not {}", other.kind())),
        }
    }

    fn object_problem(&self) -> Option<String> {
        match self.value? {
            Value::Object(_) => None,
            other => Some(format!("must be an object, not {}", other.kind())),
        }
    }
}

/// The fields of an entry, each under whichever of its names it came.
struct Entry<'a> {
    customer: Field<'a>,
    event_type: Field<'a>,
    data: Field<'a>,
    occurred_at: Field<'a>,
    event_key: Field<'a>,
    /// Which event flow of Kursaha's the signal is for, at which step.
    flow: Option<Value<'a>>,
}

impl<'a> Entry<'a> {
    fn of(object: &'a [u8]) -> Self {
        let mut entry = Self {
            customer: Field::missing("customerId"),
            event_type: Field::missing("eventType"),
            data: Field::missing("data"),
            occurred_at: Field::missing("timestamp"),
            event_key: Field::missing("event_key"),
            flow: None,
        };
        let (mut snake_time, mut user) = (None, None);
        for (key, value) in pairs(object).filter(|(_, value)| !matches!(value, Value::Null)) {
            let value = Some(value);
            // Of two names that mean the same the first in these lists counts.
            match key {
                "customerId" => entry.customer = Field { name: "customerId", value },
                "emitterId" if entry.customer.value.is_none() => entry.customer = Field { name: "emitterId", value },
                "userId" => user = value,
                "eventflowIdentifier" => entry.flow = value,
                "eventType" => entry.event_type = Field { name: "eventType", value },
                "stepNodeId" if entry.event_type.value.is_none() => {
                    entry.event_type = Field { name: "stepNodeId", value };
                }
                "data" => entry.data.value = value,
                "occurredAt" => entry.occurred_at = Field { name: "occurredAt", value },
                "occurred_at" => snake_time = value,
                "timestamp" if entry.occurred_at.value.is_none() => entry.occurred_at.value = value,
                "eventKey" => entry.event_key = Field { name: "eventKey", value },
                "event_key" if entry.event_key.value.is_none() => entry.event_key.value = value,
                _ => {}
            }
        }
        if entry.customer.value.is_none() && user.is_some() {
            entry.customer = Field { name: "userId", value: user };
        }
        if entry.occurred_at.name == "timestamp" && snake_time.is_some() {
            entry.occurred_at = Field { name: "occurred_at", value: snake_time };
        }
        entry
    }

    /// What is wrong, and at which field.
    fn problems(&self) -> impl Iterator<Item = (&'static str, String)> {
        let key = self.event_key.value.and_then(|_| self.event_key.name_problem(true, &[]));
        [
            (self.customer.name, self.customer.name_problem(true, &REFUSED_CUSTOMER_IDS)),
            (self.event_type.name, self.event_type.name_problem(false, &["*"])),
            (self.data.name, self.data.object_problem()),
            (self.occurred_at.name, self.occurred_at.time_problem()),
            (self.event_key.name, key),
        ]
        .into_iter()
        .filter_map(|(name, problem)| problem.map(|problem| (name, problem)))
    }
}

/// What is wrong with the customer id of a request.
pub(crate) fn customer_id_problem(written: Option<&[u8]>) -> Option<String> {
    let value = written.map(Value::root).filter(|value| !matches!(value, Value::Null));
    Field { name: "customerId", value }.name_problem(true, &REFUSED_CUSTOMER_IDS)
}

/// How many entries a request has, and how many of them have a key.
pub(crate) struct Checked {
    pub(crate) entries: usize,
    pub(crate) keyed: usize,
}

/// The entries of a request, or what is wrong with its outer form.
fn entries(payload: Option<&[u8]>) -> Fallible<&[u8]> {
    let root = payload.map(Value::root);
    let Some(Value::Object(object)) = root else {
        let kind = root.map_or("NULL", Value::kind);
        return Err(invalid(format!("invalid payload at $: must be an object, not {kind}")).set_hint(SHAPE));
    };
    match pairs(object).find(|(key, _)| *key == "signals").map(|(_, value)| value) {
        Some(Value::Array(array)) => Ok(array),
        None | Some(Value::Null) => Err(invalid("invalid payload at $.signals: is missing").set_hint(SHAPE)),
        Some(other) => {
            let kind = other.kind();
            Err(invalid(format!("invalid payload at $.signals: must be an array, not {kind}")).set_hint(SHAPE))
        }
    }
}

/// Checks a request; the error names every bad entry, up to a hundred and one.
pub(crate) fn check(payload: Option<&[u8]>) -> Fallible<Checked> {
    let entries = entries(payload)?;
    let total = count(entries);
    if total > MOST {
        return Err(invalid(format!("invalid payload at $.signals: {total} signals, at most {MOST}"))
            .set_hint("Send several payloads, or COPY into cohort_event."));
    }
    let mut problems = Problems::default();
    let mut keyed = 0;
    for (number, value) in elements(entries).enumerate() {
        if number.is_multiple_of(1024) {
            pgrx::check_for_interrupts!();
        }
        let Value::Object(object) = value else {
            problems.add(|| format!("$.signals[{number}]: must be an object, not {}", value.kind()));
            continue;
        };
        let entry = Entry::of(object);
        keyed += usize::from(entry.event_key.value.is_some());
        for (field, problem) in entry.problems() {
            problems.add(|| format!("$.signals[{number}].{field}: {problem}"));
        }
    }
    problems.into_error().map_or(Ok(Checked { entries: total, keyed }), Err)
}

/// What is wrong with the entries: the first few, and how many.
#[derive(Default)]
struct Problems {
    listed: Vec<String>,
    count: usize,
}

impl Problems {
    const LISTED: usize = 101;

    fn add(&mut self, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.listed.len() < Self::LISTED {
            self.listed.push(message());
        }
    }

    fn into_error(self) -> Option<ErrorReport> {
        let (first, rest) = self.listed.split_first()?;
        let mut detail = "Nothing was stored.".to_owned();
        if !rest.is_empty() {
            detail = format!("{detail} Also invalid:\n{}", rest.join("\n"));
        }
        if self.count > Self::LISTED {
            detail = format!("{detail}\n… and {} more", self.count - Self::LISTED);
        }
        Some(invalid(format!("invalid signal at {first}")).set_detail(detail).set_hint(SHAPE))
    }
}

/// An entry as a row.
pub(crate) struct Signal {
    pub(crate) customer_id: String,
    pub(crate) event_type: String,
    /// PostgreSQL's microseconds; the time of the transaction if the entry has none.
    pub(crate) occurred_at: Option<i64>,
    /// The object, as a `jsonb` without its length; `None` for an empty one.
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) event_key: Option<String>,
}

/// The data of an entry with the event flow in it, unless the data has a key of that name.
fn with_flow(data: Option<Value<'_>>, flow: Value<'_>) -> Option<Vec<u8>> {
    let flow = match flow {
        Value::Number(number) => digits(number)?,
        Value::String(text) => serde_json::Value::from(text).to_string(),
        Value::Null | Value::Bool | Value::Array(_) | Value::Object(_) => return None,
    };
    let flow = OwnedJsonBytes::read(format!("{{\"eventflowIdentifier\": {flow}}}"))?;
    match data {
        Some(Value::Object(data)) => flow.with(OwnedJsonBytes(data.to_vec())),
        _ => Some(flow),
    }
    .map(|both| both.0)
}

/// The entries of a checked request as rows, in their order.
pub(crate) fn rows(payload: Option<&[u8]>) -> Fallible<Vec<Signal>> {
    let entries = entries(payload)?;
    let mut rows = Vec::with_capacity(count(entries));
    for value in elements(entries) {
        if rows.len().is_multiple_of(1024) {
            pgrx::check_for_interrupts!();
        }
        let Value::Object(object) = value else { continue };
        let entry = Entry::of(object);
        let at = match entry.occurred_at.value {
            Some(Value::String(written)) => time::signal_instant(written).map(time::to_postgres),
            _ => None,
        };
        let data = match (entry.data.value, entry.flow) {
            (data, Some(flow @ (Value::String(_) | Value::Number(_)))) => with_flow(data, flow),
            (Some(Value::Object(data)), _) => Some(data.to_vec()),
            _ => None,
        };
        rows.push(Signal {
            customer_id: entry.customer.text().unwrap_or_default(),
            event_type: entry.event_type.text().unwrap_or_default(),
            occurred_at: at,
            data,
            event_key: entry.event_key.text(),
        });
    }
    Ok(rows)
}
