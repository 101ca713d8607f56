//! Recognises the rows that earlier batches of a backfill recorded, after the table was moved to another file.
//!
//! A row has a checksum for each captured column. Columns that were added or dropped since a batch recorded the row are
//! not compared, and column numbers do not change when a column is renamed.

use std::collections::HashMap;
use std::fmt::Write as _;

use pgrx::{FromDatum, IntoDatum, direct_function_call_as_datum, pg_sys};

use super::event::Event;
use super::plan::{self, Plan};
use super::read::Row;
use super::value::json_string;

/// The key in `kept_row.data` below which the checksums are stored. No column has an empty name.
const KEY: &str = "";

/// Checksums of a row's captured columns, by column number.
#[derive(Debug, Default, Clone)]
pub(super) struct Sums(Vec<(i32, u64)>);

impl Sums {
    pub(super) fn of(plan: &Plan, row: Row) -> Self {
        let columns = plan.data.iter().map(|(_, column)| column).chain(&plan.customer).chain(&plan.occurred_at);
        let mut numbers: Vec<i32> = columns.map(|column| column.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into_iter().map(|number| (number, column_sum(row, number))).collect())
    }

    fn parse(text: &str) -> Self {
        let sums = text.split(' ').filter_map(|part| {
            let (number, sum) = part.split_once(':')?;
            Some((number.parse().ok()?, u64::from_str_radix(sum, 16).ok()?))
        });
        Self(sums.collect())
    }

    fn numbers(&self) -> Vec<i32> {
        self.0.iter().map(|(number, _)| *number).collect()
    }

    /// One checksum over some of the columns.
    fn over(&self, numbers: &[i32]) -> u64 {
        let compared = self.0.iter().filter(|(number, _)| numbers.contains(number));
        compared.fold(START, |sum, (_, column)| add(sum, &column.to_ne_bytes()))
    }

