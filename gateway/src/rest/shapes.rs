//! The shapes of responses, for `openapi.json`. The database writes them; tests/gateway compares.
#![expect(dead_code, clippy::struct_field_names, reason = "declares what the database writes")]

use serde_json::Value;
use utoipa::ToSchema;

/// A list without pages.
#[derive(ToSchema)]
pub(crate) struct Items<T> {
    items: Vec<T>,
}

/// A page of a list; `next` is the `after` of the next one.
#[derive(ToSchema)]
pub(crate) struct Page<T> {
    items: Vec<T>,
    #[schema(required)]
    next: Option<String>,
}

/// Declares structs whose every field is required, though it may be null.
macro_rules! shapes {
    ($($(#[$of:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $($(#[$of])* #[derive(ToSchema)] pub(crate) struct $name { $(#[schema(required)] $field: $kind),* })*
    };
}

shapes! {
    Stored { stored: i64, duplicates: i64 }
    Event { event_id: i64, customer_id: String, event_type: String, occurred_at: String, data: Value }
    Day { day: String, events: i64 }
    EventType { event_type: String, description: Option<String>, customers: i64, events: i64, days: Vec<Day> }
    Property {
        event_type: Option<String>, property: String, types: Vec<String>, events: Option<i64>, distinct_values: Option<i64>,
        examples: Vec<Value>,
    }
    Customer { customer_id: String, profile: Value, created_at: String, updated_at: String }
    CustomerWithEvents {
        customer_id: String, profile: Option<Value>, created_at: Option<String>, updated_at: Option<String>,
        events: Vec<Event>, next: Option<String>,
    }
    Forgotten { events: i64, profiles: i64, syncs: i64 }
    SizeAt { at: String, size: i64 }
    SyncOfCohort { destination: String, state: String, why: Option<String>, next_run: Option<String> }
    Cohort {
        name: String, kind: String, description: Option<String>, rule: Option<Value>, version: i32, owner: String,
        editable: bool, created_at: String, updated_at: String, size: Option<i64>, size_now: Option<i64>,
        refreshed_at: Option<String>, entered: Option<i64>, exited: Option<i64>, history: Vec<SizeAt>,
        used_by: Vec<String>, syncs: Vec<SyncOfCohort>,
    }
    Refreshed { size: i64, entered: i64, exited: i64, took_ms: f64 }
    Count { count: i64 }
    Member { customer_id: String, profile: Option<Value> }
    Condition {
        path: String, condition: String, customers: i64, events: Option<i64>, leaves: Option<i64>, took_ms: f64, how: String,
    }
    Reason { path: String, condition: String, holds: bool, evidence: Option<Value> }
    Reasons { holds: bool, items: Vec<Reason> }
    Sql { sql: String }
    Refresh { refreshed_at: String, size: i64, entered: i64, exited: i64, took_ms: f64, version: i32 }
    ChangeOfCustomer { cohort: String, change: String, changed_at: String }
    Change { customer_id: String, change: String, changed_at: String }
    Version { version: i32, rule: Option<Value>, list_size: Option<i64>, changed_by: String, changed_at: String }
    RuleProblem { path: String, problem: String, hint: Option<String> }
    Validity { valid: bool, problems: Vec<RuleProblem> }
    Preview {
        valid: bool, problems: Vec<RuleProblem>, size: Option<i64>, universe: Option<i64>, sample: Vec<Member>,
        reach: Option<Vec<Reach>>, conditions: Vec<Condition>, words: Option<String>, rule: Option<Value>, sql: Option<String>, took_ms: f64,
    }
    Reach { destination: String, kind: String, customers: i64, properties: Option<Vec<String>> }
    Suppression { cohort: String, destination: Option<String>, set_by: String, set_at: String }
    Priority { name: String, cohorts: Vec<String>, owner: String, created_at: String, updated_at: String, syncs: i64, editable: bool }
    Place { cohort: Option<String>, customers: i64 }
    Overlap { cohorts: Vec<String>, customers: i64, only_these: i64 }
    Destination {
        name: String, kind: String, config: Value, secret: Option<String>, state: Option<Value>, owner: String,
        version: i32, created_at: String, updated_at: String, syncs: i64, editable: bool,
    }
    Step { step: String, ok: bool, detail: Option<String> }
    Trial { ok: bool, items: Vec<Step> }
    Sync {
        cohort: String, destination: String, state: String, why: Option<String>, hint: Option<String>, frequency: String,
        at: Option<String>, timezone: String, next_run: Option<String>, last_run: Option<String>,
        last_state: Option<String>, delivered: i64, leaving: i64, failures: i32, owner: String, sync_id: i64,
        since: Option<String>, priority: Option<String>, suppressed: i64, editable: bool,
    }
    SyncPreview { adds: i64, removes: i64, unchanged: i64, skipped: Value, held: Option<String> }
    Message { message: String }
    Rejected { customer_id: String, reason: String, run_id: Option<i64>, rejected_at: String }
    ApiKey {
        label: String, role: String, created_at: String, created_by: String, last_used_at: Option<String>,
        expires_at: Option<String>, usable: bool,
    }
    NewKey { key: String }
    /// The views' columns are in docs/REFERENCE.md.
    Operation {
        version: Option<Value>, index: Option<Value>, workers: Option<Vec<Value>>, progress: Option<Vec<Value>>,
        problems: Option<Vec<Value>>, retention: Option<Vec<Value>>, captures: Option<Vec<Value>>,
    }
    Figure { customer_id: String, value: f64 }
    Group { value: Value, customers: i64 }
    Capture {
        source: String, event_type: Option<String>, on: String, customer_column: String, occurred_at_column: Option<String>,
        data_columns: Option<Vec<String>>, timezone: Option<String>, state: String, problem: Option<String>, hint: Option<String>,
        recorded: i64, skipped: i64, skipped_rows: Option<Value>, last_skipped_at: Option<String>, backfill: Option<String>,
        backfilled: i64, backfill_blocks_left: Option<i64>, backfill_until: Option<String>,
    }
    Backfilled { rows: i64 }
    Retention {
        event_type: Option<String>, keep: String, owner: String, keeps_from: String, deleted: i64, under_way: bool,
        passed_at: Option<String>, last_error: Option<String>, failed_at: Option<String>,
    }
    Sealed { events: i64, profiles: i64, removed: i64, segments: i64, took_ms: f64 }
    Applied { name: String, action: String, gained: Option<i64>, lost: Option<i64> }
}
