# `make help` lists what can be made. Everything works from a fresh clone: what is missing is
# installed from the distribution and the language registries, or named in one line.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

VENV := contract-tests/.venv
CLIENTS := contract-tests/clients
BROWSER := contract-tests/browser
# The debug build: the contract tests and the demo want its overflow checks and its short build, and
# no figure is taken from it. `make run` and `make bench` serve people, so they use the release build.
TARGET := $(or $(CARGO_TARGET_DIR),target)
export HUB := $(abspath $(TARGET)/debug/thingshub)

OWN_DENY := $(TARGET)/tools/deny/bin/cargo-deny
DENY = $(or $(shell command -v cargo-deny),$(OWN_DENY))

heading = @printf '\n== %s\n' '$(1)'

.PHONY: help run test demo bench bench-check bench-drivers bench-delivery bench-lists \
	bench-backup bench-data bench-import bench-retention bench-rollups bench-start bench-traces bench-upgrade bench-sizing faults soak year story record-story contract contract-long contract-mutants \
	contract-outages test-long clients browser openapi \
	release-document fmt lint deny deny-advisories check-format check-lint check-deny check-openapi \
	check-rust check-requests check-reasons long-requests long-faults siege test-timing test-operations check-operations exports export-memory sftp proxies acme dist test-packages dist-tools build venv linter \
	kafka-tools mutants deny-tool client-tools browser-tools driver-agreement driver-locales

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build the hub and serve it on https://127.0.0.1:8443, with its data in ./data
	@scripts/need rust
	cargo build --release --locked
	exec $(TARGET)/release/thingshub serve

test: ## everything that must hold before a change lands
	@scripts/need rust python postgres mosquitto faketime node curl jq
	@$(MAKE) check-format
	@$(MAKE) check-lint
	@$(MAKE) check-deny
	@$(MAKE) check-openapi
	@rm -rf $(TARGET)/tmp/reasons
	@$(MAKE) --jobs=2 --output-sync=line check-rust check-requests
	@$(MAKE) check-reasons
	@$(MAKE) siege
	@$(MAKE) export-memory
	$(call heading,all passed)

# Beside the tests in Rust, which mostly wait. What measures memory has the machine for itself.
check-requests:
	@$(MAKE) story
	@$(MAKE) contract
	@$(MAKE) clients
	@$(MAKE) check-operations

test-long: ## what is too heavy for make test: long contract tests, planted faults, outages, pages in a browser; hours
	@$(MAKE) --jobs=2 --output-sync=line long-requests long-faults
	$(call heading,all passed)

long-requests:
	@$(MAKE) contract-long
	@$(MAKE) contract-mutants

# Beside the requests, because faults mostly wait.
long-faults:
	@$(MAKE) browser
	@$(MAKE) faults
	@$(MAKE) contract-outages

demo: build ## the whole story against a fresh data directory, step by step
	@scripts/demo

bench: ## uplinks and reads a second on this machine, beside their ceilings
	@scripts/need rust python postgres wrk
	cargo build --release --locked --bin thingshub --example baseline --example receiver
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres python3 scripts/bench

bench-drivers: ## what drivers cost, beside Node's vm, and what one that loops costs the others
	@scripts/need rust python node
	cargo build --release --locked --bin thingshub --example decodes
	HUB=$(abspath $(TARGET)/release/thingshub) python3 scripts/bench-drivers

bench-delivery: ## uplink to receiver: rates, times, dead receivers; beside Node-RED
	@scripts/need rust python postgres wrk node
	cargo build --release --locked --bin thingshub --example receiver
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres python3 scripts/bench-delivery

bench-lists: ## a page of devices among a thousand and among a million
	@scripts/need rust python postgres
	cargo build --release --locked --bin thingshub
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres --no-fsync python3 scripts/bench-lists

