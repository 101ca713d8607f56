//! The statements about members that leave.

use super::Journal;
use crate::pg::databases::{with_owners_rights, write};
use crate::pg::errors::Fallible;
use crate::pg::spi::{self, Snapshot};

/// A member to remove.
pub(in crate::sync) struct Leaver {
    pub(in crate::sync) member: i64,
    pub(in crate::sync) customer: String,
    pub(in crate::sync) identity: Vec<u8>,
    /// Keys of it that a member who stays has, too.
    pub(in crate::sync) shared: Vec<i64>,
}

impl Journal {
    /// Whether members leave, of this run or of earlier ones.
    pub(in crate::sync) fn has_leavers(&self) -> Fallible<bool> {
        with_owners_rights(|| {
            spi::one(
                Snapshot::Fresh,
                "SELECT EXISTS (SELECT FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND leaving)",
                &[self.sync.into()],
                |row| row.need(1),
            )
        })
    }

    /// The next members that leave, after a member's number.
    pub(in crate::sync) fn leavers(&self, after: i64, most: usize) -> Fallible<Vec<Leaver>> {
        with_owners_rights(|| {
            spi::run(
                Snapshot::Fresh,
                "SELECT member_id, customer_id, identity, coalesce(shared, '{}') FROM kursaha_cohort.sync_member \
                 WHERE sync_id = $1 AND leaving AND member_id > $2 ORDER BY member_id LIMIT $3",
                &[self.sync.into(), after.into(), i64::try_from(most).unwrap_or(1).into()],
                |row| {
                    Ok(Leaver {
                        member: row.need(1)?,
                        customer: row.need(2)?,
                        identity: row.need(3)?,
                        shared: row.need(4)?,
                    })
                },
            )
        })
    }

    /// Forgets members that the destination does not have any more.
    pub(in crate::sync) fn forget(&self, members: Vec<(i64, String)>) -> Fallible<()> {
        if members.is_empty() {
            return Ok(());
        }
        let (members, customers): (Vec<i64>, Vec<String>) = members.into_iter().unzip();
        write(
            "DELETE FROM kursaha_cohort.sync_member m USING unnest($2, $3) u (customer_id, member_id) \
             WHERE m.sync_id = $1 AND m.customer_id = u.customer_id AND m.member_id = u.member_id",
            &[self.sync.into(), customers.into(), members.into()],
        )?;
        Ok(())
    }

    /// Forgets everyone who leaves.
    pub(in crate::sync) fn forget_leavers(&self) -> Fallible<()> {
        write("DELETE FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND leaving", &[self.sync.into()])?;
        Ok(())
    }

    /// Finds for who is leaving which of their keys someone who stays has, too; `across`: in any sync to the destination.
    /// One pass over those who stay, where anyone leaving has a key at all.
    pub(in crate::sync) fn find_shared(&self, across: bool) -> Fallible<()> {
        let sql = "WITH leaver AS MATERIALIZED ( \
                 SELECT m.customer_id, m.member_id, k.key FROM kursaha_cohort.sync_member m, \
                     unnest(ARRAY[m.key1, m.key2, m.key3, m.key4]) k (key) \
                 WHERE m.sync_id = $1 AND m.leaving AND k.key IS NOT NULL \
             ), held AS MATERIALIZED ( \
                 SELECT DISTINCT k.key FROM kursaha_cohort.sync_member m, unnest(ARRAY[m.key1, m.key2, m.key3, m.key4]) k (key) \
                 WHERE EXISTS (SELECT FROM leaver) AND NOT m.leaving AND m.sync_id = ANY ( \
                     SELECT s.sync_id FROM kursaha_cohort.sync s WHERE s.sync_id = $1 OR ($2 AND s.destination_id = $3)) \
                   AND k.key IN (SELECT l.key FROM leaver l) \
             ), found AS MATERIALIZED ( \
                 SELECT l.customer_id, l.member_id, array_agg(DISTINCT h.key) FILTER (WHERE h.key IS NOT NULL) AS shared \
                 FROM leaver l LEFT JOIN held h USING (key) GROUP BY l.customer_id, l.member_id \
             ) \
             UPDATE kursaha_cohort.sync_member m SET shared = f.shared FROM found f \
             WHERE m.sync_id = $1 AND m.customer_id = f.customer_id AND m.member_id = f.member_id \
               AND m.shared IS DISTINCT FROM f.shared";
        let args = [self.sync.into(), across.into(), self.destination.into()];
        spi::without_nested_loops(|| write(sql, &args))?;
        Ok(())
    }
}
