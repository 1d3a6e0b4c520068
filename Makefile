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

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## run one task with three real files on a real model, live in the terminal
	@$(SET_UP) demo
	@.venv/bin/worker demo $(ARGS)

test: ## run all tests against a real PostgreSQL (ARGS="tests/engine -k claim" selects some)
	@$(SET_UP) dev
	@.venv/bin/python -m pytest $(or $(ARGS),$(WHOLE_SUITE))

crash: ## run the long crash tests (TIMES=10 rounds, ARGS="-k deploy" selects one, CRASH_SEED=7 repeats a random seed)
	@$(SET_UP) dev
	@.venv/bin/python -m tests.crash.rounds --times $(TIMES) tests/crash $(ARGS)

test-browser: ## test the pages in a real Chromium, installed if you are root on Debian; screenshots in build/screenshots
	@$(SET_UP) dev
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium; } \
		|| echo "no Chromium here, and no way to install it: the tests are skipped" >&2
	@.venv/bin/python -m pytest tests/browser $(ARGS)

# pyright: its wheel holds all of it and the lock names the version, so it need not speak of newer ones
check: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
check: ## check lint, formatting, layers and types
	@$(SET_UP) dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/python -m pyright

bench: ## measure the speed of this machine
	@$(SET_UP) dev
	@.venv/bin/python -m benchmarks $(ARGS)

docs: export NO_MKDOCS_2_WARNING = 1
docs: ## build the documentation in site/
	@$(SET_UP) dev
	.venv/bin/mkdocs build --quiet
	@echo "site/index.html"

lock: ## regenerate requirements/*.txt after a change in pyproject.toml (UPGRADE=1: newest versions)
	@$(SET_UP) lock $(if $(UPGRADE),--upgrade)

audit: ## check the locked requirements for vulnerabilities known to the package registry
	@$(FIND_PYTHON); "$$found" -I requirements/audit.py

clean: ## remove .venv and caches; the tasks in .worker stay
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
