# `make demo` and `make test` need Python >= 3.11 and make; the rest goes into .venv.
.SUFFIXES:
.PHONY: demo tour test test-all test-hard test-peers test-browser test-slurm lint format help

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock.txt

# Data sets that the suite reads where they are there; it skips what needs them where they are not.
ifndef SEQMODELS_DATA_DIR
ifneq ($(wildcard ../shared/.),)
export SEQMODELS_DATA_DIR := $(abspath ../shared)
endif
endif

# The suite keeps tokenised data and compiled programs beside the code.
SUITE = test test-all test-hard test-peers test-browser test-slurm
$(SUITE): export SEQMODELS_CACHE_DIR ?= $(CURDIR)/.cache/data
$(SUITE): export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/xla
$(SUITE): export JAX_PLATFORMS ?= cpu
# Compiled Python is kept, whatever the shell says: half of the time to collect the tests.
$(SUITE): export PYTHONDONTWRITEBYTECODE =
# The peers are compared with what a user runs; the others are compiled quickly (tests/conftest.py).
test-peers: export XLA_FLAGS ?=
PYTEST = $(BIN)/python -m pytest -q

help:
	@echo "make demo        n-gram, LSTM and GPT on the built-in corpus, in a few minutes"
	@echo "make tour        the history of sequence models in ten stops, under 40 minutes: docs/tour.md"
	@echo "make test        the test suite, in a few minutes"
	@echo "make test-all    the same, with more variants, shapes and seeds of each law"
	@echo "make test-hard   kills, damaged files, mutants"
	@echo "make test-peers  comparisons with other libraries"
	@echo "make test-browser  pages in Chromium, where it is installed"
	@echo "make test-slurm  jobs of a Slurm cluster of one node, where slurm-wlm and munge are installed"
	@echo "make lint        style and types;  make format  mends the style"

demo: $(VENV)/.runtime
	@$(BIN)/python -m experiments.demo

tour: $(VENV)/.dev
	@$(BIN)/python -m experiments.tour $(ARGS)

test: $(VENV)/.dev
	@$(PYTEST) -n 2 --dist loadgroup $(ARGS)

test-all: $(VENV)/.dev
	@$(PYTEST) -n 2 --dist loadgroup -m "not hard and not peers and not browser and not slurm" $(ARGS)

test-hard: $(VENV)/.dev
	@$(PYTEST) -n 2 --dist loadgroup -m hard $(ARGS)

test-peers: $(VENV)/.peers
	@$(PYTEST) -m peers $(ARGS)

test-browser: $(VENV)/.dev
	@$(PYTEST) -m browser $(ARGS)

test-slurm: $(VENV)/.dev
	@$(PYTEST) -m slurm $(ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python >= 3.11 is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)" >&2
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python requirements.txt requirements.lock.txt
	@echo "installing what is needed to run, into $(VENV)" >&2
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	@echo "installing what is needed to test, into $(VENV)" >&2
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/.peers: $(VENV)/.dev requirements-peers.txt
	@echo "installing the peers, into $(VENV)" >&2
	@$(PIP) --retries 1 --timeout 15 -r requirements-peers.txt  # its extra index may be out of reach
	@touch $@
