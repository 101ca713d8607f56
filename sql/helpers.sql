-- The helper functions of the plain SQL that cohort_sql gives: what ~, lower(), casts to numeric and timestamptz, and the
-- session's time zone would answer differently from the rule language. Bodies: src/api/helpers.rs.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.json_number(value jsonb) RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_number_wrapper';
COMMENT ON FUNCTION kursaha_cohort.json_number(value jsonb) IS 'The value of a JSON number, or of a string whose whole content is a JSON number; NULL for any other value and for exponents beyond 5,000';

CREATE FUNCTION kursaha_cohort.json_text(value jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_text_wrapper';
COMMENT ON FUNCTION kursaha_cohort.json_text(value jsonb) IS 'The content of a JSON string; NULL for any other value';

CREATE FUNCTION kursaha_cohort.json_instant(value jsonb, zone text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_instant_wrapper';
COMMENT ON FUNCTION kursaha_cohort.json_instant(value jsonb, zone text) IS 'The instant of a JSON string in ISO 8601, in the given zone if it has no offset; NULL for any other value';

CREATE FUNCTION kursaha_cohort.json_last_instant(value jsonb, zone text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_last_instant_wrapper';
COMMENT ON FUNCTION kursaha_cohort.json_last_instant(value jsonb, zone text) IS 'Like json_instant, but for a date the last instant of the day';

CREATE FUNCTION kursaha_cohort.local_time(at timestamptz, zone text) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'local_time_wrapper';
COMMENT ON FUNCTION kursaha_cohort.local_time(at timestamptz, zone text) IS 'The local time of an instant in a zone; NULL for infinity';

CREATE FUNCTION kursaha_cohort.json_day(value jsonb, zone text) RETURNS date
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_day_wrapper';
COMMENT ON FUNCTION kursaha_cohort.json_day(value jsonb, zone text) IS 'The calendar day, in a zone, of the instant that json_instant returns';

CREATE FUNCTION kursaha_cohort.local_day(at timestamptz, zone text) RETURNS date
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'local_day_wrapper';
COMMENT ON FUNCTION kursaha_cohort.local_day(at timestamptz, zone text) IS 'The calendar day of an instant in a zone';

CREATE FUNCTION kursaha_cohort.simple_lower(value text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'simple_lower_wrapper';
COMMENT ON FUNCTION kursaha_cohort.simple_lower(value text) IS 'Converts each code point by the simple lower-case mapping of Unicode, without context or locale';

CREATE FUNCTION kursaha_cohort.regex_match(value text, pattern text, ignore_case boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'regex_match_wrapper';
COMMENT ON FUNCTION kursaha_cohort.regex_match(value text, pattern text, ignore_case boolean) IS 'Returns whether a pattern of the Rust crate regex matches anywhere in the text';

CREATE FUNCTION kursaha_cohort.day_start(day date, zone text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'day_start_wrapper';
COMMENT ON FUNCTION kursaha_cohort.day_start(day date, zone text) IS 'The first instant of a day in a zone';

CREATE FUNCTION kursaha_cohort.time_add(at timestamptz, step interval, zone text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'time_add_wrapper';
COMMENT ON FUNCTION kursaha_cohort.time_add(at timestamptz, step interval, zone text) IS 'at + step, computed with the given zone as session time zone; infinity beyond the range';

CREATE FUNCTION kursaha_cohort.time_subtract(at timestamptz, step interval, zone text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'time_subtract_wrapper';
COMMENT ON FUNCTION kursaha_cohort.time_subtract(at timestamptz, step interval, zone text) IS 'at - step, computed with the given zone as session time zone; -infinity beyond the range';

CREATE FUNCTION kursaha_cohort.anniversary_between(day date, first date, last date) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'anniversary_between_wrapper';
COMMENT ON FUNCTION kursaha_cohort.anniversary_between(day date, first date, last date) IS 'Returns whether the anniversary (month and day) of a day is between two days, both included; in common years 29 February counts as 28 February';

CREATE FUNCTION kursaha_cohort.row_json(value anyelement) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kursaha_row_json';
COMMENT ON FUNCTION kursaha_cohort.row_json(value anyelement) IS 'to_jsonb(value) with TimeZone UTC and the default output settings';

CREATE FUNCTION kursaha_cohort.row_text(value anyelement) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kursaha_row_text';
COMMENT ON FUNCTION kursaha_cohort.row_text(value anyelement) IS 'value::text with TimeZone UTC, DateStyle ISO and the default output settings';

CREATE FUNCTION kursaha_cohort.json_elements(value jsonb) RETURNS SETOF jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END);
END;
COMMENT ON FUNCTION kursaha_cohort.json_elements(jsonb) IS 'The elements of a JSON array; no row for any other value';
