//! Privileges.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::errors::invalid;
use crate::pg::extension;
use crate::pg::spi::{self, Snapshot};

/// What one privilege set allows besides the sets it includes.
struct PrivilegeSet {
    name: &'static str,
    includes: &'static [&'static str],
    /// Pairs of privileges and relations; `{s}` is the extension's schema.
    relations: &'static [(&'static str, &'static str)],
    /// Names of functions in the extension's schema, in all their overloads.
    functions: &'static [&'static str],
}

const SETS: &[PrivilegeSet] = &[
    // States and figures; nothing that names a customer.
    PrivilegeSet {
        name: "monitor",
        includes: &[],
        relations: &[
            ("SELECT", "{s}.cohort_index_status, {s}.cohort_worker_status, {s}.cohort_progress, {s}.cohort_retention"),
            ("SELECT", "{s}.cohort_problem"),
            ("SELECT", "{s}.cohort_sync_status, {s}.cohort_sync_run, {s}.cohort_capture_status"),
        ],
        functions: &["cohort_version"],
    },
    // The role of the gateway: it learns the role of a key, and nothing else.
    PrivilegeSet { name: "gateway", includes: &[], relations: &[], functions: &["cohort_api_key_role"] },
    PrivilegeSet {
        name: "reader",
        includes: &["monitor"],
        relations: &[
            ("SELECT", "{s}.cohort_event, {s}.cohort_customer, {s}.cohort_event_type, {s}.cohort_property"),
            ("SELECT", "{s}.cohort_definition, {s}.cohort_definition_version"),
            (
                "SELECT",
                "kursaha_cohort.event_type, kursaha_cohort.cohort, kursaha_cohort.reference, kursaha_cohort.refresh",
            ),
            // The tables behind these views name customers whom policies may hide from the reader.
            (
                "SELECT",
                "kursaha_cohort.readable_list_member, kursaha_cohort.readable_member, kursaha_cohort.readable_change",
            ),
            ("SELECT", "{s}.cohort_destination, {s}.cohort_sync_rejected, {s}.cohort_suppression, {s}.cohort_priority"),
            ("SELECT", "kursaha_cohort.suppression, kursaha_cohort.priority, kursaha_cohort.priority_cohort"),
            ("SELECT", "kursaha_cohort.crossing"),
            ("SELECT", "kursaha_cohort.destination, kursaha_cohort.sync, kursaha_cohort.sync_run"),
        ],
        functions: &[
            "cohort_run",
            "members_of_cohort",
            "members_of_rule",
            "cohort_count",
            "cohort_contains",
            "cohort_of",
            "cohort_preview",
            "cohort_evaluate",
            "cohort_overlap",
            "cohort_waterfall",
            "cohort_figures",
            "cohort_explain",
            "cohort_why",
            "cohort_sql",
            "cohort_validate",
            "cohort_rule_schema",
            "cohort_sample_place",
            "cohort_groups",
            "cohort_export",
            "indexed_properties",
            "cohort_property",
            "cohort_members",
            "cohort_history",
            "cohort_changes",
        ],
    },
    PrivilegeSet {
        name: "ingest",
        includes: &[],
        relations: &[
            ("SELECT, INSERT", "{s}.cohort_event"),
            // cohort_track takes the id before it stores the key. UPDATE would allow setval, too.
            ("USAGE", "{s}.cohort_event_event_id_seq"),
            ("SELECT, INSERT, UPDATE", "{s}.cohort_customer, {s}.cohort_event_type, kursaha_cohort.event_type"),
            ("SELECT, INSERT, UPDATE, DELETE", "kursaha_cohort.event_key, kursaha_cohort.request"),
        ],
        functions: &["cohort_track", "cohort_track_batch", "cohort_identify"],
    },
    PrivilegeSet {
        name: "editor",
        includes: &["monitor", "reader"],
        relations: &[],
        functions: &[
            "cohort_create",
            "cohort_update",
            "cohort_create_query",
            "cohort_update_query",
            "cohort_rename",
            "cohort_drop",
            "cohort_import",
            "cohort_apply",
            "cohort_refresh",
            "cohort_set_owner",
            "cohort_sync_set_owner",
            "cohort_destination_set_owner",
            "cohort_priority_create",
            "cohort_priority_update",
            "cohort_priority_drop",
            "cohort_sync_create",
            "cohort_sync_update",
            "cohort_sync_pause",
            "cohort_sync_resume",
            "cohort_sync_drop",
            "cohort_sync_now",
            "cohort_sync_execute",
            "sync_request",
            "sync_advance",
            "sync_attend",
            "cohort_sync_resync",
            "cohort_sync_preview",
        ],
    },
    PrivilegeSet {
        name: "operator",
        includes: &["monitor", "reader", "ingest", "editor"],
        relations: &[
            ("SELECT, INSERT, UPDATE, DELETE", "{s}.cohort_event, {s}.cohort_customer"),
            (
                "SELECT, INSERT, UPDATE, DELETE",
                "kursaha_cohort.capture, kursaha_cohort.capture_leaf, kursaha_cohort.capture_count",
            ),
            ("SELECT, INSERT, DELETE", "kursaha_cohort.released_capture, kursaha_cohort.kept_row"),
            ("SELECT, USAGE", "kursaha_cohort.capture_capture_id_seq"),
            ("INSERT", "kursaha_cohort.forgotten"),
            ("SELECT", "kursaha_cohort.secret_binding, {s}.cohort_api_key"),
        ],
        functions: &[
            "cohort_api_key_create",
            "cohort_api_key_revoke",
            "cohort_forget",
            "cohort_forget_member",
            "cohort_operate",
            "cohort_destination_create",
            "cohort_destination_update",
            "cohort_destination_drop",
            "cohort_destination_test",
            "cohort_suppress",
            "cohort_unsuppress",
            "cohort_sync_arm",
            "cohort_capture",
            "cohort_release",
            "cohort_backfill",
            "cohort_retain",
            "cohort_retain_now",
            "delete_old_events",
            "cohort_capture_profile",
            "cohort_release_profile",
            "cohort_backfill_profile",
            // In the schema of the internals: the two functions of a backfill.
            "cohort_keep_rows",
            "cohort_backfill_rows",
            "cohort_seal",
            "cohort_reindex",
            "cohort_check",
        ],
    },
];

