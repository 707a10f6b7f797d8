"""One answer to standard output, and what goes beside it."""

import asyncio
import io
import json
import os
import threading

import pytest

from ggufrun.chat.types import ChatRequest, Message, ToolCallDelta
from ggufrun.commandline.exits import print_error
from ggufrun.errors import EmptyPrompt, EngineCrashed, EngineError, OptionError
from ggufrun.terminal import piped as piped_input
from ggufrun.terminal.oneshot import answer_once
from ggufrun.terminal.piped import one_prompt
from tests.terminal.scripted import Reply, ScriptedModel

REQUEST = ChatRequest(messages=(Message(role="user", content="hi"),))


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def ask(reply: Reply, *, json_object: bool = False, terminal: bool = False) -> tuple[str, str]:
    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    asyncio.run(answer_once(ScriptedModel([reply]), REQUEST, out, err, json_object=json_object))
    return out.getvalue(), err.getvalue()


def test_a_pipe_gets_the_text_and_nothing_else() -> None:
    reply = Reply(("a\x1b[1m", "b"), thinking=("hm",), reason="length", prompt_tokens=1024)
    assert ask(reply) == ("a\x1b[1mb\n", "")


def test_no_second_newline() -> None:
    assert ask(Reply(("a\n",))) == ("a\n", "")


def test_a_terminal_gets_thinking_and_the_cut_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out, err = ask(Reply(("a\x1b[1m",), thinking=("hm",), reason="length"), terminal=True)
    assert out == "a\ufffd[1m\n"
    assert err == "\x1b[2mhm\x1b[22m\n\n\x1b[2m(cut by --max-tokens)\x1b[22m\n"


def test_an_error_has_no_escape_codes_of_a_file_or_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("bad\x1b[2J\x1b]0;title\x07 name \u202e\x9b31m: «naïve»\r\n so")
    assert capsys.readouterr().err == "ggufrun: bad?[2J?]0;title? name ??31m: «naïve» so\n"


def test_no_color_means_no_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out, err = ask(Reply(("a",), thinking=("hm", " so"), prompt_tokens=1024), terminal=True)
    assert "\x1b" not in out + err
    assert "[thinking] hm so" in err and "of 1024 tokens" in err


def test_the_json_object() -> None:
    calls = (ToolCallDelta(0, "abcdefghi", "f", '{"a"'), ToolCallDelta(0, "", "", ":1}"))
    out, err = ask(Reply(("ä", "b"), thinking=("hm",), tool_calls=calls, reason="tool_calls"), json_object=True)
    found = json.loads(out)
    assert err == "" and out.count("\n") == 1
    function = {"name": "f", "arguments": '{"a":1}'}
    assert found.pop("timings")["model_steps"] == 3
    assert found == {
        "model": "scripted",
        "text": "äb",
        "thinking": "hm",
        "tool_calls": [{"id": "abcdefghi", "type": "function", "function": function}],
        "finish_reason": "tool_calls",
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }


@pytest.mark.parametrize("reply", [Reply(("half",), error=EngineCrashed("signal 9")), Reply(("half",), reason="error")])
def test_a_broken_answer_is_an_error(reply: Reply) -> None:
    with pytest.raises(EngineError):
        ask(reply)
    with pytest.raises(EngineError):
        ask(reply, json_object=True)


def piped(raw: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(raw))


def test_where_the_prompt_comes_from() -> None:
    err = io.StringIO()
    assert one_prompt(None, Terminal(), err) is None
    assert one_prompt("ask", Terminal(), err) == "ask"
    assert one_prompt("ask", None, err) == "ask"
    assert one_prompt(None, piped("grüß\n\n".encode()), err) == "grüß"
    assert one_prompt("sum up", piped(b"a\nb\n"), err) == "sum up\n\na\nb"
    assert one_prompt("ask", piped(b""), err) == "ask"
    assert err.getvalue() == ""


@pytest.mark.parametrize(("prompt", "stdin"), [("", Terminal()), (" \n", Terminal()), (None, None), ("", piped(b"\n"))])
def test_an_empty_prompt_is_refused(prompt: str | None, stdin: io.TextIOBase | None) -> None:
    with pytest.raises(EmptyPrompt):
        one_prompt(prompt, stdin, io.StringIO())  # type: ignore[arg-type]


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(OptionError, match="Standard input"):
        one_prompt(None, piped(b"\xff\xfe"), io.StringIO())
    with pytest.raises(OptionError, match="PROMPT"):
        one_prompt("a\udcff", Terminal(), io.StringIO())


def test_a_pipe_that_stays_open_is_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piped_input, "PATIENCE_S", 0.01)
    reader, writer = os.pipe()
    threading.Timer(0.2, os.close, (writer,)).start()
    err = io.StringIO()
    with open(reader, encoding="utf-8") as stdin:
        assert one_prompt("ask", stdin, err) == "ask"
    assert "waiting for the end of standard input" in err.getvalue()
