//! Objects in a bucket of an S3-compatible store: each run writes its changes, then all members, then a manifest.
//! Requests are presigned (Signature Version 4), so that only the address contains the signature.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use serde_json::{Map, Value, json};

use super::config::{BadConfig, Config, bad};
use super::{
    Action, Batch, Context, Destination, Identity, Keeps, Outcome, Probe, Request, Response, Row, Skip, included,
    key_of,
};

/// How long a signature is good for.
const VALID: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Ndjson,
}

/// What becomes of CSV fields that spreadsheets would read as formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Formulas {
    /// An apostrophe is put in front, as in front of those that begin with one, so that it can be taken off again.
    Escape,
    /// They stay as they are.
    Keep,
}

#[derive(Debug)]
struct S3 {
    endpoint: String,
    bucket: Bucket,
    prefix: String,
    format: Format,
    formulas: Formulas,
    rows: usize,
    include: Vec<String>,
}

pub(super) fn open(config: &mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig> {
    let endpoint = config.base("endpoint")?.ok_or_else(|| {
        bad("endpoint", "is missing", "The store's address: \"endpoint\": \"https://s3.eu-central-1.amazonaws.com\".")
    })?;
    let name = config.need("bucket", "The name of a bucket that exists.")?;
    let of_endpoint = amazon_region(&endpoint);
    let region = match (config.text("region")?, of_endpoint) {
        (Some(region), Some(own)) if region != own => {
            return Err(bad(
                "region",
                format!("is not the region of the endpoint, {own}"),
                "Remove it, or correct one of the two.",
            ));
        }
        (Some(region), _) => region,
        (None, own) => own.unwrap_or("us-east-1").to_owned(),
    };
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(bad("region", "is not a valid region name", "Write for example eu-central-1."));
    }
    if name.contains('/') || name.chars().any(char::is_whitespace) {
        return Err(bad(
            "bucket",
            "is not a valid bucket name",
            "Write the name of the bucket only; prefix is the path below it.",
        ));
    }
    let address = endpoint
        .parse()
        .map_err(|_| bad("endpoint", "is no address", "Write for example https://minio.example.com."))?;
    let bucket = Bucket::new(address, UrlStyle::Path, name, region)
        .map_err(|error| bad("bucket", format!("cannot be addressed: {error}"), "Check endpoint and bucket."))?;
    let prefix = config.text("prefix")?.unwrap_or_default();
    let prefix = prefix.trim_matches('/').to_owned();
    if prefix.chars().any(|c| !(c.is_ascii_alphanumeric() || "/-_.=".contains(c))) {
        return Err(bad(
            "prefix",
            "has characters other than letters, digits and / - _ . =",
            "Write for example exports/cohorts.",
        ));
    }
    let format = match config.text("format")?.as_deref() {
        None | Some("csv") => Format::Csv,
        Some("ndjson") => Format::Ndjson,
        Some(_) => return Err(bad("format", "is not known", "csv or ndjson.")),
    };
    let formulas = match config.text("csv_formulas")?.as_deref() {
        None | Some("escape") => Formulas::Escape,
        Some("keep") => Formulas::Keep,
        Some(_) => return Err(bad("csv_formulas", "is not known", "escape or keep.")),
    };
    Ok(Box::new(S3 {
        endpoint,
        bucket,
        prefix,
        format,
        formulas,
        rows: config.number("batch_rows", (1, 100_000), 50_000)?,
        include: config.texts("include")?,
    }))
}

/// The region that an endpoint of Amazon's names: `https://s3.eu-central-1.amazonaws.com`.
fn amazon_region(endpoint: &str) -> Option<&str> {
    let host = endpoint.strip_prefix("https://")?.split(['/', ':']).next()?;
    let place = host.strip_suffix(".amazonaws.com")?;
    if place == "s3" {
        return Some("us-east-1");
    }
    place.strip_prefix("s3.").or_else(|| place.strip_prefix("s3-")).filter(|region| !region.contains('.'))
}

impl S3 {
    fn credentials(secret: &str) -> Credentials {
        let (id, key) = secret.trim().split_once(':').unwrap_or((secret, ""));
        Credentials::new(id, key)
    }

