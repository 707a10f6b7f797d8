"""Answers that are checked when they are finished: sampled again, refused, counted. The check is the real one."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ggufrun.chat.answer_check import AnswerCheck
from ggufrun.chat.checked import ATTEMPTS
from ggufrun.chat.compile import WARMER, Compiler
from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.local import LocalChatModel
from ggufrun.chat.types import (
    ChatEvent,
    ChatOptions,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Constraint,
    Message,
    Meter,
    TextDelta,
)
from ggufrun.engine.types import Finished, FinishReason, GenerationRequest, PromptProgress, Stats
from ggufrun.errors import BudgetTooSmall, EngineBusy, GgufrunError, SchemaNotSatisfied
from ggufrun.remote_errors import RemoteBusy
from tests.chat.local_model import INFO, FakeEncoder
from tests.fakes import FakeGeneration, FakeService, FakeVocabulary, Script

pytestmark = pytest.mark.process

UNIQUE = AnswerCheck(json.dumps({"type": "array", "uniqueItems": True}))
COMPLETE = AnswerCheck()
STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH


def says(text: str, end: FinishReason = STOP) -> Script:
    return (tuple(text.encode()), end)


def chat(check: AnswerCheck, *scripts: Script) -> tuple[LocalChatModel, FakeService]:
    vocabulary, service = FakeVocabulary(), FakeService(*scripts)
    compiler = Compiler(vocabulary, FakeEncoder(), lambda *_: None, service.context, None, lambda _: check)
    return LocalChatModel(INFO, vocabulary, compiler, service), service


def ask(*, live: bool = False, **options: Any) -> ChatRequest:
    return ChatRequest((Message(role="user", content="go"),), ChatOptions(**options), live=live)


async def read(model: LocalChatModel, request: ChatRequest, meter: Meter | None = None) -> list[ChatEvent]:
    async with asyncio.timeout(60):
        return [event async for event in model.complete(request, meter)]


def texts(events: Sequence[ChatEvent]) -> dict[int, str]:
    found: dict[int, str] = {}
    for event in events:
        if isinstance(event, TextDelta):
            found[event.choice] = found.get(event.choice, "") + event.text
    return found


async def test_a_bad_answer_is_sampled_again_and_never_shown() -> None:
    model, service = chat(UNIQUE, says("[1, 1]"), says("[2, 2.0]"), says("[1, 2]"))
    meter = Meter()
    events = await read(model, ask(seed=7, temperature=0), meter)
    assert texts(events) == {0: "[1, 2]"}
    assert [each.sampling.seed for each in service.requests] == [7, 8, 9]
    assert [each.sampling.temperature for each in service.requests] == [0, WARMER, WARMER]
    assert isinstance(events[-1], Completed)
    assert events[-1].completion_tokens == meter.completion_tokens == 6 + 8 + 6
    assert events[-1].prompt_tokens == meter.prompt_tokens == 2
    assert events[-1].stats[0].completion_tokens == 6
    assert meter.ttft_s == events[-1].ttft_s  # the first attempt's
    assert sum(isinstance(event, ChoiceFinished) for event in events) == 1


async def test_it_is_given_up_after_three() -> None:
    model, service = chat(UNIQUE, says("[1, 1]"))
    meter = Meter()
    with pytest.raises(SchemaNotSatisfied, match=r"None of 3 answers matches.*non-unique") as caught:
        await read(model, ask(), meter)
    assert (caught.value.text, caught.value.attempts) == ("[1, 1]", ATTEMPTS)
    assert len(service.requests) == ATTEMPTS and meter.completion_tokens == 18


async def test_only_the_choices_that_were_bad_are_sampled_again() -> None:
    model, service = chat(UNIQUE, says("[0]"), says("[1, 1]"), says("[2]"), says("[3, 4]"))
    events = await read(model, ask(n=3, seed=1))
    assert texts(events) == {0: "[0]", 1: "[3, 4]", 2: "[2]"}
    assert [each.sampling.seed for each in service.requests] == [1, 2, 3, 4]
    assert [event.choice for event in events if isinstance(event, ChoiceFinished)] == [0, 1, 2]
    assert isinstance(events[-1], Completed) and len(events[-1].stats) == len(events[-1].reasons) == 3
    assert events[-1].completion_tokens == 3 + 6 + 3 + 6


async def test_an_answer_that_is_shown_as_it_comes_ends_with_the_error() -> None:
    model, service = chat(UNIQUE, says("[1, 1]"))
    seen: list[ChatEvent] = []
    with pytest.raises(SchemaNotSatisfied, match="The answer does not match") as caught:
        async for event in model.complete(ask(live=True)):
            seen += [event]
    assert texts(seen) == {0: "[1, 1]"} and caught.value.text == "[1, 1]"
    assert not any(isinstance(event, ChoiceFinished | Completed) for event in seen)
    assert len(service.requests) == 1
    model, _ = chat(UNIQUE, says("[1, 2]"))
    assert texts(await read(model, ask(live=True))) == {0: "[1, 2]"}


@pytest.mark.parametrize("strict", [True, False])
def test_a_budget_under_the_shortest_answer_is_refused_with_the_number(strict: bool) -> None:
    schema: dict[str, Any] = {"type": "array", "prefixItems": [{"const": "a long one"}], "minItems": 1}
    if not strict:
        schema["uniqueItems"] = True
    factory = GrammarFactory(FakeVocabulary())
    compiler = Compiler(FakeVocabulary(), FakeEncoder(), factory, 4096, None, factory.check)
    constraint = Constraint("json_schema", schema=schema, strict=strict)
    with pytest.raises(BudgetTooSmall) as caught:
        compiler.compile(replace(ask(max_tokens=5), constraint=constraint))
    assert caught.value.needed == len('["a long one"]')
    compiled = compiler.compile(replace(ask(max_tokens=caught.value.needed), constraint=constraint))
    assert compiled.check == AnswerCheck(None if strict else json.dumps(schema))


async def test_what_the_budget_cut_is_no_success_either() -> None:
    for check, message in ((COMPLETE, "cut off"), (UNIQUE, "not complete JSON")):
        model, _ = chat(check, says("[1, ", LENGTH))
        with pytest.raises(SchemaNotSatisfied, match=message):
            await read(model, ask(live=True))
    model, service = chat(COMPLETE, says("[1, ", LENGTH), says("[1]", LENGTH))
    assert texts(await read(model, ask())) == {0: "[1]"} and len(service.requests) == 2


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("check", [COMPLETE, UNIQUE])
async def test_what_a_stop_string_cut_is_no_success_either(check: AnswerCheck, live: bool) -> None:
    model, _ = chat(check, says("[1, 2]"))
    with pytest.raises(SchemaNotSatisfied, match=r"the stop string ', ' cut it\. Ask without stop\.") as caught:
        await read(model, ask(live=live, stop=(", ",)))
    assert caught.value.text == "[1"
    model, _ = chat(check, says("[1, 2]; that is all"))  # behind the answer, it cuts nothing of it
    assert texts(await read(model, ask(live=live, stop=(";",)))) == {0: "[1, 2]"}
    model, _ = chat(check, says("123"))  # what is left of a number looks complete
    with pytest.raises(SchemaNotSatisfied, match="cut it"):
        await read(model, ask(live=live, stop=("3",)))


@pytest.mark.parametrize("busy", [EngineBusy(64), RemoteBusy("fast", 3)], ids=["here", "elsewhere"])
async def test_a_full_queue_does_not_hide_the_answers_that_were_made(busy: GgufrunError) -> None:
    model, service = chat(UNIQUE, says("[1, 1]"))
    taken = service.submit

    def submit(request: GenerationRequest) -> FakeGeneration:
        if len(service.generations) == 2:
            raise busy
        return taken(request)

    service.submit = submit  # type: ignore[method-assign]
    with pytest.raises(SchemaNotSatisfied, match="None of 2 answers") as caught:
        await read(model, ask())
    assert caught.value.attempts == 2 and caught.value.__cause__ is busy
    with pytest.raises(type(busy)):  # nothing has been made here
        await read(model, ask())


async def test_cached_tokens_are_those_that_the_first_attempt_found() -> None:
    def found(cached: int, text: str) -> Script:
        return (
            PromptProgress(0, 2, 2, cached),
            tuple(text.encode()),
            Finished(0, STOP, Stats(2, len(text), cached, restored_tokens=cached)),
        )

    model, _ = chat(UNIQUE, found(0, "[1, 1]"), found(1, "[2]"), found(2, "[3, 3]"), found(2, "[4]"))
    meter = Meter()
    done = (await read(model, ask(n=2), meter))[-1]
    assert isinstance(done, Completed) and [each.cached_tokens for each in done.stats] == [0, 1]
    meter = Meter()
    model, _ = chat(UNIQUE, found(0, "[1, 1]"), found(2, "[2]"))
    done = (await read(model, ask(), meter))[-1]
    assert isinstance(done, Completed) and (done.stats[0].cached_tokens, done.stats[0].restored_tokens) == (0, 0)
    assert meter.cached_tokens == 0


@pytest.mark.parametrize("script", [says("[1"), (tuple(b"[1"), None)])
async def test_leaving_at_any_moment_is_leaving(script: Script) -> None:
    """A cancelled task ends as cancelled, wherever the check stands, and leaves no process."""

    async def answer() -> None:
        model, _ = chat(AnswerCheck(json.dumps({"uniqueItems": True})), script)
        events = model.complete(ask(live=True))
        async for event in events:
            if isinstance(event, TextDelta) and script[-1] is None:
                break
        await events.aclose()
        await asyncio.sleep(60)

    for delay in (0.0, 0.002, 0.004, 0.006, 0.01, 0.02, 0.04, 0.06):
        task = asyncio.create_task(answer())
        await asyncio.sleep(delay)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=60)
        assert done and (task.cancelled() or isinstance(task.exception(), SchemaNotSatisfied))
