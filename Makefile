# One command each; every target makes what it needs. PYTHON chooses the interpreter of a new .venv.
PYTHON ?= python3
BIN := .venv/bin
RECIPE ?= ppo/cartpole

.PHONY: help train install test lint clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

train: .venv/installed  ## train RECIPE (ppo/cartpole) to the end
	$(BIN)/rlrecipe run $(RECIPE)

install: .venv/installed  ## the package, editable, with what the bundled recipes need

test: .venv/installed-dev  ## every test
	$(BIN)/python -m pytest

lint: .venv/installed-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove what these targets made (runs/ stays)
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q -e '.[recipes]'
	touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q -e '.[dev]'
	touch $@ .venv/installed
