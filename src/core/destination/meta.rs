//! What Facebook audiences and Meta pixels share: which property is which key, members as digests, and what the Graph
//! API's answers mean (its error codes as of September 2026, `v25.0`).

use serde_json::{Map, Value};

use super::config::{BadConfig, Config, bad};
use super::exchange::{Outcome, Receipt, Request, Response};
use super::normalise::{self, Digest};
use super::redact::quote;
use super::{Identity, Row, Skip, key, key_of, property};
use crate::text;

const BASE: &str = "https://graph.facebook.com";
const VERSION: &str = "v25.0";

/// Where the API is, without and with its version.
pub(super) fn root(config: &mut Config<'_>) -> Result<(String, String), BadConfig> {
    let version = config.text("api_version")?.unwrap_or_else(|| VERSION.to_owned());
    check_version(&version)?;
    let base = config.base("base_url")?.unwrap_or_else(|| BASE.to_owned());
    let root = format!("{base}/{version}");
    Ok((base, root))
}

fn check_version(version: &str) -> Result<(), BadConfig> {
    let good = version.strip_prefix('v').and_then(|number| number.split_once('.')).is_some_and(|(major, minor)| {
        [major, minor].iter().all(|part| !part.is_empty() && part.len() < 4 && part.bytes().all(|b| b.is_ascii_digit()))
    });
    if good { Ok(()) } else { Err(bad("api_version", "is not a version", "Write for example v25.0.")) }
}

pub(super) fn authorised(request: Request, secret: &str) -> Request {
    request.with("Authorization", format!("Bearer {secret}"))
}

/// The keys of the API, in the order in which rows hold them.
pub(super) const KEYS: [&str; 14] =
    ["EXTERN_ID", "EMAIL", "PHONE", "MADID", "GEN", "DOBY", "DOBM", "DOBD", "FN", "LN", "CT", "ST", "ZIP", "COUNTRY"];
/// How many of them, from the first, identify a person by themselves.
const STRONG: usize = 4;
const EXTERN_ID: usize = 0;
const MADID: usize = 3;

/// What stands for the customer's own id in a mapping.
const CUSTOMER: &str = "$customer_id";

/// Names of a mapping and the properties that are looked at, in turn.
const DEFAULTS: &[(&str, &[&str])] = &[
    ("EXTERN_ID", &[]),
    ("EMAIL", &["email"]),
    ("PHONE", &["phone", "phoneNumber"]),
    ("MADID", &[]),
    ("GEN", &["gender"]),
    ("DOB", &["dob", "dateOfBirth"]),
    ("FN", &["firstName"]),
    ("LN", &["lastName"]),
    ("CT", &["city"]),
    ("ST", &["state"]),
    ("ZIP", &["zip", "zipcode"]),
    ("COUNTRY", &["country", "countryCode"]),
];

/// Which property is which key.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    /// By the place in [`DEFAULTS`].
    properties: Vec<Vec<String>>,
}

impl Mapping {
    /// Reads `mapping`: `{"EMAIL": "contact.email", "PHONE": ["mobile", "phone"], "GEN": null}`.
    pub(super) fn read(config: &mut Config<'_>) -> Result<Self, BadConfig> {
        let mut properties: Vec<Vec<String>> =
            DEFAULTS.iter().map(|(_, paths)| paths.iter().map(|path| (*path).to_owned()).collect()).collect();
        let given = match config.take("mapping") {
            None => return Ok(Self { properties }),
            Some(Value::Object(given)) => given,
            Some(_) => {
                return Err(bad("mapping", "must be an object", "Write for example {\"EMAIL\": \"contact.email\"}."));
            }
        };
        for (name, value) in given {
            let path = format!("mapping.{name}");
            let Some(place) = DEFAULTS.iter().position(|(known, _)| known == name) else {
                let names = DEFAULTS.iter().map(|(known, _)| *known);
                let hint = match text::nearest(name, names.clone()) {
                    Some(near) => format!("Did you mean \"{near}\"?"),
                    None => format!("The keys are {}.", names.collect::<Vec<_>>().join(", ")),
                };
                return Err(bad(&path, "is not a key of the API", hint));
            };
            let wrong = || {
                bad(
                    &path,
                    "must be the name of a property, a list of such names, or null",
                    format!("{CUSTOMER} is the customer's id."),
                )
            };
            properties[place] = match value {
                Value::Null => Vec::new(),
                Value::String(property) if !property.is_empty() => vec![property.clone()],
                Value::Array(list) if list.len() <= 10 => {
                    let names: Option<Vec<String>> = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                    names.ok_or_else(wrong)?
                }
                _ => return Err(wrong()),
            };
        }
        Ok(Self { properties })
    }

