# randstream: `make help` lists what there is. ARGS= goes to the command behind a target.

PYTHON ?= python3
UV     ?= uv
ARGS   ?=

VENV := .venv
BIN  := $(VENV)/bin

# The branch coverage of src/, in percent, that a full `make test` must reach.
MIN_COVERAGE := 95
# Test processes; 0 means only pytest itself. More help only if the suite waits longer than it computes.
PROCESSES ?= 2

# Where pods get the image from (minikube, kind; none: they pull it), and which of deploy/overlays to deploy.
CLUSTER      ?= minikube
OVERLAY      ?= minikube
IMAGE        ?= randstream
# The Dockerfile's base, by digest; but one of its name that was made on this machine, and so has no digest, comes first:
# where no registry can be reached there is no other.
BASE_NAME    := python:3.13-slim-trixie
BASE         := python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285
MADE_HERE     = $(shell docker image inspect --format '{{if not .RepoDigests}}yes{{end}}' $(BASE_NAME) 2>/dev/null)
PYTHON_IMAGE ?= $(eval PYTHON_IMAGE := $(if $(MADE_HERE),$(BASE_NAME),$(BASE)))$(PYTHON_IMAGE)
# More options for `docker build`, such as --network host or --build-arg PIP_INDEX_URL=...
BUILD_ARGS   ?=
# A hash of the image's inputs, committed or not: a changed image has another tag, so no cluster runs the old one. The
# license is not one: nothing depends on its text. Computed once, when first needed: an edit while `make all` runs does
# not change what is loaded and deployed.
TAG = $(eval TAG := $(shell { echo $(PYTHON_IMAGE); find Dockerfile hatch_build.py pyproject.toml \
	requirements/image.txt requirements/runtime.txt src -type f ! -name '*.pyc' | LC_ALL=C sort | xargs sha256sum; } | sha256sum | cut -c 1-12))$(TAG)
# IMAGE may be one that is in a registry already, by its digest: IMAGE=registry.example.org/team/randstream@sha256:...
TAGGED        = $(if $(findstring @,$(IMAGE)),$(IMAGE),$(IMAGE):$(TAG))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: simulate statistics browser-test incidents screenshots metrics-check fuzz audit
.PHONY: wheels describe-image release release-check check-image
.PHONY: bench bench-guard bench-quick bench-group bench-many help setup demo test chaos lint format docs lock tidy clean-venv
.PHONY: all build build-client build-server load-images deploy next-steps logs status verify scale scale-producers
.PHONY: certificates silence check clean e2e lint-deploy
# `all` runs in order, even under make -j; a target's command runs in parallel by itself where that helps.
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## ---- the environment ----------------------------------------------------------------------------------------------

