//! The states that the events of one customer can reach, step by step, and the open states while its events are read.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use super::super::limits::{Budget, Stop};
use super::super::values::{ENTRY, Interned, Join, Side};

/// What is reached by the event that the last `did` step took.
pub(super) struct State {
    /// Its place among the customer's events.
    pub(super) place: usize,
    /// The values of bound properties that later steps compare with.
    pub(super) kept: Rc<[u32]>,
    /// The last instant that later events may have.
    pub(super) deadline: i64,
}

/// Memory that one customer's states take, given back when they are done with.
pub(super) struct Room<'a> {
    pub(super) budget: &'a Budget<'a>,
    pub(super) taken: u64,
}

impl Room<'_> {
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        self.budget.take(bytes as u64)?;
        self.taken += bytes as u64;
        Ok(())
    }

    fn for_state(&mut self, kept: &[u32]) -> Result<(), Stop> {
        self.take(ENTRY + 2 * size_of_val(kept))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.budget.give(self.taken);
    }
}

/// The states behind a step, in the order of their events.
pub(super) struct Reached {
    pub(super) states: Vec<State>,
    /// Whether a state is left out when one before it carries the same and has as late a deadline.
    only_new: bool,
    /// The state of each that is carried: the last one.
    last: HashMap<Rc<[u32]>, usize>,
}

impl Reached {
    pub(super) fn new(only_new: bool) -> Self {
        Self { states: Vec::new(), only_new, last: HashMap::new() }
    }

    /// Adds a state; places come in ascending order.
    pub(super) fn add(
        &mut self,
        place: usize,
        kept: Rc<[u32]>,
        deadline: i64,
        room: &mut Room<'_>,
    ) -> Result<(), Stop> {
        if let Some(last) = self.last.get(&kept).and_then(|last| self.states.get_mut(*last)) {
            if last.place == place {
                last.deadline = last.deadline.max(deadline);
                return Ok(());
            }
            if self.only_new && last.deadline >= deadline {
                return Ok(());
            }
        }
        room.for_state(&kept)?;
        self.last.insert(Rc::clone(&kept), self.states.len());
        self.states.push(State { place, kept, deadline });
        Ok(())
    }
}

/// One of the ways in which a step's filter may hold of an event and the events bound: it holds in no other.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// The places of conditions that hold of the event.
    pub(super) conditions: Vec<usize>,
    /// Equalities, which find the states; without any, all states may be meant.
    pub(super) joins: Vec<Join>,
}

/// The time in which events may follow an opened state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    pub(super) first: i64,
    /// Not after the state's deadline.
    pub(super) last: i64,
}

/// The states that are open and carry the same values.
struct Entry {
    kept: Rc<[u32]>,
    /// Of those whose window has begun: the deadline, and the end of the window.
    begun: BinaryHeap<(i64, i64)>,
    /// How many of them have a window that has not begun.
    waiting: usize,
    /// The deadline under which it is in [`Open::latest`].
    listed: Option<i64>,
    /// Its place among the live ones; `None` once it is gone.
    live: Option<usize>,
}

impl Entry {
    /// The latest deadline of those whose window has begun and not ended. Instants are asked in ascending order.
    fn deadline(&mut self, at: i64) -> Option<i64> {
        while let Some((deadline, last)) = self.begun.peek() {
            if *last >= at {
                return Some(*deadline);
            }
            self.begun.pop();
        }
        None
    }
}

/// A place in the order of deadlines.
type ByDeadline = (Reverse<i64>, u32);

/// The states that are open where the events have got to. Those that carry the same are one entry: what happens to one
/// happens to all, and of those in whose windows an event lies the latest deadline allows most.
pub(super) struct Open<'w> {
    /// By step, from the first that must be absent on: how its states are found.
    ways: &'w [Vec<Way>],
    entries: Vec<Entry>,
    pub(super) live: Vec<u32>,
    by_kept: HashMap<Rc<[u32]>, u32>,
    /// By step, by way and by the values that are carried: states, some of which may be gone.
    by_token: HashMap<(usize, usize, u32), Vec<u32>>,
    /// The live ones with the latest deadlines first, where they are wanted so.
    latest: Option<BTreeSet<ByDeadline>>,
    /// The windows that have not begun, the first one first: with the entry and the deadline.
    waiting: BinaryHeap<Reverse<(Window, u32, i64)>>,
    /// Those of which a window has begun since they were taken last.
    fresh: Vec<u32>,
}

impl<'w> Open<'w> {
    /// With `latest`, they can be gone through by their deadlines.
    pub(super) fn new(ways: &'w [Vec<Way>], latest: bool) -> Self {
        Self {
            ways,
            latest: latest.then(BTreeSet::new),
            entries: Vec::new(),
            live: Vec::new(),
            by_kept: HashMap::new(),
            by_token: HashMap::new(),
            waiting: BinaryHeap::new(),
            fresh: Vec::new(),
        }
    }

    /// Opens a state at the instant of its event.
    pub(super) fn add(
        &mut self,
        state: &State,
        (window, at): (Window, i64),
        values: &mut Interned<'_>,
        room: &mut Room<'_>,
    ) -> Result<(), Stop> {
        let id = match self.by_kept.get(&state.kept) {
            Some(id) => *id,
            None => self.enter(&state.kept, values, room)?,
        };
        if window.first > at {
            room.take(2 * size_of::<(Window, u32, i64)>())?;
            self.entries[id as usize].waiting += 1;
            self.waiting.push(Reverse((window, id, state.deadline)));
            return Ok(());
        }
        // A window that ends with its deadline adds nothing to one with a later deadline.
        let known = self.entries[id as usize].deadline(at);
        if window.last < state.deadline || known.is_none_or(|known| known < state.deadline) {
            room.take(2 * size_of::<(i64, i64)>() + size_of::<u32>())?;
            self.begins(id, state.deadline, window.last);
        }
        Ok(())
    }

