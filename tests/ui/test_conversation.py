"""What the chat shows, without a browser: the tree, its rows, text made harmless, the answer that comes, its pace."""

import asyncio
import base64
import html
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ggufrun.ui.chat import meter
from ggufrun.ui.chat.conversation import Conversation, Said
from ggufrun.ui.chat.facts import facts
from ggufrun.ui.chat.live import Live, Progress
from ggufrun.ui.chat.markup import fenced, inline, tame, wild
from ggufrun.ui.chat.pace import EVERY_S, SLOWEST_S, Reading, pause_after
from ggufrun.ui.chat.pictures import Pictures, picture_file
from ggufrun.ui.chat.rows import LONGEST_FOLDED, rows
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.verdict import schema_text, verdict
from ggufrun.ui.errors import ApiError

TREE = Conversation(
    "chat",
    (
        Said("q1", "user", None, "One?"),
        Said("a1", "assistant", "q1", "One.", meta={"state": "done"}),
        Said("q2", "user", "a1", "Two?"),
        Said("a2", "assistant", "q2", "Two.", meta={"state": "stopped"}),
        Said("a3", "assistant", "q2", "Second."),
        Said("q0", "user", None, "Zero?"),
    ),
    head="a2",
)


def known(conversation: Conversation) -> dict[str, Any]:
    text = facts(conversation, rows(conversation.branch))
    return dict(json.loads(html.unescape(text.split('"')[1])))


def test_the_branch_is_what_is_above_the_head() -> None:
    assert [each.id for each in TREE.branch] == ["q1", "a1", "q2", "a2"]
    assert [each.id for each in TREE.shows("q0").branch] == ["q0"]
    assert TREE.shows(None).branch == () and Conversation().last is None
    looped = Conversation("chat", (Said("x", "user", "y"), Said("y", "user", "x")), head="x")
    assert len(looped.branch) <= 3, "an import may bring anything"


def test_switching_goes_to_the_newest_leaf() -> None:
    assert [each.id for each in TREE.siblings("q1")] == ["q1", "q0"]
    assert TREE.leaf("q1") == "a3" and TREE.leaf("q0") == "q0"


def test_facts_say_what_can_be_switched_and_done() -> None:
    assert known(TREE)["rows"] == {"0": [1, 2, "q0", "q0"], "3": [1, 2, "a3", "a3"]}
    assert known(TREE)["deeds"] == ["continue"] and known(TREE.shows("a3"))["deeds"] == []
    assert known(TREE.shows("q0"))["deeds"] == ["again"]
    asked = TREE.with_added(Said("q9", "user", "a2", "?"), Said("a9", "assistant", "q9"), run="r")
    assert asked.head == "a9" and known(asked)["deeds"] == []
    hostile = Conversation('"><script>alert(1)</script>')
    assert "<script>" not in facts(hostile, ()) and known(hostile)["chat"] == hostile.id


def test_pending_calls_are_those_without_a_result() -> None:
    calls = [{"id": "c1", "function": {"name": "f"}}, {"id": "c2", "function": {"name": "g"}}]
    answer = Said("a", "assistant", "q", tool_calls=calls, meta={"state": "done"})
    chat = Conversation("chat", (Said("q", "user", None, "?"), answer), head="a")
    place = {"chat": "chat", "message": "a", "round": 1, "fresh": False}
    assert chat.pending == [{**call, **place} for call in calls]
    one = chat.with_added(Said("t", "tool", "a", "1", tool_call_id="c1"), run=None)
    assert [call["id"] for call in one.pending] == ["c2"]
    forged = replace(answer, id="b", parent="t", tool_calls=[{**calls[0], "fresh": True, "chat": "other"}])
    assert one.with_added(forged, run=None).pending == [{**calls[0], **place, "message": "b", "round": 2}]
    assert one.with_added(Said("u", "tool", "t", "2", tool_call_id="c2"), run=None).pending == []
    assert one.with_added(Said("n", "assistant", "t", "So."), run=None).pending == []


