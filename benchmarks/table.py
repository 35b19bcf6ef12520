"""Printing: one small table for each question."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def show(title: str, rows: Sequence[Sequence[str]]) -> None:
    """A title, a header and rows; the first column is text, the others are numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}")
    for row in rows:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join([row[0].ljust(len(first)), *rest]))


def milliseconds(seconds: Sequence[float]) -> str:
    """Median of measured times."""
    return f"{median(seconds) * 1000:.1f} ms"


def ratio(ours: Sequence[float], others: Sequence[float]) -> str:
    """How many times as long ours takes."""
    return f"{median(ours) / median(others):.2f}"
