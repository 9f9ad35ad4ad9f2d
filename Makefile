# `make help` lists the targets, and what ARGS='…' is passed to.
PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
VENV := .venv
ARTIFACTS ?= artifacts
SNAKEMAKE := $(VENV)/bin/snakemake
ARGS ?=

.PHONY: help run test test-containers check config-files refresh decide settle audit plots import demo-exchange report clean image cluster docs
.PHONY: docker-build docker-fetch docker-process docker-predict docker-pipeline
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-17s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.runtime ## set up .venv, then everything on the simulated market (ARGS='--config days=20')
	$(SNAKEMAKE) -j$(CORES) $(ARGS)

test: $(VENV)/.dev ## set up .venv, then the tests (ARGS='-k costs')
	$(VENV)/bin/python -m pytest -n $(CORES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-containers: $(VENV)/.dev ## the tests that need Docker, Compose, Apptainer or Slurm (ARGS='-k slurm')
	$(VENV)/bin/python -m pytest tests/containers -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev ## formatting, lint, types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/snakefmt --check Snakefile rules
	$(VENV)/bin/mypy scripts tests benchmarks
	$(SNAKEMAKE) --lint

config-files: $(VENV)/.runtime ## config/config.yaml, its schema and its tables in the docs, from scripts/dag/config.py
	PYTHONPATH=scripts $(VENV)/bin/python -m dag.config_files

docs: $(VENV)/.docs ## the pages as a site to read and search without a network: site/index.html
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

# what continues with a run needs one
$(ARTIFACTS)/run.yaml:
	@echo "$@ does not exist: there is no run to continue with; run make run first, or name its folder: ARTIFACTS=…" >&2; exit 1

refresh: $(ARTIFACTS)/run.yaml ## decide again on fresh candles, with the last run's settings and models
	./exec.sh --full --consensus-live --cores $(CORES) --artifacts-dir $(ARTIFACTS) $(ARGS)

decide: $(ARTIFACTS)/run.yaml ## a decision on fresh candles by the last run's models, into the ledger (ARGS='--as-of 2024-05-31T12:00:00Z')
	./exec.sh --decide --cores $(CORES) --artifacts-dir $(ARTIFACTS) $(ARGS)

settle: $(ARTIFACTS)/run.yaml ## what came after the ledger's decisions, the scores of its forecasts, its figure
	./exec.sh --settle --cores $(CORES) --artifacts-dir $(ARTIFACTS) $(ARGS)

audit: $(ARTIFACTS)/run.yaml ## audit the last decision again, when more of its candles are there; with its figures
	./exec.sh --consensus-eval --plots --cores $(CORES) --artifacts-dir $(ARTIFACTS) $(ARGS) -- summary

plots: ## the figures of the last run, drawn on the host (ARGS='--timefmt "%Y-%m-%d %H:%M"', flags of ./exec.sh)
	./exec.sh --plots $(ARGS)

report: $(ARTIFACTS)/run.yaml ## the last run as one HTML page: artifacts/report.html; what is missing in it is named there
	./exec.sh --report --cores 1 --artifacts-dir $(ARTIFACTS) $(ARGS)

demo-exchange: $(VENV)/.runtime ## the simulated market as a live exchange on this machine, for config/demo.yaml (ARGS='--seed 8')
	PYTHONPATH=scripts:tests $(VENV)/bin/python -m support.loopback.demo $(ARGS)

import: $(VENV)/.runtime ## candle files into the store of a ccxt exchange (FOLDER=candles ARGS='--configfile config/live.yaml')
	@test -n "$(FOLDER)" || { echo "FOLDER is not set: make import FOLDER=path/to/candles" >&2; exit 1; }
	$(SNAKEMAKE) -j1 $(ARGS) -R import_candles --config exchange='{folder: "$(FOLDER)"}' -- import_candles

image: ## build the SIF for --use-singularity with Docker and Apptainer (ARGS='--no-cache', flags of docker build)
	docker/image.sh $(ARGS)

cluster: $(VENV)/.cluster ## set up .venv with the plugins of profiles/slurm and profiles/kubernetes

docker-build: ## build the image of the Compose services (ARGS='--no-cache', flags of docker compose build)
	docker compose build $(ARGS)

docker-fetch: ## stage_fetch in Compose (ARGS='--days 20', flags of ./exec.sh, as in the three below)
	docker compose run --rm stage_fetch $(ARGS)

docker-process: ## stage_process in Compose: features and training
	docker compose run --rm stage_process $(ARGS)

docker-predict: ## stage_predict in Compose
	docker compose run --rm stage_predict $(ARGS)

docker-pipeline: ## all five stages in Compose, one after the other
	./docker/pipeline.sh $(ARGS)

clean: ## delete what runs wrote, and further folders (ARGS=runs/a), but not .venv
	@! [ -e artifacts/ledger ] || { echo "artifacts/ledger holds decisions that cannot be made again; move it elsewhere, or delete it: rm -r artifacts/ledger" >&2; exit 1; }
	rm -rf data artifacts lightning_logs .snakemake $(ARGS)

$(VENV)/.runtime: envs/requirements.txt envs/torch.txt envs/install.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, $(PYTHON) is " + sys.version.split()[0] + "; name another: make run PYTHON=python3.12")'
	@! [ -e $(VENV) ] || [ -w $(VENV) ] || { echo "$(VENV) is out of date, and this user cannot write it; update it as $$(stat -c %U $(VENV)), or use another checkout" >&2; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	envs/install.sh $(VENV)/bin/python
	touch $@

$(VENV)/.dev: $(VENV)/.cluster envs/dev.txt
	$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r envs/dev.txt
	touch $@

$(VENV)/.cluster: $(VENV)/.runtime envs/cluster.txt
	$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r envs/cluster.txt
	touch $@

$(VENV)/.docs: $(VENV)/.runtime envs/docs.txt
	$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r envs/docs.txt
	touch $@