def test_each_part_of_a_message_is_a_row() -> None:
    file = {"type": "text", "text": "[file: a.txt]\n" + "x" * (LONGEST_FOLDED + 5) + "\n[end of file]"}
    picture = {"type": "image_url", "image_url": {"url": "http://evil.invalid/a.png"}}
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}
    said = [
        Said("q", "user", None, [file, picture, {"type": "text", "text": "What?"}]),
        Said("a", "assistant", "q", "", "Hmm.", [call], meta={"state": "failed", "error": {"message": "Bad <b>."}}),
        Said("t", "tool", "a", "42", tool_call_id="c", name="f"),
    ]
    shown = rows(said)
    assert [(row.message, row.kind, row.part) for row in shown] == [
        *(("q", "file", 0), ("q", "picture", 1), ("q", "text", 2)),
        *(("a", "thought", None), ("a", "call", None), ("a", "error", None), ("t", "result", None)),
    ]
    texts = [row.bubble["content"][0]["text"] for row in shown]
    assert "and 5 characters more" in texts[0] and "http" not in texts[1]
    assert texts[4] == '```json\n{\n  "a": 1\n}\n```' and "<b>" not in texts[5]
    assert [row.bubble["metadata"]["title"] for row in shown if row.kind == "call"] == ["Calls `f`"]


def test_a_running_answer_thinks_until_it_says_something() -> None:
    thinking = Said("a", "assistant", None, "", "Hmm")
    (row,) = rows([thinking], running=True)
    assert row.bubble["metadata"] == {"title": "Thinking", "status": "pending"}
    (row,) = rows([Said("a", "assistant", None, "", "Hmm", meta={"thinking_ms": 12_340})])
    assert row.bubble["metadata"] == {"title": "Thought for 12 s", "status": "done"}
    assert rows([Said("a", "assistant")], running=True)[0].bubble["content"][0]["text"] == "…"


@pytest.mark.parametrize("text", ['{"a": [1]}', "[1,\n2]"])
def test_json_is_code_under_a_schema_only(text: str) -> None:
    row, note = rows([Said("a", "assistant", None, text)], schema="{}")
    assert note.kind == "note" and note.bubble["content"][0]["text"] == "*Valid JSON for the schema\\.*"
    shown = row.bubble["content"][0]["text"]
    assert shown.startswith("```json\n") and json.loads(shown[7:-3]) == json.loads(text)
    assert rows([Said("a", "assistant", None, text)])[0].bubble["content"][0]["text"] == text
    assert rows([Said("a", "assistant", None, "{no")], schema="{}")[0].bubble["content"][0]["text"] == "{no"


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("<script>x</script> a <b", 3),
        ("1 < 2 and x<-y", 0),
        ("![x](http://e/a.png) ![y][1]", 2),
        ("`<b>` and ``<i> ` <u>``", 0),
        ("```html\n<b>\n```\n<b>", 1),
        ("~~~\n<b>\n```\n<i>\n~~~~\n<b>", 1),
        ("```\n<b> to come", 0),
        ("$$a<b$$ \\(a<b\\) \\[a<b\\]", 0),
        ("`unclosed <b>", 1),
        ("<!-- --> <?x ?> </a>", 3),
    ],
)
def test_tags_and_pictures_are_made_harmless_and_code_stays(text: str, live: int) -> None:
    shown = tame(text)
    assert shown.count("\u2060") == live and shown.replace("\u2060", "") == text and wild(shown) == text


