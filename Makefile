# Every target installs by itself what it needs. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak format clean

PYTHON := .venv/bin/python

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: .venv/.ready .guest/root ## the main job, without a cluster: pods one after another and at once, one cache
	@$(PYTHON) -m demo

# The same samples every time; `make soak` draws others on each run.
test: .venv/.ready .guest/root ## all tests, on this machine and in the test guest
	DIND_SEED=$${DIND_SEED:-11} $(PYTHON) -m pytest -m "not soak" $(PYTEST_ARGS)

check: .venv/.ready ## formatting, lint, types, shell scripts
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/shellcheck $$(grep -d skip -lE '^#!/(bin/sh|usr/bin/env bash)' .ci/* scripts/* tests/guest/* tests/dockers/* webhook/*.sh)

soak: .venv/.ready .guest/root ## what takes long: every kill, a hundred thousand pods
	$(PYTHON) -m pytest -m "soak or sampled" $(PYTEST_ARGS)

bench: .venv/.ready .guest/root ## speed, as ratios to floors measured in the same run
	@scripts/bench

format: .venv/.ready ## format and fix what can be fixed by itself
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

clean: ## remove what the other targets made
	rm -rf .venv .guest build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

.venv/.ready: requirements-dev.lock scripts/setup
	@scripts/setup

.guest/root: tests/guest/fetch.sh
	@tests/guest/fetch.sh $@
	@touch $@

# --- into a cluster ---------------------------------------------------------------------------------

.PHONY: bundle image image-test deploy undeploy

IMAGE ?=

bundle: .venv/.ready ## the driver with an interpreter of its own, in build/bundle
	@$(PYTHON) -m flexvol.bundle build/bundle

image: ## build the image, as IMAGE=NAME (and BASE=…)
	@scripts/image $(or $(IMAGE),dind-slab:latest)

image-test: .venv/.ready ## build the image without a registry, and start its programs
	@scripts/image-test

deploy: ## build, push and apply, as IMAGE=REGISTRY/NAME:TAG
	@IMAGE='$(IMAGE)' scripts/deploy

undeploy: ## take it out of the cluster again (PURGE=1: the nodes' caches too)
	@scripts/undeploy
