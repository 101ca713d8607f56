//! What the destination was told: the members that were recorded, read back.

use std::collections::{HashMap, HashSet};

use roaring::RoaringTreemap;

use super::Journal;
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::Fallible;
use crate::pg::index::Scratch;
use crate::pg::spi::{self, Snapshot};

/// What the destination was told.
pub(in crate::sync) struct Told {
    sync: Option<i64>,
    /// Batches without an answer.
    pub(in crate::sync) open: HashSet<i64>,
    any: bool,
    any_rejected: bool,
}

/// A member as it was told.
pub(in crate::sync) struct Member {
    pub(in crate::sync) id: i64,
    pub(in crate::sync) batch: i64,
    pub(in crate::sync) source: Option<i64>,
    pub(in crate::sync) leaving: bool,
}

impl Told {
    /// Of a sync; of none, nothing.
    pub(in crate::sync) fn open(sync: Option<i64>) -> Fallible<Self> {
        let Some(sync) = sync else {
            return Ok(Self { sync: None, open: HashSet::new(), any: false, any_rejected: false });
        };
        with_owners_rights(|| {
            let open = spi::run(
                Snapshot::Callers,
                "SELECT batch_id FROM kursaha_cohort.sync_batch WHERE sync_id = $1",
                &[sync.into()],
                |row| row.need::<i64>(1),
            )?;
            let (any, any_rejected) = spi::one(
                Snapshot::Callers,
                "SELECT EXISTS (SELECT FROM kursaha_cohort.sync_member WHERE sync_id = $1), \
                     EXISTS (SELECT FROM kursaha_cohort.sync_rejected WHERE sync_id = $1)",
                &[sync.into()],
                |row| Ok((row.need(1)?, row.need(2)?)),
            )?;
            Ok(Self { sync: Some(sync), open: open.into_iter().collect(), any, any_rejected })
        })
    }

    /// What was told about some customers, by their places.
    pub(in crate::sync) fn members(&self, ids: &[String]) -> Fallible<HashMap<usize, Vec<Member>>> {
        let mut found: HashMap<usize, Vec<Member>> = HashMap::new();
        let Some(sync) = self.sync.filter(|_| self.any) else { return Ok(found) };
        with_owners_rights(|| {
            spi::each(
                Snapshot::Callers,
                "SELECT u.place::int - 1, m.member_id, m.batch_id, m.source, m.leaving \
                 FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
                 CROSS JOIN LATERAL (SELECT s.member_id, s.batch_id, s.source, s.leaving FROM kursaha_cohort.sync_member s \
                     WHERE s.sync_id = $2 AND s.customer_id = u.customer_id OFFSET 0) m",
                &[ids.to_vec().into(), sync.into()],
                |row| {
                    let member =
                        Member { id: row.need(2)?, batch: row.need(3)?, source: row.get(4), leaving: row.need(5)? };
                    found.entry(place(row)?).or_default().push(member);
                    Ok(())
                },
            )
        })?;
        Ok(found)
    }

    /// Which of some customers the destination refused, with the stamp of the profile that it refused and the batch.
    pub(in crate::sync) fn rejected(&self, ids: &[String]) -> Fallible<Vec<(usize, Option<i64>, i64)>> {
        let Some(sync) = self.sync.filter(|_| self.any_rejected) else { return Ok(Vec::new()) };
        with_owners_rights(|| {
            spi::run(
                Snapshot::Callers,
                "SELECT u.place::int - 1, r.source, r.batch_id FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
                 CROSS JOIN LATERAL (SELECT j.source, j.batch_id FROM kursaha_cohort.sync_rejected j \
                     WHERE j.sync_id = $2 AND j.customer_id = u.customer_id OFFSET 0) r",
                &[ids.to_vec().into(), sync.into()],
                |row| Ok((place(row)?, row.get(2), row.need(3)?)),
            )
        })
    }

