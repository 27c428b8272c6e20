# Tidemark's commands. `make run` serves; `make test` runs what must pass, with real components; `make judge` asks Postgres.
#
# Build products live outside the checkout, so that every checkout of one machine shares the compiled dependencies.
export TIDEMARK_CACHE ?= $(HOME)/.cache/tidemark
export CARGO_TARGET_DIR ?= $(TIDEMARK_CACHE)/target

BINARY = $(CARGO_TARGET_DIR)/release/tidemark

# Files of tests/tests/ that must pass. Each starts the components it needs.
SYSTEM_TESTS += tidy
SYSTEM_TESTS += components
SYSTEM_TESTS += demo
SYSTEM_TESTS += guide
SYSTEM_TESTS += sources
SYSTEM_TESTS += sql
SYSTEM_TESTS += random_sql
SYSTEM_TESTS += bank
SYSTEM_TESTS += shop
SYSTEM_TESTS += journey
SYSTEM_TESTS += kills
SYSTEM_TESTS += durability
SYSTEM_TESTS += drivers
SYSTEM_TESTS += psql
SYSTEM_TESTS += wire

# The bank for a minute on each number of partitions, with its figures: BANK_SECONDS, BANK_TRANSFERS_PER_SECOND and BANK_READS_PER_SECOND change it.
BANK_SECONDS ?= 60
BANK_KILLS ?= 20

# What `make bench` measures, each beside something else: docs/benchmarks.md.
BENCHES ?= hydrate update freshness point memory

.PHONY: help build demo run docs bank bench test test-fast judge components clean-cache

help:
	@echo 'make demo              build in release, start a server with a small shop whose changes arrive through Kafka, show its totals'
	@echo 'make demo KAFKA=h:p    the same through a real broker'
	@echo 'make run               build in release and start a server in ./tidemark-data'
	@echo 'make docs              write the generated pages of docs/ again'
	@echo 'make test              every test, with a real Kafka, Postgres, MariaDB and Debezium (fetched into $(TIDEMARK_CACHE))'
	@echo 'make test-fast         the tests that need no other component'
	@echo 'make bank              readers, subscriptions and transfers for a minute: no read is anything but a moment of the bank; prints rates and freshness'
	@echo 'make bench             ratios: the engine beside a program written by hand, the server beside Postgres and Kafka (BENCHES="hydrate point" for some)'
	@echo 'make judge             the SQL corpus asked of Postgres and Tidemark'

build:
	cargo build --release -p server

demo: build
	$(if $(KAFKA),KAFKA=$(KAFKA)) $(BINARY) demo

run: build
	$(BINARY)

components:
	scripts/fetch-components

docs:
	UPDATE_EXPECTED=1 cargo test -p plan --lib functions_are_documented

# The crates' own tests first: they are quick, and what they find explains what the system tests would.
test: components build
	cargo test --workspace --exclude tests --exclude bench
	cargo test -p tests --lib
	cargo test -p tests $(SYSTEM_TESTS:%=--test %) -- --test-threads=1

test-fast:
	cargo test --workspace --exclude tests --exclude bench

bank: components build
	BANK_SECONDS=$(BANK_SECONDS) BANK_KILLS=$(BANK_KILLS) cargo test -p tests --test bank -- --nocapture --test-threads=1

bench: components build
	cargo build --release -p bench
	set -e; for bench in $(BENCHES); do $(CARGO_TARGET_DIR)/release/bench $$bench; done

judge: components build
	cargo test -p tests --test sql -- --nocapture

clean-cache:
	rm -rf '$(TIDEMARK_CACHE)'
