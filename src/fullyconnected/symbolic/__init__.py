"""Formulas as trees: what the library computes, printed as text, NumPy, LaTeX or MathML, and evaluated."""
