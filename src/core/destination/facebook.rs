//! Facebook Custom Audiences. Source: Meta's guide to customer file custom audiences and the reference of
//! `/{audience}/users`, September 2026.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::config::{BadConfig, Config, bad};
use super::meta::{self, KEYS, Mapping, Person, authorised};
use super::{
    Action, Batch, Context, Destination, Identity, Keeps, Outcome, Probe, Request, Response, Row, Setup, Skip,
};

/// Maximum number of rows in a request of the API.
const MOST_ROWS: usize = 10_000;

#[derive(Debug)]
struct Facebook {
    account: String,
    audience: Option<String>,
    name: Option<String>,
    mapping: Mapping,
    base: String,
    root: String,
    rows: usize,
    removals: usize,
}

pub(super) fn open(config: &mut Config<'_>) -> Result<Box<dyn Destination>, BadConfig> {
    let account = config.id("ad_account_id")?.ok_or_else(|| {
        bad(
            "ad_account_id",
            "is missing",
            "The number of the ad account, as in Meta's Ads Manager: \"ad_account_id\": \"1234\".",
        )
    })?;
    let audience = config.id("audience_id")?;
    let name = config.text("audience_name")?;
    if audience.is_some() == name.is_some() {
        return Err(bad(
            "audience_id",
            "and audience_name: exactly one of them is needed",
            "audience_id is the id of an existing audience. With audience_name, the audience of that name is used, or created if it does not exist.",
        ));
    }
    let (base, root) = meta::root(config)?;
    Ok(Box::new(Facebook {
        account,
        audience,
        name,
        mapping: Mapping::read(config)?,
        base,
        root,
        rows: config.number("batch_rows", (1, MOST_ROWS), 5_000)?,
        removals: config.number("removal_rows", (1, MOST_ROWS), 250)?,
    }))
}

impl Facebook {
    fn audience<'a>(&'a self, state: &'a Map<String, Value>) -> Option<&'a str> {
        self.audience.as_deref().or_else(|| state.get("audience_id").and_then(Value::as_str))
    }

    fn terms(&self) -> String {
        format!("https://business.facebook.com/ads/manage/customaudiences/tos/?act={}", self.account)
    }

    fn list(&self, after: Option<&str>) -> String {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        format!("{}/act_{}/customaudiences?fields=id,name&limit=200{after}", self.root, self.account)
    }

    fn create(&self, name: &str) -> Request {
        let body = json!({
            "name": name,
            "subtype": "CUSTOM",
            "description": "Kept by kursaha_cohort",
            "customer_file_source": "USER_PROVIDED_ONLY",
        });
        Request::json(
            "POST",
            format!("{}/act_{}/customaudiences", self.root, self.account),
            body.to_string().into_bytes(),
        )
    }
}

impl Destination for Facebook {
    fn keeps(&self) -> Keeps {
        Keeps::Set
    }

    fn batch_rows(&self, action: Action) -> usize {
        match action {
            Action::Add => self.rows,
            Action::Remove => self.removals,
        }
    }

