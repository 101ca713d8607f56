//! The readers of what a sequence keeps of each event.

use std::collections::HashMap;
use std::ops::Range;

use super::super::limits::{Budget, Stop};
use super::super::plan::{Slot, SlotPlan};
use super::super::refer::{Other, References, Theirs};
use super::super::rows::ones;
use super::super::values::{ENTRY, Interned, SlotColumn, Value, slot_columns, slot_values};
use crate::segment::{Group, PACK, Stream};

/// What reads a slot of a group's rows.
#[derive(Clone)]
pub(super) enum SlotReader<'a> {
    Values(&'a Slot, Vec<SlotColumn<'a>>),
    Arrays(&'a Slot, Vec<SlotColumn<'a>>),
    Profile(Box<OfProfile<'a>>),
}

/// The values at a property of profiles.
#[derive(Clone)]
pub(super) struct OfProfile<'a> {
    theirs: Theirs<'a>,
    references: References<'a>,
    /// By the number of a list of values there: that of the same list here.
    known: HashMap<u32, u32>,
}

impl<'a> SlotReader<'a> {
    pub(super) fn new(
        slot: &'a SlotPlan,
        group: &'a Group,
        stream: &'a dyn Stream,
        references: &References<'a>,
        budget: &Budget<'_>,
    ) -> Result<Self, Stop> {
        Ok(match slot {
            SlotPlan::Values(slot) => Self::Values(slot, slot_columns(slot, group, stream, budget)?),
            SlotPlan::Arrays(slot) => Self::Arrays(slot, slot_columns(slot, group, stream, budget)?),
            SlotPlan::Profile(slot) => Self::Profile(Box::new(OfProfile {
                theirs: references.bind(&Other::Profile(slot.clone()), group, stream)?,
                references: references.clone(),
                known: HashMap::new(),
            })),
        })
    }

    pub(super) fn columns(&self) -> &[SlotColumn<'a>] {
        match self {
            Self::Values(_, columns) | Self::Arrays(_, columns) => columns,
            Self::Profile(_) => &[],
        }
    }

    pub(super) fn foresee(&mut self, packs: &Range<usize>) {
        match self {
            Self::Values(_, columns) | Self::Arrays(_, columns) => {
                for column in columns {
                    column.reader.foresee(packs);
                }
            }
            Self::Profile(of) => of.theirs.foresee(packs),
        }
    }

    /// The lists of values of some rows of a pack.
    pub(super) fn of_rows(
        &mut self,
        pack: usize,
        rows: u128,
        values: &mut Interned<'_>,
        numbers: &mut [u32; PACK],
    ) -> Result<(), Stop> {
        match self {
            Self::Values(slot, columns) => slot_values(columns, slot, Value::of, (pack, rows), values, numbers),
            Self::Arrays(slot, columns) => slot_values(columns, slot, Value::array, (pack, rows), values, numbers),
            Self::Profile(of) => {
                of.theirs.of_rows(pack, rows, &of.references, numbers)?;
                for place in ones(rows) {
                    let number = &mut numbers[place];
                    *number = match of.known.get(number) {
                        _ if *number == 0 => 0,
                        Some(known) => *known,
                        None => {
                            values.budget.take(ENTRY as u64)?;
                            let known = values.list(of.references.list(*number))?;
                            of.known.insert(*number, known);
                            known
                        }
                    };
                }
                Ok(())
            }
        }
    }
}
