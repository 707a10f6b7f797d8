"""The chat loop in this process: a pipe types, a scripted model answers."""

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from ggufrun.chat.types import AnswerSettings, ChatOptions
from ggufrun.errors import EngineCrashed, PromptTooLong
from ggufrun.terminal.chat import Chat
from ggufrun.terminal.prompt import InputLine
from ggufrun.terminal.session import Session
from tests.terminal.scripted import Reply, ScriptedModel

ALT_ENTER = "\x1b\r"


@dataclass
class Talk:
    model: ScriptedModel
    session: Session
    shown: str

    def asked(self, turn: int) -> list[str]:
        return [f"{m.role[0]}:{m.content}" for m in self.model.requests[turn].messages]


async def talk(typed: str, *replies: Reply, session: Session | None = None, history: Path | None = None) -> Talk:
    """Type everything, leave, and say what happened."""
    model, session, out = ScriptedModel(list(replies) or [Reply()]), session or Session("scripted"), io.StringIO()
    with create_pipe_input() as keys:
        keys.send_text(typed + "\r/exit\r")
        await Chat(model, session, InputLine(history, keys, DummyOutput()), out).run()
    return Talk(model, session, out.getvalue())


async def test_the_conversation_grows_and_each_answer_says_its_cost() -> None:
    done = await talk("one\rtwo", Reply(("first", " answer")), Reply(("second",)))
    assert done.asked(1) == ["u:one", "a:first answer", "u:two"]
    assert "first answer\n2 tokens · 2.0 tok/s · TTFT 0.25 s · context 15/100 · 4 cached\n" in done.shown
    assert "\x1b" not in done.shown


async def test_several_lines_by_alt_enter_and_by_paste() -> None:
    done = await talk(f"a{ALT_ENTER}b\r\x1b[200~c\nd\x1b[201~")
    assert done.asked(0) == ["u:a\nb"]
    assert done.asked(1)[-1] == "u:c\nd"


async def test_a_space_sends_a_slash_and_blank_lines_send_nothing() -> None:
    done = await talk("\r  \r /usr is what?")
    assert done.asked(0) == ["u:/usr is what?"]
    assert len(done.model.requests) == 1


async def test_system_and_set_hold_for_the_next_request() -> None:
    done = await talk("/system be kind\r/set temperature 0.3\r/set top-k 5\rhi\r/system none\r/set\rho")
    assert done.asked(0) == ["s:be kind", "u:hi"]
    assert done.asked(1)[0] == "u:hi"
    assert done.model.requests[0].options == ChatOptions(temperature=0.3, top_k=5)
    assert "temperature = 0.3" in done.shown and "seed = default" in done.shown


async def test_the_models_settings_hold_and_are_shown_until_the_user_says_otherwise() -> None:
    defaults = AnswerSettings(temperature=0, seed=7, stop=("END",), system="be brief")
    typed = "/system\r/set\rhi\r/retry\r/system none\r/system\rho\r/system be kind\r/system\rhey"
    done = await talk(typed, session=Session("scripted", defaults=defaults))
    assert [done.asked(turn)[0] for turn in (0, 2, 3)] == ["u:hi", "u:hi", "s:be kind"]
    assert [request.default_system for request in done.model.requests] == [True, True, False, False]
    for line in (
        "System prompt by default: be brief\n",
        "temperature = 0 by default  (",
        "seed = 7 by default  (",
        "stop = ['END'] by default  (",
        "max_tokens = default  (",
        "may be the same",
        "There is no system prompt.\n",
        "System prompt: be kind\n",
    ):
        assert line in done.shown


async def test_stop_strings_of_the_settings_can_be_taken_back(tmp_path: Path) -> None:
    path, defaults = tmp_path / "t.json", AnswerSettings(stop=("END",))
    typed = f"hi\r/set stop none\r/set\rho\r/save {path}\r/set stop default\rhey\r/load {path}\rho"
    done = await talk(typed, session=Session("scripted", defaults=defaults))
    assert [request.options.stop for request in done.model.requests] == [None, (), None, ()]
    assert done.shown.count("Settings: stop = none\n") == 2
    assert "stop = none  (one or more strings; /set stop none: no strings)\n" in done.shown


@pytest.mark.parametrize(
    ("own", "said", "shown"),
    [
        (None, [], "System prompt by default: the file's"),
        ("the command line's", ["s:the command line's"], "System prompt: the command line's"),
        ("", [], "There is no system prompt."),
    ],
)
async def test_system_default_is_what_the_chat_began_with(own: str | None, said: list[str], shown: str) -> None:
    session = Session("scripted", system=own, defaults=AnswerSettings(system="the file's"))
    done = await talk("/system be kind\rhi\r/system default\rho\r/system none\r/system default\rhey", session=session)
    assert done.asked(0)[0] == "s:be kind"
    assert [text for text in done.asked(2) if text[0] == "s"] == said
    assert [request.default_system for request in done.model.requests] == [False, own is None, own is None]
    assert done.shown.count(f"as at the start. {shown}\n") == 2


