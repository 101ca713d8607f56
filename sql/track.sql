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

-- Customer data as event: what an event says of its customer, if the setting says so.
CREATE FUNCTION kursaha_cohort.profile_of_data(data jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(d.key, d.value), '{}') FROM jsonb_each(CASE jsonb_typeof(data) WHEN 'object' THEN data ELSE '{}' END) d
    WHERE d.key IN ('email', 'phone', 'phoneNumber', 'phone_number', 'firstName', 'lastName', 'gender', 'dob', 'dateOfBirth', 'city',
                    'state', 'country', 'countryCode', 'zip', 'zipcode')
      AND jsonb_typeof(d.value) IN ('string', 'number') AND d.value <> '""'
$$;
COMMENT ON FUNCTION kursaha_cohort.profile_of_data(jsonb) IS 'Returns the customer properties, such as email and city, that the data of an event contains';

-- Of several events the last that names a property counts. Profiles are written in the order of their ids, so that two
-- batches wait for each other instead of deadlocking; one that stays as it is is not written.
CREATE FUNCTION kursaha_cohort.merge_profiles(event_ids bigint[]) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO @extschema@.cohort_customer AS c (customer_id, profile)
    SELECT e.customer_id, jsonb_object_agg(p.key, p.value ORDER BY e.event_id)
    FROM @extschema@.cohort_event e CROSS JOIN LATERAL jsonb_each(kursaha_cohort.profile_of_data(e.data)) p
    WHERE e.event_id = ANY (event_ids)
    GROUP BY e.customer_id ORDER BY e.customer_id COLLATE "C"
    ON CONFLICT (customer_id) DO UPDATE
        SET profile = CASE jsonb_typeof(c.profile) WHEN 'object' THEN c.profile ELSE '{}' END || EXCLUDED.profile
        WHERE jsonb_typeof(c.profile) <> 'object' OR c.profile <> c.profile || EXCLUDED.profile
$$;
COMMENT ON FUNCTION kursaha_cohort.merge_profiles(bigint[]) IS 'Merges the customer properties of events into the profiles of their customers';

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
        IF current_setting('kursaha_cohort.profile_from_events', true) = 'on' THEN
            PERFORM kursaha_cohort.merge_profiles(ARRAY[id]);
        END IF;
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
    IF current_setting('kursaha_cohort.profile_from_events', true) = 'on' THEN
        PERFORM kursaha_cohort.merge_profiles(ARRAY[id]);
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

-- Results of requests, so that a repeated request gets the first result.

CREATE FUNCTION kursaha_cohort.prune_requests() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off
AS $$
BEGIN
    -- For the reason that stands at prune_event_keys. Two for each that comes, so that the old ones go faster.
    IF current_setting('transaction_isolation') = 'read committed' THEN
        DELETE FROM kursaha_cohort.request WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM kursaha_cohort.request r WHERE r.first_seen < now() - interval '7 days'
            ORDER BY r.first_seen LIMIT 2 FOR UPDATE SKIP LOCKED));
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.prune_requests() IS 'Deletes up to two stored request identifiers that are older than 7 days';

