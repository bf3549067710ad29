"""Everything that can stop the program, as one tree.

ProvisionerError
├── UnusableError          the command, the sheet as a whole, the schema or the run folder is unusable
│   ├── SettingsError      an option or the environment
│   ├── SheetError         the sheet as a whole
│   ├── SchemaError        the schema file
│   └── RunFolderError     the run folder or its journal
└── StoppedError           the run had to end before every row had its turn
    ├── KeyRefusedError    the service does not accept the key
    ├── PaymentRequiredError  the service wants a payment before it creates more
    ├── ServiceDownError   nothing answers, or not for long enough
    ├── WrongServiceError  something answers that is not the service
    ├── UnavailableError   the service does not give what was asked for
    ├── JournalError       what happened can no longer be written down
    ├── FilesError         results.csv or failures.csv cannot be written
    ├── SameFailureError   too many rows in a row failed with one cause
    ├── DeclinedError      asked whether to begin, somebody said no
    └── InterruptedRunError  somebody asked for it

A bad row is a value and never one of these.
"""

from __future__ import annotations


class ProvisionerError(Exception):
    """Systemic trouble. The message says what is wrong, `remedy` what to do about it.

    `technical` is the cause in the words of a program, for whoever asks for it. None of them holds a secret.
    """

    def __init__(self, message: str, *, remedy: str = "", technical: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.technical = technical


class UnusableError(ProvisionerError):
    """The work cannot begin; nothing was sent."""


class SettingsError(UnusableError):
    """An option, an argument or an environment variable is missing or wrong."""


class SheetError(UnusableError):
    """The sheet as a whole cannot be read, or lacks what it must have."""


class SchemaError(UnusableError):
    """The schema file is missing, malformed, or says something that would be ignored."""


class RunFolderError(UnusableError):
    """The run folder cannot be used: another run holds it, it cannot be written, or its journal is unreadable."""


class StoppedError(ProvisionerError):
    """The run ended early; what was not sent stays `unsent`."""


class KeyRefusedError(StoppedError):
    """The service answered that the API key is missing, wrong or not allowed to do this."""


class PaymentRequiredError(StoppedError):
    """The service wants a payment before it creates more."""


class ServiceDownError(StoppedError):
    """The service could not be reached, or kept answering that it is unavailable."""


class WrongServiceError(StoppedError):
    """What answers at the address does not speak the service's language."""


class UnavailableError(StoppedError):
    """The service does not give a list that was asked for, now or at all."""


class JournalError(StoppedError):
    """The journal could not be written, so nothing more may be sent."""


class SameFailureError(StoppedError):
    """Row after row ended with the same cause."""


class FilesError(StoppedError):
    """The result files could not be written; the journal holds all that they would say."""


class DeclinedError(StoppedError):
    """What the run was about to do was not agreed to; nothing was sent."""


class InterruptedRunError(StoppedError):
    """The run was interrupted from the keyboard or by a signal."""
