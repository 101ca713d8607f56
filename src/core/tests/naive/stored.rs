//! A world as segments: its rows over several parts, with rows that are gone among them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cohort_core::eval::{Ids, Part, Source};
use cohort_core::segment::item::{Decimal, Item};
use cohort_core::segment::{GroupBuilder, Header, RowKey, SegmentBuilder};
use cohort_core::value::{Scalar, decimal, plain};
use roaring::RoaringBitmap;
use serde_json::Value;

use super::rows::text_of;
use super::world::{Cohort, Event, World};
use crate::common::calendar::EPOCH;
use crate::common::random::Random;

/// One segment.
struct Segment {
    header: Header,
    bytes: Vec<u8>,
    dead: HashMap<String, RoaringBitmap>,
}

/// A world as segments.
pub struct Stored {
    events: Vec<Segment>,
    profiles: Vec<Segment>,
    /// By customer.
    ordinals: Vec<u32>,
    everyone: bool,
    lists: HashMap<i64, RoaringBitmap>,
    ids: ById,
}

struct ById(BTreeMap<u32, String>);

impl Ids for ById {
    fn each(&self, wanted: &RoaringBitmap, each: &mut dyn FnMut(u32, &str)) {
        for ordinal in wanted {
            if let Some(id) = self.0.get(&ordinal) {
                each(ordinal, id);
            }
        }
    }
}

impl Stored {
    /// `ghosts`: events that are gone. `stale`: profiles that newer ones, or removals, stand for.
    pub fn new(world: &World, ghosts: &[Event], stale: &[(usize, Value)], random: &mut Random) -> Self {
        // Some of a second chunk, with nobody between.
        let far = random.chance(4);
        let ordinals: Vec<u32> = world
            .customers()
            .map(|customer| {
                let customer = u32::try_from(customer).expect("few customers");
                if far && customer % 2 == 1 { 65_533 + customer } else { customer }
            })
            .collect();
        let mut stored = Self {
            events: Vec::new(),
            profiles: Vec::new(),
            everyone: !far && world.customers().all(|customer| has_rows(world, customer)),
            lists: lists(world, &ordinals),
            ids: ById(ordinals.iter().copied().zip(world.ids.iter().cloned()).collect()),
            ordinals,
        };
        let parts = 1 + random.below(3);
        let mut rows: Vec<Vec<(&Event, bool)>> = vec![Vec::new(); parts];
        for (event, dead) in
            world.events.iter().map(|event| (event, false)).chain(ghosts.iter().map(|event| (event, true)))
        {
            rows[random.below(parts)].push((event, dead));
        }
        for rows in rows {
            stored.add_events(rows, random);
        }
        stored.add_profiles(world, stale, random);
        stored
    }

    fn add_events(&mut self, rows: Vec<(&Event, bool)>, random: &mut Random) {
        let mut builder = SegmentBuilder::new(most(random));
        let mut keys: BTreeMap<&str, Vec<(RowKey, bool)>> = BTreeMap::new();
        for (event, dead) in rows {
            let key = RowKey { ordinal: self.ordinals[event.customer], at: event.at - EPOCH, event_id: event.id };
            let group = builder.group(&event.kind);
            group.row(key);
            put_object(group, &event.data);
            keys.entry(&event.kind).or_default().push((key, dead));
        }
        let mut dead = HashMap::new();
        for (kind, mut rows) in keys {
            rows.sort_unstable();
            let places = rows.iter().zip(0..).filter(|((_, dead), _)| *dead).map(|(_, place)| place);
            dead.insert(kind.to_owned(), places.collect::<RoaringBitmap>());
        }
        let (header, bytes) = builder.in_memory().expect("it fits");
        self.events.push(Segment { header, bytes, dead });
    }

