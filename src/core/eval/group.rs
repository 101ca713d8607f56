//! `group`: conditions on all customers that share a value of their profiles. What holds of a group is found out for all
//! groups before the first chunk is asked.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::bits::Bits;
use super::figure::Scalar;
use super::limits::{Budget, Stop};
use super::plan::{Node, Plan};
use super::profiles::ProfileValues;
use super::{Run, chunks};
use crate::rule::Quantifier;
use crate::segment::CHUNK_BITS;

/// Bytes that an entry of a map takes besides what it holds, about.
const ENTRY: usize = 64;

/// `group` made ready.
pub(crate) struct GroupPlan {
    pub(crate) keys: Vec<String>,
    pub(crate) quantifier: Quantifier,
    pub(crate) inner: Node,
}

/// How many customers a group has, and how many of them satisfy the condition.
#[derive(Default, Clone, Copy)]
struct Counts {
    customers: u32,
    members: u32,
}

impl Counts {
    fn hold(self, quantifier: Quantifier) -> bool {
        match quantifier {
            Quantifier::Any => self.members > 0,
            Quantifier::All => self.members == self.customers,
            Quantifier::None => self.members == 0,
        }
    }
}

impl<'a> Run<'a> {
    /// Finds the customers of all groups that hold, inner groups first.
    pub(super) fn group_all(&mut self, budget: &'a Budget<'a>) -> Result<(), Stop> {
        let plan: &'a Plan<'a> = self.plan;
        for group in &plan.groups {
            let set = self.group(group, budget)?;
            self.groups.push(set);
        }
        Ok(())
    }

    fn group(&mut self, group: &'a GroupPlan, budget: &'a Budget<'a>) -> Result<RoaringBitmap, Stop> {
        let mut values = ProfileValues::new(&group.keys, &[], self.source, budget)?;
        let mut numbers: HashMap<Scalar, u32> = HashMap::new();
        let mut counts: Vec<Counts> = Vec::new();
        let mut all: Vec<(u32, u32)> = Vec::new();
        let mut paid = 0;
        for chunk in 0..chunks(self.source) {
            (self.check)();
            let (mut wanted, mut bytes) = (Bits::none(), 0);
            let first = all.len();
            values.chunk(chunk, None, &mut |low, item| {
                let Some(scalar) = Scalar::of(item) else { return };
                let next = u32::try_from(counts.len()).unwrap_or(u32::MAX);
                let text = scalar.text().len();
                let number = *numbers.entry(scalar).or_insert_with(|| {
                    bytes += text + size_of::<Scalar>() + size_of::<Counts>() + ENTRY;
                    counts.push(Counts::default());
                    next
                });
                wanted.insert(low);
                all.push((u32::from(chunk) << CHUNK_BITS | low, number));
            })?;
            budget.take((bytes + (all.capacity() - paid) * size_of::<(u32, u32)>()) as u64)?;
            paid = all.capacity();
            self.begin();
            let inside = self.node(chunk, &group.inner, &wanted)?;
            for (ordinal, number) in &all[first..] {
                let of_group = &mut counts[*number as usize];
                of_group.customers += 1;
                of_group.members += u32::from(inside.contains(ordinal & ((1 << CHUNK_BITS) - 1)));
            }
        }
        let holds = |(_, number): &&(u32, u32)| counts[*number as usize].hold(group.quantifier);
        Ok(all.iter().filter(holds).map(|(ordinal, _)| *ordinal).collect())
    }
}