bench-check: ## most benchmarks for a moment, and that each notices uplinks which are answered and not stored
	@scripts/need rust python postgres wrk node
	cargo build --locked --bin thingshub --example baseline --example receiver --example decodes
	scripts/with-postgres --no-fsync python3 scripts/bench-check

bench-backup: ## backup, restore, check and copy of 100,000 uplinks, and the hub's rate meanwhile
	@scripts/need rust python postgres
	cargo build --release --locked --bin thingshub
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres --no-fsync python3 scripts/bench-backup

bench-import: ## rows a second of an import of 100,000 devices
	@scripts/need rust python postgres
	cargo build --release --locked --bin thingshub
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres python3 scripts/bench-import

bench-retention: ## rows a second that become too old, uplinks a second meanwhile, sizes; ROWS=100000
	@scripts/need rust python postgres
	cargo build --release --locked --bin thingshub
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres python3 scripts/bench-retention $(ROWS)

bench-data: ## questions to a data table with and without rollups, beside DuckDB and InfluxDB; ROWS=200000, PARTS="sqlite duckdb influxdb postgresql"
	@scripts/need rust python postgres influxdb
	cargo build --release --locked --bin thingshub
	@$(call python-tools,contract-tests/exports)
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres contract-tests/exports/.venv/bin/python \
		scripts/bench-data $(or $(ROWS),200000) $(PARTS)

bench-rollups: ## uplinks a second while a backlog of rows is rolled up, beside a hub without rollups; ROWS=2000000 PAIRS=5
	@scripts/need rust python postgres
	cargo build --release --locked --bin thingshub
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres python3 scripts/bench-rollups \
		$(or $(ROWS),2000000) $(or $(PAIRS),5)

bench-start: ## milliseconds from start to ready
	@scripts/need rust python postgres
	cargo build --release --locked --bin thingshub
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres python3 scripts/bench-start

bench-traces: ## uplinks a second with and without the export of all traces; PAIRS=5
	@scripts/need rust python
	cargo build --release --locked --bin thingshub
	HUB=$(abspath $(TARGET)/release/thingshub) python3 scripts/bench-traces $(PAIRS)

bench-upgrade: ## seconds in which the uplinks and events of PostgreSQL get partitions; ROWS=1000000 of each
	@scripts/need rust postgres
	THINGSHUB_TEST_PARTITION_ROWS=$(or $(ROWS),1000000) scripts/with-postgres cargo test --locked --test hub -- \
		process::partitions::a_filled_database --nocapture

bench-sizing: ## CPU, memory and disk at 10, 100 and 1,000 uplinks a second; DEVICES="1000 100000"
	@scripts/need rust python postgres
	cargo build --release --locked --bin thingshub --example receiver
	HUB=$(abspath $(TARGET)/release/thingshub) scripts/with-postgres python3 scripts/bench-sizing \
		20 $(DEVICES)

# What one run sends follows from its seed, so a failure can be repeated. PostgreSQL gets fewer
# examples here: the API before it is the same.
CONTRACT = scripts/need postgres; scripts/with-postgres --no-fsync $(VENV)/bin/python contract-tests/run

story: build venv linter ## sends the requests of openapi/story to a hub, also by their code samples; compares the answers
	$(call heading,examples and code samples)
	@scripts/need curl openssl
	@contract-tests/.venv/bin/python contract-tests/story
	@contract-tests/.venv/bin/python contract-tests/story --samples

record-story: build venv ## writes openapi/examples.json anew, and the document with it
	@scripts/need openssl
	@contract-tests/.venv/bin/python contract-tests/story --record
	@$(MAKE) openapi

contract: build venv ## the running server against its own OpenAPI document, on SQLite and PostgreSQL
	$(call heading,contract tests)
	@$(CONTRACT)

contract-long: build venv ## the same with 60,000 cases and more, which need all rules of refusals.py
	$(call heading,contract tests with 60000 cases and more)
	@export CONTRACT_EXAMPLES=160 CONTRACT_EXAMPLES_POSTGRESQL=100 CONTRACT_CASES_MIN=60000 \
		CONTRACT_RULES_MATCH=1; \
		$(CONTRACT)

