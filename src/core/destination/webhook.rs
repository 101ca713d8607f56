//! Webhooks: JSON in POST requests, with a signature of the sender, and an idempotency key for repeated requests.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::config::{BadConfig, Config, bad};
use super::normalise;
use super::{
    Action, Batch, Context, Destination, Identity, Keeps, Outcome, Probe, Request, Response, Skip, included, key_of,
    quote,
};

#[derive(Debug)]
struct Webhook {
    url: String,
    headers: Vec<(String, String)>,
    /// Headers with the secret: what stands before it and behind it.
    secret_headers: Vec<(String, String, String)>,
    rows: usize,
    include: Vec<String>,
}

/// Headers that are ours, or would change how the request is understood.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-cohort-signature",
];

/// Parts of names whose values are secrets: such a value does not belong into a configuration, which readers see.
const TELLING: [&str; 14] = [
    "auth",
    "bearer",
    "cookie",
    "credential",
    "jwt",
    "key",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "session",
    "signature",
    "token",
    "pwd",
];

/// What stands for the secret in the value of a header.
const SECRET: &str = "$secret";

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part)) || matches!(name.as_str(), "sig" | "code" | "sid")
}

/// The texts of an object of headers, none of which is one of ours.
fn headers(config: &mut Config<'_>, key: &'static str) -> Result<Vec<(String, String)>, BadConfig> {
    const EXAMPLE: &str = "Write for example {\"X-Team\": \"crm\"}.";
    let given = match config.take(key) {
        None => return Ok(Vec::new()),
        Some(Value::Object(given)) if given.len() <= 20 => given,
        Some(_) => return Err(bad(key, "must be an object with at most 20 strings", EXAMPLE)),
    };
    let mut found = Vec::new();
    for (name, value) in given {
        let path = format!("{key}.{name}");
        let token = (1..=100).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !token {
            return Err(bad(
                &path,
                "is not a valid header name",
                "A header name consists of letters, digits, - and _.",
            ));
        }
        if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(bad(&path, "cannot be set", "This header is set by the connection or by this extension."));
        }
        let Some(value) = value
            .as_str()
            .filter(|value| value.len() <= 1000 && value.chars().all(|c| c == ' ' || c.is_ascii_graphic()))
        else {
            return Err(bad(&path, "must be a string of printable ASCII characters", EXAMPLE));
        };
        found.push((name.clone(), value.to_owned()));
    }
    Ok(found)
}

/// The headers whose values everyone may see.
fn open_headers(config: &mut Config<'_>) -> Result<Vec<(String, String)>, BadConfig> {
    let found = headers(config, "headers")?;
    for (name, value) in &found {
        let scheme = value.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        if is_telling(name) || matches!(scheme.as_str(), "bearer" | "basic" | "digest" | "apikey") {
            return Err(bad(
                &format!("headers.{name}"),
                "cannot be set: its value is a secret, and readers can see the configuration",
                format!("Put the secret into its file, and write \"secret_headers\": {{\"{name}\": \"{SECRET}\"}}."),
            ));
        }
    }
    Ok(found)
}

/// The headers that hold the secret, each split where it stands.
fn secret_headers(config: &mut Config<'_>) -> Result<Vec<(String, String, String)>, BadConfig> {
    let mut found = Vec::new();
    for (name, value) in headers(config, "secret_headers")? {
        let Some((before, behind)) = value.split_once(SECRET).filter(|(_, behind)| !behind.contains(SECRET)) else {
            return Err(bad(
                &format!("secret_headers.{name}"),
                format!("must contain {SECRET} once"),
                format!(
                    "Write {SECRET} in place of the destination's secret: {{\"Authorization\": \"Bearer {SECRET}\"}}."
                ),
            ));
        };
        found.push((name, before.to_owned(), behind.to_owned()));
    }
    Ok(found)
}

/// Refuses an address whose query holds a secret.
fn check_query(url: &str) -> Result<(), BadConfig> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let telling = query.split('&').find_map(|pair| pair.split('=').next().filter(|name| is_telling(name)));
    telling.map_or(Ok(()), |name| {
        Err(bad(
            "url",
            format!("has a secret in its query (\"{}\"), and readers can see the configuration", shown(name)),
            format!("Send the secret in a header: \"secret_headers\": {{\"Authorization\": \"Bearer {SECRET}\"}}."),
        ))
    })
}

fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}

