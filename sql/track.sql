-- Data in by function: one event, a batch of events, a profile, and the erasure of a person. All run with the caller's
-- rights. Ids and types are checked by the tables' own triggers, whose errors are let through.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.need_object(what text, given jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(given) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the %s must be a JSON object, not %s', what,
                             CASE jsonb_typeof(given) WHEN 'array' THEN 'an array' ELSE 'a single value' END),
            HINT = 'Wrap it, for example {"value": …}; an object without properties is {}.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.need_object(text, jsonb) IS 'Raises an error if a JSON value is not an object';

CREATE FUNCTION @extschema@.cohort_track(
    customer_id text, event_type text, data jsonb DEFAULT '{}', occurred_at timestamptz DEFAULT now(),
    event_key text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    id bigint;
BEGIN
    IF cohort_track.customer_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the customer id is NULL',
            HINT = 'Pass the id of the customer as text, 1 to 255 characters.';
    END IF;
    IF cohort_track.event_type IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the event type is NULL',
            HINT = 'Pass the type of the event as text, 1 to 255 characters.';
    END IF;

    -- Called only where it raises: a call costs more than the test.
    IF jsonb_typeof(cohort_track.data) <> 'object' THEN
        PERFORM kursaha_cohort.need_object('data of an event', cohort_track.data);
    END IF;

    IF cohort_track.event_key IS NULL THEN
        INSERT INTO @extschema@.cohort_event (customer_id, event_type, occurred_at, data)
        VALUES (cohort_track.customer_id, cohort_track.event_type, coalesce(cohort_track.occurred_at, now()),
                coalesce(cohort_track.data, '{}'))
        RETURNING event_id INTO id;
        RETURN id;
    END IF;

    IF length(cohort_track.event_key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN cohort_track.event_key = '' THEN 'the event key is empty'
                           ELSE format('the event key is too long: %s characters', length(cohort_track.event_key)) END,
            HINT = 'An event key has 1 to 255 characters; without a key pass NULL.';
    END IF;
    -- One statement: the key never names an event that is not there.
    WITH won AS (
        INSERT INTO kursaha_cohort.event_key AS k (event_key, event_id, first_seen)
        VALUES (cohort_track.event_key, nextval('@extschema@.cohort_event_event_id_seq'), now())
        ON CONFLICT (event_key) DO UPDATE SET event_id = EXCLUDED.event_id, first_seen = EXCLUDED.first_seen
            WHERE k.first_seen < EXCLUDED.first_seen - interval '7 days'
        RETURNING k.event_id
    )
    INSERT INTO @extschema@.cohort_event (event_id, customer_id, event_type, occurred_at, data)
    SELECT won.event_id, cohort_track.customer_id, cohort_track.event_type, coalesce(cohort_track.occurred_at, now()),
           coalesce(cohort_track.data, '{}')
    FROM won
    RETURNING event_id INTO id;
    IF NOT FOUND THEN
        -- ON CONFLICT waited for the first writer and locked its row; this statement's snapshot sees it.
        SELECT k.event_id INTO STRICT id FROM kursaha_cohort.event_key k WHERE k.event_key = cohort_track.event_key;
        RETURN id;
    END IF;
    -- At one event in 256, for twice as many keys, so that the old ones go faster than new ones come.
    IF id & 255 = 0 THEN
        PERFORM kursaha_cohort.prune_event_keys(512);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_track(text, text, jsonb, timestamptz, text) IS 'Stores one event and returns its event_id; a repeat of the same event_key within 7 days stores nothing and returns the first event_id';

-- At a stricter isolation level a key that another transaction renewed or removed would fail the caller's transaction
-- for the sake of housekeeping; the next call at READ COMMITTED prunes as well. Ids of events are drawn in the order of
-- time, so that their index gives the oldest keys first. Without the settings a session that planned this while the
-- table was small would read the whole of it each time.
CREATE FUNCTION kursaha_cohort.prune_event_keys(at_most bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off
AS $$
DECLARE
    horizon CONSTANT timestamptz := now() - interval '7 days';
    pruned bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN 0;
    END IF;
    IF (SELECT k.first_seen FROM kursaha_cohort.event_key k ORDER BY k.event_id LIMIT 1) < horizon IS NOT TRUE THEN
        RETURN 0;
    END IF;
    DELETE FROM kursaha_cohort.event_key WHERE ctid = ANY (ARRAY(
        SELECT k.ctid FROM kursaha_cohort.event_key k
        WHERE k.first_seen < horizon AND k.event_id = ANY (ARRAY(
            SELECT oldest.event_id FROM kursaha_cohort.event_key oldest ORDER BY oldest.event_id LIMIT at_most))
        FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.prune_event_keys(bigint) IS 'Deletes event keys that are older than 7 days, up to the given number; returns the number of deleted keys';

-- The entries of an events request, read where they lie (src/pg/signals.rs).
CREATE FUNCTION kursaha_cohort.signal_check(payload jsonb, OUT entries bigint, OUT keyed bigint) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT ROWS 1 AS 'MODULE_PATHNAME', 'signal_check_wrapper';
COMMENT ON FUNCTION kursaha_cohort.signal_check(jsonb) IS 'Returns the number of entries of a Kursaha events request, and the number of entries with a key; raises an error that lists every invalid entry';

CREATE FUNCTION kursaha_cohort.signal_rows(
    payload jsonb, OUT customer_id text, OUT event_type text, OUT occurred_at timestamptz, OUT data jsonb,
    OUT event_key text
) RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 1000 AS 'MODULE_PATHNAME', 'signal_rows_wrapper';
COMMENT ON FUNCTION kursaha_cohort.signal_rows(jsonb) IS 'The entries of a Kursaha events request that signal_check accepted, in their order';

CREATE FUNCTION @extschema@.cohort_track_batch(payload jsonb, OUT stored bigint, OUT duplicates bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    total bigint;
    keyed bigint;
BEGIN
    SELECT c.entries, c.keyed INTO total, keyed FROM kursaha_cohort.signal_check(payload) c;
    -- Ids are drawn in payload order.
    IF keyed = 0 THEN
        INSERT INTO @extschema@.cohort_event (customer_id, event_type, occurred_at, data)
        SELECT s.customer_id, s.event_type, coalesce(s.occurred_at, now()), coalesce(s.data, '{}')
        FROM kursaha_cohort.signal_rows(payload) s;
        -- A trigger may have handed rows on: they are stored elsewhere.
        stored := total;
        duplicates := 0;
        RETURN;
    END IF;
    -- Keys are inserted in their own order, so that two batches with the same keys wait for each other instead of
    -- deadlocking.
    WITH signal AS MATERIALIZED (
        SELECT nextval('@extschema@.cohort_event_event_id_seq') AS event_id, s.*
        FROM kursaha_cohort.signal_rows(payload) s
    ), won AS (
        INSERT INTO kursaha_cohort.event_key AS k (event_key, event_id, first_seen)
        SELECT DISTINCT ON (g.event_key COLLATE "C") g.event_key, g.event_id, now()
        FROM signal g WHERE g.event_key IS NOT NULL
        ORDER BY g.event_key COLLATE "C", g.event_id
        ON CONFLICT (event_key) DO UPDATE SET event_id = EXCLUDED.event_id, first_seen = EXCLUDED.first_seen
            WHERE k.first_seen < EXCLUDED.first_seen - interval '7 days'
        RETURNING k.event_id
    ), new AS MATERIALIZED (
        SELECT g.* FROM signal g LEFT JOIN won w ON w.event_id = g.event_id
        WHERE g.event_key IS NULL OR w.event_id IS NOT NULL
    ), written AS (
        INSERT INTO @extschema@.cohort_event (event_id, customer_id, event_type, occurred_at, data)
        SELECT n.event_id, n.customer_id, n.event_type, coalesce(n.occurred_at, now()), coalesce(n.data, '{}')
        FROM new n ORDER BY n.event_id
    )
    -- Not the rows of the INSERT: a trigger may have handed some on, which are stored elsewhere.
    SELECT count(*) INTO stored FROM new;
    duplicates := total - stored;
    PERFORM kursaha_cohort.prune_event_keys(2 * keyed);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_track_batch(jsonb) IS 'Stores the events of a Kursaha events request, all or none; the error lists each invalid entry. Entries with an eventKey of the last 7 days are counted as duplicates';

CREATE FUNCTION @extschema@.cohort_identify(customer_id text, profile jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    emptied text[] := '{}';
BEGIN
    IF cohort_identify.customer_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the customer id is NULL',
            HINT = 'Pass the id of the customer as text, 1 to 255 characters.';
    END IF;
    IF cohort_identify.profile IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the profile is NULL',
            HINT = 'Pass a JSON object; {} creates the customer without changing a profile.';
    END IF;
    PERFORM kursaha_cohort.need_object('profile of a customer', cohort_identify.profile);
    emptied := ARRAY(SELECT e.key FROM jsonb_each(cohort_identify.profile) e WHERE e.value = 'null');
    -- A profile that stays as it is is not written: applications repeat themselves far more often than people change.
    INSERT INTO @extschema@.cohort_customer AS c (customer_id, profile)
    VALUES (cohort_identify.customer_id,
            CASE WHEN emptied = '{}' THEN cohort_identify.profile ELSE cohort_identify.profile - emptied END)
    -- A profile that was stored past this function may be no object; merging then begins with an empty one.
    ON CONFLICT (customer_id) DO UPDATE
        SET profile = (CASE jsonb_typeof(c.profile) WHEN 'object' THEN c.profile ELSE '{}' END || EXCLUDED.profile) - emptied
        WHERE jsonb_typeof(c.profile) <> 'object' OR c.profile <> (c.profile || EXCLUDED.profile) - emptied;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_identify(text, jsonb) IS 'Creates a profile or merges into it, key by key at the top level; a key set to null is removed';

CREATE FUNCTION kursaha_cohort.customer_id_problem(written jsonb) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'customer_id_problem_wrapper';
COMMENT ON FUNCTION kursaha_cohort.customer_id_problem(jsonb) IS 'The problem of a customer id in a payload; NULL if it is valid';

CREATE FUNCTION @extschema@.cohort_identify(payload jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shape CONSTANT text := 'The payload is {"customerId": …, "customerData": {…}}.';
    problem text;
    given jsonb;
BEGIN
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid payload at $: must be an object, not %s', coalesce(jsonb_typeof(payload), 'NULL')),
            HINT = shape;
    END IF;
    problem := kursaha_cohort.customer_id_problem(payload -> 'customerId');
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'invalid payload at $.customerId: ' || problem, HINT = shape;
    END IF;
    -- A customer of whom nothing is known has no data; data under another name would be lost.
    IF NOT payload ? 'customerData' AND payload - 'customerId' <> '{}' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid payload at $.customerData: missing, and "%s" is not read',
                             (SELECT min(k) FROM jsonb_object_keys(payload - 'customerId') k)), HINT = shape;
    END IF;
    given := coalesce(nullif(payload -> 'customerData', 'null'), '{}');
    IF jsonb_typeof(given) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'invalid payload at $.customerData: must be an object, not ' || jsonb_typeof(given), HINT = shape;
    END IF;
    PERFORM @extschema@.cohort_identify(payload ->> 'customerId', given);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_identify(jsonb) IS 'Creates or merges the profile of a Kursaha customers request: {"customerId", "customerData"}';

CREATE FUNCTION @extschema@.cohort_forget(customer_id text, OUT events bigint, OUT profiles bigint, OUT syncs bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF cohort_forget.customer_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the customer id is NULL',
            HINT = 'Pass the id of the customer to erase.';
    END IF;
    -- The logs event_removed and customer_removed keep the id until the next sealing, which applies
    -- them; the entry here makes it rewrite the segments that contain this customer, without the rows and the id.
    INSERT INTO kursaha_cohort.forgotten (customer_id) VALUES (cohort_forget.customer_id);
    WITH gone AS (
        DELETE FROM @extschema@.cohort_event e WHERE e.customer_id = cohort_forget.customer_id RETURNING e.event_id
    ), keys AS (
        DELETE FROM kursaha_cohort.event_key k USING gone WHERE k.event_id = gone.event_id
    ), kept AS (
        DELETE FROM kursaha_cohort.kept_row k WHERE k.customer_id = cohort_forget.customer_id
    )
    SELECT count(*) INTO events FROM gone;
    DELETE FROM @extschema@.cohort_customer c WHERE c.customer_id = cohort_forget.customer_id;
    GET DIAGNOSTICS profiles = ROW_COUNT;
    syncs := kursaha_cohort.cohort_forget_member(cohort_forget.customer_id);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_forget(text) IS 'Erases a customer: events, profile, event keys, list entries and stored memberships now, the data in the index at the next sealing, and the data at destinations at the next run of each sync. Returns the numbers of erased rows and of syncs that have sent the customer';
