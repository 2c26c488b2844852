# `make demo` runs the main job on what ships with the package; `make test` runs the suite.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: venv demo test test-oldest check format bench docs dist clean

venv: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml
	@echo "Installing into $(VENV): a few minutes, and 7 GB on Linux, where torch brings CUDA"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

demo: venv
	$(BIN)/python scripts/run.py --stage lpft --recipe demo --overwrite

test: venv
	$(BIN)/python -m pytest

# The suite on the lowest versions that setup.cfg allows; the first run downloads several gigabytes for torch.
test-oldest: .venv-oldest/.installed
	.venv-oldest/bin/python -m pytest

.venv-oldest/.installed: setup.cfg scripts/lower_bounds.py
	$(PYTHON) -m venv .venv-oldest
	$(PYTHON) scripts/lower_bounds.py > .venv-oldest/lower_bounds.txt
	.venv-oldest/bin/python -m pip install --quiet --requirement .venv-oldest/lower_bounds.txt --editable '.[test]'
	touch $@

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What `check` complains of, mended where that can be done without thinking.
format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv
	$(BIN)/python scripts/benchmark.py

# The pages of docs/ as a site, in site/; no page needs the network.
docs: venv
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python -m mkdocs build --strict --quiet

# Wheel and source archive, with every field of their metadata checked as an index checks it.
dist: venv
	$(BIN)/python -m pip install --quiet --editable '.[dist]'
	rm -rf dist build
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf $(VENV) .venv-oldest runs build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
