//! `per` and `periods` as SQL.

use super::HELPERS;
use super::clock::{Clock, length};
use super::did::{Found, compare, holding, subquery};
use super::quote;
use super::scan::Scan;
use crate::rule::{CalendarUnit, Did, Periods, Streak};

/// A statement that returns the customers and the first days of the periods that satisfy the condition. `scan` has the
/// matching events.
pub(super) fn statement(did: &Did, unit: CalendarUnit, scan: &Scan, clock: &Clock) -> String {
    let period =
        format!("date_trunc({}, {HELPERS}.local_time(e.occurred_at, {}))::date", quote::text(unit.name()), clock.zone);
    let events = scan.select(&format!("e.customer_id, e.data, {period} AS period"));
    holding(did, &Scan { from: vec![subquery(&events, "e")], conditions: Vec::new() })
}

/// The customers of a `did` with periods.
pub(super) fn customers(did: &Did, periods: &Periods, scan: &Scan, clock: &Clock) -> Found {
    let Periods { unit, comparison, streak } = periods;
    let holding = statement(did, *unit, scan, clock);
    let comparison = comparison.map(|whole| whole.value);
    let having = |number: &str| compare(number, comparison, &|count| count.to_string());
    let none = crate::eval::holds(&comparison, 0);
    let asked = |number: &str| if none { quote::not(&having(number)) } else { having(number) };
    let customers = match streak {
        None => format!(
            "SELECT h.customer_id\nFROM {}\nGROUP BY h.customer_id\nHAVING {}",
            subquery(&holding, "h"),
            asked("count(*)")
        ),
        Some(streak) => {
            // A run of adjoining periods has a number of its own.
            let after = |period: &str| {
                let next = format!("({period} + {})::date", length(*unit, 1));
                format!("{HELPERS}.day_start({next}, {})", clock.zone)
            };
            let before = "lag(h.period) OVER (PARTITION BY h.customer_id ORDER BY h.period)";
            let begins = format!(
                "SELECT h.customer_id, h.period,\n  {} < {HELPERS}.day_start(h.period, {}) AS begins\nFROM {}",
                after(before),
                clock.zone,
                subquery(&holding, "h")
            );
            let numbered = format!(
                "SELECT h.customer_id, h.period,\n  \
                 count(*) FILTER (WHERE h.begins) OVER (PARTITION BY h.customer_id ORDER BY h.period) AS run\nFROM {}",
                subquery(&begins, "h")
            );
            let current = match streak {
                Streak::Longest => String::new(),
                Streak::Current => format!("\nHAVING {} >= {}", after("max(h.period)"), clock.unit_start(*unit, 0)),
            };
            let runs = format!(
                "SELECT h.customer_id, count(*) AS length\nFROM {}\nGROUP BY h.customer_id, h.run{current}",
                subquery(&numbered, "h")
            );
            format!(
                "SELECT r.customer_id\nFROM {}\nGROUP BY r.customer_id\nHAVING {}",
                subquery(&runs, "r"),
                asked("max(r.length)")
            )
        }
    };
    if none { Found::AllBut(customers) } else { Found::These(customers) }
}
