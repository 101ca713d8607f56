//! The times of a group's rows: whole seconds in one column, microseconds in another.

use std::ops::Range;

use super::column::{PACK, Reader};
use super::stream::{Corrupt, Stream};
use super::{Group, SECOND};

/// The times of a group's rows.
#[derive(Clone)]
pub(crate) struct Times<'a> {
    /// Seconds since 2000-01-01 00:00 UTC.
    pub(crate) seconds: Reader<'a>,
    micros: Reader<'a>,
}

impl<'a> Times<'a> {
    pub(crate) fn new(group: &'a Group, stream: &'a dyn Stream) -> Self {
        Self { seconds: Reader::new(stream, &group.seconds), micros: Reader::new(stream, &group.micros) }
    }

    /// Says that the times of some packs will be read.
    pub(crate) fn foresee(&mut self, packs: &Range<usize>) {
        self.seconds.foresee(packs);
        self.micros.foresee(packs);
    }

    /// The times of a pack's rows, in microseconds.
    pub(crate) fn pack(&mut self, pack: usize) -> Result<[i64; PACK], Corrupt> {
        let (mut times, mut micros) = ([0_i64; PACK], [0_i64; PACK]);
        self.seconds.large(pack, &mut times)?;
        self.micros.large(pack, &mut micros)?;
        for (time, micros) in times.iter_mut().zip(&micros) {
            *time = time.wrapping_mul(SECOND).wrapping_add(*micros);
        }
        Ok(times)
    }
}
