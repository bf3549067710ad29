"""Files of the run folder are its owner's, and nobody can have another file written in their place."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from provisioner import run_log
from provisioner.cli import main
from provisioner.errors import RunFolderError
from provisioner.journal import Journal
from provisioner.private_files import open_private
from provisioner.run_folder import RunFolder, hold

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps other people out by the folder")


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_the_journal_is_opened_through_no_link(tmp_path: Path, ending: str, plant: Any) -> None:
    """Another program's database keeps its content, whichever of SQLite's files a link stands for."""
    other = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE theirs (x)")
    before = other.read_bytes()
    plant(other, tmp_path / f"journal.sqlite3{ending}")
    with pytest.raises(RunFolderError, match="nothing is written to it"):
        Journal(tmp_path / "journal.sqlite3")
    assert other.read_bytes() == before


def test_a_link_to_nowhere_makes_no_file(tmp_path: Path) -> None:
    """Neither the journal nor the log is made where a link says."""
    (tmp_path / "journal.sqlite3").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "run.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError):
        Journal(tmp_path / "journal.sqlite3")
    with run_log.keep(tmp_path / "run.log", "1.0"):
        pass
    assert not (tmp_path / "elsewhere").exists()
    assert "provisioner 1.0" in (tmp_path / "run.log").read_text("utf-8")


def test_a_journal_that_others_could_read_is_taken_back(tmp_path: Path) -> None:
    """A copied folder may have lost its permissions; they are set before anything more is written."""
    path = tmp_path / "journal.sqlite3"
    wal = tmp_path / "journal.sqlite3-wal"
    Journal(path).close()
    wal.touch()
    path.chmod(0o666)
    wal.chmod(0o666)
    with closing(Journal(path)):
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe, say, which a reader would wait at for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RunFolderError, match="not a regular file"):
        open_private(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may give a file away")
def test_another_users_file_is_refused(tmp_path: Path) -> None:
    """Whoever put it there can read what is written to it."""
    path = tmp_path / "run.log"
    path.touch()
    os.chown(path, 12345, -1)
    with pytest.raises(RunFolderError, match="belongs to another user"):
        open_private(path)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_that_others_may_write_to_is_named(tmp_path: Path, mode: int) -> None:
    """They could replace the files in it; the sentence says how to keep them out."""
    folder = RunFolder(tmp_path / "acme-run")
    folder.path.mkdir()
    folder.path.chmod(mode)
    with hold(folder) as warning:
        assert f"Other users of this computer may write to {folder.path}" in (warning or "")


def test_a_folder_of_its_own_is_nothing_to_speak_of(tmp_path: Path) -> None:
    """The folder that a run makes is its owner's alone."""
    with hold(RunFolder(tmp_path / "acme-run")) as warning:
        assert stat.S_IMODE((tmp_path / "acme-run").stat().st_mode) == 0o700
    assert warning is None


def test_the_lock_follows_no_link(tmp_path: Path) -> None:
    """The file that a link in its place points to is not touched."""
    (tmp_path / "theirs").write_text("x", "utf-8")
    (tmp_path / ".lock").symlink_to(tmp_path / "theirs")
    with pytest.raises(RunFolderError, match="cannot be used"), hold(RunFolder(tmp_path)):
        pass
    assert (tmp_path / "theirs").read_text("utf-8") == "x"


def test_a_link_for_the_sandboxs_memory_is_told(tmp_path: Path, write_sheet: Any) -> None:
    """Practice writes through no link either, and says so in a sentence."""
    sheet = write_sheet(1)
    (tmp_path / "acme-run").mkdir(mode=0o700)
    (tmp_path / "acme-run" / "sandbox.sqlite3").symlink_to(tmp_path / "elsewhere")
    said = CliRunner().invoke(main, ["run", str(sheet), "--sandbox"])
    assert said.exit_code == 2
    assert "is a link to another place" in " ".join(said.stderr.split())
    assert not (tmp_path / "elsewhere").exists()