    pub(super) fn fingerprint(&self) -> i64 {
        key_of(&format!("{:?}", self.properties))
    }

    /// What is made of the first of a key's properties of which anything can be made.
    fn first<T>(
        &self,
        name: &str,
        customer: &str,
        profile: Option<&Map<String, Value>>,
        made: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let place = DEFAULTS.iter().position(|(known, _)| *known == name)?;
        self.properties[place].iter().find_map(|path| {
            if path == CUSTOMER {
                return made(customer);
            }
            match property(profile?, path)? {
                Value::String(text) if !text.trim().is_empty() => made(text),
                Value::Number(number) => made(&number.to_string()),
                _ => None,
            }
        })
    }

    /// The properties that the configuration names.
    pub(super) fn named(&self) -> Vec<&str> {
        let is_default = |place: usize, path: &String| DEFAULTS[place].1.contains(&path.as_str());
        let named =
            self.properties.iter().enumerate().flat_map(|(place, paths)| {
                paths.iter().filter(move |path| *path != CUSTOMER && !is_default(place, path))
            });
        named.map(String::as_str).collect()
    }

    /// A member as Meta knows them. A value that is none is left out; a member without any identifying one is skipped.
    pub(super) fn render(&self, customer: &str, profile: Option<&Map<String, Value>>) -> Result<Person, Skip> {
        let mut person = Person::default();
        // Keeps a value: a digest as it is, anything else normalised and digested.
        let kept = |name: &str, normalise: &dyn Fn(&str) -> Option<String>| {
            self.first(name, customer, profile, |value| {
                normalise::hashed_before(value).or_else(|| normalise(value).map(|clean| normalise::digest(&clean)))
            })
        };
        person.extern_id = self.first("EXTERN_ID", customer, profile, |id| {
            Some(id.trim().to_owned()).filter(|id| !id.is_empty() && id.len() < 512)
        });
        person.madid = self.first("MADID", customer, profile, |id| normalise::madid(id).filter(|id| id.len() < 512));
        let hashed = &mut person.hashed;
        hashed[1] = kept("EMAIL", &normalise::email);
        hashed[2] = kept("PHONE", &normalise::phone);
        hashed[4] = kept("GEN", &normalise::gender);
        if let Some(parts) = self.first("DOB", customer, profile, normalise::birth) {
            for (place, part) in parts.iter().enumerate() {
                hashed[5 + place] = Some(normalise::digest(part));
            }
        }
        hashed[8] = kept("FN", &normalise::name);
        hashed[9] = kept("LN", &normalise::name);
        hashed[10] = kept("CT", &normalise::city);
        let code = self.first("COUNTRY", customer, profile, normalise::country);
        hashed[11] = kept("ST", &|value| normalise::state(value, code.as_deref()));
        hashed[12] = kept("ZIP", &|value| normalise::zip(value, code.as_deref()));
        hashed[13] = kept("COUNTRY", &normalise::country);
        if person.is_known() { Ok(person) } else { Err(Skip("missing_identifier")) }
    }
}

/// A member in the API's keys: digests by their place in [`KEYS`], and the two that are not digested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) hashed: [Option<Digest>; KEYS.len()],
    pub(super) extern_id: Option<String>,
    pub(super) madid: Option<String>,
}

