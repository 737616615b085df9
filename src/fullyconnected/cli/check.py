"""``fullyconnected check``: the proof of everything that is registered."""

import argparse
import sys

from fullyconnected.cli.console import compared, put
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes to its parser: nothing of its own."""


def run(options: argparse.Namespace) -> int:
    """Prove, and print what was found."""
    from fullyconnected.checking.proof import prove

    stream = Stream(sys.stderr)

    def tell(done: int, total: int) -> None:
        if (done % 50 == 0 or done == total) and stream.isatty():
            stream.write(f"\r{done:,} of {total:,} networks" + "\n" * (done == total))

    proof = prove(tell=tell)
    put(f"{proof}\n")
    return compared(wrong=proof.wrong, ok=proof.ok)
