"""The results of benchmarks/accuracy.py and benchmarks/ablation.py: a CSV file that grows by a row for each score."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["append", "read"]


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of the file, or none if there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: dict[str, Any], columns: Sequence[str]) -> None:
    """Add a row to the file, which begins with the names of the columns."""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        if new:
            writer.writeheader()
        writer.writerow(row)
