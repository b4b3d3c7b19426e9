# make setup  the environment .venv alone                      make test   the tests
# make demo   three models of real digits, side by side        make lint   style and types
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint clean

demo: .venv/installed
	$(BIN)/simulacra demo

setup: .venv/installed

test: .venv/installed  # with bytecode: some forty tests start Python, which would compile everything each time
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal

lint: .venv/linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "simulacra needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[eval,test]" -c constraints.txt
	@touch $@

.venv/linted: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[lint]" -c constraints.txt
	@touch $@
