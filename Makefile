# Everything sets itself up: Python >= 3.11 and make are all that a machine needs.
# `make test PYTHON=python3.13` takes another Python; beside a .venv of a different version it has one of its own.
PYTHON ?= python3
VERSION_OF = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := .venv
ifneq ($(origin PYTHON),file)
ifneq ($(wildcard .venv/bin/python),)
ifneq ($(call VERSION_OF,.venv/bin/python),$(call VERSION_OF,$(PYTHON)))
VENV := .venv/pythons/$(call VERSION_OF,$(PYTHON))
endif
endif
endif
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
export PYTHONWARNINGS ?=

.PHONY: demo test bench lint pictures docs pythons clean

demo: $(VENV)/demo
	$(BIN)/python -m demos.stock_price

# One process for each core, four at most; a product of matrices keeps to the core of its process.
test: lint
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -n logical --maxprocesses=4 --dist worksteal

lint: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.figures

bench: $(VENV)/test
	$(BIN)/python -m benchmarks

pictures: $(VENV)/test
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/notebook.py
	$(BIN)/python -m docs.website.pytorch
	$(BIN)/python -m tests.figures floors

docs: $(VENV)/docs
	$(BIN)/python -m docs.website.build

pythons: $(VENV)/test
	$(BIN)/python -m tests.pythons

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minigrad needs Python 3.11 or newer; run: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[dot,plot,demos]'
	@touch $@

$(VENV)/test: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/demo

$(VENV)/docs: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[dot,plot,docs]'
	@touch $@

clean:
	rm -rf .venv out build dist .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
