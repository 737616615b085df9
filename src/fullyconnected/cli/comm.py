"""``fullyconnected comm``: the network between processes, and from how many rows on a further machine pays."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fullyconnected.cli.console import print_result
from fullyconnected.core.wording import in_ascii, many
from fullyconnected.errors import ConfigError

if TYPE_CHECKING:
    from fullyconnected.comm.measure import Measured
    from fullyconnected.comm.model import Interconnect

__all__ = ["arguments", "run"]

MACHINES = (2, 4, 8, 16, 32, 64, 128, 256)
ENOUGH = 0.8  # of so many times the speed of one machine
ROWS = 1024
MUCH = 1.5  # times as long as the model says, above which a step has waited for something else
MOST_HOSTS = 4  # that are named


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser."""
    add = parser.add_argument
    add("--comm", choices=("auto", "mpi", "torch"), default="auto",
        help="what has started the processes: mpiexec or srun (mpi), or torchrun (default: %(default)s)")  # fmt: skip
    add("--layers", default="784,512,512,10", metavar="N,N,...",
        help="widths of the network, from the inputs to the outputs (default: %(default)s)")  # fmt: skip
    add("--batch-size", type=int, metavar="N",
        help=f"rows of a batch, which the processes share (default: {ROWS:,} for each of them)")  # fmt: skip
    add("--seconds", type=float, default=10.0, metavar="S", help="how long to measure, about (default: %(default)s)")
    add("--json", action="store_true", help="print it as JSON, for programs")


