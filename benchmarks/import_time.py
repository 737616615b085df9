"""Measure how long ``import fullyconnected`` takes after ``import numpy``, each time in a new process.

python benchmarks/import_time.py [--rounds 15]
"""

import argparse
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
    for _ in range(rounds + 1):
        out = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
        times.append([float(word) for word in out.split()])
    for name, seconds in zip(("numpy", "fullyconnected after it"), zip(*times[1:], strict=True), strict=True):
        spread = f"lowest {min(seconds):.3f}, highest {max(seconds):.3f}"
        print(f"{name:<24} median {statistics.median(seconds):.3f} s, {spread}")


if __name__ == "__main__":
    main()
