"""``fullyconnected playground``: a small network that is trained before your eyes, in a browser."""

import argparse
import webbrowser

from fullyconnected.cli.console import print_result

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    add = parser.add_argument
    what = "a table of your own, whose last column is predicted, or a network with two inputs to go on with"
    add("what", nargs="?", metavar="TABLE.csv | MODEL.safetensors", help=what)
    add("--target", metavar="COLUMN", help="of a table, the column to predict (default: the last one)")
    add("--columns", metavar="A,B", help="of a table, the two columns to learn from (default: all, seen on a plane)")
    add("--link", metavar="LINK", help="a link of the playground, or its part behind #, to begin with")
    add("--port", type=int, default=0, metavar="N", help="the port on this machine (default: any that is free)")
    add("--no-browser", action="store_true", help="print the address, and open no browser")


def run(options: argparse.Namespace) -> int:
    """Serve the playground until Ctrl-C."""
    from fullyconnected.playing.public import house_of
    from fullyconnected.playing.serving import Server

    knobs = {name: value for name in ("target", "columns") if (value := getattr(options, name)) is not None}
    server = Server(house_of(options.what, options.link, knobs, framed=False), options.port)
    print_result(f"The playground is at {server.url}\nCtrl-C ends it.\n")
    if not options.no_browser:
        webbrowser.open(server.url)
    try:
        server.run()
    except KeyboardInterrupt:  # how it is ended
        return 0
    return 0
