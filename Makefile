# Two commands do everything: `make run` and `make test`. Everything else is a part of them.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test check format lint types unit browser web clean kill-test soak

N ?= 100

run: .venv/ready
	$(BIN)/python main.py $(ARGS)

# What continuous integration runs, and what a contributor runs before pushing.
test: browser check

check: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python web/make.py check
	# Two processes with one thread each: networks in tests are tiny, and more threads only get in each other's way.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup

format: .venv/ready-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A browser for the end-to-end tests: the machine's own, else Debian's package, else the one Playwright brings.
browser: .venv/ready-dev
	@$(BIN)/python tests/browser/install.py

# The editor's bundle, with the Node that comes through pip; only contributors to web/ need it.
web: .venv/ready-dev
	$(BIN)/python web/make.py build

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Heddle needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

# The stamps hold a copy of the requirements they were made from, so that a checkout with new dates installs nothing.
.venv/ready: requirements.txt | .venv/bin/python
	@cmp -s requirements.txt $@ || $(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	@cp requirements.txt $@

.venv/ready-dev: requirements.txt requirements-dev.txt | .venv/bin/python
	@cat requirements.txt requirements-dev.txt | cmp -s - $@ || $(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	@cat requirements.txt requirements-dev.txt > $@
	@cp requirements.txt .venv/ready

# Kill a server under load N times and look whether it kept what it promised (three seconds each).
kill-test: .venv/ready-dev
	$(BIN)/python -m tests.faults.campaign $(N)

# Run thousands of jobs, some of which fail, are cancelled or kill their worker, and watch what the server keeps.
soak: .venv/ready-dev
	$(BIN)/python -m benchmarks.soak $(ARGS)

clean:
	rm -rf .venv .pytest_cache .ruff_cache