pub(super) fn open(config: &mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig> {
    let url = config
        .url("url")?
        .ok_or_else(|| bad("url", "is missing", "Where to post: \"url\": \"https://example.com/hook\"."))?;
    check_query(&url)?;
    Ok(Box::new(Webhook {
        url,
        headers: open_headers(config)?,
        secret_headers: secret_headers(config)?,
        rows: config.number("batch_rows", (1, 10_000), 1_000)?,
        include: config.texts("include")?,
    }))
}

impl Webhook {
    fn signed(&self, body: Vec<u8>, key: &str, now: i64, secret: &str) -> Request {
        let mut signature = String::new();
        // Any length is a key to HMAC, so this cannot fail.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
            mac.update(format!("{now}.").as_bytes());
            mac.update(&body);
            normalise::push_hex(&mut signature, &mac.finalize().into_bytes());
        }
        let mut request = Request::json("POST", self.url.clone(), body)
            .with("Idempotency-Key", key)
            .with("X-Cohort-Signature", format!("t={now},v1={signature}"));
        request.headers.extend(self.headers.iter().cloned());
        for (name, before, behind) in &self.secret_headers {
            request.headers.push((name.clone(), format!("{before}{secret}{behind}")));
        }
        request
    }
}

impl Destination for Webhook {
    fn keeps(&self) -> Keeps {
        Keeps::Set
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
        vec![&self.url]
    }

