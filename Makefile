# make venv   an environment in .venv, from requirements.lock
# make demo   record an incident, replay it, see the verdict
# make check  format, lint, types, layers
# make test   the tests of codec, relay and endpoint with the newest websockets, then all tests, four at a time where they may
# make lowest the tests with the oldest packages that pyproject.toml admits
# make docs   write docs/incidents.md from the signatures
# make bench  measurements (nothing in `make test` depends on them)

PYTHON ?= python3
BIN := .venv/bin
NEWEST := .venv-newest-websockets
LOWEST := .venv-lowest

.PHONY: venv demo test lowest check format docs bench lock clean

venv: .venv/.complete

.venv/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Wiretape needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make venv PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: venv
	$(BIN)/wiretape demo

check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: venv
	$(BIN)/python -m analyze.incidents_page docs/incidents.md

# Four on two cores, for many wait while speech is spoken or a screen settles. Tests differ in length by a thousand times: a worker that
# has none left takes some of another's.
IN_PARALLEL := -n 4 --dist worksteal

# Byte code is kept, whatever the shell says: else each worker, and each program that a test starts, compiles all there is.
test: export PYTHONDONTWRITEBYTECODE =
test: venv $(NEWEST)/.complete
	$(NEWEST)/bin/python -m pytest -q $(IN_PARALLEL) -m codec tests/capture tests/replay/simulator/endpoint
	$(BIN)/python -m pytest -m alone $$(grep -rl --include='test_*.py' 'mark\.alone' tests)
	$(BIN)/python -m pytest $(IN_PARALLEL) -m 'not alone'

# The lock holds the websockets that the OpenAI SDK admits; codec, relay and endpoint must also be right with the newest.
$(NEWEST)/.complete: requirements.lock pyproject.toml | venv
	$(PYTHON) -m venv $(NEWEST)
	grep -E '^[a-z0-9._-]+==' requirements.lock | grep -v '^websockets==' | sed 's/ \\$$//' > $(NEWEST)/constraints.txt
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(NEWEST)/constraints.txt \
	  'websockets>=17,<18' openai pytest pytest-asyncio pytest-xdist hypothesis trustme --editable .
	@touch $@

# Of packages this old some are deprecated by others, and the pictures are those of one release of Textual.
lowest: export PYTHONDONTWRITEBYTECODE =
lowest: $(LOWEST)/.complete
	$(LOWEST)/bin/python -m pytest $(IN_PARALLEL) -W ignore::DeprecationWarning -m 'not alone' \
	  --ignore tests/analyze/tui/test_snapshots.py

$(LOWEST)/.complete: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip compile --quiet --resolution lowest-direct --no-emit-index-url --no-header \
	  --extra entra --extra fast --extra play --extra web --output-file $(LOWEST)/lowest.txt pyproject.toml
	grep -E '^(hypothesis|openai|pytest[a-z-]*|trustme)==' requirements.lock | sed 's/ \\$$//' > $(LOWEST)/tools.txt
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python -r $(LOWEST)/lowest.txt -r $(LOWEST)/tools.txt --editable .
	@touch $@

# All programs run even where one misses its target. The peers of bench/relay.py get environments of their own;
# HAProxy is Debian's. What is not to be had is left out and named.
bench: venv
	@PYTHONPATH=. $(BIN)/python -m bench.traffic.environments
	@missed=; for program in bench/*.py; do echo "== $$program"; $(BIN)/python $$program --quick || missed="$$missed $$program"; done; \
	  if [ -n "$$missed" ]; then echo "targets missed:$$missed" >&2; exit 1; fi

lock: venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --group pyproject.toml:dev pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv $(NEWEST) $(LOWEST) .venv-mitmproxy .venv-uvloop .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
