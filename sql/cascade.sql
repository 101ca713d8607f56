-- What goes when the row goes that it belongs to. These are triggers and no foreign keys, because pg_restore -j fills
-- the tables in any order, so that a row may come before the one it belongs to. That a row is written for one that is
-- there, and stays there, is up to the functions: they hold the definition lock or the cohort's row.
-- Definer's rights: who deletes a row by hand needs no right on all that goes with it.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.cohorts_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    named text;
BEGIN
    DELETE FROM kursaha_cohort.reference r USING gone WHERE r.cohort_id = gone.cohort_id;
    SELECT gone.name INTO named FROM gone JOIN kursaha_cohort.reference r ON r.referenced_id = gone.cohort_id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot delete cohort "%s" because other cohorts refer to it', named),
            HINT = 'Drop or change these cohorts first.';
    END IF;
    SELECT gone.name INTO named FROM gone JOIN kursaha_cohort.sync s ON s.cohort_id = gone.cohort_id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot delete cohort "%s" because syncs use it', named),
            HINT = 'cohort_sync_drop drops a sync.';
    END IF;
    SELECT gone.name INTO named FROM gone JOIN kursaha_cohort.suppression s ON s.cohort_id = gone.cohort_id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot delete cohort "%s" because it is suppressed', named),
            HINT = 'cohort_unsuppress ends the suppression.';
    END IF;
    DELETE FROM kursaha_cohort.priority_cohort p USING gone WHERE p.cohort_id = gone.cohort_id;
    DELETE FROM kursaha_cohort.cohort_version v USING gone WHERE v.cohort_id = gone.cohort_id;
    DELETE FROM kursaha_cohort.cohort_query q USING gone WHERE q.cohort_id = gone.cohort_id;
    DELETE FROM kursaha_cohort.list_chunk l USING gone WHERE l.cohort_id = gone.cohort_id;
    DELETE FROM kursaha_cohort.list_index i USING gone WHERE i.cohort_id = gone.cohort_id;
    DELETE FROM kursaha_cohort.list_part p USING gone WHERE p.cohort_id = gone.cohort_id;
    DELETE FROM kursaha_cohort.member m USING gone WHERE m.cohort_id = gone.cohort_id;
    DELETE FROM kursaha_cohort.refresh r USING gone WHERE r.cohort_id = gone.cohort_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.cohorts_deleted() IS 'Deletes all data of deleted cohorts; raises an error if the rule of another cohort refers to one of them';

CREATE TRIGGER deleted AFTER DELETE ON kursaha_cohort.cohort REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.cohorts_deleted();
COMMENT ON TRIGGER deleted ON kursaha_cohort.cohort IS 'Deletes all data of deleted cohorts';

CREATE FUNCTION kursaha_cohort.refreshes_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM kursaha_cohort.membership_change m USING gone WHERE m.refresh_id = gone.refresh_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.refreshes_deleted() IS 'Deletes the membership changes of deleted refreshes';

CREATE TRIGGER deleted AFTER DELETE ON kursaha_cohort.refresh REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.refreshes_deleted();
COMMENT ON TRIGGER deleted ON kursaha_cohort.refresh IS 'Deletes the membership changes of deleted refreshes';

CREATE FUNCTION kursaha_cohort.captures_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A released capture keeps what is known of its rows.
    WITH ended AS (
        SELECT g.capture_id FROM gone g
        EXCEPT SELECT r.capture_id FROM kursaha_cohort.released_capture r
    ), rows AS (
        DELETE FROM kursaha_cohort.kept_row k USING ended e WHERE k.capture_id = e.capture_id
    ), writers AS (
        DELETE FROM kursaha_cohort.kept_writer k USING ended e WHERE k.capture_id = e.capture_id
    ), leaves AS (
        DELETE FROM kursaha_cohort.capture_leaf l USING ended e WHERE l.capture_id = e.capture_id
    )
    DELETE FROM kursaha_cohort.capture_count c USING ended e WHERE c.capture_id = e.capture_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.captures_deleted() IS 'Deletes the saved rows of deleted captures';

CREATE TRIGGER deleted AFTER DELETE ON kursaha_cohort.capture REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.captures_deleted();
COMMENT ON TRIGGER deleted ON kursaha_cohort.capture IS 'Deletes the saved rows of deleted captures';
