"""Write the tables of NumPy's normal numbers into the playground's engine_ziggurat.js.

The tables are those of the library libnpyrandom.a that NumPy's wheels contain, and not what the algorithm gives, since
their last digits were rounded in the C program that once made them: up to 76 units in the last place lie between them.
They are found by the first entry of wi and the rules that tie the tables to each other.
"""

import base64
from pathlib import Path

import numpy as np

R = 3.6541528853610087963519472518
INVERSE_R = 0.27366123732975827203338247596
FILE = Path(__file__).parent.parent / "src/fullyconnected/playground/page/engine_ziggurat.js"
N = 256


def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return fi, wi and ki, which follow each other in the library; ki as float64, which holds its 52 bits."""
    data = (Path(np.__file__).parent / "random/lib/libnpyrandom.a").read_bytes()
    last = np.array(R / 2**52, "<f8").tobytes()  # wi ends with it
    for end in (at + 8 for at in range(0, len(data) - 8) if data[at : at + 8] == last):
        wi = np.frombuffer(data, "<f8", N, end - 8 * N)
        fi = np.frombuffer(data, "<f8", N, end - 16 * N)
        ki = np.frombuffer(data, "<u8", N, end)
        heights = np.exp(-0.5 * np.square(wi[1:] * 2.0**52))
        widths = np.concatenate([[R], wi[1:-1] * 2.0**52]) / (wi[[0, *range(2, N)]] * 2.0**52) * 2.0**52
        if np.allclose(fi[1:], heights, rtol=1e-14, atol=0) and (abs(ki[[0, *range(2, N)]] - widths) <= 2).all():
            return fi, wi, ki.astype(np.float64)
    raise SystemExit("the tables are not in this NumPy's libnpyrandom.a: look for ziggurat_constants.h in its source")


def source() -> str:
    """Return the text of the module."""
    lines = [
        "// The tables of NumPy's normal numbers (numpy/random/src/distributions/ziggurat_constants.h, BSD-3-Clause),",
        "// as bytes of float64 in base64: written by tools/ziggurat.py.",
        "function numbers(text) {",
        "    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));",
        "    const view = new DataView(bytes.buffer);",
        "    return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));",
        "}",
        "",
        f"export const NORMAL_R = {R!r}, NORMAL_INVERSE_R = {INVERSE_R!r};",
    ]
    for name, table in zip(("FI", "WI", "KI"), tables(), strict=True):
        text = base64.b64encode(table.astype("<f8").tobytes()).decode()
        parts = [text[i : i + 100] for i in range(0, len(text), 100)]
        lines += [f"export const NORMAL_{name} = numbers(", *(f'    "{part}" +' for part in parts[:-1])]
        lines += [f'    "{parts[-1]}",', ");"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    FILE.write_text(source(), "utf-8")
