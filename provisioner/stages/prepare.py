"""Read and validate a sheet, then compare it with the journal of its run folder."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner import passwords, run_folder, schema
from provisioner.errors import RunFolderError, SheetError
from provisioner.journal import Fact, Journal
from provisioner.messages import count, listed
from provisioner.stages.by_column import by_header, counted_by, find_column
from provisioner.stages.corrections import FailuresMatcher
from provisioner.stages.entries import RowBuilder
from provisioner.stages.failures_files import digest_of, look_of, typed_cells
from provisioner.stages.matching import KnownRows, SheetMatcher
from provisioner.stages.read import chosen_columns, read
from provisioner.stages.reconcile import WorkPlan, reconcile
from provisioner.stages.resolve import Resolver
from provisioner.stages.validate import Checked, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from provisioner.records import Entry, Problem
    from provisioner.resources import Resources
    from provisioner.run_folder import RunFolder
    from provisioner.schema import MailboxSchema
    from provisioner.secret import Secret
    from provisioner.settings import SheetOptions
    from provisioner.sheets import Sheet
    from provisioner.stages.corrections import Typed

EXAMPLES = 2
"""How many rows or cells are named in a note about many."""


@dataclass(frozen=True)
class PreparedSheet:
    """A sheet that was read and validated, and the folder of its run."""

    schema: MailboxSchema
    sheet: Sheet
    checked: Checked
    folder: RunFolder
    options: SheetOptions
    seen: object = None
    """The state of the file before it was read, to notice that it changed since; None if that is not known."""

    @property
    def name(self) -> str:
        """What people call the sheet."""
        return self.options.shown or str(self.options.sheet)

    @property
    def by(self) -> tuple[str, str]:
        """The header and the column of the values that rows are counted by; both empty if rows are only counted."""
        return counted_by(by_header(self.sheet.named), self.options.by)

    @property
    def any_ready(self) -> bool:
        return len(self.checked.invalid) < len(self.sheet.rows)

    def remember(self, journal: Journal) -> None:
        """Record what later runs and verifications need to know about the sheet.

        Raises RunFolderError if the journal belongs to another sheet, and JournalError.
        """
        sheet, whole = self.sheet, not self.sheet.is_failures
        if whole:
            self._refuse_other_sheet(journal)
        facts = {Fact.OF_FAILURES: "" if whole else "yes"}
        if whole or journal.fact(Fact.FURTHER) is None:
            further = [(header, key) for header, key in sheet.named if key not in self.schema.columns]
            shown = [(header, key) for header, key in sheet.named if key not in self.schema.secret]
            facts |= {Fact.FURTHER: json.dumps(further), Fact.HEADERS: json.dumps(shown)}
        if self.options.columns:
            facts[Fact.COLUMNS] = json.dumps(dict(self.schema.headers))
        if whole:
            tabs = {Fact.TAB: sheet.tab, Fact.CHOSEN_TAB: self.options.sheet_name or ""}
            facts |= {Fact.DELIMITER: sheet.delimiter, **tabs}
        if whole and not self.options.shown:
            facts[Fact.SHEET] = str(sheet.path.resolve())
        if whole and sheet.path.is_file() and look_of(sheet.path) == self.seen:
            facts[Fact.CONTENT] = digest_of(sheet.path)
        journal.set_facts(facts)

    def _refuse_other_sheet(self, journal: Journal) -> None:
        """Rows of the other sheet that were never sent would be lost without a word."""
        path, tab = journal.fact(Fact.SHEET), journal.fact(Fact.TAB)
        # A corrected sheet may be saved as another kind of file, or elsewhere.
        is_other = path is not None and not self.options.shown and Path(path).stem != self.sheet.path.stem
        if is_other or (tab and self.sheet.tab and tab != self.sheet.tab):
            named = f"{Path(path).name if path else 'a workbook'}{f', sheet “{tab}”' if tab else ''}"
            raise RunFolderError(
                f"The run folder {self.folder.path} belongs to another sheet ({named}).",
                remedy="Name another folder with --out. If it is the same sheet, give it its old name back.",
            )

    def reconcile(
        self,
        journal: Journal,
        resources: Resources | None,
        since: Callable[[float | None], float],
        *,
        checking: bool = False,
    ) -> WorkPlan:
        """Bring the journal in step with the sheet; returns what is to be done.

        `resources` is what the account has, None if the service was not asked; `since` as for the stage `reconcile`.
        Raises JournalError.
        """
        latest_file = self.sheet.path.resolve() in map(Path.resolve, self.folder.failures_files)
        known = KnownRows(journal.rows(), latest_file=latest_file)
        entries = RowBuilder(self.sheet, self.checked, Resolver(resources), known=known.by_id.values())
        return reconcile(
            entries.entries(),
            journal,
            self.matcher(known, self.typed(journal)),
            new_password=self._new_password(),
            since=since,
            checking=checking,
            cell_name=self.cell_name if resources is None else None,
        )

    def matcher(self, known: KnownRows, typed: Typed) -> SheetMatcher:
        """What the sheet means for these rows of its journal; `typed` are as for a FailuresMatcher."""
        if not self.sheet.is_failures:
            return SheetMatcher(known)
        sheet = self.sheet
        return FailuresMatcher(
            known, self.cell_name, is_workbook=sheet.is_workbook, misaligned=sheet.misaligned, typed=typed
        )

    def cell_name(self, entry: Entry, column: str) -> str:
        """What people call the cell of an entry in a column, such as `D17`."""
        return self.sheet.cell_name(entry.file_row, column)

    def typed(self, journal: Journal) -> Typed:
        """The cells of a failures file that no spreadsheet program converted. Raises JournalError."""
        return typed_cells(journal, self.sheet.path) if self.sheet.is_failures else {}

    def notes(self, plan: WorkPlan) -> list[str]:
        """What the user should know of the sheet, and of what is to be done with it."""
        return [*self._notes(), *_notes_about(plan)]

    def _new_password(self) -> Callable[[], Secret] | None:
        if not self.options.generate_passwords:
            return None
        return passwords.generator(lambda text: self.schema.accepts("password", text))

    def _notes(self) -> Iterator[str]:
        if self.sheet.is_failures and self.options.out is None and self.folder.path != self.sheet.path.parent:
            yield (
                f"{self.sheet.path.name} holds rows to fix of another sheet. They go to {self.folder.path.name}, not "
                "to that sheet's results; if they are meant for these, add --out and the folder of its run."
            )
        unused = [header.strip() for header, key in self.sheet.named if key not in self.schema.columns]
        if unused:
            yield f"Ignored {'column' if len(unused) == 1 else 'columns'}: {', '.join(unused)}."
        alike: dict[str, list[Problem]] = defaultdict(list)
        for problem in self.checked.warnings:
            alike[problem.cause].append(problem)
        for cause, problems in alike.items():
            cells = listed([str(problem.cell) for problem in problems], EXAMPLES)
            yield f"{cells}: {problems[0].sentence if len(problems) == 1 else cause}"


def prepare(options: SheetOptions) -> PreparedSheet:
    """Read and validate a sheet; blocks, and writes nothing. Raises UnusableError."""
    rules = schema.load(options.schema)
    chosen = _chosen_columns(options.columns, rules)
    rules = replace(rules, headers=chosen or _remembered_columns(options))
    seen = look_of(options.sheet)
    sheet = read(
        options.sheet,
        rules,
        encoding=options.encoding,
        sheet_name=options.sheet_name,
        fill=options.fill,
        blank_password_ok=options.generate_passwords,
    )
    _refuse_unknown_headers(chosen, sheet)
    checked = validate(sheet, rules, blank_password_ok=options.generate_passwords)
    prepared = PreparedSheet(rules, sheet, checked, _folder(options, sheet.tab), options, seen)
    if options.by is not None:
        find_column(by_header(sheet.named), options.by)
    return prepared


def _chosen_columns(columns: Mapping[str, str], rules: MailboxSchema) -> dict[str, str]:
    """What was chosen for unclear headers, by the schema's names of the columns. Raises SheetError."""
    chosen: dict[str, str] = {}
    for header, column in columns.items():
        name = rules.column_for(column) if column else ""
        if name is None:
            raise SheetError(
                f"There is no column “{column}” that “{header}” could mean.",
                remedy=f"The columns are {', '.join(rules.columns)}.",
            )
        chosen[header] = name
    return chosen


