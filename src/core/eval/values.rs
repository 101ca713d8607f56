//! Lists of values of properties, numbered, so that equal lists are compared once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::Arc;

use super::clock::Clock;
use super::codes::each_item;
use super::limits::{Budget, Stop};
use super::plan::{ElementsPlan, Slot};
use super::refer::{How, Other, any_element};
use super::rows::ones;
use super::test::Kind;
use crate::rule::{Family, Relation};
use crate::segment::column::Reader;
use crate::segment::dictionary::{Loaded, MISSING};
use crate::segment::item::{Item, Numeric};
use crate::segment::{Corrupt, Group, PACK};
use crate::text::simple_lower;

/// A scalar that references compare, or an array whose elements are tested.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Number(Option<Numeric>),
    /// The characters, and the number that they are.
    Text(String, Option<Numeric>),
    /// The JSON text.
    Array(String),
}

impl Value {
    /// The array.
    pub(super) fn array(item: Item<'_>) -> Option<Self> {
        match item {
            Item::Json(text) => Some(Self::Array(text.to_owned())),
            Item::Bool(_) | Item::Number(_) | Item::Big(_) | Item::Text(_) => None,
        }
    }

    /// The value of a scalar.
    pub(super) fn of(item: Item<'_>) -> Option<Self> {
        match item {
            Item::Bool(value) => Some(Self::Bool(value)),
            Item::Number(_) | Item::Big(_) => Some(Self::Number(item.numeric())),
            Item::Text(text) => Some(Self::Text(text.to_owned(), item.numeric())),
            Item::Json(_) => None,
        }
    }
}

/// Bytes that an entry of a map takes besides what it holds, about.
pub(super) const ENTRY: usize = 128;

/// Which of two lists that are compared: whose types decide is the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Own,
    Other,
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

/// Lists of values, each once; number 0 is the empty list.
pub(super) struct Interned<'a> {
    lists: Vec<Vec<Value>>,
    numbers: HashMap<String, u32>,
    /// What was compared before.
    same: HashMap<(u32, u32, How), bool>,
    /// Of a test of elements, with the numbers of all lists that it looks at: what it said.
    elements: HashMap<(usize, Vec<u32>), bool>,
    /// Numbers of values that compare as equal, and by list those of its values.
    equal: HashMap<String, u32>,
    tokens: HashMap<(u32, Side, bool), Arc<[u32]>>,
    /// Numbers of values that stand side by side.
    pairs: HashMap<(u32, u32), u32>,
    pub(super) budget: &'a Budget<'a>,
}

/// Without any list: copies of what refers to lists know none either.
impl Clone for Interned<'_> {
    fn clone(&self) -> Self {
        Self::new(self.budget)
    }
}

impl<'a> Interned<'a> {
    /// Number of comparisons whose results are cached.
    const COMPARED: usize = 1 << 16;

    pub(super) fn new(budget: &'a Budget<'a>) -> Self {
        let numbers = HashMap::from([(String::new(), 0)]);
        Self {
            lists: vec![Vec::new()],
            numbers,
            same: HashMap::new(),
            elements: HashMap::new(),
            equal: HashMap::new(),
            tokens: HashMap::new(),
            pairs: HashMap::new(),
            budget,
        }
    }

    /// A list of values by its number.
    pub(super) fn get(&self, number: u32) -> &[Value] {
        self.lists.get(number as usize).map_or(&[], Vec::as_slice)
    }

    /// The number of a list of values.
    pub(super) fn list(&mut self, list: Vec<Value>) -> Result<u32, Stop> {
        let mut key = String::new();
        for value in &list {
            let _ = write!(key, "{value:?}\u{0}");
        }
        self.number(key, list)
    }

