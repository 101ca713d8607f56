//! `compare`: figures of each customer, or of each group, held against one another.

use std::cmp::Ordering;
use std::collections::HashMap;

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use roaring::RoaringBitmap;

use super::bits::Bits;
use super::did::Did;
use super::figure::Figures;
use super::limits::{Budget, Stop};
use super::naming::Naming;
use super::plan::{DidPlan, Plan};
use super::profiles::ProfileValues;
use super::refer::References;
use super::rows::ones;
use super::source::Source;
use super::{Run, chunks};
use crate::rule::Relation;
use crate::segment::item::{Decimal, Numeric};
use crate::segment::{CHUNK, CHUNK_BITS, CHUNK_MASK, PACK};

/// Bytes that an entry of a map takes besides what it holds, about.
const ENTRY: usize = 64;

/// What a figure comes to: the quotient of a number and how many values it is of (1 but for averages).
#[derive(Debug, Clone)]
pub(crate) struct Total {
    pub(crate) number: Exactly,
    pub(crate) of: u64,
}

/// A number.
#[derive(Debug, Clone)]
pub(crate) enum Exactly {
    /// A mantissa and the digits behind the point.
    Small(i128, u8),
    Large(BigDecimal),
}

impl Exactly {
    /// Of a number as it stands in a rule.
    pub(crate) fn of(number: &BigDecimal) -> Self {
        Decimal::from_exact(number)
            .map_or_else(|| Self::Large(number.clone()), |number| Self::Small(number.mantissa.into(), number.scale))
    }

    fn exact(&self) -> BigDecimal {
        match self {
            Self::Small(mantissa, scale) => BigDecimal::new(BigInt::from(*mantissa), i64::from(*scale)),
            Self::Large(number) => number.clone(),
        }
    }
}

impl From<Numeric> for Exactly {
    fn from(number: Numeric) -> Self {
        match number {
            Numeric::Small(number) => Self::Small(number.at_scale(number.scale), number.scale),
            Numeric::Large(number) => Self::Large(number),
        }
    }
}

impl Total {
    pub(crate) fn whole(number: u64) -> Self {
        Self { number: Exactly::Small(number.into(), 0), of: 1 }
    }

    /// Which is the larger.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        if let Some(order) = self.compare_small(other, (1, 0)) {
            return order;
        }
        // Both times both divisors, which are above 0.
        let times = |total: &Self, of: u64| match of {
            1 => total.number.exact(),
            of => total.number.exact() * BigDecimal::from(of),
        };
        times(self, other.of).cmp(&times(other, self.of))
    }
}

impl Total {
    /// How it compares with the other one times a factor, given as mantissa and scale: where both are small, and what they are
    /// multiplied by fits, too.
    fn compare_small(&self, other: &Self, factor: (i128, u8)) -> Option<Ordering> {
        let (Exactly::Small(own, own_scale), Exactly::Small(theirs, their_scale)) = (&self.number, &other.number)
        else {
            return None;
        };
        // Both times both divisors, which are above 0.
        let own = own.checked_mul(other.of.into())?;
        let theirs = theirs.checked_mul(factor.0)?.checked_mul(self.of.into())?;
        let (own_scale, their_scale) = (u32::from(*own_scale), u32::from(*their_scale) + u32::from(factor.1));
        let scale = own_scale.max(their_scale);
        let own = own.checked_mul(10_i128.checked_pow(scale - own_scale)?)?;
        let theirs = theirs.checked_mul(10_i128.checked_pow(scale - their_scale)?)?;
        Some(own.cmp(&theirs))
    }
}

/// `compare` made ready.
pub(crate) struct ComparePlan {
    pub(crate) left: AmountPlan,
    pub(crate) right: AmountPlan,
    pub(crate) relation: Relation,
    /// Whether the relation must not hold.
    pub(crate) negated: bool,
    pub(crate) factor: Exactly,
    /// The keys of the property that names the groups.
    pub(crate) over: Option<Vec<String>>,
}

/// A figure made ready.
pub(crate) enum AmountPlan {
    Number(BigDecimal),
    Profile(Vec<String>),
    Events(Box<DidPlan>),
}

impl AmountPlan {
    /// The figure of whom no event and no profile is known.
    fn of_nobody(&self) -> Option<Total> {
        match self {
            Self::Number(number) => Some(Total { number: Exactly::of(number), of: 1 }),
            Self::Profile(_) => None,
            Self::Events(did) => did.is_zero_without_events().then(|| Total::whole(0)),
        }
    }
}

impl ComparePlan {
    pub(crate) fn amounts(&self) -> [&AmountPlan; 2] {
        [&self.left, &self.right]
    }

