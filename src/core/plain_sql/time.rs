//! `time` as SQL.

use super::clock::Clock;
use super::scan::{Scan, beside, existing, filter};
use super::{Context, HELPERS, path, quote};
use crate::rule::{Anchor, AnchorEvent, Hours, Times, Weekdays, Window};
use crate::time::Interval;

/// What a `time` adds to a statement over events.
#[derive(Default)]
pub(super) struct Timing {
    /// What else is read: the anchors, called `a1`, `a2`, ….
    pub(super) from: Vec<String>,
    /// What must all hold.
    pub(super) conditions: Vec<String>,
}

impl Timing {
    /// Adds both to a statement.
    pub(super) fn add_to(self, scan: &mut Scan) {
        scan.from.extend(self.from);
        scan.conditions.extend(self.conditions);
    }
}

/// What the forms demand of the events called `alias`.
pub(super) fn timing(times: Option<&Times>, alias: &str, cx: &Context, clock: &Clock) -> Timing {
    let mut timing = Timing::default();
    let at = format!("{alias}.occurred_at");
    for form in times.map_or(&[][..], Times::forms) {
        match form {
            Window::Weekday(days) => timing.conditions.push(weekday(days, &at, clock)),
            Window::Hours(hours) => timing.conditions.push(of_hours(*hours, &at, clock)),
            Window::From(anchor, within) => timing.anchor(anchor, false, within.as_ref(), alias, cx, clock),
            Window::Until(anchor, within) => timing.anchor(anchor, true, within.as_ref(), alias, cx, clock),
            form => timing.conditions.extend(clock.window(form, &at)),
        }
    }
    timing
}

impl Timing {
    fn anchor(
        &mut self,
        anchor: &Anchor,
        until: bool,
        within: Option<&Interval>,
        alias: &str,
        cx: &Context,
        clock: &Clock,
    ) {
        let name = format!("a{}", self.from.len() + 1);
        self.from.push(format!("(\n{}\n) {name}", quote::indent(&instants(anchor, until, cx, clock))));
        self.conditions.push(format!("{name}.customer_id = {alias}.customer_id"));
        let (at, anchor) = (format!("{alias}.occurred_at"), format!("{name}.at"));
        let bound = |function: &str, interval: &Interval| {
            format!("{HELPERS}.{function}({anchor}, {}, {})", quote::interval(interval), clock.zone)
        };
        if until {
            self.conditions.extend(within.map(|within| format!("{at} >= {}", bound("time_subtract", within))));
            self.conditions.push(format!("{at} <= {anchor}"));
        } else {
            self.conditions.push(format!("{at} >= {anchor}"));
            self.conditions.extend(within.map(|within| format!("{at} <= {}", bound("time_add", within))));
        }
    }
}

/// A statement that returns the customers and their anchors, as `at`.
pub(super) fn instants(anchor: &Anchor, until: bool, cx: &Context, clock: &Clock) -> String {
    let of_event = |event: &AnchorEvent, which: &str| {
        let mut conditions = existing(&event.events, "a", cx);
        conditions.extend(filter(event.filter.as_ref(), "a", clock, &beside("a", cx)));
        let scan = Scan { from: vec![format!("{}.cohort_event a", cx.schema)], conditions };
        let columns = format!("a.customer_id, {which}(a.occurred_at) AS at");
        format!("{}\nGROUP BY a.customer_id", scan.select(&columns))
    };
    match anchor {
        Anchor::First(event) => of_event(event, "min"),
        Anchor::Last(event) => of_event(event, "max"),
        Anchor::Profile(property) => {
            let read = if until { "json_last_instant" } else { "json_instant" };
            let value = path::follow("a.profile", &property.steps, 0).value;
            let conditions = super::scan::only("a", cx).into_iter().collect();
            let scan = Scan { from: vec![format!("{}.cohort_customer a", cx.schema)], conditions };
            scan.select(&format!("a.customer_id, {HELPERS}.{read}({value}, {}) AS at", clock.zone))
        }
    }
}

fn local(at: &str, clock: &Clock) -> String {
    format!("{HELPERS}.local_time({at}, {})", clock.zone)
}

fn weekday(days: &Weekdays, at: &str, clock: &Clock) -> String {
    let numbers: Vec<String> = days.days().iter().map(|day| day.number_from_monday().to_string()).collect();
    quote::one_of(&format!("extract(isodow FROM {})", local(at, clock)), &numbers)
}

fn of_hours(hours: Hours, at: &str, clock: &Clock) -> String {
    let time = format!("{}::time", local(at, clock));
    let bounds =
        [format!("{time} >= time '{}'", Hours::text(hours.from)), format!("{time} < time '{}'", Hours::text(hours.to))];
    // Over midnight either end will do.
    quote::group(if hours.from < hours.to { "AND" } else { "OR" }, &bounds)
}
