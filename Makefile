# One environment, .venv, built once from constraints.txt and rebuilt when that file or pyproject.toml changes.
#   make demo PYTHON=python3.12               another interpreter (3.11 or newer)
#   make demo TORCH_INDEX_URL=<index>         PyTorch from that index first; PyTorch's own index of CPU builds is far
#                                             smaller than what pip takes by default on Linux

PYTHON ?= python3
TORCH_INDEX_URL ?=

BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
BENCHMARKS := ledger null_increment overhead merging vault service transfer
# Two at the most: the tests start processes and threads of their own.
WORKERS := $(shell n=$$(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1); [ "$$n" -lt 2 ] && echo 1 || echo 2)

.DEFAULT_GOAL := help
.PHONY: help demo coalition test test-all lint bench clean
.DELETE_ON_ERROR:

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: $(STAMP) ## seven members train one model together; report, model and record in demo/
	@$(BIN)/tclearn demo --out demo

coalition: $(STAMP) ## the same story over a network: eight processes on this computer, connected by TLS
	@$(BIN)/tclearn demo --network --out coalition-demo

test: $(STAMP) ## the tests, without those over five seconds
	@$(BIN)/python -m pytest -q -n $(WORKERS)

# The models of the agreement are searched where Spin and a C compiler are installed (Debian: apt install spin gcc).
test-all: $(STAMP) ## all tests, and a longer search for counterexamples
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q -n $(WORKERS) -m ""

lint: $(STAMP) ## style, types, and who may import whom
	@failed=; \
	$(BIN)/ruff check --quiet . || failed="$$failed ruff"; \
	$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet . | head -60; failed="$$failed format"; }; \
	$(BIN)/mypy --no-error-summary || failed="$$failed mypy"; \
	rooms=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$rooms"; failed="$$failed rooms"; }; \
	[ -z "$$failed" ] || { echo "lint failed:$$failed"; exit 1; }; \
	echo "lint: nothing to say"

bench: $(STAMP) ## every benchmark, beside its peer or bare primitive
	@failed=; for name in $(BENCHMARKS); do file=benchmarks/$$name.py; \
		echo "== $$file"; $(BIN)/python "$$file" --table || failed="$$failed $$file"; \
	done; \
	for name in paillier privacy; do file=benchmarks/$$name.py; \
		echo "== $$file --quick"; $(BIN)/python "$$file" --quick --table || failed="$$failed $$file"; \
	done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

clean: ## remove all that make has made, .venv too
	@rm -rf .venv demo coalition-demo build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "error: no '$(PYTHON)' here; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $(PYTHON) is $$("$(PYTHON)" -V 2>&1), TCLearn needs 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "error: $(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "building .venv from constraints.txt (once; some minutes, mostly PyTorch)"
	@"$(PYTHON)" -m venv .venv
ifneq ($(TORCH_INDEX_URL),)
	@$(PIP) install --no-deps --index-url "$(TORCH_INDEX_URL)" "$(TORCH)"
endif
	@$(PIP) install --constraint constraints.txt --editable '.[all]'
	@touch $@
