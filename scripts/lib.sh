# Sourced by the scripts beside it: where things are, and how they speak.
# shellcheck shell=bash disable=SC2034

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1)

# The PostgreSQL to build for and to test with: that of PG_CONFIG, or Debian's of PG_MAJOR. Where neither is installed yet,
# PG_CONFIG names what scripts/setup installs.
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/${PG_MAJOR:-15}/bin/pg_config}
if [[ -x $PG_CONFIG ]]; then
    PG_MAJOR=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
    PG_BIN=$("$PG_CONFIG" --bindir)
else
    PG_MAJOR=${PG_MAJOR:-15}
    PG_BIN=${PG_CONFIG%/*}
fi
export PG_CONFIG PG_MAJOR PG_BIN

# cargo runs with its own directory, so a relative CARGO_TARGET_DIR means one below the checkout.
TARGET=${CARGO_TARGET_DIR:-target}
[[ $TARGET = /* ]] || TARGET=$ROOT/$TARGET
export CARGO_TARGET_DIR=$TARGET
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
