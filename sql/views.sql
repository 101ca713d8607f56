-- The public views.
SET LOCAL search_path = pg_catalog, pg_temp;

-- A view, not a table that the write path would have to keep: a type appears with its first event, in the same
-- transaction, and no insert ever waits for another one's new type. The recursion steps from type to type through the
-- index (event_type, stamp), so it costs a look-up a type, however many events there are.
-- The reader's own rights: types that row-level security hides are not shown.
CREATE VIEW @extschema@.cohort_event_type (event_type, description) WITH (security_invoker) AS
WITH RECURSIVE shipped (event_type, description) AS (
    VALUES ('signup', 'When a user signs up for a platform.'),
           ('click', 'When a user clicks on a target.'),
           ('view', 'When a user views a product.'),
           ('cart', 'When a user adds a product to their cart.'),
           ('purchase', 'When a user completes a product purchase.')
), used (event_type) AS (
    (SELECT event_type FROM @extschema@.cohort_event ORDER BY event_type LIMIT 1)
    UNION ALL
    SELECT (SELECT e.event_type FROM @extschema@.cohort_event e
            WHERE e.event_type > used.event_type ORDER BY e.event_type LIMIT 1)
    FROM used WHERE used.event_type IS NOT NULL
)
SELECT event_type, coalesce(given.description, shipped.description)
FROM (SELECT event_type FROM used WHERE event_type IS NOT NULL
      UNION SELECT event_type FROM shipped
      UNION SELECT event_type FROM kursaha_cohort.event_type) known
LEFT JOIN shipped USING (event_type)
LEFT JOIN kursaha_cohort.event_type given USING (event_type);
COMMENT ON VIEW @extschema@.cohort_event_type IS 'All event types: built-in, stored and described ones; INSERT and UPDATE set the description of a type';
COMMENT ON COLUMN @extschema@.cohort_event_type.event_type IS 'The type, as in cohort_event';
COMMENT ON COLUMN @extschema@.cohort_event_type.description IS 'A description of the event type for users';

-- Invoker's rights: writing needs the privilege on the view and on the table behind it (set "ingest").
CREATE FUNCTION kursaha_cohort.describe_event_type() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM kursaha_cohort.event_type t WHERE t.event_type = OLD.event_type;
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.event_type <> OLD.event_type THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the event type "%s" cannot be renamed here', OLD.event_type),
            HINT = 'Each event has its type: UPDATE cohort_event SET event_type = … renames it.';
    END IF;
    IF coalesce(NEW.event_type, '') IN ('', '*') OR length(NEW.event_type) > 255 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'an event type has 1 to 255 characters and is not "*"';
    END IF;
    INSERT INTO kursaha_cohort.event_type (event_type, description) VALUES (NEW.event_type, NEW.description)
    ON CONFLICT (event_type) DO UPDATE SET description = EXCLUDED.description;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.describe_event_type() IS 'Stores descriptions that are written through cohort_event_type';

CREATE TRIGGER describe INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.cohort_event_type
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.describe_event_type();
COMMENT ON TRIGGER describe ON @extschema@.cohort_event_type IS 'Stores descriptions';

CREATE VIEW @extschema@.cohort_definition AS
SELECT c.cohort_id, c.name,
       CASE WHEN c.rule IS NOT NULL THEN 'rule' WHEN q.query IS NOT NULL THEN 'query' ELSE 'list' END AS kind, c.description, c.rule,
       c.version, c.owner::text::name AS owner, c.created_at, c.updated_at, c.size, c.refreshed_at, q.query
FROM kursaha_cohort.cohort c LEFT JOIN kursaha_cohort.cohort_query q USING (cohort_id, version);
COMMENT ON VIEW @extschema@.cohort_definition IS 'The saved cohorts';
COMMENT ON COLUMN @extschema@.cohort_definition.cohort_id IS 'Identity';
COMMENT ON COLUMN @extschema@.cohort_definition.name IS 'The name';
COMMENT ON COLUMN @extschema@.cohort_definition.kind IS '"rule", "list" for a fixed list of customer ids, or "query"';
COMMENT ON COLUMN @extschema@.cohort_definition.description IS 'A description of its purpose';
COMMENT ON COLUMN @extschema@.cohort_definition.rule IS 'The rule in canonical form; NULL for a fixed list and a query';
COMMENT ON COLUMN @extschema@.cohort_definition.version IS 'Version of the rule, list or query, starting at 1';
COMMENT ON COLUMN @extschema@.cohort_definition.owner IS 'The role that may change, refresh and drop it';
COMMENT ON COLUMN @extschema@.cohort_definition.created_at IS 'Time when it was first saved';
COMMENT ON COLUMN @extschema@.cohort_definition.updated_at IS 'Time of the last change of rule, list or name';
COMMENT ON COLUMN @extschema@.cohort_definition.size IS 'Members at the last refresh';
COMMENT ON COLUMN @extschema@.cohort_definition.refreshed_at IS 'Time of the last refresh';
COMMENT ON COLUMN @extschema@.cohort_definition.query IS 'The query of a query cohort; NULL for the others';

CREATE VIEW @extschema@.cohort_definition_version AS
SELECT c.name, v.version, v.rule, v.list_size, v.changed_by, v.changed_at, q.query
FROM kursaha_cohort.cohort_version v JOIN kursaha_cohort.cohort c USING (cohort_id)
LEFT JOIN kursaha_cohort.cohort_query q ON q.cohort_id = v.cohort_id AND q.version = v.version;
COMMENT ON VIEW @extschema@.cohort_definition_version IS 'All versions of all cohorts: rule or query, author and time';
COMMENT ON COLUMN @extschema@.cohort_definition_version.name IS 'The current name of the cohort';
COMMENT ON COLUMN @extschema@.cohort_definition_version.version IS 'Counted from 1';
COMMENT ON COLUMN @extschema@.cohort_definition_version.rule IS 'The rule as it was then; NULL for a fixed list and a query';
COMMENT ON COLUMN @extschema@.cohort_definition_version.list_size IS 'Number of ids of the fixed list; NULL for a rule and a query';
COMMENT ON COLUMN @extschema@.cohort_definition_version.changed_by IS 'The role that set it';
COMMENT ON COLUMN @extschema@.cohort_definition_version.changed_at IS 'Time when it was set';
COMMENT ON COLUMN @extschema@.cohort_definition_version.query IS 'The query as it was then; NULL for a rule and a fixed list';
