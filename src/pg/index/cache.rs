//! A cache of segment headers in this backend. A segment never changes and its id is not used again, so an entry stays
//! valid; the number of entries and their bytes are bounded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cohort_core::segment::{Corrupt, CustomersHeader, Header};
use pgrx::pg_sys;

use super::pages::PageStream;

/// Limits of the cache: number of headers, and bytes. A header takes about 20 kB for a million rows with five
/// properties.
const MOST: usize = 512;
const MOST_BYTES: usize = 32 << 20;

#[derive(Clone)]
enum Known {
    Rows(Rc<Header>),
    Customers(Rc<CustomersHeader>),
}

impl Known {
    fn memory(&self) -> usize {
        match self {
            Self::Rows(header) => header.memory(),
            Self::Customers(_) => size_of::<CustomersHeader>(),
        }
    }
}

thread_local! {
    /// By the table of the pages (a new CREATE EXTENSION counts segments from 1 again) and the segment's id.
    static HEADERS: RefCell<HashMap<(pg_sys::Oid, i64), Known>> = RefCell::new(HashMap::new());
}

/// The header of a segment of events or profiles.
pub(super) fn header(stream: &PageStream) -> Result<Rc<Header>, Corrupt> {
    if let Some(Known::Rows(header)) = known(stream) {
        return Ok(header);
    }
    let header = Rc::new(Header::open(stream)?);
    keep(stream, Known::Rows(Rc::clone(&header)));
    Ok(header)
}

/// The header of a segment of customers.
pub(super) fn customers(stream: &PageStream) -> Result<Rc<CustomersHeader>, Corrupt> {
    if let Some(Known::Customers(header)) = known(stream) {
        return Ok(header);
    }
    let header = Rc::new(CustomersHeader::open(stream)?);
    keep(stream, Known::Customers(Rc::clone(&header)));
    Ok(header)
}

fn known(stream: &PageStream) -> Option<Known> {
    HEADERS.with_borrow(|headers| headers.get(&stream.identity()).cloned())
}

fn keep(stream: &PageStream, header: Known) {
    HEADERS.with_borrow_mut(|headers| {
        if headers.len() >= MOST || headers.values().map(Known::memory).sum::<usize>() > MOST_BYTES {
            headers.clear();
        }
        headers.insert(stream.identity(), header);
    });
}
