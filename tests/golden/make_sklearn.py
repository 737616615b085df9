"""Write sklearn.safetensors: numbers that scikit-learn gives, to which test_golden.py holds this library.

Needs scikit-learn==1.9.1 and safetensors:

    python tests/golden/make_sklearn.py

Everything is float64. Inputs are stored beside the outputs, so that the test draws nothing of its own.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.impute import MissingIndicator
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

rng = np.random.default_rng(20240229)
x = rng.normal(size=(12, 5)) * [1, 1e-6, 1e5, 1, 0] + [1e9, 0, 3, -40, 0.1]  # timestamps, scales, a constant column
w = rng.integers(0, 4, 12).astype(float)
golden = {"x": x, "w": w}
for name, weights in (("plain", None), ("weighted", w)):
    scaler = StandardScaler().fit(x, sample_weight=weights)
    y = scaler.transform(x)
    found = {"mean": scaler.mean_, "scale": scaler.scale_, "y": y, "back": scaler.inverse_transform(y)}
    golden |= {f"{name}/{key}": np.array(value, order="C") for key, value in found.items()}
robust = RobustScaler().fit(x)
golden |= {"robust/mean": robust.center_, "robust/scale": robust.scale_, "robust/y": robust.transform(x)}
holes = x.copy()
holes[[1, 4, 4, 9], [0, 0, 2, 1]] = np.nan
scaler = StandardScaler().fit(holes)  # of the values that are there
gone = MissingIndicator(features="all").fit_transform(holes).astype(float)
golden |= {"missing/x": holes, "missing/mean": scaler.mean_, "missing/scale": scaler.scale_, "missing/gone": gone}
golden["missing/y"] = np.nan_to_num(scaler.transform(holes))
codes = rng.integers(0, 4, (9, 1))
encoder = OneHotEncoder(categories=[range(4)], handle_unknown="ignore", sparse_output=False).fit(codes)
codes[[2, 5]] = -1  # a level that the encoder does not know
golden |= {"codes": codes, "codes/y": encoder.transform(codes)}
save_file(golden, Path(__file__).parent / "sklearn.safetensors")
