# randstream: `make help` lists what there is. ARGS= goes to the command behind a target.

PYTHON ?= python3
UV     ?= uv
ARGS   ?=

VENV := .venv
BIN  := $(VENV)/bin

# Of the branches in src/, how many percent a full `make test` must take.
MIN_COVERAGE := 95
# Test processes; 0 is none beside pytest itself. More pay only once the suite waits longer than it computes.
PROCESSES ?= 0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: bench bench-quick bench-many help setup demo test lint format docs lock tidy clean-venv

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## ---- the environment ----------------------------------------------------------------------------------------------

setup: $(VENV)/.stamp-dev ## make .venv from the locked, hashed requirements (the other targets do it themselves)

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11. Name a newer one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments. On Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Any lock can be added to the same environment: .venv/.stamp-bench, .venv/.stamp-browser.
$(VENV)/.stamp-%: requirements/%.txt | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The package itself, editable; its build back end is in the lock, so nothing unlocked is fetched.
$(VENV)/.stamp-dev: requirements/dev.txt pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

LOCK = $(UV) pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)

lock: ## make requirements/*.txt anew from pyproject.toml (needs uv; ARGS=--upgrade for newer versions)
	@command -v $(UV) >/dev/null || { echo "There is no uv. Install it: pip install uv (or name it: make UV=/path/to/uv lock)"; exit 1; }
	$(LOCK) pyproject.toml -o requirements/dev.txt --group dev
	$(LOCK) pyproject.toml -o requirements/runtime.txt -c requirements/dev.txt
	$(LOCK) pyproject.toml -o requirements/bench.txt -c requirements/dev.txt --group bench
	$(LOCK) pyproject.toml -o requirements/browser.txt -c requirements/dev.txt --group browser
	$(LOCK) -o requirements/image.txt -c requirements/dev.txt --group pyproject.toml:image
	$(LOCK) -o requirements/deploy.txt -c requirements/dev.txt --group pyproject.toml:deploy
	$(LOCK) -o requirements/checkov.txt --group pyproject.toml:checkov

## ---- the loop -----------------------------------------------------------------------------------------------------

demo: setup ## watch three streams lose a worker and a connection, and heal (ARGS="--seconds 15")
	@$(BIN)/python -m randstream demo $(ARGS)

# Without ARGS: all unit tests and the coverage gate. With ARGS ("-k takeover --pdb"): what they pick, without the gate.
test: setup ## run the unit tests (ARGS="-k takeover" runs some of them, without the coverage gate)
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n $(PROCESSES) --cov
	@$(BIN)/coverage json --quiet -o - | $(BIN)/python -c 'import json, sys; \
	percent = json.load(sys.stdin)["totals"]["percent_branches_covered"]; \
	print(f"branches covered: {percent:.1f} % (at least $(MIN_COVERAGE))"); sys.exit(percent < $(MIN_COVERAGE))'
else
	$(BIN)/python -m pytest $(ARGS)
endif

lint: setup ## ruff, mypy --strict on src, the import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports --no-logo

format: setup ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## write docs/settings.md anew from the settings
	$(BIN)/python docs/settings_table.py

## ---- measuring ----------------------------------------------------------------------------------------------------

BENCH = $(BIN)/python -m benchmarks.bench

bench: setup $(VENV)/.stamp-bench ## measure against nc, socat, NATS, ZeroMQ, Redis and iperf3 (ten minutes at most)
	$(BENCH) --json benchmarks/results.json --plot docs/images/bench.png $(ARGS)

bench-quick: setup $(VENV)/.stamp-bench ## the same in a minute, nothing written
	$(BENCH) --seconds 1 --rounds 1 $(ARGS)

bench-many: setup $(VENV)/.stamp-bench ## ten thousand streams from one producer: cost, lateness, what a kill does
	$(BIN)/python -m benchmarks.many_workers --json benchmarks/many_workers.json --plot docs/images/many_workers.png $(ARGS)

## ---- housekeeping -------------------------------------------------------------------------------------------------

tidy: ## remove caches, coverage data and build results
	rm -rf build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

clean-venv: ## remove .venv; the next target makes it anew
	rm -rf $(VENV)
