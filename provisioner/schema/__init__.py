"""The sheet's contract, loaded from pandera's own YAML so strictly that no rule is dropped without a word.

pandera accepts a misspelt key, an unknown option, a key given twice or an empty file, and then checks nothing.
Here each of them is a `SchemaError` that names the file and the line.
"""

from __future__ import annotations

import re
import unicodedata
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import chain
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np
import pandas as pd
import pandera.pandas as pa
import yaml
from pandera.api.extensions import register_check_method
from pandera.io.pandas_io import deserialize_schema

from provisioner.errors import SchemaError
from provisioner.sieve import MOST_SETS, Sieve, is_anchored, is_plain, is_set, is_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

MANDATORY: Final = ("email", "domain", "relay_server", "password")
"""The columns without which no mailbox can be created."""

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "fits": ("pattern",),
    "fits_not": ("pattern",),
    "has": ("pattern",),
    "has_no": ("pattern",),
    "length": ("min", "max"),
}
"""The checks that a schema may use, and what each must be given."""

# libyaml's, which PyYAML nearly always comes with, is ten times as fast as the one in Python.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OWN_KEYS: Final = ("names", "blank", "secret", "whole_number", "example", "explanations")
_SHOWN_LENGTH: Final = 60
# Takes “Reply” for a slip in “Reply To”, and “Campaign Name” for another header than “Campaign”.
_ALIKE: Final = 0.82


def shown(text: str) -> str:
    """`text` for a message: on one line, without characters that act on a terminal, and not endlessly long."""
    if len(text) > _SHOWN_LENGTH:
        text = text[:_SHOWN_LENGTH] + "…"
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def normalize(header: str) -> str:
    """A header without what does not matter in it: case, blanks, hyphens, underscores, invisible characters."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", header).casefold())


class _Anything(dict[str, str]):
    """Has an ellipsis for whatever a sentence names."""

    def __missing__(self, name: str) -> str:
        return "…"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a cell."""

    sentence: str
    """With what it names of the cell filled in. That of a secret column names nothing."""
    cause: str
    """The same for every cell with this fault."""


@dataclass(frozen=True)
class Rule:
    """One check of a column, and the sentence that is shown where a cell breaks it."""

    kind: str
    """A key of `KINDS`."""
    sentence: str
    pattern: re.Pattern[str] = re.compile("")
    """What the check looks for; of no meaning to `length`."""
    shortest: int = 0
    longest: int = 0

    @property
    def forbids(self) -> bool:
        """Whether the rule is broken by what is found, rather than by finding nothing."""
        return self.kind in ("fits_not", "has_no")

    def broken_by(self, text: str) -> bool:
        """Whether a cell that holds `text` breaks the rule."""
        return bool(self._find(text)) == self.forbids

    def unbroken(self, texts: pd.Series[str]) -> pd.Series[bool]:
        """Of each of many texts, whether it keeps the rule."""
        cells = texts.to_numpy(dtype=object)
        if self.kind == "length":
            lengths = np.fromiter(map(len, cells), dtype=np.int64, count=len(cells))
            return pd.Series((self.shortest <= lengths) & (lengths <= self.longest), index=texts.index)
        found = np.fromiter(map(self._find, cells), dtype=np.bool_, count=len(cells))
        return pd.Series(found != self.forbids, index=texts.index)

    def fault(self, text: str) -> Fault:
        """What to say of a cell that breaks the rule."""
        return _fault(self.sentence, text, self._find(text))

    @cached_property
    def _find(self) -> Callable[[str], re.Match[str] | bool | None]:
        if self.kind == "length":
            return lambda text: self.shortest <= len(text) <= self.longest
        return self.pattern.fullmatch if self.kind.startswith("fits") else self.pattern.search


@dataclass(frozen=True)
class Explanation:
    """Says better than a rule what is wrong with a cell that breaks one. By itself it never refuses a cell."""

    pattern: re.Pattern[str]
    sentence: str
    whole: bool
    """Whether the whole cell is this mistake, of which then nothing else is said; else the fault lies in a part of it,
    and is told in place of the sentence of `fits`."""


