# `make` alone prints what there is. Everything else needs Python 3.11, 3.12 or 3.13 and make.

UV_VERSION     := 0.13.9
QUARTO_VERSION := 1.9.38

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help worlds paper preview review replicate test test-slow verify archive quarto lock clean
.DELETE_ON_ERROR:

# Nothing of the caller's own Python setup may leak into the project's environment.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PIP_USER PIP_TARGET PIP_REQUIRE_VIRTUALENV
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
	@echo "make lock     requirements.lock anew from pyproject.toml"
	@echo "make clean    removes what is generated; the ledger of record and the environment stay"

paper: $(STAMP)
	@$(BIN)/claimledger render $(if $(DATA),--data '$(DATA)') $(if $(MAPPING),--mapping '$(MAPPING)') \
		$(if $(WORLD),--world '$(WORLD)')
	@$(call took,make paper)

verify: $(STAMP)
	@$(BIN)/claimledger verify $(if $(PAPER),'$(PAPER)') $(foreach one,$(WITH),--with '$(one)')
	@$(call took,make verify)

preview: $(STAMP)
	@$(BIN)/claimledger preview

replicate: $(STAMP)
	@$(BIN)/python tests/independent_replication.py $(PEACE)
