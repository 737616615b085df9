#!/usr/bin/env bash
# Runs the native tests under the sanitizers: sanitize.sh VENV [every], where VENV is the environment with the tools and
# the packages of the tests. Each build has an environment of its own inside VENV, which uses the packages of VENV.
# Without "every", the kernels are the widest ones alone: all sets are one source, and the widest vectors have the most
# entries beyond the end of an array that must not be touched.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

if [ "$(uname -s)" != Linux ]; then
    echo "The sanitizers are run on Linux alone: skipped"
    exit 0
fi

# Without AVX-512, the AVX-512 copy of the kernels is compiled to narrower instructions, so that its logic is tested.
wide=OFF sets="plain;avx2;avx512"
if [ "$(uname -m)" = x86_64 ] && ! grep -qw avx512vl /proc/cpuinfo; then wide=ON; fi
if [ "${2:-}" != every ]; then
    if grep -qw avx2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo; then sets=avx512; else sets=plain; fi
fi

build() { # NAME SANITIZERS SETS (of kernels)
    local here=$venv/$1
    "$venv/bin/python" -m venv --without-pip "$here"
    "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$("$here/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/packages.pth"
    "$venv/bin/python" -m pip --quiet --python "$here/bin/python" install --no-build-isolation --no-deps \
        --config-settings=build-dir="$here/native" --config-settings=cmake.define.FC_SANITIZE="$2" \
        --config-settings=cmake.define.FC_AVX512_AS_AVX2=$wide --config-settings=cmake.define.FC_KERNEL_SETS="$3" \
        --config-settings=install.strip=false --editable .
}

# Python itself is built without the sanitizer, so the sanitizer's library must be loaded before all others; and the C++
# library with it, or the sanitizer would not find the function that throws exceptions.
libraries() { # NAME...: the names of the libraries in GCC and Clang
    local name found
    for name in "$@" libstdc++.so; do
        found=$("$compiler" -print-file-name="$name")
        if [ "$found" != "$name" ]; then printf '%s ' "$found"; fi
    done
}

# Without the tests of an installation and of all that it has, and of time limits, which a sanitizer is too slow for.
tests() { # NAME WHICH
    timeout 900 ${as_expected:-} "$venv/$1/bin/python" -m pytest -q -n auto -p no:cacheprovider \
        -k "($2) and not installation and not the_best and not within_an_epoch" tests/native
}

export OPENBLAS_NUM_THREADS=1

# The kernels are the work of the compiler, one file for each set of them: both builds run at once. Threads meet in the
# pool and the engine alone, which are the same with each set, so that the plain kernels are enough for the second.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
build asan "address;undefined" "$sets" &
first=$!
build tsan thread plain &
second=$!
wait $first
wait $second
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$venv/asan/native/CMakeCache.txt")

preload=$(libraries libasan.so libubsan.so "libclang_rt.asan-$(uname -m).so" libclang_rt.asan.so)
# Python keeps much of its memory until it ends, which is not a leak of ours.
export ASAN_OPTIONS=detect_leaks=0
export UBSAN_OPTIONS=print_stacktrace=1
which=test  # all; but what is not the kernels' work is the same with each set of them
for kernels in $(LD_PRELOAD=$preload "$venv/asan/bin/python" -c 'from fullyconnected import _native; print(*_native.usable_kernels())'); do
    echo "address and undefined-behaviour sanitizers, kernels $kernels"
    # With frames kept for this option, GCC 12 puts variables of 64 bytes where AVX-512 cannot read them, and code stops.
    if [ "$kernels" = avx512 ]; then returned=0; else returned=1; fi
    export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1:detect_stack_use_after_return=$returned
    FULLYCONNECTED_CPU=$kernels LD_PRELOAD=$preload tests asan "$which"
    which="test_equality or test_vector_math"
done

preload=$(libraries libtsan.so "libclang_rt.tsan-$(uname -m).so" libclang_rt.tsan.so)
# Python and NumPy are not instrumented, so the sanitizer ignores races in their code. It needs addresses that are not
# randomised (setarch -R), and by default it ends a forked child process that starts threads.
export TSAN_OPTIONS=die_after_fork=0:ignore_noninstrumented_modules=1:halt_on_error=1:second_deadlock_stack=1
if setarch -R true 2>/dev/null; then as_expected="setarch -R"; fi
echo "thread sanitizer"
LD_PRELOAD=$preload tests tsan "thread or test_engine"
