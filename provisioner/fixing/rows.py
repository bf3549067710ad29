"""The rows of a sheet in memory, each with its verdict: what a check says of it, kept up to date as cells change."""

from __future__ import annotations

import hashlib
import secrets
from bisect import insort
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final

from provisioner.fixing.views import Column, Fault, FixRefusedError, OpenRow, StaleRowError, UnknownRowError
from provisioner.journal import Moved, Written
from provisioner.messages import WORDS
from provisioner.records import Problem, Status
from provisioner.sheets import UNCERTAIN, Origin, Sheet, column_letters
from provisioner.stages.corrections import FailuresMatcher, may_be_converted
from provisioner.stages.entries import RowBuilder
from provisioner.stages.failures_files import failures_header
from provisioner.stages.group import problems_of
from provisioner.stages.matching import KnownRows, SheetMatcher, keys_of
from provisioner.stages.read import read_rows
from provisioner.stages.reconcile import WorkPlan, verdicts
from provisioner.stages.resolve import Resolver
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from provisioner.journal import JournalRow, SheetChange
    from provisioner.records import Entry, RowId
    from provisioner.stages.corrections import Typed
    from provisioner.stages.prepare import PreparedSheet

_VERSION_KEY: Final = secrets.token_bytes(32)
"""So that a version tells nothing of the password, not even to somebody who tries many."""


class Place(Enum):
    """Where a row is counted."""

    READY = auto()
    TO_FIX = auto()
    DONE = auto()
    LEFT_OUT = auto()
    OTHER = auto()


_PLACES: Final = {
    Status.VALID: Place.READY,
    Status.INVALID: Place.TO_FIX,
    Status.REJECTED: Place.TO_FIX,
    Status.CREATED: Place.DONE,
    Status.EXISTS: Place.DONE,
}
_FOLLOWED: Final = frozenset({Status.UNFINISHED, Status.UNKNOWN})
"""The mailbox may exist as it was sent, whatever the row says now."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of a row."""

    status: Status
    problems: tuple[Problem, ...] = ()
    left_out: bool = False
    maybe_sent: bool = False

    @property
    def place(self) -> Place:
        return Place.LEFT_OUT if self.left_out else _PLACES.get(self.status, Place.OTHER)


_READY: Final = Verdict(Status.VALID)


