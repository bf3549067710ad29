"""Compound files (MS-CFB), the container of XLS workbooks and of locked XLSX ones: the streams that are in them.

Each sector is visited once at most and each name is looked at for itself, so that entries or sectors that refer to each
other cost nothing; libraries follow such references, some without end.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SIGNATURE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_LAST_SECTOR: Final = 0xFFFFFFFA
"""Numbers from here on end a chain of sectors."""
_ENTRY: Final = 128
_ROOT: Final = 5
_USED: Final = (1, 2, _ROOT)
"""Of the directory's entries: storages, streams and the root, whose stream holds the small ones."""
_ROOT_NAME: Final = "/"
"""No stream can be called so."""
_MINI_SECTOR: Final = 64


class _Entry(NamedTuple):
    start: int
    """The first sector of its stream."""
    size: int


class CompoundFile:
    """The streams of a compound file by name. Raises ValueError, LookupError or struct.error if it is damaged."""

    def __init__(self, data: bytes) -> None:
        (shift,) = struct.unpack_from("<H", data, 30)
        if shift not in (9, 12):
            raise ValueError(f"sectors of 2**{shift} bytes")
        self._data, self._sector_size = data, 1 << shift
        first_entries, cutoff, first_mini = struct.unpack_from("<I4xII", data, 48)
        self._cutoff = cutoff
        self._following = self._numbers(self._table_sectors())
        self._mini_following = self._numbers(_chain(first_mini, self._following))
        self._entries = self._read_entries(first_entries)
        self._root = self._entries[_ROOT_NAME]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def stream(self, name: str) -> bytes:
        """The content of a stream, or an empty one if it is missing."""
        entry = self._entries.get(name)
        if entry is None:
            return b""
        if entry.size >= self._cutoff:
            return self._content(entry)
        mini = self._content(self._root)
        sectors = _chain(entry.start, self._mini_following)
        return _whole((mini[at * _MINI_SECTOR : (at + 1) * _MINI_SECTOR] for at in sectors), entry.size)

    def _content(self, entry: _Entry) -> bytes:
        return _whole(map(self._sector, _chain(entry.start, self._following)), entry.size)

    def _sector(self, number: int) -> bytes:
        return self._data[(number + 1) * self._sector_size : (number + 2) * self._sector_size]

    def _numbers(self, sectors: Sequence[int]) -> Sequence[int]:
        """The numbers in some sectors; each says which sector follows the one of its place."""
        content = b"".join(map(self._sector, sectors))
        return struct.unpack_from(f"<{len(content) // 4}I", content)

    def _table_sectors(self) -> list[int]:
        """The sectors that hold the numbers of those that follow each."""
        found = list(struct.unpack_from("<109I", self._data, 76))
        (following,) = struct.unpack_from("<I", self._data, 68)
        seen: set[int] = set()
        while following < _LAST_SECTOR and following not in seen:
            seen.add(following)
            *more, following = self._numbers([following])
            found += more
        used = [number for number in found if number < _LAST_SECTOR]
        if len(set(used)) < len(used):
            raise ValueError("a sector is used twice")
        return used

    def _read_entries(self, first: int) -> dict[str, _Entry]:
        directory = b"".join(map(self._sector, _chain(first, self._following)))
        if not directory or len(directory) % self._sector_size:
            raise ValueError("the directory is cut off")
        entries: dict[str, _Entry] = {}
        for at in range(0, len(directory) - _ENTRY + 1, _ENTRY):
            length, kind = struct.unpack_from("<HB", directory, at + 64)
            start, size = struct.unpack_from("<II", directory, at + 116)
            if kind in _USED:
                name = directory[at : at + max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace")
                entries.setdefault(_ROOT_NAME if kind == _ROOT else name, _Entry(start, size))
        return entries


def _whole(sectors: Iterable[bytes], size: int) -> bytes:
    content = b"".join(sectors)
    if len(content) < size:
        raise ValueError("a stream is cut off")
    return content[:size]


def _chain(first: int, following: Sequence[int]) -> list[int]:
    """The numbers of the sectors of a stream. Raises ValueError if it comes back to one of them, or leaves the file."""
    sectors: list[int] = []
    number = first
    while number < _LAST_SECTOR:
        if number >= len(following) or len(sectors) == len(following):
            raise ValueError("a stream without an end")
        sectors.append(number)
        number = following[number]
    return sectors