    /// The key of an object of a run: `prefix/cohort/run-000000000042/name`.
    fn key(&self, context: &Context, name: &str) -> String {
        // A cohort's name may have any characters; what a path takes stays, and a digest keeps two names apart.
        let plain: String = context
            .cohort
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .take(100)
            .collect();
        let cohort = if plain == context.cohort { plain } else { format!("{plain}-{:016x}", key_of(&context.cohort)) };
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{cohort}/run-{:012}/{name}", self.prefix, context.run)
    }

    fn put(&self, key: &str, body: Vec<u8>, context: &Context, secret: &str) -> Request {
        let credentials = Self::credentials(secret);
        let now = Timestamp::from_second(context.now).unwrap_or(Timestamp::UNIX_EPOCH);
        let url = self.bucket.put_object(Some(&credentials), key).sign_with_time(VALID, &now);
        let kind = match self.format {
            _ if key.ends_with("_SUCCESS") => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Ndjson => "application/x-ndjson",
        };
        Request { method: "PUT", url: url.to_string(), headers: Vec::new(), body }.with("Content-Type", kind)
    }

    fn extension(&self) -> &'static str {
        match self.format {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        }
    }

    /// A text as a field of CSV.
    fn field(&self, text: &str) -> String {
        match self.formulas {
            Formulas::Escape if runs(text) => csv(&format!("'{text}")),
            Formulas::Escape | Formulas::Keep => csv(text),
        }
    }

    /// Rows in the format; with an action for each in a delta.
    fn write(&self, rows: &[Row], action: Option<Action>) -> Vec<u8> {
        let mut out = String::with_capacity(rows.len() * 40);
        if self.format == Format::Csv {
            let mut head: Vec<&str> = action.iter().map(|_| "action").collect();
            head.push("customer_id");
            head.extend(self.include.iter().map(String::as_str));
            let head: Vec<String> = head.into_iter().map(|name| self.field(name)).collect();
            out.push_str(&head.join(","));
            out.push_str("\r\n");
        }
        for row in rows {
            let properties: Map<String, Value> =
                row.properties.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            match self.format {
                Format::Csv => {
                    if let Some(action) = action {
                        out.push_str(action.name());
                        out.push(',');
                    }
                    out.push_str(&self.field(&row.customer));
                    for name in &self.include {
                        out.push(',');
                        match properties.get(name) {
                            None | Some(Value::Null) => {}
                            Some(Value::String(text)) => out.push_str(&self.field(text)),
                            Some(other) => out.push_str(&csv(&other.to_string())),
                        }
                    }
                    out.push_str("\r\n");
                }
                Format::Ndjson => {
                    let mut line = Map::new();
                    if let Some(action) = action {
                        line.insert("action".to_owned(), action.name().into());
                    }
                    line.insert("customer_id".to_owned(), row.customer.as_str().into());
                    if !self.include.is_empty() {
                        line.insert("properties".to_owned(), Value::Object(properties));
                    }
                    let _ = writeln!(out, "{}", Value::Object(line));
                }
            }
        }
        out.into_bytes()
    }
}

/// Whether a field must be escaped: a spreadsheet would read it as a formula, or it begins as an escaped field does. A
/// number with a sign, such as a telephone number, is harmless.
fn runs(text: &str) -> bool {
    match text.trim_start_matches(' ').as_bytes().split_first() {
        Some((b'=' | b'@' | b'\t' | b'\r' | b'\n' | b'\'', _)) => true,
        Some((b'+' | b'-', rest)) => !rest.iter().all(|byte| byte.is_ascii_digit() || b" .-()/".contains(byte)),
        _ => false,
    }
}

