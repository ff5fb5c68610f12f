.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
GENERATED := libs/contracts/src
MEMBERS := $(wildcard libs/* services/*)

help:  ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'

setup: .venv/.ready  ## install everything the project needs into .venv

.venv/.ready: requirements.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --python $(BIN)/python --no-deps -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	touch $@

lock:  ## choose the newest allowed versions and write requirements.lock
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --quiet --frozen --all-packages --no-emit-workspace --no-header --no-annotate --format requirements-txt > requirements.lock

protos: .venv/.ready  ## lint the contracts, check them against the baseline, generate their code
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/baseline.binpb
	rm -rf $(GENERATED)/plumbline
	mkdir -p $(GENERATED)
	cd protos && PATH="$(CURDIR)/$(BIN):$$PATH" python -m grpc_tools.protoc -I. \
		--python_out=../$(GENERATED) --grpc_python_out=../$(GENERATED) \
		--mypy_out=quiet:../$(GENERATED) --mypy_grpc_out=quiet:../$(GENERATED) \
		$$(find plumbline -name '*.proto' | sort)

.PHONY: help setup lock protos
