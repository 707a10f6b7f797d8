"""Answers that are too doubtful to be given: by their log-probabilities, their JSON, their tool calls, or by header."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from ggufrun.chat.answer_check import Checkers
from ggufrun.chat.types import (
    AnyRequest,
    ChatEvent,
    ChatOptions,
    Completed,
    Constraint,
    Function,
    Meter,
    TextDelta,
    Tool,
)
from ggufrun.errors import EngineBusy, SchemaNotSatisfied, Unsupported
from ggufrun.remote_errors import RemoteDown, RemoteRejected
from ggufrun.routing.settings import Escalation, RouteSettings
from tests.routing.played import Engine, asked, fleet, reply, said

BY_BOUND = RouteSettings("r", ("small", "hosted"), escalate=Escalation(min_logprob=-1.0))
BY_JSON = RouteSettings("r", ("small", "hosted"), escalate=Escalation(json=True))
BY_TOOLS = RouteSettings("r", ("small", "hosted"), escalate=Escalation(tools=True))
BY_HEADER = RouteSettings("r", ("small", "fast", "hosted"), escalate=Escalation(header=True))
WEATHER = Tool(
    function=Function(
        name="weather",
        parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
)
AGE = Constraint(
    "json_schema", {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]}
)
BETTER = said("better")


async def test_a_sure_answer_is_given_whole() -> None:
    there = fleet(Engine("small", said("a", "b", sure=-0.9), usd=0.25), Engine("hosted", BETTER, usd=1))
    found = await reply(there.route(BY_BOUND))
    assert found.text == "ab" and (found.meter.engine, found.meter.why) == ("small", "first")
    assert there.leased == ["small"] and found.meter.spent_usd == 0.25
    assert isinstance(found.events[-1], Completed) and found.meter.completion_tokens == 2


async def test_a_doubtful_answer_is_thrown_away_and_paid() -> None:
    there = fleet(Engine("small", said("a", "b", "c", sure=-1.82), usd=0.25), Engine("hosted", BETTER, usd=1))
    found = await reply(there.route(BY_BOUND))
    assert (found.text, found.meter.engine) == ("better", "hosted")
    assert found.meter.why == "escalated: mean log-probability -1.82 under -1"
    done = found.events[-1]
    assert isinstance(done, Completed) and done.completion_tokens == found.meter.completion_tokens == 1
    assert found.meter.spent_usd == 1.25 and there.most == 1 and there.engines["small"].closed == 1
    assert (found.meter.prompt_tokens, found.meter.thrown_tokens) == (10, 10 + 3)


async def test_forced_tokens_do_not_count() -> None:
    """Tokens that a schema forces have a log-probability near 0 and would hide the doubt; and the other way round."""
    there = fleet(Engine("small", said("7", sure=-3.0, forced=[0.0] * 9)), Engine("hosted", BETTER))
    assert (await reply(there.route(BY_BOUND))).meter.why == "escalated: mean log-probability -3.00 under -1"
    there = fleet(Engine("small", said("7", sure=-0.5, forced=[-9.0] * 9)), Engine("hosted", BETTER))
    assert (await reply(there.route(BY_BOUND))).meter.why == "first"


async def test_the_client_gets_no_logprobs_that_it_did_not_ask_for() -> None:
    for logprobs, seen in ((None, 0), (2, 1)):
        there = fleet(Engine("small", said("a")), Engine("hosted", BETTER))
        found = await reply(there.route(BY_BOUND), asked(options=ChatOptions(logprobs=logprobs)))
        assert sum(len(event.logprobs) for event in found.events if isinstance(event, TextDelta)) == seen
        assert there.engines["small"].requests[0].options.logprobs == (logprobs or 0)


async def test_the_better_engine_is_asked_as_the_client_asks() -> None:
    there = fleet(Engine("small", said("a", sure=-5)), Engine("hosted", BETTER))
    request = asked()
    await reply(there.route(BY_BOUND), request)
    assert there.engines["hosted"].requests == [request]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"age": 7}', ""),
        ('{"age": -7}', "its JSON breaks the schema"),
        ('{"age": "old"}', "its JSON breaks the schema"),
        ('{"age": ', "its JSON is not valid"),
        ("I am seven.", "its JSON is not valid"),
    ],
)
async def test_json_that_breaks_its_schema_escalates(text: str, words: str) -> None:
    there = fleet(Engine("small", said(text)), Engine("hosted", said('{"age": 8}')))
    found = await reply(there.route(BY_JSON), asked(constraint=AGE))
    assert found.meter.why == (f"escalated: {words}" if words else "first")
    assert found.text == ('{"age": 8}' if words else text)


async def test_json_that_takes_too_long_to_check_is_doubtful() -> None:
    """It would be right: only the time speaks against it."""
    slow = Constraint("json_schema", {"type": "string", "not": {"pattern": "^(a|aa)+$"}})
    there = fleet(Engine("small", said('"' + "a" * 60 + 'b"')), Engine("hosted", said('"b"')))
    route = there.route(BY_JSON)
    assert route._judge is not None
    route._judge._checkers = Checkers(seconds=0.4)
    found = await reply(route, asked(constraint=slow))
    assert found.meter.why == "escalated: its JSON breaks the schema" and found.text == '"b"'


async def test_an_engine_s_own_word_on_its_json_counts() -> None:
    broken = [*said("x")[:2], SchemaNotSatisfied("it is too long", "x", 1)]
    there = fleet(Engine("small", broken), Engine("hosted", said('{"age": 8}')))
    found = await reply(there.route(BY_JSON), asked(constraint=AGE, live=False))
    assert found.meter.why == "escalated: its JSON breaks the schema"
    request = there.engines["small"].requests[0]
    assert getattr(request, "live", False)  # sampling it again is no use: another engine is asked instead
    there = fleet(Engine("small", broken), Engine("hosted", BETTER))
    with pytest.raises(SchemaNotSatisfied):  # who does not escalate by JSON has the error, behind the text
        await reply(there.route(BY_BOUND), asked(constraint=AGE))


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([("weather", '{"city": "Paris"}')], ""),
        ([("wether", '{"city": "Paris"}')], "it calls the unknown tool 'wether'"),
        ([("weather", '{"town": "Paris"}')], "its arguments for weather break the schema"),
        ([("weather", '{"city": "Par')], "its arguments for weather are no object"),
        ([("weather", '["Paris"]')], "its arguments for weather are no object"),
        ([("weather", '{"city": "Paris"}'), ("weather", "{}")], "its arguments for weather break the schema"),
    ],
)
async def test_a_tool_call_that_a_validator_refuses_escalates(calls: list[tuple[str, str]], words: str) -> None:
    there = fleet(Engine("small", said(calls=calls)), Engine("hosted", BETTER))
    found = await reply(there.route(BY_TOOLS), asked(tools=(WEATHER,)))
    assert found.meter.why == (f"escalated: {words}" if words else "first")


async def test_a_call_that_was_forced_and_did_not_come_escalates() -> None:
    there = fleet(Engine("small", said("Sunny.")), Engine("hosted", said(calls=[("weather", '{"city": "Oslo"}')])))
    assert (await reply(there.route(BY_TOOLS), asked(tools=(WEATHER,)))).meter.why == "first"
    found = await reply(there.route(BY_TOOLS), asked(tools=(WEATHER,), tool_choice="any"))
    assert found.meter.why == "escalated: it calls no tool"


async def test_by_header_the_last_engine_is_asked_at_once() -> None:
    there = fleet(*(Engine(name, said(name)) for name in BY_HEADER.engines))
    assert (await reply(there.route(BY_HEADER), asked(escalate=True))).text == "hosted"
    assert there.leased == ["hosted"]
    assert (await reply(there.route(BY_HEADER))).text == "small"
    assert (await reply(there.route(BY_BOUND), asked(escalate=True))).text == "small"  # this one has no header = true


async def test_by_header_the_next_best_answers_where_the_last_is_down() -> None:
    there = fleet(Engine("small", said("a")), Engine("fast", said("b")), Engine("hosted", [RemoteDown("hosted", "x")]))
    found = await reply(there.route(BY_HEADER), asked(escalate=True))
    assert found.text == "b" and found.meter.why == "fallback: hosted is down"


async def test_an_answer_is_judged_at_each_step_but_the_last() -> None:
    route = RouteSettings("r", ("small", "fast", "hosted"), escalate=Escalation(min_logprob=-1))
    engines = (Engine("small", said("a", sure=-2)), Engine("fast", said("b", sure=-1.5)), Engine("hosted", BETTER))
    found = await reply(fleet(*engines).route(route))
    assert found.text == "better"
    assert found.meter.why == "escalated: mean log-probability -2.00 under -1, mean log-probability -1.50 under -1"


async def test_a_doubtful_answer_is_better_than_none() -> None:
    there = fleet(Engine("small", said("a", sure=-2), usd=1), Engine("hosted", [RemoteDown("hosted", "x")]))
    found = await reply(there.route(BY_BOUND))
    assert found.text == "a" and found.meter.engine == "small" and found.meter.completion_tokens == 1
    assert found.meter.why == "kept; escalated: mean log-probability -2.00 under -1; fallback: hosted is down"
    assert (found.meter.spent_usd, found.meter.thrown_tokens) == (1, 0)
    there.engines["hosted"].answer = [RemoteRejected("hosted", "bad field")]  # which the first has understood
    assert (await reply(there.route(BY_BOUND))).meter.why.endswith("; fallback: hosted refuses it")
    there.engines["hosted"].answer = [RemoteDown("hosted", "x")]
    strict = RouteSettings("r", BY_BOUND.engines, fallback=False, escalate=BY_BOUND.escalate)
    with pytest.raises(RemoteDown):
        await reply(there.route(strict))


async def test_an_engine_that_dies_in_a_held_answer_is_passed_over() -> None:
    there = fleet(Engine("small", [*said("a")[:2], EngineBusy(1)]), Engine("hosted", BETTER))
    found = await reply(there.route(BY_BOUND))
    assert found.text == "better" and found.meter.why == "fallback: small is overloaded"


async def test_without_log_probabilities_nothing_is_known(caplog: pytest.LogCaptureFixture) -> None:
    blind = [event if not isinstance(event, TextDelta) else TextDelta(event.text) for event in said("a", sure=-9)]
    there = fleet(Engine("small", blind), Engine("hosted", BETTER))
    route = there.route(BY_BOUND)
    for _ in range(2):
        assert (await reply(route)).meter.why == "first"
    assert caplog.text.count("small gives no log-probabilities") == 1


async def test_an_engine_that_cannot_give_log_probabilities_is_asked_without() -> None:
    class Blind(Engine):
        def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
            self.answer = [*said("a")] if request.options.logprobs is None else [Unsupported("none", "", "logprobs")]
            return super().complete(request, meter)

    there = fleet(Blind("small", ()), Engine("hosted", BETTER))
    assert (await reply(there.route(BY_BOUND))).meter.why == "first"
    found = await reply(there.route(BY_BOUND), asked(options=ChatOptions(logprobs=0)))  # the client wants them
    assert found.meter.why == "fallback: small cannot do it"


async def test_who_leaves_while_an_answer_is_held_ends_it_and_pays() -> None:
    there = fleet(Engine("small", [*said("a")[:2], None], usd=0.5), Engine("hosted", BETTER))
    meter = Meter()
    answer = asyncio.ensure_future(anext(there.route(BY_BOUND).complete(asked(), meter)))
    await there.engines["small"].stuck.wait()
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert (meter.spent_usd, meter.prompt_tokens, meter.completion_tokens) == (0.5, 10, 1)
    assert there.engines["small"].closed == 1 and there.leased == ["small"] and not there.held


async def test_times_of_a_held_answer_are_the_client_s() -> None:
    """It sees the first token when the last one is there, whatever the engine says of its own."""

    class Slow(Engine):
        async def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
            async with aclosing(super().complete(request, meter)) as events:
                async for event in events:
                    await asyncio.sleep(0.05)
                    yield event

    there = fleet(Slow("small", said("a")), Engine("hosted", BETTER))
    found = await reply(there.route(BY_BOUND))
    done = found.events[-1]
    assert isinstance(done, Completed) and found.meter.ttft_s == done.ttft_s
    assert 0.1 < done.ttft_s <= done.total_s
