# Two commands: `make demo` and `make test`. Both need Python 3.11+, make and git alone:
# they create the environment in .venv, build the map page and install.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PAGE := $(shell find engine/web -type f -not -path '*/node_modules/*' -not -path '*/dist/*')

.PHONY: demo test lint types page-types contracts bench bench-check clean

demo: $(READY)  ## the whole engine on embedded parts, with a simulated day: ARGS="--port 9000"
	@exec $(BIN)/livefloor demo $(ARGS)

test: $(READY)  ## every test; those whose program is absent say so and skip
	$(BIN)/pytest $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

page-types: $(READY)  ## TypeScript's, by the Node that builds the page
	cd engine/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund
	cd engine/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check

contracts: $(READY)
	$(BIN)/lint-imports

bench: $(READY)  ## measure; writes benchmarks/results.json
	$(BIN)/python -m benchmarks $(ARGS)

bench-check: $(READY)  ## every benchmark once, without measuring, so that none rots
	$(BIN)/pytest benchmarks --benchmark-disable -q
	$(BIN)/python -m benchmarks --check

$(READY): pyproject.toml $(PAGE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "livefloor needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,test]'
	@touch $@

clean:  ## forget the environment and the built page
	rm -rf $(VENV) engine/web/dist engine/web/node_modules
