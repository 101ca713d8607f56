//! Tables of this database: one row for each member, written in the transaction that updates the ledger.

use serde_json::{Map, Value};

use super::config::{BadConfig, Config, bad};
use super::{Action, Batch, Context, Destination, Identity, Keeps, Outcome, Probe, Request, Response, Skip, key_of};

#[derive(Debug)]
struct Table {
    name: String,
    column: String,
    rows: usize,
}

pub(super) fn open(config: &mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig> {
    let name = config.need("table", "The table's name, with its schema: \"table\": \"crm.audience\".")?;
    if parts(&name) != Some(2) {
        return Err(bad(
            "table",
            "is not a table's name with its schema",
            "Write it with its schema, for example \"table\": \"public.audience\".",
        ));
    }
    let column = config.text("customer_column")?.unwrap_or_else(|| "customer_id".to_owned());
    if column.len() > 63 {
        return Err(bad("customer_column", "is too long for a column's name", "A column name has at most 63 bytes."));
    }
    Ok(Box::new(Table { name, column, rows: config.number("batch_rows", (1, 100_000), 10_000)? }))
}

/// How many parts a name has, each plain or in quotes, with dots between; nothing where it is no name.
fn parts(name: &str) -> Option<usize> {
    let mut rest = name;
    for count in 1.. {
        rest = if let Some(quoted) = rest.strip_prefix('"') {
            // A doubled quote stands for one.
            let mut end = quoted.find('"')?;
            while quoted[end + 1..].starts_with('"') {
                end += 2 + quoted[end + 2..].find('"')?;
            }
            if end == 0 {
                return None;
            }
            &quoted[end + 1..]
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            if end == 0 || rest[..end].contains(|c: char| c.is_whitespace() || "\"'();,".contains(c)) {
                return None;
            }
            &rest[end..]
        };
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None => return rest.is_empty().then_some(count),
        }
    }
    None
}

impl Destination for Table {
    fn keeps(&self) -> Keeps {
        Keeps::Rows
    }

    fn batch_rows(&self, _action: Action) -> usize {
        self.rows
    }

    fn wants_profile(&self) -> bool {
        false
    }

    fn fingerprint(&self) -> i64 {
        0
    }

    fn shared(&self) -> bool {
        true
    }

    fn place(&self) -> Vec<&str> {
        vec![&self.name, &self.column]
    }

    fn secret(&self) -> Option<&'static str> {
        None
    }

    fn url(&self) -> Option<String> {
        None
    }

    fn render(
        &self,
        customer: &str,
        _profile: Option<&Map<String, Value>>,
    ) -> Result<(Identity, Option<String>), Skip> {
        Ok((Identity { bytes: customer.as_bytes().to_vec(), keys: vec![key_of(customer)] }, None))
    }

    fn without(&self, identity: &[u8], shared: &dyn Fn(i64) -> bool) -> Option<Vec<u8>> {
        (!shared(key_of(&String::from_utf8_lossy(identity)))).then(|| identity.to_vec())
    }

    fn request(&self, _batch: &Batch<'_>, _state: &Map<String, Value>, _context: &Context, _secret: &str) -> Request {
        Request::get(String::new())
    }

    fn read(&self, _action: Action, _answer: &Response, _now: i64) -> Outcome {
        Outcome::done()
    }

    fn probes(&self, _state: &Map<String, Value>, _context: &Context, _secret: &str) -> Vec<Probe> {
        Vec::new()
    }

    fn table(&self) -> Option<(&str, &str)> {
        Some((&self.name, &self.column))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_named_with_its_schema() {
        for (name, count) in [
            ("audience", Some(1)),
            ("crm.audience", Some(2)),
            ("\"My CRM\".\"a.b\"", Some(2)),
            ("\"a\"\"b\".c", Some(2)),
            ("shop.crm.audience", Some(3)),
            ("crm.", None),
            (".audience", None),
            ("\"crm.audience", None),
            ("\"\".a", None),
            ("crm.a b", None),
            ("crm.a; DROP TABLE x", None),
        ] {
            assert_eq!(parts(name), count, "{name}");
            assert_eq!(super::super::open("table", &json!({"table": name})).is_ok(), count == Some(2), "{name}");
        }
    }
}
