# Everything a user or a developer does here; `make` alone lists it.
PYTHON ?= python3
VENV ?= .venv
# which benchmarks; all if empty
BENCH ?=
# repeats of four runs that comparisons are drawn from
POOL ?= 40
# parts of the campaign, or --quick
FAULTS ?=
# how often each thing is killed
KILLS ?= 10
ARGS ?= task_set=six_bert xsched.level=block -m xsched.threshold=4,8,16
PORT ?= 5000

BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run test test-clusters faults lint bench validate ui docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv, with the PyTorch that is there (the others do it by themselves)

$(READY): pyproject.toml
	$(PYTHON) -m runner.setup $(VENV)
	@touch $@

run: $(READY) ## run a sweep; the headline one, or ARGS='task_set=smoke -m arm=native,xsched'
	$(BIN)/python -m runner $(ARGS)

test: $(READY) ## run the tests (real trials, seven minutes on two cores)
	$(BIN)/python -m pytest -n 3 --dist loadfile

test-clusters: $(READY) ## kill parts of a Slurm and a Ray of its own, docs/clusters.md; hours, KILLS=1 minutes
	KILLS=$(KILLS) $(BIN)/python -m pytest tests/clusters -m "clusters or not clusters"

faults: $(READY) ## inject faults by the hundred, docs/reliability.md; an hour, FAULTS='--quick' minutes
	$(BIN)/python -m tests.faults.campaign $(FAULTS)

lint: $(READY) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## measure the figures of docs/performance.md
	$(BIN)/python -m benchmarks $(BENCH)

validate: $(READY) ## see whether verdicts hold on real runs, docs/validation.md; half an hour
	$(BIN)/python -m benchmarks.validate --pool $(POOL)

ui: $(READY) ## open the MLflow UI over outputs/mlflow.db, PORT=5000
	MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui \
		--backend-store-uri sqlite:///$(CURDIR)/outputs/mlflow.db --workers 1 --port $(PORT)

docs: $(READY) ## write docs/reference.md anew from the schema
	$(BIN)/python -m runner.reference > docs/reference.md

clean: ## remove the environment and caches; outputs/ stays
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache *.egg-info
