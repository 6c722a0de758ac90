# Everything sets itself up: Python >= 3.11 and make are all that a machine needs.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONWARNINGS ?=

.PHONY: demo test bench lint pictures clean

demo: .venv/demo
	$(BIN)/python -m demos.stock_price

test: lint
	$(BIN)/python -m pytest -q -rs

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.figures

bench: .venv/test
	$(BIN)/python -m benchmarks

pictures: .venv/test
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/notebook.py
	$(BIN)/python -m tests.figures floors

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minigrad needs Python 3.11 or newer; run: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv

.venv/demo: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dot,plot,demos]'
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@ .venv/demo

clean:
	rm -rf .venv out build dist .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
