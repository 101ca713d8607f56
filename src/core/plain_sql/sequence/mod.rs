//! Sequences as SQL: a statement per `did` step, each giving the states in which an assignment can stand after it.
//!
//! A state is the customer, the event of the step (`occurred_at`, `event_id`), the `deadline` that `within` sets, and
//! those properties of bound events that later steps refer to (`b1`, `b2`, …). Of assignments that differ in the
//! deadline only, the latest deadline is kept: it allows all that the others do. (The deadline and not the first
//! event's time: adding a month or a day does not keep the order of instants where clocks are set back.)

mod legs;

use super::clock::Clock;
use super::predicate::hashable;
use super::scan::{Scan, beside, existing, exists, filter, only, taken, types};
use super::time::{Timing, timing};
use super::{Context, HELPERS, quote};
use crate::rule::{Reference, Referred, Sequence, Step, StepKind, Where};
use crate::time::Interval;
use legs::{Carried, Leg, carried, collect, first_key, legs};

/// The statements of one sequence.
pub(super) struct Statements {
    /// The states after each `did` step: the name to give it, and the statement.
    pub(super) steps: Vec<(String, String)>,
    /// `FROM … WHERE …`: the states, called `s`, that satisfy the whole sequence.
    pub(super) satisfied: String,
}

struct Writer<'a> {
    cx: &'a Context<'a>,
    clock: &'a Clock<'a>,
    sequence: &'a Sequence,
    carried: Vec<Carried<'a>>,
    /// Whether each state also keeps the ids of its events, for evidence.
    trace: bool,
}

/// The statements; the states are called `prefix_1`, `prefix_2`, ….
pub(super) fn statements(sequence: &Sequence, cx: &Context, clock: &Clock, prefix: &str, trace: bool) -> Statements {
    let sequence = &sequence.expanded();
    let writer = Writer { cx, clock, sequence, carried: carried(sequence), trace };
    let (legs, trailing) = legs(sequence);
    let mut steps: Vec<(String, String)> = Vec::new();
    for (number, leg) in legs.iter().enumerate() {
        let last = number + 1 == legs.len();
        let sql = match steps.last() {
            None => writer.first(leg, last),
            Some((previous, _)) if !trace && writer.alone(leg) => writer.next_in_order(leg, previous, last),
            Some((previous, _)) => writer.next(leg, previous, last),
        };
        steps.push((format!("{prefix}_{}", number + 1), sql));
    }
    let states = steps.last().map_or("", |(name, _)| name.as_str());
    let mut satisfied = format!("FROM {states} s");
    if !trailing.is_empty() {
        let limit = sequence.within.as_ref().map(|_| "n.occurred_at <= s.until".to_owned());
        satisfied.push_str("\nWHERE ");
        let behind = Absence { of: "s", sign: ">", limit };
        satisfied.push_str(&writer.absence(&trailing, &behind));
    }
    Statements { steps, satisfied }
}

/// Where events must not be.
struct Absence {
    /// The event before or behind which they would stand.
    of: &'static str,
    sign: &'static str,
    limit: Option<String>,
}

