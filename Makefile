# The commands of this repository. Each does its own set-up; `make` alone lists them.

# Which Python to make the environment with, such as PYTHON=python3.13; empty: the first that fits.
PYTHON ?=
# Where `make demo` leaves what it made.
OUT ?= demo-out
# What `make bench` measures.
CLIP ?= $(OUT)/scene.mp4
MODEL ?= person_large
# Which Debians `make install-trial` makes.
SUITES ?= bookworm trixie
# `make models`: labelled pictures to train on; pictures of people and of faces to measure on.
DATA ?=
PEOPLE ?= $(wildcard ../shared/images/coco_val128)
FACES ?= $(wildcard ../shared/images/faces_lfw10)
# A film in which a person comes and goes, for `make arm64`; if it is absent, the demo's scene.
PERSON_CLIP ?= $(firstword $(wildcard ../shared/clips/signers/book.mkv) $(CLIP))
# Films in which people come and go, for `make soak`, and how long it lasts.
SOAK_CLIPS ?= $(or $(wildcard ../shared/clips/signers/book.mkv ../shared/clips/one_by_one_person.mp4),$(CLIP))
MINUTES ?= 20
# Further words for pytest, such as ARGS="-k tracker".
ARGS ?=

# Where weights are looked for, besides the user's cache: a folder beside the repository, if any.
CAMERA_APP_MODEL_PATH ?= $(wildcard ../shared/models)
export CAMERA_APP_MODEL_PATH

export CAMERA_APP_PYTHON := $(or $(PYTHON),$(CAMERA_APP_PYTHON))
BIN := .venv/bin
WORKSHOP := .venv-workshop/bin

.DEFAULT_GOAL := help
.PHONY: help setup install install-trial demo test torture soak check ha arm64 docs bench workshop workshop-test converters models lock clean

help: ## list these commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## install the command camera-app into .venv
	@tools/setup.sh run

install: ## install as a service of this machine, or upgrade it; asks for root
	@$(if $(filter 0,$(shell id -u)),,sudo) systemd/install.sh install

install-trial: ## try the installer in a fresh Debian, from nothing to events and back; root, minutes
	@tools/setup.sh demo
	@test -e '$(CLIP)' || $(BIN)/camera-app demo --out $(OUT) >/dev/null
	@$(BIN)/python -m tools.install_trial --clip '$(CLIP)' $(SUITES:%=--suite %)

demo: ## play a made scene through the whole camera and show what a subscriber hears
	@tools/setup.sh demo
	@$(BIN)/camera-app demo --out $(OUT)

test: check ## run the checks and all tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

torture: ## cut, kill and fill everything that an event passes, at every step, minutes
	@tools/setup.sh dev
	@$(BIN)/python -m pytest tests/torture --torture $(ARGS)

soak: ## run the service for MINUTES=20 while everything around it goes away and returns
	@tools/setup.sh dev
	@$(BIN)/python -m tools.soak $(addprefix --clip ,$(SOAK_CLIPS)) --minutes $(MINUTES) --page docs/reliability.md

check: ## format, lint, types, security, and which room may import which
	@tools/setup.sh dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit -q -c pyproject.toml -r camera_app tools
	@$(BIN)/python -m tools.audit

ha: ## try the camera with the real Home Assistant, two versions of it, minutes once they are installed
	@tools/setup.sh dev
	@$(BIN)/python -m tools.home_assistant

arm64: ## carry out Dockerfile.arm64 in an emulated root, and use what came out, minutes, as root
	@tools/setup.sh demo
	@$(BIN)/python -m tools.arm64 --clip '$(PERSON_CLIP)'

docs: ## write the generated reference pages
	@tools/setup.sh run
	@$(BIN)/python -m tools.docs.configuration
	@$(BIN)/python -m tools.docs.wire
	@$(BIN)/python -m tools.docs.doctor
	@$(BIN)/python -m tools.docs.metrics
	@$(BIN)/python -m tools.docs.grafana

bench: ## measure the speed of the whole replay against its ceiling
	@tools/setup.sh run
	@$(BIN)/camera-app bench $(CLIP) --model $(MODEL)

workshop: ## install the model workshop into .venv-workshop, 2.6 GB
	@tools/setup.sh workshop

workshop-test: workshop ## run the tests that need the workshop
	@$(WORKSHOP)/python -m pytest -m workshop tests/workshop $(ARGS)

converters: workshop ## install what `convert` needs for ONNX and Keras networks, 4 GB
	@$(WORKSHOP)/python -m tools.workshop.environments

models: ## train and pack the shipped models anew from DATA=FOLDER, hours
	@test -n '$(DATA)' || { echo 'make models DATA=FOLDER: what to train on?' >&2; exit 2; }
	@tools/setup.sh workshop
	@PEOPLE='$(PEOPLE)' FACES='$(FACES)' tools/workshop/make_models.sh '$(DATA)'

lock: ## write requirements/ anew from pyproject.toml
	@tools/lock.sh

clean: ## remove everything that these commands made, runs and data sets aside
	rm -rf .venv .venv-workshop .venv-onnx .venv-keras .venv-ha $(OUT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
