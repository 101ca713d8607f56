//! Destinations that keep rows of a table in this database: written in the transaction that records them.

use std::collections::HashSet;

use cohort_core::destination::{Action, Destination};

use super::removals::Removals;
use super::{Run, Strategy};
use crate::pg::errors::Fallible;
use crate::sync::batch::Delivery;
use crate::sync::ending::Ending;
use crate::sync::probe::{self, Step};
use crate::sync::spool::Spool;
use crate::sync::store::Place;
use crate::sync::table;

pub(super) struct Rows;

impl Strategy for Rows {
    fn connects(&self, _idle: bool) -> bool {
        false
    }

    fn add(&self, run: &mut Run<'_>, adds: &mut Spool) -> Result<(), Ending> {
        while let Some((intent, ())) = run.intend(adds, false, |run, intent, counts| {
            if intent.rows.is_empty() {
                return Ok(());
            }
            let mut delivery = Delivery::arrived(intent.rows.len());
            for refused in table::write(run.destination, Action::Add, &intent.rows)? {
                delivery.rows -= 1;
                delivery.refused.push((refused.place, refused.reason));
            }
            run.journal.record(&delivery, Action::Add, &run.parts, Some(&counts.skipped))?;
            run.journal.acknowledge(intent, &delivery)
        })? {
            if !intent.rows.is_empty() {
                run.batches += 1;
            }
        }
        Ok(())
    }

    fn remove(&self, run: &mut Run<'_>) -> Result<Option<String>, Ending> {
        let Some(mut removals) = Removals::of(run)? else { return Ok(None) };
        // Why the table keeps rows.
        let mut kept = None;
        while let Some(mut page) = removals.next(run)? {
            run.batches += 1;
            kept = run
                .journal
                .guarded(|| {
                    let mut refused = table::write(run.destination, Action::Remove, &page.rows)?;
                    // What is no value of the column's type is not in the table.
                    refused.retain(|row| !row.is_no_value);
                    let places: HashSet<usize> = refused.iter().map(|row| row.place).collect();
                    let sent = page.sent.into_iter().enumerate();
                    page.settled.extend(sent.filter(|(place, _)| !places.contains(place)).map(|(_, row)| row));
                    run.journal.forget(page.settled)?;
                    let delivery = Delivery::arrived(page.rows.len() - refused.len());
                    run.journal.record(&delivery, Action::Remove, &run.parts, None)?;
                    Ok(refused.into_iter().next().map(|row| row.reason))
                })?
                .or(kept);
        }
        Ok(kept)
    }

    fn test(&self, place: &Place, destination: &dyn Destination) -> Fallible<Vec<Step>> {
        probe::of_table(place, destination)
    }
}
