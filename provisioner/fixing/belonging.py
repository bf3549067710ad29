"""Whether a failures file that is put back holds rows to fix of this sheet, and not of one that is like it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from provisioner.errors import SheetError
from provisioner.sheets import UNCERTAIN
from provisioner.sheets.headers import ColumnsError
from provisioner.stages.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from provisioner.fixing.rows import Rows
    from provisioner.settings import SheetOptions
    from provisioner.sheets import Sheet


def refuse_foreign(options: SheetOptions, rows: Rows) -> None:
    """Raise SheetError unless a file is a failures file, and most of its rows are for the mailboxes of these."""
    with suppress(ColumnsError):
        sheet = prepare(options).sheet
        if sheet.is_failures and set(sheet.keys) == set(rows.sheet.keys) and _is_of(sheet, rows):
            return
    raise SheetError(
        "This file does not hold rows to fix of this sheet. Nothing was changed.",
        remedy="Choose the failures.csv or failures.xlsx that was downloaded for this sheet, with all its columns.",
    )


def _is_of(sheet: Sheet, rows: Rows) -> bool:
    """Whether most rows of a failures file can be those that they say they correct.

    Sheets of one office have the same columns, and often the same usernames and passwords in the same places.
    """
    columns = {"email", "domain", "password"} & sheet.columns.keys() & rows.sheet.columns.keys()
    others = []
    for place, row in enumerate(sheet.rows):
        position = rows.table.position(str(sheet.number(row)))
        if position is None:
            continue
        new = {name: sheet.columns[name][place].replace(UNCERTAIN, "") for name in columns}
        old = {name: texts[position].replace(UNCERTAIN, "") for name, texts in rows.sheet.columns.items()}
        if rows.sheet.rows[position] in rows.sheet.misaligned:
            # Its username and its password may have stood under any header.
            others.append(not {text for name, text in new.items() if text and name != "domain"} & set(old.values()))
        else:
            others.append(_is_other(new, old, {fault.column for fault in rows.view(position).faults}))
    return others.count(False) > others.count(True)


def _is_other(new: Mapping[str, str], old: Mapping[str, str], faulty: AbstractSet[str | None]) -> bool:
    """Whether a row is for another mailbox, and not a correction of the old one.

    `faulty` are the columns that had to be changed; None in it stands for any one of them.
    """
    changed = {name for name, text in new.items() if text != old[name]}
    if None in faulty:
        return len(changed) > 1
    needless = changed - faulty
    return "domain" in needless or (bool(needless) and not any(new[name] for name in new.keys() - changed - {"domain"}))
