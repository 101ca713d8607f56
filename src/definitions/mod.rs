//! Definitions as a document: what is saved, and how a document is made true.

mod apply;
mod beside;
mod difference;
mod export;

pub(crate) use apply::{Change, apply};
pub(crate) use export::export;
