# The two commands a newcomer needs: `make demo` and `make test`. Everything else is for those who work on hierflow.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
DOCUMENT ?= prompts/mini_catalog.yaml
STAMP := $(VENV)/.installed

.PHONY: setup demo test browser lint docs bench dev clean

setup: $(STAMP)

# On a machine with an NVIDIA driver the usual torch build is installed. Elsewhere the CPU build is: pip picks it up
# from wherever it looks (see README), and pins keep it from being replaced by one with CUDA.
$(STAMP): pyproject.toml constraints.txt .ci/install
	PYTHON=$(PYTHON) VENV=$(VENV) .ci/install
	@touch $@

demo: setup
	@$(BIN)/hierflow run $(DOCUMENT)

test: setup
	$(BIN)/python -m pytest

# Needs Chromium or Chrome: on PATH, or in $$CHROMIUM.
browser: setup
	$(BIN)/python -m pytest -m browser

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m hierflow.reference > docs/reference.md

bench: setup
	$(BIN)/python -m benchmarks.tree
	$(BIN)/python -m benchmarks.denoising
	$(BIN)/python -m benchmarks.quality --seeds 0 1

dev: setup
	@mkdir -p $${DAGSTER_HOME:-prompts/.hierflow}
	DAGSTER_HOME=$${DAGSTER_HOME:-$(CURDIR)/prompts/.hierflow} $(BIN)/dagster dev -w workspace.yaml

clean:
	rm -rf $(VENV) prompts/out prompts/.hierflow build dist *.egg-info
