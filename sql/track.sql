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
            HINT = format('Wrap it, for example {"value": …}; {} is the %s with nothing in it.', what);
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.need_object(text, jsonb) IS 'Raises an error when a JSON value is no object';

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

    PERFORM kursaha_cohort.need_object('data of an event', cohort_track.data);

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
    -- The id is taken before the key, so that the key never names an event that is not there.
    id := nextval(pg_get_serial_sequence('@extschema@.cohort_event', 'event_id'));
    INSERT INTO kursaha_cohort.event_key AS k (event_key, event_id, first_seen)
    VALUES (cohort_track.event_key, id, now())
    ON CONFLICT (event_key) DO UPDATE SET event_id = EXCLUDED.event_id, first_seen = EXCLUDED.first_seen
        WHERE k.first_seen < EXCLUDED.first_seen - interval '7 days';
    IF NOT FOUND THEN
        -- ON CONFLICT waited for the first writer and locked its row; this statement's snapshot sees it.
        SELECT k.event_id INTO STRICT id FROM kursaha_cohort.event_key k WHERE k.event_key = cohort_track.event_key;
        RETURN id;
    END IF;
    INSERT INTO @extschema@.cohort_event (event_id, customer_id, event_type, occurred_at, data)
    VALUES (id, cohort_track.customer_id, cohort_track.event_type, coalesce(cohort_track.occurred_at, now()),
            coalesce(cohort_track.data, '{}'));
    PERFORM kursaha_cohort.prune_event_keys(10);
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_track(text, text, jsonb, timestamptz, text) IS 'Stores one event and returns its event_id; a repeat of the same event_key within 7 days stores nothing and returns the first event_id';

