# hivemem: `make help` lists the targets.

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
HIVEMEM := $(TARGET_DIR)/release/hivemem
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help setup build demo example test test-python crash histories graph-reference pdf-reference lint bench bench-python eval clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Fetch ONNX Runtime and the embedding model into the cache (once)
	@$(PYTHON) scripts/setup.py

build: ## Build the release binary
	cargo build --release

demo: setup build ## Start a server, ingest two repositories, show searches and a context pack
	@scripts/demo.sh

# A virtual environment beside the build outputs.
PYTHON_ENV := $(abspath $(TARGET_DIR))/python-env
$(PYTHON_ENV)/bin/python:
	@$(PYTHON) -m venv "$(PYTHON_ENV)"

# The model is that of HIVEMEM_LLM_BASE_URL, HIVEMEM_LLM_MODEL and HIVEMEM_LLM_API_KEY, or a scripted one.
example: setup build $(PYTHON_ENV)/bin/python ## Have a swarm document a repository (REPOSITORY=DIR), kill it, and resume it
	@"$(PYTHON_ENV)/bin/python" -m pip install -q './clients/python[swarm]'
	@scripts/example.sh "$(PYTHON_ENV)/bin/python"

# Beside a PostgreSQL server, which some of them read.
test: setup ## Run all tests
	$(PYTHON) scripts/postgres.py "$(abspath $(TARGET_DIR))/postgres" cargo test --workspace

# The tests take HIVEMEM_BINARY, else what is built here.
test-python: setup $(PYTHON_ENV)/bin/python ## Run the tests of the Python package against a built server
	@"$(PYTHON_ENV)/bin/python" -m pip install -q './clients/python[dev]'
	cd clients/python && CARGO_TARGET_DIR="$(abspath $(TARGET_DIR))" "$(PYTHON_ENV)/bin/python" -m pytest

crash: setup ## Kill the server at random moments, KILLS times (200), and check that nothing is lost
	HIVEMEM_CRASH_KILLS=$(or $(KILLS),200) cargo test --test crash -- --nocapture

histories: setup ## Play random histories against a naive model, CASES of them (1000)
	PROPTEST_CASES=$(or $(CASES),1000) cargo test --lib history_tests

PDFS ?= /usr/share/doc
pdf-reference: ## Compare the words of the PDFs below PDFS=… with those that pdftotext finds
	@folder="$(abspath $(TARGET_DIR))/pdf-reference"; rm -rf "$$folder"; mkdir -p "$$folder"; \
	find "$(abspath $(PDFS))" -name '*.pdf' -size +10k | head -60 | while read -r file; do \
	    cp "$$file" "$$folder/"; pdftotext -enc UTF-8 "$$file" "$$folder/$$(basename "$$file" .pdf).txt"; \
	done; \
	HIVEMEM_REFERENCE_PDFS="$$folder" cargo test --lib words_of_real_pdfs -- --nocapture

# The sources are those that tests/graph/reference.jsonl names; scripts/graph_reference.py makes it anew.
REFERENCE := $(abspath $(TARGET_DIR))/graph-reference
graph-reference: ## Compare what is read off real packages with what a compiler and a language server say
	@for package in click==8.1.8 httpx==0.28.1; do \
	    folder="$(REFERENCE)/$$(echo $$package | sed 's/==/-/')"; \
	    [ -d "$$folder" ] || $(PYTHON) -m pip install -q --no-deps --no-compile "$$package" -t "$$folder"; \
	done
	HIVEMEM_REFERENCE_PACKAGES="$(REFERENCE)" cargo test --lib reference_tests -- --nocapture

lint: ## Check formatting and clippy, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: setup ## Run the benchmarks
	cargo bench --workspace

# Over the release server: HIVEMEM_BINARY, else what `make build` made.
bench-python: setup $(PYTHON_ENV)/bin/python ## Measure the Python runtime: a node, memory, resuming 10,000 nodes
	@"$(PYTHON_ENV)/bin/python" -m pip install -q './clients/python[swarm]'
	HIVEMEM_BINARY="$(or $(HIVEMEM_BINARY),$(abspath $(HIVEMEM)))" "$(PYTHON_ENV)/bin/python" clients/python/benches/runs.py

# One set per directory in EVAL (several may be given, or a pattern: EVAL='sets/*'). What kind of set it is shows in its
# files, unless KIND=retrieval|routing|memory|code says it.
eval: setup build ## Measure quality and latency on labelled sets: EVAL=DIR… [KIND=…]
	@test -n "$(EVAL)" || { echo "which sets? make eval EVAL=DIR [KIND=retrieval|routing|memory|code]" >&2; exit 2; }
	@set -e; for set in $(EVAL); do \
	    if [ -n "$(KIND)" ]; then kind="$(KIND)"; \
	    elif [ -f "$$set/routes.jsonl" ]; then kind=routing; \
	    elif [ -d "$$set/repos" ]; then kind=code; \
	    elif [ -f "$$set/corpus.jsonl" ]; then kind=retrieval; \
	    elif ls "$$set"/*/corpus.jsonl >/dev/null 2>&1; then kind=memory; \
	    else echo "skipped $$set: no labelled set in it" >&2; continue; fi; \
	    echo "== $$set ($$kind)"; \
	    $(HIVEMEM) eval "$$kind" "$$set"; \
	done

clean: ## Remove build outputs (the model cache stays)
	cargo clean
