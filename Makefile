# Front door. `make help` lists the targets; ARGS='…' goes through to snakemake (or pytest).
PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet
SNAKEMAKE := $(VENV)/bin/snakemake
ARGS ?=

.PHONY: help run test check refresh audit clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.runtime ## set up .venv, then everything on the simulated market (ARGS='--config days=20')
	$(SNAKEMAKE) -j$(CORES) $(ARGS)

test: $(VENV)/.dev ## set up .venv, then the tests (ARGS='-k costs')
	$(VENV)/bin/python -m pytest $(ARGS)

check: $(VENV)/.dev ## formatting, lint, types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/snakefmt --check Snakefile rules
	$(VENV)/bin/mypy scripts tests benchmarks
	$(SNAKEMAKE) --lint

refresh: $(VENV)/.runtime ## decide anew on fresh candles, with the models as they are
	$(SNAKEMAKE) -j$(CORES) -R data/as_of/live.json $(ARGS)

audit: $(VENV)/.runtime ## settle and audit the last decision again, when more candles have come
	$(SNAKEMAKE) -j$(CORES) -R settle $(ARGS)

clean: ## remove what runs wrote; .venv stays
	rm -rf data artifacts lightning_logs .snakemake

# the lock is complete, so nothing is resolved; torch's CUDA builds then bring the libraries that they pin themselves
$(VENV)/.runtime: envs/requirements.txt envs/torch.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps -r envs/requirements.txt -r envs/torch.txt
	$(PIP) torch==2.13.0
	touch $@

$(VENV)/.dev: $(VENV)/.runtime envs/dev.txt
	$(PIP) --require-hashes --no-deps -r envs/dev.txt
	touch $@