class Rows:
    """The rows of one file. A row is known by its position, which it keeps. Not for several threads at once."""

    def __init__(self, prepared: PreparedSheet, known: Iterable[JournalRow] | None, typed: Typed) -> None:
        """`known` are the journal's rows, None if there is no journal yet; `typed` as in `FailuresMatcher`."""
        self.prepared = prepared
        self.schema = prepared.schema
        self.sheet = _changeable(prepared.sheet)
        self.typed: dict[int, set[str]] = {row: set(columns) for row, columns in typed.items()}
        self.known = KnownRows(known or (), latest_file=True)
        self.outside: Counter[Place] = Counter()
        """The rows of the record that the file does not hold."""
        self.missing: list[JournalRow] = []
        """Those of them that are to be run again: another file has their passwords."""
        self.plan = WorkPlan()
        self._ids: list[RowId] = []
        """The journal's IDs of the rows as they were when the file was opened; empty if there was no journal."""
        self._resolver = Resolver(None)
        self._shown: dict[int, set[str]] = defaultdict(set)
        """The columns of a row whose cells were typed here, so that no piece of a password can stand there."""
        self._positions = {key: position for position, key in enumerate(self._keys())}
        self._verdicts: list[Verdict] = [_READY] * len(self.sheet.rows)
        self._place_of: list[Place] = [Place.READY] * len(self.sheet.rows)
        self._places = Counter({Place.READY: len(self.sheet.rows)})
        self._causes: Counter[str] = Counter()
        self._texts: Counter[tuple[str, str]] = Counter()
        """Of the rows to fix, how many hold a text in a faulty cell of a column."""
        self._texts_of: dict[int, list[tuple[str, str]]] = {}
        """The same, by row."""
        if known is None:
            self._judge(self._suspects())
        else:
            self._judge_all()

    def _keys(self) -> Iterator[str]:
        taken: set[int] = set()
        for row in self.sheet.rows:
            number = self.sheet.number(row)
            yield f"+{row}" if number is None or number in taken else str(number)
            if number is not None:
                taken.add(number)

    def make_ready(self) -> None:
        """Do before the first change what it would have to wait for."""
        _ = self._mailboxes, self._by_letters, self._row_keys

    def identities(self) -> Iterator[tuple[int, RowId]]:
        """The number in the file and the journal's ID of each row."""
        return zip(self.sheet.rows, self._ids, strict=True)

    # What is shown

    @cached_property
    def columns(self) -> list[Column]:
        found = []
        for header, key in zip(self.sheet.headers, self.sheet.keys, strict=True):
            known = self.schema.columns.get(key)
            found.append(
                Column(
                    key=key,
                    header=header.strip() or key,
                    secret=known is not None and known.secret,
                    required=known is not None and not known.nullable,
                    known=known is not None,
                )
            )
        return found

    @property
    def places(self) -> Counter[Place]:
        """How many rows are counted where, those that the file does not hold included."""
        return self._places + self.outside

    @property
    def causes(self) -> Counter[str]:
        """The causes of the rows to fix, and how many have each."""
        return +self._causes

    def at(self, key: str) -> int:
        """The position of a row that is left. Raises UnknownRowError."""
        position = self._positions.get(key)
        if position is None or self._verdicts[position].place in (Place.LEFT_OUT, Place.DONE):
            raise UnknownRowError(key)
        return position

    def left_out_at(self, key: str) -> int | None:
        """The position of a row that was left out here; None if the rows were read again since."""
        position = self._positions.get(key)
        return position if position is not None and self._verdicts[position].left_out else None

    def journal_id(self, position: int) -> RowId | None:
        """What the journal calls the row; None if it does not know it."""
        known = self.known.at(self.sheet.number(self.sheet.rows[position]))
        return known.id if known is not None else None

    def at_version(self, key: str, version: str) -> int:
        """The same, if the row still has the version. Raises StaleRowError, UnknownRowError."""
        position = self.at(key)
        if self.version(position) != version:
            raise StaleRowError(self.view(position))
        return position

    def key(self, position: int) -> str:
        return self._row_keys[position]

    @cached_property
    def _row_keys(self) -> list[str]:
        return list(self._positions)

    def version(self, position: int) -> str:
        text = "\0".join(self.own_cells(position)).encode(errors="surrogatepass")
        return hashlib.blake2b(text, digest_size=8, key=_VERSION_KEY).hexdigest()

    def verdict(self, position: int) -> Verdict:
        return self._verdicts[position]

    def view(self, position: int) -> OpenRow:
        """The row as it can be shown."""
        verdict, row = self._verdicts[position], self.sheet.rows[position]
        cells = self._cells(position)
        hidden = self._hidden(position, cells)
        found = [self._fault(position, problem) for problem in verdict.problems]
        to_fix = verdict.place is Place.TO_FIX
        return OpenRow(
            key=self.key(position),
            number=self.sheet.number(row),
            version=self.version(position),
            status=verdict.status,
            cells={key: None if cell and key in hidden else cell for key, cell in cells.items()},
            faults=tuple(found),
            alike={
                fault.column: self._texts[fault.column, cells[fault.column]]
                for fault in found
                if fault.column in cells and not (fault.column == "email" and self._is_duplicate(position))
            }
            if to_fix
            else {},
        )

    def _is_duplicate(self, position: int) -> bool:
        """Whether another row is for the same mailbox, so that one username for both would be wrong again."""
        key = self._mailbox(position)
        return key is not None and len(self._mailboxes.get(key, ())) > 1

    def _hidden(self, position: int, cells: Mapping[str, str]) -> set[str]:
        """The columns of which nothing is shown: secret ones, and those where a piece of the password may stand."""
        return self.schema.secret | self._doubtful(position, cells)

    def _doubtful(self, position: int, cells: Mapping[str, str]) -> set[str]:
        """The columns in whose cells a piece of the row's password may stand."""
        row = self.sheet.rows[position]
        username = self.sheet.misaligned.get(row)
        if username is None:
            doubtful = set(self._builder.hidden(row, self._verdicts[position].problems))
        else:
            doubtful = {key for key in cells if key != "email" or cells[key] != username}
        doubtful -= self.schema.secret | self._shown.get(position, set())
        known = self.known.at(self.sheet.number(row)) if doubtful else None
        return {key for key in doubtful if cells[key] and not (known and known.cells.get(key) == cells[key])}

    @cached_property
    def _builder(self) -> RowBuilder:
        return RowBuilder(self.sheet, self.prepared.checked, self._resolver, secret=self.schema.secret, duplicates={})

    def _fault(self, position: int, problem: Problem) -> Fault:
        row = self.sheet.rows[position]
        if problem.cell is not None:
            letters = problem.cell.rstrip("0123456789")
            return Fault(self._by_letters.get(letters), problem.sentence, problem.cell)
        if row in self.sheet.unreadable:
            cells = self._cells(position)
            marked = [key for key, cell in cells.items() if _marked(cell)]
            # Where other cells may stand under a wrong header, all of them are to be looked at.
            if len(marked) == 1 and self._doubtful(position, cells) <= set(marked):
                return Fault(marked[0], problem.sentence, self.sheet.cell_name(row, marked[0]))
        return Fault(None, problem.sentence, None)

    @cached_property
    def _by_letters(self) -> dict[str, str]:
        return {column_letters(place): key for place, key in enumerate(self.sheet.keys)}

    def own_cells(self, position: int) -> list[str]:
        """The row's cells as a failures file has them, in the order of the sheet's columns."""
        typed, columns = self.sheet.typed, self.sheet.columns
        return [typed.get(key, columns[key])[position] for key in self.sheet.keys]

    def _cells(self, position: int) -> dict[str, str]:
        return dict(zip(self.sheet.keys, self.own_cells(position), strict=True))

    def table_row(self, position: int) -> list[str]:
        """All of its cells in a failures file."""
        origin = self.sheet.origins.get(self.sheet.rows[position]) or Origin(None, None)
        number = "" if origin.sheet_row is None else str(origin.sheet_row)
        remedy = WORDS[origin.status].remedy if origin.status else ""
        return [*self.own_cells(position), number, origin.status or "", origin.error, remedy, origin.task_id or ""]

    def table(self) -> list[list[str]]:
        """All rows that are not left out, as a failures file has them."""
        rows = range(len(self.sheet.rows))
        return [self.table_row(position) for position in rows if not self._verdicts[position].left_out]

    def table_rows_of(self, part: Sheet) -> dict[int, list[str]]:
        """By position, rows that were read, as the failures file is to have them."""
        found = {}
        absent = [""] * len(part.rows)
        for place, row in enumerate(part.rows):
            position = self.sheet.position(row)
            own = [part.typed.get(key, part.columns.get(key, absent))[place] for key in self.sheet.keys]
            found[position] = [*own, *self.table_row(position)[len(own) :]]
        return found

    def behind(self, key: str) -> int:
        """The position behind a row, left or not; the first one if no row has the key."""
        return self._positions.get(key, -1) + 1

    def positions(self, *places: Place) -> list[int]:
        """The positions of the rows that are counted at one of these places, in the file's order."""
        wanted = frozenset(places)
        return [position for position, place in enumerate(self._place_of) if place in wanted]

    def found(self, position: int, text: str) -> bool:
        """Whether a cell of the row that may be shown holds `text`, whatever its case, or its key is that."""
        if text == self.key(position):
            return True
        columns, secret = self.sheet.columns, self.schema.secret
        keys = {key for key in self.sheet.keys if key not in secret and text in columns[key][position].casefold()}
        if not keys:
            return False
        return not keys <= self._hidden(position, self._cells(position))

    def has_cause(self, position: int, cause: str) -> bool:
        return any(problem.cause == cause for problem in self._verdicts[position].problems)

    def alike(self, position: int, column: str) -> list[int]:
        """The rows to fix that hold the same text in a column in which it is a fault, this one included."""
        text = self._own_text(position, column)
        return [
            other
            for other in self.positions(Place.TO_FIX)
            if self._own_text(other, column) == text
            and any(self._fault(other, problem).column == column for problem in self._verdicts[other].problems)
        ]

    def _own_text(self, position: int, column: str) -> str:
        return self.sheet.typed.get(column, self.sheet.columns[column])[position]

    # What changes

    def read(self, cells: Mapping[int, Mapping[str, str]]) -> Sheet:
        """The rows at some positions with other texts in some columns, as they will be read. Nothing changes yet.

        Raises FixRefusedError if one of them would be read as something else than a row.
        """
        rows = []
        for position in sorted(cells):
            row, keys = self.table_row(position), self.sheet.keys
            texts = [cells[position].get(key, text) for key, text in zip(keys, row, strict=False)]
            rows.append((self.sheet.rows[position], [*texts, *row[len(keys) :]]))
        part = read_rows(
            failures_header(self.sheet),
            rows,
            self.schema,
            delimiter=self.sheet.delimiter,
            fill=self.prepared.options.fill,
        )
        unmarked = {row for row, texts in rows if not any(map(_marked, texts))}
        if len(part.rows) < len(rows) or unmarked & part.misaligned.keys():
            raise FixRefusedError(
                "With these cells the row would read as a header or as the template's example, not as a mailbox.",
                remedy="Write a mailbox's cells, or leave the row out.",
            )
        return part

    def note_typed(self, new: Mapping[int, Sequence[str]]) -> None:
        """Note what somebody types, so that it is not taken for what a program made of the cell that was there."""
        for position, cells in new.items():
            for key, before, text in zip(self.sheet.keys, self.own_cells(position), cells, strict=False):
                if text != before:
                    self._note_typed(position, key, text)

    def note_workbook(self) -> None:
        """Note that the cells stand in a workbook, whose cells are as they were typed but for those that are faulty."""
        for position in range(len(self.sheet.rows)):
            faulty = {self._fault(position, problem).column for problem in self._verdicts[position].problems}
            for key, text in zip(self.sheet.keys, self.own_cells(position), strict=True):
                if key not in faulty:
                    self._note_typed(position, key, text)

    def _note_typed(self, position: int, column: str, text: str) -> None:
        number = self.sheet.number(self.sheet.rows[position])
        known = self.known.at(number)
        if number is not None and known is not None and may_be_converted(known, column, text):
            self.typed.setdefault(number, set()).add(column)

    def apply(self, part: Sheet) -> list[int]:
        """Take in rows that were read. Returns their positions, and those of rows that are judged otherwise now."""
        changed = [self.sheet.position(row) for row in part.rows]
        affected = set(changed)
        for position in changed:
            affected |= self._same_mailbox(position)
        before = {position: self._verdicts[position] for position in affected}
        for position in affected:
            self._count(position, -1)
        for place, position in enumerate(changed):
            self._move(position, part, place)
        new = {other for position in changed for other in self._same_mailbox(position)} - affected
        for position in new:
            before[position] = self._verdicts[position]
            self._count(position, -1)
        self._judge(affected | new, counted=False)
        return [p for p in sorted(affected | new) if p in changed or before[p] != self._verdicts[p]]

    def leave_out(self, position: int) -> list[int]:
        """Take a row out. Returns the positions of the rows that are judged otherwise now."""
        others = self._same_mailbox(position) - {position}
        self._unlist(position)
        return self._rejudged(position, others, replace(self._verdicts[position], left_out=True))

    def take_back(self, position: int) -> list[int]:
        """Take a row in again that was left out, as it was."""
        self._list(position)
        others = self._same_mailbox(position) - {position}
        return self._rejudged(position, others, replace(self._verdicts[position], left_out=False))

    def _rejudged(self, position: int, others: set[int], verdict: Verdict) -> list[int]:
        before = {other: self._verdicts[other] for other in others}
        self._set(position, verdict)
        self._judge(others if verdict.left_out else others | {position})
        return [other for other in sorted(others) if before[other] != self._verdicts[other]]

    def refuse(self, position: int, *, leave_out: bool = False) -> None:
        """Raise FixRefusedError if a row must stay as it is, since its mailbox may exist."""
        verdict = self._verdicts[position]
        if verdict.status in _FOLLOWED or (leave_out and verdict.maybe_sent):
            words = WORDS[verdict.status]
            raise FixRefusedError(
                f"Row {self.key(position)} was sent, and its mailbox may exist: {words.meaning}.",
                remedy=f"{words.remedy}.",
            )

    def _move(self, position: int, part: Sheet, place: int) -> None:
        """Put the cells of a row of `part` in the place of those at a position."""
        row, before = self.sheet.rows[position], self._cells(position)
        self._unlist(position)
        if "domain" in part.typed and "domain" not in self.sheet.typed:
            self.sheet.typed["domain"] = list(self.sheet.columns["domain"])  # type: ignore[index]
        absent = [""] * len(part.rows)
        for key, texts in self.sheet.columns.items():
            texts[position] = part.columns.get(key, absent)[place]  # type: ignore[index]
        for key, texts in self.sheet.typed.items():
            texts[position] = part.typed.get(key, part.columns.get(key, absent))[place]  # type: ignore[index]
        for own, new in ((self.sheet.unreadable, part.unreadable), (self.sheet.misaligned, part.misaligned)):
            own.pop(row, None)  # type: ignore[attr-defined]
            if row in new:
                own[row] = new[row]  # type: ignore[index]
        self._shown[position] |= {key for key, text in self._cells(position).items() if text != before[key]}
        self._list(position)

    # Rows of one mailbox

    @cached_property
    def _mailboxes(self) -> dict[str, list[int]]:
        """The positions of the rows for each mailbox, in the file's order."""
        found: dict[str, list[int]] = {}
        for position in range(len(self.sheet.rows)):
            key = self._mailbox(position)
            if key is not None and not self._verdicts[position].left_out:
                found.setdefault(key, []).append(position)
        return found

    def _mailbox(self, position: int) -> str | None:
        """Which mailbox the row is for; None if it is not certain, or says none."""
        columns = self.sheet.columns
        if "email" not in columns or "domain" not in columns or self.sheet.rows[position] in self.sheet.unreadable:
            return None
        email, domain = columns["email"][position], columns["domain"][position]
        return self._resolver.identity(email, domain).key if email and domain else None

    def _same_mailbox(self, position: int) -> set[int]:
        key = self._mailbox(position)
        return set(self._mailboxes.get(key, ())) if key is not None else set()

    def _unlist(self, position: int) -> None:
        key = self._mailbox(position)
        if key is not None and position in self._mailboxes.get(key, ()):
            self._mailboxes[key].remove(position)

    def _list(self, position: int) -> None:
        key = self._mailbox(position)
        if key is not None and position not in self._mailboxes.get(key, ()):
            insort(self._mailboxes.setdefault(key, []), position)

    # Judging

    def _suspects(self) -> set[int]:
        """The rows that may have a fault, in a sheet without a journal."""
        checked, sheet = self.prepared.checked, self.sheet
        found = set(map(sheet.position, checked.invalid))
        absent = [""] * len(sheet.rows)
        emails = sheet.columns.get("email", absent)
        odd = {position for position, email in enumerate(emails) if "@" in email}
        if odd or not all(domain.isdecimal() for domain in sheet.columns.get("domain", absent)):
            found |= odd
            found |= {position for same in self._mailboxes.values() if len(same) > 1 for position in same}
        return found

    def _judge_all(self) -> None:
        """Judge every row as a check of the whole file would, and count the rows that the file does not hold."""
        sheet = self.sheet
        builder = RowBuilder(sheet, self.prepared.checked, self._resolver, secret=self.schema.secret)
        entries: Iterable[Entry] = builder.entries()
        if self.known.corrections:
            entries = list(entries)
            self.known.in_sheet = {key for entry in entries for key in keys_of(entry)}
        self.plan, changes = verdicts(entries, self._matcher())
        for position, change in enumerate(islice(changes, len(sheet.rows))):
            self._set(position, self._verdict(change))
            self._ids.append(change.row.id if isinstance(change, Written) else change.row_id)
        beyond = {row.id: row for row in self.known.unmatched()}
        for change in changes:
            match change:
                case Written(row):
                    beyond[row.id] = row
                case Moved():
                    pass
                case _:
                    beyond.pop(change.row_id, None)
        for row in beyond.values():
            place = Place.LEFT_OUT if row.deleted else _PLACES.get(row.status, Place.OTHER)
            if place in (Place.DONE, Place.LEFT_OUT):
                self.outside[place] += 1
            else:
                self.outside[Place.OTHER] += 1
                self.missing.append(row)
        self.known.taken.clear()

    def _judge(self, positions: set[int], *, counted: bool = True) -> None:
        """Judge rows anew. `counted`: their earlier verdicts are among the counts."""
        if not positions:
            return
        ordered = sorted(positions)
        part = self._part(ordered)
        alike, same = self._duplicates(ordered)
        checked = validate(
            part, self.schema, blank_password_ok=self.prepared.options.generate_passwords, duplicates=alike
        )
        builder = RowBuilder(part, checked, self._resolver, secret=self.schema.secret, duplicates=same)
        self.known.taken.clear()
        _, changes = verdicts(builder.entries(), self._matcher())
        for position in ordered:
            self._set(position, self._verdict(next(changes)), counted=counted)
        self.known.taken.clear()

    def _matcher(self) -> FailuresMatcher | SheetMatcher:
        if not self.sheet.is_failures:
            return SheetMatcher(self.known)
        return FailuresMatcher(
            self.known,
            lambda entry, column: self.sheet.cell_name(entry.file_row, column),
            is_workbook=self.sheet.path.suffix.lower() != ".csv",
            typed=self.typed,
        )

    def _duplicates(self, positions: Sequence[int]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """The rows for the same mailbox as each of these: those that write it alike, and all; by their numbers."""
        alike, same = {}, {}
        rows, emails, domains = (self.sheet.rows, *(self.sheet.columns.get(name, ()) for name in ("email", "domain")))
        for position in positions:
            key = self._mailbox(position)
            together = self._mailboxes.get(key, []) if key is not None else []
            if len(together) < 2:  # noqa: PLR2004 - a row alone has no duplicates
                continue
            own = emails[position].casefold(), domains[position]
            same[rows[position]] = [rows[each] for each in together]
            exactly = [rows[each] for each in together if (emails[each].casefold(), domains[each]) == own]
            if len(exactly) > 1:
                alike[rows[position]] = exactly
        return alike, same

    def _part(self, positions: Sequence[int]) -> Sheet:
        """These rows as a sheet of their own, with their numbers."""
        sheet = self.sheet
        rows = [sheet.rows[position] for position in positions]

        def chosen(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
            return {key: [texts[position] for position in positions] for key, texts in columns.items()}

        return replace(
            sheet,
            columns=chosen(sheet.columns),
            typed=chosen(sheet.typed),
            rows=rows,
            unreadable={row: sheet.unreadable[row] for row in rows if row in sheet.unreadable},
            misaligned={row: sheet.misaligned[row] for row in rows if row in sheet.misaligned},
        )

    def _verdict(self, change: SheetChange) -> Verdict:
        match change:
            case Written(row):
                pass
            case Moved(row_id):
                row = self.known.by_id[row_id]
            case _:
                raise AssertionError(change)
        if row.status is Status.VALID:
            return _READY if not row.deleted else Verdict(row.status, left_out=True)
        problems = problems_of(row) if row.status not in (Status.CREATED, Status.EXISTS) else ()
        return Verdict(row.status, problems, row.deleted, row.maybe_sent)

    def _set(self, position: int, verdict: Verdict, *, counted: bool = True) -> None:
        if counted:
            self._count(position, -1)
        self._verdicts[position] = verdict
        self._place_of[position] = verdict.place
        self._count(position, 1)

    def _count(self, position: int, number: int) -> None:
        """Add a row to the counts, or take it away."""
        verdict = self._verdicts[position]
        self._places[verdict.place] += number
        if verdict.place is Place.TO_FIX:
            for cause in {problem.cause for problem in verdict.problems}:
                self._causes[cause] += number
            if number > 0:
                columns = {self._fault(position, problem).column for problem in verdict.problems}
                self._texts_of[position] = [(column, self._own_text(position, column)) for column in columns if column]
            for text in self._texts_of[position]:
                self._texts[text] += number


def _changeable(sheet: Sheet) -> Sheet:
    """The sheet with parts of its own that can be changed."""
    return replace(
        sheet,
        columns={key: list(texts) for key, texts in sheet.columns.items()},
        typed={key: list(texts) for key, texts in sheet.typed.items()},
        unreadable=dict(sheet.unreadable),
        misaligned=dict(sheet.misaligned),
    )


def _marked(cell: str) -> bool:
    return UNCERTAIN in cell
