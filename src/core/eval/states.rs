//! The states that the events of one customer can reach, step by step, and the open states while its events are read.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::limits::{Budget, Stop};
use super::sequence::{ENTRY, Interned, Side};

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

/// An equality with a property of a bound event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Join {
    /// The slot of the event's own property.
    pub(super) own: usize,
    /// The place among what states carry.
    pub(super) other: usize,
    pub(super) ignore_case: bool,
}

/// One of the ways in which a step's filter may hold of an event and the events bound: it holds in no other.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// The places of conditions that hold of the event.
    pub(super) conditions: Vec<usize>,
    /// Equalities, which find the states; without any, all states may be meant.
    pub(super) joins: Vec<Join>,
}

/// A state that is open.
struct Entry {
    kept: Rc<[u32]>,
    deadline: i64,
    /// Its place among the live ones; `None` once it is gone.
    live: Option<usize>,
}

/// The states that are open where the events have got to. Those that carry the same are one: what happens to one happens to
/// all, and the latest deadline allows most.
pub(super) struct Open<'w> {
    /// By step, from the first that must be absent on: how its states are found.
    ways: &'w [Vec<Way>],
    entries: Vec<Entry>,
    pub(super) live: Vec<u32>,
    by_kept: HashMap<Rc<[u32]>, u32>,
    /// By step, by way and by the values that are carried: states, some of which may be gone.
    by_token: HashMap<(usize, usize, u32), Vec<u32>>,
    /// The live ones with the latest deadlines first, where they are wanted so.
    latest: Option<BTreeSet<(Reverse<i64>, u32)>>,
    /// Opened, or with a later deadline, since they were taken last.
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
            fresh: Vec::new(),
        }
    }

    /// Opens a state.
    pub(super) fn add(&mut self, state: &State, values: &mut Interned<'_>, room: &mut Room<'_>) -> Result<(), Stop> {
        if let Some(id) = self.by_kept.get(&state.kept) {
            let entry = &mut self.entries[*id as usize];
            if state.deadline > entry.deadline {
                if let Some(latest) = &mut self.latest {
                    latest.remove(&(Reverse(entry.deadline), *id));
                    latest.insert((Reverse(state.deadline), *id));
                }
                entry.deadline = state.deadline;
                room.take(size_of::<u32>())?;
                self.fresh.push(*id);
            }
            return Ok(());
        }
        room.for_state(&state.kept)?;
        let id = u32::try_from(self.entries.len()).map_err(|_| Stop::TooLarge)?;
        let of_steps = self.ways;
        for (step, ways) in of_steps.iter().enumerate() {
            for (number, way) in ways.iter().enumerate().filter(|(_, way)| !way.joins.is_empty()) {
                for token in values.joint(&way.joins, Side::Other, |join| state.kept[join.other])?.iter() {
                    room.take(ENTRY)?;
                    self.by_token.entry((step, number, *token)).or_default().push(id);
                }
            }
        }
        if let Some(latest) = &mut self.latest {
            room.take(ENTRY)?;
            latest.insert((Reverse(state.deadline), id));
        }
        let (kept, deadline) = (Rc::clone(&state.kept), state.deadline);
        self.entries.push(Entry { kept: Rc::clone(&kept), deadline, live: Some(self.live.len()) });
        self.live.push(id);
        self.fresh.push(id);
        self.by_kept.insert(kept, id);
        Ok(())
    }

    /// What an open state carries, and its deadline.
    pub(super) fn get(&self, id: u32) -> Option<(Rc<[u32]>, i64)> {
        let entry = self.entries.get(id as usize).filter(|entry| entry.live.is_some())?;
        Some((Rc::clone(&entry.kept), entry.deadline))
    }

    /// Closes a state.
    pub(super) fn remove(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        let Some(place) = entry.live.take() else { return };
        self.by_kept.remove(&entry.kept);
        if let Some(latest) = &mut self.latest {
            latest.remove(&(Reverse(entry.deadline), id));
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

    /// What the live ones carry, and their deadlines, the latest first.
    pub(super) fn by_deadline(&self) -> impl Iterator<Item = (&[u32], i64)> {
        let latest = self.latest.iter().flatten();
        latest.map(|(Reverse(deadline), id)| (&*self.entries[*id as usize].kept, *deadline))
    }

    /// Takes those that are new.
    pub(super) fn take_fresh(&mut self, found: &mut Vec<u32>) {
        found.append(&mut self.fresh);
    }
}
