# The two commands a newcomer needs: `make demo` and `make test`. Everything else is for those who work on hierflow.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
DOCUMENT ?= prompts/mini_catalog.yaml
STAMP := $(VENV)/.installed

.PHONY: setup demo test browser services wheel-test slow lint docs bench bench-long experiments train-mini gpu dev clean

setup: $(STAMP)

# On a machine with an NVIDIA driver the usual torch build is installed. Elsewhere the CPU build is: pip picks it up
# from wherever it looks (see README), and pins keep it from being replaced by one with CUDA.
$(STAMP): pyproject.toml constraints.txt .ci/install
	PYTHON=$(PYTHON) VENV=$(VENV) .ci/install
	@touch $@

demo: setup
	@$(BIN)/hierflow run $(DOCUMENT)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Needs Chromium or Chrome: on PATH, or in $$CHROMIUM.
browser: setup
	$(BIN)/python -m pytest -m browser -rs

# Needs Postgres and Redis: .ci/services installs Debian's packages.
services: setup
	$(BIN)/python -m pytest -m services -rs --durations 5

# Builds the package, installs it with its dependencies into an environment outside the checkout, and makes a set there.
wheel-test: setup
	$(BIN)/python -m pytest -m wheel

# The same behaviour with many more examples, and a whole training at a tiny scale.
slow: setup
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --timeout 7200

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m hierflow.reference > docs/reference.md

bench: setup
	$(BIN)/python -m benchmarks.tree
	$(BIN)/python -m benchmarks.denoising
	$(BIN)/python -m benchmarks.churn --work benchmarks/out/churn
	$(BIN)/python -m benchmarks.reruns --work $$(mktemp -d)

# Hours; what they have done lies in benchmarks/out, and a second call goes on from there.
bench-long: setup
	$(BIN)/python -m benchmarks.quality --seeds 0 1
	$(BIN)/python -m benchmarks.pilot_bound
	$(BIN)/python -m benchmarks.kill_loop --work $$(mktemp -d)
	$(BIN)/python -m benchmarks.grafting_quality --work benchmarks/out/grafting

# The paper's experiments on the mini model, and their page; about five hours of one idle core. A second call goes on
# where the first was stopped.
experiments: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.experiments --work benchmarks/out/experiments
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.experiments --work benchmarks/out/experiments --report

# The mini model and its judges, from nothing; hours on two cores. A second call goes on where the first was stopped.
WORK ?= benchmarks/out/mini
train-mini: setup
	$(BIN)/python -m hierflow.mini.training --work $(WORK)

# On a machine with an NVIDIA card.
gpu: setup
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m benchmarks.gpu

dev: setup
	@mkdir -p $${DAGSTER_HOME:-prompts/.hierflow}
	DAGSTER_HOME=$${DAGSTER_HOME:-$(CURDIR)/prompts/.hierflow} $(BIN)/dagster dev -w workspace.yaml

clean:
	rm -rf $(VENV) prompts/out prompts/.hierflow build dist *.egg-info
