//! Exactly who is gained and lost by a change of definitions.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use cohort_core::time::Micros;

use crate::pg::answer;
use crate::pg::errors::Fallible;
use crate::pg::moment::Moment;
use crate::pg::spi::Snapshot;
use crate::pg::store::Question;

/// The cohorts that may have other members when some are changed: these, and whoever names them directly or through others.
pub(super) fn reached(changed: &HashSet<i64>, edges: &[(i64, i64)]) -> HashSet<i64> {
    let mut naming: HashMap<i64, Vec<i64>> = HashMap::new();
    for (from, to) in edges {
        naming.entry(*to).or_default().push(*from);
    }
    let mut found = changed.clone();
    let mut open: Vec<i64> = changed.iter().copied().collect();
    while let Some(id) = open.pop() {
        open.extend(naming.get(&id).into_iter().flatten().copied().filter(|next| found.insert(*next)));
    }
    found
}

/// How many members a cohort gains and loses between the two views of a moment, in one of which it may not be there.
pub(super) fn difference(moment: &Moment, name: &str, as_of: Micros, was: bool, is: bool) -> Fallible<(i64, i64)> {
    let members = || {
        let mut ids: Vec<String> = answer::members(&Question::of_cohort(Snapshot::Callers, name, as_of)?)?.collect();
        ids.sort_unstable();
        Ok(ids)
    };
    let before = if was { moment.before(members)? } else { Vec::new() };
    let after = if is { moment.after(members)? } else { Vec::new() };
    Ok(compare(&before, &after))
}

/// How many ids the second of two ascending lists has more, and how many it lacks.
fn compare(before: &[String], after: &[String]) -> (i64, i64) {
    let (mut gained, mut lost) = (0, 0);
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return (gained, lost),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.cmp(new),
        };
        match order {
            Ordering::Less => lost += 1,
            Ordering::Greater => gained += 1,
            Ordering::Equal => {}
        }
        if order != Ordering::Greater {
            before.next();
        }
        if order != Ordering::Less {
            after.next();
        }
    }
}