CREATE FUNCTION @extschema@.cohort_track_batch(payload jsonb, OUT stored bigint, OUT duplicates bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    total bigint;
    keyed bigint;
    request uuid;
    event_ids bigint[];
    with_profiles CONSTANT boolean := coalesce(current_setting('kursaha_cohort.profile_from_events', true) = 'on', false);
BEGIN
    SELECT c.entries, c.keyed INTO total, keyed FROM kursaha_cohort.signal_check(payload) c;
    IF payload ->> 'requestIdentifier' ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN
        request := (payload ->> 'requestIdentifier')::uuid;
        INSERT INTO kursaha_cohort.request AS r (request_id, first_seen) VALUES (request, now())
        ON CONFLICT (request_id) DO UPDATE SET first_seen = EXCLUDED.first_seen, stored = NULL, duplicates = NULL
            WHERE r.first_seen < EXCLUDED.first_seen - interval '7 days';
        IF NOT FOUND THEN
            -- ON CONFLICT waited for the first request to commit; this statement's snapshot sees its answer.
            SELECT r.stored, r.duplicates INTO STRICT stored, duplicates FROM kursaha_cohort.request r WHERE r.request_id = request;
            RETURN;
        END IF;
    END IF;
    -- Ids are drawn in payload order.
    IF keyed = 0 AND NOT with_profiles THEN
        INSERT INTO @extschema@.cohort_event (customer_id, event_type, occurred_at, data)
        SELECT s.customer_id, s.event_type, coalesce(s.occurred_at, now()), coalesce(s.data, '{}')
        FROM kursaha_cohort.signal_rows(payload) s;
        -- A trigger may have handed rows on: they are stored elsewhere.
        stored := total;
    ELSE
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
        SELECT count(*), CASE WHEN with_profiles THEN array_agg(n.event_id) END INTO stored, event_ids FROM new n;
        IF with_profiles THEN
            PERFORM kursaha_cohort.merge_profiles(event_ids);
        END IF;
        IF keyed > 0 THEN
            PERFORM kursaha_cohort.prune_event_keys(2 * keyed);
        END IF;
    END IF;
    duplicates := total - stored;
    IF request IS NOT NULL THEN
        UPDATE kursaha_cohort.request r SET stored = cohort_track_batch.stored, duplicates = cohort_track_batch.duplicates
        WHERE r.request_id = request;
        PERFORM kursaha_cohort.prune_requests();
    END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_track_batch(jsonb) IS 'Stores the events of a Kursaha events request, all or none; the error lists each invalid entry. Entries with an eventKey of the last 7 days are counted as duplicates; a request whose requestIdentifier is a UUID of the last 7 days stores nothing and returns the first result';

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

-- One entry of a customers request: what is wrong with it, if anything. "" means not given.
CREATE FUNCTION kursaha_cohort.customer_problem(entry jsonb, OUT place text, OUT problem text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF entry IS NULL OR jsonb_typeof(entry) <> 'object' THEN
        place := '';
        problem := 'must be an object, not ' || coalesce(jsonb_typeof(entry), 'NULL');
        RETURN;
    END IF;
    place := '.customerId';
    problem := kursaha_cohort.customer_id_problem(entry -> 'customerId');
    IF problem IS NOT NULL THEN
        RETURN;
    END IF;
    place := '.customerData';
    -- A customer of whom nothing is known has no data; data under another name would be lost.
    IF NOT entry ? 'customerData' AND entry - 'customerId' <> '{}' THEN
        problem := format('missing, and "%s" is not read', (SELECT min(k) FROM jsonb_object_keys(entry - 'customerId') k));
    ELSIF jsonb_typeof(coalesce(nullif(entry -> 'customerData', 'null'), '{}')) <> 'object' THEN
        problem := 'must be an object, not ' || jsonb_typeof(entry -> 'customerData');
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.customer_problem(jsonb) IS 'The problem of an entry of a customers request, with its path; NULL if it is valid';

CREATE FUNCTION @extschema@.cohort_identify(payload jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shape CONSTANT text := 'The payload is {"customerId": …, "customerData": {…}}, or a list of these objects.';
    is_list CONSTANT boolean := coalesce(jsonb_typeof(payload) = 'array', false);
    entries CONSTANT jsonb := CASE WHEN jsonb_typeof(payload) = 'array' THEN payload ELSE jsonb_build_array(payload) END;
    problems text[];
    entry record;
BEGIN
    IF jsonb_array_length(entries) > 100000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid payload at $: %s customers, at most 100000', jsonb_array_length(entries)),
            HINT = 'Send several payloads, or COPY into cohort_customer.';
    END IF;
    SELECT array_agg(format('$%s%s: %s', CASE WHEN is_list THEN format('[%s]', e.number - 1) END, p.place, p.problem) ORDER BY e.number)
    INTO problems
    FROM jsonb_array_elements(entries) WITH ORDINALITY e (entry, number)
    CROSS JOIN LATERAL kursaha_cohort.customer_problem(CASE WHEN payload IS NOT NULL THEN e.entry END) p
    WHERE p.problem IS NOT NULL;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'invalid payload at ' || problems[1], HINT = shape,
            DETAIL = 'Nothing was stored.'
                || CASE WHEN cardinality(problems) > 1 THEN ' Also invalid:' || chr(10) || array_to_string(problems[2:101], chr(10)) ELSE '' END
                || CASE WHEN cardinality(problems) > 101 THEN format(chr(10) || '… and %s more', cardinality(problems) - 101) ELSE '' END;
    END IF;
    -- In the order of ids, so that two lists wait for each other instead of deadlocking; entries of one customer in theirs.
    FOR entry IN
        SELECT e.entry ->> 'customerId' AS customer,
            (SELECT coalesce(jsonb_object_agg(d.key, d.value), '{}')
             FROM jsonb_each(coalesce(nullif(e.entry -> 'customerData', 'null'), '{}')) d WHERE d.value <> '""') AS given
        FROM jsonb_array_elements(entries) WITH ORDINALITY e (entry, number)
        ORDER BY e.entry ->> 'customerId' COLLATE "C", e.number
    LOOP
        PERFORM @extschema@.cohort_identify(entry.customer, entry.given);
    END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_identify(jsonb) IS 'Creates or merges the profiles of a Kursaha customers request, {"customerId", "customerData"} or a list of these objects: all or none. An empty string counts as not given';

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
