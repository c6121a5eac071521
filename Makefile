# Everything that a person does with Pasarela, in short lines. `make` or `make help` lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install -qq --constraint constraints.txt
PROJECTS := $(wildcard */pyproject.toml) constraints.txt
ARGS ?=
ENGINE ?= $(or $(shell command -v docker),$(shell command -v podman),docker)
PEERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pasarela-peers

.PHONY: help setup serve test lint format proto client-sync benchmark benchmark-peers compatibility conversion exports loadtest knee peers variants browser train docs fuzz chaos soak audit image image-check up down monitoring-check clean

help:  ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.serve: $(PROJECTS)
	@echo "Installing what serving on a CPU needs into .venv (OpenVINO, ONNX Runtime; about a minute) …"
	@$(PYTHON) -m venv .venv
	@$(PIP) --upgrade pip
	@$(PIP) -e proto -e 'server[onnxruntime,openvino]' -e 'client[media,video]'
	@touch $@

.venv/.dev: .venv/.serve pyproject.toml
	@echo "Installing training and the development tools into .venv (PyTorch: several GB, some minutes) …"
	@$(PIP) -e proto -e 'server[nvjpeg,onnxruntime,openvino,pytorch]' -e 'client[media,video]' -e training --group dev
	@touch $@

setup: .venv/.dev  ## create .venv with everything: serving, training, development tools

serve: .venv/.serve  ## serve model_repository/ on port 8001 (ARGS="--grpc-port 9001" for flags)
	@exec $(BIN)/pasarela-server --model-repository model_repository $(ARGS)

test: .venv/.dev  ## run all tests (ARGS="-k nms" for a part)
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: .venv/.dev  ## style, types, one-way imports, and that what is generated is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p pasarela_server -p pasarela_client -p pasarela_training
	$(BIN)/mypy loadtest tests
	$(BIN)/lint-imports
	PYTHON=$(BIN)/python proto/check.sh
	$(BIN)/python client/generate_sync.py --check

format: .venv/.dev  ## put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: .venv/.dev  ## regenerate the stubs in proto/pasarela_proto/
	PYTHON=$(BIN)/python proto/generate.sh

client-sync: .venv/.dev  ## write the client for threads from the one for asyncio
	$(BIN)/python client/generate_sync.py

benchmark: .venv/.dev  ## bare engine, pipeline in process and server; writes docs/performance.md (half an hour; ARGS="--help")
	$(BIN)/python -m loadtest.benchmark $(ARGS)

benchmark-peers: .venv/.dev  ## the same images sent to Triton and MLServer, which it installs outside the project (2 GB)
	@loadtest/peers/setup.sh $(PEERS)
	PEERS=$(PEERS) $(BIN)/python -m loadtest.benchmark --only peers peers-raw $(ARGS)

conversion: .venv/.dev  ## time the conversion of 200,000 annotation files against a plain reader (minutes)
	$(BIN)/python -m pasarela_training.dataset.benchmark --files 200000 --rounds 1 --folder runs/conversion $(ARGS)

exports: .venv/.dev  ## export every family in every format with Ultralytics, serve and compare (half an hour; ARGS="v8 26")
	$(BIN)/python -W ignore -m tests.parity.export_matrix $(ARGS)

loadtest: .venv/.dev  ## start the server, load it with Locust, leave an HTML report (ARGS="--list" for scenarios)
	$(BIN)/python loadtest/run.py $(ARGS)

knee: .venv/.dev  ## how many requests a second the server carries: by search, and by saturation (minutes)
	$(BIN)/python loadtest/run.py knee $(ARGS)

variants: .venv/.dev  ## serve each variant of the detector by itself, and say which one to run (minutes; ARGS="--help")
	$(BIN)/python -m loadtest.variants $(ARGS)

browser:  ## see to it that there is a Chromium, in which tests look at pages
	@tests/browser.sh

train: .venv/.dev  ## from nothing to a published model_repository/ (about half an hour on 2 idle cores)
	$(BIN)/pasarela-training run --config training/configs/demo.yaml $(ARGS)

docs: .venv/.dev  ## write the generated pages, check links, commands and examples
	$(BIN)/python docs/generate.py
	$(BIN)/python server/monitoring/grafana/build_dashboard.py
	$(BIN)/pytest tests/docs $(ARGS)

peers:  ## clients of others that do not fit into .venv: perf_analyzer, KServe (half a GB, outside the project)
	@tests/interop/peers.sh $(PEERS)

compatibility: .venv/.dev  ## run the clients of others against the server, write docs/compatibility.md
	@PASARELA_PERF_ANALYZER=$${PASARELA_PERF_ANALYZER:-$(PEERS)/perf_analyzer/run} \
	PASARELA_KSERVE_PYTHON=$${PASARELA_KSERVE_PYTHON:-$(PEERS)/kserve/bin/python} \
	$(BIN)/pytest tests/interop --compatibility-page docs/compatibility.md $(ARGS)

fuzz: .venv/.dev  ## over a million wrong inputs, in process and over a socket (half an hour; ARGS="--help")
	$(BIN)/python -m tests.fuzz $(ARGS)

chaos: .venv/.dev  ## faults on a real server under load, nothing may be lost (minutes; ARGS="--list")
	$(BIN)/python -m tests.chaos $(ARGS)

soak: .venv/.dev  ## mixed load and reloads for an hour: memory, threads, descriptors, answers (ARGS="--minutes 10")
	$(BIN)/python -m tests.soak $(ARGS)

audit:  ## what scanners find: bandit in the code, pip-audit in what it depends on (tools outside the project)
	@tests/audit.sh $(PEERS)/audit

image:  ## build the serving image, for a GPU where there is one (KIND=cpu or KIND=gpu decides)
	@kind=$$(server/images/choose.sh) && set -x && \
	$(ENGINE) build --file Dockerfile.$$kind --tag pasarela:$$kind --tag pasarela:latest $(ARGS) .

image-check: .venv/.serve  ## run the image that `make image` built: not as root, read-only, ready, answering, stopping
	@ENGINE=$(ENGINE) server/images/check.sh pasarela:latest $(MOST_MB)

up:  ## the server in a container with Prometheus and Grafana, for this machine's hardware (PROFILES=loadtest adds Locust)
	@COMPOSE_PROFILES=$$(server/images/choose.sh)$(PROFILES:%=,%) $(ENGINE) compose up --build --detach $(ARGS)

down:  ## stop what `make up` started
	@COMPOSE_PROFILES=cpu,gpu,loadtest $(ENGINE) compose down $(ARGS)

monitoring-check: .venv/.dev  ## ask a real Prometheus for each panel of the dashboard, and try each alert (two minutes)
	@server/monitoring/check.sh $(ARGS)

clean:  ## remove .venv, caches, runs and reports (never model_repository/)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache runs loadtest/reports
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf proto/*.egg-info server/*.egg-info client/*.egg-info training/*.egg-info
