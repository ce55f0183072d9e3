# `make check` is what CI runs.
PYTHON ?= .venv/bin/python
BIN := $(dir $(PYTHON))

.PHONY: check lint test test-slow bench

check:
	bash .ci/run

lint:
	$(BIN)ruff format --check .
	$(BIN)ruff check .
	$(BIN)pyright --pythonpath $(PYTHON)
	$(BIN)lint-imports

test:
	$(PYTHON) -m pytest

test-slow:
	$(PYTHON) -m pytest -m slow

bench:
	$(PYTHON) benchmarks/bench_store.py
