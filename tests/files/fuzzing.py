"""Damaged model files by the thousand, each loaded. A script, so that a crash is seen and memory can be limited.

``fuzzing.py COUNT SEED FOLDER`` prints how many files loaded and how many were refused, or fails with the seed.
"""

import copy
import json
import random
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

import fullyconnected as fc

VALUES = [
    *(None, True, False, 0, 1, -1, 2, 5, 0.5, 1e-300, 1e308, 10**12, 10**30, 10**400, 2**63, 2**64, -(10**12)),
    *("", "a", "dense", "relu", "float64", "layers", "\ud800", "x" * 3000, "__class__", "../etc", [], {}, [[]], [{}]),
    *({"layer": "dense", "settings": {"n_in": 10**12, "n_out": 10**12}}, {"layer": "residual", "settings": {}}),
    *({"activation": "leaky_relu", "settings": {"slope": 0.1}}, {"layer": "dropout", "settings": {"rate": 0.5}}),
    *({"loss": "huber", "settings": {"delta": 0.5}}, {"loss": "hinge", "settings": {}}, {"unknown": "Mine"}),
]


def originals(folder):
    """Write valid files of several kinds, and return their bytes."""
    path, files = folder / "original", []
    block = fc.Residual([fc.LayerNorm(), fc.Residual([fc.Dense(4, 5, "elu"), fc.Dropout(0.5), fc.Dense(5, 4)])])
    for net in (
        fc.mlp([3, 4, 2], seed=0),
        fc.Network([fc.Dense(3, 4, "gelu"), fc.BatchNorm(), block, fc.Activation("softmax")], seed=0, dtype="float64"),
        fc.Network([fc.Activation("leaky_relu", n_in=5)], seed=0),
    ):
        net.save(path)
        files.append(path.read_bytes())
    path.unlink()
    net = fc.Network([fc.Dense(3, 4, "relu"), fc.BatchNorm(), fc.Dense(4, 1)], seed=0)
    fc.fit(net, np.eye(3), [1, 2, 3], "huber", epochs=2, patience=2, metrics=["r2"], checkpoint=path, progress=False)
    return [*files, path.read_bytes()]


def damaged_bytes(data, rng):
    """Flip, cut, insert, repeat, move or blank what may be anything."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.6 else rng.randrange(min(len(data), 40) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 8, 100)))
        kind = rng.randrange(7)
        if kind < 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2 and at < len(data):
            data[at] = rng.choice(b'\0\xff0129{}[]",:\\' + bytes([rng.randrange(256)]))
        elif kind == 3:
            data[at:to] = b""
        elif kind == 4:
            data[at:at] = rng.choice((data[at:to], rng.randbytes(to - at), b"\0" * 8, b"[" * 200))
        elif kind == 5:
            data[at:to] = bytes(to - at)
        elif kind == 6 and rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def damaged_header(data, rng):
    """Damage the text of the header alone, with its length told truly."""
    size = int.from_bytes(data[:8], "little")
    header = damaged_bytes(data[8 : 8 + size], rng)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def places(node, found):
    """Collect every place of a JSON value: the object or list, and the key or index."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        found.append((node, key))
        if isinstance(node[key], dict | list):
            places(node[key], found)
    return found


def damaged_description(data, rng):
    """Alter the description of the network, or a tensor, and leave the file a valid one of safetensors."""
    content = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["fullyconnected"])
    tensors = load(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        node, key = rng.choice(places(content, []))
        kind = rng.randrange(8)
        if kind < 3:
            node[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 3:
            del node[key]
        elif kind == 4:
            node[key] = rng.choice((lambda v: [v], lambda v: {"a": v}, lambda v: [v, copy.deepcopy(v)], str))(node[key])
        elif kind == 5 and isinstance(node, dict):
            node[rng.choice((key + "s", "name", "self", "", "kw_only"))] = node.pop(key)
        elif kind == 6:
            other, place = rng.choice(places(content, []))
            node[key] = json.loads(json.dumps(other[place]))
        elif tensors:
            name = rng.choice(list(tensors))
            tensor = tensors.pop(name)
            tensors[rng.choice((name, name, name + "x", "run.y"))] = rng.choice(
                (
                    lambda a: a.reshape(-1),
                    lambda a: a[None],
                    lambda a: a.T,
                    lambda a: a[:0],
                    lambda a: a.astype(rng.choice(("float16", "float64", "int32", "uint8", "bool"))),
                    lambda a: np.full_like(a, rng.choice((np.nan, np.inf, 1e30)) if a.dtype.kind == "f" else 1),
                )
            )(tensor)
    text = json.dumps(content)
    if rng.random() < 0.1:
        text = damaged_bytes(text.encode(), rng).decode(errors="replace")
    return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, {"fullyconnected": text})


def limit_memory(extra):
    """Let this process take that much more address space, where the system can be told so."""
    try:
        import resource

        now = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    resource.setrlimit(resource.RLIMIT_AS, (now + extra, now + extra))


def load_all(count, seed, folder):
    """Load every damaged file: a network that predicts, or an error of the library, soon and in little memory."""
    rng, loaded = random.Random(seed), 0
    np.seterr(all="ignore")
    files, path, usual = originals(folder), folder / "damaged", 0.0
    for data in files:
        path.write_bytes(data)
        fc.load(path)
        began = time.process_time()
        for _ in range(20):
            fc.load(path)
        usual = max(usual, (time.process_time() - began) / 20)  # of this process alone, whatever else runs here
    tracemalloc.start()
    limit_memory(200 << 20)
    for case in range(count):
        kind = rng.choice((damaged_bytes, damaged_header, damaged_description))
        data = kind(rng.choice(files), rng)
        path.unlink()  # a new file is quicker than one cut short: some file systems write that out at once
        path.write_bytes(data)
        tracemalloc.reset_peak()
        before, began = tracemalloc.get_traced_memory()[0], time.process_time()
        net, refusal = None, ""
        try:
            net = fc.load(path)
        except fc.errors.FileFormatError as error:
            refusal = str(error)
        took, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1] - before
        assert took < 1000 * usual, f"case {case} of seed {seed} took {took} s, and a whole file {usual} s"
        assert peak < 20 * len(data) + 2_000_000, f"case {case} of seed {seed} took {peak} bytes for {len(data)}"
        assert len(refusal) < 2000
        if net is not None and net.n_in < 10**6:
            loaded += 1
            assert net.predict(np.zeros((2, net.n_in))).shape == (2, net.n_out)
    return f"{loaded} of {count} damaged files loaded"


if __name__ == "__main__":
    sys.stdout.write(load_all(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
