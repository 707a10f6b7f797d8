"""The tools' values: what is read of JSON, names, who is told of what, results. No page, no MCP server."""

import json
from typing import Any

import pytest
from mcp.types import CallToolResult, ContentBlock, EmbeddedResource, ImageContent, TextContent, TextResourceContents
from pydantic import AnyUrl

from ggufrun.mcp_servers import McpServer
from ggufrun.ui.tools.allowed import Allowed, mark_of
from ggufrun.ui.tools.call_html import call_html
from ggufrun.ui.tools.choice import apart, listed, offered, together
from ggufrun.ui.tools.connection import Connection
from ggufrun.ui.tools.naming import name_of, server_of
from ggufrun.ui.tools.results import outcome_of, shortened
from ggufrun.ui.tools.session import McpTool
from ggufrun.ui.tools.work import REFUSED, Work
from ggufrun.ui.tools.written import EXAMPLE, BadTools, check_names, read, written


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}, **more}}


def connection(name: str, *tools: str) -> Connection:
    there = Connection(McpServer(name, command="none"))
    there.tools = tuple(McpTool(f"{name}__{each}", each, tool(f"{name}__{each}", description="new")) for each in tools)
    return there


def pending(*calls: tuple[str, Any], **place: Any) -> list[dict[str, Any]]:
    """`place`: where they stand, as `Conversation.pending` has it."""
    return [
        {"id": f"call{index}", "type": "function", "function": {"name": name, "arguments": arguments}, **place}
        for index, (name, arguments) in enumerate(calls)
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[\n  {,\n]", "Line 2, column 4: a name in"),
        ("[1 2]", "Line 1, column 4: a comma or a closing bracket is missing."),
        ("[] []", "Line 1, column 4: the list has ended before."),
        ("{}", "Write a list of tools"),
        ("[{}, 5]", "Tool 2 is no object"),
        ("[" * 200_000, "nested too deep"),
    ],
)
def test_what_is_wrong_with_written_tools_is_said(text: str, says: str) -> None:
    with pytest.raises(BadTools, match=says.replace("[", r"\[")):
        read(text)


def test_tools_are_read_as_they_were_written() -> None:
    assert read(written([EXAMPLE])) == [EXAMPLE]
    assert read("  ") == [] and written([]) == ""


@pytest.mark.parametrize(
    ("names", "says"),
    [(["a", "b", "a"], "Tools 1 and 3 are both called 'a'"), (["a", "files__x"], "Tool 2, 'files__x': names with")],
)
def test_names_do_not_clash(names: list[str], says: str) -> None:
    with pytest.raises(BadTools, match=says):
        check_names([tool(name) for name in names], ["files"])
    check_names([tool("file__x"), tool("files_x"), {}, {"function": 5}], ["files"])


def test_mcp_tools_names_are_what_models_may_be_told() -> None:
    foreign = ["", "a.b", "a/b", "ü" * 90, "x" * 70, "x" * 71, "</script>", "\ud800"]
    names = [name_of("files", each) for each in ["read", "_x", "a_b", *foreign]]
    assert names[:3] == ["files__read", "files___x", "files__a_b"] and len({*names}) == len(names)
    for name in names:
        assert len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() and name.isascii()
        assert server_of(name, ["file", "files"]) == "files"
    assert server_of("read", ["read"]) == server_of("other__read", ["files"]) == server_of("__x", [""]) == ""


def test_a_chats_tools_are_taken_apart_and_put_together() -> None:
    servers = {"files": connection("files", "read", "write"), "web": connection("web")}
    stored = [tool("mine"), tool("files__read", description="old"), tool("web__get"), tool("gone__x")]
    hand, theirs = apart(stored, servers)
    assert hand == [stored[0], stored[3]] and theirs == [stored[1], stored[2]]
    choices = offered(["files", "web"], theirs, servers)
    assert choices == [("files: read", "files__read"), ("files: write", "files__write"), ("web: get", "web__get")]
    told = together(hand, ["files__read", "web__get", "web__unknown"], theirs, servers)
    assert told == [*hand, tool("files__read", description="new"), stored[2]], "the server's own words win"
    assert together(hand, [], theirs, servers) == hand


def test_servers_say_how_they_are() -> None:
    servers = {"one": connection("one", "a"), "two": connection("two", "a", "b"), "off": connection("off")}
    servers["one"].state = servers["two"].state = "connected"
    servers["bad"] = connection("bad")
    servers["bad"].state = "failed"
    labels = [label for label, _ in listed(servers, connecting=["off"])]
    assert labels == ["one (1 tool)", "two (2 tools)", "off (connecting …)", "bad (failed)"]
    assert ("off (not connected)", "off") in listed(servers)


