"""What a route does beside completing: weights, places, counts, vectors, watchers, and routes over routes."""

import gc
import sys
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from random import Random

import pytest

from ggufrun.chat.types import AnyRequest, Capabilities, Completed, Meter, ModelInfo, Price, TextRequest
from ggufrun.errors import EngineBusy, EngineCrashed, ModelLacks
from ggufrun.routing.info import info_of
from ggufrun.routing.settings import Escalation, RouteSettings
from ggufrun.routing.watcher import Answered
from tests.routing.played import Engine, Fleet, asked, fleet, reply, said

PAIR = RouteSettings("r", ("small", "fast"))


def pair(**small: object) -> Fleet:
    return fleet(Engine("small", said("a"), **small), Engine("fast", said("b")))  # type: ignore[arg-type]  # by name


async def test_weights_draw_who_begins() -> None:
    route = RouteSettings("r", ("small", "fast", "hosted"), weights={"small": 3, "fast": 1, "hosted": 0})
    there = fleet(*(Engine(name, said(name)) for name in route.engines))
    drawn = [(await reply(there.route(route, random=Random(seed)))) for seed in range(400)]
    counts = Counter(each.text for each in drawn)
    assert counts["hosted"] == 0 and 0.65 < counts["small"] / 400 < 0.85
    assert {each.meter.why for each in drawn} == {"drawn: by weight"}
    again = [(await reply(there.route(route, random=Random(7)))).text for _ in range(3)]
    assert len(set(again)) == 1


async def test_who_is_not_drawn_stays_a_fallback() -> None:
    route = RouteSettings("r", ("small", "fast", "hosted"), weights={"fast": 1})
    there = fleet(Engine("small", [EngineBusy(1)]), Engine("fast", [EngineCrashed("x")]), Engine("hosted", said("c")))
    found = await reply(there.route(route))
    assert found.text == "c" and there.leased == ["fast", "small", "hosted"]
    assert found.meter.why == "fallback: fast is down, small is overloaded"


async def test_a_drawn_engine_escalates_upwards_only() -> None:
    route = RouteSettings("r", ("small", "hosted"), weights={"hosted": 1}, escalate=Escalation(min_logprob=-1))
    there = fleet(Engine("small", said("a")), Engine("hosted", said("b", sure=-9)))
    assert (await reply(there.route(route))).text == "b" and there.leased == ["hosted"]


async def test_places_are_on_the_first_engine_that_has_them() -> None:
    there = pair(places=2)
    prompts = [TextRequest(text) for text in ("x", "y", "z")]
    meters = [Meter() for _ in prompts]
    with there.route(PAIR).reserve(3, "prompt") as reserved:
        answers = [reserved.complete(prompt, meter) for prompt, meter in zip(prompts, meters, strict=True)]
        for answer in answers:
            await anext(answer)
        assert there.engines["fast"].reserved == 3 and there.engines["small"].reserved == 0
    assert there.engines["fast"].reserved == 0
    for answer in answers:
        assert isinstance([event async for event in answer][-1], Completed)
    assert [meter.engine for meter in meters] == ["fast"] * 3 and not there.held
    assert meters[0].why == "fallback: small is overloaded"


async def test_places_of_an_engine_that_cannot_answer_are_given_back() -> None:
    there = fleet(Engine("small", [EngineCrashed("x")]), Engine("fast", said("b")))
    with there.route(PAIR).reserve(3, "prompt") as reserved:
        assert [event async for event in reserved.complete(TextRequest("x"))]
        assert (there.engines["small"].reserved, there.engines["fast"].reserved) == (0, 3)


async def test_places_that_no_engine_has_are_refused() -> None:
    there = fleet(Engine("small", said("a"), places=2), Engine("fast", said("b"), places=2))
    with there.route(PAIR).reserve(3, "n") as reserved, pytest.raises(EngineBusy):
        await anext(reserved.complete(TextRequest("x")))
    assert not there.held


async def test_tokens_are_the_first_engine_s_and_vectors_of_the_first_that_can() -> None:
    there = fleet(Engine("small", said("a")), Engine("fast", said("b"), vector=b"1234"))
    route = there.route(PAIR)
    assert await route.count_tokens(asked()) == 5 and len(await route.tokens(asked())) == 5
    assert (await route.embed(["x"])).vectors == (b"1234",)
    with pytest.raises(ModelLacks):
        await there.route(RouteSettings("r", PAIR.engines, fallback=False)).embed(["x"])