    /// Whether it holds for a customer of whom nothing is known.
    pub(crate) fn holds_for_unknown(&self) -> bool {
        self.over.is_none() && self.holds(self.left.of_nobody().as_ref(), self.right.of_nobody().as_ref())
    }

    /// Whether `left operator factor × right`.
    fn holds(&self, left: Option<&Total>, right: Option<&Total>) -> bool {
        let (Some(left), Some(right)) = (left, right) else { return false };
        let small = match self.factor {
            Exactly::Small(mantissa, scale) => left.compare_small(right, (mantissa, scale)),
            Exactly::Large(_) => None,
        };
        let order = small.unwrap_or_else(|| {
            // Both sides times both divisors, which are above 0.
            (left.number.exact() * BigDecimal::from(right.of))
                .cmp(&(self.factor.exact() * right.number.exact() * BigDecimal::from(left.of)))
        });
        self.relation.holds(order) != self.negated
    }
}

/// A figure bound to a source.
#[derive(Clone)]
pub(crate) enum Bound<'a> {
    Number,
    Profile(ProfileValues<'a>),
    Events(Box<Did<'a>>),
}

impl<'a> Bound<'a> {
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        amount: &'a AmountPlan,
        source: &'a Source<'a>,
        references: &References<'a>,
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        Ok(match amount {
            AmountPlan::Number(_) => Self::Number,
            AmountPlan::Profile(keys) => Self::Profile(ProfileValues::new(keys, &[], source, budget)?),
            AmountPlan::Events(did) => Self::Events(Box::new(Did::new(plan, did, source, true, references, budget)?)),
        })
    }

    fn prepare(&mut self) -> Result<(), Stop> {
        match self {
            Self::Number | Self::Profile(_) => Ok(()),
            Self::Events(did) => did.prepare(),
        }
    }

    fn is_prepared(&self) -> bool {
        match self {
            Self::Number | Self::Profile(_) => true,
            Self::Events(did) => did.is_prepared(),
        }
    }

    fn foresee(&mut self, chunk: u16) -> Result<(), Stop> {
        match self {
            Self::Number => Ok(()),
            Self::Profile(values) => Ok(values.foresee(chunk)?),
            Self::Events(did) => did.foresee(chunk),
        }
    }

    fn looked_at(&self) -> u64 {
        match self {
            Self::Number => 0,
            Self::Profile(values) => values.looked_at(),
            Self::Events(did) => did.looked_at(),
        }
    }

    fn copy_bytes(&self) -> u64 {
        match self {
            Self::Number | Self::Profile(_) => 0,
            Self::Events(did) => did.copy_bytes(),
        }
    }

    /// Passes on the figures of those wanted customers of a chunk who have one; none for a plain number.
    pub(crate) fn each(&mut self, chunk: u16, wanted: &Bits, each: &mut dyn FnMut(u32, Total)) -> Result<(), Stop> {
        match self {
            Self::Number => Ok(()),
            Self::Profile(values) => values.chunk(chunk, Some(wanted), &mut |low, item| {
                if let Some(number) = item.numeric() {
                    each(low, Total { number: number.into(), of: 1 });
                }
            }),
            Self::Events(did) => {
                did.begin_totals();
                let slots: Vec<u32> = (0..=CHUNK_MASK).collect();
                did.add_totals(chunk, wanted, &slots)?;
                did.each_total(each);
                Ok(())
            }
        }
    }
}

/// A comparison bound to a source.
#[derive(Clone)]
pub(crate) struct Compared<'a> {
    plan: &'a ComparePlan,
    left: Bound<'a>,
    right: Bound<'a>,
    /// With `over`: the customers of the groups for which it holds.
    over: Option<Arc<RoaringBitmap>>,
    budget: &'a Budget<'a>,
}