-- At a stricter isolation level a key that another transaction renewed or removed would fail the caller's transaction
-- for the sake of housekeeping; the next call at READ COMMITTED prunes as well.
CREATE FUNCTION kursaha_cohort.prune_event_keys(at_most bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN;
    END IF;
    DELETE FROM kursaha_cohort.event_key WHERE ctid = ANY (ARRAY(
        SELECT k.ctid FROM kursaha_cohort.event_key k
        WHERE k.first_seen < now() - interval '7 days'
        ORDER BY k.first_seen LIMIT at_most FOR UPDATE SKIP LOCKED));
END
$$;
COMMENT ON FUNCTION kursaha_cohort.prune_event_keys(bigint) IS 'Removes event keys older than 7 days, the oldest first';

-- Without SET, whose cost at each entry of a batch shows; its callers have set the path.
CREATE FUNCTION kursaha_cohort.signal_time(written text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'signal_time_wrapper';
COMMENT ON FUNCTION kursaha_cohort.signal_time(text) IS 'The instant of an ISO 8601 date (midnight UTC) or time with offset; NULL when it is neither';

CREATE FUNCTION kursaha_cohort.name_problem(written jsonb, number_too boolean, reserved text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT
AS $$
DECLARE
    kind text := coalesce(jsonb_typeof(written), 'null');
    plain text := written #>> '{}';
BEGIN
    IF kind = 'null' THEN
        RETURN 'is missing';
    ELSIF kind <> 'string' AND NOT (number_too AND kind = 'number') THEN
        RETURN 'must be a string' || CASE WHEN number_too THEN ' or a number' ELSE '' END || ', not ' || kind;
    ELSIF plain = '' THEN
        RETURN 'is empty';
    ELSIF plain = reserved THEN
        RETURN format('"%s" is refused', reserved);
    ELSIF length(plain) > 255 THEN
        RETURN format('is too long: %s characters, at most 255', length(plain));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.name_problem(jsonb, boolean, text) IS 'What is wrong with an id, type or key in a payload; NULL when nothing is';

CREATE FUNCTION @extschema@.cohort_track_batch(payload jsonb, OUT stored bigint, OUT duplicates bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    -- A request is read into memory as a whole; a larger one belongs into COPY.
    cap CONSTANT bigint := 100000;
    shape CONSTANT text := 'The payload is {"signals": [{"customerId": …, "eventType": …, "data": {…}, "occurredAt": …, "eventKey": …}, …]}; data, occurredAt and eventKey may be left out.';
    problems text[];
    bad bigint;
    total bigint;
    ids CONSTANT regclass := pg_get_serial_sequence('@extschema@.cohort_event', 'event_id');
BEGIN
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid payload at $: must be an object, not %s', coalesce(jsonb_typeof(payload), 'NULL')),
            HINT = shape;
    END IF;
    IF coalesce(jsonb_typeof(payload -> 'signals'), 'null') <> 'array' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'invalid payload at $.signals: '
                      || CASE coalesce(jsonb_typeof(payload -> 'signals'), 'null') WHEN 'null' THEN 'is missing'
                         ELSE 'must be an array, not ' || jsonb_typeof(payload -> 'signals') END,
            HINT = shape;
    END IF;
    total := jsonb_array_length(payload -> 'signals');
    IF total > cap THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid payload at $.signals: %s signals, at most %s', total, cap),
            HINT = 'Send several payloads, or COPY into cohort_event.';
    END IF;

    WITH problem AS (
        SELECT s.i, p.n, format('$.signals[%s]%s: %s', s.i - 1, p.place, p.problem) AS message
        FROM jsonb_array_elements(payload -> 'signals') WITH ORDINALITY AS s (v, i),
             kursaha_cohort.signal_field(s.v) f,
             LATERAL (VALUES
                (0, '', CASE WHEN jsonb_typeof(s.v) <> 'object'
                             THEN 'must be an object, not ' || jsonb_typeof(s.v) END),
                (1, '.' || f.customer_key, kursaha_cohort.name_problem(f.customer, true, 'None')),
                (2, '.' || f.type_key, kursaha_cohort.name_problem(f.type, false, '*')),
                (3, '.data', CASE WHEN jsonb_typeof(f.data) <> 'object'
                                  THEN 'must be an object, not ' || jsonb_typeof(f.data) END),
                (4, '.' || f.time_key,
                    CASE WHEN f.occurred_at IS NULL THEN NULL
                         WHEN jsonb_typeof(f.occurred_at) <> 'string'
                         THEN 'must be a string, not ' || jsonb_typeof(f.occurred_at)
                         WHEN kursaha_cohort.signal_time(f.occurred_at #>> '{}') IS NULL
                         THEN format('"%s" is neither an ISO 8601 time with offset nor a date',
                                     left(f.occurred_at #>> '{}', 40)) END),
                (5, '.' || f.key_key,
                    CASE WHEN f.event_key IS NOT NULL
                         THEN kursaha_cohort.name_problem(f.event_key, true, NULL) END)
             ) AS p (n, place, problem)
        WHERE p.problem IS NOT NULL AND (p.n = 0 OR jsonb_typeof(s.v) = 'object')
    ), listed AS (
        SELECT message, i, n FROM problem ORDER BY i, n LIMIT 101
    )
    SELECT (SELECT array_agg(message ORDER BY i, n) FROM listed), (SELECT count(*) FROM problem) INTO problems, bad;
    IF bad > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'invalid signal at ' || problems[1],
            DETAIL = CASE WHEN bad = 1 THEN 'Nothing was stored.'
                     ELSE format('Nothing was stored. Also invalid:%s%s%s', E'\n', array_to_string(problems[2:101], E'\n'),
                                 CASE WHEN bad > 101 THEN format(E'\n… and %s more', bad - 101) ELSE '' END) END,
            HINT = shape;
    END IF;

    -- Ids are drawn in payload order. Keys are inserted in their own order, so that two batches with the same keys wait
    -- for each other instead of deadlocking.
    WITH signal AS MATERIALIZED (
        SELECT nextval(ids) AS event_id, o.*
        FROM (SELECT s.i, f.customer #>> '{}' AS customer_id, f.type #>> '{}' AS event_type,
                     coalesce(kursaha_cohort.signal_time(f.occurred_at #>> '{}'), now()) AS occurred_at,
                     coalesce(f.data, '{}') AS data, f.event_key #>> '{}' AS event_key
              FROM jsonb_array_elements(payload -> 'signals') WITH ORDINALITY AS s (v, i),
                   kursaha_cohort.signal_field(s.v) f
              ORDER BY s.i) o
    ), won AS (
        INSERT INTO kursaha_cohort.event_key AS k (event_key, event_id, first_seen)
        SELECT DISTINCT ON (g.event_key COLLATE "C") g.event_key, g.event_id, now()
        FROM signal g WHERE g.event_key IS NOT NULL
        ORDER BY g.event_key COLLATE "C", g.i
        ON CONFLICT (event_key) DO UPDATE SET event_id = EXCLUDED.event_id, first_seen = EXCLUDED.first_seen
            WHERE k.first_seen < EXCLUDED.first_seen - interval '7 days'
        RETURNING k.event_id
    )
    INSERT INTO @extschema@.cohort_event (event_id, customer_id, event_type, occurred_at, data)
    SELECT g.event_id, g.customer_id, g.event_type, g.occurred_at, g.data
    FROM signal g LEFT JOIN won w ON w.event_id = g.event_id
    WHERE g.event_key IS NULL OR w.event_id IS NOT NULL
    ORDER BY g.i;
    GET DIAGNOSTICS stored = ROW_COUNT;
    duplicates := total - stored;
    PERFORM kursaha_cohort.prune_event_keys(1000);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_track_batch(jsonb) IS 'Stores the events of a Kursaha events request, all or nothing; each bad entry is named in the error. Entries with an eventKey seen in the last 7 days are counted as duplicates';

-- Plain SQL without SET, so that the planner folds it into the callers' scans: a call an entry would halve their speed.
CREATE FUNCTION kursaha_cohort.signal_field(
    signal jsonb,
    OUT customer_key text, OUT customer jsonb, OUT type_key text, OUT type jsonb, OUT data jsonb,
    OUT time_key text, OUT occurred_at jsonb, OUT key_key text, OUT event_key jsonb
) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT ROWS 1
AS $$
SELECT CASE WHEN signal ->> 'customerId' IS NULL AND signal ->> 'emitterId' IS NOT NULL THEN 'emitterId'
            ELSE 'customerId' END,
       CASE WHEN signal ->> 'customerId' IS NOT NULL THEN signal -> 'customerId' ELSE signal -> 'emitterId' END,
       CASE WHEN signal ->> 'eventType' IS NULL AND signal ->> 'stepNodeId' IS NOT NULL THEN 'stepNodeId'
            ELSE 'eventType' END,
       CASE WHEN signal ->> 'eventType' IS NOT NULL THEN signal -> 'eventType' ELSE signal -> 'stepNodeId' END,
       CASE WHEN signal ->> 'data' IS NOT NULL THEN signal -> 'data' END,
       CASE WHEN signal ->> 'occurredAt' IS NOT NULL THEN 'occurredAt'
            WHEN signal ->> 'occurred_at' IS NOT NULL THEN 'occurred_at' ELSE 'timestamp' END,
       CASE WHEN signal ->> 'occurredAt' IS NOT NULL THEN signal -> 'occurredAt'
            WHEN signal ->> 'occurred_at' IS NOT NULL THEN signal -> 'occurred_at'
            WHEN signal ->> 'timestamp' IS NOT NULL THEN signal -> 'timestamp' END,
       CASE WHEN signal ->> 'eventKey' IS NOT NULL THEN 'eventKey' ELSE 'event_key' END,
       CASE WHEN signal ->> 'eventKey' IS NOT NULL THEN signal -> 'eventKey'
            WHEN signal ->> 'event_key' IS NOT NULL THEN signal -> 'event_key' END
$$;
COMMENT ON FUNCTION kursaha_cohort.signal_field(jsonb) IS 'The fields of one entry of a Kursaha events request, under whichever of their names they came';

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
            HINT = 'Pass a JSON object; {} creates the customer and changes nothing.';
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
    problem := kursaha_cohort.name_problem(payload -> 'customerId', true, 'None');
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
            HINT = 'Pass the id of the customer to forget.';
    END IF;
    -- The logs event_removed and customer_removed keep the id until the next sealing, which learns from them what is
    -- gone; the entry here makes it write the segments that hold this customer anew, without the rows and the id.
    INSERT INTO kursaha_cohort.forgotten (customer_id) VALUES (cohort_forget.customer_id);
    WITH gone AS (
        DELETE FROM @extschema@.cohort_event e WHERE e.customer_id = cohort_forget.customer_id RETURNING e.event_id
    ), keys AS (
        DELETE FROM kursaha_cohort.event_key k USING gone WHERE k.event_id = gone.event_id
    ), captured AS (
        DELETE FROM kursaha_cohort.captured c USING gone WHERE c.event_id = gone.event_id
    )
    SELECT count(*) INTO events FROM gone;
    DELETE FROM @extschema@.cohort_customer c WHERE c.customer_id = cohort_forget.customer_id;
    GET DIAGNOSTICS profiles = ROW_COUNT;
    syncs := kursaha_cohort.cohort_forget_member(cohort_forget.customer_id);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_forget(text) IS 'Erases a person: events, profile, event keys, list entries and stored memberships, at the next sealing what the index holds, and at the next run of each sync what its destination has; returns what was erased and how many syncs have told of them';
