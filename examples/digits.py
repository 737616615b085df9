"""A network that reads handwritten digits: data, training, its mistakes, a file, and what to try next.

``make demo`` runs this script. The data are scikit-learn's load_digits, 1,797 images of 8 by 8 pixels from 0 to 16, in
the order of numpy.random.default_rng(0).permutation: 1,197 for training, 240 for validation, and 360 for a test at the
end. It takes a few seconds, and about 99 % of the digits are read correctly.

It writes demo/digits.safetensors and demo/learning-curve.png in the current folder.
Needs scikit-learn and matplotlib: pip install "fullyconnected[examples]"
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import fullyconnected as fc

FOLDER = Path("demo")
EPOCHS = 40


def data():
    """Return (x, t) to train, to validate and to test."""
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    x, t = bunch.data[order].astype(np.float32) / 16, bunch.target[order]
    return [(x[part], t[part]) for part in (slice(1197), slice(1197, 1437), slice(1437, None))]


def show(images, titles):
    """Print images of 8 by 8 pixels side by side, with two characters per pixel."""
    print("   ".join(f"{title!s:<16}" for title in titles).rstrip())
    shades = " .:-=+*#%@"
    pixels = (np.reshape(images, (-1, 8, 8)) * (len(shades) - 1)).round().astype(int)
    for row in range(8):
        print("   ".join("".join(2 * shades[v] for v in image[row]) for image in pixels).rstrip())
    print()


def network(seed=0):
    """Return a network of two hidden layers, with dropout against overfitting 1,197 images."""
    hidden = [fc.Dense(64, 256, "relu"), fc.Dropout(0.3), fc.Dense(256, 128, "relu"), fc.Dropout(0.3)]
    return fc.Network([*hidden, fc.Dense(128, 10)], seed=seed)


def train(net, rows, validation, seed=0, progress="auto"):
    return fc.fit(
        net,
        *rows,
        loss=fc.SoftmaxCrossEntropy(),
        optimizer=fc.Adam(2e-3),
        schedule=fc.CosineDecay(EPOCHS),
        epochs=EPOCHS,
        batch_size=32,
        l2=1e-4,
        seed=seed,
        validation=validation,
        metrics=["accuracy"],
        progress=progress,
    )


def show_confusion(read, truth):
    """Print how often each digit (rows) was read as which digit (columns), as a table if rich is installed."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (truth, read), 1)
    title = "How each digit (rows) was read (columns)"
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(f"\n{title}\n     " + "".join(f"{digit:4}" for digit in range(10)))
        for digit, row in enumerate(counts):
            print(f"{digit:4} " + "".join(f"{n or '.':>4}" for n in row))
        return
    table = Table("", *map(str, range(10)), title=title, title_justify="left")
    for digit, row in enumerate(counts):
        cells = [f"[bold green]{n}[/]" if i == digit else f"[bold red]{n}[/]" if n else "." for i, n in enumerate(row)]
        table.add_row(f"[bold]{digit}[/]", *cells)
    print()
    Console().print(table)


def show_mistakes(x, read, truth):
    wrong = np.flatnonzero(read != truth)
    print(f"\nMistakes: {len(wrong)} of {len(truth)}{', the first ones:' if len(wrong) else ''}\n")
    show(x[wrong[:5]], [f"a {truth[i]}, read as {read[i]}" for i in wrong[:5]])


def draw_learning_curve(history, path):
    try:
        from matplotlib.figure import Figure  # pyplot is not needed to write a file, and may need a screen
    except ImportError:
        print("no learning curve: matplotlib is not installed (pip install 'fullyconnected[plot]')")
        return
    figure = Figure(figsize=(8, 4), layout="constrained")
    fc.plot.learning_curves(history, ax=figure.subplots(1, 2))
    figure.savefig(path, dpi=120)
    print(f"learning curve   {path}")


def main():
    training, validation, (x, t) = data()
    print(
        f"{len(training[1]):,} digits to train, {len(validation[1])} to validate, {len(t)} to test; the first five:\n"
    )
    show(training[0][:5], training[1][:5])

    net = network()
    print(net.summary(), end="\n\n", flush=True)
    history = train(net, training, validation)

    result = net.evaluate(x, t, fc.SoftmaxCrossEntropy())
    read = net.predict(x).argmax(axis=1)
    show_confusion(read, t)
    show_mistakes(x, read, t)
    print(f"test accuracy {result.metrics['accuracy']:.4f}")
    assert result.metrics["accuracy"] >= 0.97

    FOLDER.mkdir(exist_ok=True)
    model = FOLDER / "digits.safetensors"
    net.save(model)
    again = fc.load(model)
    assert np.array_equal(again.theta, net.theta)
    assert np.array_equal(again.predict(x).argmax(axis=1), read)
    print(f"model            {model}, read back: the same parameters and the same predictions")
    draw_learning_curve(history, FOLDER / "learning-curve.png")

    print(
        """
Next, in the environment that make has created:  source .venv/bin/activate
  python examples/worked_example.py    one layer by hand, with every gradient proven
  python examples/xor.py               the smallest problem that needs a hidden layer
  python examples/cifar10.py --digits  from functions and caches to a classifier of images
  python examples/table.py             a table with text, gaps and dates
  fullyconnected train table.csv --target column         train on your table, and hear how good it is
  fullyconnected predict model.safetensors table.csv     predict new rows with it
  fullyconnected check                                   prove every gradient of the library in about four minutes
README.md describes the rest."""
    )


if __name__ == "__main__":
    main()
