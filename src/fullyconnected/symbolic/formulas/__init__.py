"""The formulas of all layers, activations, losses and optimizers of the library.

No number is computed here: a record has the numbers that the training code wrote, and the tests compare the formulas
with them. There is one table for each kind of class, by registered names. To show your own registered class by its
formula, add it to the table:

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
>>> slope = Line("dx", DY * 3 * X**2, "The gradient of the output, times the derivative.")
>>> formulas.ACTIVATIONS["third_power"] = lambda _: Both([Line("y", X**3, "The third power.")], [slope])
>>> net = fc.Network([fc.Dense(2, 1, "third_power")], seed=0)
>>> print(fc.trace(net, [[1.0, 2.0]], [[0.5]], "half_squared_error").steps[1].equation)
y1 = z1^3
"""

from fullyconnected.symbolic.formulas.activations import ACTIVATIONS
from fullyconnected.symbolic.formulas.layers import LAYERS, backward, d_skip, forward
from fullyconnected.symbolic.formulas.losses import LOSSES, of_loss
from fullyconnected.symbolic.formulas.optimizers import OPTIMIZERS, unknown_update, update
from fullyconnected.symbolic.formulas.told import told

__all__ = ["ACTIVATIONS", "LAYERS", "LOSSES", "OPTIMIZERS"]
__all__ += ["backward", "d_skip", "forward", "of_loss", "told", "unknown_update", "update"]
