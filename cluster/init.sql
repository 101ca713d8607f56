-- Making a cluster of a coordinator and nodes, and making the functions again after an upgrade or a change of the map.
SET LOCAL search_path = pg_catalog, pg_temp;

-- What lands in the coordinator's own tables, by a captured table for instance, goes to its node.
CREATE FUNCTION kursaha_cohort_cluster.door_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO @extschema@.cohort_event (customer_id, event_type, occurred_at, data)
    VALUES (NEW.customer_id, NEW.event_type, NEW.occurred_at, NEW.data);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.door_event() IS 'Sends a row that is inserted into the coordinator''s cohort_event to its customer''s node';

CREATE FUNCTION kursaha_cohort_cluster.door_customer() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO @extschema@.cohort_customer (customer_id, profile, created_at, updated_at)
    VALUES (NEW.customer_id, NEW.profile, NEW.created_at, NEW.updated_at);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.door_customer() IS 'Sends a row that is inserted into the coordinator''s cohort_customer to its customer''s node';

CREATE FUNCTION kursaha_cohort_cluster.make_doors() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind text;
BEGIN
    PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
    FOREACH kind IN ARRAY ARRAY['event', 'customer'] LOOP
        -- It comes before the trigger "stamp".
        EXECUTE format('CREATE OR REPLACE TRIGGER door BEFORE INSERT ON @extschema:kursaha_cohort@.cohort_%1$s
                        FOR EACH ROW EXECUTE FUNCTION kursaha_cohort_cluster.door_%1$s()', kind);
        EXECUTE format('ALTER TABLE @extschema:kursaha_cohort@.cohort_%s ENABLE ALWAYS TRIGGER door', kind);
        EXECUTE format('COMMENT ON TRIGGER door ON @extschema:kursaha_cohort@.cohort_%s IS %L', kind, 'Sends inserted rows to their nodes');
    END LOOP;
    PERFORM set_config('citus.enable_ddl_propagation', 'on', true);
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_doors() IS 'Creates the triggers that send rows of the coordinator''s own tables to their nodes';

CREATE FUNCTION kursaha_cohort_cluster.make_views() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE OR REPLACE VIEW @extschema@.cohort_property AS
    SELECT p.event_type, p.property, array_agg(DISTINCT t ORDER BY t) AS types, sum(DISTINCT p.total)::bigint AS events
    FROM (SELECT q.event_type, q.property, q.types, sum(q.events) OVER (PARTITION BY q.event_type, q.property) AS total
          FROM kursaha_cohort_cluster.node_property(NULL) q) p
    CROSS JOIN LATERAL unnest(p.types) t
    GROUP BY p.event_type, p.property;
    COMMENT ON VIEW @extschema@.cohort_property IS 'The properties of sealed events of all nodes, by event type, for pick lists';
    COMMENT ON COLUMN @extschema@.cohort_property.event_type IS 'The type of the events';
    COMMENT ON COLUMN @extschema@.cohort_property.property IS 'The property; keys of nested objects are joined by dots';
    COMMENT ON COLUMN @extschema@.cohort_property.types IS 'The types of its values';
    COMMENT ON COLUMN @extschema@.cohort_property.events IS 'Number of events that have it';
    CREATE OR REPLACE VIEW @extschema@.cohort_definition AS
    SELECT d.cohort_id, d.name, d.kind, d.description, d.rule, d.version, d.owner, d.created_at, d.updated_at,
           CASE WHEN d.kind = 'query' THEN d.size ELSE s.size END AS size,
           CASE WHEN d.kind = 'query' THEN d.refreshed_at ELSE s.refreshed_at END AS refreshed_at, d.query
    FROM @extschema:kursaha_cohort@.cohort_definition d
    LEFT JOIN (SELECT n.cohort, sum(n.size)::bigint AS size, min(n.refreshed_at) AS refreshed_at
               FROM kursaha_cohort_cluster.node_sizes(NULL) n GROUP BY n.cohort
               HAVING count(n.refreshed_at) = (SELECT count(*) FROM kursaha_cohort_cluster.shard)
                  AND min(n.refreshed_at) = max(n.refreshed_at)) s ON s.cohort = d.name;
    COMMENT ON VIEW @extschema@.cohort_definition IS 'The saved cohorts, with the size at the last refresh that reached every node';
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_views() IS 'Creates the views that call the nodes';

-- A function without a counterpart in the layer would ask the coordinator's own tables, which are empty, and answer.
CREATE FUNCTION kursaha_cohort_cluster.is_local(name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT name IN ('cohort_validate', 'cohort_rule_schema', 'cohort_sql', 'cohort_sample_place', 'cohort_version',
                    'cohort_capture', 'cohort_release', 'cohort_release_profile', 'cohort_backfill', 'cohort_export',
                    'cohort_create_query', 'cohort_update_query', 'cohort_unsuppress', 'cohort_priority_drop')
        OR name ~ '^cohort_(destination|secret|sync)_' AND name <> 'cohort_sync_create';
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.is_local(text) IS 'Whether a function of kursaha_cohort can be called on the coordinator unchanged';

CREATE FUNCTION kursaha_cohort_cluster.make_refusals() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p record;
BEGIN
    FOR p IN
        SELECT f.oid, f.proname, pg_get_function_arguments(f.oid) AS arguments, pg_get_function_identity_arguments(f.oid) AS signature,
               pg_get_function_result(f.oid) AS result
        FROM pg_proc f
        JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e'
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'kursaha_cohort'
        WHERE f.pronamespace = '@extschema:kursaha_cohort@'::regnamespace AND f.prokind = 'f'
          AND NOT kursaha_cohort_cluster.is_local(f.proname)
          AND NOT EXISTS (SELECT FROM pg_proc l WHERE l.pronamespace = '@extschema@'::regnamespace AND l.proname = f.proname
                          AND l.proargtypes = f.proargtypes)
    LOOP
        EXECUTE format($make$CREATE FUNCTION @extschema@.%1$I(%2$s) RETURNS %3$s LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
            AS $body$
            BEGIN
                RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = '%1$s is not available on a cluster',
                    HINT = 'docs/CLUSTER.md lists the available functions and alternatives.';
            END
            $body$ $make$, p.proname, p.arguments, p.result);
        EXECUTE format('COMMENT ON FUNCTION @extschema@.%I(%s) IS %L', p.proname, p.signature,
                       'Raises an error: the function would read the coordinator''s own tables, which are empty');
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_refusals() IS 'Creates a function that raises an error for each function of kursaha_cohort without a counterpart for all nodes';

-- What cohort_cluster_init makes belongs to nobody but the owner, and goes with the extension.
CREATE FUNCTION kursaha_cohort_cluster.adopt() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT f.oid FROM pg_proc f
        WHERE f.pronamespace IN ('@extschema@'::regnamespace, 'kursaha_cohort_cluster'::regnamespace)
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype IN ('e', 'x'))
          AND (f.pronamespace = 'kursaha_cohort_cluster'::regnamespace OR f.proname LIKE 'cohort\_%')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine);
        EXECUTE format('ALTER FUNCTION %s DEPENDS ON EXTENSION kursaha_cohort_cluster', routine);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.adopt() IS 'Revokes the created functions from PUBLIC, and makes them depend on the extension';

