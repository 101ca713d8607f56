-- rank and group: whether a customer satisfies one depends on customers of other nodes, so they take two rounds. In the first,
-- each node gives its part of the ranking or of the groups, and the coordinator puts the parts together. In the second, each
-- node evaluates the rule with a set of its own customers in place of the condition (kursaha_cohort.crossing).
SET LOCAL search_path = pg_catalog, pg_temp;

-- What a node gets: an object of sets. Sets of all nodes are an object by the first hash of each node.
CREATE FUNCTION kursaha_cohort_cluster.share(sets jsonb, lo integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sets -> lo::text, '{}')::text;
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.share(jsonb, integer) IS 'The sets of a node';

CREATE FUNCTION kursaha_cohort_cluster.shares(sets jsonb, los integer[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(coalesce(sets -> l.lo::text, '{}')::text ORDER BY l.n) FROM unnest(los) WITH ORDINALITY l (lo, n);
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.shares(jsonb, integer[]) IS 'The sets of each node';

CREATE FUNCTION kursaha_cohort_cluster.combine_rank(rule jsonb, as_of timestamptz, names text[], fingerprint text, nodes record, sets jsonb)
    RETURNS TABLE (lo integer, customer_id text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    most CONSTANT boolean := rule ->> 'order' = 'most';
    top CONSTANT bigint := rule ->> 'top';
    first CONSTANT numeric := rule #>> '{percent,0}';
    last CONSTANT numeric := rule #>> '{percent,1}';
BEGIN
    RETURN QUERY
        WITH entrant AS MATERIALIZED (
            SELECT e.* FROM kursaha_cohort_cluster.send_entrants(rule, as_of, names, fingerprint, nodes.shards, nodes.los, nodes.his,
                                                                 kursaha_cohort_cluster.shares(sets, nodes.los)) e
        ), figure AS (
            -- Averages in their exact order, as in the plain SQL of a ranking.
            SELECT e.lo, e.customer_id, e.value,
                   div(e.total * ('1e' || max(scale(e.total)) OVER () + 40)::numeric, e.number) * CASE WHEN most THEN -1 ELSE 1 END AS sorted
            FROM entrant e
        ), placed AS (
            SELECT f.lo, f.customer_id, count(*) OVER (PARTITION BY f.value) AS customers,
                   row_number() OVER (PARTITION BY f.value ORDER BY f.sorted, f.customer_id COLLATE "C") AS place
            FROM figure f
        )
        SELECT p.lo, p.customer_id FROM placed p
        WHERE CASE WHEN top IS NOT NULL THEN p.place <= top
                   ELSE (p.place - 1) * 100 >= first * p.customers AND (p.place - 1) * 100 < last * p.customers END;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.combine_rank(jsonb, timestamptz, text[], text, record, jsonb) IS 'The customers of a ranking over all nodes, with the first hash of their node';

CREATE FUNCTION kursaha_cohort_cluster.combine_group(rule jsonb, as_of timestamptz, names text[], fingerprint text, nodes record, sets jsonb)
    RETURNS TABLE (lo integer, customer_id text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH counted AS MATERIALIZED (
            SELECT g.* FROM kursaha_cohort_cluster.send_group_numbers(rule, as_of, names, fingerprint, nodes.shards, nodes.los, nodes.his,
                                                                      kursaha_cohort_cluster.shares(sets, nodes.los)) g
        ), holds AS (
            SELECT c.lo, c.one, sum(c.customers) OVER w AS customers, sum(c.satisfied) OVER w AS satisfied
            FROM counted c WINDOW w AS (PARTITION BY c.value)
        )
        SELECT h.lo, h.one FROM holds h
        WHERE CASE WHEN rule ? 'any' THEN h.satisfied > 0 WHEN rule ? 'all' THEN h.satisfied = h.customers ELSE h.satisfied = 0 END;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.combine_group(jsonb, timestamptz, text[], text, record, jsonb) IS 'A customer of each node for each group that holds over all nodes, with the first hash of the node';

CREATE FUNCTION kursaha_cohort_cluster.first_round(names text[], rules jsonb[], as_of timestamptz) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    crossing record;
    nodes record;
    reached text[];
    wanted text;
    sets jsonb := '{}';
BEGIN
    FOR crossing IN SELECT c.place, c.rule FROM kursaha_cohort.crossings(names, rules) c LOOP
        IF nodes IS NULL THEN
            SELECT * INTO nodes FROM kursaha_cohort_cluster.everywhere();
            -- A node's rule does not refer to what only the condition does.
            reached := kursaha_cohort.reached_names(names);
            wanted := kursaha_cohort.fingerprint(reached);
            SELECT jsonb_object_agg(n.lo, '{}'::jsonb) INTO sets FROM unnest(nodes.los) n (lo);
        END IF;
        IF crossing.rule ? 'rank' THEN
            SELECT jsonb_object_agg(n.lo, sets -> n.lo::text || jsonb_build_object(crossing.place, coalesce(f.ids, '[]'))) INTO sets
            FROM unnest(nodes.los) n (lo)
            LEFT JOIN (SELECT c.lo, jsonb_agg(c.customer_id) AS ids
                       FROM kursaha_cohort_cluster.combine_rank(crossing.rule, as_of, reached, wanted, nodes, sets) c GROUP BY c.lo) f USING (lo);
        ELSE
            SELECT jsonb_object_agg(n.lo, sets -> n.lo::text || jsonb_build_object(crossing.place, coalesce(f.ids, '[]'))) INTO sets
            FROM unnest(nodes.los) n (lo)
            LEFT JOIN (SELECT c.lo, jsonb_agg(c.customer_id) AS ids
                       FROM kursaha_cohort_cluster.combine_group(crossing.rule, as_of, reached, wanted, nodes, sets) c GROUP BY c.lo) f USING (lo);
        END IF;
    END LOOP;
    RETURN sets;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.first_round(text[], jsonb[], timestamptz) IS 'The sets of the conditions rank and group of the given cohorts and rules, by node';
