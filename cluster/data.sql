-- Data in: one customer's goes to that customer's node, a batch is split.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.cohort_track(
    customer_id text, event_type text, data jsonb DEFAULT '{}', occurred_at timestamptz DEFAULT now(), event_key text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    RETURN (SELECT t.event_id FROM kursaha_cohort_cluster.node_track(
        cohort_track.customer_id, cohort_track.event_type, cohort_track.data, coalesce(cohort_track.occurred_at, now()),
        cohort_track.event_key, NULL, cohort_track.customer_id) t);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_track(text, text, jsonb, timestamptz, text) IS 'Stores one event on its customer''s node and returns its event_id there. An event with an event_key that the node received within the last 7 days is not stored again';

CREATE FUNCTION @extschema@.cohort_track_batch(payload jsonb, OUT stored bigint, OUT duplicates bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    shares record;
BEGIN
    -- Every bad entry is named before a node stores anything.
    PERFORM FROM kursaha_cohort.signal_check(payload);
    WITH entry AS (
        SELECT h.shard, h.lo, h.hi, e.place,
               jsonb_strip_nulls(jsonb_build_object(
                   'customerId', e.customer_id, 'eventType', e.event_type, 'eventKey', e.event_key,
                   'occurredAt', to_char(coalesce(e.occurred_at, now()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
               || jsonb_build_object('data', coalesce(e.data, '{}')) AS entry
        FROM kursaha_cohort.signal_rows(payload) WITH ORDINALITY e (customer_id, event_type, occurred_at, data, event_key, place),
             kursaha_cohort_cluster.home(e.customer_id) h
    ), share AS (
        SELECT shard, lo, hi, jsonb_build_object('signals', jsonb_agg(entry ORDER BY place)) AS payload FROM entry GROUP BY shard, lo, hi
    )
    SELECT array_agg(s.payload ORDER BY s.shard) AS payloads, array_agg(s.shard ORDER BY s.shard) AS shards,
           array_agg(s.lo ORDER BY s.shard) AS los, array_agg(s.hi ORDER BY s.shard) AS his
    INTO shares FROM share s;
    IF shares.shards IS NULL THEN
        stored := 0;
        duplicates := 0;
        RETURN;
    END IF;
    SELECT coalesce(sum(b.stored), 0), coalesce(sum(b.duplicates), 0) INTO stored, duplicates
    FROM kursaha_cohort_cluster.send_track_batch(shares.payloads, NULL, NULL, shares.shards, shares.los, shares.his) b;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_track_batch(jsonb) IS 'Stores the events of a Kursaha events request on their customers'' nodes. An error names each invalid entry, before any event is stored';

CREATE FUNCTION @extschema@.cohort_identify(customer_id text, profile jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.node_identify(cohort_identify.customer_id, cohort_identify.profile, NULL, cohort_identify.customer_id);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_identify(text, jsonb) IS 'Creates a profile or merges into it, on the customer''s node';

CREATE FUNCTION @extschema@.cohort_identify(payload jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.node_identify_payload(payload, NULL,
        CASE jsonb_typeof(payload) WHEN 'object' THEN payload ->> 'customerId' END);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_identify(jsonb) IS 'Creates or merges the profile of a Kursaha customers request, on the customer''s node';

-- Lists are on every node, and syncs on the coordinator.
CREATE FUNCTION @extschema@.cohort_forget(customer_id text, OUT events bigint, OUT profiles bigint, OUT syncs bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    here record;
BEGIN
    SELECT f.* INTO here FROM @extschema:kursaha_cohort@.cohort_forget(cohort_forget.customer_id) f;
    SELECT sum(f.events) + here.events, sum(f.profiles) + here.profiles INTO events, profiles
    FROM kursaha_cohort_cluster.node_forget(cohort_forget.customer_id, NULL) f;
    syncs := here.syncs;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_forget(text) IS 'Erases a customer on every node and on the coordinator; returns the numbers of erased rows, and of syncs that sent the customer';

CREATE FUNCTION @extschema@.cohort_retain(keep interval, event_type text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.node_retain(keep, event_type, NULL);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_retain(interval, text) IS 'Keeps events for an interval after they occurred, on every node; NULL ends the policy';

CREATE FUNCTION @extschema@.cohort_retain_now(most bigint DEFAULT 50000) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    RETURN (SELECT sum(r.deleted) FROM kursaha_cohort_cluster.node_retain_now(most, NULL) r);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_retain_now(bigint) IS 'Deletes expired events, up to about the given number on each node; returns the number of deleted events';

-- Ids that are numbers or uuids. Without these the coordinator's own functions of those types would be found.
DO $$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['bigint', 'uuid'] LOOP
        EXECUTE format($make$
            CREATE FUNCTION @extschema@.cohort_track(
                customer_id %1$s, event_type text, data jsonb DEFAULT '{}', occurred_at timestamptz DEFAULT now(), event_key text DEFAULT NULL
            ) RETURNS bigint LANGUAGE sql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
            AS 'SELECT @extschema@.cohort_track($1::text, $2, $3, $4, $5)';
            COMMENT ON FUNCTION @extschema@.cohort_track(%1$s, text, jsonb, timestamptz, text) IS 'Stores one event of a customer whose id is a %1$s';
            CREATE FUNCTION @extschema@.cohort_identify(customer_id %1$s, profile jsonb) RETURNS void
                LANGUAGE sql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
            AS 'SELECT @extschema@.cohort_identify($1::text, $2)';
            COMMENT ON FUNCTION @extschema@.cohort_identify(%1$s, jsonb) IS 'Creates or merges the profile of a customer whose id is a %1$s';
            CREATE FUNCTION @extschema@.cohort_forget(customer_id %1$s, OUT events bigint, OUT profiles bigint, OUT syncs bigint)
                LANGUAGE sql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
            AS 'SELECT * FROM @extschema@.cohort_forget($1::text)';
            COMMENT ON FUNCTION @extschema@.cohort_forget(%1$s) IS 'Erases a customer whose id is a %1$s';
            CREATE FUNCTION @extschema@.cohort_contains(name text, customer_id %1$s, as_of timestamptz DEFAULT NULL) RETURNS boolean
                LANGUAGE sql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
            AS 'SELECT @extschema@.cohort_contains($1, $2::text, $3)';
            COMMENT ON FUNCTION @extschema@.cohort_contains(text, %1$s, timestamptz) IS 'Whether one customer, whose id is a %1$s, is in a saved cohort at an instant';
            CREATE FUNCTION @extschema@.cohort_why(
                name text, customer_id %1$s, as_of timestamptz DEFAULT NULL,
                OUT path text, OUT condition text, OUT holds boolean, OUT evidence jsonb
            ) RETURNS SETOF record
                LANGUAGE sql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
            AS 'SELECT * FROM @extschema@.cohort_why($1, $2::text, $3)';
            COMMENT ON FUNCTION @extschema@.cohort_why(text, %1$s, timestamptz) IS 'For each condition of a cohort, whether one customer, whose id is a %1$s, satisfies it'
            $make$, kind);
    END LOOP;
END
$$;
