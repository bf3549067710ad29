"""A real LibreOffice: opens a file as a person would, fixes cells, and saves it in its own format."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ABSENT = "LibreOffice is not installed: apt-get install libreoffice-calc python3-uno"
REQUIRED = "REQUIRE_LIBREOFFICE"
"""Set where the tests must not be left out for want of it."""
CSV_IMPORT = "9/44/59,34,76,1,,0,false,false"
"""What its import proposes: cells between tabs, commas and semicolons alike, quoted ones not kept as text."""
TIMEOUT = 50
_TABLE, _OFFICE, _TEXT = (
    f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("table", "office", "text")
)

# Run by the system's own Python, for which LibreOffice's interface is installed.
_EDIT = """
import json, os, sys, time, uno
from com.sun.star.beans import PropertyValue

def value(name, content):
    made = PropertyValue()
    made.Name, made.Value = name, content
    return made

def connect(pipe):
    here = uno.getComponentContext()
    resolver = here.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", here)
    while True:
        try:
            return resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except Exception:
            time.sleep(0.1)

pipe, path, csv_import, fixes, deleted = sys.argv[1:]
context = connect(pipe)
desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
options = [value("Hidden", True)]
if path.endswith(".csv"):
    options += [value("FilterName", "Text - txt - csv (StarCalc)"), value("FilterOptions", csv_import)]
document = desktop.loadComponentFromURL(uno.systemPathToFileUrl(path), "_blank", 0, tuple(options))
for old, new in json.loads(fixes).items():
    for sheet in document.Sheets:
        search = sheet.createReplaceDescriptor()
        search.SearchString, search.ReplaceString, search.SearchCaseSensitive = old, new, True
        sheet.replaceAll(search)
for sheet in document.Sheets:
    for text in json.loads(deleted):
        search = sheet.createSearchDescriptor()
        search.SearchString, search.SearchWords = text, True
        row = sheet.findFirst(search).CellAddress.Row
        sheet.Rows.removeByIndex(row, 1)
document.setModified(True)
document.store()
document.close(True)
print("saved", flush=True)
# The bridge may crash when the office at its other end is gone.
os._exit(0)
"""


@cache
def _python() -> str | None:
    """A Python that can talk to LibreOffice; None if there is none."""
    for candidate in ("/usr/bin/python3", sys.executable):
        if Path(candidate).exists():
            done = subprocess.run([candidate, "-c", "import uno"], capture_output=True, check=False)
            if done.returncode == 0:
                return candidate
    return None


def is_missing() -> bool:
    """Whether the tests are to be skipped."""
    return REQUIRED not in os.environ and (shutil.which("soffice") is None or _python() is None)


def edit(path: Path, fixes: Mapping[str, str] | None = None, deleted: Sequence[str] = ()) -> None:
    """Open a file, replace texts in its cells wherever they stand, and save it where it was.

    Of each text in `deleted` the first row is deleted that has a cell of that text.
    """
    python = _python()
    assert python is not None, ABSENT
    with tempfile.TemporaryDirectory() as profile:
        pipe = Path(profile).name
        office = subprocess.Popen(
            [
                "soffice",
                f"-env:UserInstallation={Path(profile).as_uri()}",
                "--headless",
                "--norestore",
                f"--accept=pipe,name={pipe};urp",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            words = [python, "-c", _EDIT, pipe, str(path), CSV_IMPORT, json.dumps(fixes or {}), json.dumps(deleted)]
            done = subprocess.run(words, check=False, timeout=TIMEOUT, capture_output=True, text=True)
            assert done.stdout == "saved\n", done.stderr
        finally:
            office.terminate()
            office.wait(TIMEOUT)


def convert(path: Path, kind: str, folder: Path) -> Path:
    """Save a file as another kind, such as ods, into a folder. Returns its new path."""
    with tempfile.TemporaryDirectory() as profile:
        words = ["soffice", f"-env:UserInstallation={Path(profile).as_uri()}", "--headless"]
        words += ["--convert-to", kind, "--outdir", str(folder), str(path)]
        subprocess.run(words, check=True, timeout=TIMEOUT, capture_output=True)
    return folder / f"{path.stem}.{kind}"


class Cell(NamedTuple):
    text: str
    """What is shown."""
    kind: str
    """Such as string or float; empty of a blank cell."""
    formula: str | None


def cells(path: Path) -> list[Cell]:
    """The cells of a file as LibreOffice understands it."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["soffice", f"-env:UserInstallation={Path(folder, 'profile').as_uri()}", "--headless"]
        if path.suffix == ".csv":
            words.append(f"--infilter=CSV:{CSV_IMPORT}")
        words += ["--convert-to", "fods", "--outdir", folder, str(path)]
        subprocess.run(words, check=True, timeout=TIMEOUT, capture_output=True)
        document = ET.parse(Path(folder, f"{path.stem}.fods"))
    return [
        Cell(
            "\n".join(map(_text, cell.iter(f"{_TEXT}p"))),
            cell.get(f"{_OFFICE}value-type", ""),
            cell.get(f"{_TABLE}formula"),
        )
        for cell in document.iter(f"{_TABLE}table-cell")
    ]


def _text(paragraph: ET.Element) -> str:
    """The text of a paragraph, in which several blanks are an element of their own."""
    for blanks in paragraph.iter(f"{_TEXT}s"):
        blanks.text = " " * int(blanks.get(f"{_TEXT}c", "1"))
    return "".join(paragraph.itertext())
