//! What a document says beside cohorts: priority lists, suppressions and syncs.

use std::collections::{HashMap, HashSet};

use cohort_core::definitions::{Definitions, Priority, Suppression, Sync};

use super::apply::{Change, Done};
use super::export;
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::Fallible;
use crate::pg::spi::{self, Snapshot};
use crate::sync::{priority, setup, store as syncs, suppression};

fn change(done: Done, name: &str, what: &str) -> Change {
    Change { name: name.to_owned(), action: format!("{} {what}", done.name()), members: None }
}

/// Sets all three. What a later kind needs of an earlier one is there, and what it gives up is dropped before that.
pub(super) fn set(wanted: &Definitions, prune: bool) -> Fallible<Vec<Change>> {
    let mut changes = Vec::new();
    if let Some(lists) = &wanted.priorities {
        set_priorities(lists, &mut changes)?;
    }
    if let Some(cohorts) = &wanted.suppressions {
        set_suppressions(cohorts, prune, &mut changes)?;
    }
    if let Some(wanted) = &wanted.syncs {
        set_syncs(wanted, prune, &mut changes)?;
    }
    if let Some(lists) = wanted.priorities.as_ref().filter(|_| prune) {
        drop_priorities(lists, &mut changes)?;
    }
    priority::check_followers()?;
    Ok(changes)
}

fn set_priorities(wanted: &[Priority], changes: &mut Vec<Change>) -> Fallible<()> {
    let there: HashMap<String, Vec<String>> =
        export::priorities(Snapshot::Fresh, None)?.into_iter().map(|list| (list.name, list.cohorts)).collect();
    let done = |list: &Priority| {
        Ok(match there.get(&list.name) {
            Some(cohorts) if *cohorts == list.cohorts => Done::Unchanged,
            Some(_) => Done::Update,
            // One whose cohorts were all dropped is there, too.
            None if priority::exists(&list.name)? => Done::Update,
            None => Done::Create,
        })
    };
    let done: Vec<Done> = wanted.iter().map(done).collect::<Fallible<_>>()?;
    // A cohort may go from one list to another.
    for (list, _) in wanted.iter().zip(&done).filter(|(_, done)| **done == Done::Update) {
        priority::clear(&list.name)?;
    }
    for (list, done) in wanted.iter().zip(done) {
        match done {
            Done::Create => {
                priority::create(&list.name, &list.cohorts)?;
            }
            Done::Update => {
                priority::set(&list.name, &list.cohorts)?;
            }
            Done::Unchanged | Done::Drop => {}
        }
        changes.push(change(done, &list.name, "priority"));
    }
    Ok(())
}

fn drop_priorities(kept: &[Priority], changes: &mut Vec<Change>) -> Fallible<()> {
    let kept: Vec<String> = kept.iter().map(|list| list.name.clone()).collect();
    for name in priority::own_except(kept)? {
        priority::drop(&name)?;
        changes.push(change(Done::Drop, &name, "priority"));
    }
    Ok(())
}

fn place_of(suppression: &Suppression) -> String {
    suppression.destination.as_ref().map_or_else(|| "suppression".to_owned(), |name| format!("suppression at {name}"))
}

fn set_suppressions(wanted: &[Suppression], prune: bool, changes: &mut Vec<Change>) -> Fallible<()> {
    let there = export::suppressions(Snapshot::Fresh, None)?;
    for item in wanted {
        let done = if there.contains(item) { Done::Unchanged } else { Done::Create };
        if done == Done::Create {
            suppression::must_operate()?;
            suppression::add(&item.cohort, item.destination.as_deref())?;
        }
        changes.push(change(done, &item.cohort, &place_of(item)));
    }
    if prune && suppression::must_operate().is_ok() {
        for item in there.iter().filter(|item| !wanted.contains(item)) {
            suppression::remove(&item.cohort, item.destination.as_deref())?;
            changes.push(change(Done::Drop, &item.cohort, &place_of(item)));
        }
    }
    Ok(())
}

fn set_syncs(wanted: &[Sync], prune: bool, changes: &mut Vec<Change>) -> Fallible<()> {
    let what = |destination: &str| format!("sync to {destination}");
    for sync in wanted {
        pgrx::check_for_interrupts!();
        let done = set_sync(sync)?;
        changes.push(change(done, &sync.cohort, &what(&sync.destination)));
    }
    if !prune {
        return Ok(());
    }
    let kept: HashSet<(&str, &str)> =
        wanted.iter().map(|sync| (sync.cohort.as_str(), sync.destination.as_str())).collect();
    for sync in syncs::all_syncs()? {
        if sync.owned && !kept.contains(&(sync.cohort.as_str(), sync.destination.as_str())) {
            with_owners_rights(|| spi::touch("DELETE FROM kursaha_cohort.sync WHERE sync_id = $1", &[sync.id.into()]))?;
            changes.push(change(Done::Drop, &sync.cohort, &what(&sync.destination)));
        }
    }
    Ok(())
}

fn set_sync(sync: &Sync) -> Fallible<Done> {
    let Some(found) = syncs::find_sync(&sync.cohort, &sync.destination)? else {
        let id = setup::create(&sync.cohort, &sync.destination, &sync.frequency, sync.at.as_deref(), &sync.timezone)?;
        if let Some(list) = &sync.priority {
            priority::set_followed(id, list)?;
        }
        return Ok(Done::Create);
    };
    let timing = &found.timing;
    let same_timing = timing.frequency == sync.frequency && timing.at == sync.at && timing.timezone == sync.timezone;
    let same_list = priority::followed(found.id)? == sync.priority;
    if same_timing && same_list {
        return Ok(Done::Unchanged);
    }
    let own = syncs::get_own_sync(&sync.cohort, &sync.destination)?;
    if !same_timing {
        let timing = syncs::Timing {
            frequency: sync.frequency.clone(),
            at: sync.at.clone(),
            timezone: sync.timezone.clone(),
            anchor: syncs::now(),
        };
        setup::set_timing(own.id, &timing)?;
    }
    if !same_list {
        priority::set_followed(own.id, sync.priority.as_deref().unwrap_or_default())?;
    }
    Ok(Done::Update)
}
