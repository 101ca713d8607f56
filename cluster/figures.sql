-- Groups, figures and waterfalls: each customer is on one node, so that the answers of the nodes add up.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.cohort_waterfall(names text[], as_of timestamptz DEFAULT NULL) RETURNS TABLE (customer_id text, cohort text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    PERFORM kursaha_cohort_cluster.known(n) FROM unnest(names) n;
    IF EXISTS (SELECT FROM unnest(names) n WHERE kursaha_cohort_cluster.is_query(n)) THEN
        -- Members of a query are known to the coordinator alone.
        RETURN QUERY
            SELECT m.customer_id, names[min(n.place)]
            FROM unnest(names) WITH ORDINALITY n (name, place), @extschema@.cohort_run(n.name, cohort_waterfall.as_of) m
            GROUP BY m.customer_id;
        RETURN;
    END IF;
    RETURN QUERY SELECT w.customer_id, w.cohort
        FROM kursaha_cohort_cluster.node_waterfall(names, coalesce(cohort_waterfall.as_of, now()), nullif(names, '{}')) w;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_waterfall(text[], timestamptz) IS 'Returns each customer of all nodes who is a member of any of the given cohorts, with the first of these cohorts';

CREATE FUNCTION @extschema@.cohort_groups(name text, property text, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (customer_group jsonb, members bigint)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    IF ltrim(cohort_groups.name) LIKE '{%' THEN
        -- An untyped literal is text; no name begins so.
        RETURN QUERY SELECT g.* FROM @extschema@.cohort_groups(cohort_groups.name::jsonb, cohort_groups.property, cohort_groups.as_of) g;
        RETURN;
    END IF;
    IF kursaha_cohort_cluster.is_query(cohort_groups.name) THEN
        PERFORM FROM @extschema:kursaha_cohort@.cohort_groups(cohort_groups.name, cohort_groups.property); -- which refuses it
    END IF;
    RETURN QUERY SELECT g.customer_group, sum(g.members)::bigint
        FROM kursaha_cohort_cluster.node_groups(cohort_groups.name, cohort_groups.property, coalesce(cohort_groups.as_of, now()),
                                                kursaha_cohort_cluster.known(cohort_groups.name)) g
        GROUP BY g.customer_group;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_groups(text, text, timestamptz) IS 'Returns the groups, which are the values of a property of profiles, with the number of their customers on all nodes who are members of a saved cohort';

CREATE FUNCTION @extschema@.cohort_groups(rule jsonb, property text, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (customer_group jsonb, members bigint)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT g.customer_group, sum(g.members)::bigint
        FROM kursaha_cohort_cluster.node_groups_rule(rule, cohort_groups.property, coalesce(cohort_groups.as_of, now()),
                                                     kursaha_cohort_cluster.named(rule)) g
        GROUP BY g.customer_group;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_groups(jsonb, text, timestamptz) IS 'Returns the groups, which are the values of a property of profiles, with the number of their customers on all nodes whom a rule selects';

CREATE FUNCTION @extschema@.cohort_figures(figure jsonb, name text DEFAULT NULL, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (customer_id text, value numeric)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    IF ltrim(cohort_figures.name) LIKE '{%' THEN
        -- An untyped literal is text; no name begins so.
        RETURN QUERY SELECT f.* FROM @extschema@.cohort_figures(figure, cohort_figures.name::jsonb, cohort_figures.as_of) f;
        RETURN;
    END IF;
    IF kursaha_cohort_cluster.is_query(cohort_figures.name) THEN
        PERFORM FROM @extschema:kursaha_cohort@.cohort_figures(figure, cohort_figures.name); -- which refuses it
    END IF;
    RETURN QUERY SELECT f.customer_id, f.value
        FROM kursaha_cohort_cluster.node_figures(figure, cohort_figures.name, coalesce(cohort_figures.as_of, now()),
                                                 kursaha_cohort_cluster.known(cohort_figures.name)) f;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_figures(jsonb, text, timestamptz) IS 'Returns a figure of every customer of all nodes for whom it has a value, or of the members of a saved cohort';

CREATE FUNCTION @extschema@.cohort_figures(figure jsonb, rule jsonb, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (customer_id text, value numeric)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT f.customer_id, f.value
        FROM kursaha_cohort_cluster.node_figures_rule(figure, rule, coalesce(cohort_figures.as_of, now()), kursaha_cohort_cluster.named(rule)) f;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_figures(jsonb, jsonb, timestamptz) IS 'Returns a figure of every customer of all nodes whom a rule selects and for whom it has a value';
