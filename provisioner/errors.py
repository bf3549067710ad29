"""Everything that can stop the program, as one tree: what cannot begin, and what ends before every row had its turn.

A bad row is a value and never one of these.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ProvisionerError(Exception):
    """A problem that concerns more than one row.

    The message says what is wrong, `remedy` what to do about it. `technical` is the cause in technical terms, shown
    with --verbose. None of them contains a secret.
    """

    def __init__(self, message: str, *, remedy: str = "", technical: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.technical = technical


class UnusableError(ProvisionerError):
    """The command cannot start; nothing was sent."""


class SettingsError(UnusableError):
    """An option, an argument or an environment variable is missing or wrong."""


class SheetError(UnusableError):
    """The sheet as a whole cannot be read, or lacks a required column."""


class SchemaError(UnusableError):
    """The schema file is missing or malformed, or has a setting that would be ignored."""


class RunFolderError(UnusableError):
    """The run folder cannot be used: another run is using it, it cannot be written, or its journal is unreadable."""


class OutputError(UnusableError):
    """Standard output cannot be written, for example because the disk is full."""


class StoppedError(ProvisionerError):
    """The run ended early; rows that were not sent are `unsent`."""


class KeyRefusedError(StoppedError):
    """The service rejected the API key as missing, wrong or not allowed to do this."""


class PaymentRequiredError(StoppedError):
    """The service wants a payment before it creates more."""


class ServiceDownError(StoppedError):
    """The service could not be reached, or stayed unavailable."""


class WrongServiceError(StoppedError):
    """What answers at the address is not the Mission Inbox API."""


class UnavailableError(StoppedError):
    """The service does not provide a list that was asked for, now or ever."""


class JournalError(StoppedError):
    """The journal could not be written, so nothing more may be sent."""


class SameFailureError(StoppedError):
    """Too many rows in a row failed with the same cause."""


class FilesError(StoppedError):
    """A file could not be written. Of a run's own files, the journal has everything they would contain."""


class DeclinedError(StoppedError):
    """The user answered no before anything was sent."""


class InterruptedRunError(StoppedError):
    """The run was interrupted from the keyboard or by a signal."""


@contextmanager
def os_errors_as(kind: type[ProvisionerError], sentence: str, *, remedy: str) -> Iterator[None]:
    """Turns OSError into an error of `kind`. `sentence` has no stop: what the system says follows it."""
    try:
        yield
    except OSError as error:
        raise kind(f"{sentence}: {error.strerror or error}.", remedy=remedy) from error
