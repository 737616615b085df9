"""Files of C run on an emulated Cortex-M4, a small microcontroller, and their own tests pass; .ci/nightly runs this."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import fullyconnected as fc
from tests.exchange.networks import NETWORKS, rows_for
from tests.exchange.test_formats import STRICT
from tests.exchange.test_quantised import WITHOUT

COMPILER, EMULATOR = shutil.which("arm-none-eabi-gcc"), shutil.which("qemu-system-arm")
CPU = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
MACHINE = ["-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "null"]
START = Path(__file__).with_name("cortex_m4.c")
REQUIRED = os.environ.get("FULLYCONNECTED_REQUIRE_CORTEX_M4", "0") != "0"

pytestmark = pytest.mark.skipif(
    not (REQUIRED or (COMPILER and EMULATOR)), reason="arm-none-eabi-gcc and qemu-system-arm are needed"
)


def status(path, standard="-std=c99"):
    """Return the exit status of a file of C as a program."""
    object_, program = path.with_suffix(".o"), path.with_suffix(".elf")
    subprocess.run([COMPILER, *CPU, *STRICT, standard, "-O2", "-DFC_MAIN", "-c", path, "-o", object_], check=True)
    link = ["--specs=rdimon.specs", "-Wl,--section-start=.vectors=0", "-lm"]
    subprocess.run([COMPILER, *CPU, "-O2", START, object_, *link, "-o", program], check=True)
    run = [EMULATOR, *MACHINE, "-kernel", program, "-semihosting-config", "enable=on,target=native"]
    return subprocess.run(run, check=False, timeout=60).returncode


@pytest.mark.parametrize("name", NETWORKS)
def test_the_self_test_passes(name, tmp_path):
    fc.exchange.to_c(NETWORKS[name](dtype="float32"), path := tmp_path / "net.c")
    assert status(path) == 0


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in WITHOUT])
def test_the_self_test_passes_in_int8(name, tmp_path):
    net = NETWORKS[name](dtype="float32")
    fc.exchange.to_c(net, path := tmp_path / "net.c", "int8", rows_for(net, 60, seed=3))
    for standard in ("-std=c99", "-std=gnu11"):  # of which the latter contracts products and sums, unless it is told
        assert status(path, standard) == 0


def test_the_self_test_finds_a_wrong_weight(tmp_path):
    fc.exchange.to_c(fc.mlp([2, 3, 1], seed=0), path := tmp_path / "net.c")
    text = path.read_text("utf-8")
    start = text.index("fc_b2[1]")
    path.write_text(text[:start] + text[start:].replace("0.0f", "0.001f", 1), "utf-8")
    assert status(path) == 1
