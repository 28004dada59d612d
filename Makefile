# The same steps without make stand in README.md. Works with GNU make 3.81 and a POSIX sh.
#
#   make quickstart              install, then watch the whole path in three to four minutes
#   make test                    install what the tests need, then run them all
#   make install TORCH=cuda      variables: see scripts/install.sh

# Not from the environment: `make clean` deletes it.
VENV = .venv
WORKERS ?= 3
PYTHON ?=
TORCH ?= auto
TORCH_INDEX ?=
export VENV PYTHON TORCH TORCH_INDEX

PARITY_STEPS ?= 100000
BIN = $(VENV)/bin
RUN_STAMP = $(VENV)/.installed-run
DEV_STAMP = $(VENV)/.installed-dev
INSTALL_INPUTS = pyproject.toml constraints.txt scripts/install.sh

.PHONY: help install quickstart test parity lint types clean
.NOTPARALLEL:

help:
	@echo 'make quickstart   install, then generate a credit function, train and compare: no key, no GPU'
	@echo 'make test         the whole test suite (WORKERS=3 processes; some of them wait now and then)'
	@echo 'make parity       compiled worlds in lockstep with the official ones (PARITY_STEPS=100000 per configuration)'
	@echo 'make install      only install, into $(VENV); a second run does nothing'
	@echo 'make lint         ruff check, ruff format --check, shellcheck where it is installed'
	@echo 'make types        mypy --strict over sources and tests'
	@echo 'make clean        remove $(VENV) and build leftovers; runs/ stays'
	@echo
	@echo 'Variables: TORCH=auto|cpu|cuda  TORCH_INDEX=URL  PYTHON=/path/to/python3'

install: $(RUN_STAMP)

$(RUN_STAMP): $(INSTALL_INPUTS)
	@sh scripts/install.sh run

$(DEV_STAMP): $(INSTALL_INPUTS)
	@sh scripts/install.sh dev

quickstart: $(RUN_STAMP)
	@$(BIN)/qredit quickstart

# One process per file of tests, so that what is dear to set up (a jail, a wheel) is set up once.
test: $(DEV_STAMP)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

parity: $(DEV_STAMP)
	@PARITY_STEPS=$(PARITY_STEPS) $(BIN)/python -m pytest -n $(WORKERS) -rP tests/marl/kernels -k "lockstep or threads"

lint: $(DEV_STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@if command -v shellcheck >/dev/null 2>&1; then shellcheck scripts/*.sh .ci/run; \
	else echo 'shellcheck is not installed: shell scripts not checked'; fi

types: $(DEV_STAMP)
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
