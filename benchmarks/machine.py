"""What the benchmarks say of the machine that they run on."""

import platform
from pathlib import Path

try:
    from fullyconnected import _native
except ImportError:
    _native = None


def caches() -> str:
    """Return the sizes of its caches, as the native engine finds them."""
    if _native is None:
        return "caches unknown without the native engine"
    *levels, sharing = _native.caches()
    sizes = [f"{size >> 10} kB" if size % (1 << 20) else f"{size >> 20} MB" for size in levels if size]
    return f"caches of {', '.join(sizes)}" + (f", the last for {sharing} logical processors" if levels[2] else "")


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
