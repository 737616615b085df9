"""Formulas as trees, which can be evaluated, and printed as text, NumPy, LaTeX or MathML."""
