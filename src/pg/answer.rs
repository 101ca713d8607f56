//! Evaluations: with the index if possible, otherwise with plain SQL.

use std::collections::{BTreeSet, HashSet};

use cohort_core::eval::Wish;
use cohort_core::plain_sql;
use cohort_core::rule::{Condition, Rule};
use roaring::RoaringBitmap;

use super::calendar::ServerCalendar;
use super::errors::Fallible;
use super::ids::Members;
use super::index::{self, Ask, Evaluated, Scratch};
use super::spi::{self, Snapshot};
use super::store::{self, Question};
use super::time;

const MEMBERS: Wish = Wish { members: true, events: false };

fn evaluate(question: &Question, ask: Ask) -> Fallible<Option<Evaluated>> {
    if index::refusal()?.is_some() {
        return Ok(None);
    }
    let as_of = question.instant();
    Ok(question.planned(&ServerCalendar, as_of, |plan| index::evaluate(plan, as_of, ask))?.ok())
}

/// The members' ids.
pub(crate) fn members(question: &Question) -> Fallible<Members> {
    if let Some(query) = question.query() {
        return query.members(None).map(Members::of_list);
    }
    if let Some(found) = evaluate(question, Ask { wish: MEMBERS, ..Ask::default() })? {
        return Ok(Members::of_index(found));
    }
    let sql = question.ask(None, plain_sql::members)?;
    Members::of_statement(&sql, &[])
}

/// The members as ordinals, where the index answers.
pub(crate) fn ordinals(question: &Question) -> Fallible<Option<Evaluated>> {
    if question.query().is_some() { Ok(None) } else { evaluate(question, Ask { wish: MEMBERS, ..Ask::default() }) }
}

/// The ids of the members that are among some ids, or of any, up to a number; what is `None` does not restrict.
pub(crate) fn some_members(
    question: &Question,
    among: Option<Vec<Option<String>>>,
    most: Option<i64>,
) -> Fallible<impl Iterator<Item = String> + use<>> {
    let members = match among {
        None => members(question)?,
        Some(ids) => members_among(question, &ids.into_iter().flatten().collect())?,
    };
    Ok(members.take(most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(0))))
}

fn members_among(question: &Question, ids: &BTreeSet<String>) -> Fallible<Members> {
    /// Up to this many, each by itself takes less than an evaluation.
    const FEW: usize = 8;
    if let Some(query) = question.query() {
        return query.members(Some(ids.iter().cloned().collect())).map(Members::of_list);
    }
    if ids.len() <= FEW && !looks_at_others(question)? {
        let mut found = Vec::new();
        for id in ids {
            if contains(question, id)? {
                found.push(id.clone());
            }
        }
        return Ok(Members::of_list(found));
    }
    if let Some(found) = evaluate(question, Ask { wish: MEMBERS, ..Ask::default() })? {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        return Ok(Members::of_list(found.members_among(&ids)?));
    }
    let sql = question.ask(None, plain_sql::members)?;
    let sql = format!("SELECT customer_id FROM (\n{sql}\n) AS members WHERE customer_id = ANY ($1)");
    Members::of_statement(&sql, &[ids.iter().cloned().collect::<Vec<_>>().into()])
}

/// How many members there are.
pub(crate) fn size(question: &Question) -> Fallible<i64> {
    if let Some(query) = question.query() {
        return query.size();
    }
    if let Some(found) = evaluate(question, Ask::default())? {
        return Ok(i64::try_from(found.answer.size).unwrap_or(i64::MAX));
    }
    let sql = question.ask(None, plain_sql::members)?;
    spi::one(Snapshot::Callers, &format!("SELECT count(*) FROM (\n{sql}\n) AS members"), &[], |row| row.need(1))
}

