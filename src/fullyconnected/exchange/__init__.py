"""Exchange: out to where networks run, and in from where people train.

>>> import fullyconnected as fc
>>> sorted(fc.exchange.__all__)
['export', 'to_c', 'to_js', 'to_python']
"""

from fullyconnected.exchange.formats import export, to_c, to_js, to_python

__all__ = ["export", "to_c", "to_js", "to_python"]
