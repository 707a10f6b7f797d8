"""A running answer in pieces: what is finished stays, and nothing is cut that belongs together."""

import pytest
from playwright.sync_api import expect

from ggufrun.ui.chat.conversation import Said
from ggufrun.ui.chat.pieces import LEAST, pieces
from ggufrun.ui.chat.rows import rows
from tests.api.served import Served
from tests.ui.browser import Tab
from tests.ui.talking import ENDLESS, ask, imported, opened, stop, until_running

LONG = "Some words about it. " * (LEAST // 20)


@pytest.mark.parametrize(
    ("before", "behind", "finished"),
    [
        ("A paragraph.", "Another paragraph.", 1),
        ("A paragraph.", "## A heading", 1),
        ("A paragraph.", "```python\nx = 1\n```", 1),
        ("```\ncode\n```", "A paragraph of words.", 1),
        ("$$\na\n\nb\n$$", "A paragraph of words.", 1),
        ("- one\n\n- two", "- three of the list", 0),
        ("1. one", "2. two of the list", 0),
        ("- one", "  more of the first", 0),
        ("> quoted", "> more of it, quoted", 0),
        ("[1] says", "[1]: http://example.invalid/", 0),
        ("```\ncode", "more code of the block", 0),
        ("````\n```\n", "more code of the block", 0),
        ("```\n- ```", "more code of the block", 0),
        ("```\n     ```", "more code of the block", 0),
        ("- ```py\n  code\n  ```\n\nWords.\n\n```\ncode", "more code of the block", 0),
        ("1. One\n\n    ```\n    code\n    ```\n\nWords.\n\n~~~\ncode", "more code of the block", 0),
        ("> ```\n> code\n> ```\n>\n\n```\ncode", "more code of the block", 0),
        ("- one\n  - two\n\n    ```\n    code\n    ```", "A paragraph of words.", 1),
        ("```of words``` and", "A paragraph of words.", 1),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| 3 | 4 | is no row any more", 0),
        ("<div>", "</div> is text like any other", 0),
        ("Words.", "[^1]: A note to them.", 0),
        ("$$\na", "more of the formula", 0),
        ("\\[\na", "more of the formula", 0),
    ],
)
def test_cut_only_between_blocks_without_ties(before: str, behind: str, finished: int) -> None:
    text = f"{LONG}\n{before}\n\n{behind}"
    found = pieces(text)
    assert "".join(found) == text
    assert (found[-1] == behind) is bool(finished) and found[-1].endswith(behind)


def test_what_is_finished_stays_while_more_comes() -> None:
    blocks = ["Words.\n\n", "```\ncode\n\ncode\n```\n\n", "- a\n- b\n\n", "$$\nx\n$$\n\n", "# Title\n\n", LONG + "\n\n"]
    text, seen = "".join(blocks * 6), [""]
    for end in range(len(text)):
        now = pieces(text[:end])
        assert "".join(now) == text[:end]
        assert now[: len(seen) - 1] == seen[:-1]
        seen = now
    assert len(seen) > 5 and all(len(each) >= LEAST for each in seen[:-1])


def test_only_a_running_answer_is_in_pieces() -> None:
    answer = Said("a", "assistant", content=f"{LONG}\n\nAnother paragraph. <b>")
    running = rows([answer], running=True)
    assert [(row.message, row.kind) for row in running] == [("a", "text")] * 2
    assert "<b>" not in running[1].bubble["content"][0]["text"]
    assert len(rows([answer])) == 1


def test_the_browser_keeps_what_is_finished(demo: Served, user: Tab) -> None:
    said = ("This is message 0.", "This is message 1.")  # the model goes on with one such message below the other
    roles = ("user", "assistant")
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
    page = opened(user, imported(demo.client, messages, settings=ENDLESS))
    ask(page, "Go on.")
    until_running(page)
    row = page.locator("#running .message-row")
    expect(row.nth(1)).to_be_visible()
    page.evaluate("() => { window.kept = document.querySelector('#running .message-row .md').firstElementChild; }")
    shown = row.first.inner_text()
    expect(row.nth(2)).to_be_visible()
    assert page.evaluate("() => window.kept.isConnected") and row.first.inner_text() == shown
    stop(page)
    expect(page.locator("#said [data-testid=bot]")).to_have_count(2)
