# Needs Python 3.11 or newer and make, nothing else. Everything is installed into .venv from pinned, hashed files.

.PHONY: demo test bench lint format docs constraints clean
.DEFAULT_GOAL := test
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)

# What some tests of pylon.js need of npm; without node they are skipped.
NODE_TESTS := tests/browser/js
NODE_DEV := $(if $(shell command -v npm 2>/dev/null),$(NODE_TESTS)/node_modules/.installed)

PYTEST_ARGS ?= -n 2
DEMO_PORT ?= 4321

demo: $(RUNTIME) ## the chat example with people and messages in it; Ctrl-C stops it
	@PYLON_ADMIN_TOKEN=$$($(BIN)/python -c 'import secrets; print(secrets.token_hex(16))'); \
	export PYLON_ADMIN_TOKEN; \
	( tries=0; \
	  until $(BIN)/python examples/chat/seed.py http://127.0.0.1:$(DEMO_PORT) "$$PYLON_ADMIN_TOKEN" >/dev/null 2>&1; do \
	    tries=$$((tries + 1)); test $$tries -lt 60 || exit 1; sleep 0.5; done; \
	  echo "  Open http://localhost:$(DEMO_PORT)/?as=ada in one browser and /?as=ben in another." ) & \
	exec $(BIN)/pylon dev examples/chat --port $(DEMO_PORT)

demo-%: $(RUNTIME) ## another example: make demo-todo, demo-editor, demo-board
	exec $(BIN)/pylon dev examples/$* --port $(DEMO_PORT)

test: lint $(NODE_DEV) ## everything that CI runs
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(DEV) ## style, types and the house's walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(DEV) ## measures what is on a hot path
	$(BIN)/python -m benchmarks

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV) ## writes the generated pages of docs/reference again
	$(BIN)/python -m pylon.cli.reference docs/reference

constraints: $(DEV) ## resolves and pins the dependencies again
	$(BIN)/pip-compile $(COMPILE) -o constraints.txt pyproject.toml
	$(BIN)/pip-compile $(COMPILE) --all-extras -c constraints.txt -o constraints-dev.txt pyproject.toml
	@! grep -n '://' constraints.txt constraints-dev.txt

COMPILE := --quiet --upgrade --generate-hashes --build-deps-for=editable --strip-extras --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

$(NODE_TESTS)/node_modules/.installed: $(NODE_TESTS)/package-lock.json
	npm ci --prefix $(NODE_TESTS) --silent && touch $@ || echo "npm could not install; the tests that need it are skipped"

clean:
	rm -rf $(VENV) $(NODE_TESTS)/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
		echo "Pylon needs Python 3.11 or newer, and none is on the PATH. Install one, or: make PYTHON=/path/to/python"; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) can't make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)

# Extras come from the file with the hashes, never from the package's own metadata: --no-deps.
$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): pyproject.toml constraints-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(RUNTIME)