contract-outages: build venv ## the same while the database is away or full for moments
	$(call heading,contract tests with outages of the database)
	@scripts/need postgres; scripts/with-postgres --no-fsync $(VENV)/bin/python contract-tests/outages

contract-mutants: build venv ## shows that the contract tests notice planted faults
	$(call heading,contract tests against planted faults)
	@scripts/need postgres; scripts/with-postgres --no-fsync $(VENV)/bin/python contract-tests/mutants

clients: build client-tools ## clients of ten generators in six languages, checked, and run against a hub
	$(call heading,generated clients)
	@$(CLIENTS)/run

browser: build browser-tools ## the pages of the API, and pages of other origins, in Chromium; SCREENSHOTS=1 renews docs/images/
	$(call heading,pages in a browser)
	@$(BROWSER)/run $(if $(SCREENSHOTS),--screenshots docs/images)

openapi: build ## writes the document that the code makes to openapi/
	@mkdir -p openapi
	@$(HUB) openapi >openapi/openapi.json
	@$(HUB) openapi --yaml >openapi/openapi.yaml
	@$(HUB) openapi --openapi-version 3.1 >openapi/openapi-3.1.json
	@$(HUB) openapi --openapi-version 3.1 --yaml >openapi/openapi-3.1.yaml
	@echo "wrote openapi/openapi.json and .yaml, openapi/openapi-3.1.json and .yaml"

release-document: ## part of a release: later documents must not break clients of this one
	@cp openapi/openapi.json openapi/released.json
	@echo "openapi/released.json is openapi/openapi.json now"

driver-agreement: ## asks Node again what the drivers in tests/drivers give
	@scripts/need node
	TZ=UTC node --no-deprecation tests/drivers/with-node.js

driver-locales: ## asks Node again what dates and numbers look like in each locale, for some minutes
	@scripts/need node
	TZ=UTC node tests/drivers/locales-with-node.js

fmt: ## formats the code
	@scripts/need rust
	cargo fmt --all

lint: check-lint ## the compiler's and clippy's warnings, as errors

deny: deny-tool ## the rules of deny.toml: licences, duplicates, banned crates and sources of dependencies
	@$(DENY) --log-level error check -D unmatched-skip -D unnecessary-skip bans licenses sources

deny-advisories: deny-tool ## published vulnerabilities and yanked crates; needs the internet
	@$(DENY) check advisories

check-format:
	$(call heading,format)
	@cargo fmt --all --check

check-lint:
	$(call heading,lint)
	@scripts/need rust
	@cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

# Compiling cargo-deny takes minutes, so `make test` uses it only where it is installed already.
check-deny:
	$(call heading,rules for dependencies)
	@if test -x $(OWN_DENY) || command -v cargo-deny >/dev/null; then \
		$(MAKE) deny; \
	else \
		echo "skipped: cargo-deny is not installed (make deny installs and runs it)"; \
	fi

check-openapi: build venv linter
	$(call heading,OpenAPI document)
	@scripts/check-openapi $(HUB)

# Without fsync: these databases are thrown away, and the durability that tests rely on is the
# order of commits, not their survival of a power cut. Two tests for each core, because most of them wait.
check-rust:
	$(call heading,unit and integration tests on SQLite and PostgreSQL)
	@scripts/need rust postgres mosquitto faketime curl jq
	@$(MAKE) kafka-tools
	@if cargo nextest --version >/dev/null 2>&1; then \
		scripts/with-postgres --no-fsync cargo nextest run --workspace --locked --test-threads $$((2 * $$(nproc))) \
			-E 'not test(/^faults::siege/)'; \
	else \
		scripts/with-postgres --no-fsync cargo test --workspace --locked; \
	fi

