-- Planner support of the evaluating functions (src/pg/planner), and the functions that take one customer, for ids that are
-- uuid or bigint.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.plan_question(request internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'plan_question_wrapper';
COMMENT ON FUNCTION kursaha_cohort.plan_question(internal) IS 'Planner support function of cohort_run, cohort_evaluate and cohort_members: estimates the number of rows';

-- The planner calls these in place of cohort_run and cohort_evaluate where a query wants few of the members.
CREATE FUNCTION kursaha_cohort.members_of_cohort(name text, as_of timestamptz, among text[], most bigint)
    RETURNS TABLE (customer_id text)
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 10
    AS 'MODULE_PATHNAME', 'members_of_cohort_wrapper';
COMMENT ON FUNCTION kursaha_cohort.members_of_cohort(text, timestamptz, text[], bigint) IS 'The members of a saved cohort among the given ids, up to the given number; an argument that is NULL does not restrict';

CREATE FUNCTION kursaha_cohort.members_of_rule(rule jsonb, as_of timestamptz, among text[], most bigint)
    RETURNS TABLE (customer_id text)
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 10
    AS 'MODULE_PATHNAME', 'members_of_rule_wrapper';
COMMENT ON FUNCTION kursaha_cohort.members_of_rule(jsonb, timestamptz, text[], bigint) IS 'The members of a rule among the given ids, up to the given number; an argument that is NULL does not restrict';

-- In units of cpu_operator_cost: an evaluation of one customer takes 0.1 to 0.4 ms, an evaluation of all customers a few ms,
-- plain SQL and a refresh more.
ALTER FUNCTION @extschema@.cohort_contains(text, text, timestamptz) COST 10000;
ALTER FUNCTION @extschema@.cohort_run(text, timestamptz) COST 100000 SUPPORT kursaha_cohort.plan_question;
ALTER FUNCTION @extschema@.cohort_evaluate(jsonb, timestamptz) COST 100000 SUPPORT kursaha_cohort.plan_question;
ALTER FUNCTION @extschema@.cohort_members(text) COST 100000 SUPPORT kursaha_cohort.plan_question;
ALTER FUNCTION @extschema@.cohort_count(text, timestamptz) COST 100000;
ALTER FUNCTION @extschema@.cohort_preview(jsonb, integer, timestamptz) COST 100000 ROWS 1;
ALTER FUNCTION @extschema@.cohort_overlap(text[], timestamptz) COST 100000 ROWS 7;
ALTER FUNCTION @extschema@.cohort_explain(text, timestamptz) COST 1000000 ROWS 10;
ALTER FUNCTION @extschema@.cohort_explain(jsonb, timestamptz) COST 1000000 ROWS 10;
ALTER FUNCTION @extschema@.cohort_why(text, text, timestamptz) COST 100000 ROWS 10;
ALTER FUNCTION @extschema@.cohort_sql(text, timestamptz) COST 10000;
ALTER FUNCTION @extschema@.cohort_sql(jsonb, timestamptz) COST 10000;
ALTER FUNCTION @extschema@.cohort_validate(jsonb) COST 10000 ROWS 1;
ALTER FUNCTION @extschema@.cohort_history(text) COST 10000 ROWS 100;
ALTER FUNCTION @extschema@.cohort_changes(text, timestamptz) COST 100000 ROWS 1000;
ALTER FUNCTION @extschema@.cohort_refresh(text) COST 10000000 ROWS 1;

-- Ids of other types. A literal or parameter without a type stays text, which PostgreSQL prefers. Those that only read are
-- inlined.

CREATE FUNCTION @extschema@.cohort_contains(name text, customer_id uuid, as_of timestamptz DEFAULT NULL) RETURNS boolean
    LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 10000
BEGIN ATOMIC
    SELECT @extschema@.cohort_contains(name, customer_id::text, as_of);
END;
COMMENT ON FUNCTION @extschema@.cohort_contains(text, uuid, timestamptz) IS 'Returns whether a customer with a uuid as id is a member of a saved cohort at an instant; reads only the rows of that customer';

CREATE FUNCTION @extschema@.cohort_contains(name text, customer_id bigint, as_of timestamptz DEFAULT NULL) RETURNS boolean
    LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 10000
BEGIN ATOMIC
    SELECT @extschema@.cohort_contains(name, customer_id::text, as_of);
END;
COMMENT ON FUNCTION @extschema@.cohort_contains(text, bigint, timestamptz) IS 'Returns whether a customer with a number as id is a member of a saved cohort at an instant; reads only the rows of that customer';

CREATE FUNCTION @extschema@.cohort_why(
    name text, customer_id uuid, as_of timestamptz DEFAULT NULL,
    OUT path text, OUT condition text, OUT holds boolean, OUT evidence jsonb
) RETURNS SETOF record
    LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED COST 100000 ROWS 10
BEGIN ATOMIC
    SELECT w.path, w.condition, w.holds, w.evidence
    FROM @extschema@.cohort_why(name, customer_id::text, as_of) w;
END;
COMMENT ON FUNCTION @extschema@.cohort_why(text, uuid, timestamptz) IS 'Returns for each condition of a cohort whether a customer with a uuid as id satisfies it, and the events or values that decide it';

CREATE FUNCTION @extschema@.cohort_why(
    name text, customer_id bigint, as_of timestamptz DEFAULT NULL,
    OUT path text, OUT condition text, OUT holds boolean, OUT evidence jsonb
) RETURNS SETOF record
    LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED COST 100000 ROWS 10
BEGIN ATOMIC
    SELECT w.path, w.condition, w.holds, w.evidence
    FROM @extschema@.cohort_why(name, customer_id::text, as_of) w;
END;
COMMENT ON FUNCTION @extschema@.cohort_why(text, bigint, timestamptz) IS 'Returns for each condition of a cohort whether a customer with a number as id satisfies it, and the events or values that decide it';

CREATE FUNCTION @extschema@.cohort_track(
    customer_id uuid, event_type text, data jsonb DEFAULT '{}', occurred_at timestamptz DEFAULT now(),
    event_key text DEFAULT NULL
) RETURNS bigint
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT @extschema@.cohort_track(customer_id::text, event_type, data, occurred_at, event_key);
END;
COMMENT ON FUNCTION @extschema@.cohort_track(uuid, text, jsonb, timestamptz, text) IS 'Stores one event of a customer with a uuid as id, and returns its event_id; like the function with a text as id';

CREATE FUNCTION @extschema@.cohort_track(
    customer_id bigint, event_type text, data jsonb DEFAULT '{}', occurred_at timestamptz DEFAULT now(),
    event_key text DEFAULT NULL
) RETURNS bigint
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT @extschema@.cohort_track(customer_id::text, event_type, data, occurred_at, event_key);
END;
COMMENT ON FUNCTION @extschema@.cohort_track(bigint, text, jsonb, timestamptz, text) IS 'Stores one event of a customer with a number as id, and returns its event_id; like the function with a text as id';

CREATE FUNCTION @extschema@.cohort_identify(customer_id uuid, profile jsonb) RETURNS void
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT @extschema@.cohort_identify(customer_id::text, profile);
END;
COMMENT ON FUNCTION @extschema@.cohort_identify(uuid, jsonb) IS 'Creates or merges the profile of a customer with a uuid as id; a key set to null is removed';

CREATE FUNCTION @extschema@.cohort_identify(customer_id bigint, profile jsonb) RETURNS void
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT @extschema@.cohort_identify(customer_id::text, profile);
END;
COMMENT ON FUNCTION @extschema@.cohort_identify(bigint, jsonb) IS 'Creates or merges the profile of a customer with a number as id; a key set to null is removed';

CREATE FUNCTION @extschema@.cohort_forget(customer_id uuid, OUT events bigint, OUT profiles bigint, OUT syncs bigint)
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT f.events, f.profiles, f.syncs FROM @extschema@.cohort_forget(customer_id::text) f;
END;
COMMENT ON FUNCTION @extschema@.cohort_forget(uuid) IS 'Erases a customer with a uuid as id, like the function with a text as id';

CREATE FUNCTION @extschema@.cohort_forget(customer_id bigint, OUT events bigint, OUT profiles bigint, OUT syncs bigint)
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT f.events, f.profiles, f.syncs FROM @extschema@.cohort_forget(customer_id::text) f;
END;
COMMENT ON FUNCTION @extschema@.cohort_forget(bigint) IS 'Erases a customer with a number as id, like the function with a text as id';
