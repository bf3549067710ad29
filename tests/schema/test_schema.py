"""The schema: what it says of a cell, and that nothing in its file is ever ignored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandera.api.extensions import register_check_method

from provisioner import schema
from provisioner.errors import SchemaError
from provisioner.schema import probe

if TYPE_CHECKING:
    from collections.abc import Callable

SHIPPED = schema.shipped("mailbox.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def mailbox() -> schema.MailboxSchema:
    return schema.load()


def sentences(mailbox: schema.MailboxSchema, column: str, text: str) -> list[str]:
    """What is said of one cell."""
    return [fault.sentence for fault in mailbox.faults(column, [text]).get(text, [])]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("email", "john.doe"),
        ("email", "j"),
        ("email", "J-D_9.x"),
        ("email", "x" * 64),
        ("email", "-a-"),
        ("domain", "1"),
        ("domain", "9" * 18),
        ("relay_server", "201"),
        ("project", "789"),
        ("password", "Abcdef1!"),
        ("password", "=1+1aB" + "x" * 249),
        ("password", "Pässwört1A"),
        ("password", " Abcdef1! "),
        ("password", "=Equals-Only14!"),
        ("password", "'Abcdef1!"),
        ("email", "marcus-1"),
        ("email", "mar.2"),
        ("email", "1-marcus"),
        ("email", "12345"),
        ("email", "1.2.3"),
        ("relay_server", "Relay = fast"),
        ("reply_to", "sales+eu@client-x.co.uk"),
    ],
)
def test_good_cells_are_accepted(mailbox: schema.MailboxSchema, column: str, text: str) -> None:
    """The rules let through what the service is known to take."""
    assert mailbox.accepts(column, text)
    assert sentences(mailbox, column, text) == []


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("email", "john.doe@client@com", ["holds “@”"]),
        ("email", "@client.com", ["holds “@”"]),
        ("email", "mailto:john@client.com", ["write only “john” here"]),
        ("email", "John Doe <john.doe@client.com>", ["write only “john.doe” here"]),
        ("email", "NULL", ["where a value is missing"]),
        ("email", "#REF!", ["where a value is missing"]),
        ("email", "Total", ["line of totals"]),
        ("email", "Subtotal: 24", ["line of totals"]),
        ("email", "example.username", ["template's example"]),
        ("email", "j\u043ehn", ["“\u043e”, which is not a letter from a to z"]),
        ("email", "john doe", ["a blank or an invisible character"]),
        ("email", "john\u200bdoe", ["a blank or an invisible character"]),
        ("email", "john\x00", ["a blank or an invisible character"]),
        ("email", "john!", ["holds “!”"]),
        ("email", ".john", ["begins or ends with a dot"]),
        ("email", "john.", ["begins or ends with a dot"]),
        ("email", "jo..hn", ["two in a row"]),
        ("email", "x" * 65, ["at most 64"]),
        ("email", "jo hn!", ["a blank", "holds “!”"]),
        ("domain", "0", ["not an ID"]),
        ("domain", "-5", ["not a plain whole number"]),
        ("domain", "007", ["not an ID"]),
        ("domain", "1.01E+02", ["not a plain whole number"]),
        ("domain", "101.5", ["not a plain whole number"]),
        ("domain", "1,234", ["not a plain whole number"]),
        ("domain", "1 234", ["not a plain whole number"]),
        ("domain", "\u0661\u0660", ["not an ID"]),
        ("domain", "#REF!", ["the error “#REF!”"]),
        ("domain", "client", ["not an ID, nor a domain name"]),
        ("domain", "NULL", ["where a value is missing"]),
        ("relay_server", "N/A", ["where a value is missing"]),
        ("relay_server", "0201", ["not an ID, nor a name"]),
        ("domain", "1\n", ["not a plain whole number"]),
        ("domain", "9" * 19, ["not an ID"]),
        ("password", "Ab1!", ["8 to 255"]),
        ("password", "abcdefg1!", ["upper-case"]),
        ("password", "ABCDEFG1!", ["lower-case"]),
        ("password", "Abcdefgh!", ["digit"]),
        ("password", "Abcdefgh1", ["special"]),
        ("password", "Abcdef1!\n", ["line break"]),
        ("password", "Abc\tdef1!", ["tab"]),
        ("password", "Abc\u200bdefg1", ["special character", "invisible"]),
        ("password", "abc", ["it needs 8 to 255 characters, an upper-case letter (A-Z), a digit (0-9) and a special"]),
        ("password", "Abcdef1!\ufeff", ["invisible"]),
        ("password", "Abcdef1!\U000e0041", ["invisible"]),
        ("password", "Example-Passw0rd!", ["template's example"]),
        ("email", "_", ["not a username"]),
        ("email", "1-Mar", ["makes of a date"]),
        ("email", "03-Sep", ["makes of a date"]),
        ("email", "Sep-02", ["makes of a date"]),
        ("email", "1-Mrz", ["makes of a date"]),
        ("email", "01.03.2026", ["makes of a date"]),
        ("email", "1.3.26", ["makes of a date"]),
        ("email", "3/1/2026", ["makes of a date"]),
        ("email", "2026/03/01", ["makes of a date"]),
        ("email", '="john"', ["a text wrapped in ="]),
        ("domain", "789.000", ["may be 789 or 789,000"]),
        ("relay_server", "789.000", ["may be 789 or 789,000"]),
        ("project", "1.000", ["may be 1 or 1,000"]),
        ("domain", "=VLOOKUP(A4,B:C,2,0)", ["is a formula"]),
        ("relay_server", "=Lists!C2", ["is a formula"]),
        ("project", '="789"', ["is a formula, or a text wrapped in ="]),
        ("password", '="Abcdef1!"', ['wrapped in =" and "']),
        ("password", '=A2&"-Xy9!Q"', ["reads as a formula"]),
        ("password", '=CONCATENATE(A3,"-Xy9!Q")', ["reads as a formula"]),
        ("password", '="Ab1!"&$B$12', ["reads as a formula"]),
        ("password", "=Ab12+Cd34!x", ["reads as a formula"]),
        ("email", "2024-01-01", ["makes of a date"]),
        ("email", "101.0", ["makes of a date"]),
        ("email", "TRUE", ["where a value is missing"]),
        ("relay_server", "Err:502", ["shows the error"]),
        ("project", "n.a.", ["where a value is missing"]),
        ("reply_to", "r..x@e.co", ["not an e-mail address"]),
        ("password", "#VALUE!", ["shows an error"]),
        ("reply_to", "sales", ["not an e-mail address"]),
        ("reply_to", "a@b.c, d@e.fg", ["not an e-mail address"]),
        ("reply_to", ".a@client.com", ["not an e-mail address"]),
    ],
)
def test_a_bad_cell_is_explained(mailbox: schema.MailboxSchema, column: str, text: str, said: list[str]) -> None:
    """Each fault has its own sentence, and a known mistake is explained by one sentence alone."""
    found = sentences(mailbox, column, text)
    assert len(found) == len(said), found
    assert all(part in sentence for part, sentence in zip(said, found, strict=True)), found
    assert not mailbox.accepts(column, text)


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("email", "00123", "is all digits"),
        ("email", "a1", None),
        ("password", " Abcdef1!", "begins or ends with a blank"),
        ("password", "Abcdef1!\u00a0", "begins or ends with a blank"),
        ("password", "'Abcdef1!", "begins with an apostrophe"),
        ("password", "Abcd ef'1!", None),
    ],
)
def test_what_is_sent_all_the_same_may_be_warned_of(
    mailbox: schema.MailboxSchema, column: str, text: str, said: str | None
) -> None:
    """A warning refuses no cell."""
    found = [each.fault(text).sentence for each in mailbox.columns[column].warnings if not each.keeps(text)]
    assert [said in sentence for sentence in found if said] == [True] * (said is not None)
    assert mailbox.accepts(column, text)


@given(st.text(min_size=1, max_size=30))
def test_a_sentence_never_holds_a_secret(mailbox: schema.MailboxSchema, text: str) -> None:
    """Whatever a password is, the sentences about it are the same for every other."""
    column = mailbox.columns["password"]
    rest = "".join(sentences(mailbox, "password", text)).removeprefix(column.together)
    known = [rule.sentence for rule in column.rules] + [each.sentence for each in column.explanations]
    for sentence in known:
        rest = rest.replace(sentence, "")
    assert rest.replace(" and ", "").strip(", ") == ""


@given(st.text(min_size=1, max_size=20), st.sampled_from(["email", "domain", "password", "reply_to"]))
def test_one_text_is_judged_as_many_are(mailbox: schema.MailboxSchema, text: str, column: str) -> None:
    """`accepts`, pandera's checks and the sentences are one rule, not three, whatever stands in the cells beside it."""
    broken = mailbox.faults(column, ["x", text, "", text])
    assert mailbox.accepts(column, text) == (text not in broken) == (not sentences(mailbox, column, text))


