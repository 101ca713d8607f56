//! A webhook: JSON posted to an address, signed so that the receiver knows who sent it, with a key by which it knows a
//! repeat.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::config::{BadConfig, Config, bad};
use super::normalise;
use super::{
    Action, Batch, Context, Destination, Identity, Keeps, Outcome, Probe, Request, Response, Skip, included, key_of,
    redact,
};

#[derive(Debug)]
struct Webhook {
    url: String,
    headers: Vec<(String, String)>,
    rows: usize,
    include: Vec<String>,
}

/// Headers that are ours, or would change how the request is understood.
const RESERVED: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "te",
    "transfer-encoding",
    "x-cohort-signature",
];

pub(super) fn open(config: &mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig> {
    let url = config
        .url("url")?
        .ok_or_else(|| bad("url", "is missing", "Where to post: \"url\": \"https://example.com/hook\"."))?;
    let mut headers = Vec::new();
    match config.take("headers") {
        None => {}
        Some(Value::Object(given)) if given.len() <= 20 => {
            for (name, value) in given {
                let path = format!("headers.{name}");
                let token =
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
                if !token || RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                    return Err(bad(
                        &path,
                        "cannot be set",
                        "Secrets do not belong here; the signature proves who sent it.",
                    ));
                }
                let Some(value) = value
                    .as_str()
                    .filter(|value| value.len() <= 1000 && value.chars().all(|c| c == ' ' || c.is_ascii_graphic()))
                else {
                    return Err(bad(
                        &path,
                        "must be a text of printable ASCII characters",
                        "Write for example \"X-Team\": \"crm\".",
                    ));
                };
                headers.push((name.clone(), value.to_owned()));
            }
        }
        Some(_) => {
            return Err(bad(
                "headers",
                "must be an object of at most 20 texts",
                "Write for example {\"X-Team\": \"crm\"}.",
            ));
        }
    }
    Ok(Box::new(Webhook {
        url,
        headers,
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

    fn fingerprint(&self) -> i64 {
        key_of(&self.include.join("\n"))
    }

    fn secret(&self) -> Option<&'static str> {
        Some("the key of the signature")
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
        // With a digest of the body: after a crash a batch may be put together anew with other properties, and is then
        // another message.
        let mut digest = String::new();
        normalise::push_hex(&mut digest, &normalise::digest(&body)[..8]);
        let key = format!("{}-{}-{}-{digest}", context.sync, context.run, context.batch);
        self.signed(body.into_bytes(), &key, context.now, secret)
    }

    fn read(&self, _action: Action, answer: &Response, now: i64) -> Outcome {
        let said = redact(&String::from_utf8_lossy(&answer.body), &[]);
        let why = format!("status {}{}{said}", answer.status, if said.is_empty() { "" } else { ": " });
        match answer.status {
            200..=299 => Outcome::done(),
            413 => Outcome::Again { why, smaller: true },
            429 => Outcome::Wait { why, seconds: answer.retry_after(now) },
            503 if answer.header("retry-after").is_some() => Outcome::Wait { why, seconds: answer.retry_after(now) },
            400 | 422 => Outcome::BadRows { why },
            300..=399 => Outcome::attention(why, "Redirects are not followed: set url to where it leads."),
            401 | 403 => Outcome::attention(why, "Give the receiver the same secret, then cohort_sync_resume."),
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
            what: "the receiver takes a signed request without members",
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
    fn headers_of_ours_cannot_be_set() {
        for name in ["Authorization", "Content-Length", "X-Cohort-Signature", "", "a b"] {
            let config = json!({"url": "https://example.com", "headers": {name: "x"}});
            assert_eq!(super::super::open("webhook", &config).unwrap_err().path, format!("headers.{name}"));
        }
    }
}
