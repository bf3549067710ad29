"""Rows for one mailbox: found and named together in time that grows with their number."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from growth import assert_linear

from provisioner import schema
from provisioner.fixing.mailboxes import Mailboxes
from provisioner.stages.read import read

if TYPE_CHECKING:
    from pathlib import Path

    from provisioner.sheets import Sheet

RULES = schema.load()
HEADER = "email,domain,relay_server,password\n"


def sheet_of(tmp_path: Path, *rows: str) -> Sheet:
    path = tmp_path / "sheet.csv"
    path.write_text(HEADER + "\n".join(rows))
    return read(path, RULES)


def test_rows_that_write_a_mailbox_alike_are_told_from_all_that_are_for_it(tmp_path: Path) -> None:
    """Only rows that are asked about are told, each with every row that is for its mailbox, by its number."""
    rows = ("ann,acme.com,1,p", "ANN,acme.com,1,p", "ann@acme.com,acme.com,1,p", "bob,acme.com,1,p")
    mailboxes = Mailboxes(sheet_of(tmp_path, *rows), left_out=())
    assert mailboxes.duplicates([0, 2, 3]) == ({2: [2, 3]}, {2: [2, 3, 4], 4: [2, 3, 4]})
    mailboxes.remove(1)
    assert mailboxes.duplicates([0, 2, 3]) == ({}, {2: [2, 4], 4: [2, 4]})


def test_many_rows_for_one_mailbox_take_no_longer_than_as_many_for_several(tmp_path: Path) -> None:
    """A change of one row judges all that are for its mailbox, of which each names the others."""

    def seconds(size: int) -> float:
        mailboxes = Mailboxes(sheet_of(tmp_path, *["ann,101,201,p"] * size), left_out=())
        began = time.process_time()
        for position in range(size):
            mailboxes.remove(position)
            mailboxes.add(position)
        assert len(mailboxes.duplicates(range(size))[0]) == size
        return time.process_time() - began

    assert_linear(seconds, 1000)
