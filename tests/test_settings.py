"""Options that are refused before anything begins."""

from __future__ import annotations

import traceback

import httpx
import pytest

from provisioner.defaults import API_URL
from provisioner.errors import SettingsError
from provisioner.secret import Secret
from provisioner.settings import Connection, check_api_url


@pytest.mark.parametrize(
    "url",
    [
        API_URL,
        API_URL + "/",
        "HTTPS://api.example:8443",
        "http://127.0.0.1:8000",
        "http://localhost:1",
        "http://[::1]:8000/",
    ],
)
def test_where_the_key_may_go(url: str) -> None:
    """An origin with https, or with http on this computer."""
    check_api_url(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://api-v2.missioninbox.com", "unencrypted"),
        ("http://127.0.0.1.example", "unencrypted"),
        ("http://localhost.example", "unencrypted"),
        ("api-v2.missioninbox.com", "nothing else|not the address"),
        ("ftp://api.example", "not the address"),
        ("https://", "not the address"),
        ("https://api.example:port", "not the address"),
        ("https://[::1", "not the address"),
        ("https://api.example/api", "nothing else"),
        ("https://api.example?key=1", "nothing else"),
        ("https://api.example#here", "nothing else"),
        ("https://127.0.0.1@api.example", "nothing else"),
        ("", "not the address"),
    ],
)
def test_where_the_key_may_not_go(url: str, why: str) -> None:
    """Anything that is not a plain origin, or would send the key in clear, is refused with the reason."""
    with pytest.raises(SettingsError, match=why):
        check_api_url(url)


@pytest.mark.parametrize("url", ["https://me:s3cret@api.example", "ftp://me:s3cret@api.example"])
def test_an_address_with_a_password_is_not_repeated(url: str) -> None:
    """What was written before the host is never shown."""
    with pytest.raises(SettingsError) as caught:
        check_api_url(url)
    assert "s3cret" not in caught.value.message + caught.value.remedy


@pytest.mark.parametrize("key", ["", "two words", "k3y\n", "clé", "\x00", "tab\t"])
def test_a_key_that_no_request_could_carry_is_refused(key: str) -> None:
    """It would fail later in a way that nobody understands; the message does not show it."""
    with pytest.raises(SettingsError, match="API key") as caught:
        Connection(api_key=Secret(key))
    assert not key.strip() or key.strip() not in caught.value.message


def test_the_key_and_the_proxy_are_not_shown() -> None:
    """A connection's repr holds neither the key nor a proxy's password."""
    shown = repr(Connection(api_key=Secret("k3y"), proxy="http://me:s3cret@proxy.example"))
    assert "k3y" not in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("proxy.office:3128", "http://proxy.office:3128"),
        ("proxy", "http://proxy"),
        (" proxy.office:3128 ", "http://proxy.office:3128"),
        ("10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("me:s3cret@proxy.office:3128", "http://me:s3cret@proxy.office:3128"),
        ("http://proxy.office:3128/", "http://proxy.office:3128/"),
        ("HTTPS://me:s3cret@Proxy.office", "HTTPS://me:s3cret@Proxy.office"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("[::1]:3128", "http://[::1]:3128"),
    ],
)
def test_a_proxy_is_taken_as_it_is_usually_written(written: str, meant: str) -> None:
    """With http or https in front, or with nothing, which means http; and the network's library can use it."""
    proxy = Connection(api_key=Secret("k3y"), proxy=written).proxy
    assert proxy == meant
    assert httpx.Proxy(proxy).url.host


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:s3cret@proxy.office:1080",
        "http://me:s3cret@proxy.office:port",
        "http://me:s3cret@proxy.office:99999",
        "http://me:s3cret@proxy.office:0",
        "http://me:s3cret@:3128",
        "http://me:s3cret@[::1",
        "http://me:s3cret@proxy office:3128",
        "http://me:s3cret@proxy.office\n:3128",
        "http:///me:s3cret@proxy.office",
        "ftp://s3cret",
        "://s3cret",
        "s3cret:s3cret",
        "",
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_at_once_and_not_shown(proxy: str) -> None:
    """Another scheme, no host or a bad port is a fault of the settings, in words that name the variable alone."""
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        Connection(api_key=Secret("k3y"), proxy=proxy)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value)) + caught.value.remedy


def test_practice_is_one_service_wherever_it_is_served() -> None:
    """A journal knows a stand-in on any port again, and tells other services apart by origin."""

    def name(url: str, *, practice: bool = False) -> str:
        return Connection(api_url=url, api_key=Secret("k3y"), practice=practice).service_name

    assert name("http://127.0.0.1:5000", practice=True) == name("http://localhost:6000", practice=True) == "practice"
    assert name("https://API.example") == name("https://api.example") == "https://api.example"
    assert name("https://api.example") != name("https://api.example:8443")
    assert name("http://127.0.0.1:5000") == "http://127.0.0.1:5000", "a tunnel to the service, for all that is known"


def test_what_is_not_on_this_computer_is_never_called_practice() -> None:
    """Somebody would agree to it."""
    with pytest.raises(SettingsError, match="not on this computer"):
        Connection(api_url="https://api.example", api_key=Secret("k3y"), practice=True)


@pytest.mark.parametrize("path", ["mailbox/", "/mailbox", "", "/mail box/", "/mäilbox/", "/mailbox/\n"])
def test_a_path_that_no_request_can_name_is_refused(path: str) -> None:
    """Where mailboxes are created is known to be a path before anything is sent."""
    with pytest.raises(SettingsError, match="is not a path of the service"):
        Connection(api_key=Secret("key"), create_path=path)