siege: build ## tenants that take what they can, beside one that works; the hub's memory meanwhile
	$(call heading,siege)
	@scripts/with-postgres --no-fsync cargo test --locked --quiet --test hub -- faults::siege

test-timing: ## the tests that depend most on time, RUNS=100 times
	@scripts/need rust postgres mosquitto faketime curl jq
	@$(MAKE) kafka-tools
	scripts/with-postgres --no-fsync cargo nextest run --workspace --locked --stress-count $(or $(RUNS),100) \
		--test-threads $$((2 * $$(nproc))) --show-progress none --status-level fail \
		-E "$$(sed -n 's/^[a-z].*/test(=&)/p' tests/timing.txt | paste -s -d '|')"

# After the tests and the contract tests, which keep the reasons that they receive.
check-reasons:
	$(call heading,reasons of errors)
	@scripts/check-reasons $(TARGET)/tmp/reasons

test-operations: ## metrics, exports, SFTP, proxies and certificates with the programs of others
	@$(MAKE) check-operations
	@$(MAKE) export-memory

check-operations: build
	$(call heading,metrics and alert rules)
	@scripts/need python
	@promtool=$$(scripts/need-promtool $(TARGET)/tools/prometheus) && scripts/check-metrics "$$promtool"
	@packaging/template >/dev/null
	@$(MAKE) exports
	@$(MAKE) sftp
	@$(MAKE) proxies
	@$(MAKE) acme

exports: build ## exports of many rows, read by DuckDB, pandas and PyArrow, and sent to S3
	$(call heading,exports of data tables)
	@$(call python-tools,contract-tests/exports)
	@contract-tests/exports/.venv/bin/python contract-tests/exports/run
	@contract-tests/exports/.venv/bin/python contract-tests/exports/s3

export-memory: build ## memory of exports of many rows
	$(call heading,memory of exports)
	@$(call python-tools,contract-tests/exports)
	@contract-tests/exports/.venv/bin/python contract-tests/exports/memory

sftp: build ## scheduled exports to OpenSSH, with a kill in the middle and a full disk
	$(call heading,scheduled exports to OpenSSH)
	@scripts/need python sshd
	@scripts/check-sftp

proxies: build ## the configurations of docs/operate/proxy.md, with nginx, HAProxy and Caddy in front of a hub
	$(call heading,hub behind proxies)
	@scripts/need python curl openssl nginx haproxy caddy
	@scripts/check-proxies

acme: build ## a certificate from an ACME server and its renewal, by certbot and the deploy hook of the page
	$(call heading,certificates by ACME)
	@scripts/need python openssl acme
	@scripts/check-acme

# BINARY=FILE packs a program that is built already.
dist: BINARY = $(TARGET)/release/thingshub
dist: dist-tools ## what a release consists of, in target/dist: Debian package, archive, image, bill of materials
	@$(if $(filter $(TARGET)/release/thingshub,$(BINARY)),cargo build --release --locked --bin thingshub)
	@packaging/dist $(BINARY) $(TARGET)/dist

test-packages: BINARY = $(TARGET)/release/thingshub
test-packages: dist-tools ## installs, upgrades and removes the packages, runs the image; needs root, and some minutes
	@scripts/need python mmdebstrap seccomp lintian
	@$(call python-tools,packaging)
	@$(if $(filter $(TARGET)/release/thingshub,$(BINARY)),cargo build --release --locked --bin thingshub)
	@packaging/test $(BINARY) $(TARGET)/packages
	@packaging/check $(BINARY) $(TARGET)/packages/dist

dist-tools:
	@scripts/need rust help2man umoci dpkg-dev

# As tests, but for longer: what they print at their end is the outcome.
faults: ## KILLS=200 and FILLINGS=200 of hubs, all at once for STRESS=600 s, a siege of SIEGE=600 s
	@scripts/need rust postgres faketime
	THINGSHUB_TEST_KILLS=$(or $(KILLS),200) THINGSHUB_TEST_FILLINGS=$(or $(FILLINGS),200) \
		THINGSHUB_TEST_STRESS_SECONDS=$(or $(STRESS),600) \
		THINGSHUB_TEST_SIEGE_SECONDS=$(or $(SIEGE),600) scripts/with-postgres --no-fsync \
		cargo test --locked --test hub -- faults::kills faults::fillings faults::stress faults::siege \
		--nocapture --test-threads 1