impl<'a> Compared<'a> {
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        compare: &'a ComparePlan,
        source: &'a Source<'a>,
        references: &References<'a>,
        budget: &'a Budget<'a>,
    ) -> Result<Self, Stop> {
        let bound = |amount| Bound::new(plan, amount, source, references, budget);
        Ok(Self { plan: compare, left: bound(&compare.left)?, right: bound(&compare.right)?, over: None, budget })
    }

    fn each_bound(&mut self) -> impl Iterator<Item = &mut Bound<'a>> {
        [&mut self.left, &mut self.right].into_iter().filter(|_| self.over.is_none())
    }

    /// Reads what all chunks need.
    pub(super) fn prepare(&mut self) -> Result<(), Stop> {
        self.each_bound().try_for_each(Bound::prepare)
    }

    /// Whether chunks are asked without the calendar, once it is [prepared](Self::prepare).
    pub(super) fn is_prepared(&self) -> bool {
        self.left.is_prepared() && self.right.is_prepared()
    }

    /// Says that a chunk will be asked.
    pub(super) fn foresee(&mut self, chunk: u16) -> Result<(), Stop> {
        self.each_bound().try_for_each(|bound| bound.foresee(chunk))
    }

    /// About how many rows are looked at.
    pub(super) fn looked_at(&self) -> u64 {
        if self.over.is_some() { 0 } else { self.left.looked_at().saturating_add(self.right.looked_at()) }
    }

    /// Bytes that a copy takes.
    pub(super) fn copy_bytes(&self) -> u64 {
        self.left.copy_bytes() + self.right.copy_bytes()
    }

    /// Those of the wanted customers of a chunk for whom the comparison holds.
    pub(crate) fn chunk(&mut self, chunk: u16, wanted: &Bits) -> Result<Bits, Stop> {
        if let Some(over) = &self.over {
            let mut bits = Bits::of_chunk(over, chunk);
            bits.intersect(wanted);
            return Ok(bits);
        }
        let left = totals(&mut self.left, &self.plan.left, chunk, wanted)?;
        let right = totals(&mut self.right, &self.plan.right, chunk, wanted)?;
        let bytes = ((left.met.len() + right.met.len()) * (size_of::<Total>() + ENTRY)) as u64;
        self.budget.take(bytes)?;
        let mut bits = Bits::none();
        for low in wanted.iter() {
            // Products of exact decimals.
            self.budget.worked(5);
            if self.plan.holds(left.get(low), right.get(low)) {
                bits.insert(low);
            }
        }
        self.budget.give(bytes);
        Ok(bits)
    }
}

/// The figures of some customers, or groups.
struct Totals {
    met: HashMap<u32, Total>,
    otherwise: Option<Total>,
}

impl Totals {
    fn get(&self, number: u32) -> Option<&Total> {
        self.met.get(&number).or(self.otherwise.as_ref())
    }
}

fn totals(bound: &mut Bound<'_>, plan: &AmountPlan, chunk: u16, wanted: &Bits) -> Result<Totals, Stop> {
    let mut met = HashMap::new();
    bound.each(chunk, wanted, &mut |low, total| drop(met.insert(low, total)))?;
    Ok(Totals { met, otherwise: plan.of_nobody() })
}

