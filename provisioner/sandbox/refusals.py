"""Answers other than success, in the words of Django, Django REST framework and nginx."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the program
    """The request is answered with `status` and `body` as JSON, and nothing was done."""

    def __init__(self, status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class Lost(Exception):  # noqa: N818 - as above
    """The work is done; the connection is to be cut without an answer."""


def invalid(errors: Mapping[str, Sequence[str]]) -> Refusal:
    """Field errors, sentences by field."""
    return Refusal(400, errors)


def not_authenticated() -> Refusal:
    """No key, or another than ours: djangorestframework-api-key tells neither from the other."""
    return Refusal(403, {"detail": "Authentication credentials were not provided."})


def not_found(detail: str = "Not found.") -> Refusal:
    return Refusal(404, {"detail": detail})


def method_not_allowed(method: str, allowed: Sequence[str]) -> Refusal:
    return Refusal(405, {"detail": f'Method "{method}" not allowed.'}, {"Allow": ", ".join(allowed)})


def unsupported_media_type(media_type: str) -> Refusal:
    return Refusal(415, {"detail": f'Unsupported media type "{media_type}" in request.'})


def parse_error(reason: object) -> Refusal:
    return Refusal(400, {"detail": f"JSON parse error - {reason}"})


def conflict() -> Refusal:
    """A duplicate, without the words by which it is known."""
    return Refusal(409, {"detail": "Conflict."})


def wrong_host() -> Refusal:
    """The request was made for another name than this computer's own."""
    return Refusal(400, {"detail": "Invalid HTTP_HOST header."})


def throttled(wait: int) -> Refusal:
    """Too fast: `wait` is in whole seconds."""
    unit = "second" if wait == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {wait} {unit}."
    return Refusal(429, {"detail": detail}, {"Retry-After": str(wait)})


NOT_FOUND_PAGE = """
<!doctype html>
<html lang="en">
<head>
  <title>Not Found</title>
</head>
<body>
  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>
</body>
</html>
"""
_SIGN_IN_PAGE = """<!doctype html>
<html lang="en">
<head><title>Sign in</title></head>
<body><h1>Sign in</h1></body>
</html>
"""
_TITLES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}


def stray_page(status: int) -> str:
    """What something in between shows in the service's place: a sign-in page for 200, else nginx's error page."""
    if status not in _TITLES:
        return _SIGN_IN_PAGE
    title = f"{status} {_TITLES[status]}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n"
        f"<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