year: build ## a year within minutes, on SQLite and PostgreSQL; DAYS=365; fails when files or memory go on growing
	@scripts/need python postgres faketime
	scripts/year $(DAYS)

soak: build ## mixed load for SOAK_SECONDS=60; fails when memory goes on growing
	@scripts/need python postgres
	scripts/with-postgres --no-fsync scripts/soak

# The tests' broker that speaks the protocol of Kafka. Nobody ships it as a package, so that it is
# compiled, once, for some minutes.
kafka-tools:
	@scripts/need rust
	@test -x $(TARGET)/tools/tansu/bin/tansu || { \
		echo "compiling the broker of the tests for Kafka"; \
		CARGO_TARGET_DIR=$(TARGET)/tools/build CARGO_PROFILE_DEV_DEBUG=0 cargo install tansu@0.6.0 --quiet --locked \
			--debug --no-default-features --features libsql --root $(TARGET)/tools/tansu; \
		rm -rf $(TARGET)/tools/build; \
	}

mutants: kafka-tools ## changes critical modules in one place at a time and runs their tests; WORDS="breaker lane"; goes on where it was
	@scripts/need rust python postgres mosquitto faketime
	@test -x $(TARGET)/tools/mutants/bin/cargo-mutants || { \
		echo "compiling cargo-mutants"; \
		CARGO_TARGET_DIR=$(TARGET)/tools/build cargo install cargo-mutants@27.1.0 --quiet --locked \
			--debug --root $(TARGET)/tools/mutants; \
		rm -rf $(TARGET)/tools/build; \
	}
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --quiet --locked
	@$(call python-tools,tests/mutants)
	@scripts/with-postgres --no-fsync tests/mutants/.venv/bin/python tests/mutants/run $(WORDS)

deny-tool:
	@scripts/need rust
	@command -v $(DENY) >/dev/null || { \
		echo "compiling cargo-deny"; \
		CARGO_TARGET_DIR=$(TARGET)/tools/build cargo install cargo-deny@0.20.2 --quiet --locked \
			--debug --root $(TARGET)/tools/deny; \
		rm -rf $(TARGET)/tools/build; \
	}

build:
	@scripts/need rust
	@cargo build --locked --quiet

# The copy of the requirements is the mark of a finished installation.
venv:
	@$(call python-tools,contract-tests)

linter:
	@scripts/need node
	@$(call node-tools,contract-tests)

client-tools:
	@scripts/need python node java go php
	@$(call python-tools,$(CLIENTS))
	@$(call node-tools,$(CLIENTS))

browser-tools:
	@scripts/need python node chromium
	@$(call node-tools,$(BROWSER))

define python-tools
cmp -s $(1)/requirements.txt $(1)/.venv/requirements.txt || { \
	scripts/need python; \
	echo "installing the tools of $(1)/requirements.txt"; \
	rm -rf $(1)/.venv; \
	python3 -m venv $(1)/.venv; \
	$(1)/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
		--root-user-action=ignore -r $(1)/requirements.txt; \
	cp $(1)/requirements.txt $(1)/.venv/requirements.txt; \
}
endef

# No package's own script runs; the copy of the lock file is the mark of a finished installation.
define node-tools
cmp -s $(1)/package-lock.json $(1)/node_modules/package-lock.json || { \
	echo "installing the tools of $(1)/package-lock.json"; \
	npm ci --prefix $(1) --silent --ignore-scripts --no-audit --no-fund; \
	cp $(1)/package-lock.json $(1)/node_modules/package-lock.json; \
}
endef