impl Writer<'_> {
    /// The events that a `did` step may take, called `e`: what stands in `FROM`, and what must hold.
    fn source(&self, step: &Step) -> Scan {
        let table = format!("{}.cohort_event e", self.cx.schema);
        let mut scan = Scan { from: vec![table], conditions: existing(&step.events, "e", self.cx) };
        let Some(occurrence) = step.occurrence else { return scan };
        scan.conditions.extend(filter(step.among.as_ref(), "e", self.clock, &beside("e", self.cx)));
        let (one, place) = taken(&scan, occurrence);
        Scan { from: vec![format!("(\n{}\n) e", quote::indent(&one))], conditions: place.into_iter().collect() }
    }

    /// An instant moved by an interval.
    fn moved(&self, function: &str, time: &str, interval: &Interval) -> String {
        format!("{HELPERS}.{function}({time}, {}, {})", quote::interval(interval), self.clock.zone)
    }

    /// The column that holds what a reference begins with.
    fn bound(&self, reference: &Reference) -> String {
        let (Referred::Step(step), key) = (&reference.of, first_key(reference)) else {
            return String::from("NULL::jsonb");
        };
        match self.carried.iter().position(|known| known.name == step && known.key == key) {
            Some(place) => format!("s.b{}", place + 1),
            None => String::from("NULL::jsonb"),
        }
    }

    fn filter(&self, step: &Step, alias: &str) -> Vec<String> {
        let beside = beside(alias, self.cx);
        let bound = |reference: &Reference| match reference.of {
            Referred::Step(_) => self.bound(reference),
            Referred::Event | Referred::Profile | Referred::Element | Referred::Row => beside(reference),
        };
        let predicates = step.filter.as_ref().map_or(&[][..], Where::predicates);
        let root = format!("{alias}.data");
        let mut conditions: Vec<String> =
            predicates.iter().flat_map(|predicate| hashable(predicate, &root, &bound)).collect();
        conditions.extend(filter(step.filter.as_ref(), alias, self.clock, &bound));
        conditions
    }

    /// What the step's own `time` demands of its event `e`.
    fn timing(&self, step: &Step) -> Timing {
        timing(step.time.as_ref(), "e", self.cx, self.clock)
    }

    /// `time + within`.
    fn within(&self, time: &str) -> Option<String> {
        let interval = self.sequence.within.as_ref()?;
        Some(self.moved("time_add", time, interval))
    }

    /// Properties that this step's event binds: expression and column.
    fn binds(&self, leg: &Leg) -> Vec<(String, String)> {
        let bound = self.carried.iter().enumerate().filter(|(_, known)| known.from == leg.place);
        bound
            .map(|(place, known)| (format!("e.data -> {}", quote::text(known.key)), format!("b{}", place + 1)))
            .collect()
    }

    /// Properties of earlier events that steps behind this one refer to.
    fn keeps(&self, leg: &Leg) -> Vec<String> {
        let kept =
            self.carried.iter().enumerate().filter(|(_, known)| known.from < leg.place && known.until > leg.place);
        kept.map(|(place, _)| format!("s.b{}", place + 1)).collect()
    }

    /// Of the last event: until when a `did_not` behind it looks.
    fn until(&self, last: bool, alias: &str) -> Option<String> {
        let trailing = self.sequence.steps.last().is_some_and(|step| step.kind == StepKind::DidNot);
        let until = self.within(&format!("{alias}.occurred_at")).filter(|_| last && trailing)?;
        Some(format!("{until} AS until"))
    }

    fn first(&self, leg: &Leg, last: bool) -> String {
        let mut columns = columns();
        if !last {
            columns.extend(self.within("e.occurred_at").map(|deadline| format!("{deadline} AS deadline")));
        }
        columns.extend(self.binds(leg).into_iter().map(|(value, name)| format!("{value} AS {name}")));
        columns.extend(self.until(last, "e"));
        if self.trace {
            columns.push("jsonb_build_array(e.event_id) AS event_ids".to_owned());
        }
        let mut scan = self.source(leg.did);
        scan.conditions.extend(self.filter(leg.did, "e"));
        self.timing(leg.did).add_to(&mut scan);
        if !leg.absent.is_empty() {
            scan.conditions.push(self.absence(&leg.absent, &Absence { of: "e", sign: "<", limit: None }));
        }
        scan.select(&select(&columns))
    }

    fn next(&self, leg: &Leg, previous: &str, last: bool) -> String {
        let deadline = self.sequence.within.is_some();
        let mut columns = columns();
        let mut key = columns.clone();
        for kept in self.keeps(leg) {
            key.push(kept.clone());
            columns.push(kept);
        }
        for (value, name) in self.binds(leg) {
            columns.push(format!("{value} AS {name}"));
            key.push(value);
        }
        columns.extend(self.until(last, "e"));
        let Scan { from, mut conditions } = self.source(leg.did);
        if deadline {
            conditions.push("e.occurred_at <= s.deadline".to_owned());
        }
        for (sign, interval) in [(">=", &leg.did.after), ("<=", &leg.did.within)] {
            let bound =
                |interval| format!("e.occurred_at {sign} {}", self.moved("time_add", "s.occurred_at", interval));
            conditions.extend(interval.as_ref().map(bound));
        }
        let timing = self.timing(leg.did);
        let anchors = timing.from.iter().map(|anchor| format!(",\n  {anchor}")).collect::<Vec<_>>().concat();
        conditions.extend(timing.conditions);
        conditions.extend(self.filter(leg.did, "e"));
        if !leg.absent.is_empty() {
            let before = "(n.occurred_at, n.event_id) < (e.occurred_at, e.event_id)".to_owned();
            conditions.push(self.absence(&leg.absent, &Absence { of: "s", sign: ">", limit: Some(before) }));
        }
        let (start, end) = if self.trace {
            // One assignment is enough: of those that lead to the same state, one with the latest deadline.
            let order = if deadline { ", s.deadline DESC" } else { "" };
            if deadline {
                columns.push("s.deadline".to_owned());
            }
            columns.push("s.event_ids || to_jsonb(e.event_id) AS event_ids".to_owned());
            let key = key.join(", ");
            (format!("SELECT DISTINCT ON ({key}) {}", select(&columns)), format!("\nORDER BY {key}{order}"))
        } else if deadline && !last {
            columns.push("max(s.deadline) AS deadline".to_owned());
            (format!("SELECT {}", select(&columns)), format!("\nGROUP BY {}", key.join(", ")))
        } else {
            (format!("SELECT DISTINCT {}", select(&columns)), String::new())
        };
        let wheres = if conditions.is_empty() { String::new() } else { format!("\n{}", quote::wheres(&conditions)) };
        format!(
            "{start}\nFROM {previous} s\nJOIN {} ON e.customer_id = s.customer_id\n  \
             AND (e.occurred_at, e.event_id) > (s.occurred_at, s.event_id){anchors}{wheres}{end}",
            from.concat()
        )
    }

    /// Whether the leg can be decided without looking at bound events: nothing in it refers to one or to the time of the
    /// one before, and no later step refers to one that came before it.
    fn alone(&self, leg: &Leg) -> bool {
        let mut references = Vec::new();
        for step in leg.absent.iter().chain([&leg.did]) {
            collect(step.filter.as_ref().map_or(&[], Where::predicates), &mut references);
        }
        let windowed = leg.did.within.is_some() || leg.did.after.is_some();
        references.is_empty() && self.keeps(leg).is_empty() && !windowed
    }

    /// The same as [`Writer::next`] in one pass over a customer's rows in order. A join would compare every state with
    /// every event, which for one customer with 10,000 of each takes minutes.
    fn next_in_order(&self, leg: &Leg, previous: &str, last: bool) -> String {
        let within = self.sequence.within.is_some();
        let binds = self.binds(leg);
        let row = |alias: &str, role: &str, deadline: &str, bound: &dyn Fn(&(String, String)) -> String| {
            let mut columns = vec![
                format!("{alias}.customer_id"),
                format!("{alias}.occurred_at"),
                format!("{alias}.event_id"),
                role.to_owned(),
            ];
            columns.extend(within.then(|| deadline.to_owned()));
            columns.extend(binds.iter().map(bound));
            columns.join(", ")
        };
        let table = format!("{}.cohort_event", self.cx.schema);
        let states = row("s", "3 AS role", "s.deadline", &|(_, name)| format!("NULL::jsonb AS {name}"));
        let mut rows = vec![format!("SELECT {states}\nFROM {previous} s")];
        let candidates = row("e", "1", "NULL", &|(value, _)| value.clone());
        let mut scan = self.source(leg.did);
        scan.conditions.extend(self.filter(leg.did, "e"));
        self.timing(leg.did).add_to(&mut scan);
        rows.push(scan.select(&candidates));
        for step in &leg.absent {
            let absent = row("n", "2", "NULL", &|_| "NULL".to_owned());
            let mut conditions = existing(&step.events, "n", self.cx);
            conditions.extend(self.filter(step, "n"));
            rows.push(format!("SELECT {absent}\nFROM {table} n\n{}", quote::wheres(&conditions)));
        }
        let mut rows = format!("(\n{}\n) r", quote::indent(&rows.join("\nUNION ALL\n")));
        let mut partition = "r.customer_id";
        let order = "ORDER BY r.occurred_at, r.event_id, r.role";
        if !leg.absent.is_empty() {
            // A stretch between two events that must not lie between has a number of its own.
            let stretch = format!(
                "SELECT r.*,\n  count(*) FILTER (WHERE r.role = 2) OVER (PARTITION BY r.customer_id {order}) AS stretch"
            );
            rows = format!("(\n{}\n) r", quote::indent(&format!("{stretch}\nFROM {rows}")));
            partition = "r.customer_id, r.stretch";
        }
        let (reached, condition) = if within {
            ("max(r.deadline)", "m.occurred_at <= m.reached")
        } else {
            ("bool_or(r.role = 3)", "m.reached")
        };
        let marked =
            format!("SELECT r.*,\n  {reached} OVER (PARTITION BY {partition} {order}) AS reached\nFROM {rows}");
        let mut columns = ["m.customer_id", "m.occurred_at", "m.event_id"].map(str::to_owned).to_vec();
        if within && !last {
            columns.push("m.reached AS deadline".to_owned());
        }
        columns.extend(binds.iter().map(|(_, name)| format!("m.{name}")));
        columns.extend(self.until(last, "m"));
        // At one event the candidate comes first and the state last: neither sees itself.
        format!(
            "-- role 1: an event that may be next, 2: one that must not lie between, 3: a state after the step before\n\
             SELECT {}\nFROM (\n{}\n) m\nWHERE m.role = 1\n  AND {condition}",
            select(&columns),
            quote::indent(&marked)
        )
    }

    /// No event of these steps, called `n`, before or behind an event and within the limit.
    fn absence(&self, steps: &[&Step], at: &Absence) -> String {
        let Absence { of, sign, limit } = at;
        let mut conditions = vec![format!("n.customer_id = {of}.customer_id")];
        conditions.extend(only("n", self.cx));
        conditions.push(exists("n", self.cx));
        conditions.push(format!("(n.occurred_at, n.event_id) {sign} ({of}.occurred_at, {of}.event_id)"));
        conditions.extend(limit.clone());
        let of_step = |step: &Step| {
            let mut one: Vec<String> = types(&step.events, "n").into_iter().collect();
            one.extend(step.within.as_ref().map(|within| match *sign {
                "<" => {
                    format!("n.occurred_at >= {}", self.moved("time_subtract", &format!("{of}.occurred_at"), within))
                }
                _ => format!("n.occurred_at <= {}", self.moved("time_add", &format!("{of}.occurred_at"), within)),
            }));
            one.extend(self.filter(step, "n"));
            one
        };
        if let [step] = steps {
            conditions.extend(of_step(step));
        } else {
            // One search for all of them: the planner takes minutes over hundreds of NOT EXISTS.
            let either: Vec<String> = steps
                .iter()
                .map(|step| {
                    let one = of_step(step);
                    if one.is_empty() { "true".to_owned() } else { quote::group("AND", &one) }
                })
                .collect();
            conditions.push(quote::group("OR", &either));
        }
        let absent = format!("SELECT 1\nFROM {}.cohort_event n\n{}", self.cx.schema, quote::wheres(&conditions));
        format!("NOT EXISTS (\n{}\n)", quote::indent(&absent))
    }
}

fn columns() -> Vec<String> {
    ["e.customer_id", "e.occurred_at", "e.event_id"].map(str::to_owned).to_vec()
}

/// The select list, on as many lines as it needs.
fn select(columns: &[String]) -> String {
    let inline = columns.join(", ");
    if inline.len() <= quote::WIDTH { inline } else { columns.join(",\n  ") }
}
