"""Citus's file with its own calls stubbed: one server that is coordinator and only node."""

from shop import Server, layer, same

STUBS = """
CREATE OR REPLACE FUNCTION kursaha_cohort_cluster.citus_distribute(relation regclass, with_relation text) RETURNS void LANGUAGE sql AS '';
CREATE OR REPLACE FUNCTION kursaha_cohort_cluster.citus_shards(relation regclass) RETURNS TABLE (lo integer, hi integer, address jsonb)
    LANGUAGE sql AS 'SELECT -2147483648, 2147483647, ''{"host": "here"}''::jsonb';
"""


def check(coordinator):
    coordinator.ask("CREATE DATABASE citus_stubbed;")
    alone = Server(coordinator.name, database="citus_stubbed").make()
    layer(alone)
    alone.ask(STUBS)
    same("the node", alone.ask("SELECT * FROM cohort_cluster_init('citus');"), "0|-2147483648|2147483647")
    # The one server is its own node, whose tables the doors would never fill.
    alone.ask("DROP TRIGGER door ON public.cohort_event; DROP TRIGGER door ON public.cohort_customer;")
    alone.ask("SELECT cohort_track('a', 'x'); SELECT * FROM cohort_track_batch('{\"signals\": [{\"customerId\": \"b\", \"eventType\": \"x\"}]}');"
              "SELECT cohort_identify('a', '{\"n\": 1}'); COPY cohort_event (customer_id, event_type) FROM STDIN;\nc\tx\n\\.\n")
    same("events", alone.ask("SELECT count(*) FROM public.cohort_event;"), "3")
    alone.ask("SELECT kursaha_cohort_cluster.send_compare(NULL, NULL, '{0}', '{-2147483648}', '{2147483647}');")
    for sql, expected in (
        ("SELECT count(*) FROM cohort_evaluate('{\"did\": \"x\"}')", "3"),
        ("SELECT size, universe, sample FROM cohort_preview('{\"did\": \"x\"}', 2)", "3|3|{a,b}"),
        ("SELECT customers FROM cohort_explain('{\"did\": \"x\"}'::jsonb)", "3"),
        ("SELECT count(*) FROM cohort_seal()", "1"),
        ("SELECT count(*) FROM cohort_check()", "0"),
        ("SELECT count(*) FROM cohort_property", "0"),
        ("SELECT reachable, events FROM cohort_cluster_status", "t|3"),
        ("SELECT events, profiles FROM cohort_forget('a')", "1|1"),
    ):
        same(sql, alone.ask(sql + ";"), expected)
    alone.ask("DROP EXTENSION kursaha_cohort_cluster CASCADE;")
    coordinator.ask("DROP DATABASE citus_stubbed WITH (FORCE);")