@pytest.mark.parametrize(
    ("text", "meta", "said"),
    [
        ('{"n": 1}', {}, "Valid JSON for the schema."),
        ('{"n": 1}', {"state": "stopped"}, "Valid JSON for the schema."),
        ('{"n": "x"}', {}, "Not valid for the schema: n: 'x' is not of type 'integer'"),
        ('{"n": ', {"finish_reason": "length"}, "Cut before its end: not valid for the schema."),
        ('{"n": ', {"state": "stopped"}, "Cut before its end: not valid for the schema."),
        ("Hello.", {"state": "done"}, "No JSON: not valid for the schema."),
    ],
)
def test_what_is_said_of_an_answer_under_a_schema(text: str, meta: dict[str, Any], said: str) -> None:
    schema = schema_text({"type": "object", "properties": {"n": {"type": "integer"}}})
    shown = rows([Said("a", "assistant", None, text, meta=meta)], schema=schema)
    assert [row.kind for row in shown] == ["text", "note"]
    assert shown[1].bubble["content"][0]["text"].replace("\\", "") == f"*{said}*"


def test_a_hostile_schema_takes_no_time_and_fetches_nothing() -> None:
    twice: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    began = time.perf_counter()
    for schema in (
        {"$ref": "http://evil.invalid/a.json"},
        {"$ref": "#"},
        {"$defs": {**twice, "d40": True}, "$ref": "#/$defs/d0"},
        {"type": 3},
        {"$schema": "http://evil.invalid/b"},
        {"uniqueItems": True},
    ):
        text = json.dumps([{"a": n} if n % 2 else n for n in range(3000)])
        assert verdict(text, str(schema_text(schema)), False)
    assert "checks whether" in verdict("1", str(schema_text({"pattern": "(a+)+$"})), False)
    assert time.perf_counter() - began < 20


def test_a_picture_is_written_once() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 20).decode()
    message, pictures = Said("q", "user", None, [{"type": "image_url", "image_url": {"url": url}}]), Pictures()
    asyncio.run(pictures.make("chat", [message]))
    path = pictures.path(message, 0, {})
    assert path is not None and Path(path).is_file()
    Path(path).unlink()
    asyncio.run(pictures.make("chat", [message]))
    assert pictures.path(message, 0, {}) == path and Path(path).is_file()
    asyncio.run(pictures.make("other", [Said("q", "user", None, "no picture")]))
    assert pictures.path(message, 0, {}) is None, "another chat's message of the same id"


def test_an_empty_answer_says_why() -> None:
    for state, said in (("stopped", "*Stopped before its first word.*"), ("done", "*The answer is empty.*")):
        (row,) = rows([Said("a", "assistant", meta={"state": state})])
        assert row.bubble["content"][0]["text"] == said


def test_a_circle_has_a_leaf() -> None:
    circle = Conversation("chat", (Said("x", "user", "y"), Said("y", "user", "x")), head="x")
    assert circle.leaf("x") in ("x", "y")


def test_taming_takes_no_time_that_a_text_can_choose() -> None:
    for text in (
        "`" * 60_000,
        "` `` ``` " * 8_000,
        "<" * 100_000,
        "$$" + "a" * 100_000,
        "```\n" * 20_000,
        "\\[" * 30_000,
        "\\[a" * 20_000,
        "\\[\n\\]x".replace("]", "") * 20_000,
        "\\(" * 100_000,
        "\\(a " * 20_000,
        "$$ a " * 20_000,
    ):
        began = time.process_time()
        tame(text + "<b>")
        assert time.process_time() - began < 1, text[:10]


def test_code_ends_where_it_ends() -> None:
    assert fenced("a ``` b", "json") == "````json\na ``` b\n````"
    assert inline("a`b\nc") == "`` a`b c ``" and inline("") == "`?`"


def test_only_pictures_that_are_there_are_shown() -> None:
    for url in ("http://a/b.png", "data:image/svg+xml;base64,PHN2Zz4=", "data:image/png;base64,!!", "data:,x", 3, None):
        assert picture_file({"image_url": {"url": url}}) is None
    assert picture_file({"image_url": "x"}) is None and picture_file({}) is None


