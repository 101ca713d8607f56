-- What is stored of customers, as far as the reader may see them. A role behind row-level security of cohort_event or
-- cohort_customer sees here whom it sees there; every other role sees all. Nobody but the extension's functions reads the
-- tables behind these views.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.hides_rows() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT row_security_active('@extschema@.cohort_event'::regclass) OR row_security_active('@extschema@.cohort_customer'::regclass);
END;
COMMENT ON FUNCTION kursaha_cohort.hides_rows() IS 'Returns whether row-level security restricts the events or profiles that the current user can see';

CREATE FUNCTION kursaha_cohort.sees(customer_id text) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM @extschema@.cohort_customer c WHERE c.customer_id = $1)
        OR EXISTS (SELECT FROM @extschema@.cohort_event e WHERE e.customer_id = $1);
END;
COMMENT ON FUNCTION kursaha_cohort.sees(text) IS 'Returns whether the current user can see a profile or an event of a customer';

CREATE VIEW kursaha_cohort.readable_list_member WITH (security_barrier) AS
SELECT m.cohort_id, m.customer_id, m.from_id, m.last_id FROM kursaha_cohort.list_member m
WHERE (SELECT NOT kursaha_cohort.hides_rows()) OR kursaha_cohort.sees(m.customer_id);
COMMENT ON VIEW kursaha_cohort.readable_list_member IS 'The customer ids of fixed lists, restricted to customers whom the current user can see';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.cohort_id IS 'The fixed list';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.customer_id IS 'A customer id of the list';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.from_id IS 'Lower bound of the ids in the row of list_chunk';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.last_id IS 'Upper bound of the ids in the row of list_chunk';

CREATE VIEW kursaha_cohort.readable_member WITH (security_barrier) AS
SELECT m.cohort_id, m.customer_id, m.entered_at FROM kursaha_cohort.member m
WHERE (SELECT NOT kursaha_cohort.hides_rows()) OR kursaha_cohort.sees(m.customer_id);
COMMENT ON VIEW kursaha_cohort.readable_member IS 'Stored memberships, restricted to customers whom the current user can see; cohort_members reads it';
COMMENT ON COLUMN kursaha_cohort.readable_member.cohort_id IS 'The cohort';
COMMENT ON COLUMN kursaha_cohort.readable_member.customer_id IS 'The member';
COMMENT ON COLUMN kursaha_cohort.readable_member.entered_at IS 'The time of the refresh at which the customer became a member';

CREATE VIEW kursaha_cohort.readable_change WITH (security_barrier) AS
SELECT m.refresh_id, m.customer_id, m.entered FROM kursaha_cohort.membership_change m
WHERE (SELECT NOT kursaha_cohort.hides_rows()) OR kursaha_cohort.sees(m.customer_id);
COMMENT ON VIEW kursaha_cohort.readable_change IS 'The customers who entered or exited at each refresh, restricted to customers whom the current user can see; cohort_changes reads it';
COMMENT ON COLUMN kursaha_cohort.readable_change.refresh_id IS 'The refresh';
COMMENT ON COLUMN kursaha_cohort.readable_change.customer_id IS 'The customer id';
COMMENT ON COLUMN kursaha_cohort.readable_change.entered IS 'True: entered; false: exited';

CREATE FUNCTION kursaha_cohort.cohort_operate() RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT true;
END;
COMMENT ON FUNCTION kursaha_cohort.cohort_operate() IS 'Returns true. Roles that may execute it (the set "operator") may pause, resume, preview, test and hand over objects of other owners';
