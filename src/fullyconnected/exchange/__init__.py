"""Exchange: in from where networks are trained, out to where they run.

>>> import fullyconnected as fc
>>> print(*sorted(fc.exchange.__all__))
Quantisation export from_keras from_onnx from_sklearn from_torch to_c to_js to_keras to_onnx to_python to_sklearn
to_torch
"""

from fullyconnected.exchange.formats import export, to_c, to_js, to_onnx, to_python
from fullyconnected.exchange.keras import from_keras, to_keras
from fullyconnected.exchange.onnx.reader import from_onnx
from fullyconnected.exchange.programs.report import Quantisation
from fullyconnected.exchange.pytorch import from_torch, to_torch
from fullyconnected.exchange.sklearn.reader import from_sklearn
from fullyconnected.exchange.sklearn.writer import to_sklearn

__all__ = [
    "Quantisation",
    "export",
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "to_c",
    "to_js",
    "to_keras",
    "to_onnx",
    "to_python",
    "to_sklearn",
    "to_torch",
]