def _fault(sentence: str, text: str, found: object) -> Fault:
    groups = found.groupdict(default="") if isinstance(found, re.Match) else {}
    named = {name: shown(part) for name, part in {**groups, "value": text}.items()}
    return Fault(sentence.format_map(named), sentence.format_map(_Anything()))


@dataclass(frozen=True)
class Column:
    """A column that the schema knows."""

    name: str
    title: str
    description: str
    required: bool
    """Whether a sheet must have the column."""
    nullable: bool
    """Whether its cells may be blank."""
    rules: tuple[Rule, ...]
    explanations: tuple[Explanation, ...] = ()
    names: tuple[str, ...] = ()
    """Further headers that mean it."""
    blank: str = ""
    """The sentence where a cell is blank and must not be."""
    secret: bool = False
    """Its cells are never shown, and sent exactly as they stand."""
    whole_number: bool = False
    """Whether 101.0 is read as 101."""
    example: str = ""
    """What the template's example row holds, which is never sent."""

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header that means the column."""
        return (self.name, self.title, *self.names)

    def faults(self, text: str) -> Iterator[Fault]:
        """All that is wrong with a cell that holds `text`; nothing where it keeps every rule."""
        broken = [rule for rule in self.rules if rule.broken_by(text)]
        if not broken:
            return
        for explanation in self.explanations:
            if explanation.whole and (found := explanation.pattern.fullmatch(text)):
                yield _fault(explanation.sentence, text, found)
                return
        for rule in broken:
            parts = list(self._parts(text)) if rule.kind == "fits" else []
            yield from parts or [rule.fault(text)]

    def _parts(self, text: str) -> Iterator[Fault]:
        for explanation in self.explanations:
            if not explanation.whole and (found := explanation.pattern.search(text)):
                yield _fault(explanation.sentence, text, found)


@dataclass(frozen=True)
class MailboxSchema:
    """A loaded schema: pandera's, and beside it what pandera's YAML has no place for."""

    path: Path
    frame: pa.DataFrameSchema
    """Its columns' checks stand in the order of each `Column`'s rules."""
    columns: Mapping[str, Column]

    def accepts(self, column: str, text: str) -> bool:
        """Whether a cell of `column` that holds `text` breaks no rule."""
        return not any(rule.broken_by(text) for rule in self.columns[column].rules)

    def broken(self, column: str, texts: pd.Series[str]) -> Mask:
        """Which of `texts`, none of them blank, break a rule of the column.

        It is pandera's own checks that say so; those that certainly break none are not handed to them.
        """
        sieve = self._sieves[column]
        broken = ~sieve.passes(texts.to_numpy(dtype=object)) if sieve else np.ones(len(texts), dtype=np.bool_)
        suspects = texts[broken]
        if len(suspects):
            kept = np.ones(len(suspects), dtype=np.bool_)
            for check in self._checks[column]:
                holds: Any = check(suspects).check_output
                kept &= holds.to_numpy(dtype=np.bool_)
            broken[broken] = ~kept
        return broken

    def column_for(self, header: str) -> str | None:
        """The column that a header means; None where the schema does not know it."""
        return self._by_header.get(normalize(header))

    def closest_column(self, header: str) -> str | None:
        """The column that a header nearly names, as by a slip of the finger; None where there is none."""
        letters = sorted(normalize(header))
        swapped = [name for name in self._by_header if sorted(name) == letters]
        close = swapped or get_close_matches(normalize(header), self._by_header, n=1, cutoff=_ALIKE)
        return self._by_header[close[0]] if close and self.column_for(header) is None else None

    @cached_property
    def _checks(self) -> dict[str, list[pa.Check]]:
        checks = {name: [copy(check) for check in column.checks] for name, column in self.frame.columns.items()}
        for check in chain.from_iterable(checks.values()):
            check.ignore_na = False  # Nothing blank is handed over, and to look for it again costs as much as a check.
        return checks

    @cached_property
    def _sieves(self) -> dict[str, Sieve | None]:
        return {name: _sieve(column.rules) for name, column in self.columns.items()}

    @cached_property
    def _by_header(self) -> dict[str, str]:
        return {normalize(name): column.name for column in self.columns.values() for name in column.headers}


def _sieve(rules: Sequence[Rule]) -> Sieve | None:
    """What finds the cells that keep all of the rules; None where one of them is of a kind that it cannot hold."""
    sets: dict[bool, list[re.Pattern[str]]] = {True: [], False: []}
    words, paused = list[str](), list[str]()
    shortest, longest = 0, Sieve.longest
    for rule in rules:
        if rule.kind == "length":
            shortest, longest = max(shortest, rule.shortest), min(longest, rule.longest)
        elif rule.kind.startswith("has") and is_set(rule.pattern):
            sets[rule.forbids].append(rule.pattern)
        elif rule.kind.startswith("has") and is_anchored(rule.pattern):
            paused.append(rule.pattern.pattern if rule.forbids else f"(?!{rule.pattern.pattern})")
        elif rule.kind == "fits_not" and is_word(rule.pattern):
            words.append(rule.pattern.pattern)
        elif rule.kind.startswith("fits") and is_plain(rule.pattern):
            whole = f"(?:{rule.pattern.pattern})\\Z"
            paused.append(whole if rule.forbids else f"(?!{whole})")
        else:
            return None
    if sum(map(len, sets.values())) > MOST_SETS:
        return None
    any_held = re.compile("|".join(paused)) if paused else None
    return Sieve(shortest, longest, sets[False], sets[True], words, any_held)


def load(path: Path | None = None) -> MailboxSchema:
    """The schema of a sheet of mailboxes; None means the one that is shipped.

    Raises:
        SchemaError: The file cannot be read, or holds anything that would be ignored.
    """
    path = path or shipped("mailbox.yaml")
    schema = read_schema(path)
    for name in MANDATORY:
        if name not in schema.columns:
            raise SchemaError(
                f"{path}: the column “{name}” is missing, without which no mailbox can be created.",
                remedy="Add it, as the schema has it that comes with the program.",
            )
    return schema


def shipped(name: str) -> Path:
    """The schema file of that name: beside the package's modules once installed, at the top of a checkout else."""
    package = Path(__file__).parent.parent
    installed = package / "schemas" / name
    return installed if installed.exists() else package.parent / "schemas" / name