@given(st.text(min_size=1, max_size=300))
def test_what_is_shown_is_one_safe_line(text: str) -> None:
    """No cell can move the cursor, colour the screen or fill it."""
    shown = schema.model.shown(text)
    assert shown.isprintable()
    assert len(shown) <= 60 * 10 + 1


def length(cells: pd.Series[str], *, min: int, max: int) -> pd.Series[bool]:  # noqa: A002 - the YAML's words
    return cells.str.len().between(min, max)


def register(kind: str, check: Callable[..., pd.Series[bool]]) -> None:
    """Make a check known to pandera, as anybody must who loads the file with pandera alone."""
    statistics = ["min", "max"] if kind == "length" else ["pattern"]
    if not hasattr(pa.Check, kind):
        check.__name__ = kind
        register_check_method(check, statistics=statistics, supported_types=pd.Series)


def test_the_shipped_schema_is_panderas_own() -> None:
    """Plain pandera loads the file, and finds a bad cell by it."""
    for kind in ("fits", "fits_not", "has", "has_no"):
        register(kind, lambda cells, *, pattern, kind=kind: cells.map(schema.Rule(kind, "", re.compile(pattern)).keeps))
    register("length", length)
    plain = pa.DataFrameSchema.from_yaml(schema.shipped("mailbox.yaml"))
    good = {"email": ["john"], "domain": ["101"], "relay_server": ["201"], "password": ["Abcdef1!"]}
    plain.validate(pd.DataFrame(good))
    with pytest.raises(pa.errors.SchemaErrors):
        plain.validate(pd.DataFrame(good | {"domain": ["x"]}), lazy=True)


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("email", "email"),
        ("E-Mail", "email"),
        ("User Name", "email"),
        ("USERNAME", "email"),
        ("local_part", "email"),
        ("Mailbox", "email"),
        ("Domain ID", "domain"),
        ("\u200bDomain\u00a0ID ", "domain"),
        ("Relay", "relay_server"),
        ("Relay Server ID", "relay_server"),
        ("Project ID", "project"),
        ("Campaign", "project"),
        ("Reply-To", "reply_to"),
        ("Reply To Email", "reply_to"),
        ("Password *", "password"),
        ("Notes", None),
        ("", None),
    ],
)
def test_the_usual_headers_are_known(mailbox: schema.MailboxSchema, header: str, column: str | None) -> None:
    """Case, blanks, hyphens, underscores and what cannot be seen do not matter in a header."""
    assert mailbox.column_for(header) == column


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("passwort", "password"),
        ("realy_server", "relay_server"),
        ("Projct", "project"),
        ("Reply", "reply_to"),
        ("Campaign Name", None),
        ("Email 2", "email"),
        ("Notes", None),
        ("", None),
    ],
)
def test_a_near_miss_is_recognised(mailbox: schema.MailboxSchema, header: str, column: str | None) -> None:
    """A slip of the finger in a header is told from another header."""
    assert mailbox.closest_column(header) == column