impl Person {
    fn is_known(&self) -> bool {
        self.extern_id.is_some() || self.madid.is_some() || self.hashed[1].is_some() || self.hashed[2].is_some()
    }

    /// The number that stands for an identifying value; the key's place keeps an email from meeting a phone.
    fn strong(&self, place: usize) -> Option<i64> {
        match place {
            EXTERN_ID => self.extern_id.as_deref().map(key_of),
            MADID => self.madid.as_deref().map(key_of),
            _ => self.hashed[place].as_ref().map(|digest| key(digest)),
        }
    }

    /// What is kept of a member: which keys there are, then each value.
    pub(super) fn identity(&self) -> Identity {
        let mut mask = 0_u16;
        let mut values = Vec::with_capacity(2 + 32 * 6);
        for place in 0..KEYS.len() {
            let text = match place {
                EXTERN_ID => self.extern_id.as_deref(),
                MADID => self.madid.as_deref(),
                _ => None,
            };
            if let Some(text) = text {
                mask |= 1 << place;
                values.extend_from_slice(&u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
                values.extend_from_slice(text.as_bytes());
            } else if let Some(digest) = &self.hashed[place] {
                mask |= 1 << place;
                values.extend_from_slice(digest);
            }
        }
        let mut bytes = mask.to_le_bytes().to_vec();
        bytes.append(&mut values);
        let keys = (0..STRONG).filter_map(|place| self.strong(place)).collect();
        Identity { bytes, keys }
    }

    /// The member of an identity; of bytes that are none, whatever of them can be read.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut person = Self::default();
        let mut rest = bytes;
        let Some(mask) = take::<2>(&mut rest).map(u16::from_le_bytes) else { return person };
        for place in (0..KEYS.len()).filter(|place| mask >> place & 1 == 1) {
            if place == EXTERN_ID || place == MADID {
                let length = take::<2>(&mut rest).map_or(0, |length| usize::from(u16::from_le_bytes(length)));
                let Some((text, behind)) = rest.split_at_checked(length) else { break };
                rest = behind;
                let text = Some(String::from_utf8_lossy(text).into_owned());
                if place == EXTERN_ID { person.extern_id = text } else { person.madid = text }
            } else {
                person.hashed[place] = take::<32>(&mut rest);
            }
        }
        person
    }

    /// The member without the identifying values that others share.
    pub(super) fn without(mut self, shared: &dyn Fn(i64) -> bool) -> Option<Self> {
        for place in 0..STRONG {
            if self.strong(place).is_some_and(shared) {
                match place {
                    EXTERN_ID => self.extern_id = None,
                    MADID => self.madid = None,
                    _ => self.hashed[place] = None,
                }
            }
        }
        self.is_known().then_some(self)
    }

    /// Whether there is a value for a key.
    pub(super) fn has(&self, place: usize) -> bool {
        match place {
            EXTERN_ID => self.extern_id.is_some(),
            MADID => self.madid.is_some(),
            _ => self.hashed[place].is_some(),
        }
    }

    /// Appends a value as JSON: `""` where there is none.
    pub(super) fn push(&self, place: usize, out: &mut String) {
        let text = match place {
            EXTERN_ID => self.extern_id.as_deref(),
            MADID => self.madid.as_deref(),
            _ => None,
        };
        if let Some(text) = text {
            out.push_str(&Value::from(text).to_string());
            return;
        }
        out.push('"');
        if let Some(digest) = &self.hashed[place] {
            normalise::push_hex(out, digest);
        }
        out.push('"');
    }
}

