"""The caches of the processor: as the system tells them, what stands for what cannot be, and the user's own."""

import os
import subprocess
import sys

import pytest

native = pytest.importorskip("fullyconnected._native", reason="the native engine is not built")

NO_TREE = "/no/such/folder"
K, M = 1 << 10, 1 << 20
PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SAPPHIRE_RAPIDS = ("1 Data 48K 0-1", "1 Instruction 32K 0-1", "2 Unified 2048K 0-1", "3 Unified 61440K 0-1,4")


def tree(folder, *processors):
    """Write what Linux tells of these processors, each a list of caches; the last stands for all further ones."""
    for i, name in enumerate(PROCESSORS):
        for index, cache in enumerate(processors[min(i, len(processors) - 1)]):
            path = folder / f"cpu{name}" / "cache" / f"index{index}"
            path.mkdir(parents=True)
            for file, text in zip(("level", "type", "size", "shared_cpu_list"), cache.split(), strict=False):
                (path / file).write_text(text + "\n", encoding="utf-8")
    return str(folder)


def with_environment(caches, code="from fullyconnected import _native; print(*_native.caches())"):
    variables = os.environ | {"FULLYCONNECTED_CACHES": caches}
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)


def can_be(l1, l2, l3, sharing):
    return 8 * K <= l1 <= 256 * K and l1 <= l2 <= 256 * M and (l3 == 0 or l2 <= l3 <= 1024 * M) and sharing >= 1


def test_this_processor_has_caches():
    assert can_be(*native.caches())
    assert can_be(*native.caches_in(NO_TREE))  # as the processor itself tells them, or usual ones


def test_a_tree_is_read(tmp_path):
    assert native.caches_in(tree(tmp_path, SAPPHIRE_RAPIDS)) == (48 * K, 2 * M, 60 * M, 3)


@pytest.mark.skipif(len(PROCESSORS) < 2, reason="this process has one processor")
def test_of_different_processors_the_smallest_caches_count(tmp_path):
    fast = ("1 Data 48K 0", "1 Instruction 32K 0", "2 Unified 1280K 0", "3 Unified 24M 0-9")
    slow = ("1 Data 32K 1", "1 Instruction 64K 1", "2 Unified 2M 1-4", "3 Unified 24M 0-9")
    assert native.caches_in(tree(tmp_path, fast, slow)) == (32 * K, 1280 * K, 24 * M, 10)


@pytest.mark.parametrize(
    ("text", "sharing"), [("0", 1), ("0-1,4", 3), ("0-63,128-191", 128), ("1-0", 0), ("0,", 0), ("x", 0), ("0-1x", 0)]
)
def test_lists_of_processors(tmp_path, text, sharing):
    caches = (*SAPPHIRE_RAPIDS[:3], f"3 Unified 60M {text}")
    assert native.caches_in(tree(tmp_path, caches))[3] == (sharing or len(PROCESSORS))


@pytest.mark.parametrize(
    ("caches", "wanted"),
    [
        (("1 Data 32K 0", "2 Unified 256K 0"), (32 * K, 256 * K, 0)),
        (("1 Data 49152 0", "2 Unified 1M 0", "3 Unified 8M 0"), (48 * K, M, 8 * M)),
        (("1 Data 1048576K 0", "2 Unified 2M 0", "3 Unified 8M 0"), (32 * K, 2 * M, 8 * M)),
        (("1 Data 4K 0", "2 Unified 2M 0", "3 Unified 8M 0"), (32 * K, 2 * M, 8 * M)),
        (("1 Data 64K 0", "2 Unified 32K 0", "3 Unified 8M 0"), (64 * K, 512 * K, 8 * M)),
        (("1 Data 64K 0", "2 Unified 2M 0", "3 Unified 64K 0"), (64 * K, 2 * M, 0)),
        (("1 Data 64K 0", "2 Unified 2M 0", "3 Unified 99999999999M 0"), (64 * K, 2 * M, 0)),
        (("1 Data 64K 0", "2 Unified -1 0", "3 Unified K 0"), (64 * K, 512 * K, 0)),
        (("1 Data 64K 0", "2 Unified", "4 Unified 128M 0", "x Unified 1K 0"), (64 * K, 512 * K, 0)),
    ],
)
def test_usual_caches_stand_for_what_cannot_be(tmp_path, caches, wanted):
    assert native.caches_in(tree(tmp_path, caches))[:3] == wanted


def test_a_tree_that_tells_nothing_is_as_good_as_none(tmp_path):
    assert native.caches_in(tree(tmp_path, ("1 Data 0 0", "2 Unified 0 0"))) == native.caches_in(NO_TREE)


@pytest.mark.parametrize("text", ["49152,2097152,62914560,2", "48K,2M,60M,2", "48K,2048K,61440K,2"])
def test_the_environment_says_what_the_caches_are(text):
    done = with_environment(text)
    assert done.stdout.split() == ["49152", "2097152", "62914560", "2"], done.stderr


def test_the_environment_may_say_that_there_is_no_third_level():
    assert with_environment("32K,256K,0,1").stdout.split() == ["32768", "262144", "0", "1"]


def test_without_a_word_the_system_is_asked():
    assert with_environment("").stdout.split() == [str(n) for n in native.caches_in("/sys/devices/system/cpu")]


@pytest.mark.parametrize(
    "text",
    ["48K", "48K,2M,60M", "48K,2M,60M,2,", "48K,2M,60M,2 ", "48K, 2M,60M,2", "48k,2M,60M,2", "-48K,2M,60M,2", "0,0,0,0",
     "48K,2M,60M,0", "48K,32K,60M,2", "48K,2M,1M,2", "1M,2M,60M,2", "48K,2M,4096M,2", "48K,2M,60M,2K",
     "99999999999K,2M,60M,2", "all", ","],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(text):
    error = with_environment(text).stderr
    assert f"ValueError: FULLYCONNECTED_CACHES={text} does not say what caches can be; it is four numbers" in error
    assert "such as 48K,2M,60M,2: " in error


def test_the_engine_does_not_run_with_caches_that_cannot_be():
    code = "import fullyconnected as fc; print(*fc.engines()['native'])"
    done = with_environment("48K", code)
    assert done.stdout.startswith("False FULLYCONNECTED_CACHES=48K does not say"), done.stderr
