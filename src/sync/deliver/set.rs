//! Destinations that keep a set: members are added and removed.

use super::requests::Requests;
use super::{Run, Strategy};
use crate::sync::ending::Ending;
use crate::sync::spool::Spool;

pub(super) struct Set;

const REQUESTS: Requests = Requests { replaces: true, delivered: None };

impl Strategy for Set {
    fn add(&self, run: &mut Run<'_>, adds: &mut Spool) -> Result<(), Ending> {
        REQUESTS.add(run, adds)
    }

    fn remove(&self, run: &mut Run<'_>) -> Result<Option<String>, Ending> {
        REQUESTS.remove(run)
    }
}
