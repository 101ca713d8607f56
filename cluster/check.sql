-- How the nodes are, and what is wrong with the cluster.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Without plpgsql's own check: what it calls is made by cohort_cluster_init.
CREATE FUNCTION kursaha_cohort_cluster.load(
    OUT node integer, OUT lo integer, OUT hi integer, OUT address text, OUT reachable boolean, OUT events bigint, OUT tail bigint,
    OUT customers bigint, OUT bytes bigint, OUT problems bigint, OUT error text
) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER @settings@
AS $$
DECLARE
    s kursaha_cohort_cluster.shard;
BEGIN
    FOR s IN SELECT h.* FROM kursaha_cohort_cluster.shard h ORDER BY h.shard LOOP
        node := s.shard;
        lo := s.lo;
        hi := s.hi;
        address := (SELECT string_agg(format('%s=%s', a.key, a.value), ' ' ORDER BY a.key) FROM jsonb_each_text(s.address) a
                    WHERE a.key IN ('host', 'hostaddr', 'port', 'dbname'));
        events := NULL;
        tail := NULL;
        customers := NULL;
        bytes := NULL;
        problems := NULL;
        error := NULL;
        BEGIN
            SELECT l.events, l.tail, l.customers, l.bytes, l.problems INTO events, tail, customers, bytes, problems
            FROM kursaha_cohort_cluster.send_load(NULL, NULL, ARRAY[s.shard], ARRAY[s.lo], ARRAY[s.hi]) l;
            reachable := true;
        EXCEPTION WHEN OTHERS THEN
            reachable := false;
            error := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.load() IS 'The rows of the view cohort_cluster_status';

CREATE VIEW @extschema@.cohort_cluster_status AS
SELECT l.node, l.lo, l.hi, l.address, l.reachable, l.events, l.tail, l.customers, l.bytes, l.problems, l.error
FROM kursaha_cohort_cluster.load() l;
COMMENT ON VIEW @extschema@.cohort_cluster_status IS 'One row for each node: its customers, whether it responds, and the size of its index';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.node IS 'Its number, from 0 on';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.lo IS 'The first hashtext(customer_id) of its customers';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.hi IS 'The last one';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.address IS 'Its address';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.reachable IS 'Whether it responded';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.events IS 'Number of events in its segments';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.tail IS 'Number of its unsealed events';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.customers IS 'Number of its customers with an ordinal';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.bytes IS 'Size of all its segments';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.problems IS 'Number of rows of its cohort_problem';
COMMENT ON COLUMN @extschema@.cohort_cluster_status.error IS 'Why it did not respond';

CREATE FUNCTION kursaha_cohort_cluster.check_map() RETURNS TABLE (node integer, problem text, detail text, remedy text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    engine CONSTANT text := (SELECT e.engine FROM kursaha_cohort_cluster.engine e);
    kind text;
BEGIN
    IF engine IS NULL THEN
        RETURN QUERY SELECT NULL::integer, 'this database is not a coordinator', NULL::text, 'SELECT * FROM cohort_cluster_init(…);';
        RETURN;
    END IF;
    RETURN QUERY
        SELECT h.shard, 'the ranges of the nodes do not cover each customer once',
               format('it begins at %s, the previous range ends at %s', h.lo, h.ends), 'Restore the table kursaha_cohort_cluster.shard from a backup.'
        FROM (SELECT s.shard, s.lo, s.hi, lag(s.hi) OVER (ORDER BY s.lo) AS ends FROM kursaha_cohort_cluster.shard s
              UNION ALL SELECT NULL, 2147483648, NULL, max(s.hi) FROM kursaha_cohort_cluster.shard s) h (shard, lo, hi, ends)
        WHERE h.lo <> coalesce(h.ends::bigint, -2147483649) + 1;
    IF engine = 'plproxy' THEN
        RETURN QUERY
            SELECT h.shard, 'PL/Proxy does not use the address of the node in the map', NULL::text,
                   'SELECT * FROM cohort_cluster_init(''plproxy''); recreates the foreign servers from the map.'
            FROM kursaha_cohort_cluster.shard h
            LEFT JOIN pg_foreign_server f ON f.srvname = 'kursaha_cohort'
                AND format('p%s=%s', h.shard, kursaha_cohort_cluster.connection(h.address)) = ANY (f.srvoptions)
            WHERE f.oid IS NULL;
        RETURN QUERY
            SELECT h.shard, 'INSERT and COPY do not use the address of the node in the map', NULL::text,
                   'SELECT * FROM cohort_cluster_init(''plproxy''); recreates the foreign servers from the map.'
            FROM kursaha_cohort_cluster.shard h
            LEFT JOIN pg_foreign_server f ON f.srvname = format('kursaha_cohort_%s', h.shard)
            WHERE f.oid IS NULL OR EXISTS (SELECT FROM jsonb_each_text(h.address) a WHERE format('%s=%s', a.key, a.value) <> ALL (f.srvoptions));
    END IF;
    FOREACH kind IN ARRAY ARRAY['cohort_event', 'cohort_customer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = format('@extschema:kursaha_cohort@.%s', kind)::regclass
                       AND t.tgname = 'door' AND t.tgenabled = 'A') THEN
            RETURN QUERY SELECT NULL::integer, format('the coordinator keeps rows of %s instead of sending them to the nodes', kind), NULL::text,
                                'SELECT * FROM cohort_cluster_init(…) recreates the triggers.';
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM @extschema:kursaha_cohort@.cohort_event) OR EXISTS (SELECT FROM @extschema:kursaha_cohort@.cohort_customer) THEN
        RETURN QUERY SELECT NULL::integer, 'the coordinator stores events or customers itself, which no cohort counts', NULL::text,
                            'Insert them again through the layer, and delete them from the coordinator''s own tables.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.check_map() IS 'Problems of the coordinator';

