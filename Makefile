# Two commands do everything on a fresh machine: make table, make test.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.DEFAULT_GOAL := help
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help setup table test fuzz soak docs check format clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## create .venv with every pinned package (torch first: its CPU build)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[embedded,dev,docs]'
	touch $@

table: $(STAMP) ## the main job: train, re-rank and time, print the performance table (offline)
	$(BIN)/recross run experiment=performance_table

test: $(STAMP) ## the tests that take seconds each, no network: about ten minutes on two cores
	$(BIN)/pytest -n 2 --dist loadfile -m "not ci"

fuzz: $(STAMP) ## ten minutes of random and mutated files for every reader of files, counted
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} $(BIN)/pytest -s -p no:randomly --hypothesis-profile=fuzz tests/test_fuzzed_readers.py

soak: $(STAMP) ## a small study killed 60 times, run by ten at once, on disks that fill: minutes
	$(BIN)/python -m tests.soak --kills 60 --seconds 1200

docs: $(STAMP) ## the documentation as a site, in outputs/docs/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

check: $(STAMP) ## everything: lint, types, architecture, every test with coverage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term

format: $(STAMP) ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and caches, never outputs
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
