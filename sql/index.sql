-- The bitmap index: segments, their pages, and dead rows. All data here is derived from the two tables:
-- cohort_reindex() rebuilds it, and dumps do not contain it.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort.index_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    watermark xid8 NOT NULL DEFAULT '0',
    customers bigint NOT NULL DEFAULT 0,
    hash_key bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()),
    removed boolean NOT NULL DEFAULT false,
    erasures bigint NOT NULL DEFAULT 0,
    changes bigint NOT NULL DEFAULT 0,
    sealed_at timestamptz,
    sum integer NOT NULL DEFAULT 0,
    profile_removals bigint NOT NULL DEFAULT 0
);
INSERT INTO kursaha_cohort.index_state DEFAULT VALUES;
COMMENT ON TABLE kursaha_cohort.index_state IS 'The state of the index: one row. Sealing, merging and clearing update it and are thereby serialized';
COMMENT ON COLUMN kursaha_cohort.index_state.only_row IS 'Always true; ensures that the table has one row';
COMMENT ON COLUMN kursaha_cohort.index_state.watermark IS 'Rows with a lower stamp are in segments, all others in the tail';
COMMENT ON COLUMN kursaha_cohort.index_state.customers IS 'Number of assigned ordinals';
COMMENT ON COLUMN kursaha_cohort.index_state.hash_key IS 'Secret key of the hashes by which segments look up a customer';
COMMENT ON COLUMN kursaha_cohort.index_state.removed IS 'Whether events or profiles were ever removed, so that an ordinal may belong to no customer';
COMMENT ON COLUMN kursaha_cohort.index_state.erasures IS 'Number of erasures of ordinals; a change invalidates the ordinals that backends have cached';
COMMENT ON COLUMN kursaha_cohort.index_state.changes IS 'Number of changes of the index';
COMMENT ON COLUMN kursaha_cohort.index_state.sealed_at IS 'Time of the last sealing';
COMMENT ON COLUMN kursaha_cohort.index_state.sum IS 'CRC-32 of the state and of the table segment, as kursaha_cohort.index_sum() computes it; if it differs, the index is damaged';
COMMENT ON COLUMN kursaha_cohort.index_state.profile_removals IS 'How often entries were deleted from customer_removed';

CREATE SEQUENCE kursaha_cohort.segment_id AS bigint;
COMMENT ON SEQUENCE kursaha_cohort.segment_id IS 'Ids of segments; never reused, even after a rollback, because backends cache headers by id';

CREATE TABLE kursaha_cohort.segment (
    segment_id bigint PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('events', 'profiles', 'customers')),
    position bigint NOT NULL,
    stamp_from xid8 NOT NULL,
    stamp_to xid8 NOT NULL,
    rows bigint NOT NULL,
    dead bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL,
    first_at timestamptz,
    last_at timestamptz
);
COMMENT ON TABLE kursaha_cohort.segment IS 'The segments of the index; docs/SEGMENT.md describes their format';
COMMENT ON COLUMN kursaha_cohort.segment.segment_id IS 'Identity';
COMMENT ON COLUMN kursaha_cohort.segment.kind IS 'Its content: events, profiles or customers (the map from customer to ordinal)';
COMMENT ON COLUMN kursaha_cohort.segment.position IS 'Newer segments have higher positions';
COMMENT ON COLUMN kursaha_cohort.segment.stamp_from IS 'Lowest stamp of its rows';
COMMENT ON COLUMN kursaha_cohort.segment.stamp_to IS 'Upper bound of the stamps of its rows, exclusive';
COMMENT ON COLUMN kursaha_cohort.segment.rows IS 'Number of rows, dead rows included';
COMMENT ON COLUMN kursaha_cohort.segment.dead IS 'Number of dead rows';
COMMENT ON COLUMN kursaha_cohort.segment.bytes IS 'Its size';
COMMENT ON COLUMN kursaha_cohort.segment.first_at IS 'The time of its earliest event';
COMMENT ON COLUMN kursaha_cohort.segment.last_at IS 'The time of its latest event';

-- What changes the state or the segments writes the new sum in the same transaction.
CREATE FUNCTION kursaha_cohort.index_sum() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'index_sum_wrapper';
COMMENT ON FUNCTION kursaha_cohort.index_sum() IS 'CRC-32 of index_state and segment as the current transaction sees them, the expected value of index_state.sum; NULL if they are invalid';

CREATE TABLE kursaha_cohort.segment_page (
    segment_id bigint NOT NULL,
    page integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (segment_id, page)
);
-- In line: a page of a segment is a page of the heap, read in one step.
ALTER TABLE kursaha_cohort.segment_page ALTER bytes SET STORAGE PLAIN;
-- Where each segment begins, in one small index: a session that opens all segments would read a page of the other for each.
CREATE INDEX segment_page_first ON kursaha_cohort.segment_page (segment_id) WHERE page = 0;
COMMENT ON INDEX kursaha_cohort.segment_page_first IS 'The first page of each segment';
COMMENT ON TABLE kursaha_cohort.segment_page IS 'The bytes of segments, 8,000 in a row, with a checksum in each row';
COMMENT ON COLUMN kursaha_cohort.segment_page.segment_id IS 'The segment';
COMMENT ON COLUMN kursaha_cohort.segment_page.page IS 'Counted from 0';
COMMENT ON COLUMN kursaha_cohort.segment_page.bytes IS 'The bytes, followed by a checksum of four bytes';

