-- Saved cohorts: a change is made on the coordinator, which checks it, and sent to every node in its transaction.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.cohort_create(name text, rule jsonb, description text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM kursaha_cohort_cluster.check_rule(rule);
    id := @extschema:kursaha_cohort@.cohort_create(name, rule, description);
    PERFORM kursaha_cohort_cluster.publish(name);
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_create(text, jsonb, text) IS 'Saves a rule under a name on the coordinator and on every node';

CREATE FUNCTION @extschema@.cohort_update(name text, rule jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM kursaha_cohort_cluster.check_rule(rule);
    id := @extschema:kursaha_cohort@.cohort_update(name, rule);
    PERFORM kursaha_cohort_cluster.publish(name);
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_update(text, jsonb) IS 'Changes the rule of a saved cohort, on the coordinator and on every node';

CREATE FUNCTION @extschema@.cohort_import(name text, customer_ids text[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    id bigint;
BEGIN
    id := @extschema:kursaha_cohort@.cohort_import(name, customer_ids);
    PERFORM kursaha_cohort_cluster.publish(name);
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_import(text, text[]) IS 'Saves a fixed list of customer ids under a name, or replaces its ids; every node stores the complete list';

CREATE FUNCTION @extschema@.cohort_rename(name text, new_name text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    id bigint;
BEGIN
    id := @extschema:kursaha_cohort@.cohort_rename(name, new_name);
    IF name <> new_name AND NOT kursaha_cohort_cluster.is_query(new_name) THEN
        PERFORM kursaha_cohort_cluster.rename(name, new_name);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_rename(text, text) IS 'Renames a cohort and updates the rules that refer to it, on the coordinator and on every node';

CREATE FUNCTION @extschema@.cohort_drop(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    is_query CONSTANT boolean := kursaha_cohort_cluster.is_query(name);
BEGIN
    PERFORM @extschema:kursaha_cohort@.cohort_drop(name);
    IF NOT is_query THEN
        PERFORM kursaha_cohort_cluster.withdraw(name);
    END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_drop(text) IS 'Removes a cohort from the coordinator and every node, with refreshes and memberships';

CREATE FUNCTION @extschema@.cohort_set_owner(name text, role text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM @extschema:kursaha_cohort@.cohort_set_owner(name, role);
    IF NOT kursaha_cohort_cluster.is_query(name) THEN
        PERFORM kursaha_cohort_cluster.publish(name);
    END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_set_owner(text, text) IS 'Changes the owner of a cohort, on the coordinator and on every node';

CREATE FUNCTION @extschema@.cohort_apply(definitions jsonb, dry_run boolean DEFAULT false, prune boolean DEFAULT false)
    RETURNS TABLE (name text, action text, gained bigint, lost bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    queries CONSTANT text[] := ARRAY(
        SELECT d.name FROM @extschema:kursaha_cohort@.cohort_definition d WHERE d.kind = 'query'
        UNION ALL SELECT c ->> 'name' FROM jsonb_path_query(definitions, 'lax $.cohorts[*]') c WHERE c ->> 'query' IS NOT NULL);
    done record;
    published text[] := '{}';
    dropped text[] := '{}';
    pending text[];
BEGIN
    PERFORM kursaha_cohort_cluster.check_rule(c -> 'rule') FROM jsonb_path_query(definitions, 'lax $.cohorts[*]') c;
    FOR done IN SELECT a.* FROM @extschema:kursaha_cohort@.cohort_apply(definitions, dry_run, prune) a LOOP
        name := done.name;
        action := done.action;
        -- Those of a rule or a list are on the nodes.
        gained := CASE WHEN done.name = ANY (queries) THEN done.gained END;
        lost := CASE WHEN gained IS NOT NULL THEN done.lost END;
        IF done.action IN ('create', 'update') AND done.name <> ALL (queries) THEN
            published := published || done.name;
        ELSIF done.action = 'drop' AND done.name <> ALL (queries) THEN
            dropped := dropped || done.name;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM kursaha_cohort_cluster.must_be_local(
        ARRAY(SELECT s ->> 'cohort' FROM jsonb_path_query(definitions, 'lax $.syncs[*]') s), ARRAY['query']);
    PERFORM kursaha_cohort_cluster.must_be_local(
        ARRAY(SELECT s ->> 'cohort' FROM jsonb_path_query(definitions, 'lax $.suppressions[*]') s
              UNION ALL SELECT c #>> '{}' FROM jsonb_path_query(definitions, 'lax $.priorities[*].cohorts[*]') c), ARRAY['query', 'list']);
    IF dry_run THEN
        RETURN;
    END IF;
    PERFORM kursaha_cohort_cluster.publish(p) FROM unnest(published) p;
    -- A node refuses to drop what another cohort names that is dropped, too.
    WHILE dropped <> '{}' LOOP
        pending := dropped;
        FOREACH name IN ARRAY pending LOOP
            BEGIN
                PERFORM kursaha_cohort_cluster.withdraw(name);
                dropped := array_remove(dropped, name);
            EXCEPTION WHEN dependent_objects_still_exist THEN
                IF name = pending[cardinality(pending)] AND dropped = pending THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_apply(jsonb, boolean, boolean) IS 'Creates and updates the definitions of a document on the coordinator and on every node. gained and lost are NULL but for query cohorts';
