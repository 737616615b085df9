# Every target makes what it needs: a virtual environment in $(VENV) with the project and its tools.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/.tools
READY := $(VENV)/.ready

# the tests share the cores among processes, so that each needs one thread for its matrix products
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

CPP := $(wildcard native/src/*.?pp native/src/kernels/*.hpp)
NATIVE := native/CMakeLists.txt $(wildcard native/*.cmake) $(CPP)

# the installation knows modules by their files: one that comes, goes or becomes a folder is to be installed anew
MODULES := $(VENV)/.modules-$(shell find src -name '*.py' | LC_ALL=C sort | cksum | cut -d ' ' -f 1)

# Where there is a compiler, an engine that cannot be built is an error here, and not left out as in an installation.
COMPILER := $(shell command -v $${CXX:-c++} || command -v g++ || command -v clang++)
export FULLYCONNECTED_REQUIRE_NATIVE ?= $(if $(COMPILER),1,0)

# Where there is a Chromium, pages are tested in it as well; with FULLYCONNECTED_REQUIRE_BROWSER=1 there has to be one.
CHROMIUM := $(shell command -v chromium-headless-shell || command -v chromium || command -v google-chrome)
BROWSER := $(if $(CHROMIUM),$(VENV)/.browser)

.PHONY: demo quick test browser check format sanitize emulate clean

$(TOOLS): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("fullyconnected needs Python 3.11 or newer; this is " + sys.version) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "No virtual environment can be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV): half a minute or so."
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(MODULES): | $(TOOLS)
	@rm -f $(VENV)/.modules-*
	@touch $@

$(READY): $(TOOLS) $(NATIVE) $(MODULES)   # again after every change of the C++: it builds what has changed
	@$(if $(COMPILER),,echo "No C++ compiler is found: the native engine is left out. On Debian and Ubuntu: apt install g++")
	$(BIN)/python -m pip install --quiet --no-build-isolation --config-settings=build-dir=$(VENV)/native --editable ".[examples]"
	@touch $@

$(VENV)/.browser: $(TOOLS) | $(READY)   # one pip after the other
	$(BIN)/python -m pip install --quiet --group browser
	@touch $@

demo: $(READY)   ## train a network on handwritten digits, and look at it
	$(BIN)/python examples/digits.py

quick: $(READY)   ## before every commit, in less than a minute: what `check` runs, but for slow tests (tests/conftest.py)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/mypy
	$(PYTEST) -q -m "not slow"

test: $(READY) $(BROWSER)   ## the whole test suite
	$(PYTEST)

browser: $(READY) $(VENV)/.browser   ## the tests in a real browser alone; they fail where there is no Chromium
	FULLYCONNECTED_REQUIRE_BROWSER=1 $(PYTEST) tests/browser

check: $(READY) $(BROWSER)   ## what CI runs: format, lint, types, import ranks, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/mypy
	$(PYTEST)

format: $(READY)   ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CPP)

sanitize: $(READY)   ## the native engine's tests under the address, undefined-behaviour and thread sanitizers
	native/sanitize.sh $(VENV)

emulate: $(READY)   ## the library on a processor without AVX
	@if command -v qemu-x86_64 > /dev/null; then \
		QEMU_CPU=Nehalem qemu-x86_64 $(BIN)/python tests/native/emulated.py; \
	else \
		echo "qemu-x86_64 is not here: skipped. On Debian and Ubuntu: apt install qemu-user"; \
	fi

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