/// Grants a privilege set to a role. Whoever calls it must hold the privileges with grant option: the extension's owner
/// or a superuser.
#[pg_extern(volatile, parallel_unsafe, strict)]
fn cohort_grant(privilege_set: &str, role: &str) -> Result<(), ErrorReport> {
    let Some(set) = SETS.iter().find(|set| set.name == privilege_set) else {
        let names: Vec<&str> = SETS.iter().map(|set| set.name).collect();
        return Err(invalid(format!("unknown privilege set \"{privilege_set}\""))
            .set_hint(format!("The sets are {}.", names.join(", "))));
    };
    let schema = extension::served_schema()?;
    let role: String = spi::one(Snapshot::Fresh, "SELECT quote_ident($1)", &[role.into()], |row| row.need(1))?;
    spi::touch(&format!("GRANT USAGE ON SCHEMA {schema}, kursaha_cohort TO {role}"), &[])?;
    for included in SETS.iter().filter(|other| other.name == set.name || set.includes.contains(&other.name)) {
        for (privileges, relations) in included.relations {
            // Those of a newer version are not there before ALTER EXTENSION … UPDATE, which grants the set again.
            let relations: Vec<String> = relations.split(", ").map(|name| name.replace("{s}", &schema)).collect();
            let there: Option<String> = spi::one(
                Snapshot::Fresh,
                "SELECT string_agg(r, ', ') FROM unnest($1) r WHERE to_regclass(r) IS NOT NULL",
                &[relations.into()],
                |row| Ok(row.get(1)),
            )?;
            if let Some(there) = there {
                spi::touch(&format!("GRANT {privileges} ON TABLE {there} TO {role}"), &[])?;
            }
        }
        // Internal functions that no set names go with every set: those of the plain SQL read nothing, one counts the
        // tail for the status view. CREATE TRIGGER needs EXECUTE on the function of a capture.
        let routines: Vec<String> = spi::run(
            Snapshot::Fresh,
            "SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
             JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid \
             WHERE e.extname = 'kursaha_cohort' AND p.prorettype <> 'event_trigger'::regtype AND ( \
                 p.proname = ANY ($1) OR p.pronamespace = 'kursaha_cohort'::regnamespace AND CASE p.prorettype \
                     WHEN 'trigger'::regtype THEN $2 AND p.proname LIKE 'capture\\_%' \
                     ELSE p.proname NOT LIKE 'cohort\\_%' AND p.proname <> ALL ($3) \
                         AND p.proname NOT IN ('owner_in', 'owner_out', 'drop_segments') END)",
            &[
                included.functions.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().into(),
                (included.name == "operator").into(),
                SETS.iter().flat_map(|set| set.functions).map(|name| (*name).to_owned()).collect::<Vec<_>>().into(),
            ],
            |row| row.need(1),
        )?;
        spi::touch(&format!("GRANT EXECUTE ON ROUTINE {} TO {role}", routines.join(", ")), &[])?;
    }
    Ok(())
}
