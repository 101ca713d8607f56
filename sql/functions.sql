-- The functions that src/api declares, as scripts/sql reads them from the built library. Do not edit: change the
-- declaration, then run scripts/sql --write.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION @extschema@."cohort_api_key_create"(
    "label" TEXT,
    "role" TEXT,
    "expires_at" timestamp with time zone DEFAULT NULL
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_api_key_create_wrapper';

CREATE FUNCTION @extschema@."cohort_api_key_revoke"(
    "label" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_api_key_revoke_wrapper';

CREATE FUNCTION @extschema@."cohort_apply"(
    "definitions" jsonb,
    "dry_run" bool DEFAULT false,
    "prune" bool DEFAULT false
) RETURNS TABLE (
    "name" TEXT,
    "action" TEXT,
    "gained" bigint,
    "lost" bigint
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_apply_wrapper';

CREATE FUNCTION @extschema@."cohort_changes"(
    "name" TEXT,
    "since" timestamp with time zone DEFAULT '-infinity'
) RETURNS TABLE (
    "customer_id" TEXT,
    "change" TEXT,
    "changed_at" timestamp with time zone
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_changes_wrapper';

CREATE FUNCTION @extschema@."cohort_check"() RETURNS TABLE (
    "place" TEXT,
    "problem" TEXT
)
STRICT STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_check_wrapper';

CREATE FUNCTION @extschema@."cohort_contains"(
    "name" TEXT,
    "customer_id" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS bool
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_contains_wrapper';

CREATE FUNCTION @extschema@."cohort_count"(
    "name" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS bigint
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_count_wrapper';

CREATE FUNCTION @extschema@."cohort_create"(
    "name" TEXT,
    "rule" jsonb,
    "description" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_create_wrapper';

CREATE FUNCTION @extschema@."cohort_create_query"(
    "name" TEXT,
    "query" TEXT,
    "description" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_create_query_wrapper';

CREATE FUNCTION @extschema@."cohort_destination_create"(
    "name" TEXT,
    "kind" TEXT,
    "config" jsonb,
    "secret" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_destination_create_wrapper';

CREATE FUNCTION @extschema@."cohort_destination_drop"(
    "name" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_destination_drop_wrapper';

CREATE FUNCTION @extschema@."cohort_destination_set_owner"(
    "name" TEXT,
    "role" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_destination_set_owner_wrapper';

CREATE FUNCTION @extschema@."cohort_destination_test"(
    "name" TEXT
) RETURNS TABLE (
    "step" TEXT,
    "ok" bool,
    "detail" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_destination_test_wrapper';

CREATE FUNCTION @extschema@."cohort_destination_update"(
    "name" TEXT,
    "config" jsonb DEFAULT NULL,
    "secret" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_destination_update_wrapper';

CREATE FUNCTION @extschema@."cohort_drop"(
    "name" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_drop_wrapper';

CREATE FUNCTION @extschema@."cohort_evaluate"(
    "rule" jsonb,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "customer_id" TEXT
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_evaluate_wrapper';

CREATE FUNCTION @extschema@."cohort_explain"(
    "name" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "condition" TEXT,
    "path" TEXT,
    "customers" bigint,
    "events" bigint,
    "took" interval,
    "how" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_explain_name_wrapper';

CREATE FUNCTION @extschema@."cohort_explain"(
    "rule" jsonb,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "condition" TEXT,
    "path" TEXT,
    "customers" bigint,
    "events" bigint,
    "took" interval,
    "how" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_explain_rule_wrapper';

CREATE FUNCTION @extschema@."cohort_export"(
    "name" TEXT DEFAULT NULL
) RETURNS jsonb
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_export_wrapper';

CREATE FUNCTION @extschema@."cohort_figures"(
    "figure" jsonb,
    "name" TEXT DEFAULT NULL,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "customer_id" TEXT,
    "value" NUMERIC
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_figures_name_wrapper';

CREATE FUNCTION @extschema@."cohort_figures"(
    "figure" jsonb,
    "rule" jsonb,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "customer_id" TEXT,
    "value" NUMERIC
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_figures_rule_wrapper';

CREATE FUNCTION @extschema@."cohort_grant"(
    "privilege_set" TEXT,
    "role" TEXT
) RETURNS VOID
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_grant_wrapper';

CREATE FUNCTION @extschema@."cohort_groups"(
    "name" TEXT,
    "property" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "customer_group" jsonb,
    "members" bigint
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_groups_name_wrapper';

CREATE FUNCTION @extschema@."cohort_groups"(
    "rule" jsonb,
    "property" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "customer_group" jsonb,
    "members" bigint
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_groups_rule_wrapper';

CREATE FUNCTION @extschema@."cohort_history"(
    "name" TEXT
) RETURNS TABLE (
    "refreshed_at" timestamp with time zone,
    "size" bigint,
    "entered" bigint,
    "exited" bigint,
    "took" interval,
    "version" INT
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_history_wrapper';

CREATE FUNCTION @extschema@."cohort_import"(
    "name" TEXT,
    "customer_ids" TEXT[]
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_import_wrapper';

CREATE FUNCTION @extschema@."cohort_members"(
    "name" TEXT
) RETURNS TABLE (
    "customer_id" TEXT,
    "entered_at" timestamp with time zone
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_members_wrapper';

CREATE FUNCTION @extschema@."cohort_of"(
    "customer_id" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "cohort" TEXT
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_of_wrapper';

CREATE FUNCTION @extschema@."cohort_overlap"(
    "names" TEXT[],
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "cohorts" TEXT[],
    "customers" bigint,
    "only_these" bigint
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_overlap_wrapper';

CREATE FUNCTION @extschema@."cohort_preview"(
    "rule" jsonb,
    "sample" INT DEFAULT 10,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "size" bigint,
    "universe" bigint,
    "sample" TEXT[]
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_preview_wrapper';

CREATE FUNCTION @extschema@."cohort_priority_create"(
    "list_name" TEXT,
    "cohorts" TEXT[]
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_priority_create_wrapper';

CREATE FUNCTION @extschema@."cohort_priority_drop"(
    "list_name" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_priority_drop_wrapper';

CREATE FUNCTION @extschema@."cohort_priority_update"(
    "list_name" TEXT,
    "cohorts" TEXT[]
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_priority_update_wrapper';

CREATE FUNCTION @extschema@."cohort_property"(
    "of_type" TEXT DEFAULT NULL
) RETURNS TABLE (
    "event_type" TEXT,
    "path" TEXT,
    "types" TEXT[],
    "events" bigint,
    "distinct_values" bigint,
    "examples" jsonb
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_property_wrapper';

CREATE FUNCTION @extschema@."cohort_refresh"(
    "name" TEXT
) RETURNS TABLE (
    "size" bigint,
    "entered" bigint,
    "exited" bigint,
    "took" interval
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_refresh_wrapper';

CREATE FUNCTION @extschema@."cohort_refresh"(
    "name" TEXT,
    "as_of" timestamp with time zone
) RETURNS TABLE (
    "size" bigint,
    "entered" bigint,
    "exited" bigint,
    "took" interval
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_refresh_at_wrapper';

CREATE FUNCTION @extschema@."cohort_reindex"() RETURNS TABLE (
    "events" bigint,
    "profiles" bigint,
    "removed" bigint,
    "segments" bigint,
    "took" interval
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_reindex_wrapper';

CREATE FUNCTION @extschema@."cohort_rename"(
    "name" TEXT,
    "new_name" TEXT
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_rename_wrapper';

CREATE FUNCTION @extschema@."cohort_retain"(
    "keep" interval,
    "event_type" TEXT DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_retain_wrapper';

CREATE FUNCTION @extschema@."cohort_retain_now"(
    "most" bigint DEFAULT 50000
) RETURNS bigint
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_retain_now_wrapper';

CREATE FUNCTION @extschema@."cohort_rule_schema"() RETURNS jsonb
STRICT STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_rule_schema_wrapper';

CREATE FUNCTION @extschema@."cohort_run"(
    "name" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "customer_id" TEXT
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_run_wrapper';

CREATE FUNCTION @extschema@."cohort_sample_place"(
    "customer_id" TEXT,
    "salt" TEXT
) RETURNS NUMERIC
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sample_place_wrapper';

CREATE FUNCTION @extschema@."cohort_seal"() RETURNS TABLE (
    "events" bigint,
    "profiles" bigint,
    "removed" bigint,
    "segments" bigint,
    "took" interval
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_seal_wrapper';

CREATE FUNCTION @extschema@."cohort_secret_allow"(
    "secret" TEXT,
    "roles" TEXT[],
    "kinds" TEXT[],
    "hosts" TEXT[] DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_secret_allow_wrapper';

CREATE FUNCTION @extschema@."cohort_secret_revoke"(
    "secret" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_secret_revoke_wrapper';

CREATE FUNCTION @extschema@."cohort_set_owner"(
    "name" TEXT,
    "role" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_set_owner_wrapper';

CREATE FUNCTION @extschema@."cohort_sql"(
    "name" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TEXT
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sql_name_wrapper';

CREATE FUNCTION @extschema@."cohort_sql"(
    "rule" jsonb,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TEXT
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sql_rule_wrapper';

CREATE FUNCTION @extschema@."cohort_suppress"(
    "name" TEXT,
    "destination" TEXT DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_suppress_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_arm"() RETURNS bigint
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_arm_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_create"(
    "cohort" TEXT,
    "destination" TEXT,
    "frequency" TEXT DEFAULT 'daily',
    "at" TEXT DEFAULT NULL,
    "timezone" TEXT DEFAULT 'UTC',
    "priority" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_create_following_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_drop"(
    "cohort" TEXT,
    "destination" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_drop_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_now"(
    "cohort" TEXT,
    "destination" TEXT,
    "force" bool DEFAULT false
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_now_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_pause"(
    "cohort" TEXT,
    "destination" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_pause_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_preview"(
    "cohort" TEXT,
    "destination" TEXT
) RETURNS TABLE (
    "adds" bigint,
    "removes" bigint,
    "unchanged" bigint,
    "skipped" jsonb,
    "held" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_preview_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_resume"(
    "cohort" TEXT,
    "destination" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_resume_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_resync"(
    "cohort" TEXT,
    "destination" TEXT
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_resync_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_set_owner"(
    "cohort" TEXT,
    "destination" TEXT,
    "role" TEXT
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_set_owner_wrapper';

CREATE FUNCTION @extschema@."cohort_sync_update"(
    "cohort" TEXT,
    "destination" TEXT,
    "frequency" TEXT DEFAULT NULL,
    "at" TEXT DEFAULT NULL,
    "timezone" TEXT DEFAULT NULL,
    "priority" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_sync_update_following_wrapper';

CREATE FUNCTION @extschema@."cohort_unsuppress"(
    "name" TEXT,
    "destination" TEXT DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_unsuppress_wrapper';

CREATE FUNCTION @extschema@."cohort_update"(
    "name" TEXT,
    "rule" jsonb
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_update_wrapper';

CREATE FUNCTION @extschema@."cohort_update_query"(
    "name" TEXT,
    "query" TEXT
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_update_query_wrapper';

CREATE FUNCTION @extschema@."cohort_validate"(
    "rule" jsonb
) RETURNS TABLE (
    "path" TEXT,
    "problem" TEXT,
    "hint" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_validate_wrapper';

CREATE FUNCTION @extschema@."cohort_waterfall"(
    "names" TEXT[],
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "customer_id" TEXT,
    "cohort" TEXT
)
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_waterfall_wrapper';

CREATE FUNCTION @extschema@."cohort_why"(
    "name" TEXT,
    "customer_id" TEXT,
    "as_of" timestamp with time zone DEFAULT NULL
) RETURNS TABLE (
    "path" TEXT,
    "condition" TEXT,
    "holds" bool,
    "evidence" jsonb
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'cohort_why_wrapper';