async def test_help_names_what_takes_back() -> None:
    shown = (await talk("/help")).shown
    assert "default: as at the start" in shown and "default: take it back" in shown and "/set stop none" in shown


async def test_mistakes_are_one_line_each_and_the_chat_goes_on() -> None:
    done = await talk("/sytem x\r/set temprature 1\r/set temperature\r/set temperature hot\r/load\r/save\r/retry\rhi")
    for hint in (
        "Did you mean /system",
        "Did you mean temperature",
        "needs a value",
        "temperature cannot be 'hot'. It takes a number from 0 to 2.",
        "/load needs a file name",
        "/save needs a file name",
        "no answer to retry",
    ):
        assert hint in done.shown
    assert done.asked(0) == ["u:hi"]


async def test_retry_asks_the_same_again_with_new_seeds() -> None:
    done = await talk("hi\r/retry\r/retry\rnext", Reply(("one",)), Reply(("two",)), Reply(("three",)))
    assert done.asked(1) == done.asked(2) == ["u:hi"]
    seeds = [request.options.seed for request in done.model.requests]
    assert seeds[0] is None and seeds[3] is None
    assert None not in seeds[1:3] and seeds[1] != seeds[2]
    assert done.asked(3) == ["u:hi", "a:three", "u:next"]


async def test_retry_at_temperature_0_says_that_it_may_not_help() -> None:
    done = await talk("/set temperature 0\rhi\r/retry")
    assert "may be the same" in done.shown


async def test_clear_keeps_system_and_settings() -> None:
    done = await talk("/system s\r/set seed 7\rhi\r/clear\rho")
    assert done.asked(1) == ["s:s", "u:ho"]
    assert done.model.requests[1].options.seed == 7


async def test_save_and_load_roundtrip(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    first = await talk(f"/set temperature 1\rhi\r/save {path}", Reply(("ho",)))
    assert "Saved 2 messages" in first.shown
    second = await talk(f"/load {path}\rmore", session=Session("other"))
    assert second.asked(0) == ["u:hi", "a:ho", "u:more"]
    assert second.model.requests[0].options.temperature == 1
    assert "written with scripted" in second.shown


async def test_a_prompt_that_is_too_long_comes_back_for_editing() -> None:
    # The draft is on the line again: Enter alone sends it a second time.
    done = await talk("first\rlong one\r", Reply(("ok",)), Reply(refusal=PromptTooLong(200, 100)), Reply(("fits",)))
    assert "200 tokens" in done.shown and "/clear" in done.shown
    assert done.asked(2) == ["u:first", "a:ok", "u:long one"]
    assert [m.content for m in done.session.messages] == ["first", "ok", "long one", "fits"]


async def test_a_crash_is_one_line_and_the_message_comes_back() -> None:
    done = await talk("hi\r", Reply(("half",), error=EngineCrashed("signal 9")), Reply(("whole",)))
    assert "signal 9" in done.shown
    assert done.asked(1) == ["u:hi"]
    assert done.session.messages[-1].content == "whole"


async def test_a_full_context_is_announced_and_a_cut_is_named() -> None:
    done = await talk("hi", Reply(used=80, reason="model_length"))
    assert "fills 80% of the context" in done.shown and "cut by the context" in done.shown
    assert "fills" not in (await talk("hi", Reply(used=79))).shown


async def test_thinking_is_marked_and_kept_apart(tmp_path: Path) -> None:
    done = await talk("hi\rho", Reply(("text",), thinking=("hm",)))
    assert done.model.requests[1].messages[1].content == "text"
    assert done.model.requests[1].messages[1].reasoning_content == "hm"


async def test_history_lasts(tmp_path: Path) -> None:
    path = tmp_path / "data" / "history"
    await talk("remember me", history=path)
    done = await talk("\x1b[A\x1b[A", history=path)  # Up: /exit, then the message
    assert done.asked(0) == ["u:remember me"]
    assert path.stat().st_mode & 0o077 == 0


async def test_a_history_that_cannot_be_kept_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert (await talk("hi", history=tmp_path / "file" / "history")).asked(0) == ["u:hi"]


def completions(text: str) -> list[str]:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from ggufrun.terminal.prompt import CommandCompleter

    return [c.text for c in CommandCompleter().get_completions(Document(text), CompleteEvent())]


def test_tab_completes(tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text("")
    assert completions("/s") == ["/system", "/set", "/save"]
    assert completions("/set t") == ["temperature", "top_p", "top_k"]
    assert completions("/set reasoning_effort m") == ["minimal", "medium", "max"]
    assert completions("/set stop ") == ["none", "default"]
    assert completions("/set seed ") == ["default"]
    assert completions("/system d") == ["default"]
    assert completions(f"/load {tmp_path}/ta") == ["lk.json"]
    assert completions("hello /s") == []


async def test_ctrl_c_between_two_lines_counts_for_the_next() -> None:
    with create_pipe_input() as keys:
        line = InputLine(None, keys, DummyOutput())
        line.interrupt()
        keys.send_text("hi\r")
        assert await line.read("draft") == "hi"  # the draft is gone, as Ctrl-C on the line would have it
        line.interrupt()
        keys.send_text("\x03")
        assert await line.read() is None
