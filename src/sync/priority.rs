//! Priority lists: which of several cohorts a customer counts for.

use std::collections::{HashMap, HashSet};

use crate::pg::databases::{current_user, with_owners_rights};
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::spi::{self, Snapshot};
use crate::pg::stamp;
use crate::pg::store::{self as cohorts, not_owner, operates};
use cohort_core::text;

/// The most cohorts of a list.
const MOST: usize = 1_000;

/// A priority list.
struct List {
    id: i64,
    owned: bool,
    owner: String,
}

fn find(name: &str) -> Fallible<Option<List>> {
    spi::first(
        Snapshot::Fresh,
        "SELECT p.priority_id, kursaha_cohort.owns(p.owner), p.owner::text FROM kursaha_cohort.priority p WHERE p.name = $1",
        &[name.into()],
        |row| Ok(List { id: row.need(1)?, owned: row.need(2)?, owner: row.need(3)? }),
    )
}

fn get(name: &str) -> Fallible<List> {
    if let Some(list) = find(name)? {
        return Ok(list);
    }
    let names: Vec<String> =
        spi::run(Snapshot::Fresh, "SELECT name FROM kursaha_cohort.priority LIMIT 10000", &[], |row| row.need(1))?;
    let shown: String = name.chars().take(100).collect();
    Err(failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("priority list \"{shown}\" does not exist")).set_hint(
        match text::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => "The view cohort_priority lists them; cohort_priority_create creates one.".to_owned(),
        },
    ))
}

/// The list of a name, if the current user may change it.
fn get_own(name: &str) -> Fallible<List> {
    let list = get(name)?;
    if list.owned || operates()? { Ok(list) } else { Err(not_owner(&format!("priority list \"{name}\""), &list.owner)) }
}

/// Makes a list of the current user and gives its id.
pub(crate) fn create(name: &str, members: &[String]) -> Fallible<i64> {
    stamp::check_length("priority list name", name)?;
    cohorts::lock_definitions()?;
    if find(name)?.is_some() {
        return Err(failure(SqlState::ERRCODE_UNIQUE_VIOLATION, format!("priority list \"{name}\" already exists"))
            .set_hint("cohort_priority_update sets its cohorts, cohort_priority_drop removes it."));
    }
    let owner = current_user();
    let id = with_owners_rights(|| {
        spi::one(
            Snapshot::Fresh,
            "INSERT INTO kursaha_cohort.priority (name, owner) VALUES ($1, kursaha_cohort.owner_of($2)) RETURNING priority_id",
            &[name.into(), owner.into()],
            |row| row.need(1),
        )
    })?;
    set_members(id, members)?;
    Ok(id)
}

/// Sets the cohorts of a list.
pub(crate) fn update(name: &str, members: &[String]) -> Fallible<i64> {
    let id = set(name, members)?;
    check_followers()?;
    Ok(id)
}

/// Whether there is a list of a name.
pub(crate) fn exists(name: &str) -> Fallible<bool> {
    Ok(find(name)?.is_some())
}

/// The names of the current user's lists but some.
pub(crate) fn own_except(kept: Vec<String>) -> Fallible<Vec<String>> {
    spi::run(
        Snapshot::Fresh,
        "SELECT p.name FROM kursaha_cohort.priority p WHERE kursaha_cohort.owns(p.owner) AND p.name <> ALL ($1) \
         ORDER BY p.name COLLATE \"C\"",
        &[kept.into()],
        |row| row.need(1),
    )
}

/// The list that a sync follows.
pub(crate) fn followed(sync: i64) -> Fallible<Option<String>> {
    spi::first(
        Snapshot::Fresh,
        "SELECT p.name FROM kursaha_cohort.sync s JOIN kursaha_cohort.priority p USING (priority_id) WHERE s.sync_id = $1",
        &[sync.into()],
        |row| row.need(1),
    )
}

/// Takes all cohorts out of a list, before others are put in.
pub(crate) fn clear(name: &str) -> Fallible<()> {
    let list = get_own(name)?;
    with_owners_rights(|| {
        spi::touch("DELETE FROM kursaha_cohort.priority_cohort WHERE priority_id = $1", &[list.id.into()])?;
        Ok(())
    })
}

/// Sets the cohorts of a list; whether each sync that follows it finds its own there is for [`check_followers`].
pub(crate) fn set(name: &str, members: &[String]) -> Fallible<i64> {
    cohorts::lock_definitions()?;
    let list = get_own(name)?;
    set_members(list.id, members)?;
    with_owners_rights(|| {
        spi::touch("UPDATE kursaha_cohort.priority SET updated_at = now() WHERE priority_id = $1", &[list.id.into()])
    })?;
    Ok(list.id)
}

/// Removes a list that no sync follows.
pub(crate) fn drop(name: &str) -> Fallible<()> {
    cohorts::lock_definitions()?;
    let list = get_own(name)?;
    let followers: Vec<String> = spi::run(
        Snapshot::Fresh,
        "SELECT format('the sync of \"%s\" to \"%s\" follows it', c.name, d.name) FROM kursaha_cohort.sync s \
         JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id) \
         WHERE s.priority_id = $1 ORDER BY c.name COLLATE \"C\", d.name COLLATE \"C\"",
        &[list.id.into()],
        |row| row.need(1),
    )?;
    if !followers.is_empty() {
        return Err(failure(
            SqlState::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            format!("cannot drop priority list \"{name}\" because syncs use it"),
        )
        .set_detail(followers.join("\n"))
        .set_hint("cohort_sync_update(cohort, destination, priority => '') detaches a sync from its list."));
    }
    with_owners_rights(|| {
        spi::touch("DELETE FROM kursaha_cohort.priority WHERE priority_id = $1", &[list.id.into()])?;
        Ok(())
    })
}

