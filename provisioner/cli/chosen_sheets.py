"""Which sheets a command works through, and how each of them is read."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioner.cli.options import READING, STANDARD_INPUT, STDIN, subset
from provisioner.cli.signals import remembered
from provisioner.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provisioner.settings import SheetOptions


@contextmanager
def chosen_sheets(options: dict[str, Any]) -> Iterator[list[SheetOptions]]:
    """Every sheet that the options name; standard input is saved as a file for as long as the context lasts.

    Raises UnusableError if several cannot be worked through, before the first is begun.
    """
    with _files(options["sheets"], options["out"]) as files:
        with remembered():
            chosen = [_sheet_options(options, file, tab) for file in files for tab in _tabs(options, file)]
            _refuse_what_cannot_go_together(chosen)
        yield chosen


@contextmanager
def _files(sheets: Sequence[Path], out: Path | None) -> Iterator[list[Path]]:
    """The files to read, standard input saved as one of them."""
    if STDIN not in sheets:
        yield list(sheets)
        return
    if out is None:
        raise SettingsError(
            "A sheet from standard input has no folder of its own.", remedy="Choose its run folder with --out."
        )
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        content = Path(folder) / STANDARD_INPUT
        content.write_bytes(sys.stdin.buffer.read())
        yield [content if sheet == STDIN else sheet for sheet in sheets]


def _refuse_what_cannot_go_together(chosen: Sequence[SheetOptions]) -> None:
    """See that several sheets have a folder each, and that all can be read before the first is started."""
    from provisioner.stages.prepare import prepare

    if len(chosen) == 1:
        return
    if chosen[0].out is not None or len({prepare(sheet).folder.path.resolve() for sheet in chosen}) < len(chosen):
        raise SettingsError(
            "Several sheets cannot share one run folder.",
            remedy="Leave out --out, or run the sheets one after the other, each in a folder of its own.",
        )


def _tabs(options: dict[str, Any], file: Path) -> Sequence[str | None]:
    """The names of the sheets to take of a file; None takes the only one there is."""
    names = tuple(dict.fromkeys(options["sheet_names"]))
    if not options["all_sheets"]:
        return names or (None,)
    if names:
        raise SettingsError("--sheet and --all-sheets contradict each other.", remedy="Leave one of them out.")
    from provisioner import schema
    from provisioner.sheets.opening import tabs_of

    found = tabs_of(file, schema.load(options["schema"]))
    return found if len(found) > 1 else (None,)


def _sheet_options(options: dict[str, Any], sheet: Path, tab: str | None) -> SheetOptions:
    from provisioner.settings import SheetOptions

    return SheetOptions(
        sheet=sheet,
        shown="" if sheet in options["sheets"] else STANDARD_INPUT,
        sheet_name=tab,
        fill=dict(options["fill"]),
        columns=dict(options["columns"]),
        **subset(options, "out", *READING),
    )
