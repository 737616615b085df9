"""What the benchmarks beside other libraries print: the rows of their tables, and their figures."""

import math
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

__all__ = ["figure", "head", "installed", "row", "spread"]


def figure(values: list[float] | None) -> str:
    """Return the median with three significant digits, or with all digits before the point."""
    if not values:
        return "-"
    middle = median(values)
    return f"{middle:.{max(0, 2 - math.floor(math.log10(middle)))}f}"


def spread(values: list[float], form: str = ".2f") -> str:
    return f"{median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def head(titles: list[str]) -> None:
    row(titles)
    row(["---"] + ["---:"] * (len(titles) - 1))


def row(cells: list[Any]) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def installed(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"
