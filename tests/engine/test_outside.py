"""The service of a model that needs more than this machine: when its worker starts again, and what is said before."""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from ggufrun.engine import outside as outside_module
from ggufrun.engine.outside import EngineWaits
from ggufrun.engine.service import Service
from ggufrun.errors import EngineClosed, EngineCrashed
from tests.engine.services import ask, failure, first_tokens, serves, settings, until
from tests.engine.worker_models import HANG

pytestmark = pytest.mark.process
WORKER = "10.0.0.2:50052"


class Elsewhere:
    """Implements `Outside`: what the test says of it."""

    def __init__(self) -> None:
        self.there, self.looks = True, 0

    def missing(self) -> str:
        self.looks += 1
        return "" if self.there else f"the RPC worker {WORKER} is off"

    async def looked(self, more: int) -> None:
        """Wait until it was asked so many times more."""
        wanted = self.looks + more
        await until(lambda: self.looks >= wanted)

    def blamed(self, ending: str) -> str:
        return "the network broke" if "SIGKILL" in ending else ending


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    monkeypatch.setattr(outside_module, "_DELAYS_S", (0.02, 0.05))
    return Elsewhere()


@pytest_asyncio.fixture
async def service(elsewhere: Elsewhere) -> AsyncIterator[Service]:
    given = settings()
    watched = replace(given, model=replace(given.model, rpc=(WORKER,), rpc_timeout_s=1.0))
    own = Service(watched, outside=elsewhere)
    await own.ready()
    yield own
    await own.aclose()


async def crash(service: Service) -> str:
    """Kill the worker while it answers; what that answer ends with."""
    stream = service.submit(ask(service, 5, most=None, endless=True))
    await first_tokens(stream)
    assert service.worker_pid is not None
    os.kill(service.worker_pid, signal.SIGKILL)
    return await failure(stream)


async def test_it_starts_again_when_what_is_missing_is_back(service: Service, elsewhere: Elsewhere) -> None:
    elsewhere.there = False
    assert f"the network broke; the RPC worker {WORKER} is off" in await crash(service)
    for _ in range(2):
        with pytest.raises(EngineWaits, match="is off") as waits:
            service.submit(ask(service, 1))
        assert waits.value.retry_s == 2 and "by itself" in waits.value.hint
        await elsewhere.looked(2)
        assert service.worker_pid is None
    elsewhere.there = True
    await until(lambda: service.worker_pid is not None)
    await service.ready()
    await serves(service)


async def test_a_crash_of_its_own_restarts_at_once(service: Service) -> None:
    assert "the network broke" in await crash(service)
    await service.ready()
    await serves(service)


async def test_crashes_with_all_in_place_come_to_an_end(service: Service) -> None:
    for _ in range(2):
        await crash(service)
        await service.ready()
    assert "3 times in a row" in await crash(service)
    with pytest.raises(EngineCrashed) as down:
        service.submit(ask(service, 1))
    assert not isinstance(down.value, EngineWaits)


async def test_closed_while_it_waits_it_looks_no_more(service: Service, elsewhere: Elsewhere) -> None:
    elsewhere.there = False
    await crash(service)
    await service.aclose()
    with pytest.raises(EngineClosed):
        service.submit(ask(service, 1))
    await until(lambda: service._looking is not None and service._looking.done())
    assert service.worker_pid is None


async def test_a_step_that_hangs_is_given_up_and_said(service: Service) -> None:
    await serves(service)
    words = await failure(service.submit(ask(service, HANG)))
    assert "no step came to its end" in words and f"{WORKER} has stalled" in words
    await service.ready()
    await serves(service)