def edited(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("- a\n", "“key: value”"),
        ("columns: [\n", "not YAML"),
        ("columns: {}\n", "“email” is missing"),
        (edited("columns:", "colums:"), "did you mean “columns”"),
        (edited("nullable:", "nulable:"), "did you mean “nullable”"),
        (
            edited("check_name: fits\n", "check_name: fit\n"),
            "“fit” cannot be used here; write 'fits', 'fits_not'",
        ),
        (edited("error: ", "erorr: "), "did you mean “error”"),
        (edited("    dtype: str", "    dtype: str\n    dtype: str"), "given twice"),
        (edited("    dtype: str", "    dtype: int"), "“int” cannot be used here; write 'str'"),
        (edited("    dtype: str\n", ""), "the key “dtype” is missing"),
        (edited("    dtype: str", "    dtype: str\n    coerce: true"), "the unknown key “coerce”"),
        (edited("    dtype: str", "    dtype: str\n    unique: true"), "the unknown key “unique”"),
        (edited("part:", "prt:"), "did you mean “part”"),
        (edited("part:", "whole: x\n          part:"), "either “whole” or “part”"),
        (edited("min: 1", "mn: 1"), "the unknown key “mn”"),
        (edited("min: 1", "min: one"), "a whole number is expected"),
        (edited("min: 1", "min: 256"), "min is greater than max"),
        (edited("nullable: false", "nullable: maybe"), "true or false is expected"),
        (edited("xample\\.username|", "xample(|"), "not a regular expression"),
        (edited("{username}", "{user}"), "{user}"),
        (edited("{username}", "{username.__class__}"), "{username.__class__}"),
        (edited("{username}", "{username!r}"), "{username!r}"),
        (edited("{username}", "{username"), "brace"),
        (edited("error: a digit", "error: a digit {value}"), "never shown"),
        (edited("    password:\n", "    pasword:\n"), "“pasword” is no column"),
        (edited("secret: true", "secert: true"), "did you mean “secret”"),
        (edited("Campaign,", "Campaign, Relay,"), "given to both"),
        (edited("    dtype: str", "    dtype: &t str").replace("    dtype: str", "    dtype: *t", 1), "alias"),
        (
            edited("  relay_server:\n    title", "  relay:\n    title").replace("    relay_server:", "    relay:"),
            "missing",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """Every slip in the schema file is an error that names the file, never a rule silently dropped."""
    path = tmp_path / "office.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SchemaError) as refusal:
        schema.load(path)
    assert complaint in str(refusal.value)
    assert "office.yaml" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("columns: !x 1\n", "line 1: this is not YAML that can be used: could not determine a constructor"),
        ("columns: " + "[" * 20_000, "nesting"),
        ("? [a]\n: b\n", "line 1: a key must be a text"),
        ("columns: &a [*a]\n", "alias"),
        ("a\0b", "not YAML"),
        (edited("min: 8", "min: " + "9" * 5000), "a number or a date in it cannot be read"),
        (edited("'[A-Z]'", "a{" + "9" * 30 + "}"), "not a regular expression: the repetition number is too large"),
        (edited("'[A-Z]'", "'" + "(" * 20_000 + ")" * 20_000 + "'"), "the pattern is nested too deeply"),
        ("#" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_a_hostile_file_is_refused_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    """Whatever a parser or a pattern chokes on, and at once."""
    path = tmp_path / "office.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SchemaError) as refusal:
        schema.load(path)
    assert complaint in refusal.value.message
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize("path", [Path("/dev/zero"), Path("/tmp/" + "x" * 5000), Path("/tmp/a\0b")])
def test_what_cannot_be_a_schema_file_is_refused(path: Path) -> None:
    """A device that never ends, and names that no file can have."""
    with pytest.raises(SchemaError, match="cannot be read") as refusal:
        schema.load(path)
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize("pattern", ["(a+)+b", "(?:[a-z]+x?)*!"])
def test_a_pattern_that_takes_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    """Before a cell can meet it, since nothing could stop it then."""
    monkeypatch.setattr(probe, "SECONDS", 1.0)
    path = tmp_path / "office.yaml"
    path.write_text(edited("'[A-Z]'", f"'{pattern}'"), encoding="utf-8")
    with pytest.raises(SchemaError, match="takes too long") as refusal:
        schema.load(path)
    assert f"“{pattern}”" in refusal.value.message


def test_a_complaint_names_the_line(tmp_path: Path) -> None:
    """An office finds its slip without counting."""
    path = tmp_path / "office.yaml"
    path.write_text(edited("nullable:", "nulable:"), encoding="utf-8")
    line = next(number for number, line in enumerate(path.read_text().splitlines(), start=1) if "nulable" in line)
    with pytest.raises(SchemaError, match=f"line {line}:"):
        schema.load(path)


@pytest.mark.parametrize("kind", ["missing", "folder", "latin"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, kind: str) -> None:
    """No file, a folder, and bytes that are no text are told in words."""
    path = tmp_path / "office.yaml"
    if kind == "folder":
        path.mkdir()
    if kind == "latin":
        path.write_bytes(b"title: Z\xeb\n")
    with pytest.raises(SchemaError, match="cannot be read"):
        schema.load(path)


def test_an_office_can_change_a_rule_without_touching_code(tmp_path: Path) -> None:
    """Another length of password, in a file of one's own."""
    path = tmp_path / "office.yaml"
    path.write_text(edited("min: 8\n        max: 255", "min: 12\n        max: 255"), encoding="utf-8")
    assert not schema.load(path).accepts("password", "Abcdef1!")
    assert schema.load(path).accepts("password", "Abcdef1!Abcdef1!")


def test_a_schema_is_the_one_of_its_file_as_it_is_now(tmp_path: Path) -> None:
    """An office may change a rule while the page is open; and of two files with the same rules each is named."""
    path, other = tmp_path / "office.yaml", tmp_path / "other.yaml"
    for each in (path, other):
        each.write_text(edited("min: 8\n        max: 255", "min: 12\n        max: 255"), encoding="utf-8")
    assert [schema.load(each).path for each in (path, other)] == [path, other]
    path.write_text(schema.shipped("mailbox.yaml").read_text("utf-8"), "utf-8")
    assert schema.load(path).accepts("password", "Abcdef1!")
    assert not schema.load(other).accepts("password", "Abcdef1!")


@pytest.mark.parametrize("name", ["results.yaml", "failures.yaml"])
def test_the_output_files_are_described_in_the_same_form(name: str) -> None:
    """Their schemas are read as strictly as the sheet's."""
    assert "status" in schema.read_schema(schema.shipped(name)).columns
