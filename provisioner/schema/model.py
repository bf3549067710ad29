"""What a loaded schema says: its columns, the rules of their cells, and the sentence for each broken rule.

pandera judges every cell. What it finds wrong is explained here; nothing else refuses a cell.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd
import pandera.pandas as pa

from provisioner.messages import shorten, visible
from provisioner.records import GAP, Fault
from provisioner.schema.headers import HeaderNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

CheckKind = Literal["fits", "fits_not", "has", "has_no", "length"]
"""The checks that a schema may use."""
_SHOWN_LENGTH: Final = 61


def shown(text: str) -> str:
    """`text` for a message: on one line, without characters that act on a terminal, and not endlessly long."""
    return visible(shorten(text, _SHOWN_LENGTH))


def _fault(sentence: str, text: str, found: object) -> Fault:
    cause, names = _parsed(sentence)
    groups = found.groupdict(default="") if isinstance(found, re.Match) else {}
    named = {**groups, "value": text}
    return Fault(cause, tuple(GAP if name is None else shown(named[name]) for name in names))


@lru_cache
def _parsed(sentence: str) -> tuple[str, Sequence[str | None]]:
    """The sentence with a gap for each placeholder, and their names; None for a gap that it had before."""
    cause, names = "", list[str | None]()
    for literal, name, _, _ in Formatter().parse(sentence):
        cause += literal if name is None else literal + GAP
        names += [None] * literal.count(GAP) + ([name] if name is not None else [])
    return cause, names


@dataclass(frozen=True)
class Rule:
    """One check of a column, and the sentence that is shown where a cell breaks it."""

    kind: CheckKind
    sentence: str
    pattern: re.Pattern[str] = re.compile("")
    """What the check looks for. Not used by `length`."""
    shortest: int = 0
    longest: int = 0

    @property
    def forbids(self) -> bool:
        """Whether a match breaks the rule; otherwise the lack of one does."""
        return self.kind in ("fits_not", "has_no")

    @property
    def whole(self) -> bool:
        """Whether the whole cell must match; otherwise any part of it."""
        return self.kind.startswith("fits")

    def keeps(self, text: str) -> bool:
        """Whether a cell that holds `text` keeps the rule."""
        return bool(self._find(text)) != self.forbids

    def fault(self, text: str) -> Fault:
        """What to say about a cell that breaks the rule."""
        return _fault(self.sentence, text, self._find(text))

    @cached_property
    def check(self) -> pa.Check:
        """The rule as pandera asks it, of a series of texts."""
        return pa.Check(self._kept, name=self.kind, error=self.sentence, ignore_na=False)

    def _kept(self, texts: pd.Series[str]) -> pd.Series[bool]:
        forbids = self.forbids
        return pd.Series([bool(found) != forbids for found in map(self._find, texts.tolist())], texts.index, dtype=bool)

    @cached_property
    def _find(self) -> Callable[[str], re.Match[str] | bool | None]:
        if self.kind == "length":
            return lambda text: self.shortest <= len(text) <= self.longest
        return self.pattern.fullmatch if self.whole else self.pattern.search


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
    explanations: tuple[Rule, ...] = ()
    """Known mistakes. They say better than the rules what is wrong with a cell that breaks one, and refuse none."""
    warnings: tuple[Rule, ...] = ()
    """What is worth knowing about a cell that is sent all the same."""
    names: tuple[str, ...] = ()
    """Further headers that mean it."""
    blank: str = ""
    """The sentence where a cell is blank and must not be."""
    together: str = ""
    """The sentence that begins the one fault of a cell that lacks several things; empty if each is a fault of its
    own. What stands before its colon is the cause that all such cells share."""
    secret: bool = False
    """Whether its cells are never shown, and are sent exactly as they stand."""
    whole_number: bool = False
    """Whether 101.0 is read as 101."""
    example: str = ""
    """What the template's example row holds, which is never sent."""

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """Those that refuse no cell too."""
        return (*self.rules, *self.explanations, *self.warnings)

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header that means the column."""
        return (self.name, self.title, *self.names)

    def faults(self, text: str, broken: Sequence[Rule]) -> list[Fault]:
        """What is wrong with a cell that holds `text` and breaks the rules `broken`."""
        explained = self._explained(text, whole=True)
        return explained[:1] or list(self._faults(text, broken))

    def _faults(self, text: str, broken: Sequence[Rule]) -> Iterator[Fault]:
        lacking = [rule for rule in broken if self.together and rule.kind in ("has", "length")]
        if lacking:
            *parts, last = (rule.fault(text).sentence for rule in lacking)
            needed = f"{', '.join(parts)} and {last}" if parts else last
            cause, colon, rest = self.together.partition(":")
            yield Fault(f"{cause}{GAP}", (f"{colon}{rest} {needed}",))
        for rule in broken:
            if rule not in lacking:
                parts_of_it = self._explained(text, whole=False) if rule.kind == "fits" else []
                yield from parts_of_it or [rule.fault(text)]

    def _explained(self, text: str, *, whole: bool) -> list[Fault]:
        """The known mistakes of the whole cell, or those of a part of it."""
        return [each.fault(text) for each in self.explanations if each.whole == whole and not each.keeps(text)]


@dataclass(frozen=True)
class MailboxSchema:
    """A loaded schema."""

    path: Path
    columns: Mapping[str, Column]
    headers: Mapping[str, str] = field(default_factory=dict)
    """What further headers mean, in the sheet at hand alone: each a column, or empty for none."""

    @property
    def secret(self) -> set[str]:
        """The columns whose cells are never shown."""
        return {column.name for column in self.columns.values() if column.secret}

    def faults(self, column: str, texts: Iterable[str]) -> dict[str, list[Fault]]:
        """The texts that break rules of a column, and what is wrong with each of them.

        Blank cells are no text: whether a cell may be blank is not asked here. Each different text is asked about once.
        The checks are asked one after the other, since pandera's own reports gather the cells, passwords among them.
        """
        cells = pd.Series(list(dict.fromkeys(texts)), dtype=object)
        broken = defaultdict[str, list[Rule]](list)
        for rule in self.columns[column].rules if len(cells) else ():
            kept: Any = rule.check(cells).check_output
            for text in cells[~kept]:
                broken[text].append(rule)
        return {text: self.columns[column].faults(text, rules) for text, rules in broken.items()}

    def accepts(self, column: str, text: str) -> bool:
        """Whether one text breaks no rule of a column: the checks' own functions, asked without a series around it."""
        return all(rule.keeps(text) for rule in self.columns[column].rules)

    def column_for(self, header: str) -> str | None:
        """The column that a header means, or None if the schema does not know it."""
        chosen = self.headers.get(header.strip())
        return self._header_names.column_for(header) if chosen is None else chosen or None

    def closest_column(self, header: str) -> str | None:
        """The column that an unknown header nearly names, or None."""
        return None if header.strip() in self.headers else self._header_names.closest_column(header)

    @cached_property
    def _header_names(self) -> HeaderNames:
        return HeaderNames((header, column.name) for column in self.columns.values() for header in column.headers)