class Seen:
    """Implements `Watcher`."""

    def __init__(self, *, fails: bool = False) -> None:
        self.answers: list[Answered] = []
        self._fails = fails

    def wants(self, request: AnyRequest) -> bool:
        return not getattr(request, "escalate", False)

    def answered(self, request: AnyRequest, answer: Answered) -> None:
        self.answers.append(answer)
        if self._fails:
            raise ZeroDivisionError


async def test_a_watcher_sees_whole_answers() -> None:
    seen = Seen()
    there = pair(usd=0.5)
    route = there.route(PAIR, watcher=seen)
    found = await reply(route)
    (answer,) = seen.answers
    assert (answer.route, answer.engine, answer.why, answer.spent_usd) == ("r", "small", "first", 0.5)
    assert answer.events == tuple(found.events) and answer.completion_tokens == 1
    await reply(route, asked(escalate=True))  # not wanted
    there.engines["small"].answer = [*said("a")[:2], EngineCrashed("x")]
    with pytest.raises(EngineCrashed):
        await reply(route)
    assert len(seen.answers) == 1


async def test_a_watcher_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    assert (await reply(pair().route(PAIR, watcher=Seen(fails=True)))).text == "a"
    assert "could not be compared" in caplog.text


async def test_a_route_may_go_to_a_route() -> None:
    there = fleet(Engine("small", [EngineBusy(1)]), Engine("fast", said("b")), Engine("hosted", said("c")))
    inner = there.route(RouteSettings("inner", ("small", "fast")))
    there.engines["inner"] = inner  # type: ignore[assignment]  # the fleet leases any chat model
    outer = RouteSettings("outer", ("inner", "hosted"))
    found = await reply(there.route(outer))
    assert found.text == "b" and found.meter.engine == "fast"
    assert found.meter.why == "inner: fallback: small is overloaded"


async def test_tokens_that_routes_throw_away_add_up() -> None:
    there = fleet(Engine("small", said("a", sure=-2)), Engine("fast", said("b", "c")), Engine("hosted", said("d")))
    unsure = Escalation(min_logprob=-1)
    there.engines["inner"] = there.route(RouteSettings("inner", ("small", "fast"), escalate=unsure))  # type: ignore[assignment]  # as above
    there.engines["fast"].answer = said("b", "c", sure=-3)
    outer = RouteSettings("outer", ("inner", "hosted"), escalate=Escalation(min_logprob=-2.5))
    found = await reply(there.route(outer))
    assert (found.text, found.meter.thrown_tokens, found.meter.all_tokens) == ("d", 11 + 12, 11 + 12 + 11)
    there.engines["hosted"].answer = [EngineBusy(1)]
    found = await reply(there.route(outer))
    assert (found.text, found.meter.thrown_tokens, found.meter.all_tokens) == ("bc", 11, 11 + 12)


async def test_who_leaves_leaves_no_generator_open() -> None:
    """One that is only forgotten is closed by the loop at some later time."""
    forgotten: list[object] = []
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=before.firstiter, finalizer=forgotten.append)
    try:
        for route in (PAIR, replace(PAIR, escalate=Escalation(min_logprob=-1))):
            async with aclosing(pair().route(route).complete(asked())) as events:
                await anext(events)
                await anext(events)
            del events
            gc.collect()
    finally:
        sys.set_asyncgen_hooks(*before)
    assert not forgotten


def info(name: str, **more: object) -> ModelInfo:
    return replace(ModelInfo(name, 100, 100, 5, 9, "a script"), **more)  # type: ignore[arg-type]  # by name


def test_what_a_route_is() -> None:
    engines = {
        "small": info("small", file="x.gguf", quant="Q4_0", memory_bytes=7, aliases=("s",), price=Price(1, 1)),
        "hosted": info("hosted", context=900, capabilities=Capabilities(vision=True), charges=Price(2, 6)),
    }
    route = info_of(RouteSettings("r", ("small", "hosted")), engines)
    assert (route.name, route.context, route.capabilities.vision) == ("r", 900, True)
    assert (route.file, route.quant, route.memory_bytes, route.aliases) == ("", "", 0, ())
    assert route.price == Price(2, 6) and route.charges is None and route.engines == ("small", "hosted")
    alone = info_of(RouteSettings("r", ("small", "hosted"), fallback=False), engines)
    assert alone.context == 100 and not alone.capabilities.vision
