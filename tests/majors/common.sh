# Sourced by the programs beside it, whose names end in two major versions: servers "old" and "new" of these, a database that
# has everything, and what must be the same in both.
# shellcheck shell=bash disable=SC2034
source scripts/lib.sh

[[ ${0##*/} =~ -([0-9]+)-([0-9]+)$ ]]
old_major=${BASH_REMATCH[1]} new_major=${BASH_REMATCH[2]}
# Those of the server that the test runs beside.
unset PG_CONFIG PG_MAJOR PG_BIN PYTHONTZPATH
export PGUSER=postgres PGDATABASE=shop
trap 'pg old stop; pg new stop' EXIT

# pg NAME COMMAND [ARGUMENT ...]: scripts/pg for one of the two.
pg() {
    local major=${1}_major name=$1 command=$2
    PG_MAJOR=${!major} scripts/pg "$command" "$name" "${@:3}"
}
old=$(pg old where) new=$(pg new where)
# programs NAME: the directory of the server's own copy of its program.
programs() { dirname "$(readlink "${!1}/postgres")"; }
# ask NAME [ARGUMENT ...]: psql on one of the two.
ask() { PSQL_PAGER='' psql -XAtq -h "${!1}" -v ON_ERROR_STOP=1 "${@:2}"; }
# as_server COMMAND...: as the user that the servers run as, in a directory that is theirs.
as_server() { (cd "$old" && if [[ $EUID -eq 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi); }

is() { # is WHAT EXPECTED FOUND
    [[ $3 == "$2" ]] || { diff <(echo "$2") <(echo "$3") | sed "s/^/$1: /"; echo "$1: not as expected"; exit 1; }
}
await() { # await WHAT NAME SQL: until the answer is true
    for _ in {1..400}; do
        [[ $(ask "$2" -c "$3" 2> /dev/null) != t ]] || return 0
        sleep 0.1
    done
    echo "in vain: $1"
    ask "$2" -c 'TABLE cohort_index_status' -c 'TABLE cohort_problem' -c 'TABLE cohort_sync_status'
    exit 1
}

# set_workers NAME on|off: in its configuration, from its next start or reload on.
set_workers() { sed -i "s/^kursaha_cohort.enabled.*/kursaha_cohort.enabled = '$2'/" "${!1}/data/postgresql.conf"; }

# start_server NAME: empty, with the library preloaded and workers in a hurry.
start_server() {
    # From 18 on initdb switches checksums on, and pg_upgrade wants both servers alike.
    local checksums=
    [[ $1 == old || $new_major -lt 18 ]] || checksums=--no-data-checksums
    INITDB_ARGS=$checksums pg "$1" start shared_preload_libraries=kursaha_cohort kursaha_cohort.enabled=on kursaha_cohort.seal_interval=100ms \
        kursaha_cohort.min_sync_interval=1s
    # pg_upgrade wants all programs in one place; each finds the server beside itself.
    cp -n "$(pg "$1" env | sed -n 's/^export PG_BIN=//p')"/* "$(programs "$1")/"
}

stop_server() { as_server "$(programs "$1")/pg_ctl" -D "${!1}/data" -m fast -w stop > /dev/null; }

# start_old: the old server, with a database that has everything, and nothing under way.
start_old() {
    start_server old
    # Stamps above 2^33: transaction ids of the second epoch.
    stop_server old
    as_server "$(programs old)/pg_resetwal" -e 2 -D "$old/data" > /dev/null
    pg old restart
    ask old -d postgres -c 'CREATE DATABASE shop'
    ask old -f tests/majors/fill.sql > /dev/null
    await 'events are sealed' old 'SELECT tail = 0 AND removals = 0 FROM cohort_index_status'
    await 'the sync has run' old "SELECT last_state = 'success' AND delivered = 300 FROM cohort_sync_status"
    set_workers old off
    ask old -c 'SELECT pg_reload_conf()' > /dev/null
    await 'no worker is left' old "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname IS NOT NULL AND backend_type LIKE 'kursaha_cohort %'"
    # Many small segments, which a sealer with the ordinary setting would merge at once.
    for n in {1..25}; do
        echo "INSERT INTO cohort_event (customer_id, event_type, occurred_at) SELECT 'c' || i, 'visit', '2025-03-01' FROM generate_series(1, 4 + $n) i;
              SET kursaha_cohort.segment_rows = 2; SELECT FROM cohort_seal();"
    done | ask old
    ask old -f tests/majors/unsealed.sql > /dev/null
    # Minor releases from November 2026 on keep a version with each column, which older ones of other major versions refuse.
    # docs/UPGRADING.md asks for a newer one; here the version goes.
    if ! grep -q pg_attver "$(PG_MAJOR=$new_major bash -c 'source scripts/lib.sh; echo "$PG_BIN"')/postgres"; then
        local database
        for database in postgres template1 shop; do
            ask old -d "$database" -c "UPDATE pg_attribute SET attoptions = nullif(ARRAY(SELECT o FROM unnest(attoptions) o
                WHERE o NOT LIKE 'pg_attver=%'), '{}') WHERE attoptions::text LIKE '%pg_attver=%'"
        done
    fi
    is 'merges are due, with dead rows and a tail' t "$(ask old -c 'SELECT segments > 25 AND dead > 0 AND tail > 400 AND removals > 0 FROM cohort_index_status')"
}

questions=(
    '{"did": "view"}'
    '{"did_not": "buy"}'
    '{"did": "view", "count": {"gte": 5}, "where": {"property": "price", "operator": "gt", "value": 40}}'
    '{"did": ["buy", "order"], "aggregate": {"fn": "sum", "property": "price", "gte": 60}}'
    '{"did": "view", "time": {"in_the_last": "3 months"}}'
    '{"and": [{"profile": "city", "operator": "eq", "value": "pune"}, {"did_not": "buy"}]}'
    '{"sequence": [{"did": "view"}, {"did": "buy"}], "within": "90 days"}'
    '{"did": "*", "aggregate": {"fn": "count_distinct", "property": "sku", "gte": 5}}'
    '{"did": "visit", "count": {"gte": 20}}'
    '{"cohort": "shoppers"}'
    '{"and": [{"cohort": "friends"}, {"did": "late"}]}'
)
# answers NAME ENGINE: how many customers each question selects, and which.
answers() {
    local question
    echo "SET kursaha_cohort.engine = $2;"
    for question in "${questions[@]}"; do
        echo "SELECT count(*), md5(string_agg(id, ',' ORDER BY id COLLATE \"C\")) FROM cohort_evaluate('$question', '2025-06-01 00:00+00') id;"
    done
}

# rows NAME: all that people have stored, as they see it. digest NAME: the index and the stamps, byte by byte.
rows() { ask "$1" -f tests/majors/rows.sql; }
digest() { ask "$1" -f tests/majors/index.sql; }

# remember: what the old server says. compare: the new one says the same, by the index and by plain SQL.
remember() {
    answers_before=$(answers old sql | ask old)
    is 'the old server agrees with itself' "$answers_before" "$(answers old bitmap | ask old)"
    is 'questions that select nobody' '' "$(paste -d ' ' <(echo "$answers_before") <(printf '%s\n' "${questions[@]}") | grep '^0|' || true)"
    rows_before=$(rows old)
}
compare() {
    is 'rows' "$rows_before" "$(rows new)"
    is 'answers by plain SQL' "$answers_before" "$(answers new sql | ask new)"
    is 'answers by the index' "$answers_before" "$(answers new bitmap | ask new)"
    is 'how they are found' t "$(ask new -c "SELECT bool_and(how LIKE 'index:%') FROM cohort_explain('${questions[0]}')")"
    is 'the check' '' "$(ask new -c 'SELECT * FROM cohort_check()')"
}

# goes_on: captures, syncs and workers do in the new server what they did in the old one.
goes_on() {
    is 'the sync' 'disarmed' "$(ask new -c 'SELECT state FROM cohort_sync_status')"
    is 'asked for a run' t "$(ask new -c 'SET ROLE app' -c "SELECT cohort_sync_now('friends', 'told') LIKE '%disarmed%'")"
    ask new -c "INSERT INTO orders VALUES (9001, 'new-customer', 70, '2025-04-01')" -c "INSERT INTO users VALUES ('new-customer', 'agra', 'x')" \
        -c "SELECT cohort_track('new-customer', 'buy', '{\"price\": 5}', '2025-04-02')" -c "SELECT cohort_forget('c12')" > /dev/null
    is 'the captures' '{"id": 9001, "price": 70}|{"city": "agra"}' "$(ask new -c "SELECT data, profile FROM cohort_event JOIN cohort_customer USING (customer_id)
        WHERE customer_id = 'new-customer' AND event_type = 'order'")"
    set_workers new on
    ask new -c 'SELECT pg_reload_conf()' > /dev/null
    await 'workers seal and merge' new 'SELECT tail = 0 AND removals = 0 AND segments < 20 FROM cohort_index_status'
    is 'no run was made' "$(grep '^run|' <<< "$rows_before" | wc -l)" "$(ask new -c 'SELECT count(*) FROM cohort_sync_run')"
    is 'armed' 1 "$(ask new -c 'SELECT cohort_sync_arm()')"
    ask new -c 'SET ROLE app' -c "SELECT cohort_import('friends', '{c1,c2,c4,new-customer}')" -c "SELECT cohort_sync_now('friends', 'told')" > /dev/null
    await 'the sync runs' new "SELECT last_state = 'success' AND NOT EXISTS (SELECT cohort_run('friends') EXCEPT SELECT customer_id FROM told)
        AND NOT EXISTS (SELECT customer_id FROM told EXCEPT SELECT cohort_run('friends')) FROM cohort_sync_status"
    for engine in sql bitmap; do
        answers new $engine | ask new > "$TEST_TMP/$engine"
    done
    is 'answers after it' "$(cat "$TEST_TMP/sql")" "$(cat "$TEST_TMP/bitmap")"
    is 'the check after it' '' "$(ask new -c 'SELECT * FROM cohort_check()')"
    ask new -c 'SELECT FROM cohort_reindex()'
    is 'answers after reindexing' "$(cat "$TEST_TMP/sql")" "$(answers new bitmap | ask new)"
    is 'the check after reindexing' '' "$(ask new -c 'SELECT * FROM cohort_check()')"
}