    /// Newest first.
    fn add_profiles(&mut self, world: &World, stale: &[(usize, Value)], random: &mut Random) {
        let old: BTreeSet<usize> = stale.iter().map(|(customer, _)| *customer).collect();
        let (mut new, mut older) = (SegmentBuilder::new(most(random)), SegmentBuilder::new(most(random)));
        let put = |builder: &mut SegmentBuilder, ordinal: u32, profile: &Value| {
            let group = builder.group("");
            group.row(RowKey { ordinal, at: 0, event_id: 0 });
            put_object(group, profile);
        };
        for customer in world.customers() {
            let ordinal = self.ordinals[customer];
            match &world.profiles[customer] {
                Some(profile) if old.contains(&customer) || random.chance(2) => put(&mut new, ordinal, profile),
                Some(profile) => put(&mut older, ordinal, profile),
                None if old.contains(&customer) => new.remove_profile(ordinal),
                None => {}
            }
        }
        for (customer, profile) in stale {
            put(&mut older, self.ordinals[*customer], profile);
        }
        for builder in [new, older] {
            let (header, bytes) = builder.in_memory().expect("it fits");
            self.profiles.push(Segment { header, bytes, dead: HashMap::new() });
        }
    }

    /// The ordinals of the customers with some ids.
    pub fn ordinals_of(&self, world: &World, ids: &[Scalar]) -> RoaringBitmap {
        let known = |id: &Scalar| world.ids.iter().position(|known| text_of(id) == known);
        ids.iter().filter_map(|id| known(id).map(|customer| self.ordinals[customer])).collect()
    }

    pub fn source(&self) -> Source<'_> {
        Source {
            events: self.events.iter().map(Segment::part).collect(),
            profiles: self.profiles.iter().map(Segment::part).collect(),
            customers: self.ordinals.iter().max().map_or(0, |last| last + 1),
            everyone: self.everyone,
            lists: self.lists.clone(),
            ids: Some(&self.ids),
            ..Source::default()
        }
    }

    /// The customers of some ordinals.
    pub fn customers(&self, ordinals: &RoaringBitmap) -> BTreeSet<usize> {
        let customer = |ordinal: u32| self.ordinals.iter().position(|own| *own == ordinal).expect("somebody's ordinal");
        ordinals.iter().map(customer).collect()
    }
}

impl Segment {
    fn part(&self) -> Part<'_> {
        Part { header: &self.header, stream: &self.bytes, dead: self.dead.clone() }
    }
}

/// The most paths with a column of their own: the others are kept together.
fn most(random: &mut Random) -> usize {
    if random.chance(3) { random.below(4) } else { usize::MAX }
}

fn has_rows(world: &World, customer: usize) -> bool {
    world.profiles[customer].is_some() || world.events.iter().any(|event| event.customer == customer)
}

fn lists(world: &World, ordinals: &[u32]) -> HashMap<i64, RoaringBitmap> {
    let mut lists = HashMap::new();
    for cohort in world.cohorts.values() {
        if let Cohort::List(members) = cohort {
            lists.insert(super::LIST, members.iter().map(|customer| ordinals[*customer]).collect());
        }
    }
    lists
}

/// The values of an object, as the server's walk through `jsonb` gives them; says whether there was any.
fn put_object(group: &mut GroupBuilder, value: &Value) -> bool {
    let mut any = false;
    for (key, value) in value.as_object().into_iter().flatten() {
        group.enter(key);
        any |= put(group, value);
        group.leave();
    }
    any
}

fn put(group: &mut GroupBuilder, value: &Value) -> bool {
    match value {
        Value::Null => return false,
        Value::Bool(value) => group.value(Item::Bool(*value)),
        Value::Number(number) => {
            let text = plain(&decimal(&number.to_string()).expect("a number of ordinary size"));
            group.value(Decimal::parse(&text).map_or(Item::Big(&text), Item::Number));
        }
        Value::String(text) => group.value(Item::Text(text)),
        Value::Object(_) => {
            if !put_object(group, value) {
                group.value(Item::Json("{}"));
            }
        }
        Value::Array(_) => group.value(Item::Json(&value.to_string())),
    }
    true
}
