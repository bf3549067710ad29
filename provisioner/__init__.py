"""Create Mission Inbox mailboxes from a spreadsheet: nothing lost, nothing created twice.

    import provisioner as p

    checked = p.check("acme.csv")
    result = p.run("acme.csv", p.Connection(api_key="…"))

What a name needs is loaded when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioner.errors import (
        DeclinedError,
        FilesError,
        InterruptedRunError,
        JournalError,
        KeyRefusedError,
        PaymentRequiredError,
        ProvisionerError,
        RunFolderError,
        SameFailureError,
        SchemaError,
        ServiceDownError,
        SettingsError,
        SheetError,
        StoppedError,
        UnavailableError,
        UnusableError,
        WrongServiceError,
    )
    from provisioner.events import Listener, NullListener
    from provisioner.library import check, run, run_async, sandbox
    from provisioner.records import Status
    from provisioner.result import RunResult
    from provisioner.settings import Connection, VerifyOptions
    from provisioner.stages.stop_signal import StopSignal
    from provisioner.summary import RunPreview

__version__ = "0.1.0"

__all__ = [
    "Connection",
    "DeclinedError",
    "FilesError",
    "InterruptedRunError",
    "JournalError",
    "KeyRefusedError",
    "Listener",
    "NullListener",
    "PaymentRequiredError",
    "ProvisionerError",
    "RunFolderError",
    "RunPreview",
    "RunResult",
    "SameFailureError",
    "SchemaError",
    "ServiceDownError",
    "SettingsError",
    "SheetError",
    "Status",
    "StopSignal",
    "StoppedError",
    "UnavailableError",
    "UnusableError",
    "VerifyOptions",
    "WrongServiceError",
    "check",
    "run",
    "run_async",
    "sandbox",
]

_HOMES = {
    "Connection": "settings",
    "Listener": "events",
    "NullListener": "events",
    "RunPreview": "summary",
    "RunResult": "result",
    "Status": "records",
    "StopSignal": "stages.stop_signal",
    "VerifyOptions": "settings",
    "check": "library",
    "run": "library",
    "run_async": "library",
    "sandbox": "library",
}
"""The modules of the public names; all others are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """Keeps `sandbox` the public function: importing the subpackage of that name would put the module in its place."""

    @property
    def sandbox(self) -> Any:
        return __getattr__("sandbox")

    @sandbox.setter
    def sandbox(self, module: ModuleType) -> None:
        pass


if not TYPE_CHECKING:
    sys.modules[__name__].__class__ = _Package
