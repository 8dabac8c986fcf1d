# Two commands: `make demo` and `make test`. Both make .venv first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test install lint slow screenshots clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	touch $@

demo: install
	$(BIN)/vitrine run shear-transformation --scale demo --workers 2 --out runs/shear-transformation-demo

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -rs

slow: install
	$(BIN)/pytest -rs -m "slow or physical"

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
