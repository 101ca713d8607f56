-- Which node holds which customers. The layer's functions are in the schema that CREATE EXTENSION chose, which stands
-- before that of kursaha_cohort in search_path; internals are in the schema kursaha_cohort_cluster.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
BEGIN
    IF '@extschema@' IN ('@extschema:kursaha_cohort@', 'kursaha_cohort', 'kursaha_cohort_cluster') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_definition',
            MESSAGE = 'kursaha_cohort_cluster needs a separate schema: its functions have the same names as those of kursaha_cohort',
            HINT = 'CREATE SCHEMA shop; CREATE EXTENSION kursaha_cohort_cluster SCHEMA shop; and search_path = shop, @extschema:kursaha_cohort@';
    END IF;
END
$$;

CREATE SCHEMA kursaha_cohort_cluster;
COMMENT ON SCHEMA kursaha_cohort_cluster IS 'Internals of the extension kursaha_cohort_cluster';

CREATE TABLE kursaha_cohort_cluster.shard (
    shard integer PRIMARY KEY CHECK (shard >= 0),
    lo integer NOT NULL UNIQUE,
    hi integer NOT NULL,
    address jsonb NOT NULL,
    anchor text,
    CHECK (lo <= hi)
);
COMMENT ON TABLE kursaha_cohort_cluster.shard IS 'The nodes, which are databases with the extension kursaha_cohort, and the range of customers of each';
COMMENT ON COLUMN kursaha_cohort_cluster.shard.shard IS 'Its number, from 0 on';
COMMENT ON COLUMN kursaha_cohort_cluster.shard.lo IS 'The first hashtext(customer_id) of its customers';
COMMENT ON COLUMN kursaha_cohort_cluster.shard.hi IS 'The last one';
COMMENT ON COLUMN kursaha_cohort_cluster.shard.address IS 'Connection parameters for libpq: host, port, dbname and others, without secrets';
COMMENT ON COLUMN kursaha_cohort_cluster.shard.anchor IS 'Citus: the key of its row in the anchor table';

CREATE TABLE kursaha_cohort_cluster.engine (
    here boolean PRIMARY KEY DEFAULT true CHECK (here),
    engine text NOT NULL CHECK (engine IN ('plproxy', 'citus'))
);
COMMENT ON TABLE kursaha_cohort_cluster.engine IS 'One row once cohort_cluster_init has run';
COMMENT ON COLUMN kursaha_cohort_cluster.engine.here IS 'Always true, so that there is at most one row';
COMMENT ON COLUMN kursaha_cohort_cluster.engine.engine IS 'The engine: plproxy or citus';

-- VOLATILE: a call that waited for a split takes its snapshot of the map after the wait.
CREATE FUNCTION kursaha_cohort_cluster.home(customer_id text, OUT shard integer, OUT lo integer, OUT hi integer)
    LANGUAGE plpgsql VOLATILE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- The hash of the column's collation, whatever the caller's is.
    hash CONSTANT integer := hashtext(customer_id COLLATE "C");
BEGIN
    SELECT s.shard, s.lo, s.hi INTO home.shard, home.lo, home.hi
    FROM kursaha_cohort_cluster.shard s WHERE s.lo <= hash ORDER BY s.lo DESC LIMIT 1;
    IF home.shard IS NULL AND customer_id IS NULL THEN
        -- Any node says what is wrong.
        SELECT s.shard, s.lo, s.hi INTO home.shard, home.lo, home.hi FROM kursaha_cohort_cluster.shard s ORDER BY s.lo LIMIT 1;
    END IF;
    IF home.shard IS NULL OR hash > home.hi THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'the customer belongs to no node',
            HINT = 'cohort_cluster_init defines the nodes; cohort_cluster_check() checks their ranges.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.home(text) IS 'The node of a customer';

CREATE FUNCTION kursaha_cohort_cluster.everywhere(OUT shards integer[], OUT los integer[], OUT his integer[])
    LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT array_agg(s.shard ORDER BY s.shard), array_agg(s.lo ORDER BY s.shard), array_agg(s.hi ORDER BY s.shard)
    INTO shards, los, his FROM kursaha_cohort_cluster.shard s;
    IF shards IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'the cluster has no nodes',
            HINT = 'SELECT cohort_cluster_init(''plproxy'', ''[{"host": "…", "dbname": "…"}, …]'');';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.everywhere() IS 'All nodes, with their ranges';

CREATE FUNCTION kursaha_cohort_cluster.fingerprint(names text[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kursaha_cohort.fingerprint(names);
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.fingerprint(text[]) IS 'The fingerprint of the definitions that the nodes must have; NULL for NULL';

-- Keys of a rule are words of the language: a property is named by a value.
CREATE FUNCTION kursaha_cohort_cluster.names_in(rule jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY(SELECT DISTINCT n #>> '{}' FROM jsonb_path_query(rule, 'strict $.**.cohort') n WHERE jsonb_typeof(n) = 'string');
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.names_in(jsonb) IS 'The cohorts to which a rule refers';

CREATE FUNCTION kursaha_cohort_cluster.check_rule(rule jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_path_exists(rule, 'strict $.**.over', silent => true) THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'a rule with "over" cannot be evaluated on a cluster',
            DETAIL = 'A figure of a group is computed from the events of customers who may be on several nodes.',
            HINT = 'Evaluate it on a server that has all customers of the group.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.check_rule(jsonb) IS 'Raises an error for rules that the nodes cannot evaluate together';

-- Upgrades repeat this.
DO $$
BEGIN
    PERFORM pg_extension_config_dump('kursaha_cohort_cluster.shard', '');
    PERFORM pg_extension_config_dump('kursaha_cohort_cluster.engine', '');
END
$$;
