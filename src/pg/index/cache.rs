//! Headers of segments that this backend read before. A segment never changes and its id never comes again, so an entry
//! is good for ever; the number of entries is bounded.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cohort_core::segment::{Corrupt, CustomersHeader, Header};
use pgrx::pg_sys;

use super::pages::PageStream;

/// The most headers kept: some 20 kB each for a million rows of five properties.
const MOST: usize = 512;

thread_local! {
    /// By the table of the pages (a new CREATE EXTENSION counts segments from 1 again) and the segment's id.
    static HEADERS: RefCell<HashMap<(pg_sys::Oid, i64), Rc<dyn Any>>> = RefCell::new(HashMap::new());
}

/// The header of a segment of events or profiles.
pub(super) fn header(stream: &PageStream) -> Result<Rc<Header>, Corrupt> {
    cached(stream, || Header::open(stream))
}

/// The header of a segment of customers.
pub(super) fn customers(stream: &PageStream) -> Result<Rc<CustomersHeader>, Corrupt> {
    cached(stream, || CustomersHeader::open(stream))
}

fn cached<H: 'static>(stream: &PageStream, open: impl FnOnce() -> Result<H, Corrupt>) -> Result<Rc<H>, Corrupt> {
    let of = stream.identity();
    let known = HEADERS.with_borrow(|headers| headers.get(&of).cloned());
    if let Some(header) = known.and_then(|header| header.downcast::<H>().ok()) {
        return Ok(header);
    }
    let header = Rc::new(open()?);
    HEADERS.with_borrow_mut(|headers| {
        if headers.len() >= MOST {
            headers.clear();
        }
        headers.insert(of, Rc::clone(&header) as Rc<dyn Any>);
    });
    Ok(header)
}
