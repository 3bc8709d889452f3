"""How a value shows itself: it asks here, and `detectors.report.notebook` answers, so that values know no report."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

__all__ = ["html", "plot"]


@singledispatch
def html(value: object) -> str | None:
    """The value as a small piece of HTML; None where nobody has said how."""
    return None


@singledispatch
def plot(value: object, *series: str, ax: Any = None) -> Any:
    """The value drawn by matplotlib."""
    raise TypeError(f"nobody has said how a {type(value).__name__} is drawn")