def run(options: argparse.Namespace) -> int:
    """Measure, and let the first process print what was found."""
    from fullyconnected.comm.choice import choose
    from fullyconnected.comm.measure import measure
    from fullyconnected.core.checks import count, number

    layers = _widths(options.layers)
    seconds = number("--seconds", options.seconds, above=True)
    if options.batch_size is not None:
        count("--batch-size", options.batch_size)
    comm = choose(options.comm)
    rows = ROWS if options.batch_size is None else -(-options.batch_size // comm.size)
    found = measure(comm, layers, rows, seconds)
    if comm.rank == 0:
        print_result(_as_json(found) if options.json else "".join(f"{line}\n" for line in _lines(found)))
    return 0


def _widths(text: str) -> list[int]:
    parts = text.split(",")
    if len(parts) < 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(f"--layers is the widths of a network, such as 784,512,512,10; got {text!r:.80}")
    return [int(part) for part in parts]


def _as_json(found: Measured) -> str:
    from dataclasses import asdict

    told = asdict(found)
    told["work"] = found.work._asdict()
    told["link"] = None if found.link is None else found.link._asdict()
    told["hosts"] = [asdict(host) for host in found.hosts]
    if found.link is not None:
        told["model"] = [_row_of_model(machines, found, found.link) for machines in MACHINES]
    return json.dumps(told, indent=2) + "\n"


def _row_of_model(machines: int, found: Measured, link: Interconnect) -> dict[str, Any]:
    from fullyconnected.comm import model

    return {
        "machines": machines,
        "step": model.step(machines, found.rows, found.work, link),
        "efficiency": model.efficiency(machines, found.rows, found.work, link),
        "rows_for_efficiency": model.rows_for_efficiency(machines, found.work, link, ENOUGH),
        "rows_to_gain": model.rows_to_gain(machines, found.work, link),
    }


def _lines(found: Measured) -> Iterator[str]:
    from fullyconnected.cli import findings

    name = "-".join(map(str, found.layers))
    yield from findings.paragraph(_of_processes(found))
    for host in found.hosts:
        if host.load is not None and host.load > host.cores / 2:
            yield from findings.paragraph(
                f"{in_ascii(host.name)}: the load average is {host.load:g} on {many(host.cores, 'core')}, so others "
                f"work here, too, and the times below are longer than they need be."
            )
        if host.threads > host.cores:
            yield from findings.paragraph(
                f"{in_ascii(host.name)}: {many(host.threads, 'thread')} share {many(host.cores, 'core')}, so each is "
                f"slower than it would be alone. Start fewer processes there, or give each fewer threads "
                f"(OMP_NUM_THREADS=1)."
            )
    yield ""
    yield from findings.paragraph(
        f"{name}: {found.parameters:,} parameters; a step of {many(found.rows, 'row')} on a process takes "
        f"{_time(found.alone[found.rows])} alone ({found.work.flops / 1e9:.3g} Gflop/s, and "
        f"{_time(found.work.fixed)} whatever the rows)."
    )
    if found.link is None:
        yield ""
        yield from findings.paragraph(
            "This is one process, and there is no network to measure. Start several, and on several machines: "
            "mpiexec -n 2 fullyconnected comm (on a cluster: srun -n 2 fullyconnected comm; with PyTorch: "
            "torchrun --nproc-per-node 2 -m fullyconnected comm)"
        )
        return
    yield from _of_sums(found, found.link)
    yield from _of_model(found, found.link)


def _of_processes(found: Measured) -> str:
    hosts = found.hosts
    names = ", ".join(in_ascii(host.name) for host in hosts[:MOST_HOSTS]) + ", ..." * (len(hosts) > MOST_HOSTS)
    where = f"on {many(len(hosts), 'host')} ({names})"
    told = f"{found.processes} process{'es' * (found.processes > 1)} {where}, {many(found.threads, 'thread')} in each; "
    told += f"engine {found.engine}"
    if found.processes == 1:
        return f"{told}."
    told += f"; sums by {found.comm}"
    if len(hosts) == 1:
        told += ". They share the memory of one host: what is measured is no network between machines"
    return f"{told}."


def _of_sums(found: Measured, link: Interconnect) -> Iterator[str]:
    """Yield what was measured of sums, and of whole steps."""
    from fullyconnected.cli import findings
    from fullyconnected.comm import model

    n, rows, both = found.work.bytes, found.rows, found.together
    assert both is not None
    yield ""
    yield from findings.paragraph(f"A sum of numbers over all {found.processes} processes:")
    cells = [(_bytes(size), _time(seconds), f"{size / seconds / 1e9:.3g}") for size, seconds in found.sums.items()]
    yield from findings.of_numbers(("size", "time", "GB/s"), cells)
    bandwidth = "any bandwidth" if math.isinf(link.bandwidth) else f"{link.bandwidth / 1e9:.3g} GB/s"
    yield from findings.paragraph(
        f"By a fit to these, a message takes {_time(link.latency)}, and {bandwidth} go from one process to another."
    )
    yield ""
    expected, fit = model.step(found.processes, rows, found.work, link), model.all_reduce(found.processes, n, link)
    yield from findings.paragraph(
        f"A step of all processes, {rows:,} rows each, takes {_time(both)}: {_time(found.alone[rows])} is what each "
        f"computes, and {_time(found.sums[n])} the sum of {_bytes(n)} (by the fit {_time(fit)}). The model below says "
        f"{_time(expected)}."
    )
    if both > MUCH * expected:
        yield from findings.paragraph(
            "That is much longer than its parts: the processes wait for one another, since cores do other work, too, "
            "or one process is slower than the others. What follows is for machines that are free."
        )


def _of_model(found: Measured, link: Interconnect) -> Iterator[str]:
    """Yield from how many rows a further machine pays, and what the model says of many."""
    from fullyconnected.cli import findings
    from fullyconnected.comm import model

    size, work = found.processes, found.work
    gain, double = (model.rows_to_gain(size, work, link, more) for more in (size + 1, 2 * size))
    enough = model.rows_for_efficiency(size, work, link, ENOUGH)
    yield ""
    yield from findings.paragraph(
        f"A further machine pays from {_rows(gain)} a machine on: with larger batches than {math.ceil(gain * size):,} "
        f"rows, {size + 1} machines that share a batch are faster than {size}. Twice as many are from {_rows(double)} "
        f"on. From {_rows(enough)} on each, {size} are {ENOUGH * size:.3g} times as fast as one, {ENOUGH:.0%} of what "
        f"they could be."
    )
    yield ""
    yield from findings.paragraph(
        f"A model, not a measurement: more machines like these, {found.rows:,} rows on each, any two linked as those "
        f"above are."
    )
    cells = []
    for machines in MACHINES:
        row = _row_of_model(machines, found, link)
        cells.append(
            (f"{machines}", _time(row["step"]), f"{row['efficiency']:.0%}", f"{row['rows_for_efficiency']:,.0f}")
        )
    yield from findings.of_numbers(("machines", "step", "share", f"rows for {ENOUGH:.0%}"), cells)
    yield from findings.paragraph("share: of so many times the speed of one machine, with the same batch.")


def _rows(rows: float) -> str:
    return many(max(1, round(rows)), "row")


def _time(seconds: float) -> str:
    """Return a time with its unit.

    >>> _time(0), _time(4.2e-6), _time(0.0123), _time(98.7)
    ('0 s', '4.2 us', '12.3 ms', '98.7 s')
    """
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= 0.9995 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-6:.2g} us" if seconds >= 5e-9 else "0 s"


def _bytes(n: int) -> str:
    """Return a number of bytes with its unit.

    >>> _bytes(4_000), _bytes(2_678_824), _bytes(12)
    ('4 kB', '2.68 MB', '12 bytes')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= unit:
            return f"{n / unit:.3g} {name}"
    return f"{n} bytes"
