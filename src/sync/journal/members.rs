//! The statements that record the members of a batch before it is sent, and its result afterwards.

use super::Journal;
use crate::pg::databases::{with_owners_rights, write};
use crate::pg::errors::Fallible;
use crate::pg::spi::{self, Snapshot};
use crate::sync::batch::{Delivery, Intent};

/// Columns of members, as arrays for one statement.
#[derive(Default)]
struct Columns {
    /// Empty for new members, which have no number yet.
    members: Vec<i64>,
    customers: Vec<String>,
    identities: Vec<Option<Vec<u8>>>,
    keys: [Vec<Option<i64>>; 4],
    sources: Vec<Option<i64>>,
}

/// What a batch makes of its members.
#[derive(Default)]
pub(in crate::sync) struct Changes {
    fresh: Columns,
    kept: Columns,
    same: Columns,
    gone: Columns,
}

/// What is recorded of a member that is sent.
pub(in crate::sync) struct Sent<'a> {
    pub(in crate::sync) customer: &'a str,
    pub(in crate::sync) identity: &'a [u8],
    pub(in crate::sync) keys: &'a [i64],
    /// The stamp of the profile.
    pub(in crate::sync) source: Option<i64>,
}

impl Columns {
    fn sent(&mut self, sent: &Sent<'_>) {
        self.customers.push(sent.customer.to_owned());
        self.identities.push(Some(sent.identity.to_vec()));
        for (place, column) in self.keys.iter_mut().enumerate() {
            column.push(sent.keys.get(place).copied());
        }
        self.sources.push(sent.source);
    }
}

impl Changes {
    /// A member that is new to the destination.
    pub(in crate::sync) fn adds(&mut self, sent: &Sent<'_>) {
        self.fresh.sent(sent);
    }

    /// A member that was there, and is sent again.
    pub(in crate::sync) fn sends_again(&mut self, member: i64, sent: &Sent<'_>) {
        self.kept.members.push(member);
        self.kept.sent(sent);
    }

    /// A member that stays as it was sent, by its profile with this stamp.
    pub(in crate::sync) fn keeps(&mut self, member: i64, customer: &str, source: Option<i64>) {
        self.same.members.push(member);
        self.same.customers.push(customer.to_owned());
        self.same.sources.push(source);
    }

    /// A member that leaves.
    pub(in crate::sync) fn removes(&mut self, member: i64, customer: &str) {
        self.gone.members.push(member);
        self.gone.customers.push(customer.to_owned());
    }
}

impl Journal {
    /// Records a batch with a number of rows and what it makes of its members; gives the number of the batch, 0 for one without
    /// rows. `snapshot_at`: when the new ones entered; `settle`: members that stay count as sent with it.
    pub(in crate::sync) fn intend(
        &self,
        changes: Changes,
        rows: usize,
        snapshot_at: i64,
        settle: bool,
    ) -> Fallible<i64> {
        let mut batch = 0;
        if rows > 0 {
            let count = i32::try_from(rows).unwrap_or(i32::MAX);
            batch = with_owners_rights(|| {
                spi::one(
                    Snapshot::Fresh,
                    "INSERT INTO kursaha_cohort.sync_batch (sync_id, run_id, rows) VALUES ($1, $2, $3) RETURNING batch_id",
                    &[self.sync.into(), self.run.into(), count.into()],
                    |row| row.need(1),
                )
            })?;
        }
        let Changes { fresh, kept, same, gone } = changes;
        self.insert(batch, snapshot_at, fresh)?;
        self.send_again(batch, kept)?;
        if !same.members.is_empty() {
            write(
                "UPDATE kursaha_cohort.sync_member m SET source = u.source, \
                     batch_id = CASE WHEN $2 THEN (SELECT nextval('kursaha_cohort.sync_batch_batch_id_seq')) ELSE m.batch_id END \
                 FROM unnest($3, $4, $5) u (customer_id, member_id, source) \
                 WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
                &[self.sync.into(), settle.into(), same.customers.into(), same.members.into(), same.sources.into()],
            )?;
        }
        if !gone.members.is_empty() {
            self.leave(gone.members, gone.customers)?;
        }
        Ok(batch)
    }

