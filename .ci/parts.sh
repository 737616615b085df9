# The parts of CI: each is a function below, and can be run alone (.ci/run NAME, .ci/nightly NAME). .ci/run and
# .ci/nightly source this file in the repository's root; each has a list of the parts that it runs.
set -euo pipefail
export VENV=${VENV:-.ci-venv}
unset PYTHONDONTWRITEBYTECODE   # as in the Makefile

# Run the tests whose numbers and texts could be different elsewhere: all except those that tests/conftest.py marks
# `anywhere`, in as many processes as there are processors.
elsewhere() { # VARIABLE=VALUE... [options of pytest, which begin with a minus]
    make --silent "$VENV/.ready"
    local variables=()
    while [[ $# -gt 0 && "$1" != -* ]]; do
        variables+=("$1")
        shift
    done
    env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "${variables[@]}" \
        "$VENV/bin/python" -m pytest -q -n auto -p no:cacheprovider -m "not anywhere" "$@" tests
}

processor_has() { # FLAG...
    local flag
    [ "$(uname -m)" = x86_64 ] || { echo "not as on another processor: this is no x86-64 processor"; return 1; }
    for flag in "$@"; do
        grep -qw "$flag" /proc/cpuinfo || { echo "not as on that processor: this one has no $flag"; return 1; }
    done
}

demo() { # the demonstration for newcomers
    make demo
}

check() { # formatter, linters, types, all tests, including pages in Chromium and Firefox
    make check
}

sanitize() { # the native engine under the address, undefined-behaviour and thread sanitizers, with its widest kernels
    make sanitize
}

emulate() { # the library on an emulated processor without AVX
    make emulate
}

# The tests elsewhere run once, with all that is old and poor at once. Which of it a failure comes from is seen by running
# what .ci/nightly has alone: prescott, narrow, c-locale, packages. It has other processors, too: haswell, skylakex; and
# with each it also repeats the tests that tests/conftest.py marks `seldom`.
OLD=(OPENBLAS_CORETYPE=Prescott FULLYCONNECTED_CPU=plain)
AVX2=(OPENBLAS_CORETYPE=Haswell FULLYCONNECTED_CPU=avx2)
AVX512=(OPENBLAS_CORETYPE=SkylakeX FULLYCONNECTED_CPU=avx512)
NARROW=(COLUMNS=40)
ASCII=(LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0)

has_avx2() { processor_has avx2 fma; }
has_avx512() { processor_has avx2 fma avx512f avx512dq avx512bw avx512vl; }

# Set OLD_HERE to the variables that make OpenBLAS, NumPy and the native engine of $VENV what they are on a processor of
# 2004, without AVX; to none where this is no processor that could be one.
old_here() {
    OLD_HERE=()
    make --silent "$VENV/.ready"
    local wide
    wide=$("$VENV/bin/python" -c 'from numpy._core._multiarray_umath import __cpu_dispatch__ as d, __cpu_features__ as f
print(*(name for name in d if f.get(name)))')
    if processor_has pni; then OLD_HERE=("${OLD[@]}" NPY_DISABLE_CPU_FEATURES="$wide"); fi
}

# Create a separate environment with the project, its tools and extras, and further requirements. With the same Python
# the native engine is built where it was built for $VENV, so that its kernels are not compiled again.
environment() { # FOLDER PYTHON [REQUIREMENT...]
    local folder=$1 python=$2 built=$1
    shift 2
    if [ "$python" = python3 ]; then built=$VENV; fi
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
    "$folder/bin/python" -m pip install --quiet --group dev --group build "$@"
    FULLYCONNECTED_REQUIRE_NATIVE=1 "$folder/bin/python" -m pip install --quiet --no-build-isolation \
        --config-settings=build-dir="$built/native" --editable ".[examples]" "$@"
}

# Create $VENV-oldest with the oldest packages that are allowed.
oldest_environment() {
    local lowest
    lowest=$(python3 -c 'import re, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
for requirement in project["dependencies"] + extras["sklearn"] + extras["tables"] + extras["playground"]:
    name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()
    print(f"{name}=={version}.0")')
    # shellcheck disable=SC2086
    environment "$VENV-oldest" python3 $lowest
    VENV=$VENV-oldest make --silent --touch "$VENV-oldest/.ready"   # else it would be installed, and built, again
    "$VENV-oldest/bin/python" -m pip list 2>/dev/null | grep -iE "^(numpy|safetensors|scikit-learn|narwhals) "
}

oldest() { # with the oldest packages, as on a processor of 2004 (no AVX), in an ASCII locale, in 40 columns
    oldest_environment
    local -x VENV=$VENV-oldest
    old_here
    elsewhere "${OLD_HERE[@]}" "${ASCII[@]}" "${NARROW[@]}" -m "not anywhere and not seldom"
}

# --- nightly ----------------------------------------------------------------------------------------------------------

haswell() { # as on a processor of 2013, with AVX2 (OpenBLAS, native engine), with today's packages
    has_avx2 || return 0
    elsewhere "${AVX2[@]}"
}

skylakex() { # as on a processor of 2017, with AVX-512 (OpenBLAS, native engine), with today's packages
    has_avx512 || return 0
    elsewhere "${AVX512[@]}"
}

prescott() { # as on a processor of 2004, without AVX (OpenBLAS, NumPy, native engine), with today's packages
    old_here
    elsewhere "${OLD_HERE[@]}"
}

packages() { # with the oldest packages that are allowed
    oldest_environment
    VENV=$VENV-oldest elsewhere
}

narrow() { # in a terminal of 40 columns
    elsewhere "${NARROW[@]}"
}

c-locale() { # in a locale whose encoding is ASCII
    elsewhere "${ASCII[@]}"
}

find_python() { # VERSION: prints a Python that runs and can create environments (a pyenv shim may lead to none)
    local found
    for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python "$(uv python find "$1" 2>/dev/null)"; do
        if "$found" -c "import ensurepip, sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$found"
            return
        fi
    done
}

whole_suite_on() { # VERSION
    local python
    python=$(find_python "$1")
    if [ -z "$python" ]; then
        echo "skipped: there is no Python $1 here (looked for python$1, in pyenv's versions, and by uv)"
        return
    fi
    environment "$VENV-$1" "$python"
    "$VENV-$1/bin/python" --version
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$VENV-$1/bin/python" -m pytest -q -n auto -p no:cacheprovider
}

python-3.11() { whole_suite_on 3.11; } # the whole suite on each Python
python-3.12() { whole_suite_on 3.12; }
python-3.13() { whole_suite_on 3.13; }
python-3.14() { whole_suite_on 3.14; }

sanitizers() { # the native engine under the sanitizers, with each set of kernels
    make sanitize KERNELS=every
}

blas() { # a BLAS that sums in a different order for each shape and address, as some do
    make --silent "$VENV/.ready"
    "${CXX:-c++}" -std=c++20 -O2 -ffp-contract=off -shared -fPIC -o "$VENV/other_blas.so" tests/other_blas.cpp
    local seed
    for seed in 1 2 3; do
        elsewhere LD_PRELOAD="$PWD/$VENV/other_blas.so" SEED_OF_SUMS=$seed
    done
}

one-core() { # on a single processor of this machine
    make --silent "$VENV/.ready"
    taskset -c 0 "$VENV/bin/python" -m pytest -q -p no:cacheprovider -m "not anywhere" tests
}

shuffled() { # tests in another order, and with another seed of Python's hashes
    make --silent "$VENV/.ready"
    local seed
    for seed in 1 2; do
        elsewhere PYTHONHASHSEED=$seed FULLYCONNECTED_SHUFFLE=$seed
    done
}

exhaustive() { # all combinations, and all random examples, of which the tests otherwise try a part
    elsewhere FULLYCONNECTED_EXHAUSTIVE=1 -m "" --ignore=tests/browser
}

browsers() { # every page at every width, in each theme, by each control, in Chromium and in Firefox
    FULLYCONNECTED_EXHAUSTIVE=1 make browser
}

docs() { # the site of the documentation, as users build it; the tests that check runs build and walk the same
    make docs
}

cortex-m4() { # files of C on an emulated microcontroller, and by Clang
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq >/dev/null || true
        apt-get install -y -qq --no-install-recommends clang gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
            >/dev/null
    fi
    make --silent "$VENV/.ready"
    FULLYCONNECTED_REQUIRE_CORTEX_M4=1 "$VENV/bin/python" -m pytest -q -n auto -p no:cacheprovider \
        tests/exchange/test_cortex_m4.py tests/exchange/test_quantised.py
}

# Run tests of the exchange with another project, in an environment that has the project's tools and that project.
beside() { # NAME TESTS REQUIREMENT...
    local folder=$VENV-$1 tests
    read -ra tests <<<"$2"
    shift 2
    environment "$folder" python3 "$@"
    OMP_NUM_THREADS=1 "$folder/bin/python" -m pytest -q -n auto -p no:cacheprovider "${tests[@]}"
}

pytorch() { # networks as modules of PyTorch, and back
    beside pytorch "tests/exchange/test_pytorch.py tests/exchange/test_operations.py" "torch==2.13.0"
}

onnx() { # files of ONNX that PyTorch and skl2onnx write
    beside onnx tests/exchange/test_onnx_makers.py "torch==2.13.0" onnxscript skl2onnx
}

torchrun() { # processes that train together, started by torchrun
    beside torchrun tests/comm/test_torch.py "torch==2.13.0"
}

keras-onnx() { # files of ONNX that Keras and tf2onnx write
    beside keras-onnx tests/exchange/test_onnx_makers.py "tensorflow-cpu==2.21.0" "keras==3.15.1" "tf2onnx==1.17.0"
}

keras() { # networks as models of Keras, and back, with each of its backends
    environment "$VENV-keras" python3 "keras==3.15.1" "torch==2.13.0" jax "tensorflow-cpu==2.21.0"
    local backend
    for backend in torch jax tensorflow; do
        OMP_NUM_THREADS=1 KERAS_BACKEND=$backend "$VENV-keras/bin/python" -m pytest -q -n auto -p no:cacheprovider \
            tests/exchange/test_keras.py tests/exchange/test_operations.py
    done
}

search() { # searches over hyperparameters on the workers of Dask and of Ray
    beside search "--dist=loadfile tests/estimators/test_search.py tests/test_examples.py::test_search" \
        "dask==2026.8.0" "distributed==2026.8.0" "ray==2.60.0"
}

cuda() { # the kernels of the CUDA engine by CUDA's compiler, and its functions of cuBLAS; neither needs a GPU
    beside cuda tests/cuda/test_libraries.py "cupy-cuda12x==14.2.0" nvidia-cuda-nvrtc-cu12 nvidia-cublas-cu12
}

# --- running parts ----------------------------------------------------------------------------------------------------

list() { # PART...
    local part
    for part in "$@"; do
        printf '  %-12s %s\n' "$part" "$(sed -n "s/^$part() {.*# *//p" .ci/parts.sh)"
    done
}

run_parts() { # PART...: runs the parts, and finally prints how long each took
    local part began report=""
    for part in "$@"; do
        if ! declare -F "$part" >/dev/null; then
            echo "there is no part '$part'; .ci/run --help and .ci/nightly --help list them" >&2
            exit 2
        fi
    done
    for part in "$@"; do
        echo "=== $part"
        began=$SECONDS
        "$part"
        report+="$(printf '%-12s %4d s' "$part" $((SECONDS - began)))"$'\n'
    done
    printf '%s' "$report"
}
