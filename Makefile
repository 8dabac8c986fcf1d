# Two commands: `make demo` and `make test`. Both make .venv first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test install lint docs slow screenshots clean

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

docs: install
	$(BIN)/sphinx-build -E -W --keep-going -n -q -b html -d docs/_build/doctrees docs docs/_build/html

test: lint docs
	$(BIN)/pytest -rs -n 2 --dist loadfile --durations=25

slow: install
	$(BIN)/pytest -rs -m "slow or physical"

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .pytest_cache
