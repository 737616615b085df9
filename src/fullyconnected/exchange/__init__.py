"""Exchange: out to where networks run.

>>> import fullyconnected as fc
>>> sorted(fc.exchange.__all__)
['export', 'to_c', 'to_js', 'to_onnx', 'to_python']
"""

from fullyconnected.exchange.formats import export, to_c, to_js, to_onnx, to_python

__all__ = ["export", "to_c", "to_js", "to_onnx", "to_python"]
