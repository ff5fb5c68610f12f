.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
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

fresh: .venv/.ready  ## prove that the generated code is what the contracts give
	$(MAKE) --no-print-directory protos GENERATED=out/generated
	diff -r -x __pycache__ out/generated/plumbline $(GENERATED)/plumbline

format: .venv/.ready  ## put the code into its one form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/.ready  ## style, import order of the rooms, contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/buf lint protos

types: .venv/.ready  ## types of everything but tests and generated code
	$(BIN)/mypy libs services

test: fresh lint types  ## set up and prove everything
	$(BIN)/pytest

up: setup  ## start the platform and leave it running
	$(BIN)/plumbline up

down: setup  ## stop the platform; its data stays
	$(BIN)/plumbline down

status: setup  ## what runs, where, since when
	$(BIN)/plumbline status

demo: setup  ## from a document to an evaluated answer, step by step
	$(BIN)/plumbline demo

bench-retrieval: setup  ## speed and quality of retrieval on public data, beside others (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.retrieval

bench-freshness: setup  ## news pages replayed while readers look and the index is killed (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.freshness

bench-growth: setup  ## what an index of 2,000, 20,000 and 200,000 passages takes (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.growth

bench-path: setup  ## what the path of an answer costs beside two bare hops
	$(BIN)/python -m tests.bench.path

bench-cache: setup  ## hits and misses among 1,000, 10,000 and 100,000 entries, beside GPTCache (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.cache

bench-invalidation: setup  ## how long a cached answer outlives its source's change, under load
	$(BIN)/python -m tests.bench.invalidation

bench-cache-store: setup  ## what the store of the cache takes at 1,000, 10,000 and 100,000 entries, in process (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.cache_store

bench-generation: setup  ## what the generation service adds to a bare model endpoint, beside the LiteLLM proxy
	$(BIN)/python -m tests.bench.generation

train-guards: setup  ## learn what attacks read like, and write the detector's file (PLUMBLINE_DATA)
	$(BIN)/python -m plumbline_guards.training $${PLUMBLINE_DATA:-../shared/data}

eval-guards: setup  ## personal data and attacks found in public data, by type, what is taken for an attack, and what looking costs (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.guards

bench-prompts: setup  ## what of a prompt the local model keeps between requests, and which order of passages helps it (PLUMBLINE_DATA)
	nice -n 10 $(BIN)/python -m tests.bench.prompts

eval-grounding: setup  ## what the check of sentences finds in public data, by language, and what it costs (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.grounding

eval-leaks: setup  ## 20,000 questions of callers who must not get what other tenants, groups and releases are answered with
	nice -n 5 $(BIN)/python -m tests.bench.leaks

eval-audits: setup  ## how often the comparison of audited hits is wrong, and when the switch throws (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.audits

eval-conversation: setup  ## retrieval for the last turn of conversations, by what it was made into (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.conversation

eval-answers: setup  ## what answers of the local model, of extracts and of both are worth, grounded and not (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.answers

eval-answerability: setup  ## how well it is known beforehand that no passage found answers (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.answerability

train-answerability: setup  ## choose its weights anew on half of the questions, then measure on the other half (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.answerability --train

eval-cache: setup  ## repeated questions that are answered from memory, and how many wrongly: cosine alone and the whole decision (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.cache_quality

train-sameness: setup  ## choose the weights of that decision anew on half of the pairs (PLUMBLINE_DATA)
	$(BIN)/python -m tests.bench.cache_quality --train

results: setup  ## write docs/results.md from the newest figures
	$(BIN)/python -m tests.bench.results

clean:  ## stop the platform and remove all that was made, data included
	test ! -x $(BIN)/plumbline || $(BIN)/plumbline down
	rm -rf .venv .plumbline out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help setup lock protos fresh format lint types test up down status demo bench-retrieval bench-freshness bench-growth bench-path bench-cache bench-cache-store bench-invalidation bench-generation bench-prompts train-guards eval-guards eval-grounding eval-leaks eval-audits eval-conversation eval-answers eval-answerability train-answerability eval-cache train-sameness results clean
