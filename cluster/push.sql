-- Definitions: the coordinator has them, and every node has what the coordinator has. Where a node differs, by a call that
-- failed half-way or a backup, the next question finds it out and brings it up to date.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort_cluster.define(cohort bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c kursaha_cohort.cohort;
    ids text[];
    content uuid;
    nodes record;
BEGIN
    SELECT d.* INTO STRICT c FROM kursaha_cohort.cohort d WHERE d.cohort_id = cohort;
    IF c.rule IS NULL THEN
        SELECT array_agg(m.customer_id) INTO ids FROM kursaha_cohort.list_member m WHERE m.cohort_id = cohort;
        SELECT l.content INTO content FROM kursaha_cohort.list_chunk l WHERE l.cohort_id = cohort AND l.from_id = '';
    END IF;
    SELECT * INTO nodes FROM kursaha_cohort_cluster.everywhere();
    PERFORM kursaha_cohort_cluster.send_define(c.name, (kursaha_cohort.crossing_rule(c.rule)).rule, CASE WHEN c.rule IS NULL THEN coalesce(ids, '{}') END, content, c.description,
                                               c.owner::text, NULL, NULL, nodes.shards, nodes.los, nodes.his);
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.define(bigint) IS 'Sends a cohort of the coordinator to every node';

CREATE FUNCTION kursaha_cohort_cluster.same(names text[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    nodes record;
BEGIN
    SELECT * INTO nodes FROM kursaha_cohort_cluster.everywhere();
    PERFORM kursaha_cohort_cluster.send_compare(names, kursaha_cohort.fingerprint(names), nodes.shards, nodes.los, nodes.his);
    RETURN true;
EXCEPTION WHEN serialization_failure THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.same(text[]) IS 'Whether every node has the coordinator''s definitions of some cohorts';

-- Of what the cohorts name first, so that nothing that is sent names what is not there.
CREATE FUNCTION kursaha_cohort_cluster.define_all(names text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c record;
BEGIN
    FOR c IN
        WITH RECURSIVE reached (cohort_id, depth) AS (
            SELECT d.cohort_id, 0 FROM kursaha_cohort.cohort d WHERE d.name = ANY (names)
            UNION
            SELECT r.referenced_id, reached.depth + 1 FROM reached JOIN kursaha_cohort.reference r USING (cohort_id)
        )
        SELECT d.cohort_id, d.name FROM reached JOIN kursaha_cohort.cohort d USING (cohort_id)
        GROUP BY d.cohort_id, d.name ORDER BY max(reached.depth) DESC, d.cohort_id
    LOOP
        IF NOT kursaha_cohort_cluster.same(ARRAY[c.name]) THEN
            PERFORM kursaha_cohort_cluster.define(c.cohort_id);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.define_all(text[]) IS 'Sends the given cohorts, and all cohorts to which they refer, to every node that has another definition of one of them';

-- After a change on the coordinator, in its transaction: the definitions are locked.
CREATE FUNCTION kursaha_cohort_cluster.publish(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    BEGIN
        PERFORM kursaha_cohort_cluster.define(c.cohort_id) FROM kursaha_cohort.cohort c WHERE c.name = publish.name;
    EXCEPTION WHEN undefined_object OR invalid_parameter_value THEN
        -- A node lacks what it names.
        PERFORM kursaha_cohort_cluster.define_all(ARRAY[publish.name]);
    END;
    IF NOT kursaha_cohort_cluster.same(ARRAY[publish.name]) THEN
        PERFORM kursaha_cohort_cluster.define_all(ARRAY[publish.name]);
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.publish(text) IS 'Creates or changes a cohort of the coordinator on every node';

-- For a question that a node could not answer. Whoever asks may have it done: the definitions are the coordinator's.
CREATE FUNCTION kursaha_cohort_cluster.bring(names text[]) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted text;
BEGIN
    BEGIN
        -- Waits for whoever changes a definition at this moment. What follows happens elsewhere: going back to here undoes
        -- nothing of it, and lets the lock go.
        PERFORM FROM kursaha_cohort.definition_lock FOR UPDATE;
        PERFORM kursaha_cohort_cluster.define_all(names);
        wanted := kursaha_cohort.fingerprint(names);
        RAISE EXCEPTION USING ERRCODE = 'KC000', MESSAGE = 'done';
    EXCEPTION WHEN SQLSTATE 'KC000' THEN
        RETURN wanted;
    END;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.bring(text[]) IS 'Sends the coordinator''s definitions of the given cohorts to every node; returns their fingerprint';

CREATE FUNCTION kursaha_cohort_cluster.withdraw(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM kursaha_cohort.cohort c WHERE c.name = withdraw.name) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('cohort "%s" is there', withdraw.name);
    END IF;
    PERFORM kursaha_cohort_cluster.node_drop(withdraw.name, NULL);
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.withdraw(text) IS 'Drops on every node a cohort that the coordinator does not have';

CREATE FUNCTION kursaha_cohort_cluster.rename(name text, new_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM kursaha_cohort.cohort c WHERE c.name = rename.name) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('cohort "%s" is there', rename.name);
    END IF;
    PERFORM kursaha_cohort_cluster.node_rename(rename.name, rename.new_name, NULL);
    PERFORM kursaha_cohort_cluster.publish(rename.new_name);
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.rename(text, text) IS 'Renames on every node a cohort that the coordinator has renamed';
