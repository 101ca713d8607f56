//! Values of the codes that stand for any number of them.

use std::ops::Range;

/// The values of some ranges of codes. The lists of a range lie behind one another: a list of its own for each code takes an
/// allocation each, and as long again until all are freed.
#[derive(Clone)]
pub(super) struct ByCode<T> {
    ranges: Vec<Lists<T>>,
}

#[derive(Clone)]
struct Lists<T> {
    first: u32,
    /// By code from `first` on: where its values end.
    ends: Vec<u32>,
    values: Vec<T>,
}

impl<T> Default for ByCode<T> {
    fn default() -> Self {
        Self { ranges: Vec::new() }
    }
}

impl<T> ByCode<T> {
    /// How many bytes a range of codes takes before it has values.
    pub(super) fn bytes(codes: &Range<u32>) -> u64 {
        codes.len() as u64 * size_of::<u32>() as u64
    }

    /// Begins a range; its codes are added in their order.
    pub(super) fn begin(&mut self, codes: &Range<u32>) {
        self.ranges.push(Lists { first: codes.start, ends: Vec::with_capacity(codes.len()), values: Vec::new() });
    }

    /// Adds the next code of the range that was begun last: `add` appends its values, and has the result.
    pub(super) fn add<R>(&mut self, add: impl FnOnce(&mut Vec<T>) -> R) -> Option<R> {
        let lists = self.ranges.last_mut()?;
        let result = add(&mut lists.values);
        lists.ends.push(u32::try_from(lists.values.len()).ok()?);
        Some(result)
    }

    pub(super) fn get(&self, code: u32) -> &[T] {
        self.ranges.iter().find_map(|lists| lists.get(code)).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.iter().all(|lists| lists.values.is_empty())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.ranges.iter().flat_map(|lists| &lists.values)
    }

    /// The same codes with other values.
    pub(super) fn map<U>(self, mut to: impl FnMut(T) -> U) -> ByCode<U> {
        let ranges = self.ranges.into_iter().map(|Lists { first, ends, values }| Lists {
            first,
            ends,
            values: values.into_iter().map(&mut to).collect(),
        });
        ByCode { ranges: ranges.collect() }
    }
}

impl<T> Lists<T> {
    fn get(&self, code: u32) -> Option<&[T]> {
        let place = code.checked_sub(self.first)? as usize;
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.values.get(start as usize..end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_own_values() {
        let mut lists = ByCode::default();
        for (codes, values) in [(3..5, vec![vec![1, 2], vec![]]), (9..11, vec![vec![], vec![3]])] {
            lists.begin(&codes);
            for of in values {
                lists.add(|all| all.extend(of));
            }
        }
        let found = |lists: &ByCode<i32>| [2, 3, 4, 5, 9, 10, 11].map(|code| lists.get(code).to_vec());
        assert_eq!(found(&lists), [vec![], vec![1, 2], vec![], vec![], vec![], vec![3], vec![]]);
        assert_eq!(lists.values().copied().collect::<Vec<_>>(), [1, 2, 3]);
        let doubled = lists.map(|value| 2 * value);
        assert_eq!(found(&doubled), [vec![], vec![2, 4], vec![], vec![], vec![], vec![6], vec![]]);
        assert!(!doubled.is_empty() && ByCode::<i32>::default().is_empty());
    }
}
