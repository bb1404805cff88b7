# Everything starts from a bare machine with python, git and make. `make help` lists the targets.
PORT ?= 8000
DATA_DIR ?= var
export PORT DATA_DIR

BIN := .venv/bin
PYTHON := $(BIN)/python
STAMP := .venv/installed

.PHONY: help setup demo up test lint types bench advisories schema lock clean-data

help:
	@grep -E '^[a-z-]+:.*#' $(MAKEFILE_LIST) | sed -E 's/:.*# /\t/' | expand -t 14

setup: $(STAMP)  # make .venv and install the locked, hashed requirements

$(STAMP): requirements.txt requirements-setup.txt .ci/find-python
	@echo "Setting up .venv (about a minute) ..."
	@test -x $(PYTHON) || { python=$$(sh .ci/find-python) && "$$python" -m venv .venv; }
	@$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@$(BIN)/uv pip sync -q --python $(PYTHON) --require-hashes requirements.txt
	@touch $@

demo: $(STAMP)  # start everything with two demo tenants, print the logins, stay until Ctrl-C
	@exec $(PYTHON) manage.py demo

up: $(STAMP)  # start everything without demo data
	@exec $(PYTHON) manage.py up

test: lint types  # lint, types and all tests on real engines
	@$(PYTHON) -m pytest

lint: $(STAMP)
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/lint-imports --no-logo

types: $(STAMP)
	@$(BIN)/mypy

bench: $(STAMP)  # each job beside its physical limit, in the same run
	@$(PYTHON) manage.py bench

advisories: $(STAMP)  # ask the public advisories about every locked version
	@$(PYTHON) -m pip_audit -r requirements.txt --disable-pip --no-deps --progress-spinner off

schema: $(STAMP)  # after a migration was added: write anew what a new database begins with
	@$(PYTHON) manage.py write_schema

lock:  # write the locked requirements anew from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --all-extras --python-version 3.12 --upgrade --no-header --no-annotate pyproject.toml -o requirements.txt
	@grep -oE '^uv==[0-9.]+' requirements.txt | $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements-setup.txt
