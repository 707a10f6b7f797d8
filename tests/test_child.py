"""What is heard of children: their lines, and what tells most of their end"""

import io
from pathlib import Path

import pytest

from ggufrun.child import as_text, last_words, listen


def test_an_assertion_tells_more_than_what_follows_it() -> None:
    said = "loading\n/build/vendor/llama.cpp:12: GGML_ASSERT(n > 0) failed\nAborted\n"
    assert last_words(said) == ": llama.cpp:12: GGML_ASSERT(n > 0) failed", "without the folder it was compiled in"
    assert last_words("one\nMemoryError\n\n") == ": MemoryError"
    assert last_words(" \n") == ""
    assert last_words("x" * 1000) == ": " + "x" * 300


def test_lines_are_handed_on_until_the_end() -> None:
    heard: list[str | None] = []
    listen(io.StringIO("a\nb"), heard.append, lambda: heard.append(None)).join(5)
    assert heard == ["a\n", "b", None]


def test_paths_are_asked_about_as_text() -> None:
    assert as_text(Path("a") / "b") == str(Path("a") / "b")
    with pytest.raises(TypeError, match="object cannot"):
        as_text(object())