impl Did<'_> {
    /// Begins figures of up to a chunk of customers or groups.
    fn begin_totals(&mut self) {
        self.counters.clear();
        self.counters.resize(CHUNK, 0);
        if let Some(figures) = &mut self.figures {
            figures.begin();
        }
    }

    /// Adds the matching events of wanted customers of a chunk, each to the slot of its customer.
    fn add_totals(&mut self, chunk: u16, wanted: &Bits, slots: &[u32]) -> Result<(), Stop> {
        let some = wanted.fewer_than(CHUNK as u64 / 8).then_some(wanted);
        self.timed.begin(chunk, some)?;
        let (timed, counters, figures) = (&mut self.timed, &mut self.counters, &mut self.figures);
        for (number, matching) in self.groups.iter_mut().enumerate() {
            let (filter, instants) = (&mut matching.filter, &mut matching.times);
            matching.rows.scan(chunk, some, Some(filter), |pack, ordinals, mut rows| {
                if !timed.is_window() {
                    rows = timed.mask(instants, pack, ordinals, rows)?;
                }
                let mut of_rows = [0_u32; PACK];
                for place in ones(rows) {
                    if wanted.contains(ordinals[place]) {
                        of_rows[place] = slots[ordinals[place] as usize];
                        counters[of_rows[place] as usize] += 1;
                    } else {
                        rows &= !(1 << place);
                    }
                }
                match figures {
                    Some(figures) if rows != 0 => figures.add(number, pack, &of_rows, rows),
                    _ => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// Passes the figures of the slots that have a value to `each`.
    fn each_total(&mut self, each: &mut dyn FnMut(u32, Total)) {
        match &mut self.figures {
            Some(figures) => figures.totals(each),
            None => (0..).zip(&self.counters).filter(|(_, events)| **events > 0).for_each(|(slot, events)| {
                each(slot, Total::whole(u64::from(*events)));
            }),
        }
    }
}

/// The group of each customer who has one.
struct Groups {
    /// Ordinals, ascending within a chunk, and the numbers of their groups.
    of: Vec<(u32, u32)>,
    count: usize,
}

impl Groups {
    fn new<'a>(
        keys: &'a [String],
        source: &'a Source<'a>,
        budget: &'a Budget<'a>,
        check: &dyn Fn(),
    ) -> Result<Self, Stop> {
        let mut naming = Naming::new(keys, source, budget, 4 * size_of::<Total>())?;
        let (mut of, mut paid): (Vec<(u32, u32)>, usize) = (Vec::new(), 0);
        for chunk in 0..chunks(source) {
            check();
            naming.chunk(chunk, &mut |low, number| of.push((u32::from(chunk) << CHUNK_BITS | low, number)))?;
            budget.take(((of.capacity() - paid) * size_of::<(u32, u32)>()) as u64)?;
            paid = of.capacity();
        }
        of.sort_unstable();
        Ok(Self { of, count: naming.count() })
    }

    /// Those of a chunk.
    fn of_chunk(&self, chunk: u16) -> &[(u32, u32)] {
        let below = |chunk: u32| self.of.partition_point(|(ordinal, _)| ordinal >> CHUNK_BITS < chunk);
        &self.of[below(chunk.into())..below(u32::from(chunk) + 1)]
    }
}

impl<'a> Run<'a> {
    /// Finds the customers of all groups whose figures satisfy their comparison.
    pub(super) fn compare_all(&mut self, budget: &'a Budget<'a>) -> Result<(), Stop> {
        for place in 0..self.compares.len() {
            let Some(keys) = &self.compares[place].plan.over else { continue };
            let groups = Groups::new(keys, self.source, budget, self.check)?;
            let compared = &mut self.compares[place];
            let left = of_groups(&mut compared.left, &compared.plan.left, &groups, self.source, self.check)?;
            let right = of_groups(&mut compared.right, &compared.plan.right, &groups, self.source, self.check)?;
            let plan = compared.plan;
            let holds = |(_, group): &&(u32, u32)| plan.holds(left.get(*group), right.get(*group));
            compared.over = Some(Arc::new(groups.of.iter().filter(holds).map(|(ordinal, _)| *ordinal).collect()));
        }
        Ok(())
    }
}

/// The figures of groups, 65,536 of them at a time.
fn of_groups(
    bound: &mut Bound<'_>,
    plan: &AmountPlan,
    groups: &Groups,
    source: &Source<'_>,
    check: &dyn Fn(),
) -> Result<Totals, Stop> {
    let mut totals = Totals { met: HashMap::new(), otherwise: plan.of_nobody() };
    let Bound::Events(did) = bound else { return Ok(totals) };
    for first in (0..groups.count).step_by(CHUNK) {
        did.begin_totals();
        let mut slots = vec![0_u32; CHUNK];
        for chunk in 0..chunks(source) {
            check();
            let mut wanted = Bits::none();
            for (ordinal, group) in groups.of_chunk(chunk) {
                if let Some(slot) = (*group as usize).checked_sub(first).filter(|slot| *slot < CHUNK) {
                    slots[(ordinal & CHUNK_MASK) as usize] = u32::try_from(slot).unwrap_or(0);
                    wanted.insert(ordinal & CHUNK_MASK);
                }
            }
            if !wanted.is_empty() {
                did.add_totals(chunk, &wanted, &slots)?;
            }
        }
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        did.each_total(&mut |slot, total| drop(totals.met.insert(first + slot, total)));
    }
    Ok(totals)
}

impl Figures<'_> {
    /// Passes on the figures of a chunk: the ordinal and its total.
    fn totals(&mut self, each: &mut dyn FnMut(u32, Total)) {
        self.each(&mut |ordinal, number, of| each(ordinal, Total { number, of }));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total() -> impl Strategy<Value = Total> {
        let mantissa =
            prop_oneof![-9..=9_i128, -1_000_000..=1_000_000_i128, any::<i64>().prop_map(i128::from), any::<i128>()];
        let of = prop_oneof![Just(1_u64), 1..=4_u64, any::<u64>().prop_map(|of| of.max(1))];
        (mantissa, 0..=18_u8, of)
            .prop_map(|(mantissa, scale, of)| Total { number: Exactly::Small(mantissa, scale), of })
    }

    proptest! {
        #[test]
        fn small_figures_compare_as_exact_ones(left in total(), right in total(), factor in (-1_000..=1_000_i128, 0..=18_u8)) {
            let exact = |total: &Total, of: u64| total.number.exact() * BigDecimal::from(of);
            if let Some(found) = left.compare_small(&right, factor) {
                let factor = Exactly::Small(factor.0, factor.1).exact();
                prop_assert_eq!(found, exact(&left, right.of).cmp(&(factor * exact(&right, left.of))));
            }
        }

        #[test]
        fn small_figures_are_compared_so(left in -1_000_000..=1_000_000_i128, right in -1_000_000..=1_000_000_i128, scale in 0..=6_u8) {
            let of = |mantissa| Total { number: Exactly::Small(mantissa, scale), of: 3 };
            prop_assert_eq!(of(left).compare_small(&of(right), (1, 0)), Some(left.cmp(&right)));
        }
    }
}
