//! Evaluation of an unsaved rule, with the numbers of each condition.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::customers::AsOf;
use super::reach::{Reachable, reach};
use super::shapes::Preview;
use super::{Answer, Body, Query, malformed, text};
use crate::caller::Caller;
use crate::database::{Mode, Work};
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// The most running sizes of groups that one preview counts.
const RUNNING: usize = 24;

/// A rule that is not saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unsaved {
    #[schema(value_type = Object)]
    rule: Box<RawValue>,
    /// How many customers are shown.
    #[schema(minimum = 0, maximum = 100)]
    sample: Option<i32>,
    as_of: Option<String>,
    /// Whether plain SQL is given too.
    sql: Option<bool>,
    /// Whether it is counted how many can be reached at each destination.
    reach: Option<bool>,
}

#[derive(Deserialize, Serialize)]
struct Line {
    path: String,
    condition: String,
    customers: i64,
    events: Option<i64>,
    leaves: Option<i64>,
    took_ms: Value,
    how: String,
}

#[derive(Serialize)]
struct Found {
    valid: bool,
    problems: Box<RawValue>,
    size: Option<i64>,
    universe: Option<i64>,
    sample: Box<RawValue>,
    reach: Option<Vec<Reachable>>,
    conditions: Vec<Line>,
    words: Option<String>,
    rule: Option<Box<RawValue>>,
    sql: Option<String>,
    took_ms: f64,
}

/// What a rule would select: sizes, a sample, each condition's numbers; its problems if it is invalid.
#[utoipa::path(post, path = "/v1/preview", tag = "rules", params(AsOf), request_body = Unsaved,
    responses((status = 200, body = Preview), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn preview(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(at): Query<AsOf>,
    Body(mut given): Body<Unsaved>,
) -> Fallible<Answer<Preview>> {
    let begun = std::time::Instant::now();
    if given.as_of.is_some() && at.as_of.is_some() {
        return Err(Failure::bad_request("as_of can be in the query string or in the body, not in both"));
    }
    given.as_of = given.as_of.or(at.as_of);
    let sample = given.sample.unwrap_or(10);
    if !(0..=100).contains(&sample) {
        return Err(Failure::bad_request("sample must be 0 to 100"));
    }
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let rule = given.rule.get();
    let problems = text(
        &work,
        "SELECT coalesce(jsonb_agg(to_jsonb(v)), '[]')::text FROM {s}.cohort_validate($1::text::jsonb) v",
        &[&rule],
    )
    .await?;
    let valid = problems == "[]";
    let mut found = Found {
        valid,
        problems: raw(problems)?,
        size: None,
        universe: None,
        sample: raw("[]".to_owned())?,
        reach: None,
        conditions: Vec::new(),
        words: None,
        rule: None,
        sql: None,
        took_ms: 0.0,
    };
    if valid {
        fill(&work, &mut found, &given, sample).await?;
    }
    work.commit().await?;
    found.took_ms = begun.elapsed().as_secs_f64() * 1000.0;
    Ok(Answer::new(serde_json::to_string(&found).map_err(|error| malformed(&error))?))
}

fn raw(text: String) -> Fallible<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| malformed(&error))
}

async fn fill(work: &Work, found: &mut Found, given: &Unsaved, sample: i32) -> Fallible<()> {
    let (rule, as_of) = (given.rule.get(), &given.as_of);
    let row = work
        .row(
            "SELECT p.size, p.universe, (SELECT coalesce(jsonb_agg(jsonb_build_object('customer_id', m.id, 'profile', c.profile) ORDER BY m.n), '[]') \
                 FROM unnest(p.sample) WITH ORDINALITY m (id, n) LEFT JOIN {s}.cohort_customer c ON c.customer_id = m.id)::text \
             FROM {s}.cohort_preview($1::text::jsonb, $2, $3::text::timestamptz) p",
            &[&rule, &sample, as_of],
        )
        .await?
        .ok_or_else(|| Failure::bad_request("the rule is null"))?;
    found.size = row.try_get(0)?;
    found.universe = row.try_get(1)?;
    found.sample = raw(row.try_get(2)?)?;
    let lines = text(
        work,
        "SELECT coalesce(jsonb_agg(jsonb_build_object('path', e.path, 'condition', e.condition, 'customers', e.customers, 'events', e.events, \
             'leaves', NULL, 'took_ms', extract(epoch FROM e.took) * 1000, 'how', e.how)), '[]')::text \
         FROM {s}.cohort_explain($1::text::jsonb, $2::text::timestamptz) e",
        &[&rule, as_of],
    )
    .await?;
    found.conditions = serde_json::from_str(&lines).map_err(|error| malformed(&error))?;
    // As the server holds it: of a key that is there twice, the last.
    let canonical = text(work, "SELECT ($1::text::jsonb)::text", &[&rule]).await?;
    let whole: Map<String, Value> = serde_json::from_str(&canonical).map_err(|error| malformed(&error))?;
    found.rule = Some(raw(canonical)?);
    running_sizes(work, found, &whole, as_of.as_ref()).await?;
    if given.reach == Some(true) {
        found.reach = Some(reach(work, &whole, found.size.unwrap_or(0), as_of.as_ref()).await?);
    }
    found.words = words("$", &found.conditions);
    if given.sql.unwrap_or(true) {
        found.sql = work.text("SELECT {s}.cohort_sql($1::text::jsonb, $2::text::timestamptz)", &[&rule, as_of]).await?;
    }
    Ok(())
}

