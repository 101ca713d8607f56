//! NOTICEs about event types and properties of a rule that do not occur in the data, as far as the index can tell.

use cohort_core::text::nearest;
use pgrx::PgLogLevel;

use super::calendar::ServerCalendar;
use super::errors::{Fallible, SqlState, failure};
use super::index::{self, Of};
use super::store::Question;

/// The types that Kursaha sends: they are known before their first event.
const SHIPPED: [&str; 5] = ["signup", "click", "view", "cart", "purchase"];

/// What a rule names.
struct Named {
    types: Vec<String>,
    /// The types whose properties it names; `None` for all.
    with_data: Option<Vec<String>>,
    keys: Vec<String>,
    profile_keys: Vec<String>,
}

/// Says which event types and properties a rule names that no event, or no profile, has. Where the index cannot tell,
/// nothing is said.
pub(crate) fn tell(question: &Question) {
    // If the check against the index fails, the rule is still accepted.
    if let Ok(notices) = found(question) {
        for (message, hint) in notices {
            failure(SqlState::ERRCODE_SUCCESSFUL_COMPLETION, message).set_hint(hint).report(PgLogLevel::NOTICE);
        }
    }
}

fn found(question: &Question) -> Fallible<Vec<(String, String)>> {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    // What another cohort names was said when that one was saved.
    let named = question.alone().shape(&ServerCalendar, question.instant(), |plan| Named {
        types: owned(plan.named_types()),
        with_data: plan.types_with_data().map(owned),
        keys: owned(plan.event_keys()),
        profile_keys: owned(plan.profile_keys()),
    })?;
    let mut notices = Vec::new();
    let Some(there) = index::event_types()? else { return Ok(notices) };
    // Of an empty table nothing is wrong.
    if !there.is_empty() {
        for name in named.types.iter().filter(|name| !there.contains(name) && !SHIPPED.contains(&name.as_str())) {
            let hint = match nearest(name, there.iter().map(String::as_str).chain(SHIPPED)) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => "The view cohort_event_type lists the types.".to_owned(),
            };
            notices.push((format!("no event has the type \"{name}\""), hint));
        }
        let of: Option<Vec<&str>> = named.with_data.as_ref().map(|types| types.iter().map(String::as_str).collect());
        let any = of.as_ref().is_none_or(|types| types.iter().any(|name| there.iter().any(|other| other == name)));
        if any && !named.keys.is_empty() {
            let types = match &of {
                Some(types) => format!("no event of the type{} {}", plural(types.len()), quoted(types)),
                None => "no event".to_owned(),
            };
            strange(&named.keys, index::keys(Of::Events(of.as_deref()))?, &types, &mut notices);
        }
    }
    if !named.profile_keys.is_empty() {
        strange(&named.profile_keys, index::keys(Of::Profiles)?, "no profile", &mut notices);
    }
    Ok(notices)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Notices about properties that are not among those that there are.
fn strange(keys: &[String], there: Option<Vec<String>>, who: &str, notices: &mut Vec<(String, String)>) {
    let Some(there) = there.filter(|there| !there.is_empty()) else { return };
    for key in keys.iter().filter(|key| !there.contains(key)) {
        let hint = match nearest(key, there.iter().map(String::as_str)) {
            _ if key == "occurred_at" || key == "occurredAt" => {
                "\"time\" restricts when events occurred, for example {\"did\": \"view\", \"time\": {\"in_the_last\": \"7 days\"}}."
                    .to_owned()
            }
            Some(near) => format!("Did you mean \"{near}\"?"),
            None if who == "no profile" => "Profiles are JSON objects in cohort_customer.".to_owned(),
            None => "The view cohort_property lists the properties of events.".to_owned(),
        };
        notices.push((format!("{who} has the property \"{key}\""), hint));
    }
}
