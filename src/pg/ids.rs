//! Returns the members' ids to the caller in slices: a query with LIMIT stops early, and a cohort can have millions of
//! members.

use pgrx::datum::DatumWithOid;
use roaring::RoaringBitmap;

use super::errors::Fallible;
use super::index::{Evaluated, Named};
use super::spi::{self, Snapshot};

/// Ids of members.
pub(crate) struct Members {
    rest: Rest,
    slice: std::vec::IntoIter<String>,
    /// How many ids the next slice has.
    next: usize,
}

/// Where further ids come from.
enum Rest {
    /// The index, which names ordinals.
    Index(Named, roaring::bitmap::IntoIter),
    Nowhere,
}

/// The first slice, and the largest: each is twice the one before.
const FIRST: usize = 256;
const LARGEST: usize = 1 << 16;

impl Members {
    /// Those of an evaluation.
    pub(crate) fn of_index(found: Evaluated) -> Self {
        let (members, named) = found.into_named();
        Self { rest: Rest::Index(named, members.into_iter()), slice: Vec::new().into_iter(), next: FIRST }
    }

    /// Those that are known.
    pub(crate) fn of_list(ids: Vec<String>) -> Self {
        Self { rest: Rest::Nowhere, slice: ids.into_iter(), next: FIRST }
    }

    /// The first column of a query.
    pub(crate) fn of_statement(sql: &str, args: &[DatumWithOid<'_>]) -> Fallible<Self> {
        spi::run(Snapshot::Callers, sql, args, |row| row.need(1)).map(Self::of_list)
    }

    fn fetch(&mut self) -> Fallible<()> {
        let Rest::Index(named, left) = &mut self.rest else { return Ok(()) };
        pgrx::check_for_interrupts!();
        let ordinals: RoaringBitmap = left.by_ref().take(self.next).collect();
        self.next = (self.next * 2).min(LARGEST);
        let mut ids = Vec::with_capacity(usize::try_from(ordinals.len()).unwrap_or(0));
        named.ids_of(&ordinals, &mut |id| ids.push(id.to_owned()))?;
        if ids.is_empty() {
            self.rest = Rest::Nowhere;
        }
        self.slice = ids.into_iter();
        Ok(())
    }
}

impl Iterator for Members {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if let Some(id) = self.slice.next() {
            return Some(id);
        }
        if let Err(error) = self.fetch() {
            error.report(pgrx::PgLogLevel::ERROR);
        }
        self.slice.next()
    }
}
