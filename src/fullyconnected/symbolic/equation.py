r"""The notations of a formula: plain text, LaTeX, MathML and NumPy, each printed from the same tree.

>>> from fullyconnected.symbolic.expression import Name
>>> x, W, b = Name("x"), Name("W", "1"), Name("b", "1")
>>> for write in NOTATIONS.values():
...     print(write(x @ W + b))
x W1 + b1
x \, W_{1} + b_{1}
<mi>x</mi><mo>&#x2062;</mo><msub><mi>W</mi><mn>1</mn></msub><mo>+</mo><msub><mi>b</mi><mn>1</mn></msub>
x @ W1 + b1
"""

from dataclasses import dataclass

from fullyconnected.core.wording import in_ascii
from fullyconnected.errors import nearest
from fullyconnected.symbolic.as_numpy import as_numpy
from fullyconnected.symbolic.expression import Expression, Name
from fullyconnected.symbolic.latex import latex
from fullyconnected.symbolic.mathml import mathml
from fullyconnected.symbolic.notation import Notation
from fullyconnected.symbolic.text import text

__all__ = ["NOTATIONS", "Equation"]

NOTATIONS: dict[str, Notation] = {"text": text, "latex": latex, "mathml": mathml, "numpy": as_numpy}


@dataclass(frozen=True)
class Equation:
    """A name and its formula, in every notation."""

    left: Name
    right: Expression

    def written(self, notation: str) -> str:
        """Return the equation in one of the notations, by its name."""
        if notation not in NOTATIONS:
            raise nearest("notation", notation, NOTATIONS)
        return NOTATIONS[notation].equation(self.left, self.right)

    def __str__(self) -> str:
        return in_ascii(self.text)

    @property
    def text(self) -> str:
        """The equation as plain text; names that a user has chosen may have letters that are not ASCII."""
        return self.written("text")

    @property
    def latex(self) -> str:
        """The equation for LaTeX's mathematics mode."""
        return self.written("latex")

    @property
    def mathml(self) -> str:
        """The equation as the content of a ``math`` element."""
        return self.written("mathml")

    @property
    def numpy(self) -> str:
        """The equation as an assignment in Python."""
        return self.written("numpy")
