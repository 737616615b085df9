r"""The four notations of a formula: plain text, LaTeX, MathML and NumPy, each printed from the same tree.

>>> from fullyconnected.symbolic.expression import Name, total
>>> x, W, b = Name("x"), Name("W", "1"), Name("b", "1")
>>> text(x @ W + b), latex(x @ W + b), numpy(x @ W + b)
('x W1 + b1', 'x \\, W_{1} + b_{1}', 'x @ W1 + b1')
>>> mathml(W**2)
'<msup><msub><mi>W</mi><mn>1</mn></msub><mn>2</mn></msup>'
"""

from dataclasses import dataclass

from fullyconnected.core.wording import in_ascii
from fullyconnected.symbolic.expression import Expression, Name
from fullyconnected.symbolic.latex import Latex
from fullyconnected.symbolic.mathml import MathML
from fullyconnected.symbolic.text import NumPy, Text

__all__ = ["Equation", "latex", "mathml", "numpy", "text"]

text, latex, mathml, numpy = Text(), Latex(), MathML(), NumPy()


@dataclass(frozen=True)
class Equation:
    """A name and the formula of what it stands for, in every notation."""

    left: Name
    right: Expression

    def __str__(self) -> str:
        return in_ascii(self.text)

    @property
    def text(self) -> str:
        """As plain text, with the names that a user has chosen as they are; printing escapes their letters."""
        return f"{text(self.left)} = {text(self.right)}"

    @property
    def latex(self) -> str:
        """For LaTeX's mathematics mode."""
        return f"{latex(self.left)} = {latex(self.right)}"

    @property
    def mathml(self) -> str:
        """The inside of a ``math`` element."""
        return f"<mrow>{mathml(self.left)}<mo>=</mo>{mathml(self.right)}</mrow>"

    @property
    def numpy(self) -> str:
        """Python source: an assignment."""
        return f"{numpy(self.left)} = {numpy(self.right)}"
