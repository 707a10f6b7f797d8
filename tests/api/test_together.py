"""Answers that are asked for together: all have a place in the queue or none, and what never fits is told so."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.calls.batch import complete
from ggufrun.chat.compile import Compiler
from ggufrun.chat.local import LocalChatModel
from ggufrun.chat.types import ChatOptions, Completed, Meter, TextRequest
from ggufrun.engine.service import Service
from ggufrun.errors import EngineBusy, OutOfRange
from tests.api.answering import Answering
from tests.api.scripted import client_of
from tests.chat.local_model import INFO, FakeEncoder
from tests.chat.local_model import model as over
from tests.engine.services import ask, read, settings
from tests.fakes import FakeService, FakeVocabulary

pytestmark = pytest.mark.process


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    own = await Service.start(settings(parallel=2, queue=4))
    yield own
    await own.aclose()


def model(service: Service) -> LocalChatModel:
    vocabulary = FakeVocabulary()
    compiler = Compiler(vocabulary, FakeEncoder(), lambda request, prompt: None, service.context)
    return LocalChatModel(INFO, vocabulary, compiler, service)


def prompts(count: int, n: int = 1) -> tuple[TextRequest, ...]:
    return tuple(TextRequest("ab", options=ChatOptions(n=n, max_tokens=3)) for _ in range(count))


async def test_places_are_taken_together(service: Service) -> None:
    with pytest.raises(EngineBusy):
        service.reserve(7)
    with service.reserve(5) as places:
        other = service.submit(ask(service, 1))
        with pytest.raises(EngineBusy):
            service.submit(ask(service, 1))
        streams = [places.submit(ask(service, 1)) for _ in range(3)]
        with pytest.raises(EngineBusy):
            service.reserve(1)
        with places.reserve(1) as inner:
            streams.append(inner.submit(ask(service, 1)))
    last = service.submit(ask(service, 1))  # the fifth place was given back
    for stream in (other, *streams, last):
        await read(stream)  # type: ignore[arg-type]
    with service.reserve(6):
        pass


async def test_a_batch_that_does_not_fit_now_takes_nobodys_place(service: Service) -> None:
    running = [service.submit(ask(service, 5, most=None, endless=True)) for _ in range(3)]
    with pytest.raises(EngineBusy):
        await anext(complete(model(service), prompts(2, n=2), Meter()))
    assert service.live == 3
    innocent = service.submit(ask(service, 1))
    for stream in running:
        stream.cancel()
    for stream in (*running, innocent):
        await read(stream)


async def test_a_batch_of_all_places_is_answered(service: Service) -> None:
    events = [event async for event in complete(model(service), prompts(3, n=2), Meter())]
    assert isinstance(events[-1], Completed) and len(events[-1].reasons) == 6


async def test_what_never_fits_is_not_told_to_try_again(service: Service) -> None:
    for asked, param in ((prompts(7), "prompt"), (prompts(1, n=7)[0], "n")):
        with pytest.raises(OutOfRange, match="at most 6 answers at once") as caught:
            await anext(complete(model(service), asked, Meter()))
        assert caught.value.param == param and service.live == 0


async def test_over_http_it_is_422() -> None:
    fake = FakeService([()], capacity=3)
    server = Answering(fake, client_of(create_app(gateway_for(over(fake)))))
    for body in ({"prompt": ["a"] * 4}, {"prompt": ["a", "b"], "n": 2}, {"prompt": "a", "n": 4}):
        reply = await server.post("/v1/completions", **body)
        assert reply.status_code == 422 and "retry-after" not in reply.headers and fake.requests == []
