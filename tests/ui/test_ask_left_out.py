"""What may be left out of a chat: its exchanges and files, without a server."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from ggufrun.api.chats import left_out as server
from ggufrun.records.chat_messages import ChatMessage
from ggufrun.ui.ask.files import as_part
from ggufrun.ui.ask.leaving import choices, uncounted
from ggufrun.ui.ask.left_out import branch_of, changed, exchanges, left_out_ids
from ggufrun.ui.ask.meter import Used, line, warnings

EVIL = "<img src=x onerror=alert(1)>"


def said(id: str, role: str, parent: str | None, content: Any = "") -> dict[str, Any]:
    return {"id": id, "role": role, "parent": parent, "content": content or f"text of {id}"}


def chat(**settings: Any) -> dict[str, Any]:
    """q1 is answered with a tool, q2 twice, q3 not yet."""
    file = [as_part(f"{EVIL}.txt", "long"), {"type": "text", "text": "What is it?"}]
    messages = [
        *(
            said("q1", "user", None),
            said("c1", "assistant", "q1"),
            said("t1", "tool", "c1"),
            said("a1", "assistant", "t1"),
        ),
        *(said("q2", "user", "a1", file), said("a2", "assistant", "q2"), said("b2", "assistant", "q2")),
        said("q3", "user", "b2", [as_part("only.txt", "x")]),
    ]
    return {"head": "q3", "messages": messages, "settings": settings}


def test_exchanges_are_whole() -> None:
    branch = branch_of(chat())
    assert [each["id"] for each in branch] == ["q1", "c1", "t1", "a1", "q2", "b2", "q3"]
    assert [[each["id"] for each in found.messages] for found in exchanges(branch)] == [
        *(["q1", "c1", "t1", "a1"], ["q2", "b2"], ["q3"]),
    ]
    assert left_out_ids(branch, {"left_out": ["q2", "q1#0", 7]}) == {"q2", "b2", "q1#0"}
    assert left_out_ids(branch, {"left_out": "q2"}) == left_out_ids(branch, None) == frozenset()
    assert branch_of({"head": "x", "messages": [said("x", "user", "y"), said("y", "user", "x")]})  # no end


def test_the_list() -> None:
    counted: list[dict[str, Any]] = [
        {"id": "q1", "tokens": 1200, "left_out": True, "parts": []},
        {"id": "q2", "tokens": 90, "left_out": False, "parts": [70, 8]},
        {"id": "gone", "tokens": 90, "left_out": False, "parts": []},
        {"id": "q3", "tokens": None, "left_out": False, "parts": [4]},
    ]
    assert choices(chat(left_out=["q1", "q2#0"]), counted) == [
        ("Left out: “text of q1”, its tool calls and answer · 1,200 tokens", "q1"),
        ("“What is it?” and its answer · 90 tokens", "q2"),
        (f"Left out: {EVIL}.txt, beside “What is it?” · 70 tokens", "q2#0"),
        ("“only.txt”", "q3"),
    ]
    assert [each["id"] for each in uncounted(chat())] == ["q1", "q2", "q3"]


def test_what_the_chat_does_not_have_is_forgotten() -> None:
    before = chat(left_out=["q1", "other", "other#1"])
    assert changed(before, out=["q3", "q2#0"]) == ["q1", "q3", "q2#0"]
    assert changed(before, back=["q1"]) == []


def test_an_exchange_is_brought_back_however_it_was_left_out() -> None:
    assert changed(chat(left_out=["t1", "q2"]), back=["q1"]) == ["q2"]  # by a message in it
    assert changed(chat(left_out=["q2#0", "q2#1", "q3#0"]), back=["q2"]) == ["q3#0"]  # by all of its parts
    assert changed(chat(left_out=["q2", "q2#0"]), back=["q2"]) == ["q2#0"]  # a part of it was left out before
    assert changed(chat(left_out=["q2#0", "q2#1"]), back=["q2#1"]) == ["q2#0"]
    (*_, only) = choices(chat(left_out=["q3#0"]), uncounted(chat(left_out=["q3#0"])))
    assert only == ("Left out: “only.txt”", "q3")


IDS = [str(number) for number in range(8)]
MESSAGES = some.tuples(some.sampled_from(["user", "assistant", "tool"]), some.none() | some.integers(0, 3))
LEFT_OUT = some.sets(some.sampled_from([*IDS, *(f"{id}#{at}" for id in IDS for at in range(3)), "x", "x#0"]))


@given(some.lists(MESSAGES, max_size=len(IDS)), LEFT_OUT)
def test_the_page_and_the_server_have_one_rule(messages: list[tuple[str, int | None]], left_out: set[str]) -> None:
    """What is faded is what is not sent, and what is sent has no call without its result, nor an empty message."""
    branch = [
        ChatMessage(
            role, "text" if parts is None else [{"type": "text", "text": f"{at}"} for at in range(parts)], id=id
        )
        for id, (role, parts) in zip(IDS, messages, strict=False)
    ]
    as_json = [{"id": each.id, "role": each.role, "content": each.content} for each in branch]
    assert [[each.id for each in found] for found in server.exchanges(branch)] == [
        [each["id"] for each in found.messages] for found in exchanges(as_json)
    ]
    faded = left_out_ids(as_json, {"left_out": list(left_out)})
    read = {message.id: message for each in server.exchanges(branch) for message in server.kept_of(each, left_out)}
    assert set(read) == {each.id for each in branch} - faded
    for was in branch:
        if was.id in read and not isinstance(was.content, str):
            sent = [part for at, part in enumerate(was.content) if f"{was.id}#{at}" not in faded]
            assert read[was.id].content == sent and bool(sent) == bool(was.content)


def test_the_line_says_it_in_words() -> None:
    well = Used("demo", 79, 100, 8192, [(f"{EVIL}.txt", 12)])
    html = line(well, 'id"><x', ["take <b> out"])
    assert "79 of 100 tokens of context (79%)" in html and "&lt;img" in html and "<img" not in html
    assert 'data-chat="id&#34;&gt;&lt;x"' in html and "take &lt;b&gt; out" in html and warnings(well) == []
    (near,) = warnings(Used("demo", 80, 100, 8192))
    assert (
        near.startswith("The context is 80% full: 20 tokens are left") and "larger context (it can have 8,192)" in near
    )
    (full,) = warnings(Used("demo", 120, 100, 100))
    assert "Leave out at least 21 tokens." in full
    assert warnings(Used("demo", 100, 100))[0].startswith("Too long") and warnings(Used("demo", None, 100)) == []
