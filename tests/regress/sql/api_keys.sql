-- Keys of the gateway: who may make them, what is kept, when they end.
CREATE ROLE key_maker;
CREATE ROLE key_user;
CREATE ROLE key_other;
CREATE ROLE key_super SUPERUSER;
CREATE ROLE key_gateway NOINHERIT;
SELECT cohort_grant('operator', 'key_maker'), cohort_grant('gateway', 'key_gateway'), cohort_grant('reader', 'key_other');
GRANT key_user TO key_maker;

SET ROLE key_maker;
CREATE TEMPORARY TABLE made AS SELECT cohort_api_key_create('shop', 'key_user') AS key;
SELECT key ~ '^kck_[0-9A-Za-z]{43}$' AS is_a_key FROM made;
SELECT cohort_api_key_create('shop', 'key_user');
SELECT cohort_api_key_create('other', 'key_other');
SELECT cohort_api_key_create('super', 'key_super');
SELECT cohort_api_key_create('none', 'nobody');
SELECT cohort_api_key_create('', 'key_user');
SELECT cohort_api_key_create('past', 'key_user', now());
SELECT cohort_api_key_create('soon', 'key_user', now() + interval '1 hour') <> (SELECT key FROM made) AS differs;
SELECT label, role, created_by, last_used_at, expires_at IS NOT NULL AS expires, usable FROM cohort_api_key ORDER BY label;
SELECT * FROM kursaha_cohort.api_key;
SELECT kursaha_cohort.cohort_api_key_role('\x00');
RESET ROLE;
SELECT k.digest = sha256(convert_to(m.key, 'UTF8')) AS is_kept_as_digest FROM kursaha_cohort.api_key k, made m WHERE k.label = 'shop';

-- The gateway's role learns whose a key is, and nothing else.
GRANT SELECT ON made TO key_gateway;
SET ROLE key_gateway;
SELECT kursaha_cohort.cohort_api_key_role(sha256(convert_to(key, 'UTF8'))), kursaha_cohort.cohort_api_key_role('\x00') FROM made;
SELECT * FROM cohort_api_key;
SELECT count(*) FROM cohort_event;
RESET ROLE;
SELECT label, last_used_at IS NOT NULL AS is_used FROM cohort_api_key ORDER BY label;

-- A reader may make none; who may not act as the role sees and ends none of its keys.
SET ROLE key_other;
SELECT cohort_api_key_create('mine', 'key_other');
SELECT cohort_api_key_revoke('shop');
RESET ROLE;
SELECT cohort_grant('operator', 'key_other');
SET ROLE key_other;
SELECT count(*) FROM cohort_api_key;
SELECT cohort_api_key_revoke('shop');
RESET ROLE;

-- A role that is renamed keeps its keys, one that is a superuser or gone has none, nor has a namesake.
ALTER ROLE key_user RENAME TO key_renamed;
SELECT kursaha_cohort.cohort_api_key_role(sha256(convert_to(key, 'UTF8'))) FROM made;
ALTER ROLE key_renamed SUPERUSER;
SELECT kursaha_cohort.cohort_api_key_role(sha256(convert_to(key, 'UTF8'))) FROM made;
ALTER ROLE key_renamed NOSUPERUSER;
UPDATE kursaha_cohort.api_key SET expires_at = now() - interval '1 second' WHERE label = 'soon';
SELECT label, usable FROM cohort_api_key ORDER BY label;
DROP ROLE key_renamed;
CREATE ROLE key_renamed;
SELECT kursaha_cohort.cohort_api_key_role(sha256(convert_to(key, 'UTF8'))) FROM made;
SELECT label, role, usable FROM cohort_api_key ORDER BY label;
SET ROLE key_maker;
SELECT cohort_api_key_revoke('shop');
SELECT cohort_api_key_revoke('shop');
RESET ROLE;
DROP TABLE made;
SELECT cohort_api_key_revoke('soon');
DROP OWNED BY key_maker, key_other, key_gateway;
DROP ROLE key_maker, key_other, key_super, key_gateway, key_renamed;