    /// How many the destination was told to have.
    pub(in crate::sync) fn present(&self) -> Fallible<u64> {
        let Some(sync) = self.sync.filter(|_| self.any) else { return Ok(0) };
        let count = with_owners_rights(|| {
            spi::one(
                Snapshot::Callers,
                "SELECT count(*) FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND NOT leaving",
                &[sync.into()],
                |row| row.need::<i64>(1),
            )
        })?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Calls `each` with the members of the ledger that were not seen. Returns their number.
    pub(in crate::sync) fn others(
        &self,
        seen: &RoaringTreemap,
        each: &mut dyn FnMut(i64, &str) -> Fallible<()>,
    ) -> Fallible<u64> {
        const PAGE: usize = 20_000;
        let Some(sync) = self.sync else { return Ok(0) };
        let scratch = Scratch::new();
        let mut last = (String::new(), 0_i64);
        let mut count = 0;
        loop {
            pgrx::check_for_interrupts!();
            let rows = scratch.run(|| page(Snapshot::Callers, sync, &last, PAGE))?;
            scratch.clear();
            let Some(end) = rows.last().cloned() else { return Ok(count) };
            for (customer, member) in &rows {
                let number = u64::try_from(*member).unwrap_or(0);
                if !seen.contains(number) {
                    each(*member, customer)?;
                    count += 1;
                }
            }
            last = end;
        }
    }
}

impl Journal {
    /// How many rows of the ledger that stay are of some customers.
    pub(in crate::sync) fn present_among(&self, ids: &[String]) -> Fallible<i64> {
        with_owners_rights(|| {
            spi::one(
                Snapshot::Fresh,
                "SELECT count(*) FROM unnest($1) u (customer_id) \
                 CROSS JOIN LATERAL (SELECT FROM kursaha_cohort.sync_member s \
                     WHERE s.sync_id = $2 AND s.customer_id = u.customer_id AND NOT s.leaving OFFSET 0) m",
                &[ids.to_vec().into(), self.sync.into()],
                |row| row.need(1),
            )
        })
    }
}

/// What was there of a customer before.
pub(in crate::sync) struct Had {
    pub(in crate::sync) member: i64,
    pub(in crate::sync) identity: Vec<u8>,
    pub(in crate::sync) leaving: bool,
    pub(in crate::sync) entered_at: i64,
}

/// What the destination was told about some customers, by their places: of each the row that stays, else the last one
/// that leaves.
pub(in crate::sync) fn had(snapshot: Snapshot, sync: i64, ids: &[&str]) -> Fallible<HashMap<usize, Had>> {
    let asked: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let mut found: HashMap<usize, Had> = HashMap::new();
    with_owners_rights(|| {
        spi::each(
            snapshot,
            "SELECT u.place::int - 1, m.member_id, m.identity, m.leaving, (extract(epoch FROM m.entered_at) * 1000000)::bigint \
             FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
             CROSS JOIN LATERAL (SELECT s.member_id, s.identity, s.leaving, s.entered_at FROM kursaha_cohort.sync_member s \
                 WHERE s.sync_id = $2 AND s.customer_id = u.customer_id OFFSET 0) m",
            &[asked.into(), sync.into()],
            |row| {
                let place = place(row)?;
                let next = Had {
                    member: row.need(2)?,
                    identity: row.need(3)?,
                    leaving: row.need(4)?,
                    entered_at: row.need(5)?,
                };
                // Who stays before who leaves, and the latest of those.
                if found.get(&place).is_none_or(|had| (!had.leaving, had.member) < (!next.leaving, next.member)) {
                    found.insert(place, next);
                }
                Ok(())
            },
        )
    })?;
    Ok(found)
}

/// The next of the members that stay, after a customer and a member's number, in that order.
pub(in crate::sync) fn page(
    snapshot: Snapshot,
    sync: i64,
    after: &(String, i64),
    most: usize,
) -> Fallible<Vec<(String, i64)>> {
    with_owners_rights(|| {
        spi::run(
            snapshot,
            "SELECT customer_id, member_id FROM kursaha_cohort.sync_member \
             WHERE sync_id = $1 AND (customer_id, member_id) > ($2, $3) AND NOT leaving \
             ORDER BY customer_id, member_id LIMIT $4",
            &[sync.into(), after.0.as_str().into(), after.1.into(), i64::try_from(most).unwrap_or(1).into()],
            |row| Ok((row.need(1)?, row.need(2)?)),
        )
    })
}

/// The place of a row among the customers that were asked about: its first column.
pub(in crate::sync) fn place(row: &spi::Row) -> Fallible<usize> {
    Ok(usize::try_from(row.need::<i32>(1)?).unwrap_or(0))
}
