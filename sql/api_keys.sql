-- API keys of the gateway. The table contains only digests, which cannot be used as keys.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort.api_key (
    label text COLLATE "C" PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    role kursaha_cohort.owner NOT NULL,
    created_by kursaha_cohort.owner NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz
);
COMMENT ON TABLE kursaha_cohort.api_key IS 'API keys; the view cohort_api_key shows them';
COMMENT ON COLUMN kursaha_cohort.api_key.label IS 'The purpose of the key';
COMMENT ON COLUMN kursaha_cohort.api_key.digest IS 'SHA-256 of the key; the key itself is not stored';
COMMENT ON COLUMN kursaha_cohort.api_key.role IS 'The role that requests with the key run as';
COMMENT ON COLUMN kursaha_cohort.api_key.created_by IS 'The role that created it';
COMMENT ON COLUMN kursaha_cohort.api_key.created_at IS 'Time of its creation';
COMMENT ON COLUMN kursaha_cohort.api_key.expires_at IS 'Expiry time; NULL: it does not expire';
COMMENT ON COLUMN kursaha_cohort.api_key.last_used_at IS 'Time of its last use, accurate to an hour';

-- The key of a dropped role has no role. The role that created it and the extension's owner can still revoke it.
CREATE VIEW @extschema@.cohort_api_key WITH (security_barrier) AS
SELECT k.label, k.role::text AS role, k.created_at, k.created_by::text AS created_by, k.last_used_at, k.expires_at,
    EXISTS (SELECT FROM pg_roles r WHERE r.oid = kursaha_cohort.owner_role(k.role) AND NOT r.rolsuper)
        AND coalesce(k.expires_at > now(), true) AS usable
FROM kursaha_cohort.api_key k
WHERE kursaha_cohort.owns(k.role) OR kursaha_cohort.owns(k.created_by);
COMMENT ON VIEW @extschema@.cohort_api_key IS 'The API keys of roles of which the reader is a member, and the keys that the reader created';
COMMENT ON COLUMN @extschema@.cohort_api_key.label IS 'The purpose of the key';
COMMENT ON COLUMN @extschema@.cohort_api_key.role IS 'The role that requests with the key run as';
COMMENT ON COLUMN @extschema@.cohort_api_key.created_at IS 'Time of its creation';
COMMENT ON COLUMN @extschema@.cohort_api_key.created_by IS 'The role that created it';
COMMENT ON COLUMN @extschema@.cohort_api_key.last_used_at IS 'Time of its last use, accurate to an hour';
COMMENT ON COLUMN @extschema@.cohort_api_key.expires_at IS 'Expiry time; NULL: it does not expire';
COMMENT ON COLUMN @extschema@.cohort_api_key.usable IS 'Whether it has not expired, and its role exists and is not a superuser';

-- Runs with the owner's privileges: the role of the gateway, which alone may call it, cannot read the table. The gateway calls
-- it for each request, so that a revoked key is invalid at once. The time is written at most once an hour, and not on a standby.
CREATE FUNCTION kursaha_cohort.cohort_api_key_role(digest bytea) RETURNS name
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    SELECT k.label, k.last_used_at, r.rolname INTO found FROM kursaha_cohort.api_key k
    JOIN pg_roles r ON r.oid = kursaha_cohort.owner_role(k.role)
    WHERE k.digest = cohort_api_key_role.digest AND NOT r.rolsuper AND coalesce(k.expires_at > now(), true);
    IF found.label IS NOT NULL AND coalesce(found.last_used_at < now() - interval '1 hour', true)
        AND current_setting('transaction_read_only') = 'off'
    THEN
        UPDATE kursaha_cohort.api_key SET last_used_at = now() WHERE label = (
            SELECT k.label FROM kursaha_cohort.api_key k WHERE k.label = found.label FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN found.rolname;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_api_key_role(bytea) IS 'The role of the key with the given SHA-256; NULL if there is no such key, it has expired, or its role was dropped or is a superuser';

-- Upgrades repeat this.
DO $$
BEGIN
    PERFORM pg_catalog.pg_extension_config_dump('kursaha_cohort.api_key', '');
END
$$;
