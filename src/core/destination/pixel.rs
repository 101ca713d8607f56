//! Meta's Conversions API: an event when a customer enters a cohort. Source: its guide of September 2026.

use serde_json::{Map, Value, json};

use super::config::{BadConfig, Config, bad};
use super::meta::{self, Mapping, Person, authorised};
use super::normalise;
use super::{Action, Batch, Context, Destination, Identity, Keeps, Outcome, Probe, Request, Response, Row, Skip};

/// Maximum number of events in a request of the API.
const MOST_EVENTS: usize = 1_000;

/// Events older than this are refused, with the whole batch; a minute is left for the way.
const OLDEST_SECONDS: i64 = 7 * 86_400 - 60;

#[derive(Debug)]
struct Pixel {
    id: String,
    event: String,
    mapping: Mapping,
    base: String,
    root: String,
    rows: usize,
}

pub(super) fn open(config: &mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig> {
    let id = config
        .id("pixel_id")?
        .ok_or_else(|| bad("pixel_id", "is missing", "The number of the pixel, as in Meta's Events Manager."))?;
    let event = config.need("event_name", "The event's name, for example \"event_name\": \"Lead\".")?;
    let (base, root) = meta::root(config)?;
    Ok(Box::new(Pixel {
        id,
        event,
        mapping: Mapping::read(config)?,
        base,
        root,
        rows: config.number("batch_rows", (1, MOST_EVENTS), MOST_EVENTS)?,
    }))
}

/// Names of this API, with the places of [`meta::KEYS`]; the digits of a birth day are one value here.
const NAMES: [(&str, usize); 9] =
    [("em", 1), ("ph", 2), ("ge", 4), ("fn", 8), ("ln", 9), ("ct", 10), ("st", 11), ("zp", 12), ("country", 13)];

impl Pixel {
    /// The same for one entry of one customer however often it is sent, so that repeats are known for what they are.
    fn event_id(&self, customer: &str, entered_at: i64, sync: i64) -> String {
        let mut id = String::with_capacity(64);
        let text = format!("{}\n{}\n{sync}\n{entered_at}\n{customer}", self.id, self.event);
        normalise::push_hex(&mut id, &normalise::digest(&text));
        id
    }
}

impl Destination for Pixel {
    fn keeps(&self) -> Keeps {
        Keeps::Nothing
    }

    fn batch_rows(&self, _action: Action) -> usize {
        self.rows
    }

    fn wants_profile(&self) -> bool {
        true
    }

    fn oldest_seconds(&self) -> Option<i64> {
        Some(OLDEST_SECONDS)
    }

    fn properties(&self) -> Vec<&str> {
        self.mapping.named()
    }

    fn sent(&self, row: &Row) -> Vec<String> {
        meta::sent(row)
    }

    fn fingerprint(&self) -> i64 {
        self.mapping.fingerprint()
    }

    fn place(&self) -> Vec<&str> {
        vec![&self.base, &self.id, &self.event]
    }

    fn secret(&self) -> Option<&'static str> {
        Some("an access token")
    }

    fn reveals_secret(&self) -> bool {
        true
    }

    fn url(&self) -> Option<String> {
        Some(self.root.clone())
    }

    fn render(&self, customer: &str, profile: Option<&Map<String, Value>>) -> Result<(Identity, Option<String>), Skip> {
        Ok((self.mapping.render(customer, profile)?.identity(), None))
    }

    fn request(&self, batch: &Batch<'_>, _state: &Map<String, Value>, context: &Context, secret: &str) -> Request {
        let events: Vec<Value> = batch
            .rows
            .iter()
            .map(|row| {
                let person = Person::of(&row.identity);
                let mut user = Map::new();
                for (name, place) in NAMES {
                    if let Some(digest) = &person.hashed[place] {
                        let mut hex = String::with_capacity(64);
                        normalise::push_hex(&mut hex, digest);
                        user.insert(name.to_owned(), json!([hex]));
                    }
                }
                if let Some(id) = &person.extern_id {
                    user.insert("external_id".to_owned(), json!([id]));
                }
                if let Some(id) = &person.madid {
                    user.insert("madid".to_owned(), json!(id));
                }
                json!({
                    "event_name": self.event,
                    "event_time": row.entered_at / 1_000_000,
                    "event_id": self.event_id(&row.customer, row.entered_at, context.sync),
                    "action_source": "system_generated",
                    "user_data": user,
                    "custom_data": {"cohort": context.cohort},
                })
            })
            .collect();
        let body = json!({"data": events}).to_string().into_bytes();
        authorised(Request::json("POST", format!("{}/{}/events", self.root, self.id), body), secret)
    }

    fn read(&self, _action: Action, answer: &Response, now: i64) -> Outcome {
        meta::read(answer, false, now, "https://business.facebook.com/events_manager")
    }

    fn probes(&self, _state: &Map<String, Value>, _context: &Context, secret: &str) -> Vec<Probe> {
        vec![Probe {
            what: "the token has access to the pixel",
            request: authorised(Request::get(format!("{}/{}?fields=id,name", self.root, self.id)), secret),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_event_id_and_another_entry_another() {
        let pixel = super::super::open("meta_pixel", &json!({"pixel_id": "7", "event_name": "Lead"})).unwrap();
        let profile = json!({"email": "mary@example.com", "country": "us"});
        let (identity, _) = pixel.render("c1", profile.as_object()).unwrap();
        let row = |entered_at| Row {
            customer: "c1".to_owned(),
            identity: identity.bytes.clone(),
            entered_at,
            ..Row::default()
        };
        let id = |entered_at, random| {
            let context = Context { sync: 3, random, ..Context::default() };
            let rows = [row(entered_at)];
            let request = pixel.request(&Batch { action: Action::Add, rows: &rows }, &Map::new(), &context, "t");
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(
                body["data"][0]["user_data"]["em"][0],
                "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"
            );
            assert_eq!(body["data"][0]["event_time"], entered_at / 1_000_000);
            body["data"][0]["event_id"].as_str().unwrap().to_owned()
        };
        assert_eq!(id(5_000_000, 1), id(5_000_000, 2));
        assert_ne!(id(5_000_000, 1), id(6_000_000, 1));
    }
}