CREATE FUNCTION kursaha_cohort_cluster.make_functions(engine text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.make_call(engine, c) FROM kursaha_cohort_cluster.call c;
    PERFORM kursaha_cohort_cluster.make_views();
    PERFORM kursaha_cohort_cluster.make_refusals();
    PERFORM kursaha_cohort_cluster.adopt();
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_functions(text) IS 'Creates all functions that call nodes, for an engine';

CREATE FUNCTION @extschema@.cohort_cluster_init(engine text, nodes jsonb DEFAULT NULL) RETURNS TABLE (node integer, lo integer, hi integer)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    many integer := jsonb_array_length(nodes);
    s record;
    found record;
BEGIN
    IF engine IS NULL OR engine NOT IN ('plproxy', 'citus') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown engine "%s"', engine),
            HINT = 'The engines are plproxy and citus.';
    END IF;
    IF EXISTS (SELECT FROM kursaha_cohort_cluster.engine) THEN
        IF nodes IS NOT NULL OR NOT EXISTS (SELECT FROM kursaha_cohort_cluster.engine e WHERE e.engine = $1) THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'this database is already the coordinator of a cluster',
                HINT = format('SELECT * FROM cohort_cluster_init(%L); recreates its functions; cohort_cluster_move changes an address.',
                              (SELECT e.engine FROM kursaha_cohort_cluster.engine e));
        END IF;
        IF engine = 'plproxy' THEN
            PERFORM kursaha_cohort_cluster.connect_plproxy();
        END IF;
        PERFORM kursaha_cohort_cluster.make_functions(engine);
        PERFORM kursaha_cohort_cluster.make_doors();
        RETURN QUERY SELECT h.shard, h.lo, h.hi FROM kursaha_cohort_cluster.shard h ORDER BY h.shard;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM @extschema:kursaha_cohort@.cohort_event) OR EXISTS (SELECT FROM @extschema:kursaha_cohort@.cohort_customer)
        OR EXISTS (SELECT FROM kursaha_cohort.cohort) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the coordinator contains events, customers or cohorts',
            HINT = 'Use a new database as the coordinator, and this one as its first node.';
    END IF;
    IF engine = 'plproxy' THEN
        IF jsonb_typeof(nodes) IS DISTINCT FROM 'array' OR many NOT BETWEEN 1 AND 1024 THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'nodes must be an array of 1 to 1024 addresses',
                HINT = '[{"host": "10.0.0.1", "dbname": "shop"}, …]; one entry for each database.';
        END IF;
        PERFORM kursaha_cohort_cluster.check_address(n) FROM jsonb_array_elements(nodes) n;
        INSERT INTO kursaha_cohort_cluster.shard (shard, lo, hi, address)
        SELECT i - 1, -2147483648 + (i - 1) * 4294967296 / many, -2147483648 + i * 4294967296 / many - 1, n
        FROM jsonb_array_elements(nodes) WITH ORDINALITY a (n, i);
        PERFORM kursaha_cohort_cluster.connect_plproxy();
    ELSE
        IF nodes IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'with Citus, nodes must not be given',
                HINT = 'SELECT citus_add_node(…) adds a node; then run SELECT * FROM cohort_cluster_init(''citus'');';
        END IF;
        PERFORM kursaha_cohort_cluster.connect_citus();
    END IF;
    INSERT INTO kursaha_cohort_cluster.engine (engine) VALUES ($1);
    PERFORM kursaha_cohort_cluster.make_functions(engine);
    -- A node that holds others' customers, or is another cluster's, is left as it is.
    FOR s IN SELECT * FROM kursaha_cohort_cluster.shard h ORDER BY h.shard LOOP
        FOR found IN SELECT * FROM kursaha_cohort_cluster.send_state(NULL, NULL, ARRAY[s.shard], ARRAY[s.lo], ARRAY[s.hi]) LOOP
            IF found.lo IS NOT NULL AND (found.lo, found.hi) <> (s.lo, s.hi) THEN
                RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                    MESSAGE = format('node %s already has the customers from %s to %s, not from %s to %s', s.shard, found.lo, found.hi, s.lo, s.hi),
                    HINT = 'Name every database once. DELETE FROM kursaha_cohort.owned on the node removes it from another cluster.';
            END IF;
        END LOOP;
        PERFORM kursaha_cohort_cluster.send_own(NULL, NULL, ARRAY[s.shard], ARRAY[s.lo], ARRAY[s.hi]);
        IF (SELECT n.customers > 0 FROM kursaha_cohort_cluster.send_not_owned(NULL, NULL, ARRAY[s.shard], ARRAY[s.lo], ARRAY[s.hi]) n) THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('node %s has customers outside of its range, %s to %s', s.shard, s.lo, s.hi),
                HINT = 'Start with empty nodes, and load them through the coordinator.';
        END IF;
    END LOOP;
    IF engine = 'plproxy' THEN
        PERFORM kursaha_cohort_cluster.make_tables();
    ELSE
        PERFORM kursaha_cohort_cluster.make_citus_tables();
    END IF;
    PERFORM kursaha_cohort_cluster.make_doors();
    RETURN QUERY SELECT h.shard, h.lo, h.hi FROM kursaha_cohort_cluster.shard h ORDER BY h.shard;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_cluster_init(text, jsonb) IS 'Makes this database the coordinator of the given nodes; without nodes, recreates its functions';