    /// An object with the checksums, as a `jsonb` value.
    pub(super) fn object(&self) -> pg_sys::Datum {
        let mut text = String::new();
        for (number, sum) in &self.0 {
            let gap = if text.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "{gap}{number}:{sum:x}");
        }
        let mut state = std::ptr::null_mut();
        // SAFETY: builds a value in the current context; the text lives until it is made.
        unsafe {
            use pg_sys::JsonbIteratorToken::{WJB_BEGIN_OBJECT, WJB_END_OBJECT, WJB_KEY, WJB_VALUE};
            let mut key = json_string(KEY.as_ptr().cast_mut().cast(), KEY.len());
            let mut value = json_string(text.as_ptr().cast_mut().cast(), text.len());
            pg_sys::pushJsonbValue(&raw mut state, WJB_BEGIN_OBJECT, std::ptr::null_mut());
            pg_sys::pushJsonbValue(&raw mut state, WJB_KEY, &raw mut key);
            pg_sys::pushJsonbValue(&raw mut state, WJB_VALUE, &raw mut value);
            let object = pg_sys::pushJsonbValue(&raw mut state, WJB_END_OBJECT, std::ptr::null_mut());
            pg_sys::Datum::from(pg_sys::JsonbValueToJsonb(object))
        }
    }

    /// The event's data with the checksums.
    pub(super) fn added_to(&self, data: pg_sys::Datum) -> pg_sys::Datum {
        // SAFETY: both arguments are jsonb values.
        unsafe { direct_function_call_as_datum(pg_sys::jsonb_concat, &[Some(data), Some(self.object())]) }
            .unwrap_or(data)
    }

    /// Separates the checksums from the event's data. Rows that version 0.1.0 saved have none.
    pub(super) fn taken_from(data: pg_sys::Datum) -> (Self, pg_sys::Datum) {
        // SAFETY: the functions are called with a jsonb value and a text.
        unsafe {
            let key = KEY.into_datum();
            let text = direct_function_call_as_datum(pg_sys::jsonb_object_field_text, &[Some(data), key]);
            match text.and_then(|text| String::from_datum(text, false)) {
                Some(text) => {
                    let rest = direct_function_call_as_datum(pg_sys::jsonb_delete, &[Some(data), key]);
                    (Self::parse(&text), rest.unwrap_or(data))
                }
                None => (Self::default(), data),
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A recorded row.
struct Mark {
    writer: u64,
    event: i64,
    sums: Sums,
    taken: bool,
}

/// Numbers of marks by transaction and checksum.
type BySum = HashMap<(u64, u64), Vec<usize>>;

/// The marks of a table, each of which recognises one row.
#[derive(Default)]
pub(super) struct Marks {
    all: Vec<Mark>,
    /// The marks that have checksums of the same columns.
    groups: HashMap<Vec<i32>, Vec<usize>>,
    /// The marks that are found for each group and the columns that are compared.
    found: HashMap<(Vec<i32>, Vec<i32>), BySum>,
}

impl Marks {
    pub(super) fn add(&mut self, writer: u64, event: i64, sums: Sums) {
        self.groups.entry(sums.numbers()).or_default().push(self.all.len());
        self.all.push(Mark { writer, event, sums, taken: false });
    }

    /// Whether a batch recorded a row. Marks that have the most columns in common with the row are compared first. Where
    /// there are none in common, the events are compared.
    pub(super) fn take(&mut self, writer: u64, sums: &Sums, event: &Event) -> bool {
        let numbers = sums.numbers();
        let mut candidates: Vec<(Vec<i32>, Vec<i32>)> = self
            .groups
            .keys()
            .map(|group| (group.clone(), group.iter().copied().filter(|number| numbers.contains(number)).collect()))
            .collect();
        candidates.sort_by_key(|(_, common)| std::cmp::Reverse(common.len()));
        for (group, common) in candidates {
            let sum = if common.is_empty() { checksum(event).cast_unsigned() } else { sums.over(&common) };
            let (all, members) = (&self.all, &self.groups[&group]);
            let found = self.found.entry((group, common)).or_insert_with_key(|(_, common)| {
                let mut found = BySum::new();
                for &member in members {
                    let mark = &all[member];
                    let sum = if common.is_empty() { mark.event.cast_unsigned() } else { mark.sums.over(common) };
                    found.entry((mark.writer, sum)).or_default().push(member);
                }
                found
            });
            let Some(members) = found.get_mut(&(writer, sum)) else { continue };
            while let Some(member) = members.pop() {
                if !std::mem::replace(&mut self.all[member].taken, true) {
                    return true;
                }
            }
        }
        false
    }
}

/// A checksum of an event, without its time.
pub(super) fn checksum(event: &Event) -> i64 {
    [event.customer, event.data].into_iter().fold(START, |sum, datum| add(sum, varying(datum))).cast_signed()
}

/// A checksum of a value as it is without compression, and without TOAST.
fn column_sum(row: Row, number: i32) -> u64 {
    let Some(datum) = row.at(number) else { return 0 };
    // SAFETY: the number is that of a column of the row; the value has the length that the column declares.
    unsafe {
        let attribute = plan::attribute(row.descriptor, number);
        match (*attribute).attlen {
            -1 => add(START, varying(datum)),
            -2 => add(START, std::ffi::CStr::from_ptr(datum.cast_mut_ptr()).to_bytes()),
            _ if (*attribute).attbyval => add(START, &datum.value().to_ne_bytes()),
            length => add(START, std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), length.unsigned_abs().into())),
        }
    }
}

/// The bytes of a value of variable length.
fn varying<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: the value lives in a row, or in the current context.
    unsafe {
        let value = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
        std::slice::from_raw_parts(
            pgrx::varlena::vardata_any(value).cast::<u8>(),
            pgrx::varlena::varsize_any_exhdr(value),
        )
    }
}

/// FNV-1a.
const START: u64 = 0xcbf2_9ce4_8422_2325;

fn add(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