setup: $(VENV)/.stamp-dev ## make .venv from the locked, hashed requirements (the other targets do this themselves)

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11. Name a newer one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments. On Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Any lock can be added to the same environment: .venv/.stamp-bench, .venv/.stamp-browser.
$(VENV)/.stamp-%: requirements/%.txt | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# The package itself, editable; its build back end is in the lock, so nothing unlocked is fetched.
$(VENV)/.stamp-dev: requirements/dev.txt pyproject.toml hatch_build.py $(wildcard src/randstream/speedups/*.[ch]) | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

LOCK = $(UV) pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)

lock: ## regenerate requirements/*.txt from pyproject.toml (needs uv; ARGS=--upgrade for newer versions)
	@command -v $(UV) >/dev/null || { echo "There is no uv. Install it: pip install uv (or name it: make UV=/path/to/uv lock)"; exit 1; }
	$(LOCK) pyproject.toml -o requirements/dev.txt --group dev
	$(LOCK) pyproject.toml -o requirements/runtime.txt -c requirements/dev.txt
	$(LOCK) pyproject.toml -o requirements/bench.txt -c requirements/dev.txt --group bench
	$(LOCK) pyproject.toml -o requirements/browser.txt -c requirements/dev.txt --group browser
	$(LOCK) -o requirements/image.txt -c requirements/dev.txt --group pyproject.toml:image
	$(LOCK) -o requirements/deploy.txt -c requirements/dev.txt --group pyproject.toml:deploy
	$(LOCK) pyproject.toml -o requirements/fuzz.txt -c requirements/dev.txt --group fuzz
	$(LOCK) -o requirements/release.txt -c requirements/dev.txt --group pyproject.toml:release
	$(LOCK) -o requirements/audit.txt --group pyproject.toml:audit
	$(LOCK) -o requirements/checkov.txt --group pyproject.toml:checkov

## ---- the loop -----------------------------------------------------------------------------------------------------

demo: setup ## watch three streams lose a worker and a connection, and resume (ARGS="--seconds 15")
	@$(BIN)/python -m randstream demo $(ARGS)

# Without ARGS: all unit tests and the coverage gate. With ARGS ("-k takeover --pdb"): the tests they select, without the gate.
test: setup ## run the unit tests (ARGS="-k takeover" runs some of them, without the coverage gate)
ifeq ($(strip $(ARGS)),)
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(PROCESSES)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
	@$(BIN)/coverage json --quiet -o - | $(BIN)/python -c 'import json, sys; \
	percent = json.load(sys.stdin)["totals"]["percent_branches_covered"]; \
	print(f"branches covered: {percent:.1f} % (at least $(MIN_COVERAGE))"); sys.exit(percent < $(MIN_COVERAGE))'
else
	$(BIN)/python -m pytest $(ARGS)
endif

# How long the storm lasts, and the seed of its plan (if empty, a new one is drawn and printed).
SECONDS ?= 60
SEED    ?=

chaos: setup ## kill, cut and freeze real processes, then compare every store with the seed (SECONDS=60 SEED=...)
	CHAOS_SECONDS=$(SECONDS) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest tests/chaos -m "chaos or not chaos" $(ARGS)

simulate: setup ## whole clusters on virtual time under seeded faults (SECONDS=60 SEED=... ARGS="--replay 17 --trace")
	@$(BIN)/python -m tests.simulation $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: setup $(VENV)/.stamp-fuzz ## look for input that breaks what reads it: peers, stores, settings, DNS answers, admin requests (SECONDS=60)
	$(BIN)/python -m tests.fuzz $(SECONDS)

# How long the statistics may take.
MINUTES ?= 4

statistics: setup ## test how random the numbers are, with scipy, ent and dieharder (MINUTES=4; needs Debian's ent, dieharder)
	@$(BIN)/python -m tests.randomness $(MINUTES) $(ARGS)

# Its cases mostly wait, some for half a minute.
conform: setup ## play the wire's rules against every implementation here: ours and the examples (needs Debian's nodejs)
	$(BIN)/python -m pytest -n 4 --dist worksteal tests/conform -m conform $(ARGS)

browser-test: setup $(VENV)/.stamp-browser ## test the live page in a real Chromium (needs Debian's chromium)
	$(BIN)/python -m pytest -n $(PROCESSES) tests/browser -m browser --timeout 60 $(ARGS)

incidents: setup $(VENV)/.stamp-browser ## cause seven incidents, and keep a picture of the live page of each in build/incidents
	mkdir -p build/incidents
	PICTURES=build/incidents $(BIN)/python -m pytest tests/browser/test_incidents.py -m browser $(ARGS)

screenshots: setup $(VENV)/.stamp-browser ## make new screenshots in docs/images (needs Debian's chromium)
	$(BIN)/python -m tests.browser.screenshots

metrics-check: setup ## check metrics, alert rules and dashboard against promtool and a real Prometheus (needs Debian's prometheus)
	$(BIN)/python -m pytest tests/admin/test_metrics.py tests/project/test_monitoring.py tests/project/test_dashboard.py tests/admin/test_prometheus.py -m "e2e or not e2e" $(ARGS)

lint: setup lint-deploy ## ruff, mypy (--strict on src), the import layers, the workflows, and lint-deploy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/mypy tests benchmarks examples docs/settings_table.py docs/vectors/make.py .ci/release
	$(BIN)/lint-imports --no-logo
	$(BIN)/zizmor --offline --persona auditor --no-progress --quiet .github/workflows
	@command -v actionlint >/dev/null || echo "SKIPPED: the workflows are checked by zizmor only, without actionlint"
	@! command -v actionlint >/dev/null || actionlint

# checkov pins packages that others want newer.
$(VENV)/checkov/.stamp: requirements/checkov.txt | $(BIN)/pip
	$(PYTHON) -m venv $(VENV)/checkov
	$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

lint-deploy: $(VENV)/.stamp-deploy $(VENV)/checkov/.stamp ## hadolint, and the overlays against Kubernetes' schemas and checkov (needs kubectl)
	$(BIN)/hadolint Dockerfile
	@command -v kubectl >/dev/null || echo "SKIPPED: the manifests are not checked without kubectl"
	@! command -v kubectl >/dev/null || { set -ex; mkdir -p build/lint; \
	for overlay in deploy/overlays/*; do kubectl kustomize $$overlay >build/lint/$${overlay##*/}.yaml; done; \
	$(BIN)/python deploy/validate.py build/lint/*.yaml; \
	$(VENV)/checkov/bin/checkov --config-file deploy/checkov.yaml --directory build/lint; }

$(VENV)/audit/.stamp: requirements/audit.txt | $(BIN)/pip
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

audit: $(VENV)/audit/.stamp ## look up our dependencies in the advisory database (reports if it cannot be reached)
	@$(VENV)/audit/bin/python requirements/audit.py requirements/runtime.txt requirements/image.txt

format: setup ## let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## regenerate docs/settings.md from the settings
	$(BIN)/python docs/settings_table.py

## ---- releasing ----------------------------------------------------------------------------------------------------

RELEASE = PYTHONPATH=.ci $(BIN)/python -m release

release: setup ## all that a release needs: check the tree, lint, test, build into dist/, check that
	@$(RELEASE) tree
	@$(MAKE) --no-print-directory lint test
	rm -rf dist
	@$(MAKE) --no-print-directory wheels release-check

wheels: setup $(VENV)/.stamp-release ## build the last commit into dist/: sdist and a wheel for each platform, with SBOM and provenance
	@$(RELEASE) wheels

release-check: setup $(VENV)/.stamp-release ## is dist/ what it says, whole, and what the last commit gives when built again?
	@$(RELEASE) check
	@$(RELEASE) rebuild

describe-image: setup ## write SBOM and provenance of the image that `make build` made into dist/
	$(need-docker)
	@$(RELEASE) image --image $(TAGGED) --base $(PYTHON_IMAGE)

check-image: setup ## is that image what its SBOM and provenance say?
	$(need-docker)
	@$(RELEASE) check-image --image $(TAGGED)

## ---- measuring ----------------------------------------------------------------------------------------------------

BENCH = $(BIN)/python -m benchmarks.bench

bench: setup $(VENV)/.stamp-bench ## measure against nc, socat, NATS, ZeroMQ, Redis and iperf3 (ten minutes at most)
	$(BENCH) --json benchmarks/results.json --plot docs/images/bench.png $(ARGS)

bench-quick: setup $(VENV)/.stamp-bench ## the same in a minute, without writing files
	$(BENCH) --seconds 1 --rounds 1 $(ARGS)

bench-guard: setup $(VENV)/.stamp-bench ## check that no hot function is twice as slow as it was, against plain Python in the same run
	$(BIN)/python -m pytest -q -s benchmarks/test_hot_paths.py

bench-group: setup $(VENV)/.stamp-bench ## measure three producers and 3,000 workers: shares, a kill, what standing by costs
	$(BIN)/python -m benchmarks.group $(ARGS)

bench-many: setup $(VENV)/.stamp-bench ## measure ten thousand streams from one producer: cost, lateness, effect of a kill
	$(BIN)/python -m benchmarks.many_workers --json benchmarks/many_workers.json --plot docs/images/many_workers.png $(ARGS)

## ---- on Kubernetes -------------------------------------------------------------------------------------------------

# need TOOL,ADVICE: one line instead of the shell's error message.
need = @command -v $(1) >/dev/null || { echo "There is no $(1). $(2)" >&2; exit 1; }
need-docker = $(call need,docker,Install Docker. On Debian: apt-get install docker.io) ; \
	docker version >/dev/null 2>&1 || { echo "Docker does not answer. Start it (systemctl start docker), or join the group docker." >&2; exit 1; }
need-kubectl = $(call need,kubectl,Install it: https://kubernetes.io/docs/tasks/tools)
rollout = $(need-kubectl) ; $(PYTHON) deploy/rollout.py

all: build load-images deploy next-steps ## build the image, load it into Minikube, deploy, wait until numbers flow

# Docker's hundred lines interest nobody unless it fails.
BUILD_LOG := build/image.log

build: ## build the image that both roles run
	$(need-docker)
	@mkdir -p $(dir $(BUILD_LOG)); echo "build the image $(TAGGED) (the first time it takes some minutes)"
	@docker build --target runtime --tag $(TAGGED) --build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) \
		--label org.opencontainers.image.version=$(TAG) $(BUILD_ARGS) . >$(BUILD_LOG) 2>&1 || \
	{ tail -n 12 $(BUILD_LOG) >&2; echo "The image cannot be built. All that Docker said: $(BUILD_LOG)" >&2; exit 1; }

build-client: build ## the same image: a client is a worker
build-server: build ## the same image: the server is the producer

load-images: ## load the image into the cluster (CLUSTER=kind, CLUSTER=none)
	$(need-docker)
	@docker image inspect $(TAGGED) >/dev/null 2>&1 || { echo "There is no image $(TAGGED) yet: make build" >&2; exit 1; }
ifeq ($(CLUSTER),minikube)
	$(call need,minikube,Install it: https://minikube.sigs.k8s.io/docs/start - or say CLUSTER=kind or CLUSTER=none)
	@echo "load it into Minikube"; minikube image load $(TAGGED) >/dev/null
else ifeq ($(CLUSTER),kind)
	$(call need,kind,Install it: https://kind.sigs.k8s.io - or say CLUSTER=minikube or CLUSTER=none)
	@echo "load it into kind"; kind load docker-image $(TAGGED) >/dev/null
else ifeq ($(CLUSTER),none)
	@echo "CLUSTER=none: nothing is loaded. If the cluster pulls its images: docker push $(TAGGED)"
else
	@echo "CLUSTER=$(CLUSTER) is none of minikube, kind and none." >&2; exit 1
endif

deploy: export CLUSTER := $(CLUSTER)
deploy: ## apply the overlay, with a random seed if there is none; wait until numbers flow (OVERLAY=production)
ifeq ($(CLUSTER),minikube)
	@! command -v minikube >/dev/null || minikube image ls 2>/dev/null | grep -q -F '$(TAGGED)' || \
	{ echo "Minikube has no image $(TAGGED): make build load-images (or say CLUSTER=none)" >&2; exit 1; }
endif
	$(rollout) deploy $(OVERLAY) $(TAGGED)

next-steps:
	@echo
	@echo "Look:   make status    make logs"
	@echo "        kubectl -n randstream port-forward producer-0 9001    then open http://127.0.0.1:9001"
ifneq ($(OVERLAY),daemonset)
	@echo "Prove:  make verify    (every stored number, against the same made again from the seed)"
	@echo "Change: make scale N=5    make scale-producers N=3    kubectl -n randstream delete pod worker-0"
endif
	@echo "Read:   docs/kubernetes.md, docs/operations.md"
	@echo "End:    make clean"

logs: ## follow the logs of all pods, also those that come (ARGS="--json", "--once", "--tail 100"; Ctrl-C ends)
	$(need-kubectl)
	@$(PYTHON) deploy/logs.py $(ARGS)

status: ## show pods, volumes and streams, and name what is not right
	$(need-kubectl)
	@$(PYTHON) deploy/status.py

verify: ## prove every store in its pod, number by number, with the seed from the Secret (ARGS=--json)
	$(need-kubectl)
	@$(PYTHON) deploy/proof.py $(ARGS)

certificates: setup ## make or renew certificates for mutual TLS, to try it (then OVERLAY=minikube-mtls)
	$(need-kubectl)
	@$(BIN)/python deploy/certificates.py

scale: ## have N workers (make scale N=5)
	$(rollout) scale worker "$(N)"

scale-producers: ## have N producers, which share the workers (make scale-producers N=3)
	$(rollout) scale producer "$(N)"

# How often each of that is done.
TIMES ?= 3

silence: ## delete, kill and restart producers, and measure how long each worker hears nothing (TIMES=3)
	$(need-kubectl)
	@$(PYTHON) deploy/silence.py $(TIMES) $(ARGS)

# A shell command that runs here while connections are checked: without one, the check lasts for SECONDS. And the node from
# which they are made, if not any.
COMMAND ?=
NODE    ?=
check: override export COMMAND := $(value COMMAND)
check: export NODE := $(NODE)
check: export CLUSTER := $(CLUSTER)
check: build load-images ## do connections to every node survive? (COMMAND="kubectl ..." or SECONDS=60; ARGS="--max-interruption 5")
	$(need-kubectl)
	@$(PYTHON) deploy/check.py $(TAGGED) $(SECONDS) $(ARGS)

clean: ## remove everything that was deployed (numbers and seed too) and every image that was built
	@status=0; $(PYTHON) deploy/rollout.py clean || status=1; rm -rf build/deploy; \
	if docker version >/dev/null 2>&1; then \
		for image in $$(docker images --format '{{.Repository}}:{{.Tag}}' $(IMAGE)); do \
			docker image rm $$image; \
			[ "$(CLUSTER)" != minikube ] || minikube image rm $$image >/dev/null 2>&1 || true; \
		done; \
		docker image prune --force --filter label=io.randstream.stage=build; \
	fi; exit $$status

# The tests run make as a user does, outside of this one.
e2e: setup ## test everything on the cluster of the current kubectl context (ARGS="-k scale" for a part)
	env -u ARGS -u MAKEFLAGS -u MAKELEVEL -u MFLAGS $(BIN)/python -m pytest -m e2e tests/e2e -o log_cli=true -o log_cli_level=INFO -o log_cli_format='%(asctime)s %(message)s' $(ARGS)

## ---- housekeeping -------------------------------------------------------------------------------------------------

tidy: ## remove caches, coverage data and build results
	rm -rf build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

clean-venv: ## remove .venv; the next target makes it again
	rm -rf $(VENV)
