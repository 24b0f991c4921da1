# make demo   sets everything up and runs the main job as a readable story
# make test   sets everything up and passes the whole suite
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOWEST := .venv-lowest
BENCH  := .venv-bench
# What needs none of the tools that require newer versions themselves. TESTS="tests/unit/sdk/cli" runs a part of it.
TESTS  ?= tests/unit/sdk tests/unit/mock_server/transports tests/property/sdk tests/e2e/test_cli.py

# Tests start hundreds of processes; without bytecode each of them compiles the SDK again.
unexport PYTHONDONTWRITEBYTECODE
# The extras of that environment. A part without tests of frames needs none of their libraries, which are large.
EXTRAS ?= cli,fast,server,testing,pandas,polars,arrow

# Two processes. Each begins with one half of the tests and takes over what the other has not begun when it is done, so
# that tests of one file mostly share its fixtures, and none waits for long at the end.
PYTEST := python -m pytest -n 2 --dist worksteal

# Files that have long proofs, those with the longest first, so that at the end no process waits for another; to collect
# the other files takes each process 20 seconds.
LONGEST := tests/property/world/test_world.py tests/load/test_large_world.py tests/contract/test_schemathesis.py
HEAVY    = $(LONGEST) $(filter-out $(LONGEST),$(sort $(shell grep -rlw --include='test_*.py' heavy tests)))

.PHONY: help setup demo test test-heavy test-browser test-lowest check docs notebook bench bench-short record wheel clean

help:
	@echo "make demo         run the main job against the reference server"
	@echo "make test         the whole suite (five to ten minutes)"
	@echo "make test-heavy   the long proofs"
	@echo "make test-browser hostile web pages in a real chromium, which has to be installed"
	@echo "make test-lowest  the tests with the lowest versions of libraries that are declared"
	@echo "make check        types, lint and import rules"
	@echo "make docs         build the documentation, warnings are errors"
	@echo "make notebook     write the .ipynb files of docs/notebooks from their scripts"
	@echo "make bench        measure speed and memory beside the peers, on a quiet machine (ten minutes)"
	@echo "make bench-short  a part of it in 90 seconds; fails only far beyond the goals"
	@echo "make record       write again what the server and the commands are recorded to say"
	@echo "make wheel        build the wheel into dist/"

setup: $(READY)

# The environment is made anew when the requirements change; otherwise this does nothing.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed. Name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making the environment in $(VENV); this takes about a minute."
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "This Python cannot make virtual environments (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable '.[cli,server,testing]'
	@touch $@

demo: setup
	$(BIN)/python -m training_sdk.testing.demo

test: setup
	$(BIN)/$(PYTEST) -m 'not heavy and not browser'

test-heavy: setup
	$(BIN)/$(PYTEST) --dist load --maxschedchunk 1 -m 'heavy and not browser' $(HEAVY)

test-browser: setup
	$(BIN)/python -m pip install --quiet --group browser
	$(BIN)/$(PYTEST) -m browser tests/browser

$(LOWEST)/.ready: pyproject.toml .ci/lowest
	$(PYTHON) -m venv --clear $(LOWEST)
	$(PYTHON) .ci/lowest > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt \
		--group run-tests duckdb --editable '.[$(EXTRAS)]'
	@touch $@

test-lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/$(PYTEST) -m 'not heavy and not browser' $(TESTS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

notebook: setup
	$(BIN)/python -c 'from docs._generate import notebook; notebook.write()'

$(BENCH)/.ready: pyproject.toml
	@echo "Making the environment of the peers in $(BENCH); this takes about a minute."
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BENCH)/bin/python -m pip install --quiet --compile --group bench --editable '.[cli,server,testing]'
	@touch $@

bench: $(BENCH)/.ready
	$(BENCH)/bin/python -m benchmarks

bench-short: $(BENCH)/.ready
	$(BENCH)/bin/python -m benchmarks --short

record: setup
	cd tests && ../$(BIN)/python -m record

wheel: setup
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf $(VENV) $(LOWEST) $(BENCH) dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .npm
