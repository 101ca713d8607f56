# make help lists what there is. The work is done by scripts/, which can be called by themselves.

.DEFAULT_GOAL := help
.PHONY: help all setup build gateway install installcheck test test-packages deb rpm fuzz fuzz-core fuzz-gateway crash faults bench-sync bench-cluster bench-micro demo demo-cluster demo-cluster-stop gateway-demo demo-stop screenshots check bench clean

help: ## list the targets
	@echo "kursaha_cohort: customer cohorts inside PostgreSQL"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/    make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-24s %s\n", $$1, $$2 }'

setup: ## install the requirements for building and testing (Debian 12; root or sudo)
	@scripts/setup

all: ## build without installing requirements (make all PG_CONFIG=…, for PGXN)
	@scripts/build

build: setup ## build the extension below target/
	@scripts/build

gateway: setup ## build the gateway: an HTTP server with Kursaha's API, a REST API and the console (target/release/cohort-gateway)
	@scripts/gateway build

# Who names a PostgreSQL has what building against it needs.
install: $(if $(PG_CONFIG),,setup) ## install the extension into PostgreSQL 15, or into that of PG_CONFIG, below DESTDIR (root or sudo)
	@scripts/install

installcheck: ## run the SQL tests on a private server
	@tests/regress/run

deb: ## build Debian packages for PG_MAJORS (15), and of the gateway, below target/deb
	@for major in $${PG_MAJORS:-15}; do env -u PG_CONFIG PG_MAJOR=$$major scripts/deb || exit; done
	@scripts/deb gateway

rpm: ## build RPM packages for PG_MAJOR (15) of the PostgreSQL project's packages, and of the gateway, below target/rpm
	@scripts/rpm
	@scripts/rpm gateway

test-packages: ## install, upgrade and remove the Debian package of PG_MAJOR in a fresh Debian: 15 in 12, 17 in 13 (root)
	@tests/packages/run

test: ## everything: setup, format, lints, unit tests, builds, tests on private servers of PostgreSQL 15 to 18 (PG_MAJOR=N)
	@scripts/test-majors

fuzz: build ## compare the index with plain SQL on random histories, until Ctrl-C
	@scripts/fuzz

fuzz-core: ## run each fuzz target of the core for a minute: nightly Rust and cargo-fuzz (EACH=seconds, TARGETS=names)
	@scripts/fuzz-core

fuzz-gateway: build ## test the gateway with schemathesis, by its openapi.json (SEED=N, EXAMPLES=N)
	@BUILD_PROFILE=quick scripts/gateway build
	@python3 tests/gateway/schemathesis.py

crash: build ## kill a server 100 times while it writes, seals and merges (KILLS=N)
	@KILLS=$${KILLS:-100} tests/run.d/33-crash

faults: build ## test syncs and the gateway with every fault, 100 kills, 5 million members, 10,000 connections (KILLS=N, MEMBERS=N, IDLE=N)
	@KILLS=$${KILLS:-100} IDLE=$${IDLE:-10000} REQUESTS=$${REQUESTS:-20000} TEST_ONLY='@(3[6-9]*-sync*|60-gateway)' TEST_LONG=1 TEST_TIMEOUT=3600 scripts/test

bench-sync: build ## measure syncs (MEMBERS=N)
	@python3 benches/sync.py $${MEMBERS:-500000}

bench-cluster: build ## measure a coordinator with 3 and 9 nodes
	@python3 benches/cluster.py

bench-micro: ## measure columns, masks and each kind of condition without a server (FILTER=name)
	@cargo bench --manifest-path benches/micro/Cargo.toml --target-dir target/micro -- $(FILTER)

demo: setup ## demonstrate the extension on a private server, which keeps running (a quick build)
	@scripts/demo

demo-cluster: setup ## demonstrate a coordinator with three nodes on private servers, which keep running (a quick build)
	@scripts/demo-cluster

demo-cluster-stop: ## stop and remove the servers of demo-cluster
	@scripts/demo-cluster stop

gateway-demo: build gateway ## run the gateway for the demo's server, or for a small server of its own, until Ctrl-C
	@scripts/gateway demo

demo-stop: ## stop and remove the demo's server and gateway
	@scripts/gateway stop demo
	@demo/facebook stop demo
	@scripts/pg stop demo

screenshots: build ## create the pictures of docs/CONSOLE.md
	@scripts/gateway build
	@python3 tests/console/pictures.py

check: setup ## check format and lints only
	@scripts/check

bench: build ## run the benchmark
	@benches/run

clean: ## stop this checkout's private servers and remove target/
	@scripts/pg stop-all
	@scripts/postgres remove
	@cargo clean
