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
    IF name <> new_name THEN
        PERFORM kursaha_cohort_cluster.rename(name, new_name);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_rename(text, text) IS 'Renames a cohort and updates the rules that refer to it, on the coordinator and on every node';

CREATE FUNCTION @extschema@.cohort_drop(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM @extschema:kursaha_cohort@.cohort_drop(name);
    PERFORM kursaha_cohort_cluster.withdraw(name);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_drop(text) IS 'Removes a cohort from the coordinator and every node, with refreshes and memberships';

CREATE FUNCTION @extschema@.cohort_set_owner(name text, role text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM @extschema:kursaha_cohort@.cohort_set_owner(name, role);
    PERFORM kursaha_cohort_cluster.publish(name);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_set_owner(text, text) IS 'Changes the owner of a cohort, on the coordinator and on every node';