/// Whether one customer is a member.
pub(crate) fn contains(question: &Question, customer: &str) -> Fallible<bool> {
    if let Some(query) = question.query() {
        return Ok(!query.members(Some(vec![customer.to_owned()]))?.is_empty());
    }
    if index::refusal()?.is_none() {
        let as_of = question.instant();
        let found = question.planned(&ServerCalendar, as_of, |plan| {
            if !plan.looks_at_others() {
                return index::contains(plan, customer);
            }
            // It is known of all or of none.
            match index::evaluate(plan, as_of, Ask { wish: MEMBERS, ..Ask::default() })? {
                Ok(found) => Ok(Ok(!found.members_among(&[customer])?.is_empty())),
                Err(why) => Ok(Err(why)),
            }
        })?;
        if let Ok(found) = found {
            return Ok(found);
        }
    }
    let sql = question.ask(Some("$1"), plain_sql::members)?;
    spi::one(Snapshot::Callers, &format!("SELECT EXISTS (\n{sql}\n)"), &[customer.into()], |row| row.need(1))
}

/// Which of some saved cohorts hold one customer, in their order. The customer's rows are read once.
pub(crate) fn holding(names: &[String], customer: &str, as_of: cohort_core::time::Micros) -> Fallible<Vec<String>> {
    let mut held = HashSet::new();
    let mut others = without_queries(names)?;
    if index::refusal()?.is_none() {
        let mut alone = others;
        others = Vec::new();
        if looks_at_others(&all_of(&alone, as_of)?)? {
            // What looks at other customers is known of all or of none.
            let mut rest = Vec::new();
            for name in alone {
                let looks = looks_at_others(&Question::of_cohort(Snapshot::Callers, &name, as_of)?)?;
                if looks { others.push(name) } else { rest.push(name) }
            }
            alone = rest;
        }
        let question = all_of(&alone, as_of)?;
        match question.planned(&ServerCalendar, question.instant(), |plan| index::cohorts_of(plan, customer))? {
            Ok(found) => held.extend(alone.into_iter().zip(found).filter(|(_, held)| *held).map(|(name, _)| name)),
            Err(_) => others.append(&mut alone),
        }
    }
    for name in others {
        if contains(&Question::of_cohort(Snapshot::Callers, &name, as_of)?, customer)? {
            held.insert(name);
        }
    }
    Ok(names.iter().filter(|name| held.contains(*name)).cloned().collect())
}

/// The names that are not of query cohorts.
fn without_queries(names: &[String]) -> Fallible<Vec<String>> {
    let mut others = Vec::with_capacity(names.len());
    for name in names {
        if !store::is_query(name)? {
            others.push(name.clone());
        }
    }
    Ok(others)
}