def _refuse_unknown_headers(chosen: Mapping[str, str], sheet: Sheet) -> None:
    """Refuse a choice for a header that the sheet does not have: a typo would go unnoticed. Raises SheetError."""
    headers = [header.strip() for header in sheet.headers]
    for header, name in chosen.items():
        if header not in headers and name and name not in sheet.columns:
            raise SheetError(
                f"The sheet has no header “{header}” that could mean {name}.",
                remedy=f"Its headers are {', '.join(filter(None, headers))}.",
            )


def _remembered_columns(options: SheetOptions) -> dict[str, str]:
    """What was chosen earlier for the unclear headers of a sheet."""
    folder = run_folder.locate(options.sheet, options.out)
    if options.sheet_name is not None and not folder.journal.exists():
        folder = run_folder.locate(options.sheet, None, options.sheet_name)
    if not folder.journal.exists():
        return {}
    with closing(Journal(folder.journal)) as journal:
        return chosen_columns(journal)


def _folder(options: SheetOptions, tab: str) -> RunFolder:
    """The run folder: a workbook's sheet that had to be named has its own.

    One that had to be named in some runs and not in others keeps the folder that it has. Raises RunFolderError.
    """
    plain = run_folder.locate(options.sheet, options.out)
    if not tab:
        return plain
    named = run_folder.locate(options.sheet, options.out, tab)
    wanted, other = (plain, named) if options.sheet_name is None else (named, plain)
    if wanted.journal.exists() or not other.journal.exists():
        return wanted
    with closing(Journal(other.journal)) as journal:
        return other if journal.fact(Fact.TAB) == tab else wanted


