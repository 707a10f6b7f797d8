"""The local chat model over a scripted engine: what events come, when generations are cancelled, what errors do."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from ggufrun.chat import local
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import (
    ChatEvent,
    ChatModel,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Function,
    Logprob,
    PromptProcessed,
    Started,
    TextDelta,
    ThinkingDelta,
    Tool,
    ToolCallDelta,
)
from ggufrun.engine.types import Failed, FinishReason, GenerationRequest, PromptProgress, TokenLogprob, Tokens
from ggufrun.errors import EngineBusy, EngineCrashed, EngineError, PromptTooLong, RequestError
from tests.chat.local_model import ask, events_of, model
from tests.fakes import FakeGeneration, FakeService, FakeVocabulary

STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH
VOCABULARY = FakeVocabulary()
PLAIN = OutputStyle()
MISTRAL = OutputStyle("tokens", False, "mistral", VOCABULARY.special)
TOOLS = (Tool(function=Function(name="f")),)


def words(text: str) -> Iterator[tuple[int, ...]]:
    """A Tokens event for each word with the space behind it."""
    for word in text.split(" "):
        yield tuple(VOCABULARY.tokenize(word + " ", special=True))


def text_of(events: list[ChatEvent], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)


def last(events: list[ChatEvent]) -> Completed:
    assert isinstance(events[-1], Completed)
    return events[-1]


async def test_a_whole_answer() -> None:
    service = FakeService([PromptProgress(1, 3, 5, 2), (72,), (105, 33), STOP])
    chat: ChatModel = model(service)
    before = time.perf_counter()
    events = [event async for event in chat.complete(ask("hello"))]
    assert events[:-1] == [
        Started(5, 4096),
        PromptProcessed(3, 5, 2),
        TextDelta("H"),
        TextDelta("i!"),
        ChoiceFinished("stop"),
    ]
    end = last(events)
    assert (end.prompt_tokens, end.completion_tokens, end.context_used, end.context) == (5, 3, 8, 4096)
    assert 0 < end.ttft_s <= end.total_s <= time.perf_counter() - before
    assert end.reasons == (STOP,)


@pytest.mark.parametrize(
    ("reason", "end"), [(STOP, "stop"), (LENGTH, "length"), (FinishReason.CONTEXT, "model_length")]
)
async def test_finish_reasons(reason: FinishReason, end: str) -> None:
    events = await events_of(model(FakeService([(72,), reason])), ask())
    assert [event.reason for event in events if isinstance(event, ChoiceFinished)] == [end]
    assert last(events).reasons == (reason,)


async def test_an_answer_of_no_tokens() -> None:
    events = await events_of(model(FakeService([STOP])), ask())
    assert [type(event) for event in events] == [Started, ChoiceFinished, Completed]
    assert last(events).ttft_s <= last(events).total_s


async def test_calls_and_thinking() -> None:
    answer = tuple(VOCABULARY.tokenize("[THINK]a[/THINK]b[TOOL_CALLS]f[ARGS]{}", special=True))
    events = await events_of(model(FakeService([answer, STOP]), style=MISTRAL), ask(tools=TOOLS))
    thinking, text, call, finished = events[1:-1]
    assert (thinking, text) == (ThinkingDelta("a", closed=True), TextDelta("b"))
    assert isinstance(call, ToolCallDelta)
    assert (call.index, call.name, call.arguments, len(call.id)) == (0, "f", "{}", 9)
    assert finished == ChoiceFinished("tool_calls")


async def test_a_call_that_the_budget_cuts_ends_with_length() -> None:
    answer = tuple(VOCABULARY.tokenize('[TOOL_CALLS]f[ARGS]{"a', special=True))
    events = await events_of(model(FakeService([answer, LENGTH]), style=MISTRAL), ask(tools=TOOLS))
    assert events[-2] == ChoiceFinished("length")


async def test_the_prefix_comes_first_and_its_space_once() -> None:
    service = FakeService([*words(" there"), STOP])
    events = await events_of(model(service, prefix="Hello ", prefix_spaces=1), ask())
    assert events[1] == TextDelta("Hello ")
    assert text_of(events) == "Hello there "


async def test_a_stop_string_cancels_and_takes_the_statistics() -> None:
    service = FakeService([*words("one two END three four"), STOP])
    events = await events_of(model(service), ask(stop=("END",)))
    assert text_of(events) == "one two "
    assert service.generations[0].cancelled
    end = last(events)
    assert events[-2] == ChoiceFinished("stop", stop="END")
    assert end.reasons == (STOP,)
    assert end.completion_tokens == len("one two END ") == end.stats[0].completion_tokens


async def test_held_text_is_released_at_the_end() -> None:
    events = await events_of(model(FakeService([*words("the EN"), STOP])), ask(stop=(" END",)))
    assert text_of(events) == "the EN "


async def test_an_engine_that_does_not_answer_a_cancel_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "DRAIN_S", 0.05)

    class Deaf(FakeService):
        def submit(self, request: GenerationRequest) -> FakeGeneration:
            generation = super().submit(request)
            monkeypatch.setattr(generation, "cancel", lambda: None)
            return generation

    events = await events_of(model(Deaf([(88,), (89,), None])), ask(stop=("Y",)))
    assert text_of(events) == "X"
    assert (last(events).stats[0].completion_tokens, last(events).completion_tokens) == (2, 2)


async def test_a_single_call_cancels_what_follows() -> None:
    two = "[TOOL_CALLS]f[ARGS]{} [TOOL_CALLS]f[ARGS]{}"
    service = FakeService([*words(two), STOP])
    request = ask(tools=TOOLS)
    single = ChatRequest(request.messages, tools=request.tools, parallel_tool_calls=False)
    events = await events_of(model(service, style=MISTRAL), single)
    assert [event.index for event in events if isinstance(event, ToolCallDelta)] == [0]
    assert events[-2] == ChoiceFinished("tool_calls")
    assert service.generations[0].cancelled


async def test_choices_are_seeded_and_numbered() -> None:
    service = FakeService([*words("a b c"), STOP], [*words("d END e"), STOP], [(65,), LENGTH])
    events = await events_of(model(service), ask(n=3, seed=5, stop=("END",)))
    assert [request.sampling.seed for request in service.requests] == [5, 6, 7]
    assert len({request.id for request in service.requests}) == 3
    assert [text_of(events, choice) for choice in range(3)] == ["a b c ", "d ", "A"]
    finished = {event.choice: event.reason for event in events if isinstance(event, ChoiceFinished)}
    assert finished == {0: "stop", 1: "stop", 2: "length"}
    end = last(events)
    assert end.completion_tokens == 6 + 6 + 1
    assert (len(end.stats), end.reasons, end.context_used) == (3, (STOP, STOP, LENGTH), 5 + 6)
    assert sum(isinstance(event, Started) for event in events) == 1


async def test_progress_is_told_once_for_all_choices() -> None:
    service = FakeService([PromptProgress(1, 3, 5, 0), (65,), STOP])
    events = await events_of(model(service), ask(n=2))
    assert events.count(PromptProcessed(3, 5, 0)) == 1


@pytest.mark.parametrize("n", [1, 2])
async def test_closing_the_iterator_cancels_everything(n: int) -> None:
    service = FakeService([(65,), None])
    stream = model(service).complete(ask(n=n))
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    await stream.aclose()
    assert [generation.cancelled for generation in service.generations] == [True] * n
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("n", [1, 2])
async def test_cancelling_the_reader_cancels_everything(n: int) -> None:
    service = FakeService([(65,), None])
    begun = asyncio.Event()

    async def read() -> None:
        async for event in model(service).complete(ask(n=n)):
            if isinstance(event, TextDelta) and event.choice == n - 1:
                begun.set()

    reader = asyncio.create_task(read())
    await begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert [generation.cancelled for generation in service.generations] == [True] * n
    assert len(asyncio.all_tasks()) == 1


async def test_the_first_event_may_be_read_in_another_task() -> None:
    stream = model(FakeService([*words("a END"), STOP])).complete(ask(stop=("END",)))
    first = await asyncio.create_task(anext(stream))
    assert isinstance(first, Started)
    rest = await asyncio.create_task(_rest(stream))
    assert text_of(rest) == "a "


async def _rest(stream: AsyncIterator[ChatEvent]) -> list[ChatEvent]:
    return [event async for event in stream]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(
    ("step", "kind", "message"),
    [
        (Failed(0, "out of luck"), EngineError, "out of luck"),
        (EngineCrashed("signal 9"), EngineCrashed, "signal 9"),
        (FinishReason.CANCELLED, EngineError, "cancelled"),
    ],
)
async def test_an_engine_error_comes_after_what_was_written(
    n: int, step: Failed | EngineError | FinishReason, kind: type[EngineError], message: str
) -> None:
    service = FakeService([*words("so far"), step], [*words("other"), None])
    events: list[ChatEvent] = []
    with pytest.raises(kind, match=message):
        async for event in model(service).complete(ask(n=n)):
            events.append(event)  # noqa: PERF401
    assert text_of(events) == "so far "
    assert not any(isinstance(event, Completed) for event in events)
    assert all(generation.cancelled for generation in service.generations)
    assert len(asyncio.all_tasks()) == 1


async def test_held_text_is_out_before_a_failure() -> None:
    service = FakeService([*words("an E"), Failed(0, "no")])
    events: list[ChatEvent] = []
    with pytest.raises(EngineError, match="no"):
        async for event in model(service).complete(ask(stop=("E END",))):
            events.append(event)  # noqa: PERF401
    assert text_of(events) == "an E "


async def test_an_engine_that_says_nothing_at_the_end() -> None:
    with pytest.raises(EngineError, match="without a result"):
        await events_of(model(FakeService([(65,)])), ask())


async def test_a_request_error_comes_before_anything_is_submitted() -> None:
    service = FakeService([STOP], context=16)
    for request, kind in ((ask("x" * 16), PromptTooLong), (ask(top_p=0.0), RequestError)):
        with pytest.raises(kind):
            await anext(model(service).complete(request))
    assert service.requests == []


async def test_a_full_queue_at_the_second_choice_takes_back_the_first() -> None:
    class Full(FakeService):
        def submit(self, request: GenerationRequest) -> FakeGeneration:
            if self.generations:
                raise EngineBusy(9)
            return super().submit(request)

    service = Full([STOP])
    with pytest.raises(EngineBusy):
        await events_of(model(service), ask(n=2))
    assert service.generations[0].cancelled


async def test_compiling_leaves_the_event_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = model(FakeService([STOP]))
    threads: list[int] = []
    for name in ("compile", "tokens"):
        inner = getattr(chat._compiler, name)

        def watched(request: ChatRequest, inner: Callable[[ChatRequest], object] = inner) -> object:
            threads.append(threading.get_ident())
            return inner(request)

        monkeypatch.setattr(chat._compiler, name, watched)
    await events_of(chat, ask())
    assert await chat.count_tokens(ask("12345")) == 5
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_close_is_passed_on_once() -> None:
    closed: list[int] = []

    async def on_close() -> None:
        closed.append(1)

    chat = model(FakeService([STOP]))
    chat._on_close = on_close
    await chat.close()
    await chat.close()
    assert closed == [1]


def scored(text: str) -> list[Tokens]:
    """A Tokens event for each byte, with logprobs -0, -1, -2, …"""
    raw = text.encode()
    return [Tokens(0, (b,), (TokenLogprob(b, -float(at), ((b, -float(at)), (65, -9.0))),)) for at, b in enumerate(raw)]


async def logprobs_of(text: str, style: OutputStyle = PLAIN, **options: Any) -> list[Logprob]:
    events = await events_of(model(FakeService([*scored(text), STOP]), style=style), ask(logprobs=2, **options))
    assert all(event.text or event.logprobs for event in events if isinstance(event, TextDelta))
    return [each for event in events if isinstance(event, TextDelta) for each in event.logprobs]


async def test_logprobs_come_with_their_text() -> None:
    one, two, *_ = await logprobs_of("aé")
    assert one == Logprob("a", 97, b"a", 0.0, (Logprob("a", 97, b"a", 0.0), Logprob("A", 65, b"A", -9.0)))
    assert (two.token, two.raw, two.logprob) == ("\ufffd", b"\xc3", -1.0)
    assert b"".join(each.raw for each in await logprobs_of("aé𝄞x")) == "aé𝄞x".encode()


async def test_logprobs_of_cut_text_and_of_thinking_are_left_out() -> None:
    assert b"".join(each.raw for each in await logprobs_of("a ENxEND b", stop=("END",))) == b"a ENx"
    assert b"".join(each.raw for each in await logprobs_of("a EN", stop=("END",))) == b"a EN"
    assert b"".join(each.raw for each in await logprobs_of("<think>a</think>b", OutputStyle("markers"))) == b"b"
    assert b"".join(each.raw for each in await logprobs_of("<thin>", OutputStyle("markers"))) == b"<thin>"


async def test_logprobs_of_several_tokens_in_one_event() -> None:
    events = [event for part in ("ab", "c") for event in scored(part)]
    joined = Tokens(0, (97, 98), events[0].logprobs + events[1].logprobs)
    got = await events_of(model(FakeService([joined, STOP])), ask(logprobs=2))
    (delta,) = [event for event in got if isinstance(event, TextDelta)]
    assert (delta.text, [each.token for each in delta.logprobs]) == ("ab", ["a", "b"])
