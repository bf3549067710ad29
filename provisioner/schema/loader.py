"""Loads a schema from pandera's YAML so strictly that no rule is dropped without a word.

pandera accepts a misspelt key, an unknown option, a key given twice or an empty file, and then checks nothing.
Here each of them is a `SchemaError` that names the file and the line.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn

import yaml
from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, model_validator

from provisioner.errors import SchemaError
from provisioner.messages import LONGEST_PATH, shorten
from provisioner.schema.headers import normalize
from provisioner.schema.model import CheckKind, Column, MailboxSchema, Rule, shown
from provisioner.schema.probe import LONGEST_CELL, slow_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MANDATORY: Final = ("email", "domain", "relay_server", "password")
"""The columns without which no mailbox can be created."""

_LARGEST_FILE: Final = 1_000_000
"""Bytes."""
# libyaml's, which PyYAML nearly always comes with, is ten times as fast as the one in Python.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final = {
    "string_type": "a text is expected here",
    "int_type": "a whole number is expected here",
    "bool_type": "true or false is expected here",
    "list_type": "a list is expected here, each of its lines beginning with a hyphen",
    "dict_type": "a list of “key: value” is expected here",
    "model_type": "a list of “key: value” is expected here",
}
"""What to say for each type of pydantic's errors."""


def load(path: Path | None = None) -> MailboxSchema:
    """The schema of a sheet of mailboxes. None means the one that is shipped.

    Raises:
        SchemaError: The file cannot be read, or holds anything that would be ignored.
    """
    schema = read_schema(path or shipped("mailbox.yaml"))
    if path is not None:
        _refuse_slow_patterns(schema)
    for name in MANDATORY:
        if name not in schema.columns:
            raise SchemaError(
                f"{schema.path}: the column “{name}” is missing, without which no mailbox can be created.",
                remedy="Add it, as the schema has it that comes with the program.",
            )
    return schema


def _refuse_slow_patterns(schema: MailboxSchema) -> None:
    rules = [rule for column in schema.columns.values() for rule in column.all_rules]
    slow = slow_pattern([(rule.pattern.pattern, rule.whole) for rule in rules])
    if slow is not None:
        raise SchemaError(
            f"{schema.path}: the pattern “{shown(slow)}” takes too long on a cell of {LONGEST_CELL:,} characters.",
            remedy="Write it so that no part that repeats is repeated as a whole, as in (a+)+.",
        )


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
    return _parsed(path, _text_of(path))


@lru_cache(maxsize=8)
def _parsed(path: Path, text: str) -> MailboxSchema:
    return _SchemaFile(path, text).schema()