    fn wants_profile(&self) -> bool {
        true
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

    fn shared(&self) -> bool {
        true
    }

    fn place(&self) -> Vec<&str> {
        vec![
            &self.base,
            &self.account,
            self.audience.as_deref().unwrap_or_default(),
            self.name.as_deref().unwrap_or_default(),
        ]
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

    fn without(&self, identity: &[u8], shared: &dyn Fn(i64) -> bool) -> Option<Vec<u8>> {
        Some(Person::of(identity).without(shared)?.identity().bytes)
    }

    fn set_up(&self, state: &mut Map<String, Value>, answer: Option<&Response>, secret: &str) -> Setup {
        if self.audience(state).is_some() {
            return Setup::Ready;
        }
        let Some(name) = &self.name else { return Setup::Ready };
        let Some(answer) = answer else {
            return Setup::Send(authorised(Request::get(self.list(None)), secret));
        };
        match meta::read(answer, false, 0, &self.terms()) {
            Outcome::Done(_) => {}
            other => return Setup::Failed(other),
        }
        let json = answer.json().unwrap_or_default();
        // The answer to a creation has an id and nothing else; that to a list has data.
        if let Some(id) = json.get("id").and_then(Value::as_str) {
            state.insert("audience_id".to_owned(), id.into());
            return Setup::Ready;
        }
        let Some(found) = json.get("data").and_then(Value::as_array) else {
            return Setup::Failed(Outcome::again("the list of audiences has no data"));
        };
        let ours = found.iter().find(|audience| audience.get("name").and_then(Value::as_str) == Some(name));
        if let Some(id) = ours.and_then(|audience| audience.get("id")?.as_str()) {
            state.insert("audience_id".to_owned(), id.into());
            return Setup::Ready;
        }
        let after = json.pointer("/paging/cursors/after").and_then(Value::as_str).filter(|after| {
            json.pointer("/paging/next").is_some()
                && after.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=%".contains(&byte))
        });
        match after {
            Some(after) => Setup::Send(authorised(Request::get(self.list(Some(after))), secret)),
            None => Setup::Send(authorised(self.create(name), secret)),
        }
    }

    fn request(&self, batch: &Batch<'_>, state: &Map<String, Value>, context: &Context, secret: &str) -> Request {
        let people: Vec<Person> = batch.rows.iter().map(|row| Person::of(&row.identity)).collect();
        let used: Vec<usize> = (0..KEYS.len()).filter(|place| people.iter().any(|person| person.has(*place))).collect();
        let mut body = String::with_capacity(200 + people.len() * used.len() * 67);
        // A session of its own for every request: repeated batches are then new sessions, which a lost answer needs.
        let session = i64::try_from(context.random >> 1).unwrap_or(1).max(1);
        let _ = write!(
            body,
            "{{\"session\":{{\"session_id\":{session},\"batch_seq\":1,\"last_batch_flag\":true,\"estimated_num_total\":{}}},\"payload\":{{\"schema\":[",
            people.len()
        );
        let names: Vec<String> = used.iter().map(|place| format!("\"{}\"", KEYS[*place])).collect();
        body.push_str(&names.join(","));
        body.push_str("],\"data\":[");
        for (index, person) in people.iter().enumerate() {
            body.push_str(if index == 0 { "[" } else { ",[" });
            for (column, place) in used.iter().enumerate() {
                if column > 0 {
                    body.push(',');
                }
                person.push(*place, &mut body);
            }
            body.push(']');
        }
        body.push_str("]}}");
        let method = match batch.action {
            Action::Add => "POST",
            Action::Remove => "DELETE",
        };
        let audience = self.audience(state).unwrap_or_default();
        authorised(Request::json(method, format!("{}/{audience}/users", self.root), body.into_bytes()), secret)
    }

    fn read(&self, action: Action, answer: &Response, now: i64) -> Outcome {
        meta::read(answer, action == Action::Remove, now, &self.terms())
    }

    fn probes(&self, state: &Map<String, Value>, _context: &Context, secret: &str) -> Vec<Probe> {
        let get = |what, url| Probe { what, request: authorised(Request::get(url), secret) };
        let mut probes = vec![get(
            "the token has access to the ad account",
            format!("{}/act_{}?fields=id,name,account_status", self.root, self.account),
        )];
        if let Some(audience) = self.audience(state) {
            probes
                .push(get("the audience exists", format!("{}/{audience}?fields=id,name,operation_status", self.root)));
        }
        probes
    }

    fn remark(&self, size: u64) -> Option<String> {
        (size < 100)
            .then(|| format!("the audience has {size} members; Facebook does not use audiences with fewer than 100"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(config: &Value) -> Box<dyn Destination> {
        super::super::open("facebook_ads", config).unwrap()
    }

    fn rows(destination: &dyn Destination, people: &[Value]) -> Vec<Row> {
        people
            .iter()
            .map(|profile| {
                let (identity, _) = destination.render("c", profile.as_object()).unwrap();
                Row { customer: "c".to_owned(), identity: identity.bytes, ..Row::default() }
            })
            .collect()
    }

    #[test]
    fn a_batch_as_the_api_takes_it() {
        let facebook = opened(&json!({"ad_account_id": "act_12", "audience_id": 77}));
        let rows =
            rows(&*facebook, &[json!({"email": "mary@example.com"}), json!({"phone": "15559876543", "gender": "?"})]);
        let context = Context { random: 9, ..Context::default() };
        let batch = Batch { action: Action::Add, rows: &rows };
        let request = facebook.request(&batch, &Map::new(), &context, "t0ken");
        assert_eq!((request.method, request.url.as_str()), ("POST", "https://graph.facebook.com/v25.0/77/users"));
        assert!(request.headers.contains(&("Authorization".to_owned(), "Bearer t0ken".to_owned())));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body,
            json!({
                "session": {"session_id": 4, "batch_seq": 1, "last_batch_flag": true, "estimated_num_total": 2},
                "payload": {"schema": ["EMAIL", "PHONE"], "data": [
                    ["f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79", ""],
                    ["", "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"],
                ]},
            })
        );
        let batch = Batch { action: Action::Remove, rows: &rows };
        assert_eq!(facebook.request(&batch, &Map::new(), &context, "t0ken").method, "DELETE");
        assert!(!format!("{request:?}").contains("t0ken"));
    }

    #[test]
    fn an_audience_is_found_by_its_name_or_created_once() {
        let facebook = opened(&json!({"ad_account_id": "12", "audience_name": "Lapsed"}));
        let answer = |body: Value| Response { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() };
        let mut state = Map::new();
        let Setup::Send(first) = facebook.set_up(&mut state, None, "t") else { panic!("no list") };
        assert!(first.url.ends_with("/act_12/customaudiences?fields=id,name&limit=200"));
        let page = answer(
            json!({"data": [{"id": "1", "name": "Other"}], "paging": {"cursors": {"after": "abc"}, "next": "x"}}),
        );
        let Setup::Send(second) = facebook.set_up(&mut state, Some(&page), "t") else { panic!("no second page") };
        assert!(second.url.ends_with("&after=abc"));
        let last = answer(json!({"data": []}));
        let Setup::Send(create) = facebook.set_up(&mut state, Some(&last), "t") else { panic!("no creation") };
        assert_eq!(create.method, "POST");
        assert!(matches!(facebook.set_up(&mut state, Some(&answer(json!({"id": "99"}))), "t"), Setup::Ready));
        assert_eq!(state.get("audience_id"), Some(&json!("99")));
        assert!(matches!(facebook.set_up(&mut state, None, "t"), Setup::Ready));
        let mut state = Map::new();
        let found = answer(json!({"data": [{"id": "5", "name": "Lapsed"}]}));
        assert!(matches!(facebook.set_up(&mut state, Some(&found), "t"), Setup::Ready));
        assert_eq!(state.get("audience_id"), Some(&json!("5")));
    }

    #[test]
    fn wrong_configurations_are_refused_with_their_place() {
        for (config, place) in [
            (json!({}), "ad_account_id"),
            (json!({"ad_account_id": "x"}), "ad_account_id"),
            (json!({"ad_account_id": "1"}), "audience_id"),
            (json!({"ad_account_id": "1", "audience_id": "2", "audience_name": "n"}), "audience_id"),
            (json!({"ad_account_id": "1", "audience_id": "2", "batch_rows": 10_001}), "batch_rows"),
            (json!({"ad_account_id": "1", "audience_id": "2", "mapping": {"MAIL": "x"}}), "mapping.MAIL"),
            (json!({"ad_account_id": "1", "audience_id": "2", "base_url": "http://x"}), "base_url"),
            (json!({"ad_account_id": "1", "audience_id": "2", "api_version": "25"}), "api_version"),
            (json!({"ad_account_id": "1", "audience_id": "2", "audience": "2"}), "audience"),
        ] {
            let error = super::super::open("facebook_ads", &config).unwrap_err();
            assert_eq!(error.path, place);
            assert!(!error.hint.is_empty());
        }
    }
}
