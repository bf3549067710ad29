"""The service behind an office's proxy: a real CONNECT proxy, and a server with TLS whose name resolves behind it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from connect_proxy import ConnectProxy
from scripted import Scripted, reply

from provisioner.cli.connection import proxy_for
from provisioner.errors import ServiceDownError
from provisioner.records import Rate
from provisioner.service import Service
from provisioner.service.rate_limiter import RateLimiter

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from provisioner.resources import Account
    from provisioner.settings import Connection

pytestmark = pytest.mark.anyio

HOST = "service.example"
LOGIN = "ann:pw-of-the-proxy"
ACCOUNT = {"name": "Agency"}


@pytest.fixture
def behind_proxy(
    trusted_authority: object, certified: Callable[[str], ssl.SSLContext]
) -> Iterator[Callable[..., tuple[Scripted, ConnectProxy]]]:
    """Start the service, with a certificate that this computer trusts, and a proxy that reaches it."""
    context = certified(HOST)
    with ExitStack() as running:

        def start(**options: Any) -> tuple[Scripted, ConnectProxy]:
            server = Scripted(reply(200, ACCOUNT), context=context)
            running.callback(server.close)
            proxy = ConnectProxy({f"{HOST}:443": int(server.url.rpartition(":")[2])}, **options)
            running.callback(proxy.close)
            return server, proxy

        yield start


async def account(connection: Connection, listener: Any) -> Account:
    async with Service(connection, RateLimiter(connection.rates), listener) as service:
        await service.account()
        return await service.account()


@pytest.mark.parametrize("login", ["", LOGIN, "ann:p%40ss"])
async def test_the_service_is_reached_through_a_proxy(
    behind_proxy: Any, connection: Any, listener: Any, login: str
) -> None:
    """The proxy is asked for the host and port alone, gets its own login and never the key; one tunnel serves all."""
    server, proxy = behind_proxy(login=login.replace("%40", "@"))
    address = f"{login}@{proxy.address}" if login else proxy.address
    to = connection(f"https://{HOST}", proxy=address)
    assert (await account(to, listener)).facts == ACCOUNT
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n")
    assert "api-key" not in head.lower()
    assert [request.split()[1] for request in server.requests] == ["/api/userinfo/"] * 2
    assert "proxy-authorization" not in "".join(server.requests).lower()


@pytest.mark.parametrize(
    ("login", "words"),
    [("", "proxy wants a user name and password \\(407\\)"), ("ann:wrong-password", "does not accept the user name")],
)
async def test_a_proxy_that_wants_a_login_is_told(
    behind_proxy: Any, connection: Any, listener: Any, login: str, words: str
) -> None:
    """407 says that the proxy wants a user name and password, or other ones, where to write them, and shows none."""
    server, proxy = behind_proxy(login=LOGIN)
    address = f"{login}@{proxy.address}" if login else proxy.address
    with pytest.raises(ServiceDownError, match=words) as caught:
        await account(connection(f"https://{HOST}", proxy=address), listener)
    assert "HTTPS_PROXY" in caught.value.remedy
    assert "wrong-password" not in f"{caught.value!r} {caught.value.remedy} {caught.value.technical}"
    assert (len(proxy.heads), server.requests) == (1, [])


@pytest.mark.parametrize(("refuse", "words"), [(403, "does not let this computer reach"), (502, "Nothing answers at")])
async def test_a_proxy_that_refuses_is_told(
    behind_proxy: Any, connection: Any, listener: Any, refuse: int, words: str
) -> None:
    """A proxy's other refusals are not taken for the service's, and nothing is sent."""
    server, proxy = behind_proxy(refuse=refuse)
    with pytest.raises(ServiceDownError, match=words):
        await account(connection(f"https://{HOST}", proxy=proxy.address), listener)
    assert server.requests == []


async def test_requests_through_a_proxy_count_when_they_leave(
    behind_proxy: Any, connection: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's CONNECT is not a request of the rate: its answer is waited for, and then the request is counted."""
    _, proxy = behind_proxy()
    limiter = RateLimiter((Rate(2, 0.2),))
    renewed: list[object] = []
    renew = limiter.renew

    async def watch(*grant: Any) -> Any:
        renewed.append((len(proxy.heads), grant))
        return await renew(*grant)

    monkeypatch.setattr(limiter, "renew", watch)
    async with Service(connection(f"https://{HOST}", proxy=proxy.address), limiter, listener) as service:
        await service.account()
        await service.account()
    assert len(renewed) == 1


@pytest.mark.parametrize(
    ("no_proxy", "expected"),
    [
        ("", "http://proxy.example:3128"),
        ("other.example", "http://proxy.example:3128"),
        ("service.example", None),
        (".example, other.test", None),
        ("service.example:8443", "http://proxy.example:3128"),
        ("*", None),
    ],
)
@pytest.mark.parametrize("upper", [True, False])
def test_no_proxy_names_hosts_that_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, expected: str | None, *, upper: bool
) -> None:
    """HTTPS_PROXY and NO_PROXY count as other programs read them, in capitals or not."""
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY" if upper else "https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY" if upper else "no_proxy", no_proxy)
    assert proxy_for("https://service.example") == expected


def test_without_a_proxy_in_the_environment_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty HTTPS_PROXY is none."""
    monkeypatch.setenv("HTTPS_PROXY", "")
    assert proxy_for("https://service.example") is None
