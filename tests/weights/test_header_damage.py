"""Damaged, foreign and malicious files: always a ModelFileError or a valid header, soon, and in little memory."""

import os
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggufrun.errors import ModelFileError
from ggufrun.weights.fields import ArrayField, ValueType
from ggufrun.weights.header import Header, read_header
from tests.weights import gguf_bytes as make

HUGE = (1 << 63) - 1
EVERY = pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
NOT_GGUF = {
    b"<!DOCTYPE html><html>": "an HTML page",
    b"\n <html lang=en>": "an HTML page",
    b"<?xml version='1.0'?><Error>": "an XML document",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "a git-lfs pointer",
    b"PK\x03\x04\x14\x00": "a zip archive",
    b"\x80\x02}q\x00": "a Python pickle",
    b"\x1f\x8b\x08\x00": "a gzip archive",
    struct.pack("<Q", 40) + b'{"__metadata__":{}}': "a safetensors file",
    b"tjgg\x03\x00\x00\x00": "a GGML file from before GGUF",
    b'{"error": "Entry not found"}': "a JSON document",
    b"Repository not found": "a text file",
    bytes(600): "zeros",
}


def refused(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path)) and caught.value.hint
    return message


def outcome(path: Path) -> Header | ModelFileError:
    """Anything else that is raised fails the test."""
    try:
        return read_header(path)
    except ModelFileError as error:
        return error


