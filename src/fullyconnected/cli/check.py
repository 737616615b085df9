"""``fullyconnected check``: every registered layer, activation and loss against central differences."""

import argparse
import sys

from fullyconnected.cli.console import comparison_status, print_result
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing to the parser: the command has no options of its own."""


def run(options: argparse.Namespace) -> int:
    """Check all gradients, and print the result."""
    from fullyconnected.checking.proof import prove

    stream = Stream(sys.stderr)

    def progress(done: int, total: int) -> None:
        if (done % 50 == 0 or done == total) and stream.isatty():
            stream.write(f"\r{done:,} of {total:,} networks" + "\n" * (done == total))

    proof = prove(progress=progress)
    print_result(f"{proof}\n")
    return comparison_status(wrong=proof.wrong, ok=proof.ok)
