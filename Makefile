# Every target first creates what it needs: a virtual environment in $(VENV) with the project and its tools.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/.tools
READY := $(VENV)/.ready

# the tests run in as many processes as there are cores, so each uses one thread for its matrix products; each process
# begins with tests that stand together, such as those that share a browser, and takes others from one that has more left
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

CPP := $(wildcard native/src/*.?pp native/src/kernels/*.hpp)
NATIVE := native/CMakeLists.txt $(wildcard native/*.cmake) $(CPP)

# the installation has a list of the modules' files: it is repeated when a module is added, removed or becomes a folder
MODULES := $(VENV)/.modules-$(shell find src -name '*.py' | LC_ALL=C sort | cksum | cut -d ' ' -f 1)

# If there is a compiler, a native engine that cannot be built is an error here; pip would install without the engine.
COMPILER := $(shell command -v $${CXX:-c++} || command -v g++ || command -v clang++)
export FULLYCONNECTED_REQUIRE_NATIVE ?= $(if $(COMPILER),1,0)

# Pages are also tested in Chromium and in Firefox, where there is one; with FULLYCONNECTED_REQUIRE_BROWSER=1 a missing
# one is an error.
BROWSERS := $(shell for b in chromium-headless-shell chromium google-chrome firefox-esr firefox; do command -v $$b; done)
BROWSER := $(if $(BROWSERS),$(VENV)/.browser $(VENV)/.docs)

# The tests start hundreds of processes, which load the modules faster once Python may keep them compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo quick test browser check docs format sanitize emulate clean

$(TOOLS): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("fullyconnected needs Python 3.11 or newer; this is " + sys.version) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "A virtual environment could not be created; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV); this takes about half a minute."
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(MODULES): | $(TOOLS)
	@rm -f $(VENV)/.modules-*
	@touch $@

$(READY): $(TOOLS) $(NATIVE) $(MODULES)   # after a change of the C++ code, it builds what has changed
	@$(if $(COMPILER),,echo "There is no C++ compiler, so the native engine is left out. On Debian and Ubuntu: apt install g++")
	$(BIN)/python -m pip install --quiet --no-build-isolation --config-settings=build-dir=$(VENV)/native --editable ".[examples]"
	@touch $@

$(VENV)/.browser: $(TOOLS) | $(READY)   # after $(READY), as two pips must not run at once
	$(BIN)/python -m pip install --quiet --group browser
	@touch $@

$(VENV)/.docs: $(TOOLS) | $(READY) $(if $(BROWSERS),$(VENV)/.browser)
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(VENV)/.mpich: $(TOOLS) | $(READY)
	$(BIN)/python -m pip install --quiet --prefix $(VENV)/mpich --group mpich
	@touch $@

demo: $(READY)   ## train a network on handwritten digits, and show the results
	$(BIN)/python examples/digits.py

quick: $(READY)   ## before every commit, in less than a minute: `check` without the slow tests (tests/conftest.py)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/mypy
	$(PYTEST) -q -m "not slow and not long"

test: $(READY)   ## the tests, in less than five minutes: without the long ones, such as those in a browser
	$(PYTEST) -m "not long"

browser: $(READY) $(VENV)/.browser $(VENV)/.docs   ## only the tests in real browsers; without Chromium and Firefox they fail
	FULLYCONNECTED_REQUIRE_BROWSER=1 $(PYTEST) tests/browser

check: $(READY) $(VENV)/.mpich $(BROWSER)   ## what CI runs: format, lint, types, import ranks, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/mypy
	$(PYTEST)

docs: $(READY) $(VENV)/.docs   ## the site of the documentation, into build/site
	$(BIN)/python docs/site/build.py

format: $(READY)   ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CPP)

sanitize: $(READY)   ## the native engine's tests under the address, undefined-behaviour and thread sanitizers; KERNELS=every: with each set of kernels
	native/sanitize.sh $(VENV) $(KERNELS)

emulate: $(READY)   ## the library on an emulated processor without AVX
	@if command -v qemu-x86_64 > /dev/null; then \
		QEMU_CPU=Nehalem qemu-x86_64 $(BIN)/python tests/native/emulated.py; \
	else \
		echo "skipped: qemu-x86_64 is not installed. On Debian and Ubuntu: apt install qemu-user"; \
	fi

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
