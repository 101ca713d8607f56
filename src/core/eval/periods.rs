//! `did` with `per` and `periods`: the matching events by calendar units, and how many of these hold.

use chrono::{Datelike, NaiveDate};

use super::bits::Bits;
use super::clock::Clock;
use super::did::Did;
use super::limits::{Budget, Stop};
use super::plan::holds;
use super::rows::ones;
use super::time::Offsets;
use crate::rule::{CalendarUnit, Comparison, Periods, Streak};
use crate::segment::{CHUNK, PACK};
use crate::time::DAY;

/// `per` and `periods` made ready.
pub(crate) struct PeriodsPlan {
    unit: CalendarUnit,
    comparison: Comparison<u64>,
    streak: Option<Streak>,
    /// The unit of `as_of`.
    current: i32,
}

impl PeriodsPlan {
    pub(crate) fn new(periods: &Periods, clock: &Clock) -> Self {
        let today = Offsets::new(*clock).local(clock.as_of).div_euclid(DAY);
        Self {
            unit: periods.unit,
            comparison: periods.comparison.map(|whole| whole.value),
            streak: periods.streak,
            current: number(today, periods.unit),
        }
    }

    /// Whether this number of periods satisfies the comparison.
    pub(crate) fn holds(&self, periods: u64) -> bool {
        holds(&self.comparison, periods)
    }

    /// What is compared of the periods that hold, which ascend.
    fn figure(&self, periods: &[i32], clock: &Clock) -> u64 {
        let runs = || periods.chunk_by(|left, right| self.adjoin(*left, *right, clock));
        let length = |run: &[i32]| run.len() as u64;
        match self.streak {
            None => periods.len() as u64,
            Some(Streak::Longest) => runs().map(length).max().unwrap_or(0),
            Some(Streak::Current) => runs()
                .last()
                .filter(|run| {
                    run.last().is_some_and(|last| *last == self.current || self.adjoin(*last, self.current, clock))
                })
                .map_or(0, length),
        }
    }

    /// Whether no instant lies between two periods: they follow one another, or a zone skipped the days between.
    fn adjoin(&self, left: i32, right: i32, clock: &Clock) -> bool {
        /// No zone ever skipped more than a day.
        const SKIPPED: i32 = 2;
        let start = |day: i32| date(day).map(|day| clock.day_start(day));
        let between = right - left;
        between == 1
            || self.unit == CalendarUnit::Day
                && (2..=SKIPPED).contains(&between)
                && start(left + 1).zip(start(right)).is_some_and(|(end, next)| end == next)
    }
}

/// A day by its number from 2000-01-01.
fn date(day: i32) -> Option<NaiveDate> {
    /// 2000-01-01, counted from 0001-01-01 as 1.
    const EPOCH: i32 = 730_120;
    NaiveDate::from_num_days_from_ce_opt(day.checked_add(EPOCH)?)
}

/// The number of the unit that holds a day, given as its number from 2000-01-01. Units that follow one another have numbers
/// that do.
fn number(day: i64, unit: CalendarUnit) -> i32 {
    let day = i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX });
    let of_date = |number: &dyn Fn(NaiveDate) -> i32| date(day).map_or(day, number);
    match unit {
        CalendarUnit::Day => day,
        // 2000-01-03 was a Monday.
        CalendarUnit::Week => (day.saturating_sub(2)).div_euclid(7),
        CalendarUnit::Month => of_date(&|date| date.year() * 12 + date.month0().cast_signed()),
        CalendarUnit::Quarter => of_date(&|date| date.year() * 4 + (date.month0() / 3).cast_signed()),
        CalendarUnit::Year => of_date(&|date| date.year()),
    }
}

/// An ordinal and a period as one number, which sorts as the pair does.
fn key(ordinal: u32, period: i32) -> u64 {
    u64::from(ordinal) << 32 | u64::from(period.cast_unsigned() ^ 1 << 31)
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a key are what is meant")]
fn parts(key: u64) -> (u32, i32) {
    ((key >> 32) as u32, (key as u32 ^ 1 << 31).cast_signed())
}

/// The keys of a chunk's matching events, given back to the budget when they are done with.
struct Keys<'b> {
    all: Vec<u64>,
    paid: usize,
    budget: &'b Budget<'b>,
}

impl Keys<'_> {
    fn pay(&mut self) -> Result<(), Stop> {
        // Besides the keys themselves, what is made of them: the periods and whether each holds.
        const EACH: usize = 3 * size_of::<u64>();
        if let Some(more) = self.all.capacity().checked_sub(self.paid) {
            self.budget.take((more * EACH) as u64)?;
            self.paid += more;
        }
        Ok(())
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        self.budget.give((self.paid * 3 * size_of::<u64>()) as u64);
    }
}

