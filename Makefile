# Short names for what CONTRIBUTING.md describes and .ci/run checks. They use the virtual environment in .venv.

BIN = .venv/bin

.PHONY: test lint types slow versions bench

test:  ## The suite, on all cores
	$(BIN)/python -m pytest -n auto

lint:  ## Formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:  ## mypy --strict
	$(BIN)/mypy

slow:  ## The long forms of what the suite does in short
	$(BIN)/python -m pytest -m slow

versions:  ## The suite on the oldest and the newest Python here, and on the lowest dependencies that are allowed
	.ci/versions

bench:  ## The figures in docs/performance.md; needs wrk and two cores
	$(BIN)/python -m tests.benchmarks