/// What of a member stands in a request as it is.
pub(super) fn sent(row: &Row) -> Vec<String> {
    let person = Person::of(&row.identity);
    [Some(row.customer.clone()), person.extern_id, person.madid].into_iter().flatten().collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

/// The meaning of a response of the Graph API. `terms` is the address where the terms of this account are accepted.
pub(super) fn read(answer: &Response, removal: bool, now: i64, terms: &str) -> Outcome {
    let json = answer.json();
    if let Some(error) = json.as_ref().and_then(|json| json.get("error")) {
        return of_error(answer, error, removal, now, terms);
    }
    match answer.status {
        200..=299 => match json {
            Some(json) => Outcome::Done(receipt(&json)),
            // Removals answer with all sorts of things.
            None if removal => Outcome::done(),
            None => Outcome::again("the response is not valid JSON"),
        },
        429 => Outcome::Wait { why: "too many requests".to_owned(), seconds: wait(answer, now) },
        413 => Outcome::Again { why: "the request is too large".to_owned(), smaller: true },
        status => Outcome::again(format!("status {status} without an explanation")),
    }
}

fn receipt(json: &Value) -> Receipt {
    let invalid = json.get("num_invalid_entries").and_then(Value::as_u64).unwrap_or(0);
    let mut reasons: Vec<(String, u64)> = Vec::new();
    let mut count = |reason: &Value| {
        let reason = match reason {
            Value::String(text) => quote(text),
            Value::Object(parts) => parts
                .iter()
                .find(|(_, value)| value.is_string())
                .map_or_else(String::new, |(_, value)| quote(value.as_str().unwrap_or_default())),
            _ => return,
        };
        if let Some((_, count)) = reasons.iter_mut().find(|(known, _)| *known == reason) {
            *count += 1;
        } else if reasons.len() < 20 {
            reasons.push((reason, 1));
        }
    };
    match json.get("invalid_entry_samples") {
        // The reason is the value; the key is the sample.
        Some(Value::Object(samples)) => samples.values().for_each(&mut count),
        Some(Value::Array(samples)) => samples.iter().for_each(&mut count),
        _ => {}
    }
    Receipt { invalid, reasons }
}

/// The delay that the headers request, in seconds.
fn wait(answer: &Response, now: i64) -> Option<u64> {
    if let Some(seconds) = answer.retry_after(now) {
        return Some(seconds);
    }
    let usage: Value = serde_json::from_str(answer.header("x-business-use-case-usage")?).ok()?;
    let minutes = usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|entry| entry.get("estimated_time_to_regain_access")?.as_u64())
        .max()?;
    Some(minutes.saturating_mul(60))
}

const NEW_TOKEN: &str =
    "Put a valid token of a system user with ads_management into the secret, then cohort_sync_resume.";

