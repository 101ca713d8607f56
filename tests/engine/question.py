"""Rules for which the index and plain SQL must return the same members, and the functions that evaluate them."""

import json
from dataclasses import dataclass, replace

from psql_session import Failure, literal
from values import dumps

# One statement, and so one snapshot, for both engines: STABLE functions read with the snapshot of the calling query.
FUNCTIONS = """
CREATE OR REPLACE FUNCTION asked_both(query text, OUT by_index text, OUT by_sql text) LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('kursaha_cohort.engine', 'bitmap', false);
    EXECUTE query INTO by_index;
    PERFORM set_config('kursaha_cohort.engine', 'sql', false);
    EXECUTE query INTO by_sql;
    PERFORM set_config('kursaha_cohort.engine', 'bitmap', false);
END $$;
CREATE OR REPLACE FUNCTION wrote_and_asked(change text, query text, OUT by_index text, OUT by_sql text)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    EXECUTE change;
    PERFORM set_config('kursaha_cohort.engine', 'bitmap', false);
    EXECUTE query INTO by_index;
    PERFORM set_config('kursaha_cohort.engine', 'sql', false);
    EXECUTE query INTO by_sql;
    PERFORM set_config('kursaha_cohort.engine', 'bitmap', false);
END $$;"""

BY_INDEX = "SET kursaha_cohort.engine = bitmap;"
BY_SQL = "SET kursaha_cohort.engine = sql;"
IDS = "coalesce(json_agg(x ORDER BY x COLLATE \"C\"), '[]')"
# No answer at all, and none that says something against the index: the transaction had failed before, it cannot be
# serialized, plain SQL took too long.
UNANSWERED = ("25P02", "40001", "40P01", "34000")
TIMED_OUT = "57014"


def jsonb(value):
    return literal(dumps(value)) + "::jsonb"


def array(texts):
    return "ARRAY[" + ", ".join(map(literal, texts)) + "]::text[]"


@dataclass(frozen=True)
class Question:
    kind: str
    rule: object = None  # of evaluate, preview and explain
    names: tuple = ()  # of count, contains and overlap: saved cohorts
    ids: tuple = ()  # of contains
    as_of: str = "NULL"  # SQL text
    form: str = "two"  # two statements, "one" statement, "with" a change beside it, "after" a change, "declare", "fetch"
    change: object = None  # the Change of "with" and "after"
    cursor: str = ""  # of "declare" and "fetch"

    def query(self):
        """SQL text that gives one JSON value."""
        at = f"({self.as_of})::timestamptz"
        if self.kind == "evaluate":
            return f"SELECT {IDS} FROM cohort_evaluate({jsonb(self.rule)}, {at}) AS x"
        if self.kind == "preview":
            return f"SELECT row_to_json(p) FROM cohort_preview({jsonb(self.rule)}, 3, {at}) p"
        if self.kind == "explain":
            figures = "json_build_array(path, customers, events)"
            return f"SELECT json_agg({figures} ORDER BY path) FROM cohort_explain({jsonb(self.rule)}, {at})"
        name = literal(self.names[0])
        if self.kind == "run":
            return f"SELECT {IDS} FROM cohort_run({name}, {at}) AS x"
        if self.kind == "count":
            return f"SELECT to_json(cohort_count({name}, {at}))"
        if self.kind == "contains":
            people = f"unnest({array(self.ids)}) AS x"
            return f"SELECT json_agg(cohort_contains({name}, x, {at}) ORDER BY x COLLATE \"C\") FROM {people}"
        if self.kind == "overlap":
            return f"SELECT json_agg(o ORDER BY o.cohorts) FROM cohort_overlap({array(self.names)}, {at}) o"
        raise ValueError(self.kind)

    def statements(self):
        """Labelled statements that put it to both engines."""
        if self.kind == "check":
            return [("check", "SELECT place || ': ' || problem FROM cohort_check();")]
        if self.kind == "refresh":
            name = literal(self.names[0])
            return [
                ("refresh", f"BEGIN;\nSELECT cohort_refresh({name}) \\g /dev/null"),
                ("index", f"SELECT {IDS} FROM (SELECT customer_id AS x FROM cohort_members({name})) m;"),
                ("sql", f"{BY_SQL}\nSELECT {IDS} FROM cohort_run({name}) AS x;\n{BY_INDEX}"),
                ("end", "COMMIT;"),
            ]
        if self.form == "fetch":
            return [("both", f"FETCH ALL FROM {self.cursor};")]
        both = f"SELECT json_build_array(by_index::json, by_sql::json) FROM asked_both({literal(self.query())})"
        if self.form == "one":
            return [("both", both + ";")]
        if self.form == "declare":
            return [("declare", f"DECLARE {self.cursor} CURSOR FOR {both};"), ("both", both + ";")]
        if self.form == "with":
            # PostgreSQL shows a statement nothing of what it changes itself.
            changed = f"WITH changed AS ({self.change.text()} RETURNING 1)"
            return [("both", f"{changed} {both}, (SELECT count(*) FROM changed) n;")]
        if self.form == "after":
            asked = f"wrote_and_asked({literal(self.change.text())}, {literal(self.query())})"
            return [("both", f"SELECT json_build_array(by_index::json, by_sql::json) FROM {asked};")]
        return [("index", f"{BY_INDEX}\n{self.query()};"), ("sql", f"{BY_SQL}\n{self.query()};\n{BY_INDEX}")]

    def with_rule(self, rule):
        return replace(self, rule=rule)

    def changes(self):
        """Whether asking changes what is stored, or makes a cursor."""
        return self.form in ("with", "after", "declare") or self.kind == "refresh"

    def unanswered(self):
        # A row that another session's open transaction holds, a transaction that only reads; a question itself waits for
        # nobody.
        return (*UNANSWERED, "55P03", "25006") if self.change and self.form in ("with", "after") else UNANSWERED


def verdict(question, answers):
    """(whether both answered, what is wrong or None, the answer by plain SQL) from the answers by label."""
    unanswered = question.unanswered()
    if "check" in answers:
        found = answers["check"]
        if isinstance(found, Failure):
            return False, None if found.startswith(unanswered) else f"cohort_check: {found}", None
        return True, "cohort_check: " + "; ".join(found) if found else None, None
    if "both" in answers:
        both = answers["both"]
        if isinstance(both, Failure):
            return False, None if both.startswith((*unanswered, TIMED_OUT)) else f"error {both}", None
        index, sql = map(dumps_plain, json.loads("\n".join(both)))
    else:
        # A refresh waits for the row that another session's open transaction holds; without it the members are the old ones.
        refreshed = answers.get("refresh")
        if isinstance(refreshed, Failure):
            harmless = refreshed.startswith((*unanswered, "55P03", TIMED_OUT))
            return False, None if harmless else f"cohort_refresh: {refreshed}", None
        index, sql = answers["index"], answers["sql"]
        if isinstance(index, Failure) or isinstance(sql, Failure):
            harmless = str(index).startswith(unanswered) or str(sql).startswith((*unanswered, TIMED_OUT))
            wrong = None if harmless else f"by the index: {index}\nby plain SQL: {sql}"
            return False, wrong, None
        index, sql = "\n".join(index), "\n".join(sql)
    if index != sql:
        return True, f"by the index: {index}\nby plain SQL: {sql}", sql
    return True, None, sql


def dumps_plain(value):
    return json.dumps(value, ensure_ascii=False)
