-- What is stored of customers, as far as the reader may see them. A role behind row-level security of cohort_event or
-- cohort_customer sees here whom it sees there; every other role sees all. Nobody but the extension's functions reads the
-- tables behind these views.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.hides_rows() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT row_security_active('@extschema@.cohort_event'::regclass) OR row_security_active('@extschema@.cohort_customer'::regclass);
END;
COMMENT ON FUNCTION kursaha_cohort.hides_rows() IS 'Whether row-level security decides which events or profiles the current user sees';

CREATE FUNCTION kursaha_cohort.sees(customer_id text) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM @extschema@.cohort_customer c WHERE c.customer_id = $1)
        OR EXISTS (SELECT FROM @extschema@.cohort_event e WHERE e.customer_id = $1);
END;
COMMENT ON FUNCTION kursaha_cohort.sees(text) IS 'Whether the current user sees a profile or an event of a customer';

CREATE VIEW kursaha_cohort.readable_list_member WITH (security_barrier) AS
SELECT m.cohort_id, m.customer_id, m.from_id, m.last_id FROM kursaha_cohort.list_member m
WHERE (SELECT NOT kursaha_cohort.hides_rows()) OR kursaha_cohort.sees(m.customer_id);
COMMENT ON VIEW kursaha_cohort.readable_list_member IS 'The customer ids of fixed lists, of the customers whom the reader may see';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.cohort_id IS 'The fixed list';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.customer_id IS 'An id in it';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.from_id IS 'The id is not less than this one, by which its row is found';
COMMENT ON COLUMN kursaha_cohort.readable_list_member.last_id IS 'The id is not greater than this one';

CREATE VIEW kursaha_cohort.readable_member WITH (security_barrier) AS
SELECT m.cohort_id, m.customer_id, m.entered_at FROM kursaha_cohort.member m
WHERE (SELECT NOT kursaha_cohort.hides_rows()) OR kursaha_cohort.sees(m.customer_id);
COMMENT ON VIEW kursaha_cohort.readable_member IS 'Stored memberships, of the customers whom the reader may see; cohort_members reads it';
COMMENT ON COLUMN kursaha_cohort.readable_member.cohort_id IS 'The cohort';
COMMENT ON COLUMN kursaha_cohort.readable_member.customer_id IS 'The member';
COMMENT ON COLUMN kursaha_cohort.readable_member.entered_at IS 'The time of the refresh that found the customer in, and not before';

CREATE VIEW kursaha_cohort.readable_change WITH (security_barrier) AS
SELECT m.refresh_id, m.customer_id, m.entered FROM kursaha_cohort.membership_change m
WHERE (SELECT NOT kursaha_cohort.hides_rows()) OR kursaha_cohort.sees(m.customer_id);
COMMENT ON VIEW kursaha_cohort.readable_change IS 'Who entered and who exited at each refresh, of the customers whom the reader may see; cohort_changes reads it';
COMMENT ON COLUMN kursaha_cohort.readable_change.refresh_id IS 'The refresh';
COMMENT ON COLUMN kursaha_cohort.readable_change.customer_id IS 'Who';
COMMENT ON COLUMN kursaha_cohort.readable_change.entered IS 'True: entered; false: exited';

CREATE FUNCTION kursaha_cohort.cohort_operate() RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT true;
END;
COMMENT ON FUNCTION kursaha_cohort.cohort_operate() IS 'True. Who may execute it, the set "operator", may pause, resume, preview, test and hand over what others own';
