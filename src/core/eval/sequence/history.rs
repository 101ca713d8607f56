//! The events of some customers in order, and what is known of each.

/// One event, in the order in which events are looked at.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) ordinal: u32,
    pub(super) at: i64,
    pub(super) id: i64,
    /// Its place among what is known of all events.
    pub(super) place: u32,
}

/// The events of some customers.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) events: Vec<Event>,
    /// A bit set per event. Bits `0..steps`: the event matches step *i*, ignoring references. The remaining bits:
    /// condition *j* holds.
    pub(super) marks: Vec<u64>,
    /// Words of marks of one event.
    pub(super) words: usize,
    /// For each event, by slot: the number of its list of values.
    pub(super) slots: Vec<u32>,
    /// How many slots there are.
    pub(super) columns: usize,
}

impl Collected {
    pub(super) fn new(marks: usize, columns: usize) -> Self {
        Self { words: marks.div_ceil(64), columns, ..Self::default() }
    }

    /// Bytes that an event takes, with the room that growing keeps.
    pub(super) fn bytes(&self) -> u64 {
        2 * (size_of::<Event>() + self.words * size_of::<u64>() + self.columns * size_of::<u32>()) as u64
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.marks.clear();
        self.slots.clear();
    }

    pub(super) fn push(
        &mut self,
        (ordinal, at, id): (u32, i64, i64),
        marks: impl Iterator<Item = bool>,
        slots: impl Iterator<Item = u32>,
    ) {
        let place = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.events.push(Event { ordinal, at, id, place });
        let start = self.marks.len();
        self.marks.resize(start + self.words, 0);
        for (number, mark) in marks.enumerate() {
            self.marks[start + number / 64] |= u64::from(mark) << (number % 64);
        }
        self.slots.extend(slots);
    }

    pub(super) fn mark(&self, event: &Event, number: usize) -> bool {
        self.marks[event.place as usize * self.words + number / 64] >> (number % 64) & 1 == 1
    }

    pub(super) fn slot(&self, event: &Event, slot: usize) -> u32 {
        self.slots[event.place as usize * self.columns + slot]
    }
}

/// One customer's events in order.
#[derive(Clone, Copy)]
pub(super) struct History<'b> {
    pub(super) events: &'b [Event],
    pub(super) all: &'b Collected,
    /// How many steps there are: conditions are marked behind them.
    pub(super) steps: usize,
    /// By step: the place of the one event that it takes, where it takes one.
    pub(super) taken: &'b [Option<u32>],
}

impl History<'_> {
    pub(super) fn step(&self, event: &Event, step: usize) -> bool {
        self.taken[step].is_none_or(|place| place == event.place) && self.all.mark(event, step)
    }

    pub(super) fn condition(&self, event: &Event, condition: usize) -> bool {
        self.all.mark(event, self.steps + condition)
    }

    pub(super) fn slot(&self, event: &Event, slot: usize) -> u32 {
        self.all.slot(event, slot)
    }
}
