"""A route's shadow: what it answers again, what it keeps and spends of that, and that it is in nobody's way."""

import asyncio
import threading
from dataclasses import replace

import pytest

from ggufrun.chat.types import ChatOptions, TextDelta, TextRequest
from ggufrun.errors import CannotLoad, EngineBusy, EngineCrashed, OptionError, SchemaNotSatisfied
from ggufrun.routing import shadow as room
from tests.routing.shadowed import PRICE, Engine, World, answered, events, request, until_idle


async def test_the_same_request_is_answered_again_and_both_are_kept() -> None:
    world = World(Engine([events("Hello you")]))
    shadow = world.shadow()
    asked = replace(request("Say hello", temperature=0.0), escalate=True)
    asked = replace(asked, options=replace(asked.options, logprobs=3))
    assert shadow.wants(asked)
    shadow.answered(asked, answered("Hello there"))
    assert not world.kept and not world.engine.requests  # nobody has waited for it
    await until_idle(shadow)
    (pair,) = world.kept
    assert (pair.route, pair.question, pair.agreement, pair.temperature) == ("route", "Say hello", "different", 0.0)
    assert (pair.real.engine, pair.real.text, pair.real.finish_reason) == ("real", "Hello there", "stop")
    assert (pair.real.ttft_s, pair.real.total_s, pair.real.spent_usd) == (0.1, 0.5, 0.002)
    assert (pair.shadow.engine, pair.shadow.text, pair.shadow.error) == ("Shadow", "Hello you", "")
    assert (pair.shadow.prompt_tokens, pair.shadow.completion_tokens) == (10, 2)
    assert pair.shadow.spent_usd == PRICE.usd(10, 2) and pair.shadow.total_s > 0
    assert 0 < pair.similarity < 1 and len(pair.digest) == 64
    (sent,) = world.engine.requests
    assert (
        sent.messages == asked.messages and not sent.escalate and sent.options == replace(asked.options, logprobs=None)
    )
    (spent,) = world.spent
    assert (spent.status, spent.reason, spent.info.name) == (200, "stop", "shadow")
    assert spent.meter.spent_usd == PRICE.usd(10, 2) and shadow.state.counts.kept == 1
    await shadow.close()


async def test_only_a_share_of_plain_chats_is_drawn() -> None:
    shadow = World(Engine([events("x")])).shadow(0.5, draws=(0.49, 0.5, 0.99, 0.0))
    assert [shadow.wants(request()) for _ in range(4)] == [True, False, False, True]
    assert not shadow.wants(TextRequest("Once upon"))  # it would have drawn: there is nothing left to draw
    assert not shadow.wants(request(n=2))


async def test_its_own_engines_answers_are_not_compared_with_themselves() -> None:
    world = World(Engine([events("x")]))
    shadow = world.shadow()
    shadow.answered(request(), answered(engine="SHADOW"))
    assert shadow.state.waiting == 0 and shadow.state.counts.same == 1
    world.aliases |= {"Shadow": "one", "other": "ONE"}
    shadow.answered(request(), answered(engine="other"))  # a route may call it otherwise
    assert shadow.state.waiting == 0 and shadow.state.counts.same == 2


async def test_it_gives_way_to_whoever_waits_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK_S", 0.001)
    monkeypatch.setattr(room, "_AGAIN_S", 0.001)
    gate = asyncio.Event()
    world = World(Engine([events("x")], gate=gate))
    shadow = world.shadow()
    shadow.answered(request(), answered())
    async with asyncio.timeout(60):
        while not world.engine.active:  # noqa: ASYNC110 - a script tells nobody
            await asyncio.sleep(0.001)
        world.free, world.needed = False, True
        while world.engine.active:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert [(spent.status, spent.meter.prompt_tokens) for spent in world.spent] == [(499, 10)]
    world.free, world.needed = True, False
    gate.set()
    await until_idle(shadow)
    assert [pair.shadow.text for pair in world.kept] == ["x"] and len(world.spent) == 2
    await shadow.close()


async def test_it_gives_way_while_its_engine_is_loaded_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK_S", 0.001)
    monkeypatch.setattr(room, "_AGAIN_S", 0.001)
    world = World(Engine([events("x")]), loading=asyncio.Event())
    shadow = world.shadow()
    shadow.answered(request(), answered())
    async with asyncio.timeout(60):
        while not world.loads:  # noqa: ASYNC110 - a script tells nobody
            await asyncio.sleep(0.001)
        world.needed = True
        while world.loads < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    world.needed = False
    assert world.loading is not None and not world.engine.requests
    world.loading.set()
    await until_idle(shadow)
    assert [pair.shadow.text for pair in world.kept] == ["x"] and not world.wishes


async def test_one_at_a_time_and_what_is_too_much_is_dropped() -> None:
    gate = asyncio.Event()
    world = World(Engine([events("x")], gate=gate))
    shadow = world.shadow(waiting=3)
    for number in range(5):
        shadow.answered(request(str(number)), answered())
    assert shadow.state.waiting == 3 and shadow.state.counts.dropped == 2
    gate.set()
    await until_idle(shadow)
    assert [pair.question for pair in world.kept] == ["0", "1", "2"] and world.engine.most == 1
    shadow.answered(request("5"), answered())  # there is room again
    await until_idle(shadow)
    assert len(world.kept) == 4


