# Few-Shot Lab: every target sets up what it needs, may be called first, and is quick the second time.
# `make run` and `make test` are all that most people need; `make help` lists the rest.

# The newest Python that starts: a version manager may put names on the path that do not.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
SYSTEM := $(VENV)/.system
ORACLES := $(VENV)/.oracles
PROXY := $(VENV)/proxy/node_modules/.bin/configurable-http-proxy
PROGRAMS := apertium-eng-spa bubblewrap chromium
# The versions that passed all tests together; `make test CONSTRAINTS=` takes the newest that pyproject.toml allows instead.
CONSTRAINTS ?= .constraints.txt
# A folder written by `fewshot-lab assets bundle FOLDER --wheels`: then nothing here needs a network (docs/offline.md).
BUNDLE ?=
# Which list of wheels fits this Python, as fewshot_lab/assets/wheels.py names it.
MACHINE := import sys, sysconfig; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-{sysconfig.get_platform()}")
LIST = '$(BUNDLE)/wheels/'"$$($(PYTHON) -c '$(MACHINE)').txt"
OFFLINE = PIP_CONFIG_FILE=/dev/null $(BIN)/python -m pip --isolated install --no-index
INSTALL = $(BIN)/python -m pip install --editable '.[test]'
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ifneq ($(BUNDLE),)
export FEWSHOT_LAB_BUNDLE := $(BUNDLE)
endif

.PHONY: help setup assets system hub run check test lab bench notebooks texts constraints oldest clean

help:
	@echo "make run        set up, fetch the data, execute the chapters into runs/, print a table"
	@echo "make check      set up, then format, lint and the quick tests: a minute, without downloads or a browser"
	@echo "make test       set up and run the whole test suite: 25 minutes on two cores"
	@echo "make lab        set up and open JupyterLab on the course"
	@echo "make system     install $(PROGRAMS) where apt-get and root's rights are there (optional)"
	@echo "make hub        install what a class on JupyterHub needs, with npm (optional; docs/hub.md)"
	@echo "make bench      measure speed against other libraries, and how cost grows, into runs/bench.json"
	@echo "make notebooks  build and execute notebooks/*.ipynb from notebooks/source/*.py"
	@echo "make texts      bring the translations' .po files up to date; make texts NEW=de begins one"
	@echo "make constraints  try the newest libraries and, when all tests pass, note their versions in $(CONSTRAINTS)"
	@echo "make oldest     run the whole test suite with the oldest libraries that the bounds allow"
	@echo "make run BUNDLE=/media/stick   everything from a bundle, without a network (docs/offline.md); so do the others"
	@echo "make clean      remove the environment and the runs (downloaded data stay)"

setup: $(READY)

$(READY): pyproject.toml $(wildcard $(CONSTRAINTS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Few-Shot Lab needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
ifneq ($(BUNDLE),)
	@test -e $(LIST) || { echo "There is no" $(LIST)"; the bundle has wheels for: $$(cd '$(BUNDLE)/wheels' && echo *.txt)"; \
	  echo "Write it with the same Python and system (fewshot-lab assets bundle FOLDER --wheels), or give PYTHON=..."; exit 1; }
endif
	@echo "Setting up $(VENV) (a few minutes the first time, 6 GB) ..."
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
ifeq ($(BUNDLE),)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(INSTALL) $(addprefix --constraint ,$(wildcard $(CONSTRAINTS))) || { test -n '$(CONSTRAINTS)' && \
	  echo "Not all versions in $(CONSTRAINTS) can be had for this Python and system: taking the newest that fit ..." && $(INSTALL); }
else
	@$(OFFLINE) --find-links '$(BUNDLE)/wheels' --require-hashes -r $(LIST)
	@$(OFFLINE) --no-deps --no-build-isolation --editable .
endif
	@touch $(READY)

assets: $(READY)
	@$(BIN)/fewshot-lab assets fetch --needed

# Chapters that need no asset run without a network too; the others say what is missing.
run: $(READY)
	@$(BIN)/fewshot-lab assets fetch --needed || true
	@$(BIN)/fewshot-lab run $(ARGS)

# Programs that only Debian's packages have. Without them a test of theirs is skipped and says so; the course runs.
system: $(SYSTEM)

$(SYSTEM): $(READY) Makefile
	@if command -v apertium >/dev/null && command -v bwrap >/dev/null && command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing $(PROGRAMS) ..."; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PROGRAMS); } \
	    >$(VENV)/system.log 2>&1 || echo "That failed ($(VENV)/system.log); tests that need them are skipped."; \
	else echo "Not here, and tests that need them are skipped: $(PROGRAMS) (on Debian and Ubuntu: apt-get install)"; fi
	@touch $(SYSTEM)

# JupyterHub itself is one of the libraries; its proxy is a program of Node.
hub: $(PROXY)

$(PROXY): $(READY)
	@{ command -v npm && npm install --prefix $(VENV)/proxy --no-fund --no-audit --fetch-retries=0 'configurable-http-proxy@^5' && touch $@; } \
	  >$(VENV)/proxy.log 2>&1 || echo "npm could not install JupyterHub's proxy ($(VENV)/proxy.log): the test of a class on a hub is skipped."

check: $(READY)
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not (slow or browser or gpu or assets)" $(ARGS)

# torchattacks asks for versions of other libraries that nobody else wants: it is installed without them.
$(ORACLES): $(READY)
	@$(BIN)/python -m pip install --quiet --no-deps 'torchattacks>=3.5.1' || \
	  echo "torchattacks could not be installed: tests that compare with it are skipped."
	@touch $(ORACLES)

test: assets system $(ORACLES) $(PROXY)
	@$(BIN)/fewshot-lab assets fetch noto-sans-sc || echo "Figures in Chinese are not tested."
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lab: $(READY)
	@$(BIN)/fewshot-lab assets fetch --needed || true
	@$(BIN)/fewshot-lab lab $(ARGS)

$(PEERS): $(READY) $(ORACLES)
	@$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@$(BIN)/python -m pip install --quiet --no-deps 'nlpaug>=1.1.11'
	@touch $(PEERS)

bench: assets $(PEERS)
	@$(BIN)/python bench/run.py $(ARGS)

notebooks: assets
	@$(BIN)/fewshot-lab build $(ARGS)

texts: $(READY)
	@$(BIN)/python tests/support/po_template.py $(NEW)

# Run it with the oldest Python of the course: what it finds then fits the newer ones too. Left out: what torch itself asks
# for on Linux alone, in exact versions, and files that only this machine has.
constraints: assets system $(PROXY)
	@$(INSTALL) --upgrade --upgrade-strategy eager
	@$(BIN)/python -m pytest -n 2 --dist loadgroup
	@{ $(BIN)/python -c 'import platform as p; print(f"# All tests passed with these on Python {p.python_version()}, {p.system()}: make constraints")'; \
	  $(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(nvidia|cuda|triton)| @ '; } >.constraints.new
	@mv .constraints.new .constraints.txt && touch $(READY)

# A lower bound is a promise: the oldest versions that pyproject.toml allows, in an environment of their own.
oldest: assets system $(PROXY)
	@$(BIN)/python -m pip install --quiet uv
	@rm -rf $(VENV)/oldest && $(BIN)/uv venv --quiet --python 3.11 $(VENV)/oldest
	@$(BIN)/uv pip install --python $(VENV)/oldest --resolution lowest-direct --editable '.[test]'
	@ln -s ../proxy $(VENV)/oldest/proxy
	@$(VENV)/oldest/bin/python -m pytest -n 2 --dist loadgroup $(ARGS)

clean:
	rm -rf $(VENV) runs
