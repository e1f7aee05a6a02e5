# pystack.infra: every target sets up what it needs, in this checkout, and can be run again and again.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Where Python 3.11 or newer is not `python3`: make setup PYTHON=/path/to/python
export PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.ansible
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# 0: the offline kit, 1: the real upstreams, auto: the real ones where conda's channel answers.
demo: export PYSTACK_UPSTREAM ?= auto
export PYSTACK_UPSTREAM ?= 0
ROLES := $(notdir $(wildcard roles/*))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Provide tools (.venv), the collection link and Docker Engine; seconds when all is there
	@scripts/setup

.PHONY: demo
demo: setup ## A container stands in for a droplet and becomes a Jupyter server; prints URL and password
	@python -m tests.demo up

.PHONY: demo-stop
demo-stop: setup ## Remove the demo's container
	@python -m tests.demo down

.PHONY: test
test: setup ## Everything: unit tests, scenarios, bad input, the browser
	@python -m pytest

.PHONY: test-unit
test-unit: setup ## The tests that need no container
	@python -m pytest tests/unit

.PHONY: lint
lint: setup ## ansible-lint (production), yamllint, ruff, mypy, generated documentation
	@ruff check .
	@ruff format --check --diff .
	@mypy
	@yamllint --strict .
	@ansible-lint --offline
	@python -m scripts.docs --check
	@echo "lint: clean"

.PHONY: docs
docs: setup ## Regenerate the references from argument specs and docstrings
	@python -m scripts.docs

.PHONY: bench
bench: setup ## Measure against the book's own script, a second run, and environments by engine
	@python -m benchmarks.bench
	@python -m benchmarks.environments

.PHONY: lock
lock: setup ## Resolve requirements/dev.in anew
	@uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --system-certs --no-header --no-annotate \
	  --upgrade --output-file requirements/dev.txt requirements/dev.in

.PHONY: clean
clean: ## Remove the kit's containers and everything made in this checkout; images stay in the engine
	@[ ! -x .venv/bin/python ] || { python -m tests.demo down; python -m tests.kit down; } 2>/dev/null || true
	@rm -rf .venv .ansible .cache .artifacts .mypy_cache .pytest_cache .ruff_cache .hypothesis