async def test_what_waits_is_bounded_in_its_size_too() -> None:
    world = World(Engine([events("x")]), free=False)
    shadow = world.shadow(size=130)
    for text in ("a" * 60, "b" * 60, "c" * 40):
        shadow.answered(request(text), answered("Hello there"))
    assert shadow.state.waiting == 2 and shadow.state.counts.dropped == 1
    shadow.answered(request("d"), answered("y" * 200))  # answers are held too
    assert shadow.state.waiting == 2 and shadow.state.counts.dropped == 2
    world.free = True
    await until_idle(shadow)
    assert [pair.question[0] for pair in world.kept] == ["a", "c"]
    shadow.answered(request("d" * 100), answered())  # there is all the room again
    await until_idle(shadow)
    assert len(world.kept) == 3 and shadow.state.counts.dropped == 2


async def test_it_waits_while_others_need_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK_S", 0.001)
    monkeypatch.setattr(room, "_AGAIN_S", 0.001)
    world = World(Engine([EngineBusy(1), events("x")]), free=False, leases=[EngineBusy(1)])
    shadow = world.shadow()
    shadow.answered(request(), answered())
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert not world.engine.requests and shadow.state.waiting == 1
    world.free = True
    await until_idle(shadow)
    assert [pair.shadow.text for pair in world.kept] == ["x"]  # twice there was no room for it
    assert len(world.spent) == 1


async def test_an_engine_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_AGAIN_S", 0.0)
    world = World(Engine([EngineBusy(1)]))
    shadow = world.shadow()
    shadow.answered(request(), answered())
    await until_idle(shadow)
    assert [(pair.agreement, pair.shadow.finish_reason) for pair in world.kept] == [("failed", "EngineBusy")]


async def test_answers_that_fail_are_kept_with_what_they_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_REST_S", 0.0)
    started, *_ = events("x")
    broken = (started, TextDelta("Half an"), EngineCrashed("It is gone."))
    wrong = (started, TextDelta("{"), SchemaNotSatisfied("No JSON.", "{", 1))
    world = World(Engine([broken, wrong]), leases=[])
    shadow = world.shadow()
    for _ in range(2):
        shadow.answered(request(), answered())
    await until_idle(shadow)
    world.leases.append(CannotLoad("shadow"))
    shadow.answered(request(), answered())
    await until_idle(shadow)
    reasons = [pair.shadow.finish_reason for pair in world.kept]
    assert reasons == ["EngineCrashed", "SchemaNotSatisfied", "CannotLoad"]
    assert all(pair.agreement == "failed" and pair.shadow.error for pair in world.kept)
    assert world.kept[0].shadow.text == "Half an" and world.kept[0].shadow.spent_usd == PRICE.usd(10, 1)
    assert [spent.status for spent in world.spent] == [500, 500]
    assert shadow.state.counts.failed == 3 and shadow.state.counts.kept == 3


async def test_nothing_of_it_reaches_the_real_call(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Engine([RuntimeError("a bug"), events("x")]), full=OptionError("The disk is full."))
    shadow = world.shadow()
    shadow.answered(request(), answered())
    shadow.answered(request(), answered())
    shadow.answered(replace(request(), messages=None), answered())  # type: ignore[arg-type]  # unreadable
    await until_idle(shadow)
    assert shadow.state.counts.lost == 2 and not world.kept
    assert "The disk is full." in caplog.text and "a bug" in caplog.text


async def test_it_ends_with_the_server(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Engine([events("x y")], gate=asyncio.Event()))
    shadow = world.shadow()
    for _ in range(3):
        shadow.answered(request(), answered())
    async with asyncio.timeout(60):
        while not world.engine.active:  # noqa: ASYNC110 - a script tells nobody
            await asyncio.sleep(0.001)
    await asyncio.wait_for(shadow.close(), 60)
    assert world.engine.active == 0 and not world.kept
    assert [(spent.status, spent.reason, spent.meter.prompt_tokens) for spent in world.spent] == [
        (499, "cancelled", 10)
    ]
    assert "left out 3 answers" in caplog.text
    shadow.answered(request(), answered())
    await asyncio.sleep(0)
    assert shadow.state.waiting == 0 and len(world.engine.requests) == 1


@pytest.mark.parametrize("full", [False, True])
async def test_what_is_answered_is_kept_even_at_the_end(
    full: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And counted once; what is behind it has waited, also where it cannot be kept."""
    world, begun, go_on = World(Engine([events("x")])), threading.Event(), threading.Event()
    world.full = OptionError("The disk is full.") if full else None
    shadow = world.shadow()

    def slowly(*_: object) -> tuple[str, float]:
        begun.set()
        go_on.wait(60)
        return "different", 0.5

    monkeypatch.setattr(room, "agreement", slowly)
    for _ in range(3):
        shadow.answered(request(), answered())
    assert await asyncio.to_thread(begun.wait, 60)
    closing = asyncio.create_task(shadow.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await asyncio.wait_for(closing, 60)
    counts = shadow.state.counts
    assert (len(world.kept), counts.kept, counts.lost) == ((0, 0, 1) if full else (1, 1, 0))
    assert "2 waited at the end" in caplog.text and len(world.engine.requests) == 1


async def test_tool_calls_and_the_usual_temperature() -> None:
    calls = (("weather", '{"city": "Paris"}'), ("time", "{}"))
    world = World(Engine([events("", [("weather", '{ "city":"Paris" }'), ("time", "{}")])]))
    shadow = world.shadow()
    shadow.answered(replace(request(), options=ChatOptions()), answered("", calls=calls))
    await until_idle(shadow)
    (pair,) = world.kept
    assert pair.agreement == "tools" and pair.similarity == 1.0 and pair.temperature == 0.3
    assert pair.real.tool_calls == calls and pair.shadow.finish_reason == "tool_calls"
