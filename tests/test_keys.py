"""Where the key comes from, and that no key ever goes to an account that is not meant."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import keyring
import pytest
from click.testing import CliRunner, Result
from file_keyring import FileKeyring
from keyring.backends import fail, null

from provisioner import keys
from provisioner.cli import main
from provisioner.errors import SettingsError
from provisioner.keys import Login
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyring.backend import KeyringBackend


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Call the program with a keyring of the test's own, or with another backend."""
    monkeypatch.setenv("FILE_KEYRING", str(tmp_path / "keyring.json"))

    def call(*words: str, typed: str = "", backend: KeyringBackend | None = None, **more: str) -> Result:
        environment: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MISSION_INBOX")}
        keyring.set_keyring(backend or FileKeyring())
        return CliRunner().invoke(main, words, input=typed, env=environment | more, catch_exceptions=False)

    before = keyring.get_keyring()
    yield call
    keyring.set_keyring(before)


def test_a_key_is_kept_used_and_taken_out(command: Any, sandbox: Any, tmp_path: Path) -> None:
    """`login` tries the key, `account` needs no more, `logout` forgets it; the key is never shown."""
    service = sandbox(api_key="first-secret-key")
    kept = command("login", "--api-url", service.url, typed="first-secret-key\n")
    assert kept.exit_code == 0, kept.stderr
    assert "Sandbox Agency" in kept.stderr
    known = command("account")
    assert (known.exit_code, "Sandbox Agency" in known.stdout) == (0, True)
    assert "first-secret-key" not in kept.stdout + kept.stderr + known.stdout + known.stderr
    assert command("logout").exit_code == 0
    assert json.loads((tmp_path / "keyring.json").read_text()) == {}
    without = command("account")
    assert (without.exit_code, "no API key" in without.stderr) == (2, True)
    assert "no key" in command("logout").stderr


def test_a_wrong_key_is_not_kept(command: Any, sandbox: Any, tmp_path: Path) -> None:
    """The service is asked before the keyring."""
    done = command("login", "--api-url", sandbox().url, typed="wrong\n")
    assert (done.exit_code, "rejected the API key" in done.stderr) == (3, True)
    assert not (tmp_path / "keyring.json").exists()
    assert command("login", "--api-url", sandbox().url, typed="").exit_code == 2


def test_each_profile_has_its_key_and_address(command: Any, sandbox: Any) -> None:
    """Two accounts do not meet: the profile says both which key, and where it goes."""
    one, two = sandbox(api_key="key-one", imap_host="one.example"), sandbox(api_key="key-two", imap_host="two.example")
    for name, service in (("one", one), ("two", two)):
        done = command("login", "--profile", name, "--api-url", service.url, typed=f"{service.api_key}\n")
        assert done.exit_code == 0, done.stderr
    for name in ("one", "two"):
        # What lies about in the environment does not change what was asked for by name.
        said = command("account", "--profile", name, MISSION_INBOX_API_KEY="other", MISSION_INBOX_URL=one.url)
        assert f"{name}.example" in said.stdout
    elsewhere = command("account", "--profile", "one", "--api-url", two.url)
    assert (elsewhere.exit_code, "not sent to" in elsewhere.stderr) == (2, True)
    assert command("account", "--profile", "three").exit_code == 2


def test_a_kept_key_goes_to_its_own_address_alone(command: Any, sandbox: Any, tmp_path: Path) -> None:
    """Another address, or two keys that differ, is a question and not a guess; the environment's key comes first."""
    service, other = sandbox(api_key="kept-key"), sandbox(api_key="other-key", imap_host="other.example")
    command("login", "--api-url", service.url, typed="kept-key\n")
    for more in ({"MISSION_INBOX_URL": other.url}, {}):
        words = [] if more else ["--api-url", other.url]
        said = command("account", *words, **more)
        assert (said.exit_code, "not sent to" in said.stderr) == (2, True)
    file = tmp_path / "key.txt"
    file.write_text("other-key")
    said = command("account", "--api-key-file", str(file))
    assert (said.exit_code, "different API keys" in said.stderr) == (2, True)
    assert not any(request.status == 403 for request in other.state.requests)
    said = command("account", MISSION_INBOX_API_KEY="other-key", MISSION_INBOX_URL=other.url)
    assert "other.example" in said.stdout
    environment = {"MISSION_INBOX_API_KEY": "kept-key", "MISSION_INBOX_URL": service.url}
    said = command("account", "--api-key-file", str(file), **environment)
    assert (said.exit_code, "different API keys" in said.stderr) == (2, True)
    file.write_text("kept-key")
    assert command("account", "--api-key-file", str(file), **environment).exit_code == 0
    said = command("account", "--api-key-file", str(tmp_path / "nowhere"), **environment)
    assert (said.exit_code, "nowhere" in said.stderr) == (2, True)


def test_a_machine_without_a_keyring_says_what_to_do(command: Any, sandbox: Any, tmp_path: Path) -> None:
    """`login` names the other ways; they work there, and a run is not kept from them."""
    service = sandbox()
    backend = fail.Keyring()
    done = command("login", "--api-url", service.url, typed=f"{service.api_key}\n", backend=backend)
    assert done.exit_code == 2
    assert "MISSION_INBOX_API_KEY" in done.stderr
    assert "--api-key-file" in done.stderr
    file = tmp_path / "key.txt"
    file.write_text(service.api_key)
    said = command("account", "--api-url", service.url, "--api-key-file", str(file), backend=backend)
    assert said.exit_code == 0, said.stderr


def test_a_keyring_that_keeps_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept is read back before anybody relies on it."""
    monkeypatch.setattr(keyring, "get_keyring", null.Keyring)
    monkeypatch.setattr(keyring, "get_password", null.Keyring().get_password)
    monkeypatch.setattr(keyring, "set_password", null.Keyring().set_password)
    with pytest.raises(SettingsError, match="cannot be used") as refused:
        keys.keep("any", Login("https://example.org", Secret("any-key")))
    assert "did not keep" in refused.value.technical


def test_a_broken_keyring_stops_only_whoever_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile asked for by name must be had; otherwise a keyring out of order holds nothing."""
    monkeypatch.setattr(keyring, "get_password", fail.Keyring().get_password)
    assert keys.load("default", required=False) is None
    with pytest.raises(SettingsError, match="keyring cannot be used"):
        keys.load("acme", required=True)


@pytest.mark.parametrize("entry", ["not json", "[]", "{}", '{"url": 1}'])
def test_what_others_left_in_the_keyring_is_refused(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    """An entry of another form is no key."""
    monkeypatch.setattr(keyring, "get_password", lambda _service, _profile: entry)
    with pytest.raises(SettingsError, match="not written by this program"):
        keys.load("default", required=True)
