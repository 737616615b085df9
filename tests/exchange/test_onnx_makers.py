"""Files of ONNX that others write now arrive as networks that predict what their makers do; .ci/nightly runs this."""

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fullyconnected as fc

pytest.importorskip("onnx")

SCRIPT = Path(__file__).parents[1] / "golden" / "make_onnx.py"
NEEDS = {"torch": ("torch", "onnxscript"), "skl2onnx": ("skl2onnx",), "keras": ("keras", "tf2onnx"),
         "tf2onnx": ("keras", "tf2onnx")}  # fmt: skip


@pytest.mark.parametrize("maker", NEEDS)
def test_files_as_they_are_written_now(maker, tmp_path):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # they are what the makers say to each other
        for package in NEEDS[maker]:
            pytest.importorskip(package)
        spec = importlib.util.spec_from_file_location("make_onnx", SCRIPT)
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        script.FOLDER = tmp_path
        script.MAKERS[maker]()
    made = sorted(tmp_path.glob("*.onnx"))
    assert len(made) > 4
    for path in made:
        if path.stem.endswith("_normalization"):  # whose constants tf2onnx has not written
            with pytest.raises(fc.errors.FileFormatError, match="one input"):
                fc.exchange.from_onnx(path)
            continue
        net, given = fc.exchange.from_onnx(path), load_file(path.with_suffix(".safetensors"))
        np.testing.assert_allclose(net.predict(given["x"]), given["y"], rtol=1e-5, atol=2e-6, err_msg=path.stem)