def _text_of(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            reason = "it is not a file"
        elif path.stat().st_size > _LARGEST_FILE:
            reason = f"it is larger than {_LARGEST_FILE:,} bytes"
        else:
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        reason = "it is not text in UTF-8"
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "it has no name that a file can have"
    raise SchemaError(
        f"The schema {shorten(str(path), LONGEST_PATH)} cannot be read: {reason}.",
        remedy="Name a schema file that you may read, in UTF-8.",
    )


def _pattern(text: object) -> re.Pattern[str]:
    if not isinstance(text, str):
        raise ValueError(_WORDS["string_type"])  # noqa: TRY004 - pydantic takes this type for a complaint
    try:
        return re.compile(text)
    except (re.error, OverflowError) as error:
        raise ValueError(f"the pattern is not a regular expression: {error}") from error
    except RecursionError:
        raise ValueError("the pattern is nested too deeply") from None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Options(_Part):
    check_name: CheckKind
    error: str


class _Check(_Part):
    options: _Options
    pattern: Annotated[re.Pattern[str], PlainValidator(_pattern)] | None = None
    min: int | None = None
    max: int | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> _Check:
        kind = self.options.check_name
        needed = {"min", "max"} if kind == "length" else {"pattern"}
        given = self.model_fields_set - {"options"}
        if given != needed:
            raise ValueError(f"the check “{kind}” takes {' and '.join(sorted(needed))}, and nothing else")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max")
        return self

    def rule(self) -> Rule:
        pattern = self.pattern or re.compile("")
        return Rule(self.options.check_name, self.options.error, pattern, self.min or 0, self.max or 0)


class _Explanation(_Part):
    whole: Annotated[re.Pattern[str], PlainValidator(_pattern)] | None = None
    part: Annotated[re.Pattern[str], PlainValidator(_pattern)] | None = None
    sentence: str

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> _Explanation:
        if (self.whole is None) == (self.part is None):
            raise ValueError("an explanation needs either “whole” or “part”")
        return self

    def rule(self) -> Rule:
        if self.whole is not None:
            return Rule("fits_not", self.sentence, self.whole)
        assert self.part is not None
        return Rule("has_no", self.sentence, self.part)


class _Column(_Part):
    """What pandera's YAML says of a column."""

    dtype: Literal["str"]
    """Cells stay text until they are known good."""
    title: str | None = None
    description: str = ""
    nullable: bool = False
    required: bool = True
    checks: list[_Check] = []


class _Own(_Part):
    """What pandera's YAML has no place for."""

    names: list[str] = []
    blank: str | None = None
    together: str = ""
    secret: bool = False
    whole_number: bool = False
    example: str = ""
    explanations: list[_Explanation] = []
    warnings: list[_Explanation] = []


class _Metadata(_Part):
    columns: dict[str, _Own]


class _File(_Part):
    columns: dict[str, _Column]
    metadata: _Metadata = _Metadata(columns={})
    schema_type: str = ""
    version: str = ""
    title: str = ""
    description: str = ""


_KEYS: Final = {
    key for part in (_File, _Metadata, _Column, _Own, _Check, _Options, _Explanation) for key in part.model_fields
}


class _SchemaFile:
    """Reads one schema file. Every complaint names its line."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._root: Any = None

    def schema(self) -> MailboxSchema:
        try:
            self._root = yaml.compose(self._text, Loader=_LOADER)
            if self._root is None:
                self._refuse(None, "the schema is empty")
            self._refuse_what_yaml_hides()
            file = _File.model_validate(yaml.SafeLoader("").construct_document(self._root))
        except yaml.MarkedYAMLError as error:
            self._refuse(error.problem_mark, f"this is not YAML that can be used: {error.problem}")
        except (yaml.YAMLError, RecursionError) as error:
            self._refuse(None, f"this is not YAML: {str(error).partition(chr(10))[0]}")
        except ValidationError as error:
            self._refuse_invalid(error)
        except ValueError:
            self._refuse(None, "a number or a date in it cannot be read; write a text in quotation marks")
        own = file.metadata.columns
        for name in own:
            if name not in file.columns:
                where = self._mark(("metadata", "columns", name))
                self._refuse(where, f"“{name}” is no column of this schema{_did_you_mean(name, file.columns)}")
        columns = {name: self._column(name, column, own.get(name, _Own())) for name, column in file.columns.items()}
        self._refuse_shared_names(columns.values())
        return MailboxSchema(self._path, columns)

    def _column(self, name: str, said: _Column, own: _Own) -> Column:
        column = Column(
            name=name,
            title=said.title or name,
            description=said.description,
            required=said.required,
            nullable=said.nullable,
            rules=tuple(check.rule() for check in said.checks),
            explanations=tuple(each.rule() for each in own.explanations),
            warnings=tuple(each.rule() for each in own.warnings),
            names=tuple(own.names),
            blank=own.blank or f"“{name}” must not be blank",
            together=own.together,
            secret=own.secret,
            whole_number=own.whole_number,
            example=own.example,
        )
        self._refuse_unknown_placeholders(column)
        return column

    def _refuse(self, mark: Any, complaint: str) -> NoReturn:
        where = f"{self._path}, line {mark.line + 1}" if mark else f"{self._path}"
        end = "" if complaint.endswith("?") else "."
        raise SchemaError(f"{where}: {complaint}{end}", remedy="Correct the schema file.")

    def _refuse_what_yaml_hides(self) -> None:
        """A key given twice and an alias are YAML, and say something else than they seem to."""
        seen: set[int] = set()
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            if id(node) in seen:
                self._refuse(node.start_mark, "an alias (*) to this part cannot be used; write the part out")
            seen.add(id(node))
            if isinstance(node, yaml.MappingNode):
                keys: set[object] = set()
                for key, value in node.value:
                    if not isinstance(key, yaml.ScalarNode):
                        self._refuse(key.start_mark, "a key must be a text")
                    if key.value in keys:
                        self._refuse(key.start_mark, f"the key “{key.value}” is given twice")
                    keys.add(key.value)
                    nodes.append(value)
            elif isinstance(node, yaml.SequenceNode):
                nodes += node.value

    def _refuse_invalid(self, error: ValidationError) -> NoReturn:
        # A misspelt key is missing under its right name too, and is the better thing to say.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        place, kind = first["loc"], first["type"]
        key = str(place[-1]) if place else ""
        if kind == "extra_forbidden":
            complaint = f"there is the unknown key “{key}”{_did_you_mean(key, _KEYS)}"
        elif kind == "missing":
            complaint = f"the key “{key}” is missing"
        elif kind == "literal_error":
            complaint = f"“{shown(str(first['input']))}” cannot be used here; write {first['ctx']['expected']}"
        elif kind == "value_error":
            complaint = str(first["ctx"]["error"])
        else:
            complaint = _WORDS.get(kind, first["msg"])
        self._refuse(self._mark(place), complaint)

    def _mark(self, place: Sequence[int | str]) -> Any:
        """Where a part of the file begins, or the innermost part around it if it is missing."""
        node, mark = self._root, self._root.start_mark
        for step in place:
            if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
                mark = node.start_mark
            elif isinstance(node, yaml.MappingNode):
                found = [pair for pair in node.value if pair[0].value == step]
                if not found:
                    break
                mark, node = found[0][0].start_mark, found[0][1]
        return mark

    def _refuse_unknown_placeholders(self, column: Column) -> None:
        where = self._mark(("columns", column.name))
        for rule in column.all_rules:
            known = () if column.secret else ("value", *(rule.pattern.groupindex if rule.forbids else ()))
            for placeholder in self._placeholders(rule.sentence, where):
                if placeholder not in known:
                    why = "its cells are never shown" if column.secret else "nothing of that name is found"
                    self._refuse(where, f"a sentence of the column “{column.name}” names {{{placeholder}}}, but {why}")

    def _placeholders(self, sentence: str, where: Any) -> list[str]:
        try:
            parts = list(Formatter().parse(sentence))
        except ValueError as error:
            self._refuse(where, f"the sentence “{sentence}” has a brace too many or too few: {error}")
        return [
            name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            for _, name, spec, conversion in parts
            if name is not None
        ]

    def _refuse_shared_names(self, columns: Iterable[Column]) -> None:
        seen: dict[str, str] = {}
        for column in columns:
            for name in column.headers:
                other = seen.setdefault(normalize(name), column.name)
                if other != column.name:
                    self._refuse(None, f"the header “{name}” is given to both {other} and {column.name}")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean “{close[0]}”?" if close else ""