CREATE TABLE kursaha_cohort.segment_dead (
    segment_id bigint NOT NULL,
    event_type text NOT NULL,
    rows bytea NOT NULL,
    PRIMARY KEY (segment_id, event_type)
);
COMMENT ON TABLE kursaha_cohort.segment_dead IS 'Dead rows: rows of segments whose events were updated or deleted; merging removes them';
COMMENT ON COLUMN kursaha_cohort.segment_dead.segment_id IS 'The segment';
COMMENT ON COLUMN kursaha_cohort.segment_dead.event_type IS 'The group of the segment';
COMMENT ON COLUMN kursaha_cohort.segment_dead.rows IS 'The row numbers as a roaring bitmap in portable format, followed by a checksum of four bytes';

CREATE TABLE kursaha_cohort.forgotten (
    customer_id text NOT NULL
);
COMMENT ON TABLE kursaha_cohort.forgotten IS 'Customers who were erased by cohort_forget since the last sealing. Sealing rewrites their segments and empties this table';
COMMENT ON COLUMN kursaha_cohort.forgotten.customer_id IS 'The customer id';

CREATE TABLE kursaha_cohort.list_index (
    cohort_id bigint PRIMARY KEY,
    content uuid NOT NULL,
    hash_key bytea NOT NULL,
    erasures bigint NOT NULL,
    customers bigint NOT NULL,
    known bigint NOT NULL,
    unknown bigint NOT NULL
);
COMMENT ON TABLE kursaha_cohort.list_index IS 'Fixed lists that are stored in the index as ordinals, and the state from which they were built; if that state has changed, the ids are looked up one by one';
COMMENT ON COLUMN kursaha_cohort.list_index.cohort_id IS 'The fixed list';
COMMENT ON COLUMN kursaha_cohort.list_index.content IS 'list_chunk.content when the bitmap was built';
COMMENT ON COLUMN kursaha_cohort.list_index.hash_key IS 'index_state.hash_key when the bitmap was built';
COMMENT ON COLUMN kursaha_cohort.list_index.erasures IS 'index_state.erasures when the bitmap was built';
COMMENT ON COLUMN kursaha_cohort.list_index.customers IS 'Number of assigned ordinals when the bitmap was built';
COMMENT ON COLUMN kursaha_cohort.list_index.known IS 'Number of ids of the list with an ordinal';
COMMENT ON COLUMN kursaha_cohort.list_index.unknown IS 'Number of ids of the list without an ordinal';

CREATE TABLE kursaha_cohort.list_part (
    cohort_id bigint NOT NULL,
    part integer NOT NULL,
    bytes bytea NOT NULL,
    checksum bigint NOT NULL,
    PRIMARY KEY (cohort_id, part)
);
ALTER TABLE kursaha_cohort.list_part ALTER bytes SET STORAGE EXTERNAL;
COMMENT ON TABLE kursaha_cohort.list_part IS 'The bitmaps of list_index: the ordinals, and the hashes of ids without an ordinal';
COMMENT ON COLUMN kursaha_cohort.list_part.cohort_id IS 'The fixed list';
COMMENT ON COLUMN kursaha_cohort.list_part.part IS 'From 0 on: a chunk of 65,536 ordinals; below 0: a part of the hashes';
COMMENT ON COLUMN kursaha_cohort.list_part.bytes IS 'The ordinals as a roaring bitmap in portable format, or the hashes of 12 bytes each';
COMMENT ON COLUMN kursaha_cohort.list_part.checksum IS 'The CRC-32 of cohort_id, part and bytes';

-- Where all tables of a database are replicated, the subscriber keeps the index and the logs of its own: what arrives
-- from another server's index is dropped.
CREATE FUNCTION kursaha_cohort.not_replicated() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_not_replicated';
COMMENT ON FUNCTION kursaha_cohort.not_replicated() IS 'Discards replicated rows: each server has its own index';

-- Not inserts into forgotten: whom the publisher forgot the subscriber erases from its own index.
DO $$
DECLARE
    kept record;
BEGIN
    FOR kept IN
        SELECT name, CASE name WHEN 'forgotten' THEN 'UPDATE OR DELETE' ELSE 'INSERT OR UPDATE OR DELETE' END AS events
        FROM unnest(ARRAY['index_state', 'segment', 'segment_page', 'segment_dead', 'list_index', 'list_part', 'forgotten',
                          'event_removed', 'customer_removed', 'definition_lock']) AS name
    LOOP
        EXECUTE format('CREATE TRIGGER not_replicated BEFORE %s ON kursaha_cohort.%I
            FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.not_replicated()', kept.events, kept.name);
        EXECUTE format('ALTER TABLE kursaha_cohort.%I ENABLE REPLICA TRIGGER not_replicated', kept.name);
        EXECUTE format('COMMENT ON TRIGGER not_replicated ON kursaha_cohort.%I IS %L', kept.name, 'Each server has an index of its own');
    END LOOP;
END
$$;

CREATE FUNCTION kursaha_cohort.index_problem(OUT problem text, OUT remedy text) RETURNS SETOF record
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'index_problem_wrapper';
COMMENT ON FUNCTION kursaha_cohort.index_problem() IS 'The reason why the index cannot be used by anyone, and the remedy; no row if there is none';