    /// Lets the windows begin that an instant is in; instants come in ascending order.
    pub(super) fn begin(&mut self, at: i64) {
        while let Some(Reverse((window, id, deadline))) =
            self.waiting.peek().copied().filter(|next| next.0.0.first <= at)
        {
            self.waiting.pop();
            if self.entries[id as usize].live.is_some() {
                self.entries[id as usize].waiting -= 1;
                self.begins(id, deadline, window.last);
            }
        }
    }

    fn begins(&mut self, id: u32, deadline: i64, last: i64) {
        let entry = &mut self.entries[id as usize];
        entry.begun.push((deadline, last));
        if let Some(latest) = &mut self.latest
            && entry.listed.is_none_or(|listed| listed < deadline)
        {
            if let Some(listed) = entry.listed.replace(deadline) {
                latest.remove(&(Reverse(listed), id));
            }
            latest.insert((Reverse(deadline), id));
        }
        self.fresh.push(id);
    }

    /// A new entry for states that carry some values.
    fn enter(&mut self, kept: &Rc<[u32]>, values: &mut Interned<'_>, room: &mut Room<'_>) -> Result<u32, Stop> {
        room.for_state(kept)?;
        let id = u32::try_from(self.entries.len()).map_err(|_| Stop::TooLarge)?;
        let of_steps = self.ways;
        for (step, ways) in of_steps.iter().enumerate() {
            for (number, way) in ways.iter().enumerate().filter(|(_, way)| !way.joins.is_empty()) {
                for token in values.joint(&way.joins, Side::Other, |join| kept[join.other])?.iter() {
                    room.take(ENTRY)?;
                    self.by_token.entry((step, number, *token)).or_default().push(id);
                }
            }
        }
        if self.latest.is_some() {
            room.take(ENTRY)?;
        }
        self.entries.push(Entry {
            kept: Rc::clone(kept),
            begun: BinaryHeap::new(),
            waiting: 0,
            listed: None,
            live: Some(self.live.len()),
        });
        self.live.push(id);
        self.by_kept.insert(Rc::clone(kept), id);
        Ok(id)
    }

    /// What the states of an entry carry, unless they are closed.
    pub(super) fn kept(&self, id: u32) -> Option<Rc<[u32]>> {
        let entry = self.entries.get(id as usize).filter(|entry| entry.live.is_some())?;
        Some(Rc::clone(&entry.kept))
    }

    /// The same of those in whose windows an instant lies, with the latest deadline of these. An entry is closed once all of
    /// its windows have ended.
    pub(super) fn get(&mut self, id: u32, at: i64) -> Option<(Rc<[u32]>, i64)> {
        let kept = self.kept(id)?;
        let entry = &mut self.entries[id as usize];
        let deadline = entry.deadline(at);
        if deadline.is_none() && entry.waiting == 0 {
            self.remove(id);
        }
        Some((kept, deadline?))
    }

    /// Closes a state.
    pub(super) fn remove(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        let Some(place) = entry.live.take() else { return };
        entry.begun.clear();
        self.by_kept.remove(&entry.kept);
        if let Some((latest, listed)) = self.latest.as_mut().zip(entry.listed.take()) {
            latest.remove(&(Reverse(listed), id));
        }
        self.live.swap_remove(place);
        if let Some(moved) = self.live.get(place) {
            self.entries[*moved as usize].live = Some(place);
        }
    }

    /// Closes all.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.live.clear();
        self.by_kept.clear();
        self.by_token.clear();
        self.waiting.clear();
        self.fresh.clear();
        if let Some(latest) = &mut self.latest {
            latest.clear();
        }
    }

    /// Adds the states that carry the values which a way of a step compares.
    pub(super) fn by_token(&mut self, (step, way): (usize, usize), token: u32, found: &mut Vec<u32>) {
        let entries = &self.entries;
        if let Some(states) = self.by_token.get_mut(&(step, way, token)) {
            states.retain(|id| entries[*id as usize].live.is_some());
            found.extend_from_slice(states);
        }
    }

    /// Of the live ones in whose windows an instant lies: the one with the latest deadline, or that which comes after another
    /// one in this order.
    pub(super) fn latest(&mut self, after: Option<ByDeadline>, at: i64) -> Option<(ByDeadline, Rc<[u32]>)> {
        loop {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let next = *self.latest.as_ref()?.range((from, Bound::Unbounded)).next()?;
            let (Reverse(listed), id) = next;
            let (kept, deadline) = match self.get(id, at) {
                Some((kept, deadline)) => (Some(kept), Some(deadline)),
                None => (None, None),
            };
            if let Some(kept) = kept.filter(|_| deadline == Some(listed)) {
                return Some((next, kept));
            }
            // The window with the latest deadline has ended, so that the entry moves back in the order.
            let latest = self.latest.as_mut()?;
            latest.remove(&next);
            let entry = &mut self.entries[id as usize];
            entry.listed = deadline.filter(|_| entry.live.is_some());
            if let Some(deadline) = entry.listed {
                latest.insert((Reverse(deadline), id));
            }
        }
    }

    /// Takes those that are new.
    pub(super) fn take_fresh(&mut self, found: &mut Vec<u32>) {
        found.append(&mut self.fresh);
    }
}
