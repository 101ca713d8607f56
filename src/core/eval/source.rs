//! What a rule is evaluated over.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use crate::segment::{Header, Stream};

/// A segment, or the tail built into one.
pub struct Part<'a> {
    /// What it holds.
    pub header: &'a Header,
    /// Its bytes.
    pub stream: &'a dyn Stream,
    /// Rows that are gone, by group.
    pub dead: HashMap<String, RoaringBitmap>,
}

/// Who has which ordinal.
pub trait Ids: Sync {
    /// Passes on some ordinals, ascending, with the ids of their customers. A failure unwinds.
    fn each(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str));
}

/// Everything that one snapshot sees.
#[derive(Default)]
pub struct Source<'a> {
    /// Events; each event is in one part only.
    pub events: Vec<Part<'a>>,
    /// Profiles, the newest part first: a customer's row in a newer part stands for those in older ones.
    pub profiles: Vec<Part<'a>>,
    /// Ordinals go from 0 to this number, not included.
    pub customers: u32,
    /// Whether every ordinal is known to belong to somebody in the universe.
    pub everyone: bool,
    /// The members of fixed lists, by the list's id.
    pub lists: HashMap<i64, RoaringBitmap>,
    /// The customers of each list of ids that the plan has ([`super::Plan::ids`]).
    pub ids_of_rows: Vec<RoaringBitmap>,
    /// The customers' ids, for what asks about them.
    pub ids: Option<&'a dyn Ids>,
}