/// Counts, for the second and later conditions of each `and`, what the conditions up to it leave.
async fn running_sizes(
    work: &Work,
    found: &mut Found,
    whole: &Map<String, Value>,
    as_of: Option<&String>,
) -> Fallible<()> {
    let mut counted = 0;
    let groups: Vec<(String, i64)> = found.conditions.iter().map(|line| (line.path.clone(), line.customers)).collect();
    let root = Value::Object(whole.clone());
    for (path, customers) in groups {
        let Some(Value::Array(parts)) = root.pointer(&pointer(&path)).and_then(|group| group.get("and")) else {
            continue;
        };
        for number in 1..parts.len() {
            let leaves = if number + 1 == parts.len() {
                customers
            } else {
                counted += 1;
                if counted > RUNNING {
                    return Ok(());
                }
                size_of_all(work, whole, parts[..=number].to_vec(), as_of).await?
            };
            let place = format!("{path}.and[{number}]");
            if let Some(line) = found.conditions.iter_mut().find(|line| line.path == place) {
                line.leaves = Some(leaves);
            }
        }
    }
    Ok(())
}

/// The keys of a whole rule that are no condition.
fn is_head(key: &str) -> bool {
    matches!(key, "version" | "timezone")
}

/// How many customers meet all of some conditions, in the time zone of the rule that they are from.
pub(super) async fn size_of_all(
    work: &Work,
    whole: &Map<String, Value>,
    parts: Vec<Value>,
    as_of: Option<&String>,
) -> Fallible<i64> {
    let head = whole.iter().filter(|(key, _)| is_head(key));
    let mut rule: Map<String, Value> = head.map(|(key, value)| (key.clone(), value.clone())).collect();
    rule.insert("and".to_owned(), Value::Array(parts));
    let rule = to_raw_value(&rule).map_err(|error| malformed(&error))?;
    let sql = "SELECT p.size FROM {s}.cohort_preview($1::text::jsonb, 0, $2::text::timestamptz) p";
    let row = work.row(sql, &[&rule.get(), &as_of]).await?;
    Ok(row.ok_or_else(|| Failure::bad_request("the rule is null"))?.try_get(0)?)
}

/// The condition of a whole rule.
pub(super) fn condition_of(whole: &Map<String, Value>) -> Value {
    Value::Object(
        whole.iter().filter(|(key, _)| !is_head(key)).map(|(key, value)| (key.clone(), value.clone())).collect(),
    )
}

/// The place `$.and[0].not` as a JSON pointer.
fn pointer(path: &str) -> String {
    path.trim_start_matches('$').replace('[', "/").replace(']', "").replace('.', "/")
}

/// The rule in words: the words of its conditions, put together as its groups say.
fn words(path: &str, lines: &[Line]) -> Option<String> {
    let own = lines.iter().find(|line| line.path == path)?;
    let group = |word: &str, joint: &str| -> Option<String> {
        let parts: Vec<String> = (0..).map_while(|number| words(&format!("{path}.{word}[{number}]"), lines)).collect();
        match parts.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            _ if path == "$" => Some(parts.join(joint)),
            _ => Some(format!("({})", parts.join(joint))),
        }
    };
    let negated = || words(&format!("{path}.not"), lines).map(|inner| format!("not {inner}"));
    group("and", " and ").or_else(|| group("or", " or ")).or_else(negated).or_else(|| Some(own.condition.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, condition: &str) -> Line {
        Line {
            path: path.to_owned(),
            condition: condition.to_owned(),
            customers: 0,
            events: None,
            leaves: None,
            took_ms: Value::Null,
            how: String::new(),
        }
    }

    #[test]
    fn words_follow_the_groups() {
        let lines = [
            line("$", "all of"),
            line("$.and[0]", "did cart"),
            line("$.and[1]", "any of"),
            line("$.and[1].or[0]", "did view"),
            line("$.and[1].or[1]", "not"),
            line("$.and[1].or[1].not", "did purchase"),
        ];
        assert_eq!(words("$", &lines).as_deref(), Some("did cart and (did view or not did purchase)"));
        assert_eq!(pointer("$.and[1].or[1].not"), "/and/1/or/1/not");
    }
}
