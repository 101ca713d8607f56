# make help lists what there is. The work is done by scripts/, which can be called by themselves.

.DEFAULT_GOAL := help
.PHONY: help all setup build gateway install installcheck test test-packages deb rpm fuzz crash faults bench-sync bench-cluster demo demo-cluster demo-cluster-stop gateway-demo demo-stop screenshots check bench clean

help: ## this list
	@echo "kursaha_cohort: customer cohorts inside PostgreSQL"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/    make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-24s %s\n", $$1, $$2 }'

setup: ## install what building and testing need (Debian 12; root or sudo)
	@scripts/setup

all: ## as build, and installs nothing (make all PG_CONFIG=…, as PGXN calls it)
	@scripts/build

build: setup ## build the extension below target/
	@scripts/build

gateway: setup ## build the gateway: Kursaha's API, REST and the console over HTTP (target/release/cohort-gateway)
	@scripts/gateway build

# Who names a PostgreSQL has what building against it needs.
install: $(if $(PG_CONFIG),,setup) ## install the extension into PostgreSQL 15, or that of PG_CONFIG, below DESTDIR (root or sudo)
	@scripts/install

installcheck: ## the SQL tests, on a private server
	@tests/regress/run

deb: ## Debian packages for PG_MAJORS (15), below target/deb
	@for major in $${PG_MAJORS:-15}; do env -u PG_CONFIG PG_MAJOR=$$major scripts/deb || exit; done

rpm: ## an RPM package for PG_MAJOR (15) of the PostgreSQL project's own packages, below target/rpm
	@scripts/rpm

test-packages: ## install, upgrade and remove the Debian package of PG_MAJOR in a fresh Debian: 15 in 12, 17 in 13 (root)
	@tests/packages/run

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

bench-cluster: build ## what a coordinator costs, with 3 and 9 nodes
	@python3 benches/cluster.py

demo: build ## cohorts of a real shop's customers on a private server, which is left running
	@scripts/demo

demo-cluster: build ## cohorts over a coordinator and three nodes on private servers, which are left running
	@scripts/demo-cluster

demo-cluster-stop: ## stop and remove the servers of demo-cluster
	@scripts/demo-cluster stop

gateway-demo: build gateway ## the gateway before the demo's server, or a small one of its own, until Ctrl-C
	@scripts/gateway demo

demo-stop: ## stop and remove the demo's server and gateway
	@scripts/gateway stop demo
	@scripts/pg stop demo

screenshots: build ## the pictures of docs/CONSOLE.md
	@scripts/gateway build
	@python3 tests/console/pictures.py

check: setup ## format and lints only
	@scripts/check

bench: build ## the benchmark
	@benches/run

clean: ## stop this checkout's private servers and remove target/
	@scripts/pg stop-all
	@scripts/postgres remove
	@cargo clean