CREATE FUNCTION kursaha_cohort_cluster.check_node(s kursaha_cohort_cluster.shard, thorough boolean)
    RETURNS TABLE (problem text, detail text, remedy text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    here record;
    there record;
    began timestamptz;
    ended timestamptz;
    outside bigint;
BEGIN
    here := kursaha_cohort.cohort_node_state();
    began := clock_timestamp();
    BEGIN
        SELECT t.* INTO there FROM kursaha_cohort_cluster.send_state(NULL, NULL, ARRAY[s.shard], ARRAY[s.lo], ARRAY[s.hi]) t;
    EXCEPTION WHEN OTHERS THEN
        RETURN QUERY SELECT 'the node does not respond', SQLERRM,
                            'Start it, or assign it the address of another server with cohort_cluster_move.';
        RETURN;
    END;
    ended := clock_timestamp();
    IF there.version <> here.version THEN
        RETURN QUERY SELECT 'the node has another version of kursaha_cohort', format('%s there, %s here', there.version, here.version),
                            'Run ALTER EXTENSION kursaha_cohort UPDATE on the older one.';
    END IF;
    IF there.schema <> here.schema THEN
        RETURN QUERY SELECT 'the node has kursaha_cohort in another schema', format('%s there, %s here', there.schema, here.schema),
                            'Use ALTER SCHEMA … RENAME TO: the schema must have the same name everywhere.';
    END IF;
    IF (there.lo, there.hi) IS DISTINCT FROM (s.lo, s.hi) THEN
        RETURN QUERY SELECT 'the range of the node differs from its range in the map',
                            CASE WHEN there.lo IS NULL THEN 'the node has no range and accepts every customer'
                                 ELSE format('%s to %s on the node, %s to %s in the map', there.lo, there.hi, s.lo, s.hi) END,
                            CASE WHEN there.lo IS NULL THEN format('On the node: SELECT kursaha_cohort.cohort_own(%s, %s);', s.lo, s.hi)
                                 ELSE 'Two addresses are interchanged, or the node was restored from a backup made before a split: correct the map.' END;
    END IF;
    IF there.clock < began - interval '1 second' OR there.clock > ended + interval '1 second' THEN
        RETURN QUERY SELECT 'the clock of the node differs from the coordinator''s by more than a second',
                            (there.clock - ended)::text, 'Synchronize the clocks of all servers with NTP.';
    END IF;
    IF there.settings ~ ', read-only$' THEN
        RETURN QUERY SELECT 'the node is read-only', NULL::text,
                            'Unless cluster/move is running: promote the server if it is a standby. If cluster/move was interrupted, on the node: '
                            'SET default_transaction_read_only = off; ALTER DATABASE … RESET default_transaction_read_only; DROP PUBLICATION kursaha_cohort_move_…; '
                            'and drop the subscription and the incomplete copy.';
    END IF;
    IF there.settings !~ '^ISO, MDY, UTC, postgres, UTF8(, read-only)?$' THEN
        RETURN QUERY SELECT 'sessions of the coordinator on the node have other settings for the output of times', there.settings,
                            'A connection pooler between them must pass the startup parameter "options".';
    END IF;
    IF there.hash <> here.hash THEN
        RETURN QUERY SELECT 'hashtext has another result on the node', format('%s there, %s here', there.hash, here.hash),
                            'All servers of a cluster must have the same byte order.';
    END IF;
    RETURN QUERY
        SELECT 'the node has another definition of a cohort',
               coalesce(c.key, n.key) || CASE WHEN n.key IS NULL THEN ': not there' WHEN c.key IS NULL THEN ': not on the coordinator' ELSE '' END,
               CASE WHEN c.key IS NULL THEN 'It is not used. Drop it on the node with cohort_drop, or save it on the coordinator.'
                    ELSE 'The next evaluation copies the definition of the coordinator to the node.' END
        FROM jsonb_each_text(here.definitions) c FULL JOIN jsonb_each_text(there.definitions) n USING (key)
        WHERE c.value IS DISTINCT FROM n.value;
    RETURN QUERY
        SELECT 'the node lacks a role that uses the coordinator', r.role, format('Run CREATE ROLE %I LOGIN; on the node, then repeat cohort_grant on the coordinator.', r.role)
        FROM (SELECT a.grantee::regrole::text AS role FROM pg_namespace n, aclexplode(n.nspacl) a
              WHERE n.nspname = '@extschema@' AND a.grantee <> 0) r
        WHERE r.role <> ALL (there.roles);
    IF thorough THEN
        SELECT o.customers INTO outside FROM kursaha_cohort_cluster.send_not_owned(NULL, NULL, ARRAY[s.shard], ARRAY[s.lo], ARRAY[s.hi]) o;
        IF outside > 0 THEN
            RETURN QUERY SELECT 'the node has rows of customers that another node holds', format('%s customers', outside),
                                'They are counted twice, or in place of their own: move the rows to their nodes.';
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.check_node(kursaha_cohort_cluster.shard, boolean) IS 'Problems of a node';

CREATE FUNCTION @extschema@.cohort_cluster_check(thorough boolean DEFAULT false)
    RETURNS TABLE (node integer, problem text, detail text, remedy text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE @settings@
AS $$
#variable_conflict use_column
DECLARE
    s kursaha_cohort_cluster.shard;
BEGIN
    RETURN QUERY SELECT * FROM kursaha_cohort_cluster.check_map();
    FOR s IN SELECT h.* FROM kursaha_cohort_cluster.shard h ORDER BY h.shard LOOP
        RETURN QUERY SELECT s.shard, c.* FROM kursaha_cohort_cluster.check_node(s, thorough) c;
    END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_cluster_check(boolean) IS 'Problems of the cluster: nodes that do not respond; versions, ranges, clocks, definitions, checks. With thorough it reads every customer. No row if there is no problem';

CREATE FUNCTION @extschema@.cohort_cluster_move(node integer, address jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.check_address(address);
    UPDATE kursaha_cohort_cluster.shard h SET address = cohort_cluster_move.address WHERE h.shard = cohort_cluster_move.node;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('node %s does not exist', node),
            HINT = 'The view cohort_cluster_status lists the nodes.';
    END IF;
    PERFORM kursaha_cohort_cluster.connect_plproxy();
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_cluster_move(integer, jsonb) IS 'Changes the address of a node, whose data must already be there (cluster/move)';

CREATE FUNCTION @extschema@.cohort_cluster_split(node integer, at integer, address jsonb) RETURNS integer
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    s kursaha_cohort_cluster.shard;
    made integer;
    kind text;
BEGIN
    PERFORM kursaha_cohort_cluster.check_address(address);
    SELECT h.* INTO s FROM kursaha_cohort_cluster.shard h WHERE h.shard = node FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('node %s does not exist', node),
            HINT = 'The view cohort_cluster_status lists the nodes.';
    END IF;
    IF (SELECT e.engine FROM kursaha_cohort_cluster.engine e) <> 'plproxy' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'only nodes of PL/Proxy are split',
            HINT = 'Citus has as many nodes as cohort_cluster_init found.';
    END IF;
    IF at < s.lo OR at >= s.hi THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('node %s holds %s to %s, which %s does not divide', node, s.lo, s.hi, at),
            HINT = 'The node keeps the customers up to this hash value; the new node gets the customers above it.';
    END IF;
    SELECT max(h.shard) + 1 INTO made FROM kursaha_cohort_cluster.shard h;
    UPDATE kursaha_cohort_cluster.shard h SET hi = at WHERE h.shard = node;
    INSERT INTO kursaha_cohort_cluster.shard (shard, lo, hi, address) VALUES (made, at + 1, s.hi, address);
    FOREACH kind IN ARRAY ARRAY['event', 'customer'] LOOP
        EXECUTE format('DROP FOREIGN TABLE kursaha_cohort_cluster.%s_%s', kind, node);
    END LOOP;
    PERFORM kursaha_cohort_cluster.connect_plproxy();
    PERFORM kursaha_cohort_cluster.make_partitions(h) FROM kursaha_cohort_cluster.shard h WHERE h.shard IN (node, made);
    PERFORM kursaha_cohort_cluster.map_user(m.usename::text, format('kursaha_cohort_%s', made))
    FROM pg_user_mappings m WHERE m.srvname = format('kursaha_cohort_%s', node);
    FOR kind IN
        SELECT format('GRANT USAGE ON FOREIGN SERVER %I TO %s', format('kursaha_cohort_%s', made), a.grantee::regrole)
        FROM pg_foreign_server f, aclexplode(f.srvacl) a WHERE f.srvname = format('kursaha_cohort_%s', node) AND a.grantee <> f.srvowner
    LOOP
        EXECUTE kind;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_cluster_split(integer, integer, jsonb) IS 'Assigns the customers of a node above a hash value to a new node, whose data must already be there (cluster/move --split), and returns its number';
