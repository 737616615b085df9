"""Measure how long ``import fullyconnected`` takes after ``import numpy``, each time in a new process.

python benchmarks/import_time.py [--rounds 15]

What the first round compiles is kept, as for any user, even where PYTHONDONTWRITEBYTECODE is set.
"""

import argparse
import os
import statistics
import subprocess
import sys

CODE = """
import time
began = time.perf_counter()
import numpy
middle = time.perf_counter()
import fullyconnected
print(middle - began, time.perf_counter() - middle)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times = []
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(rounds + 1):
        command = [sys.executable, "-c", CODE]
        out = subprocess.run(command, env=kept, capture_output=True, text=True, check=True).stdout
        times.append([float(word) for word in out.split()])
    for name, seconds in zip(("numpy", "fullyconnected after it"), zip(*times[1:], strict=True), strict=True):
        spread = f"lowest {min(seconds):.3f}, highest {max(seconds):.3f}"
        print(f"{name:<24} median {statistics.median(seconds):.3f} s, {spread}")


if __name__ == "__main__":
    main()