def _notes_about(plan: WorkPlan) -> Iterator[str]:
    if plan.corrected:
        rows, them = count(plan.corrected, "row was", "rows were"), "it" if plan.corrected == 1 else "them"
        yield f"{rows} fixed in a failures file and not in this sheet: nothing is sent for {them} now."
    if plan.deleted:
        rows = "row" if len(plan.deleted) == 1 else "rows"
        yield f"Left out: {rows} {', '.join(map(str, plan.deleted))}."
    if plan.changed:
        were = count(len(plan.changed), "mailbox was", "mailboxes were")
        yield (
            f"{were} created with other values than the sheet has now{_named(plan.changed)}. They are left as they "
            "are: change them at Mission Inbox, not here."
        )
    if plan.other_passwords:
        have = count(len(plan.other_passwords), "mailbox has", "mailboxes have")
        yield (
            f"{have} another password than this sheet{_named(plan.other_passwords)}. A mailbox keeps the one that it "
            "was created with: it is in results.csv if a failures file held it, else write it into the sheet again."
        )
    if plan.unconfirmed_passwords:
        were = count(len(plan.unconfirmed_passwords), "row was", "rows were")
        yield (
            f"{were} sent with another password than this file has now{_named(plan.unconfirmed_passwords)}. Each is "
            "looked up first: a mailbox that is there has the password that was sent then."
        )
    if plan.gone and plan.to_send:
        are = count(len(plan.gone), "mailbox of an earlier run is", "mailboxes of earlier runs are")
        yield (
            f"{are} not in this sheet any more{_named(plan.gone)}. If you changed a username in the sheet, that row "
            "creates a further mailbox."
        )


def _named(rows: Sequence[tuple[int | None, str]]) -> str:
    """The first of rows, given by sheet row and username, as the end of a sentence."""
    named = " and ".join(f"{email} (row {row})" if row else email for row, email in rows[:EXAMPLES])
    return f", such as {named}" if len(rows) > EXAMPLES else f": {named}"