def read_schema(path: Path) -> MailboxSchema:
    """Any schema of this form, whatever its columns.

    Raises:
        SchemaError: The file cannot be read, or holds anything that would be ignored.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SchemaError(
            f"The schema {path} cannot be read: {reason}.", remedy="Name a schema file that you may read, in UTF-8."
        ) from error
    columns = _SchemaFile(path).columns(text)
    _register_checks()
    # As pandera's `from_yaml` does it, but for the loader, which is as safe.
    serialized = yaml.load(text, Loader=_LOADER)  # noqa: S506
    frame = deserialize_schema(serialized)  # type: ignore[no-untyped-call]  # pandera's
    return MailboxSchema(path, frame, columns)


class _SchemaFile:
    """Reads the YAML node by node, so that every complaint names its line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _refuse(self, mark: Any, complaint: str) -> NoReturn:
        where = f"{self._path}, line {mark.line + 1}" if mark else f"{self._path}"
        raise SchemaError(f"{where}: {complaint}.", remedy="Correct the schema file.")

    def columns(self, text: str) -> dict[str, Column]:
        top = self._mapping(
            self._document(text),
            "the schema",
            required=("columns",),
            optional=("schema_type", "version", "title", "description", "metadata"),
        )
        own = self._own(top.get("metadata"))
        columns = {
            name: self._column(name, node, own.pop(name, None)) for name, node in self._entries(top["columns"]).items()
        }
        for name, node in own.items():
            self._refuse(node.start_mark, f"“{name}” is no column of this schema{_did_you_mean(name, columns)}")
        self._refuse_shared_names(columns)
        return columns

    def _document(self, text: str) -> yaml.Node:
        try:
            aliases = [event for event in yaml.parse(text, Loader=_LOADER) if isinstance(event, yaml.AliasEvent)]
            document = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            self._refuse(error.problem_mark, f"this is not YAML: {error.problem}")
        except yaml.YAMLError as error:
            self._refuse(None, f"this is not YAML: {error}")
        if aliases:
            self._refuse(aliases[0].start_mark, "an alias (*) cannot be used here; write the part out")
        if document is None:
            self._refuse(None, "the schema is empty")
        return document

    def _own(self, node: yaml.Node | None) -> dict[str, yaml.Node]:
        if node is None:
            return {}
        return self._entries(self._mapping(node, "metadata", required=("columns",))["columns"])

    def _column(self, name: str, node: yaml.Node, own: yaml.Node | None) -> Column:
        entries = self._mapping(
            node,
            f"the column “{name}”",
            required=("dtype",),
            optional=("title", "description", "nullable", "required", "checks"),
        )
        if self._text(entries["dtype"]) != "str":
            self._refuse(
                entries["dtype"].start_mark, "the dtype must be str: cells stay text until they are known good"
            )
        extras = self._mapping(own, f"the column “{name}”", optional=_OWN_KEYS) if own else {}
        column = Column(
            name=name,
            title=self._text(entries.get("title"), default=name),
            description=self._text(entries.get("description"), default=""),
            required=self._flag(entries.get("required"), default=True),
            nullable=self._flag(entries.get("nullable"), default=False),
            rules=tuple(self._rule(check) for check in self._items(entries.get("checks"))),
            explanations=tuple(self._explanation(item) for item in self._items(extras.get("explanations"))),
            names=tuple(self._text(item) for item in self._items(extras.get("names"))),
            blank=self._text(extras.get("blank"), default=f"“{name}” must not be blank"),
            secret=self._flag(extras.get("secret"), default=False),
            whole_number=self._flag(extras.get("whole_number"), default=False),
            example=self._text(extras.get("example"), default=""),
        )
        self._refuse_unknown_placeholders(column, node)
        return column

    def _rule(self, node: yaml.Node) -> Rule:
        entries = self._mapping(node, "a check", required=("options",), optional=("pattern", "min", "max"))
        options = self._mapping(entries["options"], "a check's options", required=("check_name", "error"))
        kind = self._text(options["check_name"])
        if kind not in KINDS:
            self._refuse(options["check_name"].start_mark, f"there is no check “{kind}”{_did_you_mean(kind, KINDS)}")
        self._mapping(node, f"the check “{kind}”", required=("options", *KINDS[kind]))
        sentence = self._text(options["error"])
        if kind == "length":
            shortest, longest = self._number(entries["min"]), self._number(entries["max"])
            if shortest > longest:
                self._refuse(node.start_mark, "min is greater than max")
            return Rule(kind, sentence, shortest=shortest, longest=longest)
        return Rule(kind, sentence, self._pattern(entries["pattern"]))

    def _explanation(self, node: yaml.Node) -> Explanation:
        entries = self._mapping(node, "an explanation", required=("sentence",), optional=("whole", "part"))
        if ("whole" in entries) == ("part" in entries):
            self._refuse(node.start_mark, "an explanation needs either “whole” or “part”")
        pattern = self._pattern(entries.get("whole") or entries["part"])
        return Explanation(pattern, self._text(entries["sentence"]), whole="whole" in entries)

    def _pattern(self, node: yaml.Node) -> re.Pattern[str]:
        try:
            return re.compile(self._text(node))
        except re.error as error:
            self._refuse(node.start_mark, f"the pattern is not a regular expression: {error}")

    def _refuse_unknown_placeholders(self, column: Column, node: yaml.Node) -> None:
        rules = [(rule.sentence, rule.pattern.groupindex if rule.forbids else {}) for rule in column.rules]
        explanations = [(item.sentence, item.pattern.groupindex) for item in column.explanations]
        for sentence, groups in (*rules, *explanations):
            known = () if column.secret else ("value", *groups)
            for placeholder in self._placeholders(sentence, node):
                if placeholder not in known:
                    why = "its cells are never shown" if column.secret else "nothing of that name is found"
                    self._refuse(
                        node.start_mark, f"a sentence of the column “{column.name}” names {{{placeholder}}}, but {why}"
                    )

    def _placeholders(self, sentence: str, node: yaml.Node) -> list[str]:
        try:
            parts = list(Formatter().parse(sentence))
        except ValueError as error:
            self._refuse(node.start_mark, f"the sentence “{sentence}” has a brace too many or too few: {error}")
        return [
            name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            for _, name, spec, conversion in parts
            if name is not None
        ]

    def _refuse_shared_names(self, columns: Mapping[str, Column]) -> None:
        seen: dict[str, str] = {}
        for column in columns.values():
            for name in column.headers:
                other = seen.setdefault(normalize(name), column.name)
                if other != column.name:
                    self._refuse(None, f"the header “{name}” is given to both {other} and {column.name}")

    def _mapping(
        self, node: yaml.Node, what: str, *, required: Sequence[str] = (), optional: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        entries = self._entries(node)
        known = (*required, *optional)
        for key, value in entries.items():
            if key not in known:
                self._refuse(value.start_mark, f"{what} has the unknown key “{key}”{_did_you_mean(key, known)}")
        for key in required:
            if key not in entries:
                self._refuse(node.start_mark, f"{what} lacks the key “{key}”")
        return entries

    def _entries(self, node: yaml.Node) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node.start_mark, "a list of “key: value” is expected here")
        entries: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self._text(key_node)
            if key in entries:
                self._refuse(key_node.start_mark, f"the key “{key}” is given twice")
            entries[key] = value
        return entries

    def _items(self, node: yaml.Node | None) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._refuse(node.start_mark, "a list is expected here, each of its lines beginning with a hyphen")
        return list(node.value)

    def _text(self, node: yaml.Node | None, *, default: str = "") -> str:
        return str(self._scalar(node, "str", "a text")) if node else default

    def _flag(self, node: yaml.Node | None, *, default: bool) -> bool:
        return bool(self._scalar(node, "bool", "true or false")) if node else default

    def _number(self, node: yaml.Node) -> int:
        return int(self._scalar(node, "int", "a whole number"))

    def _scalar(self, node: yaml.Node, tag: str, what: str) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag != f"tag:yaml.org,2002:{tag}":
            self._refuse(node.start_mark, f"{what} is expected here")
        return yaml.SafeLoader("").construct_object(node)


def _did_you_mean(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean “{close[0]}”?" if close else ""


def _register_checks() -> None:
    """Make `KINDS` known to pandera, whose registry is global and refuses a name it has."""
    for kind, statistics in KINDS.items():
        if not hasattr(pa.Check, kind):
            check = _length_check if kind == "length" else _pattern_check(kind)
            register_check_method(check, statistics=list(statistics), supported_types=pd.Series)


def _pattern_check(kind: str) -> Callable[..., pd.Series[bool]]:
    def check(cells: pd.Series[str], *, pattern: str) -> pd.Series[bool]:
        return Rule(kind, "", re.compile(pattern)).unbroken(cells)

    check.__name__ = kind
    return check


def _length_check(cells: pd.Series[str], *, min: int, max: int) -> pd.Series[bool]:  # noqa: A002 - the YAML's words
    return Rule("length", "", shortest=min, longest=max).unbroken(cells)


_length_check.__name__ = "length"