    fn secret(&self) -> Option<&'static str> {
        Some("the key of the signature")
    }

    fn reveals_secret(&self) -> bool {
        !self.secret_headers.is_empty()
    }

    fn check_secret(&self, secret: &str) -> Result<(), &'static str> {
        // A header's value is ASCII; with anything else the request could not be made.
        let fit = !self.reveals_secret() || secret.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        if fit { Ok(()) } else { Err("has characters that a header cannot have") }
    }

    fn url(&self) -> Option<String> {
        Some(self.url.clone())
    }

    fn render(
        &self,
        _customer: &str,
        profile: Option<&Map<String, Value>>,
    ) -> Result<(Identity, Option<String>), Skip> {
        Ok(included(profile, &self.include))
    }

    fn request(&self, batch: &Batch<'_>, _state: &Map<String, Value>, context: &Context, secret: &str) -> Request {
        let mut body = format!(
            "{{\"cohort\":{},\"sync\":{},\"run\":{},\"batch\":{},\"action\":\"{}\",\"members\":[",
            Value::from(context.cohort.as_str()),
            context.sync,
            context.run,
            Value::from(context.batch.as_str()),
            batch.action.name()
        );
        for (index, row) in batch.rows.iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            body.push_str("{\"customer_id\":");
            body.push_str(&Value::from(row.customer.as_str()).to_string());
            if let Some(properties) = &row.properties {
                body.push_str(",\"properties\":");
                body.push_str(properties);
            }
            body.push('}');
        }
        body.push_str("]}");
        // With a digest of the body: after a crash a batch may be assembled again with other properties, and is then
        // another message.
        let mut digest = String::new();
        normalise::push_hex(&mut digest, &normalise::digest(&body)[..8]);
        let key = format!("{}-{}-{}-{digest}", context.sync, context.run, context.batch);
        self.signed(body.into_bytes(), &key, context.now, secret)
    }

    fn read(&self, _action: Action, answer: &Response, now: i64) -> Outcome {
        let said = quote(&answer.words());
        let why = format!("status {}{}{said}", answer.status, if said.is_empty() { "" } else { ": " });
        match answer.status {
            200..=299 => Outcome::done(),
            413 => Outcome::Again { why, smaller: true },
            429 => Outcome::Wait { why, seconds: answer.retry_after(now) },
            503 if answer.header("retry-after").is_some() => Outcome::Wait { why, seconds: answer.retry_after(now) },
            400 | 422 => Outcome::BadRows { why },
            300..=399 => Outcome::attention(why, "Redirects are not followed: set url to the target of the redirect."),
            401 | 403 => {
                Outcome::attention(why, "Configure the same secret at the receiver, then call cohort_sync_resume.")
            }
            404 | 405 | 410 => {
                Outcome::attention(why, "Check url with cohort_destination_test, then cohort_sync_resume.")
            }
            _ => Outcome::again(why),
        }
    }

    fn probes(&self, _state: &Map<String, Value>, context: &Context, secret: &str) -> Vec<Probe> {
        let body = json!({"cohort": null, "action": "add", "members": []}).to_string().into_bytes();
        let key = format!("test-{}", context.random);
        vec![Probe {
            what: "the receiver accepts a signed request without members",
            request: self.signed(body, &key, context.now, secret),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Row;
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_body_and_the_key_outlives_a_repeat() {
        let hook =
            super::super::open("webhook", &json!({"url": "https://example.com/hook/", "include": ["city", "a.b"]}))
                .unwrap();
        let profile = json!({"city": "Pune", "a": {"b": 1}, "email": "x@y.z"});
        let (identity, properties) = hook.render("c1", profile.as_object()).unwrap();
        let rows = [Row { customer: "c\"1".to_owned(), identity: identity.bytes, properties, entered_at: 0 }];
        let context =
            |now| Context { cohort: "gold".to_owned(), sync: 1, run: 2, batch: "3".to_owned(), now, random: 0 };
        let batch = Batch { action: Action::Add, rows: &rows };
        let first = hook.request(&batch, &Map::new(), &context(100), "key");
        let again = hook.request(&batch, &Map::new(), &context(200), "key");
        assert_eq!(first.url, "https://example.com/hook");
        assert_eq!(
            serde_json::from_slice::<Value>(&first.body).unwrap(),
            json!({"cohort": "gold", "sync": 1, "run": 2, "batch": "3", "action": "add",
                "members": [{"customer_id": "c\"1", "properties": {"city": "Pune", "a.b": 1}}]})
        );
        let header = |request: &Request, name: &str| {
            request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap()
        };
        assert_eq!(header(&first, "Idempotency-Key"), header(&again, "Idempotency-Key"));
        assert_ne!(header(&first, "X-Cohort-Signature"), header(&again, "X-Cohort-Signature"));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        mac.update(b"100.");
        mac.update(&first.body);
        let mut hex = String::new();
        normalise::push_hex(&mut hex, &mac.finalize().into_bytes());
        assert_eq!(header(&first, "X-Cohort-Signature"), format!("t=100,v1={hex}"));
    }

    #[test]
    fn answers() {
        let hook = super::super::open("webhook", &json!({"url": "https://example.com"})).unwrap();
        let read = |status| hook.read(Action::Add, &Response { status, ..Response::default() }, 0);
        assert_eq!(read(204), Outcome::done());
        assert!(matches!(read(302), Outcome::Attention { .. }));
        assert!(matches!(read(401), Outcome::Attention { .. }));
        assert!(matches!(read(400), Outcome::BadRows { .. }));
        assert!(matches!(read(413), Outcome::Again { smaller: true, .. }));
        assert!(matches!(read(429), Outcome::Wait { seconds: None, .. }));
        assert!(matches!(read(500), Outcome::Again { smaller: false, .. }));
    }

    #[test]
    fn headers_of_ours_and_secrets_cannot_be_set() {
        for name in [
            "Content-Length",
            "X-Cohort-Signature",
            "Expect",
            "upgrade",
            "Trailer",
            "Set-Cookie",
            "TE",
            "",
            "a b",
            "Authorization",
            "Proxy-Authorization",
            "Cookie",
            "X-Api-Key",
            "X-Auth",
            "x-amz-security-token",
            "X-Secret",
            "X-Session-Id",
            "X-Password",
        ] {
            let config = json!({"url": "https://example.com", "headers": {name: "x"}});
            assert_eq!(super::super::open("webhook", &config).unwrap_err().path, format!("headers.{name}"));
        }
        for (config, place) in [
            (json!({"headers": {"X-Team": "Bearer abc"}}), "headers.X-Team"),
            (json!({"secret_headers": {"Host": "$secret"}}), "secret_headers.Host"),
            (json!({"secret_headers": {"X-Api-Key": "abc"}}), "secret_headers.X-Api-Key"),
            (json!({"secret_headers": {"X-Api-Key": "$secret$secret"}}), "secret_headers.X-Api-Key"),
            (json!({"url": "https://example.com/?a=1&api_key=2"}), "url"),
            (json!({"url": "https://example.com/?sig=2"}), "url"),
        ] {
            let mut whole = json!({"url": "https://example.com"});
            whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
            assert_eq!(super::super::open("webhook", &whole).unwrap_err().path, place);
        }
        let plain = json!({"url": "https://example.com/?team=crm", "headers": {"X-Team": "crm", "Accept": "*/*"}});
        assert!(!super::super::open("webhook", &plain).unwrap().reveals_secret());
    }

    #[test]
    fn a_header_holds_the_secret() {
        let config = json!({"url": "https://example.com",
            "secret_headers": {"Authorization": "Bearer $secret", "X-Api-Key": "$secret"}});
        let hook = super::super::open("webhook", &config).unwrap();
        assert!(hook.reveals_secret());
        let batch = Batch { action: Action::Add, rows: &[] };
        let request = hook.request(&batch, &Map::new(), &Context::default(), "abc");
        assert!(request.headers.contains(&("Authorization".to_owned(), "Bearer abc".to_owned())));
        assert!(request.headers.contains(&("X-Api-Key".to_owned(), "abc".to_owned())));
        assert!(hook.check_secret("abc").is_ok() && hook.check_secret("ä").is_err());
    }
}