def test_the_events_of_a_run_add_up() -> None:
    live = Live(Said("", "assistant"))
    message = {"id": "a", "role": "assistant", "content": "So ", "thinking": "", "meta": {"context": 100}}
    live.add({"type": "start", "message": message})
    live.add({"type": "progress", "done": 5, "total": 9, "cached": 0})
    assert live.progress == Progress(5, 9, 0, 0, 100) and "5 / 9" in meter.running(live.progress)
    live.add({"type": "thinking", "text": "Hm", "tokens": 1, "ms": 0})
    live.add({"type": "text", "text": "far", "tokens": 3, "ms": 200})
    for arguments in ("{", "}"):
        live.add(
            {
                "type": "tool_call",
                "index": 0,
                "id": "c",
                "name": "f" if arguments == "{" else "",
                "arguments": arguments,
            }
        )
    so_far = live.so_far()
    assert (so_far.content, so_far.thinking) == ("So far", "Hm")
    assert so_far.tool_calls[0]["function"] == {"name": "f", "arguments": "{}"}
    assert "3 tokens" in meter.running(live.progress) and "10 tokens/s" in meter.running(live.progress)
    assert "12 of 100 context (12 %)" in meter.running(live.progress)
    live.add({"type": "end", "message": {**message, "content": "So far."}})
    assert live.ended and live.so_far().content == "So far."


def test_the_meter_of_the_last_answer() -> None:
    timings = {"context": 8192, "context_used": 41, "tokens_per_second": 23.4, "ttft_ms": 120, "cached_tokens": 7}
    usage = {"completion_tokens": 12, "cost_usd": 0.000004}
    last = Said("a", "assistant", None, "x", meta={"usage": usage, "timings": timings})
    shown = meter.finished(Conversation("c", (last,), head="a"))
    for part in ("12 tokens", "23 tokens/s", "0.12 s", "7 cached", "$0.000004"):
        assert part in shown
    for wrong in ({}, {"usage": "x", "timings": [1]}, {"timings": {"context": "<b>", "context_used": -1}}):
        assert meter.finished(Conversation("c", (Said("a", "assistant", meta=wrong),), head="a")) == ""
    assert meter.finished(Conversation()) == ""


async def played(count: int, pause: float, error: ApiError | None = None) -> AsyncIterator[int]:
    for number in range(count):
        yield number
        await asyncio.sleep(pause)
    if error is not None:
        raise error


async def test_updates_are_at_most_so_many_a_second_and_the_last_is_among_them() -> None:
    taken: list[int] = []
    at: list[float] = []
    shown: list[int] = []
    async for _ in Reading().updates(played(200, 0.002), taken.append, 0.1):
        at.append(time.monotonic())
        shown.append(len(taken))
    assert taken == list(range(200)) and shown[0] == 1 and EVERY_S >= 0.1
    assert all(later - earlier >= 0.095 for earlier, later in pairwise(at))
    assert len(at) >= 2


def test_updates_make_place_where_the_machine_is_busy() -> None:
    assert pause_after(0.0) == EVERY_S and pause_after(-0.01) == EVERY_S
    assert EVERY_S < pause_after(0.02) < pause_after(0.05) <= SLOWEST_S == pause_after(10.0)
    assert pause_after(0.01, 2.0) == 2.0, "who asks for longer gets it"


async def test_what_came_before_an_error_is_shown() -> None:
    taken: list[int] = []
    shown: list[int] = []
    with pytest.raises(ApiError):
        async for _ in Reading().updates(played(3, 0, ApiError("gone", 0)), taken.append, 0.01):
            shown += [len(taken)]
    assert shown[-1] == 3


async def test_a_tab_reads_one_answer_and_what_it_has_left_shows_nothing() -> None:
    tab, taken, ended = Tab(), list[int](), asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    first, updates = tab.turn(), 0
    async with asyncio.timeout(60):
        async for _ in first.updates(endless(), taken.append, 0.01):
            updates += 1
            assert not tab.turn().left, "another one is read"
    assert updates == 1 and first.left and ended.is_set() and tab.is_busy
    tab.over()
    assert not tab.is_busy