    fn number(&mut self, key: String, list: Vec<Value>) -> Result<u32, Stop> {
        let next = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        Ok(match self.numbers.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                // The key has every text once more.
                self.budget.take((2 * new.key().len() + size_of_val(list.as_slice()) + ENTRY) as u64)?;
                self.lists.push(list);
                *new.insert(next)
            }
        })
    }

    /// Numbers of the values of a list: [`Interned::same`] holds of two lists if an own one is among the other's.
    pub(super) fn tokens(&mut self, list: u32, side: Side, ignore_case: bool) -> Result<Arc<[u32]>, Stop> {
        if let Some(known) = self.tokens.get(&(list, side, ignore_case)) {
            return Ok(Arc::clone(known));
        }
        let number = |number: &Numeric| format!("n{:?}", number.exact().normalized().into_bigint_and_exponent());
        let mut keys = Vec::new();
        for value in &self.lists[list as usize] {
            match value {
                Value::Bool(value) => keys.push(format!("b{value}")),
                Value::Number(value) => keys.extend(value.as_ref().map(number)),
                Value::Text(text, value) => {
                    keys.push(if ignore_case { format!("i{}", simple_lower(text)) } else { format!("t{text}") });
                    // A string that is a number equals that number, but not the other way round.
                    keys.extend(value.as_ref().filter(|_| side == Side::Own).map(number));
                }
                Value::Array(_) => {}
            }
        }
        let mut tokens = Vec::new();
        for key in keys {
            let next = u32::try_from(self.equal.len()).unwrap_or(u32::MAX);
            self.budget.take((key.len() + 2 * ENTRY) as u64)?;
            tokens.push(*self.equal.entry(key).or_insert(next));
        }
        tokens.sort_unstable();
        tokens.dedup();
        self.budget.take(ENTRY as u64)?;
        let tokens: Arc<[u32]> = tokens.into();
        self.tokens.insert((list, side, ignore_case), Arc::clone(&tokens));
        Ok(tokens)
    }

    /// Numbers of the values that several equalities compare, taken together: one for each choice of a value of each list.
    pub(super) fn joint(
        &mut self,
        joins: &[Join],
        side: Side,
        list: impl Fn(&Join) -> u32,
    ) -> Result<Arc<[u32]>, Stop> {
        let mut all: Option<Arc<[u32]>> = None;
        for join in joins {
            let tokens = self.tokens(list(join), side, join.ignore_case)?;
            let Some(before) = all else {
                all = Some(tokens);
                continue;
            };
            let mut both = Vec::new();
            for pair in before.iter().flat_map(|one| tokens.iter().map(|other| (*one, *other))) {
                let next = u32::try_from(self.pairs.len()).unwrap_or(u32::MAX);
                both.push(match self.pairs.entry(pair) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        self.budget.take(ENTRY as u64)?;
                        *new.insert(next)
                    }
                });
            }
            all = Some(both.into());
        }
        Ok(all.unwrap_or_else(|| Arc::new([])))
    }

    /// Whether any value of one list stands so to any of the other, whose types decide.
    pub(super) fn same(&mut self, own: u32, other: u32, how: How, clock: &Clock) -> Result<bool, Stop> {
        /// Comparisons of values that cost less than to number them.
        const FEW: usize = 64;
        let key = (own, other, how);
        if let Some(known) = self.same.get(&key) {
            return Ok(*known);
        }
        let (owns, others) = (&self.lists[own as usize], &self.lists[other as usize]);
        let pairs = owns.len().saturating_mul(others.len());
        let same = if pairs <= FEW || how.family != Family::Order(Relation::Eq) {
            self.budget.worked(pairs / 16);
            how.any(owns, others, clock)
        } else {
            let (owns, others) =
                (self.tokens(own, Side::Own, how.ignore_case)?, self.tokens(other, Side::Other, how.ignore_case)?);
            self.budget.worked(owns.len() / 16);
            owns.iter().any(|token| others.binary_search(token).is_ok())
        };
        let room = usize::try_from(self.budget.left()).unwrap_or(usize::MAX) / ENTRY;
        if self.same.len() >= Self::COMPARED.min(room) {
            self.same.clear();
        }
        self.same.insert(key, same);
        Ok(same)
    }

    /// Whether any element satisfies a test, given the numbers of the list of arrays and of those that the test refers to.
    pub(super) fn any_element(&mut self, elements: &Arc<ElementsPlan>, lists: Vec<u32>, clock: &Clock) -> bool {
        let key = (Arc::as_ptr(elements).addr(), lists);
        if let Some(known) = self.elements.get(&key) {
            return *known;
        }
        let Kind::Element(pred) = &elements.test.kind else { return false };
        let (arrays, outside) = (self.get(key.1[0]), &key.1[1..]);
        let values_of = |other: &Other| -> &[Value] {
            let place = elements.outside.iter().position(|(known, _)| known == other);
            place.map_or(&[], |place| self.get(outside[place]))
        };
        let holds = arrays.iter().any(|array| match array {
            Value::Array(array) => any_element(pred, array, clock, self.budget, &values_of),
            Value::Bool(_) | Value::Number(_) | Value::Text(..) => false,
        });
        let room = usize::try_from(self.budget.left()).unwrap_or(usize::MAX) / ENTRY;
        if self.elements.len() >= Self::COMPARED.min(room) {
            self.elements.clear();
        }
        self.elements.insert(key, holds);
        holds
    }
}

