//! Lists of which few places are used.

/// A list as long as it need be, of which only the parts that were written to are in memory: `PART` places each. What was
/// not written to is `T::default()`.
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

    /// How many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        let parts = self.parts.iter().flatten().count();
        self.parts.len() * size_of::<usize>() + parts * PART * size_of::<T>()
    }

    /// A place to write to.
    pub(super) fn slot(&mut self, place: usize) -> &mut T {
        let part = place / PART;
        if part >= self.parts.len() {
            self.parts.resize_with(part + 1, || None);
        }
        &mut self.parts[part].get_or_insert_with(|| Box::new([T::default(); PART]))[place % PART]
    }
}