impl Did<'_> {
    /// Those of the wanted customers of a chunk whose periods satisfy the comparison; others may be among them.
    pub(super) fn periodic(
        &mut self,
        chunk: u16,
        some: Option<&Bits>,
        wanted: &Bits,
        periods: &PeriodsPlan,
    ) -> Result<Bits, Stop> {
        let mut keys = Keys { all: Vec::new(), paid: 0, budget: self.budget };
        self.each_key(chunk, some, periods, &mut |_, _, ordinals, rows, of_rows| {
            keys.all.extend(ones(rows).map(|place| key(ordinals[place], of_rows[place])));
            keys.pay()
        })?;
        self.events += keys.all.len() as u64;
        keys.all.sort_unstable();
        let mut met: Vec<(u64, bool)> = keys
            .all
            .chunk_by(|left, right| left == right)
            .map(|events| (events[0], self.plan.counts(events.len() as u64)))
            .collect();
        self.figured(chunk, some, periods, &mut met)?;
        let clock = self.clock;
        let mut bits = if periods.holds(0) { wanted.clone() } else { Bits::none() };
        let mut holding = Vec::new();
        for one in met.chunk_by(|left, right| left.0 >> 32 == right.0 >> 32) {
            holding.clear();
            holding.extend(one.iter().filter(|(_, holds)| *holds).map(|(key, _)| parts(*key).1));
            let ordinal = parts(one[0].0).0;
            if periods.holds(periods.figure(&holding, &clock)) { bits.insert(ordinal) } else { bits.remove(ordinal) }
        }
        Ok(bits)
    }

    /// Asks the figure of each period, where there is one: some periods at a time take the place of customers.
    fn figured(
        &mut self,
        chunk: u16,
        some: Option<&Bits>,
        periods: &PeriodsPlan,
        met: &mut [(u64, bool)],
    ) -> Result<(), Stop> {
        let Some(mut figures) = self.figures.take() else { return Ok(()) };
        for slice in met.chunks_mut(CHUNK) {
            figures.begin();
            let mut slots = [0_u32; PACK];
            self.each_key(chunk, some, periods, &mut |group, pack, ordinals, rows, of_rows| {
                let mut here = 0;
                for place in ones(rows) {
                    let key = key(ordinals[place], of_rows[place]);
                    if let Ok(slot) = slice.binary_search_by_key(&key, |(key, _)| *key) {
                        slots[place] = u32::try_from(slot).unwrap_or(0);
                        here |= 1 << place;
                    }
                }
                if here == 0 { Ok(()) } else { figures.add(group, pack, &slots, here) }
            })?;
            let satisfied = figures.satisfied();
            for (slot, (_, holds)) in (0..).zip(slice.iter_mut()) {
                *holds = *holds && satisfied.contains(slot);
            }
        }
        self.figures = Some(figures);
        Ok(())
    }

    /// Passes on the matching rows of wanted customers with the period of each: group, pack, ordinals, rows, periods.
    #[expect(clippy::type_complexity, reason = "what is said of a pack's rows")]
    fn each_key(
        &mut self,
        chunk: u16,
        some: Option<&Bits>,
        periods: &PeriodsPlan,
        each: &mut dyn FnMut(usize, usize, &[u32; PACK], u128, &[i32; PACK]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let (timed, offsets) = (&mut self.timed, &mut self.offsets);
        let mut of_rows = [0_i32; PACK];
        for (group, matching) in self.groups.iter_mut().enumerate() {
            let (filter, instants) = (&mut matching.filter, &mut matching.times);
            matching.rows.scan(chunk, some, Some(filter), |pack, ordinals, mut rows| {
                if !timed.is_window() {
                    rows = timed.mask(instants, pack, ordinals, rows)?;
                }
                if let Some(some) = some {
                    for place in ones(rows).filter(|place| !some.contains(ordinals[*place])) {
                        rows &= !(1 << place);
                    }
                }
                if rows == 0 {
                    return Ok(());
                }
                let at = instants.pack(pack)?;
                for place in ones(rows) {
                    of_rows[place] = number(offsets.local(at[place]).div_euclid(DAY), periods.unit);
                }
                each(group, pack, ordinals, rows, &of_rows)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_follow_one_another_have_numbers_that_do() {
        for unit in CalendarUnit::ALL.map(|(_, unit)| unit) {
            let mut last = number(-1_000_000, unit);
            for day in -1_000_000..1_000_000_i64 {
                let (date, next) = (date(i32::try_from(day).expect("near")).expect("a date"), number(day, unit));
                let begins = super::super::clock::unit_of(date, unit) == Some(date) && day > -1_000_000;
                assert_eq!(next - last, i32::from(begins), "{date} {unit:?}");
                last = next;
            }
        }
    }

    #[test]
    fn keys_sort_as_pairs_do() {
        for (ordinal, period) in [(0, i32::MIN), (7, -1), (65_535, 0), (3, i32::MAX)] {
            assert_eq!(parts(key(ordinal, period)), (ordinal, period));
        }
        assert!(key(1, -5) < key(1, 4) && key(1, i32::MAX) < key(2, i32::MIN));
    }
}
