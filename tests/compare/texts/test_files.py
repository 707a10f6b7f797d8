"""The user's own files: read as they are, and refused with a sentence where they are no text"""

from pathlib import Path

import pytest

from ggufrun.compare.texts.files import parts_of
from ggufrun.errors import OptionError


def test_each_file_is_a_part_without_its_last_newline_and_without_a_mark(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.md"
    first.write_text("eins\n\nzwei\n\n", encoding="utf-8")
    second.write_bytes(b"\xef\xbb\xbfdrei")
    assert [(part.name, part.text) for part in parts_of([first, second])] == [
        ("a.txt", "eins\n\nzwei\n"),
        ("b.md", "drei"),
    ]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "notes.txt" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("text")
    assert [part.name for part in parts_of(paths)] == [str(path) for path in paths]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"GGUF\x03\0\0\0", "binary"), (b"gr\xfc\xdfe", "not UTF-8 .byte 2"), (b" \n\n", "empty")],
)
def test_what_is_no_text_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=reason):
        parts_of([path])


def test_a_file_that_is_not_there_and_one_that_is_named_twice(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        parts_of([tmp_path / "none.txt"])
    path = tmp_path / "a.txt"
    path.write_text("text")
    with pytest.raises(OptionError, match="twice"):
        parts_of([path, path])
