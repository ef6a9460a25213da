# Everything a person or CI does with this project. `make` alone prints the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VIRT ?= fake
PORT ?= 8080
FUZZ ?= 2000
# Before SEED has a value of its own: without one, a rehearsal gives the same answer each time.
REHEARSE_SEED := $(or $(SEED),1)
NIGHTS ?= 200
# Before SEEDS has the value of the simulated campaign: a story on the lab takes minutes.
LAB_SEEDS := $(or $(SEEDS),20)
SEEDS ?= 1000
# One seed, where a person gave one; else so many.
CAMPAIGN := $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(CAMPAIGN_OPTIONS)
CAMPAIGN_LAB := $(if $(SEED),--seed $(SEED),--seeds $(LAB_SEEDS)) $(CAMPAIGN_OPTIONS)
SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
BIN := .venv/bin
LAB := include/lab/lab
# Bytecode is kept, also where the environment says not to, as container images do: to compile the
# tests with their assertions takes each worker longer than to collect them.
# Half as many workers again as there are cores: some tests wait for what they started. Those of
# `make check` hardly wait, and each worker imports Airflow and collects all of them.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q -n $(shell echo $$(($$(nproc) * 3 / 2)))
NO_LAB = $(wildcard tests/unit tests/contract tests/dags tests/lab tests/fuzz tests/simulator tests/test_*.py)
SHELL_SCRIPTS = $(shell git ls-files | xargs -r grep -lE '^\#!.*\b(bash|sh)$$' --)

.PHONY: help
help: ## Print this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: setup
setup: ## Make .venv from the locks (nothing to do when it is current)
	@include/airflow/make-venv

.PHONY: check
check: setup ## Everything that needs no lab: format, lint, types, layers, tests. Under a minute
	@$(MAKE) -j2 --output-sync=target lint-python lint-shell layers types known-faults
	@$(PYTEST) -n $(shell nproc) -m "not thorough" --dist worksteal $(NO_LAB)

.PHONY: lint-python lint-shell layers types known-faults
lint-python:
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
lint-shell:
	@$(BIN)/shellcheck $(SHELL_SCRIPTS)
layers:
	@PYTHONPATH=plugins $(BIN)/lint-imports --cache-dir .import_linter_cache
types:
	@$(BIN)/mypy
known-faults:
	@include/airflow/audit

.PHONY: fuzz
fuzz: setup ## Hostile inputs for everything that is read (FUZZ=100000 inputs a target, SEED=N again)
	@echo "fuzz: FUZZ=$(FUZZ) SEED=$(SEED)"
	@FUZZ=$(FUZZ) $(PYTEST) --hypothesis-seed=$(SEED) tests/fuzz

.PHONY: campaign
campaign: setup ## Drawn stories of trouble on the simulated cloud, judged (SEEDS=1000; SEED=n one again)
	@PYTHONPATH=plugins:include/simulator $(BIN)/python -m simulator.campaign $(CAMPAIGN)

.PHONY: campaign-proof
campaign-proof: setup ## Take one guard after the other out of the code: a campaign must see each (PROOF="--only reboot")
	@PYTHONPATH=plugins:include/simulator $(BIN)/python -m simulator.proof $(PROOF)

.PHONY: campaign-lab
campaign-lab: setup ## The same on the lab with a real Airflow, minutes a story (SEEDS=20; SEED=n one again)
	@PYTHONPATH=plugins:include/simulator:include/airflow:include/demo $(BIN)/python -m lab_campaign $(CAMPAIGN_LAB)

.PHONY: test
test: check ## Everything: the checks, 500 drawn stories, then the maintenance on the lab, brought up if it is not
	@$(PYTEST) -m thorough --dist worksteal $(NO_LAB)
	@PYTHONPATH=plugins:include/simulator $(BIN)/python -m simulator.campaign --seeds 500
	@tests/e2e/run

.PHONY: plan
plan: setup ## Say what tonight would be done to your compute hosts (SAVE=FILE keeps the fleet); change nothing
	@AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR PYTHONPATH=plugins:include/plan $(BIN)/python -m night_plan \
	    $(if $(SAVE),--save "$(SAVE)")

.PHONY: rehearse
rehearse: setup ## Play tonight 200 times and say how it goes (SNAPSHOT=FILE, SEED=N, NIGHTS=N); change nothing
	@AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR PYTHONPATH=plugins:include/plan $(BIN)/python -m night_plan.rehearse \
	    $(if $(SNAPSHOT),--snapshot "$(SNAPSHOT)") --seed "$(REHEARSE_SEED)" --nights "$(NIGHTS)"

.PHONY: lab-up
lab-up: setup ## Bring up the lab, a small real OpenStack (VIRT=fake or libvirt)
	@$(LAB) up --virt $(VIRT)

.PHONY: lab-down
lab-down: ## Take the lab down, with everything it made
	@$(LAB) down

.PHONY: lab-status
lab-status: ## Say what the lab is doing
	@$(LAB) status

.PHONY: demo
demo: setup ## A whole maintenance of c01 on the lab, with progress and record (PORT=8080 for the UI)
	@include/demo/demo --port $(PORT)

.PHONY: demo-down
demo-down: ## Remove everything the demo made: Airflow, lab, state
	@include/demo/demo-down

.PHONY: bench
bench: setup ## Drain 20 instances by DAG, loop and host-evacuate-live (BENCH="--help" for parts of it)
	@include/bench/bench $(BENCH)

.PHONY: bench-checks
bench-checks: setup ## What a look at a controller costs beyond its SSH connection, on the lab
	@PYTHONPATH=plugins:include/airflow:include/bench:include/demo $(BIN)/python -m checks_bench $(BENCH)

.PHONY: bench-planner
bench-planner: setup ## Nights of synthetic fleets (up to 10,000 hosts), by the plan and without
	@PYTHONPATH=plugins:include/bench $(BIN)/python -m planner_bench $(BENCH)

.PHONY: bench-rehearsal
bench-rehearsal: setup ## Rehearse a night of the lab's hosts, play it, and say how near the rehearsal was
	@PYTHONPATH=include/airflow:include/bench:include/demo $(BIN)/python -m rehearsal_bench $(BENCH)

.PHONY: bench-simulator
bench-simulator: setup ## One night of 1,000 simulated hosts (BENCH="--hosts N --until 02:00" for less)
	@PYTHONPATH=plugins:include/simulator $(BIN)/python -m simulator.big_night $(BENCH)

.PHONY: footprint
footprint: setup ## CPU and memory of the Airflow that runs (FOOTPRINT="--compose PROJECT" for containers)
	@PYTHONPATH=include/airflow:include/bench $(BIN)/python -m footprint $(FOOTPRINT)

.PHONY: requirements
requirements: setup ## Compile the sources of the requirements into the pinned locks
	@include/airflow/compile-locks

.PHONY: upgrade
upgrade: setup ## Compile the locks anew with the newest versions, say what changed, install it
	@include/airflow/compile-locks --upgrade
	@$(MAKE) licenses

.PHONY: licenses
licenses: setup ## Write docs/licenses.md: the licence of every package the project runs with
	@$(BIN)/python include/airflow/write_licenses.py

.PHONY: audit
audit: setup ## Ask the vulnerability database about every pinned package
	@include/airflow/audit
