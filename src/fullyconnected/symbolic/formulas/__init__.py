"""The formulas of every layer, activation, loss and optimizer of the library: the one place that has them.

No number is computed here: ``record`` takes each from what the code has written, and the tests hold the formulas
against those numbers. There is a table for each kind of thing, by the name that it is registered under. A class of your
own that is registered is shown by its formula, too, once the table has it:

>>> import fullyconnected as fc
>>> from fullyconnected.symbolic import formulas
>>> from fullyconnected.symbolic.formulas.lines import DY, Both, Line, X
>>> @fc.register
... class Cube(fc.ActivationFunction):
...     name, needs_input = "third_power", True
...     def forward(self, z, c, y):
...         y[...] = z**3
...     def backward(self, z, c, y, dy):
...         dy *= 3 * z**2
>>> slope = Line("dx", DY * 3 * X**2, "The gradient that arrives, times the slope of the cube.")
>>> formulas.ACTIVATIONS["third_power"] = lambda _: Both([Line("y", X**3, "The third power.")], [slope])
>>> net = fc.Network([fc.Dense(2, 1, "third_power")], seed=0)
>>> print(fc.trace(net, [[1.0, 2.0]], [[0.5]], "half_squared_error").steps[1].equation)
y1 = z1^3
"""

from fullyconnected.symbolic.formulas.activations import ACTIVATIONS
from fullyconnected.symbolic.formulas.layers import LAYERS, backward, d_skip, forward
from fullyconnected.symbolic.formulas.losses import LOSSES, of_loss
from fullyconnected.symbolic.formulas.optimizers import OPTIMIZERS, update

__all__ = ["ACTIVATIONS", "LAYERS", "LOSSES", "OPTIMIZERS", "backward", "d_skip", "forward", "of_loss", "update"]
