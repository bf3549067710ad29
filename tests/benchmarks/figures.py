"""What a benchmark measured, and the table that shows it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = ("figure", "measured", "yardstick", "ratio", "aim", "met")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure beside what it is compared with, which was measured in the same run."""

    group: str
    name: str
    measured: float
    unit: str
    yardstick: float | None = None
    of: str = ""
    """What the yardstick is."""
    at_most: float | None = None
    at_least: float | None = None
    """The aim: for the ratio where there is a yardstick, else for the figure itself. None: only shown."""

    @property
    def ratio(self) -> float | None:
        return self.measured / self.yardstick if self.yardstick else None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        value = self.measured if self.ratio is None else self.ratio
        if self.at_most is not None:
            return value <= self.at_most
        return value >= self.at_least if self.at_least is not None else None

    @property
    def aim(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else ""


def as_json(figures: Sequence[Figure]) -> str:
    """All of them as one JSON array."""
    rows = [{**asdict(figure), "ratio": figure.ratio, "met": figure.met} for figure in figures]
    return json.dumps(rows, indent=2)


def as_table(figures: Sequence[Figure]) -> str:
    """A table in Markdown, which reads well as plain text too."""
    rows = [COLUMNS, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    yardstick = f"{_number(figure.yardstick)} {figure.unit} ({figure.of})" if figure.yardstick is not None else ""
    ratio = _number(figure.ratio) if figure.ratio is not None else ""
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    name = f"{figure.group}: {figure.name}"
    return name, f"{_number(figure.measured)} {figure.unit}", yardstick, ratio, figure.aim, met


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