@pytest.mark.parametrize(("start", "guess"), NOT_GGUF.items(), ids=NOT_GGUF.values())
def test_says_what_a_foreign_file_looks_like(tmp_path: Path, start: bytes, guess: str) -> None:
    assert f"not a GGUF file (it looks like {guess}" in refused(make.write(tmp_path / "m.gguf", start))


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.gguf")
    assert "no such file" in refused(make.write(tmp_path / "file", b"x") / "m.gguf")
    assert "directory" in refused(tmp_path)
    assert "cannot be read" in refused(tmp_path / ("x" * 300))
    assert "empty" in refused(make.write(tmp_path / "empty.gguf", b""))
    assert "not a GGUF file." in refused(make.write(tmp_path / "noise.gguf", b"\x01\x02\xfe\xff" * 9))
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_header(Path("nul\0byte.gguf"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "not a regular file" in refused(tmp_path / "pipe.gguf")


@pytest.mark.parametrize(
    ("version", "says"),
    [(1, "version 1"), (0x03000000, "big-endian"), (0x02000000, "big-endian"), (4, "version 4"), (0, "version 0")],
)
def test_versions_that_cannot_be_read(tmp_path: Path, version: int, says: str) -> None:
    assert says in refused(make.write(tmp_path / "m.gguf", make.small(version)))


def test_a_cut_off_download_tells_both_sizes(tmp_path: Path) -> None:
    whole = make.small()
    message = refused(make.write(tmp_path / "m.gguf", whole[:-100]))
    assert f"truncated: it has {len(whole) - 100:,} of {len(whole):,} bytes" in message


@EVERY
def test_every_length_of_a_cut_off_file(tmp_path: Path, every: int) -> None:
    whole, path = make.small(), tmp_path / "m.gguf"
    for length in range(4, len(whole), every):
        assert "truncated" in refused(make.write(path, whole[:length]))


CLAIMS = {
    "tensors": make.gguf([], counts=(HUGE, 0)),
    "keys": make.gguf([], counts=(0, HUGE)),
    "key length": make.gguf([struct.pack("<Q", HUGE)], counts=(0, 1)),
    "string length": make.gguf([make.field("k", make.STRING, struct.pack("<Q", HUGE))]),
    "numbers in an array": make.gguf([make.field("k", make.ARRAY, make.array(make.UINT32, HUGE, b""))]),
    "strings in an array": make.gguf([make.field("k", make.ARRAY, make.array(make.STRING, HUGE, b""))]),
    "string in an array": make.gguf([make.field("k", make.ARRAY, make.array(make.STRING, 1, struct.pack("<Q", HUGE)))]),
    "list of lists": make.gguf([make.field("k", make.ARRAY, make.array(make.ARRAY, 1, make.array(4, 1, bytes(4))))]),
    "value type": make.gguf([make.field("k", 99, b"")]),
    "array type": make.gguf([make.field("k", make.ARRAY, make.array(99, 1, b""))]),
    "duplicate key": make.gguf([make.field("k", make.BOOL, b"\1")] * 2),
    "duplicate tensor": make.gguf([], [make.tensor("t", (1,), 0, 0)] * 2, data=64),
    "empty key": make.gguf([make.field("", make.BOOL, b"\1")]),
    "key that is not UTF-8": make.gguf([make.field(b"\xff", make.BOOL, b"\1")]),
    "tensor name": make.gguf([], [make.tensor("t" * 65, (1,), 0, 0)], data=64),
    "dimensions": make.gguf([], [make.text("t") + struct.pack("<I", 1 << 31)]),
    "elements": make.gguf([], [make.tensor("t", (1 << 40, 1 << 40), 0, 0)]),
    "elements beside a zero": make.gguf([], [make.tensor("t", (HUGE, 0), 0, 0)]),
    "tensor offset": make.gguf([], [make.tensor("t", (1,), 0, HUGE - 31)]),
    "unaligned offset": make.gguf([], [make.tensor("t", (1,), 0, 1)], data=64),
    "rows": make.gguf([], [make.tensor("t", (33,), 2, 0)], data=64),
    "alignment": make.gguf([make.field("general.alignment", make.UINT32, struct.pack("<I", 24))]),
    "alignment of zero": make.gguf([make.field("general.alignment", make.UINT32, bytes(4))]),
    "alignment in words": make.gguf([make.field("general.alignment", make.STRING, make.text("32"))]),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_absurd_claims_are_refused(tmp_path: Path, name: str) -> None:
    path = make.write(tmp_path / "m.gguf", CLAIMS[name])
    tracemalloc.start()
    try:
        assert "the GGUF header is damaged" in refused(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_many_strings_in_a_large_file_take_neither_time_nor_memory(tmp_path: Path) -> None:
    """A sparse file of 300 MB whose array of empty strings would be walked for ever."""
    path = tmp_path / "m.gguf"
    for claimed in (3_999_999, 30_000_000):
        make.write(path, make.gguf([make.field("k", make.ARRAY, make.array(make.STRING, claimed, b""))], counts=(0, 2)))
        os.truncate(path, 300 << 20)
        start = time.process_time()
        assert "damaged" in refused(path)
        assert time.process_time() - start < 3.0


def test_no_header_is_longer_than_a_vocabulary_can_be(tmp_path: Path) -> None:
    field = make.field("k", make.ARRAY, make.array(make.UINT32, 40 << 20, b""))
    path = make.write(tmp_path / "m.gguf", make.gguf([field]))
    os.truncate(path, 1 << 30)
    assert "no header is over" in refused(path)


@EVERY
def test_every_byte_flipped_in_every_way_that_matters(tmp_path: Path, every: int) -> None:
    """Some 2,500 variants of one header, or a seventh of them: each is refused or parsed."""
    whole, path = make.small(), tmp_path / "m.gguf"
    refusals = 0
    for at in range(4, len(whole) - 192, every):
        for value in {0, 0xFF, 9, whole[at] ^ 1, whole[at] ^ 0x80} - {whole[at]}:
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            refusals += isinstance(outcome(path), ModelFileError)
    assert refusals > 500 // every


@settings(max_examples=3 * settings().max_examples, deadline=1000)
@given(
    st.lists(st.tuples(st.integers(4, 10_000), st.binary(min_size=1, max_size=9)), max_size=4), st.integers(0, 10_000)
)
def test_random_damage(tmp_path_factory: pytest.TempPathFactory, patches: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(make.small())
    for at, patch in patches:
        data[at % len(data) : at % len(data) + len(patch)] = patch
    path = make.write(tmp_path_factory.getbasetemp() / "damaged.gguf", bytes(data[: cut or None]))
    result = outcome(path)
    if isinstance(result, Header):
        ends = [result.data_offset + tensor.offset + (tensor.size or 0) for tensor in result.tensors]
        assert max(ends, default=0) <= path.stat().st_size
        for key, field in result.metadata.items():
            if isinstance(field, ArrayField):
                read = result.raw_strings if field.type is ValueType.STRING else result.numbers
                assert len(read(key)) == field.length
