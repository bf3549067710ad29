"""What the browser sends, read with a limit to its size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_FORM: Final = 1 << 20
"""Bytes of what is typed on a page."""
LARGEST_SHEET: Final = 64 << 20
"""Bytes of a sheet: six times as many as 100,000 rows have."""
LONGEST_NUMBER: Final = 9
"""Digits."""
SHEETS: Final = ("/sheets", "/pasted", "/failures")
"""How the paths end that take a whole sheet."""


class BodyLimit:
    """Lets the reading of a body raise HTTPException as soon as it is, or is said to be, too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        limit = LARGEST_SHEET if scope["path"].endswith(SHEETS) else LARGEST_FORM
        declared = Headers(scope=scope).get("content-length", "")
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            if declared.isdecimal() and int(declared) > limit:
                raise too_large(limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise too_large(limit)
            return message

        await self._app(scope, receive_limited, send)


async def fields(request: Request) -> dict[str, str]:
    """The fields of a form, as the page's script sends them. Raises HTTPException for anything else."""
    try:
        found = json.loads(await request.body() or b"{}")
        # Half of a surrogate pair can stand in no file.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise HTTPException(400, "The page sent something that was not understood. Reload it and try again.")
    return found


def number(text: str) -> int:
    """A number that the page sends; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 0


def too_large(limit: int) -> HTTPException:
    """What is said of a body of more bytes than the limit."""
    return HTTPException(413, f"That is too large: more than {limit >> 20} MB. Delete what is not needed, or split it.")
