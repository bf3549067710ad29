"""What the page calls rows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import keyring
import pytest
from keyring.errors import KeyringLocked

import provisioner
from provisioner import keys, schema
from provisioner.cli.web import web
from provisioner.errors import SettingsError
from provisioner.fixing import OpenRow
from provisioner.records import Status
from provisioner.resources import Resource, Resources
from provisioner.sheets.certainty import why_uncertain
from provisioner.sheets.grid import HIDDEN
from provisioner.stages.resolve import Resolver
from provisioner.web.phrases import AT_THE_PAGE, at_the_page, told_of


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.VALID, "Row 3 is ready"),
        (Status.CREATED, "Row 3 is done"),
        (Status.EXISTS, "Row 3 is done"),
        (
            Status.FAILED,
            "Row 3 is to be run again (accepted, but the service could not create it)",
        ),
        (Status.UNKNOWN, "Row 3 is to be run again (sent, but no clear answer came)"),
    ],
)
def test_a_row_without_a_fault_is_called_what_it_is(status: Status, told: str) -> None:
    """Only one that a check found nothing wrong with is ready."""
    assert told_of(OpenRow("3", 3, "v", status, {}, (), {})) == told


@pytest.mark.parametrize("practice", [True, False])
def test_what_lists_the_account_is_named_as_the_page_has_it(practice: bool) -> None:  # noqa: FBT001
    """Not as a command, for which somebody at the page has no place."""
    some = tuple(Resource(number, f"name{number}") for number in range(5))
    resources = Resources(some, some, some, practice=practice)
    found = Resolver(resources).faults("ann", "nowhere.example", "Sendmail", "Summer")
    assert [column for column, _ in found] == ["domain", "relay_server", "project"]
    for _, fault in found:
        command = f"provisioner list [a-z-]+{' --sandbox' if practice else ''}"
        assert re.search(rf"… \({command} shows all\)$", fault.cause)
        assert at_the_page(fault.cause).endswith("… (“What the account has” shows all)")


def test_a_hidden_row_is_kept_or_left_out_where_it_is_shown() -> None:
    """In the workbook it would be shown or deleted, and for the page that would be another sheet."""
    sentence = why_uncertain("ann", "A2", schema.load().columns["email"], HIDDEN, certain=True)
    assert at_the_page(sentence or "") == (
        "the row of A2 is hidden in the workbook; if it is meant, delete the mark [unclear]; if not, leave the row out"
    )


def test_a_key_that_cannot_be_kept_is_used_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody at the page has typed it already: neither a file nor a variable is needed."""

    def locked(*_: str) -> None:
        raise KeyringLocked

    monkeypatch.setattr(keyring, "get_password", locked)
    with pytest.raises(SettingsError) as refusal:
        keys.load("acme", required=True)
    assert at_the_page(refusal.value.remedy) == "Leave the box empty: then the key is used until the page is closed."


def test_what_the_page_says_differently_is_still_said() -> None:
    """A sentence that is worded anew takes its words for the page along: else they would replace nothing."""
    root = Path(provisioner.__file__).parent
    said = [schema.load().path.read_text(encoding="utf-8")]
    for path in root.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.name != "phrases.py" else ()
        said += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for phrase in AT_THE_PAGE:
        filled_in = "provisioner list" in phrase or "[unclear]" in phrase  # Tests of their own hold these.
        assert filled_in or any(phrase in text for text in said), phrase


def test_no_remedy_names_an_option_that_the_page_lacks() -> None:
    """What the parts below the page advise can be done at it, or when it is started."""
    root, known = Path(provisioner.__file__).parent, {name for option in web.params for name in option.opts}
    above = {"cli", "console", "sandbox", "__init__.py", "library.py"}
    asked = {
        "--sheet",
        "--all-sheets",
        "--set",
        "--column",
        "--generate-passwords",
        "--limit",
        "--force",
        "--output",
    }  # The page asks for these, or has none.
    for path in root.rglob("*.py"):
        if path.relative_to(root).parts[0] in above:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "remedy":
                text = at_the_page(ast.unparse(node.value))
                options = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", text))
                assert options - known - asked == set(), f"{path}:{node.value.lineno}: {text}"
