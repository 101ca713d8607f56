-- Citus: the anchor table has one row for each node, and its shards are the nodes. A call runs once for each row of it
-- that is asked, in the caller's transaction. What a row says of its node goes along, so that an anchor that was moved
-- without its data is found out.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort_cluster.anchor (
    customer_id text PRIMARY KEY,
    shard integer NOT NULL,
    lo integer NOT NULL,
    hi integer NOT NULL,
    revision bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE kursaha_cohort_cluster.anchor IS 'Citus: a row for each node, distributed by customer_id, so that a query on it runs once on each';
COMMENT ON COLUMN kursaha_cohort_cluster.anchor.customer_id IS 'A key whose hash is in the range of the node''s customers';
COMMENT ON COLUMN kursaha_cohort_cluster.anchor.shard IS 'The node''s number';
COMMENT ON COLUMN kursaha_cohort_cluster.anchor.lo IS 'The first hashtext(customer_id) of its customers';
COMMENT ON COLUMN kursaha_cohort_cluster.anchor.hi IS 'The last one';
COMMENT ON COLUMN kursaha_cohort_cluster.anchor.revision IS 'Number of calls that write on every node: updating it makes Citus use a two-phase commit';

CREATE FUNCTION kursaha_cohort_cluster.make_citus(call kursaha_cohort_cluster.call, given text, separate text, volatility text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n CONSTANT integer := cardinality(call.arguments);
    many CONSTANT boolean := call.route <> 'one';
    names CONSTANT text := (SELECT string_agg(split_part(ltrim(c), ' ', 1), ', ') FROM unnest(string_to_array(call.columns, ',')) c);
    picked CONSTANT text := CASE call.columns WHEN 'done text' THEN '''''::text' ELSE 'r.' || replace(names, ', ', ', r.') END;
    target text := replace(call.call, '{s}', '@extschema:kursaha_cohort@');
BEGIN
    IF call.route = 'split' THEN
        -- Each node takes the element of its own place.
        target := replace(target, '($1)[1]', format('($1)[array_position($%s, a.shard)]', n + 3));
    ELSIF call.name = 'own' THEN
        target := replace(replace(target, '($4)[1]', 'a.lo'), '($5)[1]', 'a.hi');
    END IF;
    EXECUTE format($make$
        CREATE OR REPLACE FUNCTION kursaha_cohort_cluster.send_%1$s(%2$s%3$s p_names text[], p_fingerprint text, %4$s)
            RETURNS TABLE (%5$s) LANGUAGE plpgsql %6$s PARALLEL UNSAFE
        AS $body$
        #variable_conflict use_column
        BEGIN
            %7$s
            RETURN QUERY SELECT %8$s FROM kursaha_cohort_cluster.anchor a CROSS JOIN LATERAL (SELECT * FROM %9$s AS c (%10$s)) r
                WHERE %11$s%12$s;
        END
        $body$
        $make$, call.name, given, separate,
        CASE WHEN many THEN 'p_shards integer[], p_los integer[], p_his integer[]' ELSE 'p_shards integer, p_los integer, p_his integer' END
            || CASE WHEN call.instant IS NULL THEN '' WHEN many THEN ', p_sets text[]' ELSE ', p_sets text' END,
        call.columns, volatility,
        CASE WHEN call.writes AND many THEN 'UPDATE kursaha_cohort_cluster.anchor SET revision = revision + 1;' ELSE '' END,
        picked, target, names,
        CASE WHEN many THEN format('a.shard = ANY ($%s)', n + 3)
             ELSE format('a.customer_id = (SELECT s.anchor FROM kursaha_cohort_cluster.shard s WHERE s.shard = $%s)', n + 3) END,
        CASE call.route WHEN 'bare' THEN '' ELSE format(' AND kursaha_cohort.expect(ARRAY[a.lo], ARRAY[a.hi], $%s, $%s)', n + 1, n + 2) END
            || CASE WHEN call.instant IS NULL THEN ''
                    WHEN many THEN format(' AND kursaha_cohort.bind(ARRAY[($%s)[array_position($%s, a.shard)]])', n + 6, n + 3)
                    ELSE format(' AND kursaha_cohort.bind(ARRAY[$%s])', n + 6) END);
    EXECUTE format('COMMENT ON FUNCTION kursaha_cohort_cluster.send_%s IS %L', call.name, 'As node_' || call.name || ', by Citus');
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_citus(kursaha_cohort_cluster.call, text, text, text) IS 'Creates the function of a call, in SQL that Citus distributes';

-- The three calls of Citus's own, each in a function, so that a test can stand in for them.
CREATE FUNCTION kursaha_cohort_cluster.citus_distribute(relation regclass, with_relation text) RETURNS void
    LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    EXECUTE format('SELECT create_distributed_table(%L, %L, colocate_with => %L, shard_count => %s)', relation, 'customer_id', with_relation,
                   CASE with_relation WHEN 'none' THEN (SELECT count(*)::text FROM kursaha_cohort_cluster.shard) ELSE 'NULL' END);
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.citus_distribute(regclass, text) IS 'Distributes a table over the nodes, by Citus';

CREATE FUNCTION kursaha_cohort_cluster.citus_nodes() RETURNS TABLE (address jsonb)
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT jsonb_build_object(''host'', n.nodename, ''port'', n.nodeport::text) FROM pg_catalog.pg_dist_node n
                          WHERE n.isactive AND n.shouldhaveshards AND n.noderole = ''primary'' ORDER BY n.nodeid';
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.citus_nodes() IS 'The nodes on which Citus has shards';

CREATE FUNCTION kursaha_cohort_cluster.citus_shards(relation regclass) RETURNS TABLE (lo integer, hi integer, address jsonb)
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT s.shardminvalue::integer, s.shardmaxvalue::integer,
                                 jsonb_build_object(''host'', n.nodename, ''port'', n.nodeport::text)
                          FROM pg_catalog.pg_dist_shard s JOIN pg_catalog.pg_dist_placement p USING (shardid)
                          JOIN pg_catalog.pg_dist_node n ON n.groupid = p.groupid AND n.noderole = ''primary''
                          WHERE s.logicalrelid = $1 ORDER BY s.shardminvalue::integer' USING relation;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.citus_shards(regclass) IS 'Ranges and nodes of a distributed table''s shards';

CREATE FUNCTION kursaha_cohort_cluster.connect_citus() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    s record;
BEGIN
    PERFORM kursaha_cohort_cluster.citus_distribute('kursaha_cohort_cluster.anchor', 'none');
    DELETE FROM kursaha_cohort_cluster.shard;
    INSERT INTO kursaha_cohort_cluster.shard (shard, lo, hi, address, anchor)
    SELECT row_number() OVER (ORDER BY c.lo) - 1, c.lo, c.hi, c.address,
           -- A key of the range: the first of a sequence that falls into it.
           (SELECT k.key FROM generate_series(1, 100000) i, LATERAL (SELECT format('node-%s', i) AS key) k
            WHERE hashtext(k.key) BETWEEN c.lo AND c.hi LIMIT 1)
    FROM kursaha_cohort_cluster.citus_shards('kursaha_cohort_cluster.anchor') c;
    INSERT INTO kursaha_cohort_cluster.anchor (customer_id, shard, lo, hi)
    SELECT h.anchor, h.shard, h.lo, h.hi FROM kursaha_cohort_cluster.shard h;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.connect_citus() IS 'Distributes the anchor table, which defines the map of nodes';

-- Events and profiles come in through distributed tables, whose trigger gives each row to the node's own table.
CREATE FUNCTION kursaha_cohort_cluster.take_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO @extschema:kursaha_cohort@.cohort_event (customer_id, event_type, occurred_at, data)
    VALUES (NEW.customer_id, NEW.event_type, NEW.occurred_at, NEW.data);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.take_event() IS 'Citus: writes a row of the distributed table into the node''s cohort_event';

CREATE FUNCTION kursaha_cohort_cluster.take_customer() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO @extschema:kursaha_cohort@.cohort_customer (customer_id, profile, created_at, updated_at)
    VALUES (NEW.customer_id, NEW.profile, NEW.created_at, NEW.updated_at);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.take_customer() IS 'Citus: writes a row of the distributed table into the node''s cohort_customer';

CREATE FUNCTION kursaha_cohort_cluster.make_citus_tables() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE @extschema@.cohort_event (
        customer_id text NOT NULL, event_type text NOT NULL, occurred_at timestamptz NOT NULL DEFAULT now(), data jsonb NOT NULL DEFAULT '{}'
    );
    COMMENT ON TABLE @extschema@.cohort_event IS 'Receives events for all nodes, by INSERT and COPY';
    CREATE TABLE @extschema@.cohort_customer (
        customer_id text NOT NULL, profile jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE @extschema@.cohort_customer IS 'Receives profiles for all nodes, by INSERT and COPY';
    PERFORM kursaha_cohort_cluster.citus_distribute('@extschema@.cohort_event', 'kursaha_cohort_cluster.anchor');
    PERFORM kursaha_cohort_cluster.citus_distribute('@extschema@.cohort_customer', 'kursaha_cohort_cluster.anchor');
    PERFORM set_config('citus.enable_unsafe_triggers', 'on', true);
    CREATE TRIGGER take BEFORE INSERT ON @extschema@.cohort_event FOR EACH ROW EXECUTE FUNCTION kursaha_cohort_cluster.take_event();
    CREATE TRIGGER take BEFORE INSERT ON @extschema@.cohort_customer FOR EACH ROW EXECUTE FUNCTION kursaha_cohort_cluster.take_customer();
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_citus_tables() IS 'Creates the distributed tables that receive events and profiles';
