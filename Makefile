# Every target sets itself up: Python 3.11 or newer and make are all it takes.
# make test ARGS="tests/engine -k claim"    make demo PYTHON=python3.12    make lock UPGRADE=1

PYTHON ?=
ARGS ?=
UPGRADE ?=
TIMES ?= 1

# The whole suite runs in as many processes as tests/conftest.py says; a few tests are over before those have started.
WHOLE_SUITE = --numprocesses auto --dist worksteal

# Hundreds of processes load these modules during the tests: the first one compiles them for all.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test crash test-browser check bench docs lock audit clean
.NOTPARALLEL:

# The first Python that the locks cover. Looked for here and in /, since a .python-version file can hide one from its own folder.
SUPPORTED = import sys; v = sys.version_info[:2]; print(sys.executable); sys.exit(not (3, 11) <= v <= (3, 14))
FIND_PYTHON = found=; for folder in . /; do \
	for name in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
	[ "$$found" ] || found=$$(cd $$folder && $$name -I -c '$(SUPPORTED)' 2>/dev/null) || found=; done; done; \
	[ "$$found" ] || { echo "$(or $(PYTHON),python3) does not start or is not Python 3.11 to 3.14: install one, or name it, as in make demo PYTHON=python3.12" >&2; exit 1; }
SET_UP = $(FIND_PYTHON); "$$found" -I requirements/set_up.py

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## one task with three real files, done by a real model, live in the terminal
	@$(SET_UP) demo
	@.venv/bin/worker demo $(ARGS)

test: ## every test, against a real PostgreSQL (ARGS="tests/engine -k claim" for some)
	@$(SET_UP) dev
	@.venv/bin/python -m pytest $(or $(ARGS),$(WHOLE_SUITE))

crash: ## the long stories of crashes (TIMES=10 rounds, ARGS="-k deploy" for one story, CRASH_SEED=7 to have its randomness again)
	@$(SET_UP) dev
	@.venv/bin/python -m tests.crash.rounds --times $(TIMES) tests/crash $(ARGS)

test-browser: ## the pages in a real Chromium, which Debian's root gets installed; screenshots in build/screenshots
	@$(SET_UP) dev
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium; } \
		|| echo "no Chromium here, and no way to install it: the tests are skipped" >&2
	@.venv/bin/python -m pytest tests/browser $(ARGS)

# pyright: its wheel holds all of it and the lock names the version, so it need not speak of newer ones
check: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
check: ## lint, formatting, floors and types
	@$(SET_UP) dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/python -m pyright

bench: ## the figures of this machine, side by side
	@$(SET_UP) dev
	@.venv/bin/python -m benchmarks $(ARGS)

docs: export NO_MKDOCS_2_WARNING = 1
docs: ## the documentation as a site, in site/
	@$(SET_UP) dev
	.venv/bin/mkdocs build --quiet
	@echo "site/index.html"

lock: ## resolve requirements/*.txt anew after a change in pyproject.toml (UPGRADE=1: newest versions)
	@$(SET_UP) lock $(if $(UPGRADE),--upgrade)

audit: ## the locked requirements against known vulnerabilities, by what the package registry knows
	@$(FIND_PYTHON); "$$found" -I requirements/audit.py

clean: ## remove .venv and caches; the tasks in .worker stay
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
