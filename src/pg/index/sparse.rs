//! Sparse lists.

/// A list of any length. Only parts of `PART` elements that were written to are in memory. All other elements are
/// `T::default()`.
pub(super) struct Sparse<T, const PART: usize> {
    parts: Vec<Option<Box<[T; PART]>>>,
}

impl<T, const PART: usize> Default for Sparse<T, PART> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<T: Copy + Default, const PART: usize> Sparse<T, PART> {
    pub(super) fn get(&self, place: usize) -> T {
        let part = self.parts.get(place / PART).and_then(Option::as_ref);
        part.map_or_else(T::default, |part| part[place % PART])
    }

    /// Memory in bytes.
    pub(super) fn memory(&self) -> usize {
        let parts = self.parts.iter().flatten().count();
        self.parts.len() * size_of::<usize>() + parts * PART * size_of::<T>()
    }

    /// A mutable element.
    pub(super) fn slot(&mut self, place: usize) -> &mut T {
        let part = place / PART;
        if part >= self.parts.len() {
            self.parts.resize_with(part + 1, || None);
        }
        &mut self.parts[part].get_or_insert_with(|| Box::new([T::default(); PART]))[place % PART]
    }
}
