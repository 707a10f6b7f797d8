"""Answers that are checked when they are finished: sampled again, refused, counted. The check is the real one."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ggufrun.chat.answer_check import AnswerCheck, Checker, CheckTimeout
from ggufrun.chat.checked import ATTEMPTS, WARMER
from ggufrun.chat.compile import Compiler
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
from ggufrun.engine.types import FinishReason
from ggufrun.errors import BudgetTooSmall, SchemaNotSatisfied
from tests.chat.local_model import INFO, FakeEncoder
from tests.fakes import FakeService, FakeVocabulary, Script

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
    model, _ = chat(COMPLETE, says("[1, "))  # a stop string, which was asked for
    assert texts(await read(model, ask())) == {0: "[1, "}


HOSTILE = {"type": "string", "pattern": "^(a|a)*(?!x)b$"}


async def test_a_hostile_pattern_is_given_up_and_nothing_waits_for_it() -> None:
    checker = Checker(AnswerCheck(json.dumps(HOSTILE)), seconds=0.4)
    try:
        assert await checker.wrong('"aab"') == ""
        started, turns = time.monotonic(), 0
        working = asyncio.create_task(checker.wrong(json.dumps("a" * 60)))
        while not working.done() and turns < 500:
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(CheckTimeout, match=r"more than 0\.4 s"):
            await working
        assert turns > 10 and time.monotonic() - started < 4
    finally:
        await checker.close()


async def test_the_check_ends_with_the_request() -> None:
    model, _ = chat(UNIQUE, (tuple(b"[1"), None))
    events = model.complete(ask(live=True))
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await asyncio.wait_for(events.aclose(), 20)
    checker = Checker(UNIQUE)
    assert await checker.wrong("[1, 1]")
    process = await checker._starting if checker._starting else None
    await checker.close()
    assert process is not None and process.returncode is not None


async def test_references_are_not_fetched_and_pointers_are_told() -> None:
    schema = {"properties": {"a": {"items": {"not": {"pattern": "x"}}}, "b": {"$ref": "http://127.0.0.1:9/x"}}}
    checker = Checker(AnswerCheck(json.dumps(schema)))
    try:
        assert await checker.wrong('{"a": ["y"]}') == ""
        assert "/a/0" in await checker.wrong('{"a": ["x"]}')
        assert "could not be checked" in await checker.wrong('{"b": 1}')
        assert await checker.wrong("[1") == "it is not complete JSON"
    finally:
        await checker.close()


async def test_decimals_are_compared_as_they_are_written() -> None:
    checker = Checker(AnswerCheck('{"multipleOf": 0.0001, "not": {"const": 1e500}}'))
    try:
        assert [await checker.wrong(text) for text in ("8500.8118", "0.3", "1e3")] == ["", "", ""]
        assert await checker.wrong("0.00015")
    finally:
        await checker.close()
