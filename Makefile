# Two commands: `make demo` installs and runs the whole recipe, `make test` installs and tests.
PYTHON ?= python3.11
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo test lint types contract pytest clean

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.installed-test: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt \
	  -e '.[simulate,test]'
	@touch $@ .venv/.installed

demo: .venv/.installed
	$(BIN)/kairoscope run subtask-times --data examples/press --out $(DEMO)/recipe
	$(BIN)/kairoscope annotate examples/press/unlabelled --task examples/press/task.toml \
	  --model $(DEMO)/recipe/sft/best --out $(DEMO)/annotations
	@echo
	@echo "The whole recipe, step by step:  $(DEMO)/recipe/recipe.html"
	@echo "Clips that had no labels:        $(DEMO)/annotations/annotations.html"

test: lint types contract pytest

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed-test
	$(BIN)/mypy

contract: .venv/.installed-test
	$(BIN)/lint-imports

pytest: .venv/.installed-test
	$(BIN)/pytest

clean:
	rm -rf .venv runs
