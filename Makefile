# make help lists what there is to make. Everything is built inside this folder: .venv, .cache, build, dist, demo.

PYTHON  ?= $(call first-python,python3 python3.14 python3.13 python3.12 python3.11)
DOCKER  ?= docker
IMAGE   ?= openfm
# Options for `docker build`, such as --network=host.
DOCKER_BUILD_FLAGS ?=
# Options for pytest, such as -k records.
PYTEST_FLAGS ?=
# What to measure: parts of the benchmarks, or --quick.
BENCH ?=
# The Python of the benchmarks' other programs: one that their wheels are for.
PEERS_PYTHON = $(shell $(BIN)/python tests/support/interpreters.py 3.11 3.12 3.13)

VENV    := .venv
BIN     := $(VENV)/bin
MXNET   := .cache/mxnet
SDK     := .cache/sdk
OLDEST  := .cache/oldest
NATIVE  := pyproject.toml CMakeLists.txt $(wildcard src/openfm/native/*.cpp src/openfm/native/*.hpp)

# The first of the commands $(1) that is a Python this package runs on, else the first of them.
first-python = $(shell for python in $(1); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; \
	done; echo $(firstword $(1)))

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: help install demo demo-docker test test-oldest lint reference notebooks soak bench wheel image sdk-environments mxnet clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(VENV)/extras.stamp ## make .venv with openfm and all of its extras in it, editable, the C++ core built

demo: $(VENV)/openfm.stamp ## train, serve and score MNIST, natively
	$(BIN)/python examples/mnist_demo.py

demo-docker: $(VENV)/openfm.stamp image ## the same with the image
	$(BIN)/python examples/mnist_demo.py --docker $(IMAGE)

test: lint mxnet ## lint, types, and all tests but those that need Docker
	$(BIN)/python -m pytest -m "not docker and not sdk $$(test -e $(MXNET)/stamp || echo and not mxnet)" $(PYTEST_FLAGS)

test-oldest: $(OLDEST)/stamp ## the unit tests with the oldest versions of what openfm builds on
	$(OLDEST)/bin/python -m pytest tests/unit $(PYTEST_FLAGS)

lint: $(VENV)/tools.stamp ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

reference: export PYTHONPATH := tests
reference: $(VENV)/tools.stamp ## write those pages of docs/ that come out of the code: hyperparameters, environment, api, command line
	$(BIN)/python -m support.hyperparameter_page
	$(BIN)/python -m support.environment_page
	$(BIN)/python -m support.api_page
	$(BIN)/python -m support.command_line_page

notebooks: export PYTHONPATH := tests
notebooks: $(VENV)/tools.stamp ## execute the notebooks of examples/, and keep what they show
	$(BIN)/python -m support.notebooks

bench: $(VENV)/tools.stamp mxnet ## speed and memory beside other programs, an hour (BENCH=--quick: some minutes)
	@$(MAKE) --no-print-directory $(SDK)/v2/stamp || echo "NOTE: the SageMaker SDK v2 is left out" >&2
	$(BIN)/python -m benchmarks.peers.environments $(PEERS_PYTHON)
	$(BIN)/python -m benchmarks $(BENCH)

soak: export PYTHONPATH := tests
soak: $(VENV)/tools.stamp ## the long campaigns of soak/, about two hours; the last needs Docker and the image
	$(BIN)/python -m soak.resume
	$(BIN)/python -m soak.multi_model
	$(BIN)/python -m soak.load
	$(BIN)/python -m soak.stop
	$(BIN)/python -m soak.decoder
	$(BIN)/python -m soak.hosts

wheel: $(VENV)/tools.stamp ## a manylinux wheel for this Python, in dist/
	rm -rf build/wheel dist
	$(BIN)/python -m build --wheel --no-isolation --outdir build/wheel
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheel/*.whl

image: ## the Docker image
	$(DOCKER) build $(DOCKER_BUILD_FLAGS) --tag $(IMAGE) .

clean: ## remove what make made; downloaded data sets stay in .cache
	rm -rf $(VENV) $(MXNET) $(SDK) $(OLDEST) .cache/bench build dist demo

# The virtual environments. A stamp is newer than all that went into its part; those of an environment that is gone (or
# whose Python is) go too, before make looks at them.
$(shell test -x $(BIN)/python || rm -f $(VENV)/*.stamp)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "openfm needs Python 3.11 or newer and $(PYTHON) is not: install one, or name one: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# The pip that came with Python may be too old for --group.
	$(BIN)/python -m pip install --quiet "pip>=25.1"

$(VENV)/build.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --group build
	@touch $@

EDITABLE = $(BIN)/python -m pip install --quiet --no-build-isolation --config-settings=build-dir=build/editable --editable

$(VENV)/openfm.stamp: $(NATIVE) | $(VENV)/build.stamp
	$(EDITABLE) ".[serve]"
	@touch $@

$(VENV)/extras.stamp: $(VENV)/openfm.stamp
	$(EDITABLE) ".[all]"
	@touch $@

$(VENV)/tools.stamp: pyproject.toml $(VENV)/openfm.stamp
	$(BIN)/python -m pip install --quiet --group test --group lint --group wheel
	@touch $@

# The oldest Python and the oldest versions of the dependencies.
$(OLDEST)/stamp: tests/oldest.txt $(NATIVE) | $(VENV)/openfm.stamp
	@python=$$($(BIN)/python tests/support/interpreters.py 3.11) || { \
	    echo "the oldest versions need Python 3.11, on PATH or under pyenv" >&2; exit 1; }; \
	set -ex; \
	$$python -m venv --clear $(OLDEST); \
	$(OLDEST)/bin/python -m pip install --quiet "pip>=25.1"; \
	$(OLDEST)/bin/python -m pip install --quiet --constraint tests/oldest.txt --group build --group test; \
	$(OLDEST)/bin/python -m pip install --quiet --constraint tests/oldest.txt --no-build-isolation \
	    --config-settings=build-dir=build/oldest --editable ".[serve]"
	@touch $@

# The oracle of the artifact's tests: the MXNet that Amazon's container was built on, which runs on old Pythons only.
mxnet: $(VENV)/tools.stamp
	@if test -e $(MXNET)/stamp; then \
	    exit 0; \
	elif test $$(uname -m) != x86_64; then \
	    echo "NOTE: the tests against real MXNet 1.9.1 are left out: they need an x86-64 machine" >&2; \
	elif ! python=$$($(BIN)/python tests/support/interpreters.py 3.11 3.8); then \
	    echo "NOTE: the tests against real MXNet 1.9.1 are left out: they need Python 3.11 or 3.8 beside yours" >&2; \
	else \
	    set -ex; \
	    $$python -m venv --clear $(MXNET); \
	    $(MXNET)/bin/python -m pip install --quiet "mxnet==1.9.1" "numpy<1.24"; \
	    touch $(MXNET)/stamp; \
	fi

# The SageMaker Python SDKs, an environment each, and one with what stands for AWS.
sdk-environments: $(SDK)/aws/stamp $(SDK)/v1/stamp $(SDK)/v2/stamp $(SDK)/v3/stamp ## what the tests with the SageMaker SDKs need

$(SDK)/%/stamp: tests/sdk/environments/%.txt tests/sdk/environments/make | $(VENV)/openfm.stamp
	tests/sdk/environments/make $* $(BIN)/python $(@D)

$(SDK)/v3/stamp: tests/sdk/environments/v3-without-dependencies.txt

$(SDK)/v1/stamp: tests/sdk/environments/v1.txt tests/sdk/environments/make | $(VENV)/openfm.stamp
	@if python=$$($(BIN)/python tests/support/interpreters.py 3.8); then \
	    set -ex; \
	    tests/sdk/environments/make v1 $$python $(@D); \
	else \
	    echo "NOTE: the tests with SDK 1 are left out: they need Python 3.8, and there is none" >&2; \
	fi
