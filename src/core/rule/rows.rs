//! Rows of tables beside the events: the values of a column, to which properties and ids are compared.

use std::sync::Arc;

use super::{
    Amount, Anchor, Argument, Condition, PathStep, Predicate, PropertyTest, Referred, Rule, Times, Where, Window,
};
use crate::value::Scalar;

/// `{"table": …, "column": …, "where": …}`: the values of a column over the rows that satisfy the predicates.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Which table.
    pub table: TableName,
    /// The name of the column, as it is.
    pub column: String,
    /// Which rows; the first key of a property is the name of a column.
    pub filter: Option<Where>,
    /// The values, once they have been read for an evaluation; of `customer_in` the ids as strings.
    pub values: Option<Arc<Vec<Scalar>>>,
}

impl Rows {
    /// The columns that it names.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut names = vec![self.column.as_str()];
        for predicate in self.filter.iter().flat_map(Where::predicates) {
            columns_of(predicate, false, &mut names);
        }
        names
    }
}

fn columns_of<'a>(predicate: &'a Predicate, in_element: bool, names: &mut Vec<&'a str>) {
    let mut first = |steps: &'a [PathStep]| {
        if let Some(PathStep::Key(name)) = steps.first() {
            names.push(name);
        }
    };
    match predicate {
        Predicate::And(list) | Predicate::Or(list) => {
            for one in list {
                columns_of(one, in_element, names);
            }
        }
        Predicate::Not(inner) => columns_of(inner, in_element, names),
        Predicate::Test(test) => {
            if !in_element {
                first(&test.property.steps);
            }
            if let Argument::Ref(reference) = &test.argument
                && reference.of == Referred::Row
            {
                first(&reference.steps);
            }
        }
        Predicate::Element(test) => {
            if !in_element {
                first(&test.property.steps);
            }
            test.filter.predicates().iter().for_each(|one| columns_of(one, true, names));
        }
    }
}

/// The name of a table with its schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// As it was written, for the canonical JSON.
    pub written: String,
    /// The schema, folded and without quotes.
    pub schema: String,
    /// The table, likewise.
    pub table: String,
}

/// The longest name of an object in PostgreSQL, in bytes.
pub(super) const MAX_NAME: usize = 63;

impl TableName {
    /// Reads a name as SQL writes it: two identifiers and a dot. What is wrong with another text.
    pub(super) fn parse(written: &str) -> Result<Self, &'static str> {
        let mut rest = written.trim_matches(is_blank);
        let schema = identifier(&mut rest)?;
        rest = rest.trim_start_matches(is_blank);
        rest = rest.strip_prefix('.').ok_or(if rest.is_empty() {
            "the name of the table has no schema"
        } else {
            "this is not the name of a table"
        })?;
        rest = rest.trim_start_matches(is_blank);
        let table = identifier(&mut rest)?;
        if !rest.is_empty() {
            return Err("this is not the name of a table");
        }
        Ok(Self { written: written.to_owned(), schema, table })
    }

    /// Whether it is of a schema of temporary tables.
    pub(super) fn is_temporary(&self) -> bool {
        self.schema == "pg_temp" || self.schema.starts_with("pg_temp_") || self.schema.starts_with("pg_toast_temp_")
    }
}

/// The blanks of SQL.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Takes one identifier from the beginning of a text.
fn identifier(rest: &mut &str) -> Result<String, &'static str> {
    let mut name = String::new();
    if let Some(quoted) = rest.strip_prefix('"') {
        let mut ahead = quoted;
        loop {
            let (part, behind) = ahead.split_once('"').ok_or("a quotation mark is not closed")?;
            name.push_str(part);
            let Some(more) = behind.strip_prefix('"') else {
                *rest = behind;
                break;
            };
            name.push('"');
            ahead = more;
        }
    } else {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        if part.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
            return Err("a name that begins with a digit or $ is written in quotation marks");
        }
        name = part.to_ascii_lowercase();
        *rest = behind;
    }
    if name.is_empty() || name.contains('\0') {
        return Err("this is not the name of a table");
    }
    if name.len() > MAX_NAME {
        return Err("a name of the table is longer than 63 bytes");
    }
    Ok(name)
}

/// A table as the parser looks at it.
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A column of a table.
pub struct Column {
    /// The name.
    pub name: String,
    /// Whether the current user may not read it.
    pub denied: bool,
    /// The name of a type whose values are no ids.
    pub no_id: Option<String>,
}

