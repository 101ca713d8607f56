# make help lists what there is. The work is done by scripts/, which can be called by themselves.

.DEFAULT_GOAL := help
.PHONY: help setup build install test fuzz crash faults bench-sync demo demo-stop check bench clean

help: ## this list
	@echo "kursaha_cohort: customer cohorts inside PostgreSQL"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/    make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup: ## install what building and testing need (Debian 12; root or sudo)
	@scripts/setup

build: setup ## build the extension below target/
	@scripts/build

install: setup ## install the extension into this machine's PostgreSQL 15 (root or sudo)
	@scripts/install

test: ## everything: setup, format, lints, unit tests, builds, tests on private servers of PostgreSQL 15 to 18 (PG_MAJOR=N)
	@scripts/test-majors

fuzz: build ## random histories without end: the index against plain SQL
	@scripts/fuzz

crash: build ## kill a server 100 times while it writes, seals and merges (KILLS=N)
	@KILLS=$${KILLS:-100} tests/run.d/33-crash

faults: build ## syncs and whatever can go wrong, with 100 kills and 5 million members (KILLS=N, MEMBERS=N)
	@KILLS=$${KILLS:-100} TEST_ONLY='3[6-9]*-sync*' TEST_LONG=1 TEST_TIMEOUT=3600 scripts/test

bench-sync: build ## what syncs cost (MEMBERS=N)
	@python3 benches/sync.py $${MEMBERS:-500000}

demo: build ## cohorts of a real shop's customers on a private server, which is left running
	@scripts/demo

demo-stop: ## stop and remove the demo's server
	@scripts/pg stop demo

check: setup ## format and lints only
	@scripts/check

bench: build ## the benchmark
	@benches/run

clean: ## stop this checkout's private servers and remove target/
	@scripts/pg stop-all
	@scripts/postgres remove
	@cargo clean
