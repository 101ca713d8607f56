//! What of the data a plan looks at: each kind of condition says it once.

use super::plan::Pred;
use super::refer::Other;
use super::test::Kind;

/// Event types: some, or all.
#[derive(Default)]
enum Types<'p> {
    Some(Vec<&'p str>),
    #[default]
    All,
}

impl<'p> Types<'p> {
    fn add(&mut self, types: Option<&'p [String]>) {
        match (&mut *self, types) {
            (Self::Some(all), Some(more)) => all.extend(more.iter().map(String::as_str)),
            (Self::Some(_), None) => *self = Self::All,
            (Self::All, _) => {}
        }
    }

    fn sorted(self) -> Option<Vec<&'p str>> {
        match self {
            Self::Some(all) => Some(sorted(all)),
            Self::All => None,
        }
    }
}

/// What is looked at.
pub(crate) struct Needs<'p> {
    types: Types<'p>,
    with_data: Types<'p>,
    named: Vec<&'p str>,
    window: Option<(i64, i64)>,
    event_keys: Vec<&'p str>,
    profile_keys: Vec<&'p str>,
    /// Whether profiles are.
    pub(crate) profiles: bool,
}

impl<'p> Needs<'p> {
    pub(crate) fn new() -> Self {
        Self {
            types: Types::Some(Vec::new()),
            with_data: Types::Some(Vec::new()),
            named: Vec::new(),
            window: Some((i64::MAX, i64::MIN)),
            event_keys: Vec::new(),
            profile_keys: Vec::new(),
            profiles: false,
        }
    }

    /// Who is in the universe: every event and every profile tells.
    pub(crate) fn everyone(&mut self) {
        self.types = Types::All;
        self.window = None;
        self.profiles = true;
    }

    /// Events of some types in a window; without one, all that there are.
    pub(crate) fn events(&mut self, types: Option<&'p [String]>, window: Option<(i64, i64)>) {
        self.types.add(types);
        self.named.extend(types.into_iter().flatten().map(String::as_str));
        self.window = match (self.window, window) {
            (Some(all), Some(one)) if one.0 > one.1 => Some(all),
            (Some(all), Some(one)) => Some((all.0.min(one.0), all.1.max(one.1))),
            _ => None,
        };
    }

    /// Properties of events of some types, by their first keys.
    pub(crate) fn data(&mut self, types: Option<&'p [String]>, keys: impl IntoIterator<Item = &'p String>) {
        self.with_data.add(types);
        self.event_keys.extend(keys.into_iter().map(String::as_str));
    }

    /// What a filter asks of events of some types.
    pub(crate) fn filter(&mut self, types: Option<&'p [String]>, filter: &'p Pred) {
        if filter.is_nothing() {
            return;
        }
        self.with_data.add(types);
        self.keys_of(filter);
    }

    fn keys_of(&mut self, pred: &'p Pred) {
        match pred {
            Pred::And(list) | Pred::Or(list) => list.iter().for_each(|pred| self.keys_of(pred)),
            Pred::Not(inner) => self.keys_of(inner),
            Pred::Test(test) => {
                self.event_keys.extend(test.keys.first().map(String::as_str));
                let mut outside = Vec::new();
                pred.outside(false, &mut outside);
                for other in outside {
                    self.other(other);
                }
            }
            Pred::Refer(refer) => {
                self.event_keys.extend(refer.own.keys.first().map(String::as_str));
                self.other(&refer.other);
            }
            // The sequence's slots say what the former compares.
            Pred::Same { .. } => {}
            Pred::Elements(elements) => {
                if let Kind::Element(pred) = &elements.test.kind {
                    let mut outside = Vec::new();
                    pred.outside(true, &mut outside);
                    for other in outside {
                        self.other(other);
                    }
                }
            }
        }
    }

    /// What events are compared with.
    fn other(&mut self, other: &'p Other) {
        match other {
            Other::Row(slot) => self.event_keys.extend(slot.keys.first().map(String::as_str)),
            Other::Profile(slot) => self.profile(slot.keys.first()),
            Other::Element(_) | Other::Step(_) => {}
        }
    }

    /// What a predicate asks of profiles.
    pub(crate) fn of_profiles(&mut self, pred: &'p Pred) {
        let mut outside = Vec::new();
        pred.outside(false, &mut outside);
        if let Pred::Refer(refer) = pred {
            self.profile(refer.own.keys.first());
            outside.push(&refer.other);
        }
        if let Pred::Test(test) = pred {
            self.profile(test.keys.first());
        }
        for other in outside {
            if let Other::Row(slot) | Other::Profile(slot) = other {
                self.profile(slot.keys.first());
            }
        }
    }

    /// A property of profiles, by its first key.
    pub(crate) fn profile(&mut self, key: Option<&'p String>) {
        self.profiles = true;
        self.profile_keys.extend(key.map(String::as_str));
    }

    /// The event types; `None` for all.
    pub(crate) fn types(self) -> Option<Vec<&'p str>> {
        self.types.sorted()
    }

    /// Those of them whose properties are looked at; `None` for all.
    pub(crate) fn types_with_data(self) -> Option<Vec<&'p str>> {
        self.with_data.sorted()
    }

    /// The event types that are named.
    pub(crate) fn named(self) -> Vec<&'p str> {
        sorted(self.named)
    }

    /// The first and the last instant of all events; `None` when every event may matter.
    pub(crate) fn window(&self) -> Option<(i64, i64)> {
        self.window
    }

    /// The first keys of properties of events.
    pub(crate) fn event_keys(self) -> Vec<&'p str> {
        sorted(self.event_keys)
    }

    /// The first keys of properties of profiles.
    pub(crate) fn profile_keys(self) -> Vec<&'p str> {
        sorted(self.profile_keys)
    }
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}
