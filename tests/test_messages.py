"""Every sentence that a user can meet, rendered. `python tests/test_messages.py` prints them all to be read.

Errors keep their sentences where they are raised: there the reader sees what is known at that moment, and a table of
sentences elsewhere would be a second place for each. So that all of them can still be read, and held to one form, in
one place, this test gathers them from the source: with an ellipsis for what is filled in.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import provisioner
from provisioner import errors, schema
from provisioner.messages import TASKS, WORDS, found_rate
from provisioner.records import Rate

ROOT = Path(provisioner.__file__).parent
ERRORS = {name for name in dir(errors) if name.endswith("Error")}
NEEDS_NO_REMEDY = {
    # What was interrupted is told to go on by the command that is printed below it.
    "The run was interrupted.",
}
CODE = re.compile(
    r"^\s*import \w+|^default-src |"
    r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER TABLE|PRAGMA|IS NULL|IS NOT NULL)\b"
)
SENTENCE = 4
"""A text of so many words is meant for people."""
JARGON = re.compile(
    r"(?i:\b(exception|traceback|stack|null|errno|boolean|string|integer|parse|regex|stdin|stdout|stderr|async"
    r"|payload|endpoint|HTTP(?!://)|oops|sorry|please|successfully|simply|just|obviously)\b)|\bNone\b|[a-z]!(\s|$)"
)


DIALECT = re.compile(
    r"(?i)\b(mend(s|ed|ing)?|ma[dk]e up|makes up|practis\w+|held back|so many|becomes of|what came of|not begun)\b"
)
"""Words that a reader would have to translate."""


@dataclass(frozen=True)
class Text:
    """A text in the source."""

    place: str
    words: str

    def __str__(self) -> str:
        return f"{self.place}: {self.words}"


@dataclass(frozen=True)
class Fault:
    """An error as it is raised."""

    kind: str
    message: Text
    remedy: Text | None


def rendered(node: ast.expr) -> str | None:
    """What an expression reads like, an ellipsis for what is filled in; None where it is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(rendered(value) or "…" for value in values)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            parts = rendered(left), rendered(right)
            return "".join(part or "…" for part in parts) if any(parts) else None
        case ast.Call(func=ast.Attribute(value=text, attr="format")):
            filled = rendered(text)
            return re.sub(r"\{[^}]*\}", "…", filled) if filled else None
    return None


@cache
def sources() -> list[tuple[str, list[ast.AST]]]:
    """By name, everything in each module."""
    paths = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
    return [
        (name, list(ast.walk(ast.parse(path.read_text("utf-8")))))
        for name, path in paths.items()
        if not name.startswith("sandbox/")
    ]


@cache
def faults() -> list[Fault]:
    """Every error of this program that is made anywhere, but for those that hand on another's words."""
    found = []
    for name, nodes in sources():
        for node in nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            kind, first, end = node.func.id, node.args[0], ""
            if kind == "os_errors_as" and isinstance(first, ast.Name):
                kind, first, end = first.id, node.args[1], ": …."
            message = rendered(first)
            if kind not in ERRORS or message is None:
                continue
            place = f"{name}:{node.lineno}"
            remedies = [keyword.value for keyword in node.keywords if keyword.arg == "remedy"]
            remedy = (rendered(remedies[0]) or "…") if remedies else None
            found.append(Fault(kind, Text(place, message + end), Text(place, remedy) if remedy else None))
    return found


@cache
def texts() -> list[Text]:
    """Every text of the source that is long enough to be meant for people, the schema's and the statuses' too."""
    found = []
    for name, nodes in sources():
        silent = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                silent |= {id(part) for part in node.values}
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
                silent |= {id(part) for argument in node.args for part in ast.walk(argument)}
        for node in nodes:
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in silent:
                text = rendered(node)
                if text and len(re.findall(r"[A-Za-z]{2,}", text)) >= SENTENCE and not CODE.search(text):
                    found.append(Text(f"{name}:{node.lineno}", text))
    for status, words in WORDS.items():
        found += [Text(status, text) for text in (words.meaning, words.why, words.remedy) if text]
    found += [Text("heading", text) for text in TASKS.values()]
    for column in schema.load().columns.values():
        rules = [rule.sentence for rule in column.rules]
        sentences = [column.blank, *rules, *(explanation.sentence for explanation in column.explanations)]
        found += [Text(column.name, re.sub(r"\{\w+\}", "…", sentence)) for sentence in sentences]
    return found


def test_the_walk_finds_them() -> None:
    """Were the errors made in another way, this file would prove nothing."""
    assert len(faults()) > 40
    assert len(texts()) > 150
    assert {fault.kind for fault in faults()} >= ERRORS - {"ProvisionerError", "UnusableError", "StoppedError"}


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (Rate(20, 1.0), "20 requests a second."),
        (Rate(200, 60.0), "200 requests a minute."),
        (Rate(1, 3600.0), "1 request an hour."),
        (Rate(5, 600.0), "5 requests every 10 min."),
    ],
)
def test_a_rate_is_told_in_words(rate: Rate, told: str) -> None:
    """However long its period is."""
    assert found_rate(rate) == f"The service takes about {told}"


def test_an_error_is_a_sentence_with_a_remedy() -> None:
    """First what is wrong, then what to do about it: both whole sentences, the second for the reader to act on."""
    for fault in faults():
        assert re.match(r"[A-Z“…]|--", fault.message.words), fault
        assert fault.message.words.endswith((".", "?", "…")), fault
        if fault.message.words in NEEDS_NO_REMEDY:
            continue
        assert fault.remedy is not None, f"{fault.message} leaves its reader alone"
        assert re.match(r"[A-Z“…]", fault.remedy.words), fault
        assert fault.remedy.words.endswith((".", "…")), fault


def test_a_text_is_for_people() -> None:
    """No jargon, no dialect, no shouting, no apology; quotation marks that stand apart from what they hold."""
    for text in texts():
        assert not JARGON.search(text.words), text
        assert not DIALECT.search(text.words), text
        assert not re.search(r"\w  \w", text.words) or text.words.startswith((" ", "\n")), text
        assert not re.search(r"""(^|\s)["'`]\w""", text.words) or "\n" in text.words, text


if __name__ == "__main__":
    for each in faults():
        remedy = each.remedy.words if each.remedy else "-"
        print(f"{each.message.place} {each.kind}\n    {each.message.words}\n    {remedy}")
    print()
    for text in texts():
        print(text)