/// Puts cohorts into a list, in place of those that are there.
fn set_members(list: i64, names: &[String]) -> Fallible<()> {
    if names.is_empty() || names.len() > MOST {
        return Err(invalid(format!("a priority list must have 1 to {MOST} cohorts, not {}", names.len())));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(invalid(format!("cohort \"{twice}\" is given twice")));
    }
    let before: HashMap<i64, (i64, String)> = spi::run(
        Snapshot::Fresh,
        "SELECT m.cohort_id, m.priority_id, p.name FROM kursaha_cohort.priority_cohort m JOIN kursaha_cohort.priority p USING (priority_id)",
        &[],
        |row| Ok((row.need(1)?, (row.need(2)?, row.need(3)?))),
    )?
    .into_iter()
    .collect();
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let cohort = cohorts::get(Snapshot::Fresh, name)?;
        match before.get(&cohort.id) {
            Some((other, _)) if *other == list => {}
            Some((_, other)) => {
                return Err(failure(
                    SqlState::ERRCODE_UNIQUE_VIOLATION,
                    format!("cohort \"{name}\" is already in the priority list \"{other}\""),
                )
                .set_hint("A cohort can be in one list only: remove it from that list with cohort_priority_update."));
            }
            None if cohort.owned || operates()? => {}
            None => return Err(not_owner(&format!("cohort \"{name}\""), &cohort.owner)),
        }
        ids.push(cohort.id);
    }
    with_owners_rights(|| {
        spi::touch("DELETE FROM kursaha_cohort.priority_cohort WHERE priority_id = $1", &[list.into()])?;
        spi::touch(
            "INSERT INTO kursaha_cohort.priority_cohort (cohort_id, priority_id, place) \
             SELECT u.id, $1, u.place FROM unnest($2) WITH ORDINALITY u (id, place)",
            &[list.into(), ids.into()],
        )?;
        Ok(())
    })
}

/// Refuses that a sync follows a list which does not have its cohort.
pub(crate) fn check_followers() -> Fallible<()> {
    let wrong: Vec<(String, String, String)> = spi::run(
        Snapshot::Fresh,
        "SELECT c.name, d.name, p.name FROM kursaha_cohort.sync s JOIN kursaha_cohort.priority p USING (priority_id) \
         JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id) \
         WHERE NOT EXISTS (SELECT FROM kursaha_cohort.priority_cohort m WHERE m.cohort_id = s.cohort_id AND m.priority_id = s.priority_id) \
         ORDER BY c.name COLLATE \"C\", d.name COLLATE \"C\"",
        &[],
        |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?)),
    )?;
    let Some((cohort, _, list)) = wrong.first() else { return Ok(()) };
    let lines: Vec<String> = wrong
        .iter()
        .map(|(cohort, destination, list)| format!("the sync of \"{cohort}\" to \"{destination}\" follows \"{list}\""))
        .collect();
    Err(failure(
        SqlState::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cohort \"{cohort}\" must be in the priority list \"{list}\", which its sync uses"),
    )
    .set_detail(lines.join("\n"))
    .set_hint("Add it to the list, or detach the sync: cohort_sync_update(cohort, destination, priority => '')."))
}

/// Lets a sync follow a list; none for an empty name.
pub(crate) fn follow(sync: i64, list: &str) -> Fallible<()> {
    set_followed(sync, list)?;
    check_followers()
}

/// The same; whether the list has the sync's cohort is for [`check_followers`].
pub(crate) fn set_followed(sync: i64, list: &str) -> Fallible<()> {
    cohorts::lock_definitions()?;
    let list = if list.is_empty() { None } else { Some(get(list)?.id) };
    super::store::set_sync(sync, "priority_id = $2", vec![list.into()])
}

/// The cohorts above that of a sync in the list that it follows, as the active snapshot has them.
pub(super) fn above(sync: i64) -> Fallible<Vec<String>> {
    let found: Vec<(bool, Option<String>)> = with_owners_rights(|| {
        spi::run(
            Snapshot::Callers,
            "SELECT own.place IS NOT NULL, c.name FROM kursaha_cohort.sync s \
             LEFT JOIN kursaha_cohort.priority_cohort own ON own.cohort_id = s.cohort_id AND own.priority_id = s.priority_id \
             LEFT JOIN kursaha_cohort.priority_cohort m ON m.priority_id = s.priority_id AND m.place < own.place \
             LEFT JOIN kursaha_cohort.cohort c ON c.cohort_id = m.cohort_id \
             WHERE s.sync_id = $1 AND s.priority_id IS NOT NULL",
            &[sync.into()],
            |row| Ok((row.need(1)?, row.get(2))),
        )
    })?;
    if found.iter().any(|(is_in, _)| !is_in) {
        return Err(failure(
            SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the cohort is not in the priority list that its sync uses",
        )
        .set_hint("Add it with cohort_priority_update."));
    }
    Ok(found.into_iter().filter_map(|(_, name)| name).collect())
}
