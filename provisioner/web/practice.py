"""A sheet to practise with, which makes every mistake that real sheets make. Everything here blocks."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from provisioner import run_folder, schema
from provisioner.errors import FilesError, RunFolderError, os_errors_as
from provisioner.journal import Journal
from provisioner.settings import PRACTICE
from provisioner.sheets import write_table
from provisioner.web.uploads import free_for_sheet

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS: Final = ("email", "domain", "relay_server", "password", "project", "reply_to")
_ROWS: Final = (
    ("anna.keller", "acme-mail.example", "Mailgun", "Sample-Birch10!river", "Spring campaign", "sales@acme.example"),
    ("ben.okafor", "acme-mail.example", "Mailgun", "Sample-Cedar47!meadow", "Spring campaign", "sales@acme.example"),
    ("carla.mendes", "acme-outreach.example", "SendGrid", "Sample-Maple84!harbor", "", ""),
    ("david.lindqvist", "acme-outreach.example", "SendGrid", "Sample-Willow31!canyon", "Autumn campaign", ""),
    ("elena.petrova", "acme-news.example", "MissionInbox", "Sample-Aspen68!river", "Autumn campaign", ""),
    ("farid.haddad", "acme-news.example", "MissionInbox", "Sample-Hazel15!meadow", "", ""),
    ("grace.o connell", "acme-mail.example", "Mailgun", "Sample-Rowan52!harbor", "Spring campaign", ""),
    ("hugo.laurent", "acme-mail.example", "Mailgun", "welcome1", "Spring campaign", ""),
    ("ines.ferreira", "acme-mail.example", "Mailgun", "welcome1", "Spring campaign", ""),
    ("jonas.weber", "", "Mailgun", "Sample-Alder89!canyon", "Spring campaign", ""),
    ("kira.novak", "acme-news.example", "SendGrid", "Sample-Birch36!river", "", "sales at acme.example"),
    ("anna.keller", "acme-mail.example", "Mailgun", "Sample-Alder25!canyon", "Spring campaign", ""),
    ("info", "acme-mail.example", "MissionInbox", "Sample-Elder61!harbor", "", ""),
)
"""For the sandbox's account. Wrong: a blank in a name, two weak passwords, no domain, a reply address that is none, a
row twice. `info` exists already."""


def make_sheet(folder: Path, schema_file: Path | None) -> Path:
    """Write a practice sheet under a free name, and a run folder that can be used for nothing but practice.

    Raises FilesError and RunFolderError.
    """
    if (folder / run_folder.JOURNAL_NAME).exists():
        raise RunFolderError(
            f"The folder {folder} belongs to one run, so no other sheet can be worked on in it.",
            remedy="Close the page, and start it for the folder that the run's sheet is in.",
        )
    known = schema.load(schema_file).columns
    titles = [known[name].title if name in known else name for name in _COLUMNS]
    with os_errors_as(
        FilesError,
        f"The practice sheet could not be written to {folder}",
        remedy="Make room on the disk, or start the page for a folder that you may write to.",
    ):
        path = free_for_sheet(folder / "practice.csv")
        write_table(path, titles, _ROWS)
    run = run_folder.locate(path, None)
    with run_folder.hold(run), closing(Journal(run.journal)) as journal:
        journal.belong_to(PRACTICE)
    return path
