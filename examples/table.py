"""A table as it is, with text, gaps and dates: what it says, how far to trust it, and a file that predicts.

The table is made here from a seed: 800 sales of used bicycles, whose prices follow from brand, age, distance, motor and
month, with noise that no model can foretell. A tenth of the distances was never written down, and colour says nothing.

It takes a few seconds, and writes bicycles.safetensors in the current folder.
Needs scikit-learn: pip install "fullyconnected[sklearn]"
"""

import numpy as np

import fullyconnected as fc

ROWS = 800
BRANDS = {"Alder": 900.0, "Birch": 600.0, "Cedar": 400.0}
NOISE = 40.0  # the standard deviation of what cannot be known


def bicycles(rows, seed):
    """Return a table, and the price of each row."""
    rng = np.random.default_rng(seed)
    age, brand = rng.uniform(0, 12, rows), rng.choice([*BRANDS], rows)
    distance = 900 * age * rng.uniform(0.3, 1.7, rows)
    electric = rng.random(rows) < 0.3
    sold = np.datetime64("2024-01-01") + rng.integers(0, 730, rows)
    summer = np.cos(2 * np.pi * (sold.astype("datetime64[M]").astype(int) % 12 - 5) / 12)
    new = np.array([BRANDS[each] for each in brand]) * np.where(electric, 2.0, 1.0)
    price = new * np.exp(-0.12 * age) - 0.01 * distance + 60 * summer + NOISE * rng.normal(size=rows)
    distance[rng.random(rows) < 0.1] = np.nan
    table = {
        "brand": brand.tolist(),
        "age": age.round(1),
        "kilometres": distance.round(-1),
        "electric": electric,
        "sold": sold,
        "colour": rng.choice(["red", "green", "blue", "black"], rows).tolist(),
        "number": [f"BC-{i:05d}" for i in range(rows)],
    }
    return table, price


def main():
    table, price = bicycles(ROWS, seed=0)
    new, truth = bicycles(200, seed=1)

    model = fc.TabularRegressor(preset="fast", random_state=0).fit(table, price)
    print(model.report_)  # what each column is, what was trained, and how good it is on rows held out

    error = model.predict(new) - truth
    print(f"\nnew rows: R2 {1 - np.mean(error**2) / truth.var():.3f}")
    print(f"new rows: error {np.sqrt(np.mean(error**2)):.1f}, of which {NOISE:.1f} cannot be known")

    print("\nwhat R2 loses when a column is shuffled")
    matters = dict(zip(table, model.feature_importances_, strict=True))
    for name in sorted(matters, key=matters.get, reverse=True):
        print(f"  {name:<12}{matters[name]:6.3f}")
    assert matters["number"] == 0
    assert abs(matters["colour"]) < 0.02 < matters["age"]

    low, high = model.predict_interval(new, coverage=0.8).T
    inside = np.mean((low <= truth) & (truth <= high))
    print(
        f"\nintervals for 80 %: {inside:.0%} of the new prices are in theirs, which are {np.mean(high - low):.0f} wide"
    )

    row = {name: cells[0] for name, cells in new.items()}
    *adds, base = model.contributions(row)[0]
    print(f"\none bicycle: {row['brand']}, {row['age']} years, {row['kilometres']:.0f} km")
    for name, value in sorted(zip(table, adds, strict=True), key=lambda pair: -abs(pair[1])):
        if abs(value) >= 1:
            print(f"  {name:<12}{value:+8.1f}")
    print(f"  {'base':<12}{base:+8.1f}\n  {'price':<12}{base + sum(adds):+8.1f}, and it was sold for {truth[0]:.1f}")

    model.save("bicycles.safetensors")
    predictor = fc.Predictor("bicycles.safetensors")  # with NumPy alone, wherever the file goes
    row["colour"], row["kilometres"] = "yellow", None  # a level that training has not seen, and a gap
    print(f"\nread back, with another colour and a gap: {predictor.predict(row)[0]:.1f}")
    assert np.array_equal(predictor.predict(new), model.predict(new))


if __name__ == "__main__":
    main()