fn of_error(answer: &Response, error: &Value, removal: bool, now: i64, terms: &str) -> Outcome {
    let number = |key: &str| error.get(key).and_then(Value::as_i64).unwrap_or(0);
    let (code, subcode) = (number("code"), number("error_subcode"));
    let said = error.get("message").and_then(Value::as_str).unwrap_or("no message");
    let place = if subcode == 0 { format!("code {code}") } else { format!("code {code}/{subcode}") };
    let why = format!("{} ({place})", quote(said));
    let transient = error.get("is_transient").and_then(Value::as_bool).unwrap_or(false);
    let too_much = said.to_ascii_lowercase().contains("reduce the amount");
    match (code, subcode) {
        (4 | 17 | 32 | 613 | 80_000..=80_014, _) => Outcome::Wait { why, seconds: wait(answer, now) },
        _ if answer.status == 429 => Outcome::Wait { why, seconds: wait(answer, now) },
        (190 | 102 | 104, _) => Outcome::attention(why, NEW_TOKEN),
        (200, 1_870_034 | 1_870_090) | (2655 | 2663, _) => Outcome::attention(
            why,
            format!("Accept the terms for custom audiences of this ad account at {terms}, then cohort_sync_resume."),
        ),
        (200, 1_870_047) if removal => Outcome::Deferred { why },
        (100, 1_713_230) | (471 | 1_487_301 | 1_487_366 | 2635, _) => Outcome::attention(
            why,
            "The audience was flagged or deleted, or the API version has expired: see Meta's Ads Manager, then call cohort_destination_update.",
        ),
        (100, 33) | (10 | 200..=299, _) => Outcome::attention(
            why,
            "Give the user of the token access to this ad account and audience in Meta's Business settings, check the ids, and call cohort_sync_resume.",
        ),
        _ if too_much || answer.status == 413 => Outcome::Again { why, smaller: true },
        (1 | 2, _) => Outcome::again(why),
        _ if transient || answer.status >= 500 => Outcome::again(why),
        (100 | 105 | 194, _) => Outcome::BadRows { why },
        _ => Outcome::again(why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &Value) -> Response {
        Response { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    fn error(code: i64, subcode: i64) -> Outcome {
        let body = json!({"error": {"message": "no", "code": code, "error_subcode": subcode}});
        read(&answer(400, &body), true, 0, "https://terms")
    }

    #[test]
    fn every_class_of_error() {
        assert!(matches!(error(1, 0), Outcome::Again { smaller: false, .. }));
        assert!(matches!(error(2, 0), Outcome::Again { .. }));
        for code in [4, 17, 32, 613, 80_000, 80_003, 80_014] {
            assert!(matches!(error(code, 0), Outcome::Wait { .. }), "{code}");
        }
        for (code, subcode) in [
            (190, 0),
            (102, 0),
            (104, 0),
            (10, 0),
            (200, 0),
            (294, 0),
            (100, 33),
            (200, 1_870_050),
            (100, 1_713_230),
            (471, 0),
            (2635, 0),
        ] {
            assert!(matches!(error(code, subcode), Outcome::Attention { .. }), "{code}/{subcode}");
        }
        for (code, subcode) in [(200, 1_870_034), (200, 1_870_090), (2655, 0), (2663, 0)] {
            assert!(matches!(error(code, subcode), Outcome::Attention { hint, .. } if hint.contains("https://terms")));
        }
        assert!(matches!(error(200, 1_870_047), Outcome::Deferred { .. }));
        for code in [100, 105, 194] {
            assert!(matches!(error(code, 1), Outcome::BadRows { .. }), "{code}");
        }
        let large = json!({"error": {"message": "Please reduce the amount of data", "code": 1}});
        assert!(matches!(read(&answer(500, &large), false, 0, ""), Outcome::Again { smaller: true, .. }));
    }

    #[test]
    fn an_error_inside_200_is_an_error() {
        let body = json!({"error": {"message": "no", "code": 190}});
        assert!(matches!(read(&answer(200, &body), false, 0, ""), Outcome::Attention { .. }));
    }

    #[test]
    fn answers_that_are_no_json() {
        let html = Response { status: 200, headers: Vec::new(), body: b"<html>".to_vec() };
        assert!(matches!(read(&html, false, 0, ""), Outcome::Again { .. }));
        assert_eq!(read(&html, true, 0, ""), Outcome::done());
        let html = Response { status: 502, ..html };
        assert!(matches!(read(&html, true, 0, ""), Outcome::Again { .. }));
    }

    #[test]
    fn the_wait_stands_in_one_of_two_headers() {
        let usage = json!({"1234": [{"type": "ads_management", "estimated_time_to_regain_access": 7}]}).to_string();
        let mut answer = answer(400, &json!({"error": {"code": 80_003, "message": "slow"}}));
        assert!(matches!(read(&answer, false, 0, ""), Outcome::Wait { seconds: None, .. }));
        answer.headers = vec![("x-business-use-case-usage".to_owned(), usage)];
        assert!(matches!(read(&answer, false, 0, ""), Outcome::Wait { seconds: Some(420), .. }));
        answer.headers.push(("retry-after".to_owned(), "9".to_owned()));
        assert!(matches!(read(&answer, false, 0, ""), Outcome::Wait { seconds: Some(9), .. }));
    }

    #[test]
    fn invalid_entries_are_counted_and_their_samples_left_out() {
        let body = json!({"num_received": 3, "num_invalid_entries": 2,
            "invalid_entry_samples": {"mary@example.com": "bad hash", "x": "bad hash"}});
        let Outcome::Done(receipt) = read(&answer(200, &body), false, 0, "") else { panic!("no receipt") };
        assert_eq!(receipt, Receipt { invalid: 2, reasons: vec![(quote("bad hash"), 2)] });
    }

    #[test]
    fn a_person_survives_being_kept() {
        let profile = json!({"email": "Mary@example.com", "phone": "+1 555 987 6543", "gender": "FEMALE", "dob": "1990-02-03",
            "firstName": "Mary", "city": "São Paulo", "country": "BR", "crm": "k-1"});
        let config = json!({"mapping": {"EXTERN_ID": "crm", "MADID": "$customer_id"}});
        let mapping = Mapping::read(&mut Config::new(&config).unwrap()).unwrap();
        let person = mapping.render("c1", profile.as_object()).unwrap();
        let identity = person.identity();
        assert_eq!(Person::of(&identity.bytes), person);
        assert_eq!(identity.keys.len(), 4);
        let shared = identity.keys[1];
        let rest = person.clone().without(&|key| key == shared).unwrap();
        assert!(rest.hashed[1].is_none() && rest.hashed[2].is_some());
        assert_eq!(person.without(&|_| true), None);
        // Bytes that are no identity are read without a panic.
        for length in 0..identity.bytes.len() {
            Person::of(&identity.bytes[..length]);
        }
    }

    #[test]
    fn a_value_that_is_none_gives_way_to_the_next_property() {
        let both = |config: &Value, profile: Value| {
            let mapping = Mapping::read(&mut Config::new(config).unwrap()).unwrap();
            mapping.render("c1", profile.as_object()).unwrap()
        };
        let config = json!({});
        let phone = |text| Some(normalise::digest(text));
        assert_eq!(
            both(&config, json!({"phone": "n/a", "phoneNumber": "15559876545"})).hashed[2],
            phone("15559876545")
        );
        assert_eq!(both(&config, json!({"phone": "", "phoneNumber": "15559876545"})).hashed[2], phone("15559876545"));
        assert_eq!(
            both(&config, json!({"phone": true, "phoneNumber": 15_559_876_545_u64})).hashed[2],
            phone("15559876545")
        );
        let birth = both(&config, json!({"email": "a@b.c", "dob": "unknown", "dateOfBirth": "1990-02-03"}));
        assert_eq!(birth.hashed[5], Some(normalise::digest("1990")));
        let state = both(
            &config,
            json!({"email": "a@b.c", "zip": "-", "zipcode": "94105", "country": "?", "countryCode": "US"}),
        );
        assert!(state.hashed[12].is_some());
        assert_eq!(state.hashed[13], Some(normalise::digest("us")));
        let config = json!({"mapping": {"EMAIL": ["a", "b", "$customer_id"], "MADID": ["m", "n"]}});
        let person =
            both(&config, json!({"a": "x", "b": "y@z.w", "m": " ", "n": "38400000-8CF0-11BD-B23E-10B96E4EF00D"}));
        assert_eq!(person.hashed[1], Some(normalise::digest("y@z.w")));
        assert!(person.madid.is_some());
        let mapping = Mapping::read(&mut Config::new(&config).unwrap()).unwrap();
        assert_eq!(mapping.named(), ["a", "b", "m", "n"]);
    }

    #[test]
    fn a_member_without_an_identifying_value_is_skipped() {
        let config = json!({});
        let mapping = Mapping::read(&mut Config::new(&config).unwrap()).unwrap();
        let profile = json!({"email": "nobody", "phone": 12, "firstName": "Mary"});
        assert_eq!(mapping.render("c1", profile.as_object()), Err(Skip("missing_identifier")));
        assert_eq!(mapping.render("c1", None), Err(Skip("missing_identifier")));
        let profile = json!({"phoneNumber": 15_559_876_543_u64, "gender": "x"});
        let person = mapping.render("c1", profile.as_object()).unwrap();
        assert!(person.hashed[2].is_some() && person.hashed[4].is_none());
    }
}
