"""``fullyconnected import``: a network that was trained elsewhere, as a file of the library."""

import argparse
import sys

from fullyconnected.cli.console import check_output
from fullyconnected.core.wording import many, printable
from fullyconnected.training.progress import Stream

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    parser.add_argument("file", metavar="FILE", help="file to read: NAME.onnx, NAME.keras, NAME.h5, NAME.hdf5, or "
                        "weights of PyTorch as NAME.safetensors")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="MODEL", required=True, help="file to write the network to")
    parser.add_argument("--activation", metavar="NAME", help="what stands between the layers of a file that has "
                        "weights alone, such as relu, or identity for none")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Read the file, write the network, and say what it is."""
    from fullyconnected.exchange.arrivals import arrival_of, read

    by = arrival_of(options.file)
    check_output(options.output, options.file)
    net = read(options.file, options.activation)
    net.save(options.output)
    Stream(sys.stdout).write(
        f"{printable(options.output)}: a network from a file of {by.what}: {many(net.n_in, 'input')}, "
        f"{many(net.n_out, 'output')}, {many(net.n_params, 'parameter')}, {net.dtype}\n"
    )
    return 0