    fn insert(&self, batch: i64, snapshot_at: i64, fresh: Columns) -> Fallible<()> {
        if fresh.customers.is_empty() {
            return Ok(());
        }
        let [key1, key2, key3, key4] = fresh.keys;
        write(
            "INSERT INTO kursaha_cohort.sync_member \
                 (sync_id, batch_id, entered_at, customer_id, identity, key1, key2, key3, key4, source) \
             SELECT $1, $2, to_timestamp($3 / 1000000.0), u.* FROM unnest($4, $5, $6, $7, $8, $9, $10) u",
            &[
                self.sync.into(),
                batch.into(),
                snapshot_at.into(),
                fresh.customers.into(),
                fresh.identities.into(),
                key1.into(),
                key2.into(),
                key3.into(),
                key4.into(),
                fresh.sources.into(),
            ],
        )?;
        Ok(())
    }

    fn send_again(&self, batch: i64, kept: Columns) -> Fallible<()> {
        if kept.members.is_empty() {
            return Ok(());
        }
        let [key1, key2, key3, key4] = kept.keys;
        write(
            "UPDATE kursaha_cohort.sync_member m SET batch_id = $2, identity = u.identity, key1 = u.key1, key2 = u.key2, \
                 key3 = u.key3, key4 = u.key4, source = u.source, leaving = false, shared = NULL \
             FROM unnest($3, $4, $5, $6, $7, $8, $9, $10) \
                 u (customer_id, member_id, identity, key1, key2, key3, key4, source) \
             WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
            &[
                self.sync.into(),
                batch.into(),
                kept.customers.into(),
                kept.members.into(),
                kept.identities.into(),
                key1.into(),
                key2.into(),
                key3.into(),
                key4.into(),
                kept.sources.into(),
            ],
        )?;
        Ok(())
    }

    /// Marks members as leaving.
    pub(in crate::sync) fn leave(&self, members: Vec<i64>, customers: Vec<String>) -> Fallible<()> {
        write(
            "UPDATE kursaha_cohort.sync_member m SET leaving = true FROM unnest($2, $3) u (customer_id, member_id) \
             WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
            &[self.sync.into(), customers.into(), members.into()],
        )?;
        Ok(())
    }

    /// Records that a batch arrived, but for some of its rows.
    pub(in crate::sync) fn acknowledge(&self, intent: &Intent, delivery: &Delivery) -> Fallible<()> {
        if !delivery.refused.is_empty() {
            self.reject(intent, &delivery.refused)?;
        }
        if delivery.arrival.is_ok() {
            let taken: Vec<String> = (0..intent.rows.len())
                .filter(|index| !delivery.refused.iter().any(|(refused, _)| refused == index))
                .map(|index| intent.rows[index].customer.clone())
                .collect();
            write(
                "DELETE FROM kursaha_cohort.sync_rejected WHERE sync_id = $1 AND customer_id = ANY ($2)",
                &[self.sync.into(), taken.into()],
            )?;
            write("DELETE FROM kursaha_cohort.sync_batch WHERE batch_id = $1", &[intent.batch.into()])?;
        }
        Ok(())
    }

    /// Records the rows that the destination refused, and why.
    fn reject(&self, intent: &Intent, rows: &[(usize, String)]) -> Fallible<()> {
        let (mut new, mut known) = (Vec::new(), Vec::new());
        let (mut refused, mut reasons, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for (index, reason) in rows {
            let customer = intent.rows[*index].customer.clone();
            if intent.known[*index] {
                known.push(customer.clone());
            } else {
                new.push(customer.clone());
            }
            refused.push(customer);
            reasons.push(reason.clone());
            sources.push(intent.sources[*index]);
        }
        write(
            "DELETE FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND customer_id = ANY ($2) AND batch_id = $3",
            &[self.sync.into(), new.into(), intent.batch.into()],
        )?;
        // What the destination had of them before is taken back.
        write(
            "UPDATE kursaha_cohort.sync_member SET leaving = true \
             WHERE sync_id = $1 AND customer_id = ANY ($2) AND batch_id = $3",
            &[self.sync.into(), known.into(), intent.batch.into()],
        )?;
        write(
            "INSERT INTO kursaha_cohort.sync_rejected (sync_id, run_id, batch_id, customer_id, source, reason) \
             SELECT $1, $2, $6, u.* FROM unnest($3, $4, $5) u \
             ON CONFLICT (sync_id, customer_id) DO UPDATE SET source = EXCLUDED.source, reason = EXCLUDED.reason, \
                 run_id = EXCLUDED.run_id, batch_id = EXCLUDED.batch_id, rejected_at = EXCLUDED.rejected_at",
            &[self.sync.into(), self.run.into(), refused.into(), sources.into(), reasons.into(), intent.batch.into()],
        )?;
        Ok(())
    }
}
