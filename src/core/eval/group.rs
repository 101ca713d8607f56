//! `group`: conditions on all customers that share a value of their profiles. What holds of a group is found out for all
//! groups before the first chunk is asked.

use roaring::RoaringBitmap;

use super::bits::Bits;
use super::limits::{Budget, Stop};
use super::naming::Naming;
use super::plan::Node;
use super::{Run, chunks};
use crate::rule::Quantifier;
use crate::segment::{CHUNK_BITS, CHUNK_MASK};

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
    /// The customers of the groups that hold.
    pub(super) fn group(&mut self, group: &'a GroupPlan, budget: &'a Budget<'a>) -> Result<RoaringBitmap, Stop> {
        let mut naming = Naming::new(&group.keys, self.source, budget, size_of::<Counts>())?;
        let mut counts: Vec<Counts> = Vec::new();
        let mut all: Vec<(u32, u32)> = Vec::new();
        let mut paid = 0;
        for chunk in 0..chunks(self.source) {
            (self.check)();
            let mut wanted = Bits::none();
            let first = all.len();
            naming.chunk(chunk, &mut |low, number| {
                wanted.insert(low);
                all.push((u32::from(chunk) << CHUNK_BITS | low, number));
            })?;
            counts.resize(naming.count(), Counts::default());
            budget.take(((all.capacity() - paid) * size_of::<(u32, u32)>()) as u64)?;
            paid = all.capacity();
            self.begin();
            let inside = self.node(chunk, &group.inner, &wanted)?;
            for (ordinal, number) in &all[first..] {
                let of_group = &mut counts[*number as usize];
                of_group.customers += 1;
                of_group.members += u32::from(inside.contains(ordinal & CHUNK_MASK));
            }
        }
        let holds = |(_, number): &&(u32, u32)| counts[*number as usize].hold(group.quantifier);
        Ok(all.iter().filter(holds).map(|(ordinal, _)| *ordinal).collect())
    }
}