/// A field of CSV (RFC 4180).
fn csv(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

impl Destination for S3 {
    fn keeps(&self) -> Keeps {
        Keeps::Objects
    }

    fn batch_rows(&self, _action: Action) -> usize {
        self.rows
    }

    fn wants_profile(&self) -> bool {
        !self.include.is_empty()
    }

    fn properties(&self) -> Vec<&str> {
        self.include.iter().map(String::as_str).collect()
    }

    fn fingerprint(&self) -> i64 {
        key_of(&self.include.join("\n"))
    }

    fn place(&self) -> Vec<&str> {
        vec![&self.endpoint, self.bucket.name(), &self.prefix, self.extension()]
    }

    fn secret(&self) -> Option<&'static str> {
        Some("ACCESS_KEY_ID:SECRET_ACCESS_KEY")
    }

    /// The id of the key stands in each address; a secret of another form must not get there.
    fn check_secret(&self, secret: &str) -> Result<(), &'static str> {
        let id_and_key = secret.split_once(':').filter(|(id, key)| {
            !key.is_empty()
                && (1..=128).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        });
        id_and_key.map(|_| ()).ok_or("is not of the form ACCESS_KEY_ID:SECRET_ACCESS_KEY")
    }

    fn url(&self) -> Option<String> {
        Some(self.endpoint.clone())
    }

    fn render(
        &self,
        _customer: &str,
        profile: Option<&Map<String, Value>>,
    ) -> Result<(Identity, Option<String>), Skip> {
        Ok(included(profile, &self.include))
    }

    fn request(&self, batch: &Batch<'_>, _state: &Map<String, Value>, context: &Context, secret: &str) -> Request {
        let name = format!("delta-{:0>8}-{}.{}", context.batch, batch.action.name(), self.extension());
        self.put(&self.key(context, &name), self.write(batch.rows, Some(batch.action)), context, secret)
    }

    fn read(&self, _action: Action, answer: &Response, now: i64) -> Outcome {
        let body = String::from_utf8_lossy(&answer.body);
        let said =
            body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
        // A code is one word: anything else is none.
        let said = if said.len() <= 60 && said.bytes().all(|byte| byte.is_ascii_alphanumeric()) { said } else { "" };
        let why = format!("status {}{}{said}", answer.status, if said.is_empty() { "" } else { ": " });
        match answer.status {
            200..=299 => Outcome::done(),
            429 | 503 => Outcome::Wait { why, seconds: answer.retry_after(now) },
            301 | 307 => Outcome::attention(why, "The bucket is in another region: set region and endpoint to it."),
            401 | 403 => Outcome::attention(
                why,
                "Check the secret (ACCESS_KEY_ID:SECRET_ACCESS_KEY), the right to PutObject, and this server's clock, then cohort_sync_resume.",
            ),
            404 => Outcome::attention(
                why,
                "Create the bucket, or set bucket to an existing one, then call cohort_sync_resume.",
            ),
            _ => Outcome::again(why),
        }
    }

    fn probes(&self, _state: &Map<String, Value>, context: &Context, secret: &str) -> Vec<Probe> {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let key = format!("{}{slash}kursaha_cohort-test", self.prefix);
        vec![Probe { what: "an object can be written", request: self.put(&key, b"test\n".to_vec(), context, secret) }]
    }

    fn snapshot(&self, rows: &[Row], part: usize, context: &Context, secret: &str) -> Option<Request> {
        let name = format!("snapshot-{part:08}.{}", self.extension());
        Some(self.put(&self.key(context, &name), self.write(rows, None), context, secret))
    }

    fn manifest(&self, parts: &Value, context: &Context, secret: &str) -> Option<Request> {
        let body = json!({"cohort": context.cohort, "run": context.run, "format": self.extension(), "parts": parts});
        Some(self.put(&self.key(context, "_SUCCESS"), body.to_string().into_bytes(), context, secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context { cohort: "gold".to_owned(), run: 7, batch: "2".to_owned(), now: 1_700_000_000, ..Context::default() }
    }

    #[test]
    fn objects_of_a_run() {
        let config = json!({"endpoint": "https://s3.example.com", "bucket": "b", "prefix": "/x/", "include": ["city"]});
        let s3 = super::super::open("s3", &config).unwrap();
        let profile = json!({"city": "Pune, \"MH\""});
        let (_, properties) = s3.render("c1", profile.as_object()).unwrap();
        let rows = [
            Row { customer: "c1".to_owned(), properties, ..Row::default() },
            Row { customer: "c,2".to_owned(), ..Row::default() },
        ];
        let request = s3.request(&Batch { action: Action::Add, rows: &rows }, &Map::new(), &context(), "id:key");
        assert_eq!(request.method, "PUT");
        assert!(
            request.url.starts_with("https://s3.example.com/b/x/gold/run-000000000007/delta-00000002-add.csv?X-Amz-")
        );
        assert_eq!(
            String::from_utf8_lossy(&request.body),
            "action,customer_id,city\r\nadd,c1,\"Pune, \"\"MH\"\"\"\r\nadd,\"c,2\",\r\n"
        );
        let whole = s3.snapshot(&rows, 1, &context(), "id:key").unwrap();
        assert!(whole.url.contains("/snapshot-00000001.csv?"));
        assert!(!format!("{request:?}").contains("X-Amz"), "a signature in a log");
    }

    #[test]
    fn a_field_that_a_spreadsheet_would_run_is_escaped_unless_it_is_to_be_kept() {
        let fields = |config: Value| {
            let s3 = super::super::open("s3", &config).unwrap();
            let rows = ["=1+1", "+49 (30) 12-3", "-5.2", "-2+cmd", "@x", "\tx", " =1", "a=1", "'x"]
                .map(|id| Row { customer: id.to_owned(), ..Row::default() });
            let body = s3.snapshot(&rows, 1, &context(), "id:key").unwrap().body;
            String::from_utf8(body).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let config = json!({"endpoint": "https://s3.example.com", "bucket": "b"});
        assert_eq!(
            fields(config.clone()),
            ["'=1+1", "+49 (30) 12-3", "-5.2", "'-2+cmd", "'@x", "'\tx", "' =1", "a=1", "''x"]
        );
        let mut keep = config;
        keep["csv_formulas"] = "keep".into();
        assert_eq!(fields(keep), ["=1+1", "+49 (30) 12-3", "-5.2", "-2+cmd", "@x", "\tx", "\" =1\"", "a=1", "'x"]);
    }

    #[test]
    fn a_region_comes_with_amazons_endpoint_and_must_be_that() {
        assert_eq!(amazon_region("https://s3.eu-central-1.amazonaws.com"), Some("eu-central-1"));
        assert_eq!(amazon_region("https://s3.amazonaws.com"), Some("us-east-1"));
        assert_eq!(amazon_region("https://minio.example.com"), None);
        let place = |more: Value| {
            let mut config = json!({"endpoint": "https://s3.eu-central-1.amazonaws.com", "bucket": "b"});
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            super::super::open("s3", &config).map(|_| ()).map_err(|bad| bad.path)
        };
        assert_eq!(place(json!({})), Ok(()));
        assert_eq!(place(json!({"region": "eu-central-1"})), Ok(()));
        assert_eq!(place(json!({"region": "eu-west-1"})), Err("region".to_owned()));
        assert_eq!(place(json!({"region": "a b", "endpoint": "https://x.example.com"})), Err("region".to_owned()));
        assert_eq!(place(json!({"bucket": "b/c"})), Err("bucket".to_owned()));
    }

    #[test]
    fn a_secret_of_another_form_is_refused() {
        let s3 = super::super::open("s3", &json!({"endpoint": "https://s3.example.com", "bucket": "b"})).unwrap();
        assert!(s3.check_secret("AKIA1:se/cr+et:x").is_ok());
        for other in ["EAAGtoken", ":x", "id:", "a b:c", "Bearer a:b"] {
            assert!(s3.check_secret(other).is_err(), "{other}");
        }
    }

    #[test]
    fn lines_of_json_and_names_that_are_no_path() {
        let config = json!({"endpoint": "https://s3.example.com", "bucket": "b", "format": "ndjson"});
        let s3 = super::super::open("s3", &config).unwrap();
        let rows = [Row { customer: "c1".to_owned(), ..Row::default() }];
        let odd = Context { cohort: "../gold é".to_owned(), ..context() };
        let request = s3.request(&Batch { action: Action::Remove, rows: &rows }, &Map::new(), &odd, "id:key");
        assert!(request.url.contains("/b/.._gold__-"), "{}", request.url);
        assert_eq!(request.body, b"{\"action\":\"remove\",\"customer_id\":\"c1\"}\n");
    }
}
