"""Tables that the commands are tried on."""

import csv

import numpy as np
import pytest

from fullyconnected.cli import main

QUICK = ["--members", "2", "--hidden", "8", "--epochs", "8"]


def write(path, columns):
    """Write a dict of columns as CSV, and return the path."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def flats(rows=160, seed=0):
    """Flats with text, gaps and dates: a table whose prices follow from some of its columns."""
    rng = np.random.default_rng(seed)
    size, city = rng.normal(80, 20, rows).round(1), rng.choice(["Oslo", "Bergen", "Tromso"], rows)
    price = 40 * size + 900 * (city == "Oslo") + 100 * rng.normal(size=rows)
    days = np.datetime64("2024-01-01") + np.sort(rng.integers(0, 300, rows))
    gaps = rng.random(rows) < 0.1
    return {
        "key": [f"flat-{i:04d}" for i in range(rows)],
        "size": ["" if gap else f"{value}" for gap, value in zip(gaps, size, strict=True)],
        "city": city.tolist(),
        "listed": [str(day) for day in days],
        "house": (np.arange(rows) // 4).tolist(),
        "dear": ["yes" if value > 3500 else "no" for value in price],
        "price": [f"{value:.2f}" for value in price],
    }


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def error_of(capsys):
    """A function that returns the one line with which a command fails."""

    def error_of(*arguments):
        assert main([str(each) for each in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("fullyconnected: error: ")
        assert captured.err.count("\n") == 1
        return captured.err.strip().removeprefix("fullyconnected: error: ")

    return error_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of prices, one of classes, and the table of both."""
    folder = tmp_path_factory.mktemp("trained")
    table = write(folder / "flats.csv", flats())
    rest = ["--id", "key", *QUICK, "-q"]
    assert main(["train", table, "--target", "price", "--ignore", "dear", *rest, "-o", str(folder / "price")]) == 0
    assert main(["train", table, "--target", "dear", "--ignore", "price", *rest, "-o", str(folder / "dear")]) == 0
    return str(folder / "price"), str(folder / "dear"), table
