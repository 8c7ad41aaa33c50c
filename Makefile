# One command each; every target makes what it needs. PYTHON chooses the interpreter of a new .venv.
PYTHON ?= python3
BIN := .venv/bin
RECIPE ?= ppo/cartpole
PEERS ?= sb3 sbx tianshou torchrl rlox rltools
TORCH ?= 2.13.0 2.14.1
SEED ?= 0
CORES ?= $(shell nproc 2>/dev/null || echo 2)

# Every target but files is a command.
.PHONY: $(shell grep -oE '^[a-z-]+:' Makefile | tr -d :)

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

train: .venv/installed  ## train RECIPE (ppo/cartpole) to the end
	$(BIN)/rlrecipe run $(RECIPE)

install: .venv/installed  ## the package, editable, with what the bundled recipes need

test: .venv/installed-dev  ## every test, as many files at a time as there are cores
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder --durations 20

slowest: .venv/installed-dev  ## tests/slowest.txt: files of tests by the time they take, the slowest first; needs a quiet machine
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile --junitxml .slowest.xml
	$(BIN)/python -m tests.slowest .slowest.xml
	rm .slowest.xml

lint: .venv/installed-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-dev  ## docs/reference.md from the options of every component
	$(BIN)/python -m docs.make_reference

results: .venv/installed-dev  ## every recipe beside stable-baselines3, then docs/results.md; can be stopped and goes on
	$(BIN)/python -m benchmarks.learning
	$(BIN)/python -m benchmarks.report page

bench-install:  ## a pinned virtual environment in .bench for every library of the speed comparison
	@for name in rlrecipe $(PEERS); do \
	  test -x .bench/$$name/bin/python || $(PYTHON) -m venv .bench/$$name; \
	  .bench/$$name/bin/python -m pip install -q -r benchmarks/peers/requirements/$$name.txt \
	    || echo "$$name does not install here; it is left out"; \
	done
	.bench/rlrecipe/bin/python -m pip install -q --no-deps -e .

bench: .venv/installed-dev  ## speed of every card beside every library, interleaved; hours; then docs/speed.md
	$(BIN)/python -m benchmarks.speed --cold
	$(MAKE) bench-page

bench-speed: .venv/installed-dev  ## speed of whole processes for RECIPE beside stable-baselines3 alone
	$(BIN)/python -m benchmarks.speed $(RECIPE) --peers sb3

bench-page: .venv/installed-dev  ## docs/speed.md from the processes that are done
	$(BIN)/python -m benchmarks.speed --page

results-report: .venv/installed-dev  ## docs/results.md from the runs that are done
	$(BIN)/python -m benchmarks.report page

# What these two were called before.
bench-learning: results
bench-report: results-report

digests: .venv/installed-dev  ## what a moment of every bundled recipe comes to, eager and compiled, with a resume: for diff, before and after
	$(BIN)/python -m benchmarks.digests --compile both

kills: .venv/installed  ## 50 random SIGKILLs over several recipes: each resumed run ends as if there was none
	$(BIN)/python -m benchmarks.kills

busy: .venv/installed  ## frames/s of sac/halfcheetah alone and beside other processes; the machine must have nothing else to do
	$(BIN)/python -m benchmarks.busy

cgroups: .venv/installed  ## memory and cores in real control groups; as root, on Linux
	$(BIN)/python -m tests.cases.in_control_groups

fuzz-recipes: .venv/installed-dev  ## 5,000 mutated recipes are each valid or refused, within 2 s and 1 GB; SEED chooses them
	$(BIN)/python -m benchmarks.fuzz_recipes --recipes 5000 --seed $(or $(SEED),0)

fuzz-documents: .venv/installed-dev  ## 10,000 documents, random and mutated, are each answered by a recipe or its problems
	RLRECIPE_FUZZ_DOCUMENTS=10000 $(BIN)/python -m pytest tests/recipe/test_fuzz.py

signals: .venv/installed  ## 30 SIGTERM or SIGINT at 0 to 3 s after the start: each ends as promised and goes on
	$(BIN)/python -m benchmarks.signals

fuzz-checkpoints: .venv/installed-dev  ## 1,000 mutated checkpoints, by SEED: each used, refused by name, or the one before it
	$(BIN)/python -m benchmarks.fuzz_checkpoints --seed $(SEED) --result benchmarks/results/fuzz_checkpoints.json

versions:  ## the package with each of TORCH: imported, PPO, SAC and DQN trained for a moment, in .versions
	@for version in $(TORCH); do \
	  at=.versions/$$version; \
	  test -x $$at/bin/python || $(PYTHON) -m venv $$at; \
	  $$at/bin/python -m pip install -q "torch==$$version" -e . || exit 1; \
	  $$at/bin/python -m tests.versions $$version || exit 1; \
	done

clean:  ## remove what these targets made (runs/ stays)
	rm -rf .venv .versions dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --no-compile -e '.[recipes]'
	touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --no-compile -e '.[dev]'
	touch $@ .venv/installed