/// Why a table cannot be read.
pub struct Unreadable {
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub hint: String,
}

/// The tables that rows may name, as the current user sees them.
pub trait Tables {
    /// Looks at one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn look(&self, name: &TableName) -> Result<Table, Unreadable>;
}

impl Rule {
    /// The rows that the rule reads, and what for, in the order of the rule.
    #[must_use]
    pub fn rows(&self) -> Vec<(&Rows, Use)> {
        let mut found = Vec::new();
        of_condition(&self.condition, &mut found);
        found
    }

    /// Passes on all rows that the rule reads.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn each_rows<E>(&mut self, each: &mut dyn FnMut(&mut Rows, Use) -> Result<(), E>) -> Result<(), E> {
        in_condition(&mut self.condition, each)
    }
}

/// What the values of rows are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Properties are compared with them.
    Values,
    /// They are ids of customers.
    Ids,
}

type Found<'a> = Vec<(&'a Rows, Use)>;

fn of_condition<'a>(condition: &'a Condition, found: &mut Found<'a>) {
    match condition {
        Condition::Did(did) | Condition::DidNot(did) => {
            of_events(did.filter.as_ref(), did.time.as_ref(), did.among.as_ref(), found);
        }
        Condition::Profile(test) => of_test(test, found),
        Condition::ProfileElement(test) => of_where(Some(&test.filter), found),
        Condition::Sequence(sequence) => {
            for step in &sequence.steps {
                of_events(step.filter.as_ref(), step.time.as_ref(), step.among.as_ref(), found);
            }
        }
        Condition::CustomerIn(rows) => found.push((rows, Use::Ids)),
        Condition::Compare(compare) => {
            of_amount(&compare.left, found);
            of_amount(&compare.right, found);
        }
        Condition::Rank(rank) => {
            of_amount(&rank.figure, found);
            rank.of.iter().for_each(|of| of_condition(of, found));
        }
        Condition::And(list) | Condition::Or(list) => list.iter().for_each(|condition| of_condition(condition, found)),
        Condition::Not(inner) => of_condition(inner, found),
        Condition::Group(group) => of_condition(&group.condition, found),
        Condition::Cohort(_) | Condition::Sample(_) => {}
    }
}

fn of_amount<'a>(amount: &'a Amount, found: &mut Found<'a>) {
    match amount {
        Amount::Events(events) => of_events(events.filter.as_ref(), events.time.as_ref(), None, found),
        Amount::Number(_) | Amount::Profile(_) => {}
    }
}

fn of_events<'a>(filter: Option<&'a Where>, time: Option<&'a Times>, among: Option<&'a Where>, found: &mut Found<'a>) {
    of_where(filter, found);
    for form in time.map_or(&[][..], Times::forms) {
        if let Window::From(anchor, _) | Window::Until(anchor, _) = form
            && let Anchor::First(event) | Anchor::Last(event) = anchor
        {
            of_where(event.filter.as_ref(), found);
        }
    }
    of_where(among, found);
}

fn of_where<'a>(filter: Option<&'a Where>, found: &mut Found<'a>) {
    filter.map_or(&[][..], Where::predicates).iter().for_each(|one| of_predicate(one, found));
}

fn of_predicate<'a>(predicate: &'a Predicate, found: &mut Found<'a>) {
    match predicate {
        Predicate::And(list) | Predicate::Or(list) => list.iter().for_each(|one| of_predicate(one, found)),
        Predicate::Not(inner) => of_predicate(inner, found),
        Predicate::Test(test) => of_test(test, found),
        Predicate::Element(test) => of_where(Some(&test.filter), found),
    }
}

fn of_test<'a>(test: &'a PropertyTest, found: &mut Found<'a>) {
    if let Argument::Rows(rows) = &test.argument {
        found.push((rows, Use::Values));
    }
}

type Each<'e, E> = &'e mut dyn FnMut(&mut Rows, Use) -> Result<(), E>;

