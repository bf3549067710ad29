"""Where the rows of a failures file come from: its own columns, and whether they still hold what was written there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from provisioner.messages import listed
from provisioner.records import Status, TaskId
from provisioner.sheets.files import unescape_formula
from provisioner.sheets.sheet import BLANKS, UNCERTAIN, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DELETE_MARK: Final = f"correct it, and delete the mark {UNCERTAIN}"

_NUMBER: Final = re.compile(r"([1-9][0-9]{0,8})(?:\.0)?")
_NAMED: Final = 5
"""Maximum number of rows that a sentence names."""


def origin_of(cells: Sequence[str], added: Mapping[str, int]) -> tuple[Origin, str | None]:
    """What a failures file says of a row, and why that is not to be relied on, or None.

    `added` is where the file's own columns stand.
    """
    sheet_row, status, task_id, error = (cells[added[name]] for name in ("sheet_row", "status", "task_id", "error"))
    number, word = _NUMBER.fullmatch(sheet_row.strip(BLANKS)), status.strip(BLANKS).lower()
    task = unescape_formula(task_id).strip(BLANKS)
    origin = Origin(
        sheet_row=int(number[1]) if number else None,
        task_id=TaskId(task) if task else None,
        status=Status(word) if word in list(Status) else None,
        error=unescape_formula(error),
    )
    if sheet_row.strip(BLANKS) and number is None:
        return origin, "its sheet_row is not a row's number; write the number back, or clear it if the row is new"
    if word and origin.status is None:
        return origin, "its status is not one that this program writes; write it back, or clear it if the row is new"
    return origin, None


def why_marked(cell: str, origin: Origin | None) -> str:
    """Why a cell is uncertain that has a mark since an earlier reading.

    The failures file says so itself. Its status proves that the sentence stands where it belongs, so that no other
    cell's text is taken for it.
    """
    if origin is None or origin.status is not Status.INVALID or not origin.error:
        return f"{cell} could not be read with certainty; {DELETE_MARK}"
    return origin.error if UNCERTAIN in origin.error else f"{origin.error}; {DELETE_MARK}"


def shared_origins(origins: Mapping[int, Origin]) -> Iterator[tuple[int, str]]:
    """The rows that say they correct the same row as another, each with the sentence about it.

    That is what copying a row within a failures file leaves.
    """
    by_origin: dict[int, list[int]] = {}
    for row, origin in origins.items():
        if origin.sheet_row is not None:
            by_origin.setdefault(origin.sheet_row, []).append(row)
    for sheet_row, rows in by_origin.items():
        if len(rows) > 1:
            sentence = (
                f"the rows {listed(list(map(str, rows)), _NAMED)} of this file all have the sheet_row {sheet_row}; "
                "clear sheet_row in each one that is new"
            )
            yield from ((row, sentence) for row in rows)
