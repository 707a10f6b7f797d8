"""A route whose engines cannot always answer: which errors the next engine is asked on, and what is said of it."""

import asyncio
from contextlib import aclosing

import pytest

from ggufrun.chat.types import Completed, Meter, Started
from ggufrun.errors import (
    CannotLoad,
    EngineBusy,
    EngineClosed,
    EngineCrashed,
    EngineError,
    GgufrunError,
    ModelFileError,
    ModelLacks,
    ModelLoading,
    NotEnforceable,
    OutOfMemory,
    OutOfRange,
    PromptTooLong,
    SchemaError,
    UnknownModel,
    Unsupported,
)
from ggufrun.remote_errors import RemoteBusy, RemoteDown, RemoteRefused, RemoteRejected
from ggufrun.routing.settings import RouteSettings
from tests.routing.played import Engine, asked, fleet, reply, said

ROUTE = RouteSettings("r", ("small", "fast", "hosted"))


async def test_the_first_engine_answers_where_it_can() -> None:
    there = fleet(Engine("small", said("a")), Engine("fast", said("b")), Engine("hosted", said("c")))
    found = await reply(there.route(ROUTE))
    assert found.text == "a" and (found.meter.engine, found.meter.why) == ("small", "first")
    assert there.leased == ["small"] and not there.held and not there.engines["fast"].requests
    assert isinstance(found.events[0], Started) and isinstance(found.events[-1], Completed)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EngineBusy(8), "is overloaded"),
        (RemoteBusy("small"), "is overloaded"),
        (RemoteDown("small", "nobody answers"), "is down"),
        (RemoteRefused("small"), "does not take this server's key"),
        (EngineCrashed("killed"), "is down"),
        (EngineClosed(), "is down"),
        (PromptTooLong(200, 100), "has too small a context"),
        (Unsupported("no images"), "cannot do it"),
        (ModelLacks("no tool calls"), "cannot do it"),
        (NotEnforceable("a keyword"), "cannot enforce the constraint"),
        (RemoteRejected("small", "no such model", status=404), "refuses it"),
    ],
)
async def test_the_next_engine_answers_where_one_cannot(error: GgufrunError, words: str) -> None:
    there = fleet(Engine("small", [error]), Engine("fast", said("b")), Engine("hosted", said("c")))
    found = await reply(there.route(ROUTE))
    assert (found.text, found.meter.engine) == ("b", "fast")
    assert found.meter.why == f"fallback: small {words}"
    assert there.most == 1  # the first is given back before the second is taken


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModelLoading("small", 5), "is being loaded"),
        (CannotLoad("small"), "cannot be loaded"),
        (OutOfMemory("too large"), "cannot be loaded"),
        (ModelFileError("/home/x.gguf", "is damaged"), "cannot be loaded"),
        (UnknownModel("small", ()), "is not served any more"),
    ],
)
async def test_an_engine_that_cannot_be_had_is_passed_over(error: GgufrunError, words: str) -> None:
    there = fleet(Engine("small", said("a")), Engine("fast", said("b")), Engine("hosted", said("c")))
    there.refused["small"] = error
    found = await reply(there.route(ROUTE))
    assert found.text == "b" and found.meter.why == f"fallback: small {words}"


@pytest.mark.parametrize("error", [SchemaError("no type"), OutOfRange("n is 0"), RemoteRejected("small", "bad field")])
async def test_what_is_wrong_with_the_request_is_said_at_once(error: GgufrunError) -> None:
    there = fleet(Engine("small", [error]), Engine("fast", said("b")), Engine("hosted", said("c")))
    with pytest.raises(type(error)) as caught:
        await reply(there.route(ROUTE))
    assert caught.value is error and there.leased == ["small"]


async def test_nothing_falls_back_where_it_is_off() -> None:
    there = fleet(Engine("small", [EngineBusy(8)]), Engine("fast", said("b")), Engine("hosted", said("c")))
    with pytest.raises(EngineBusy):
        await reply(there.route(RouteSettings("r", ROUTE.engines, fallback=False)))
    assert there.leased == ["small"]


async def test_where_none_can_the_first_error_names_all() -> None:
    busy = EngineBusy(8)
    there = fleet(Engine("small", [busy]), Engine("fast", said("b")), Engine("hosted", [RemoteDown("hosted", "x")]))
    there.refused["fast"] = OutOfMemory("secret path")
    with pytest.raises(EngineBusy) as caught:
        await reply(there.route(ROUTE))
    assert (caught.value.message, caught.value.args, caught.value.queued) == (busy.message, busy.args, 8)
    tried = "small is overloaded, fast cannot be loaded, hosted is down"
    assert caught.value.hint.endswith(f"No engine of the route could answer: {tried}.")
    assert "route" not in busy.hint  # others may hear of the same error


async def test_an_answer_that_breaks_off_is_not_begun_again() -> None:
    there = fleet(Engine("small", [*said("a")[:2], EngineError("broke")]), Engine("fast", said("b")))
    meter = Meter()
    events = there.route(RouteSettings("r", ("small", "fast"))).complete(asked(), meter)
    seen = [await anext(events), await anext(events)]
    with pytest.raises(EngineError, match="broke"):
        await anext(events)
    assert isinstance(seen[0], Started) and there.leased == ["small"] and not there.held and meter.engine == "small"


async def test_who_leaves_ends_the_engine_s_work() -> None:
    there = fleet(Engine("small", [*said("a")[:2], None], usd=0.5), Engine("fast", said("b")))
    meter = Meter()
    async with aclosing(there.route(RouteSettings("r", ("small", "fast"))).complete(asked(), meter)) as events:
        await anext(events)
        assert there.held == ["small"]
    assert there.engines["small"].closed == 1 and not there.held
    assert meter.spent_usd == 0.5  # told when it was closed


async def test_who_leaves_before_anything_is_answered_is_let_go() -> None:
    there = fleet(Engine("small", [None]), Engine("fast", said("b")))
    answer = asyncio.create_task(reply(there.route(RouteSettings("r", ("small", "fast")))))
    await there.engines["small"].stuck.wait()
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert not there.held and there.leased == ["small"]


async def test_times_count_from_when_the_first_engine_was_asked() -> None:
    there = fleet(Engine("small", [EngineBusy(8)]), Engine("fast", said("b")))
    found = await reply(there.route(RouteSettings("r", ("small", "fast"))))
    done = found.events[-1]
    assert isinstance(done, Completed) and done.ttft_s > 0.01 and done.total_s > 0.02
    assert found.meter.ttft_s == done.ttft_s
