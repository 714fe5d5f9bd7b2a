# Remit's commands. `make help` lists them; CONTRIBUTING.md says which to run when.
#
# Everything is installed into .venv from requirements/*.txt, where each package is pinned and hashed. A stamp file
# per lock makes a second run cheap. Nothing outside this directory is changed.

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

BIN := .venv/bin
PIP_INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
PEERS := .peers

# Real tool servers, clients and agent frameworks for `make real`, each in an environment of its own. The tests find
# what is installed by these names.
ifneq ($(wildcard $(PEERS)/npm/.done),)
export REMIT_NPM_DIR ?= $(CURDIR)/$(PEERS)/npm
endif
ifneq ($(wildcard $(PEERS)/mcp130/.done),)
export REMIT_MCP130 ?= $(CURDIR)/$(PEERS)/mcp130/bin/python
endif
ifneq ($(wildcard $(PEERS)/fuzz/.done),)
export REMIT_FUZZ_PYTHON ?= $(CURDIR)/$(PEERS)/fuzz/bin/python
endif
ifneq ($(wildcard $(PEERS)/inspector/.done),)
export REMIT_INSPECTOR ?= $(CURDIR)/$(PEERS)/inspector
endif
ifneq ($(wildcard $(PEERS)/frameworks/.done),)
export REMIT_FRAMEWORKS ?= $(CURDIR)/$(PEERS)/frameworks/bin/python
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check bench docs lock clean crash fuzz soak real conformance peers lint types imports house coverage

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.dev  ## install everything that tests and checks need

demo: .venv/.demo  ## the whole story in one run: real tool servers, real denials, a verified ledger
	@$(BIN)/remit demo

up: .venv/.demo  ## start the gateway of this directory's remit.yaml
	@$(BIN)/remit up

test: .venv/.dev  ## every test, the long suites in their short form
	@$(BIN)/pytest

check: lint types imports house coverage  ## lint, format, types, imports, house budget, coverage of the pure packages

lint: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tools/docs.py --check

types: .venv/.dev
	@$(BIN)/mypy src tools

imports: .venv/.dev
	@$(BIN)/lint-imports --no-logo

house: .venv/.dev
	@$(BIN)/python tools/house.py

coverage: .venv/.dev
	@$(BIN)/coverage run -m pytest -q -m "not slow and not crash and not fuzz and not real"
	@$(BIN)/coverage report

bench: .venv/.dev  ## measure the cost of a governed call; writes bench/RESULTS.md and flame.svg
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.flame

docs: .venv/.dev  ## regenerate what docs/ takes from the code
	@$(BIN)/python tools/docs.py

crash: .venv/.dev  ## long: kill the gateway at 500 points and compare what was sent with the ledger
	@REMIT_LONG=1 $(BIN)/pytest -m crash

fuzz: .venv/.dev $(PEERS)/fuzz/.done  ## long: coverage-guided fuzzing of the parsers (REMIT_FUZZ_MINUTES, 60)
	@REMIT_LONG=1 $(BIN)/pytest -m "fuzz and not slow"
	@PYTHONPATH=src:. $(PEERS)/fuzz/bin/python -m tests.fuzz.guided --minutes $${REMIT_FUZZ_MINUTES:-60}

soak: .venv/.dev  ## long: a gateway under load and trouble of every kind (REMIT_SOAK_MINUTES, 30)
	@REMIT_SOAK_MINUTES=$${REMIT_SOAK_MINUTES:-30} $(BIN)/pytest -m soak -s

real: .venv/.dev peers  ## long: tool servers and clients other people publish (needs Node)
	@$(MAKE) --no-print-directory .real

.PHONY: .real
.real:
	@$(BIN)/pytest -m real

conformance: .venv/.dev peers  ## the official MCP suite, against a tool server and through the gateway (needs Node)
	@$(BIN)/python -m tools.conformance

peers: $(foreach peer,npm mcp130 inspector frameworks fuzz conformance mcp-sdk,$(PEERS)/$(peer)/.done)  ## install what `make real` talks to

lock: .venv/.uv  ## pin anew what pyproject.toml asks for (UPGRADE=1: to the newest)
	@$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

clean:  ## remove everything that was installed or generated
	@rm -rf .venv $(PEERS) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .coverage dist src/*.egg-info

# -- what the targets above install --

.venv/.uv: requirements/uv.txt
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Remit needs Python 3.11 or newer: install it, or name one with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.demo: .venv/.uv requirements/demo.txt pyproject.toml
	@$(PIP_INSTALL) --require-hashes -r requirements/demo.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.demo requirements/dev.txt
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

$(PEERS)/npm/.done $(PEERS)/inspector/.done $(PEERS)/conformance/.done: $(PEERS)/%/.done: requirements/%/package-lock.json
	@command -v npm >/dev/null || { echo "the real tool servers, the Inspector and the conformance suite need Node and npm" >&2; exit 1; }
	@mkdir -p $(@D)
	@cp $(<D)/package.json $< $(@D)
	@npm ci --loglevel=error --no-fund --no-audit --ignore-scripts --prefix $(@D) >/dev/null
	@touch $@

$(PEERS)/mcp130/.done: requirements/legacy.txt
$(PEERS)/frameworks/.done: requirements/frameworks.txt
$(PEERS)/fuzz/.done: requirements/demo.txt requirements/fuzz.txt
$(PEERS)/mcp130/.done $(PEERS)/frameworks/.done $(PEERS)/fuzz/.done: .venv/.uv
	@test -x $(@D)/bin/python || $(BIN)/python -m venv --without-pip $(@D)
	@$(BIN)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes $(filter %.txt,$^)
	@touch $@

# The tests of the MCP SDK that Remit is tested with: its source distribution, by the hash of the lock, unpacked and not built.
$(PEERS)/mcp-sdk/.done: .venv/.dev requirements/sdist.txt
	@rm -rf $(PEERS)/mcp-sdk && mkdir -p $(PEERS)/mcp-sdk/build
	@$(PIP_INSTALL) --target $(PEERS)/mcp-sdk/build --require-hashes -r requirements/sdist.txt
	@sed -n '/^mcp==/,/[^\\]$$/p' requirements/demo.txt > $(PEERS)/mcp-sdk/requirement.txt
	@PYTHONPATH=$(CURDIR)/$(PEERS)/mcp-sdk/build $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
	  --no-binary :all: --no-build-isolation --require-hashes -r $(PEERS)/mcp-sdk/requirement.txt -d $(PEERS)/mcp-sdk
	@tar -xzf $(PEERS)/mcp-sdk/mcp-*.tar.gz -C $(PEERS)/mcp-sdk --strip-components 1
	@touch $@