fn in_condition<E>(condition: &mut Condition, each: Each<'_, E>) -> Result<(), E> {
    match condition {
        Condition::Did(did) | Condition::DidNot(did) => {
            in_events(did.filter.as_mut(), did.time.as_mut(), did.among.as_mut(), each)
        }
        Condition::Profile(test) => in_test(test, each),
        Condition::ProfileElement(test) => in_where(Some(&mut test.filter), each),
        Condition::Sequence(sequence) => sequence
            .steps
            .iter_mut()
            .try_for_each(|step| in_events(step.filter.as_mut(), step.time.as_mut(), step.among.as_mut(), each)),
        Condition::CustomerIn(rows) => each(rows, Use::Ids),
        Condition::Compare(compare) => {
            in_amount(&mut compare.left, each)?;
            in_amount(&mut compare.right, each)
        }
        Condition::Rank(rank) => {
            in_amount(&mut rank.figure, each)?;
            rank.of.iter_mut().try_for_each(|of| in_condition(of, each))
        }
        Condition::And(list) | Condition::Or(list) => {
            list.iter_mut().try_for_each(|condition| in_condition(condition, each))
        }
        Condition::Not(inner) => in_condition(inner, each),
        Condition::Group(group) => in_condition(&mut group.condition, each),
        Condition::Cohort(_) | Condition::Sample(_) => Ok(()),
    }
}

fn in_amount<E>(amount: &mut Amount, each: Each<'_, E>) -> Result<(), E> {
    match amount {
        Amount::Events(events) => in_events(events.filter.as_mut(), events.time.as_mut(), None, each),
        Amount::Number(_) | Amount::Profile(_) => Ok(()),
    }
}

fn in_events<E>(
    filter: Option<&mut Where>,
    time: Option<&mut Times>,
    among: Option<&mut Where>,
    each: Each<'_, E>,
) -> Result<(), E> {
    in_where(filter, each)?;
    let forms = time.map_or(&mut [][..], |times| match times {
        Times::One(form) => std::slice::from_mut(form),
        Times::All(forms) => forms.as_mut_slice(),
    });
    for form in forms {
        if let Window::From(anchor, _) | Window::Until(anchor, _) = form
            && let Anchor::First(event) | Anchor::Last(event) = anchor
        {
            in_where(event.filter.as_mut(), each)?;
        }
    }
    in_where(among, each)
}

fn in_where<E>(filter: Option<&mut Where>, each: Each<'_, E>) -> Result<(), E> {
    filter.map_or(Ok(()), |filter| match filter {
        Where::One(one) => in_predicate(one, each),
        Where::All(all) => all.iter_mut().try_for_each(|one| in_predicate(one, each)),
    })
}

fn in_predicate<E>(predicate: &mut Predicate, each: Each<'_, E>) -> Result<(), E> {
    match predicate {
        Predicate::And(list) | Predicate::Or(list) => list.iter_mut().try_for_each(|one| in_predicate(one, each)),
        Predicate::Not(inner) => in_predicate(inner, each),
        Predicate::Test(test) => in_test(test, each),
        Predicate::Element(test) => in_where(Some(&mut test.filter), each),
    }
}

fn in_test<E>(test: &mut PropertyTest, each: Each<'_, E>) -> Result<(), E> {
    match &mut test.argument {
        Argument::Rows(rows) => each(rows, Use::Values),
        Argument::None
        | Argument::Scalar(_)
        | Argument::Ref(_)
        | Argument::Range(..)
        | Argument::List(_)
        | Argument::Text(_)
        | Argument::Date(_)
        | Argument::Interval(_)
        | Argument::Units(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::TableName;

    fn parsed(written: &str) -> Result<(String, String), &'static str> {
        TableName::parse(written).map(|name| (name.schema, name.table))
    }

    #[test]
    fn names_are_read_as_sql_reads_them() {
        let known = |schema: &str, table: &str| Ok((schema.to_owned(), table.to_owned()));
        assert_eq!(parsed("shop.product"), known("shop", "product"));
        assert_eq!(parsed("Shop.PRODUCT"), known("shop", "product"));
        assert_eq!(parsed("\"My Shop\".\"a\"\"b.c\""), known("My Shop", "a\"b.c"));
        assert_eq!(parsed(" shop . product\t"), known("shop", "product"));
        assert_eq!(parsed("läden.Ä"), known("läden", "Ä"));
        assert_eq!(parsed("s.user"), known("s", "user"));
        for wrong in [
            "product", "", ".", "a.", ".b", "a.b.c", "a.b;", "a.1b", "a.$b", "\"a.b", "a.\"\"", "a.b c", "a-b.c",
            "a.b\0",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert!(parsed(&format!("a.{}", "x".repeat(63))).is_ok());
        assert!(parsed(&format!("a.{}", "x".repeat(64))).is_err());
    }
}
