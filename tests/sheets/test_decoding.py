"""Bytes to lines: certain where the bytes say it, a guess where they do not."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import SheetError
from provisioner.sheets import decoding
from provisioner.sheets.decoding import Encoding, find_encoding

PIECE = 8192
"""Bytes that Python decodes at once."""


def lines(data: bytes, encoding: Encoding) -> list[str]:
    return list(decoding.lines(data, encoding))


TEXT = "email;domain\r\nZoë;101\r\n"


@pytest.mark.parametrize(
    ("data", "certain"),
    [
        (TEXT.encode(), True),
        (TEXT.encode("utf-8-sig"), True),
        (TEXT.encode("utf-16"), True),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), True),
        (TEXT.encode("utf-16-le"), True),
        (TEXT.encode("utf-16-be"), True),
        (TEXT.encode("utf-32"), True),
        (TEXT.encode("cp1252"), False),
    ],
)
def test_the_usual_encodings_are_found(data: bytes, *, certain: bool) -> None:
    """Each encoding that offices save in is read, and only the last resort is called a guess."""
    encoding = find_encoding(data)
    assert lines(data, encoding) == ["email;domain", "Zoë;101"]
    assert encoding.certain is certain


def test_an_encoding_that_is_named_is_used_and_certain() -> None:
    """What the bytes cannot say, the person can."""
    data = "Łódź\n".encode("cp1250")
    encoding = find_encoding(data, "windows-1250")
    assert encoding.certain
    assert lines(data, encoding) == ["Łódź"]


@pytest.mark.parametrize("named", ["cp1252", "utf-16", "latin-1"])
def test_an_encoding_that_the_file_itself_contradicts_is_refused(named: str) -> None:
    """Its mark would be taken for letters of the first header; a name that agrees with it is no contradiction."""
    with pytest.raises(SheetError, match=f"the mark of utf-8, and --encoding says {named}"):
        find_encoding(TEXT.encode("utf-8-sig"), named)
    for agrees in ("utf-8", "UTF8", "utf-8-sig"):
        assert find_encoding(TEXT.encode("utf-8-sig"), agrees) == find_encoding(TEXT.encode("utf-8-sig"))
    assert find_encoding(TEXT.encode("utf-16"), "utf-16").certain


@pytest.mark.parametrize("name", ["klingon", "rot13", "base64", "", "utf-8\0"])
def test_an_unknown_encoding_is_refused_by_name(name: str) -> None:
    """A slip in --encoding is told as such."""
    with pytest.raises(SheetError, match="no encoding"):
        find_encoding(b"a", name)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("Zoë".encode("utf-16")[:-1], None),
        (b"email,domain", "utf-16"),
        (b"\xef\xbb\xbfZo\xeb", None),
        (b"Zo\x81\x8d", None),
        ("Zoë".encode("cp1252"), "utf-8"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data: bytes, named: str | None) -> None:
    """A file that is cut off, damaged or of another encoding than it says is never read in part."""
    with pytest.raises(SheetError) as refusal:
        find_encoding(data, named)
    assert "--encoding" in refusal.value.remedy


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ending_will_do(end: str) -> None:
    """Old Mac, Unix and Windows files, with or without an end to their last line."""
    data = end.join(["a", "b", "", "c"]).encode()
    assert lines(data, find_encoding(data)) == ["a", "b", "", "c"]
    assert lines(data + end.encode(), find_encoding(data)) == ["a", "b", "", "c"]


def test_mixed_line_endings_will_do() -> None:
    """A sheet pasted together from several systems."""
    assert lines(b"a\r\nb\nc\rd", find_encoding(b"a")) == ["a", "b", "c", "d"]


def test_a_character_on_the_edge_of_a_piece_stays_whole() -> None:
    """Files longer than what is decoded at once are read as if in one."""
    first = "x" + "é" * (PIECE // 2)
    data = (first + "\r\n" + "x").encode()
    assert lines(data, find_encoding(data)) == [first, "x"]


def test_a_line_end_on_the_edge_of_a_piece_is_one() -> None:
    """CR LF of which a piece ends between the two ends one line, not two."""
    first = "x" * (PIECE - 1)
    data = (first + "\r\n" + "y\r\n").encode()
    assert lines(data, find_encoding(data)) == [first, "y"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No file brings the decoder down."""
    try:
        encoding = find_encoding(data)
    except SheetError:
        return
    assert "".join(lines(data, encoding)).count("\n") == 0
