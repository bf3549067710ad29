"""The CSV files for sending services."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from provisioner.sandbox.exports import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import Practice


@pytest.mark.parametrize("service", ["smartlead", "instantly", "reply.io", "woodpecker", "emailbison"])
def test_each_service_gets_its_csv(practice: Callable[..., Practice], service: str) -> None:
    """Each of the five answers a CSV to be saved, with every mailbox, its password and its mail servers."""
    sandbox = practice(smtp_host="smtp.test", imap_host="imap.test")
    password = 'Comma, "quote" 1'
    sandbox.create("mary-ann.smith", password=password)
    answer = sandbox.client.get(f"/mailbox/download/{service}/")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="mailboxes_{service}.csv"'
    header, *_, last = list(csv.reader(io.StringIO(answer.text)))
    assert header == list(COLUMNS[service])
    assert {"mary-ann.smith@acme-mail.example", password, "smtp.test", "465", "imap.test", "993"} <= set(last)
    assert answer.text.count("\r\n") == 4


def test_another_service_is_not_found(sandbox: Practice) -> None:
    """A service nobody knows answers 404."""
    answer = sandbox.client.get("/mailbox/download/mailchimp/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
