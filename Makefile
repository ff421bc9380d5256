# `make` alone prints what there is. Everything else needs Python 3.11, 3.12 or 3.13 and make.

UV_VERSION     := 0.13.9
QUARTO_VERSION := 1.9.38

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help worlds paper preview review replicate test test-slow verify archive quarto lock docs clean
.DELETE_ON_ERROR:

# Nothing of the caller's own Python setup may leak into the project's environment.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONDONTWRITEBYTECODE PIP_USER PIP_TARGET PIP_REQUIRE_VIRTUALENV
unexport VIRTUAL_ENV CONDA_PREFIX UV_SYSTEM_PYTHON UV_PROJECT_ENVIRONMENT
export PYTHONNOUSERSITE := 1

VENV := .venv
BIN  := $(VENV)/bin
UV   := $(VENV)/tools/bin/uv

# The environment is current when its stamp bears the checksum of what it was made from:
# the lock, the project file, the place, and an interpreter that is still there.
MADE_FROM := $(shell { echo "$(CURDIR)"; test -x $(BIN)/python && echo python; \
	cat requirements.lock pyproject.toml; } | cksum | cut -d' ' -f1)
STAMP := $(VENV)/made-from-$(MADE_FROM)
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup
BEGIN := $(shell date +%s)
took = echo "$(1) took $$(( $$(date +%s) - $(BEGIN) )) s"

help: ## this list
	@echo "make paper    the environment, the results and the paper as HTML, PDF and DOCX"
	@echo "              DATA=export.csv [MAPPING=mapping.yml]  with the answers in another export"
	@echo "              WORLD=null                             with answers simulated in that world"
	@echo "make preview  the page in a browser, made anew at each change of a source"
	@echo "make verify   do the paper's claims hold here? runs the notebooks anew and compares each"
	@echo "              PAPER=other.html, or a ledger.json, or a folder; WITH='pandas==3.0.3 numpy'"
	@echo "make replicate  the registered results without the engine, claim by claim, in seconds"
	@echo "make review   the paper without a word of who wrote it, in build/review"
	@echo "make worlds   the text of the paper in a dozen random worlds, to read: build/worlds"
	@echo "make archive  one zip for a data archive: build/archive.zip"
	@echo "make test     tests; make test-slow for those that build many papers"
	@echo "make quarto   tries to install Quarto $(QUARTO_VERSION); the paper does not need it"
	@echo "make docs     the generated parts of docs/ anew, from models and docstrings"
	@echo "make lock     requirements.lock anew from pyproject.toml"
	@echo "make clean    removes what is generated; the ledger of record and the environment stay"

paper: $(STAMP)
	@$(BIN)/claimledger render $(if $(DATA),--data '$(DATA)') $(if $(MAPPING),--mapping '$(MAPPING)') \
		$(if $(WORLD),--world '$(WORLD)')
	@$(call took,make paper)

verify: $(STAMP)
	@$(BIN)/claimledger verify $(if $(PAPER),'$(PAPER)') $(foreach one,$(WITH),--with '$(one)')
	@$(call took,make verify)

replicate: $(STAMP)
	@$(BIN)/python tests/independent_replication.py $(PEACE)

preview: $(STAMP)
	@$(BIN)/claimledger preview

review: $(STAMP)
	@$(BIN)/claimledger review
	@$(call took,make review)

worlds: $(STAMP)
	@$(BIN)/python tests/support/random_worlds.py build/worlds

archive: $(STAMP)
	@$(BIN)/claimledger archive
	@$(call took,make archive)

test: $(STAMP)
	@echo "tests, on all cores; the slow ones are left to make test-slow"
	@$(PYTEST) -m "not slow" $(ARGS)
	@$(call took,make test)

test-slow: $(STAMP)
	@echo "the slow tests, on all cores"
	@$(PYTEST) -m slow $(ARGS)
	@$(call took,make test-slow)

