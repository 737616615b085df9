"""Warnings that name the line of the caller."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn"]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that has called a method of an estimator."""
    frame, level = sys._getframe(), 1
    inside = ("fullyconnected.", "sklearn.callback.", "sklearn.base")
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(inside):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