pub(super) fn equal(own: &Value, other: &Value, ignore_case: bool) -> bool {
    match other {
        Value::Bool(other) => matches!(own, Value::Bool(own) if own == other),
        Value::Array(_) | Value::Number(None) => false,
        Value::Number(Some(other)) => match own {
            Value::Number(Some(own)) | Value::Text(_, Some(own)) => match (own, other) {
                (Numeric::Small(own), Numeric::Small(other)) => own.cmp(other).is_eq(),
                (own, other) => own.exact() == other.exact(),
            },
            _ => false,
        },
        Value::Text(other, _) => match own {
            Value::Text(own, _) if ignore_case => simple_lower(own) == simple_lower(other),
            Value::Text(own, _) => own == other,
            _ => false,
        },
    }
}

/// A column that holds values of a slot.
pub(super) struct SlotColumn<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) path: &'a [String],
    pub(super) loaded: Arc<Loaded<'a>>,
    /// By code, once it is known: the number of its list of values.
    known: Vec<u32>,
}

/// Without what is known.
impl Clone for SlotColumn<'_> {
    fn clone(&self) -> Self {
        Self {
            reader: self.reader.clone(),
            path: self.path,
            loaded: Arc::clone(&self.loaded),
            known: vec![u32::MAX; self.known.len()],
        }
    }
}

impl SlotColumn<'_> {
    pub(super) fn copy_bytes(&self) -> u64 {
        size_of_val(self.known.as_slice()) as u64
    }
}

pub(super) fn slot_columns<'a>(
    slot: &Slot,
    group: &'a Group,
    stream: &'a dyn crate::segment::Stream,
    budget: &Budget<'_>,
) -> Result<Vec<SlotColumn<'a>>, Stop> {
    let mut columns = Vec::new();
    for property in &group.properties {
        if slot.keys.starts_with(&property.path) {
            let codes = property.dictionary.len() as usize + 1;
            budget.take(property.dictionary.loaded_bytes() + (codes * size_of::<u32>()) as u64)?;
            columns.push(SlotColumn {
                reader: Reader::new(stream, &property.codes),
                path: &property.path,
                loaded: Arc::new(property.dictionary.load(stream)?),
                known: vec![u32::MAX; codes],
            });
        }
    }
    Ok(columns)
}

/// The lists of values of a slot in some rows of a pack; `of` says what of an item is a value.
pub(super) fn slot_values(
    columns: &mut [SlotColumn<'_>],
    slot: &Slot,
    of: fn(Item<'_>) -> Option<Value>,
    (pack, rows): (usize, u128),
    values: &mut Interned<'_>,
    numbers: &mut [u32; PACK],
) -> Result<(), Stop> {
    *numbers = [0; PACK];
    let mut codes = [0_u32; PACK];
    for column in columns {
        column.reader.small(pack, &mut codes)?;
        for place in ones(rows) {
            let code = codes[place];
            if code == MISSING {
                continue;
            }
            let known = column
                .known
                .get_mut(code as usize)
                .ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
            if *known == u32::MAX {
                let mut list = Vec::new();
                let item =
                    column.loaded.item(code).ok_or_else(|| Corrupt::new("a code has no value in its dictionary"))?;
                each_item(item, column.path, &slot.keys, &slot.inside, &mut |item| list.extend(of(item)));
                *known = values.list(list)?;
            }
            if *known != 0 {
                numbers[place] = *known;
            }
        }
    }
    Ok(())
}
