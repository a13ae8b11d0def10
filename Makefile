# Two commands: `make demo` installs and runs the whole recipe, `make test` installs and tests.
PYTHON ?= python3.11
BIN := .venv/bin
DEMO := runs/demo

SERVERS := .venv-servers
RAY := .venv-ray

.PHONY: demo test test-servers test-ray lint types contract pytest clean

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.installed-test: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt \
	  -e '.[simulate,text,test]'
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

# The client against the CPU build of vLLM, which has an environment of its own (3.5 GB).
$(SERVERS)/.installed: tests/servers/requirements.txt tests/servers/torchvision_operators.py
	test -x $(SERVERS)/bin/python || $(PYTHON) -m venv $(SERVERS)
	$(SERVERS)/bin/python -m pip install -qq --disable-pip-version-check \
	  -r tests/servers/requirements.txt
	$(SERVERS)/bin/python -m pip uninstall -qq -y torchaudio
	$(SERVERS)/bin/python -m pip install -qq --disable-pip-version-check --no-deps torchcodec==0.13.0
	cp tests/servers/torchvision_operators.py \
	  "$$($(SERVERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/sitecustomize.py"
	@touch $@

test-servers: .venv/.installed-test $(SERVERS)/.installed
	KAIROSCOPE_SERVERS=$(SERVERS)/bin/python $(BIN)/pytest tests/servers
	$(SERVERS)/bin/python -m pytest tests/servers/test_vllm_offline.py

# Two workers of a Ray cluster on this machine, in an environment of its own (Ray takes 617 MB).
$(RAY)/.installed: pyproject.toml constraints.txt
	test -x $(RAY)/bin/python || $(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[ray,test]'
	@touch $@

test-ray: $(RAY)/.installed
	$(RAY)/bin/python -m pytest tests/ray_cluster

clean:
	rm -rf .venv $(SERVERS) $(RAY) runs