def test_results_become_text() -> None:
    content: list[ContentBlock] = [
        TextContent(type="text", text="<b>one</b>"),
        ImageContent(type="image", data="A" * 4000, mimeType="image/png"),
        EmbeddedResource(
            type="resource", resource=TextResourceContents(uri=AnyUrl("file:///a"), text="two", mimeType="text/plain")
        ),
    ]
    assert outcome_of(CallToolResult(content=content)).text.splitlines() == [
        "<b>one</b>",
        "[image, image/png, 3.0 kB: not shown to the model]",
        "two",
    ]
    failed = outcome_of(CallToolResult(content=content[:1], isError=True))
    assert failed.failed and failed.text == "Error: <b>one</b>"
    assert outcome_of(CallToolResult(content=[], structuredContent={"a": "ü"})).text == '{"a": "ü"}'
    assert outcome_of(CallToolResult(content=[])).text == "The tool gave nothing back."


def test_long_results_are_cut_and_say_so() -> None:
    cut = shortened("ü" * 100_000)
    assert len(cut.encode()) < 100_200 and cut.endswith("[Cut here: this is 100.0 kB of 200.0 kB.]") and "�" not in cut
    assert shortened("ü" * 50_000) == "ü" * 50_000


def test_calls_are_answered_one_by_one() -> None:
    work = Work.of(pending(("add", '{"a": 1}'), ("echo", ""), ("add", {"b": 2})))
    work = work.moved(1).answered("second").onward()
    assert (work.at, work.complete) == (2, False)
    work = work.answered("third").onward()
    assert work.at == 0 and not work.answered("  ").complete
    work = work.answered(REFUSED).onward()
    assert work.at == 0 and work.complete
    assert [(each.call, each.name, each.content) for each in work.results()] == [
        ("call0", "add", REFUSED),
        ("call1", "echo", "second"),
        ("call2", "add", "third"),
    ]
    assert [call.given() for call in work.calls] == [{"a": 1}, {}, {"b": 2}]
    assert work.moved(-5).at == 0 and work.moved(9).at == 2


def test_each_of_many_calls_has_an_answer() -> None:
    calls = pending(*[("f", f'{{"n": {number}}}') for number in range(300)], chat="A", message="1")
    work = Work.of(calls)
    assert work.unanswered == 300 and not work.complete
    work = work.answered("first").moved(199).answered("200th").all_answered(REFUSED)
    results = work.results()
    assert work.complete and len(results) == 300 and work.at == 199, "it stays where it is"
    assert [each.content for each in results if each.content != REFUSED] == ["first", "200th"]
    assert {(each.chat, each.message) for each in results} == {("A", "1")}
    assert Work.of(calls[200:]).anew(calls).unanswered == 300
    assert work.anew(calls[1:]).unanswered == 0, "the first is stored: the others keep what they have"
    assert work.anew(pending(("f", '{"n": 0}'), chat="A", message="2")).unanswered == 1, "another answer's"


def test_no_two_calls_have_the_same_mark() -> None:
    places = [{"chat": chat, "message": message} for chat in ("A", "B") for message in ("1", "2")]
    calls = [pending(("f", "{}"), ("f", "{}"), **place) for place in places]
    marks = [Work.of(each).moved(by).mark for each in calls for by in (0, 1)]
    assert len({*marks}) == 8 and Work().mark == "" and Work.of(calls[0]).mark == marks[0]


def test_what_is_allowed_holds_for_one_tool_as_it_is_in_one_chat() -> None:
    allowed, mark = Allowed(), mark_of("files", tool("files__read"))
    allowed.allow("A", "files__read", mark)
    allowed.allow("", "files__read", mark)
    assert allowed.mark("A", "files__read") == mark and allowed.of("A") == ["files__read"]
    assert not any(allowed.mark(*each) for each in (("B", "files__read"), ("", "files__read"), ("A", "files__write")))
    assert mark != mark_of("files", tool("files__read", description="Other.")) != mark_of("web", tool("files__read"))
    answers = (("A", "1"), ("A", "1"), ("A", "2"), ("B", "1"))
    assert [allowed.takes(*each) for each in answers] == [True, False, True, True]
    allowed.revoke("A", "files__read")
    assert not allowed.mark("A", "files__read") and not allowed.of("A")


def test_hostile_calls_are_shown_as_text() -> None:
    name, arguments = "<img src=x onerror=alert(1)>", json.dumps({"<script>": "</pre><script>alert(1)</script>{0}"})
    shown = call_html(Work.of(pending((name, arguments))), "files")
    assert "<script" not in shown and "<img" not in shown and "&lt;img src=x" in shown and "{0}" in shown
    broken = call_html(Work.of([*pending(("f", '{"a": '), ("g", "5")), 7, {"function": None}]))
    assert "no JSON object" in broken and "1 of 4" in broken and "{&#34;a&#34;: " in broken
    assert len(call_html(Work.of(pending(("f", "[" * 100_000))))) < 30_000