# pip fetches uv, uv the rest. uv does not read pip's settings: a package index that is set for
# pip is handed on, so that a mirror set up for this machine is used throughout.
$(STAMP):
	@set -eu; mkdir -p build; exec 9> build/.environment.lock; \
	if command -v flock > /dev/null; then flock -n 9 || { echo "waiting for another make"; flock 9; }; fi; \
	if [ -f $@ ] && [ -x $(BIN)/python ]; then exit 0; fi; \
	python=""; \
	for one in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
		if "$$one" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null; \
		then python="$$one"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		found="$$($(or $(PYTHON),python3) --version 2> /dev/null || true)"; \
		echo "Error: no Python 3.11, 3.12 or 3.13 found, but $${found:-none at all}." >&2; \
		echo "  to mend:  install one, or name it: make paper PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "environment: $$("$$python" --version) in $(VENV), packages from requirements.lock"; \
	rm -f $(VENV)/made-from-*; \
	if ! "$$python" -m venv --clear "$$(readlink -f $(VENV))" > build/environment.log 2>&1; then \
		tail -n 20 build/environment.log >&2; \
		echo "Error: Python could not make an environment in $(VENV)." >&2; \
		echo "  to mend:  install Python's venv module (Debian: apt-get install python3-venv)" >&2; exit 1; \
	fi; \
	if ! $(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/tools \
		uv==$(UV_VERSION) > build/environment.log 2>&1; then \
		tail -n 20 build/environment.log >&2; \
		echo "Error: pip could not install uv $(UV_VERSION)." >&2; \
		echo "  to mend:  check that this machine reaches a package index" >&2; exit 1; \
	fi; \
	index="$$($(BIN)/python -m pip config list 2> /dev/null \
		| sed -n "s/^[^=]*\.index-url='\(.*\)'$$/\1/p" | head -n 1 || true)"; \
	if [ -n "$$index" ] && [ -z "$${UV_DEFAULT_INDEX:-}$${UV_INDEX_URL:-}" ] \
		&& [ ! -f "$${XDG_CONFIG_HOME:-$$HOME/.config}/uv/uv.toml" ]; then \
		export UV_DEFAULT_INDEX="$$index"; fi; \
	export UV_COMPILE_BYTECODE=1; \
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock; \
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .; \
	touch "$(VENV)/made-from-$$({ echo "$(CURDIR)"; echo python; \
		cat requirements.lock pyproject.toml; } | cksum | cut -d' ' -f1)"; \
	echo "environment: ready after $$(( $$(date +%s) - $(BEGIN) )) s"

quarto: $(STAMP)
	@echo "trying to install Quarto $(QUARTO_VERSION): its installer downloads from GitHub"
	@if $(UV) pip install --python $(BIN)/python --no-deps quarto-cli==$(QUARTO_VERSION) \
		> build/quarto.log 2>&1 && $(BIN)/quarto --version; then \
		echo "Quarto is installed; make paper uses it from now on"; \
	else \
		$(UV) pip uninstall --quiet --python $(BIN)/python quarto-cli > /dev/null 2>&1 || true; \
		echo "Quarto could not be installed (see build/quarto.log); the environment is as it was." >&2; \
		echo "The paper does not need it: make paper uses the embedded renderer." >&2; exit 1; \
	fi

docs: $(STAMP)
	@$(BIN)/python docs/make_reference.py

lock: $(STAMP)
	@echo "resolving pyproject.toml for Python 3.11 to 3.13 on all systems"
	@$(UV) pip compile --quiet --universal --upgrade --extra test --generate-hashes \
		--no-header --no-annotate --output-file requirements.lock pyproject.toml
	@if grep -n '://' requirements.lock; then echo "Error: an address in the lock" >&2; exit 1; fi
	@echo "requirements.lock is new; the next make makes the environment anew"

clean:
	@echo "removing build, _manuscript, drawn figures and caches"
	@rm -rf build _manuscript .quarto .pytest_cache .ruff_cache .hypothesis
	@find figures -type f ! -name README.md -delete
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
