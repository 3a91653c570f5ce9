# make lab    set everything up, start or resume the lab, open JupyterLab   (ARGS="--no-browser --detach")
# make test   set everything up and run the tests                           (ARGS="-k smi")
# make down   stop JupyterLab and the cluster; keep all state
# make clean  remove the cluster and .venv; keep your work in ~/gpulab and the built binaries
# make clean-all  ask, then also remove ~/gpulab and the built binaries
.PHONY: lab test test-all bench down clean clean-all lock
.DEFAULT_GOAL := lab

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

lab: .venv/lab-ready
	@$(BIN)/gpulab lab $(ARGS)

test: .venv/test-ready
	@$(BIN)/python tests/run.py $(ARGS)

test-all: .venv/test-ready
	@$(BIN)/python tests/run.py --all $(ARGS)

bench: .venv/test-ready
	@$(BIN)/python -m tests.bench $(ARGS)

down: .venv/lab-ready
	@$(BIN)/gpulab down $(ARGS)

clean: .venv/lab-ready
	@$(BIN)/gpulab down --delete
	@rm -rf .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

clean-all: .venv/lab-ready
	@$(BIN)/gpulab down --delete --all
	@rm -rf .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/python-ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "gpulab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1 || echo missing)."; \
	  echo "Install it, or name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Making .venv with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv .venv
	@touch $@

# The test set holds the runtime set, so it counts for both; hashes are checked for every package.
.venv/lab-ready: .venv/python-ready requirements.lock pyproject.toml
	@echo "Installing the packages of requirements.lock (about a minute, once)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/test-ready: .venv/lab-ready tests/requirements.lock
	@echo "Installing the packages of tests/requirements.lock"
	@$(PIP) install --require-hashes -r tests/requirements.lock
	@touch $@

# For maintainers, needs uv: locks for every platform, with hashes and no index address.
LOCK := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
        --python-version 3.11 --custom-compile-command "make lock" pyproject.toml
lock:
	$(LOCK) -o requirements.lock
	$(LOCK) --extra test --extra class -c requirements.lock -o tests/requirements.lock
