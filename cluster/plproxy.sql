-- PL/Proxy: a call goes to the nodes whose numbers it names, to all of them in parallel, and is committed there when it
-- returns.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort_cluster.make_plproxy(call kursaha_cohort_cluster.call, given text, separate text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n CONSTANT integer := cardinality(call.arguments);
    many CONSTANT boolean := call.route <> 'one';
    names CONSTANT text := (SELECT string_agg(split_part(ltrim(c), ' ', 1), ', ') FROM unnest(string_to_array(call.columns, ',')) c);
    -- A function that returns nothing gives a row with nothing in it.
    picked CONSTANT text := CASE call.columns WHEN 'done text' THEN '''''::text AS done' ELSE 'r.' || replace(names, ', ', ', r.') END;
BEGIN
    -- PL/Proxy wants its functions VOLATILE. It replaces the names of arguments wherever it finds them in a statement; $1 and so on mean arguments alone,
    -- to which it adds a cast.
    EXECUTE format($make$
        CREATE OR REPLACE FUNCTION kursaha_cohort_cluster.send_%1$s(%2$s%3$s p_names text[], p_fingerprint text, %4$s)
            RETURNS TABLE (%5$s) LANGUAGE plproxy VOLATILE PARALLEL UNSAFE
        AS $body$
            CLUSTER 'kursaha_cohort';
            %6$s RUN ON %7$s;
            SELECT %8$s FROM %9$s AS r (%10$s)%11$s;
        $body$
        $make$, call.name, given, separate,
        CASE WHEN many THEN 'p_shards integer[], p_los integer[], p_his integer[]' ELSE 'p_shards integer, p_los integer, p_his integer' END
            || CASE WHEN call.instant IS NULL THEN '' WHEN many THEN ', p_sets text[]' ELSE ', p_sets text' END,
        call.columns,
        CASE call.route WHEN 'one' THEN '' WHEN 'split' THEN 'SPLIT a_1, p_shards, p_los, p_his;'
            ELSE format('SPLIT p_shards, p_los, p_his%s;', CASE WHEN call.instant IS NULL THEN '' ELSE ', p_sets' END) END,
        'p_shards', picked, replace(call.call, '{s}', '@extschema:kursaha_cohort@'), names,
        CASE call.route WHEN 'bare' THEN ''
             WHEN 'one' THEN format(' WHERE kursaha_cohort.expect(ARRAY[$%s], ARRAY[$%s], $%s, $%s)', n + 4, n + 5, n + 1, n + 2)
             ELSE format(' WHERE kursaha_cohort.expect($%s, $%s, $%s, $%s)', n + 4, n + 5, n + 1, n + 2) END
            || CASE WHEN call.instant IS NULL THEN ''
                    ELSE format(CASE WHEN many THEN ' AND kursaha_cohort.bind($%s)' ELSE ' AND kursaha_cohort.bind(ARRAY[$%s])' END, n + 6) END);
    EXECUTE format('COMMENT ON FUNCTION kursaha_cohort_cluster.send_%s IS %L', call.name, 'As node_' || call.name || ', by PL/Proxy');
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_plproxy(kursaha_cohort_cluster.call, text, text) IS 'Creates the function of a call in PL/Proxy';

-- A value of a connection string, which libpq reads.
CREATE FUNCTION kursaha_cohort_cluster.connection(address jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format('%s=''%s''', a.key, replace(replace(a.value, '\', '\\'), '''', '\''')), ' ' ORDER BY a.key)
    FROM jsonb_each_text(jsonb_build_object('options', '-c datestyle=ISO,MDY -c timezone=UTC -c intervalstyle=postgres') || address) a;
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.connection(jsonb) IS 'An address as a connection string';

CREATE FUNCTION kursaha_cohort_cluster.check_address(address jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bad text;
BEGIN
    IF jsonb_typeof(address) IS DISTINCT FROM 'object' OR NOT address ? 'host' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a node is an object with a host',
            HINT = '{"host": "10.0.0.1", "port": "5432", "dbname": "shop"}';
    END IF;
    SELECT string_agg(a.key, ', ') INTO bad FROM jsonb_each(address) a
    WHERE a.key NOT IN ('host', 'hostaddr', 'port', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'connect_timeout',
                        'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'target_session_attrs')
       OR jsonb_typeof(a.value) NOT IN ('string', 'number');
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('the address of a node cannot have %s', bad),
            HINT = 'Put passwords into the server''s password file, or use ALTER USER MAPPING.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.check_address(jsonb) IS 'Refuses an invalid address';

-- PL/Proxy's server, and for INSERT and COPY one of postgres_fdw for each node. Run again after each change of the map.
CREATE FUNCTION kursaha_cohort_cluster.connect_plproxy() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    s record;
    options text;
    had text[];
BEGIN
    CREATE EXTENSION IF NOT EXISTS plproxy WITH SCHEMA @extschema@;
    CREATE EXTENSION IF NOT EXISTS postgres_fdw WITH SCHEMA @extschema@;
    SELECT f.srvoptions INTO had FROM pg_foreign_server f WHERE f.srvname = 'kursaha_cohort';
    IF NOT FOUND THEN
        -- The number that a call names is the node's: any is smaller than their number.
        SELECT string_agg(format('p%s %L', h.shard, kursaha_cohort_cluster.connection(h.address)), ', ' ORDER BY h.shard)
        INTO options FROM kursaha_cohort_cluster.shard h;
        EXECUTE format('CREATE SERVER kursaha_cohort FOREIGN DATA WRAPPER plproxy OPTIONS (modular_mapping ''1'', %s)', options);
        COMMENT ON SERVER kursaha_cohort IS 'The nodes of kursaha_cohort_cluster, for PL/Proxy';
        -- Without a user, PL/Proxy connects as the current one.
        CREATE USER MAPPING FOR PUBLIC SERVER kursaha_cohort;
    ELSE
        SELECT string_agg(format('%s p%s %L', CASE WHEN had::text LIKE format('%%p%s=%%', h.shard) THEN 'SET' ELSE 'ADD' END, h.shard,
                                 kursaha_cohort_cluster.connection(h.address)), ', ' ORDER BY h.shard)
        INTO options FROM kursaha_cohort_cluster.shard h;
        EXECUTE format('ALTER SERVER kursaha_cohort OPTIONS (%s)', options);
    END IF;
    FOR s IN SELECT h.*, format('kursaha_cohort_%s', h.shard) AS name FROM kursaha_cohort_cluster.shard h ORDER BY h.shard LOOP
        IF EXISTS (SELECT FROM pg_foreign_server f WHERE f.srvname = s.name) THEN
            SELECT string_agg(format('%s %I %L', CASE WHEN f.srvoptions::text ~ format('[{,"]%s=', a.key) THEN 'SET' ELSE 'ADD' END, a.key, a.value), ', ')
            INTO options FROM jsonb_each_text(s.address) a, pg_foreign_server f WHERE f.srvname = s.name;
            EXECUTE format('ALTER SERVER %I OPTIONS (%s)', s.name, options);
        ELSE
            SELECT string_agg(format('%I %L', a.key, a.value), ', ') INTO options FROM jsonb_each_text(s.address) a;
            EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER postgres_fdw OPTIONS (%s)', s.name, options);
            EXECUTE format('COMMENT ON SERVER %I IS %L', s.name, 'A node of kursaha_cohort_cluster, for INSERT and COPY');
            PERFORM kursaha_cohort_cluster.map_user(current_user::text, s.name);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.connect_plproxy() IS 'Creates or changes the foreign servers according to the map of nodes';

-- As with PL/Proxy, a role is itself on the nodes, and they decide how it proves that.
CREATE FUNCTION kursaha_cohort_cluster.map_user(role text, server text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE USER MAPPING IF NOT EXISTS FOR %I SERVER %I OPTIONS (user %L, password_required ''false'')', role, server, role);
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.map_user(text, text) IS 'Lets a role connect to a node as itself';

CREATE FUNCTION kursaha_cohort_cluster.make_partitions(s kursaha_cohort_cluster.shard) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['event', 'customer'] LOOP
        EXECUTE format($make$
            CREATE FOREIGN TABLE kursaha_cohort_cluster.%1$s_%2$s PARTITION OF @extschema@.cohort_%1$s
            FOR VALUES FROM (%3$s) TO (%4$s) SERVER kursaha_cohort_%2$s
            OPTIONS (schema_name %5$L, table_name 'cohort_%1$s', batch_size '1000')$make$,
            kind, s.shard,
            CASE s.lo WHEN -2147483648 THEN 'MINVALUE' ELSE s.lo::text END,
            CASE s.hi WHEN 2147483647 THEN 'MAXVALUE' ELSE (s.hi + 1)::text END, '@extschema:kursaha_cohort@');
        EXECUTE format('COMMENT ON FOREIGN TABLE kursaha_cohort_cluster.%s_%s IS %L', kind, s.shard, format('cohort_%s of node %s', kind, s.shard));
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_partitions(kursaha_cohort_cluster.shard) IS 'Makes the tables of one node''s events and customers';

-- cohort_event and cohort_customer of all nodes as tables of the coordinator.
CREATE FUNCTION kursaha_cohort_cluster.make_tables() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CREATE TABLE IF NOT EXISTS @extschema@.cohort_event (
        customer_id text NOT NULL, event_type text NOT NULL, occurred_at timestamptz NOT NULL DEFAULT now(), data jsonb NOT NULL DEFAULT '{}'
    ) PARTITION BY RANGE (hashtext(customer_id));
    COMMENT ON TABLE @extschema@.cohort_event IS 'Events on all nodes: INSERT, COPY, SELECT, UPDATE and DELETE run on the nodes';
    CREATE TABLE IF NOT EXISTS @extschema@.cohort_customer (
        customer_id text NOT NULL, profile jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    ) PARTITION BY RANGE (hashtext(customer_id));
    COMMENT ON TABLE @extschema@.cohort_customer IS 'Customer profiles on all nodes: INSERT, COPY, SELECT, UPDATE and DELETE run on the nodes';
    PERFORM kursaha_cohort_cluster.make_partitions(s) FROM kursaha_cohort_cluster.shard s;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_tables() IS 'Creates the foreign tables of all nodes'' events and customers';