fn any_query(names: &[String]) -> Fallible<bool> {
    for name in names {
        if store::is_query(name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it depends on other customers whether one is a member.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over the plan's lifetime")]
fn looks_at_others(question: &Question) -> Fallible<bool> {
    question.shape(&ServerCalendar, question.instant(), |plan| plan.looks_at_others())
}

/// One question that names all of some cohorts.
fn all_of(names: &[String], as_of: cohort_core::time::Micros) -> Fallible<Question> {
    let all = names.iter().map(|name| Condition::Cohort(name.clone())).collect();
    let whole = Rule { version: None, timezone: None, condition: Condition::Or(all) };
    Question::of_rule(Snapshot::Callers, whole, as_of)
}

/// Whether a customer is in the universe, as far as the current user sees it.
pub(crate) fn is_known(question: &Question, customer: &str) -> Fallible<bool> {
    let sql = question.universe_of("$1");
    spi::one(Snapshot::Callers, &format!("SELECT EXISTS (\n{sql}\n)"), &[customer.into()], |row| row.need(1))
}

/// How many members there are, of how many, and the first few in byte order.
pub(crate) fn preview(question: &Question, sample: usize) -> Fallible<(i64, i64, Vec<String>)> {
    if let Some(found) = evaluate(question, Ask { universe: true, wish: MEMBERS, ..Ask::default() })? {
        let mut first = std::collections::BinaryHeap::new();
        found.ids_of(&found.answer.members, &mut |id| {
            if first.len() < sample {
                first.push(id.to_owned());
            } else if first.peek().is_some_and(|last: &String| id < last.as_str()) {
                first.pop();
                first.push(id.to_owned());
            }
        })?;
        let count = |set: &RoaringBitmap| i64::try_from(set.len()).unwrap_or(i64::MAX);
        let universe = found.universe.as_ref().map_or(0, count);
        return Ok((count(&found.answer.members), universe, first.into_sorted_vec()));
    }
    let sql = format!(
        "WITH members AS MATERIALIZED (\n{}\n)\n\
         SELECT (SELECT count(*) FROM members), (SELECT count(*) FROM (\n{}\n) AS everyone),\n\
         ARRAY(SELECT customer_id FROM members ORDER BY customer_id COLLATE \"C\" LIMIT $1)",
        question.ask(None, plain_sql::members)?,
        question.universe()
    );
    let sample = i64::try_from(sample).unwrap_or(i64::MAX);
    spi::one(Snapshot::Callers, &sql, &[sample.into()], |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?)))
}

/// One condition of a rule, evaluated separately.
pub(crate) struct Explained {
    pub(crate) customers: i64,
    pub(crate) events: Option<i64>,
    pub(crate) how: String,
}

/// Evaluates one condition separately, and describes how. Otherwise the reason why plain SQL must be used.
pub(crate) fn explain(question: &Question, condition: &Condition) -> Fallible<Result<Explained, String>> {
    if let Some(reason) = index::refusal()? {
        return Ok(Err(reason));
    }
    let counted = matches!(condition, Condition::Did(_) | Condition::DidNot(_));
    let part = question.part(condition.clone());
    let as_of = question.instant();
    let ask = Ask { wish: Wish { members: false, events: counted }, ..Ask::default() };
    let found = match part.planned(&ServerCalendar, as_of, |plan| index::evaluate(plan, as_of, ask))? {
        Ok(found) => found,
        Err(reason) => return Ok(Err(reason)),
    };
    let what = match condition {
        Condition::And(_) => "intersection of its conditions",
        Condition::Or(_) => "union of its conditions",
        Condition::Not(_) => "complement of its condition",
        Condition::Did(did) | Condition::DidNot(did) => match (&did.aggregate, did.occurrence, &did.count, &did.filter)
        {
            _ if did.periods.is_some() => "periods counted",
            (Some(_), ..) => "aggregate computed",
            (_, Some(_), ..) => "one event selected for each customer",
            (_, _, Some(_), _) => "events counted",
            (.., Some(_)) => "rows that match",
            _ if did.time.is_some() => "rows in the window",
            _ => "customers with such an event",
        },
        Condition::Profile(_) | Condition::ProfileElement(_) => "profiles that match",
        Condition::Cohort(_) => "the cohort's own rule",
        Condition::CustomerIn(_) => "ids of the rows looked up",
        Condition::Sequence(_) => "events in order",
        Condition::Sample(_) => "ids hashed",
        Condition::Group(_) => "groups counted",
        Condition::Compare(_) => "figures compared",
        Condition::Rank(_) => "customers ranked",
    };
    let mut how = format!("index: {what}");
    // Segments are counted that hold events, which say nothing of a profile.
    if !matches!(condition, Condition::Profile(_) | Condition::ProfileElement(_)) {
        how = if counted {
            format!("{how}; groups read: {}, skipped: {}", found.answer.groups, found.answer.skipped)
        } else {
            format!("{how}; segments: {}", found.segments)
        };
        if found.opened < found.segments {
            how = format!("{how}; segments outside the time: {}", found.segments - found.opened);
        }
    }
    if found.tail > 0 {
        how = format!("{how}; rows of the tail: {}", found.tail);
    }
    if found.threads > 1 {
        how = format!("{how}; threads: {}", found.threads);
    }
    Ok(Ok(Explained {
        customers: i64::try_from(found.answer.size).unwrap_or(i64::MAX),
        events: counted.then(|| i64::try_from(found.answer.events).unwrap_or(i64::MAX)),
        how,
    }))
}

/// For each combination of questions (bits of the index), how many customers are in exactly those.
pub(crate) fn overlap(names: &[String], as_of: cohort_core::time::Micros) -> Fallible<Option<Vec<(usize, i64)>>> {
    if index::refusal()?.is_some() || any_query(names)? {
        return Ok(None);
    }
    // One rule that names them all keeps the ordinals the same: each cohort is asked as a part of it.
    let question = all_of(names, as_of)?;
    let at = time::to_postgres(as_of);
    let ask = Ask { cohorts: true, ..Ask::default() };
    let found = question.planned(&ServerCalendar, at, |plan| index::evaluate(plan, at, ask))?;
    let Ok(Evaluated { cohorts: sets, .. }) = found else { return Ok(None) };
    let mut exact: std::collections::HashMap<usize, i64> = std::collections::HashMap::new();
    let union = sets.iter().fold(RoaringBitmap::new(), |all, set| all | set);
    let mut masks: Vec<u16> = vec![0; union.max().map_or(0, |most| most as usize + 1)];
    for (bit, set) in sets.iter().enumerate() {
        for ordinal in set {
            masks[ordinal as usize] |= 1 << bit;
        }
    }
    for mask in masks.into_iter().filter(|mask| *mask != 0) {
        *exact.entry(usize::from(mask)).or_default() += 1;
    }
    Ok(Some(exact.into_iter().collect()))
}

/// Each customer that is in any of some cohorts, with the place of the first of them. Plain SQL answers where that is none.
pub(crate) fn waterfall(names: &[String], as_of: cohort_core::time::Micros) -> Fallible<Option<Vec<(String, usize)>>> {
    if index::refusal()?.is_some() || any_query(names)? {
        return Ok(None);
    }
    let question = all_of(names, as_of)?;
    let at = time::to_postgres(as_of);
    let ask = Ask { cohorts: true, ..Ask::default() };
    let Ok(found) = question.planned(&ServerCalendar, at, |plan| index::evaluate(plan, at, ask))? else {
        return Ok(None);
    };
    let mut rows = Vec::new();
    let mut taken = RoaringBitmap::new();
    for (place, set) in found.cohorts.iter().enumerate() {
        found.ids_of(&(set - &taken), &mut |id| rows.push((id.to_owned(), place)))?;
        taken |= set;
    }
    Ok(Some(rows))
}

/// Passes the ids of the members to a closure in slices of at most `most`, so that no more of them are in memory at a time.
/// Returns the number of members. The server's memory of a slice is freed after it.
pub(crate) fn in_slices(
    question: &Question,
    most: usize,
    each: &mut dyn FnMut(&[String]) -> Fallible<()>,
) -> Fallible<u64> {
    let scratch = Scratch::new();
    let mut slice: Vec<String> = Vec::with_capacity(most);
    let mut total = 0;
    let mut hand_out = |slice: &mut Vec<String>| {
        pgrx::check_for_interrupts!();
        total += slice.len() as u64;
        // In the order of every index on ids: what is looked up one after the other lies side by side.
        slice.sort_unstable();
        let result = scratch.run(|| each(slice));
        scratch.clear();
        slice.clear();
        result
    };
    if let Some(found) = evaluate(question, Ask { wish: MEMBERS, ..Ask::default() })? {
        let mut ordinals = RoaringBitmap::new();
        let mut left = found.answer.members.iter();
        loop {
            ordinals.clear();
            ordinals.extend(left.by_ref().take(most));
            if ordinals.is_empty() {
                break;
            }
            found.ids_of(&ordinals, &mut |id| slice.push(id.to_owned()))?;
            hand_out(&mut slice)?;
        }
    } else {
        let sql = question.ask(None, plain_sql::members)?;
        spi::in_pieces(&sql, most, &mut |rows| {
            slice.extend_from_slice(rows);
            hand_out(&mut slice)
        })?;
    }
    Ok(total)
}
