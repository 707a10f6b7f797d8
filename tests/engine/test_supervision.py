"""The service when things go wrong: its worker ends, does not load, cannot be started, or loses its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import pytest_asyncio

from ggufrun.engine import process as process_module
from ggufrun.engine import service as service_module
from ggufrun.engine.service import Service
from ggufrun.engine.types import Failed, Finished
from ggufrun.errors import EngineClosed, EngineCrashed, EngineError, ModelFileError, OutOfMemory
from tests.engine.harness import alone
from tests.engine.services import CONTEXT, ask, failure, first_tokens, read, serves, settings, until_gone
from tests.engine.worker_models import ABORT, GARBLE, RAISE_FOR_GOOD, SHOUT

pytestmark = pytest.mark.process


@pytest_asyncio.fixture
async def fresh() -> AsyncIterator[Service]:
    """One to be maltreated."""
    own = await Service.start(settings())
    yield own
    await own.aclose()


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the service's clock on by so many seconds."""
    moved = 0.0

    def move(seconds: float) -> None:
        nonlocal moved
        moved += seconds

    monkeypatch.setattr(service_module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + moved))
    return move


def refusal(service: Service) -> EngineCrashed:
    """Why nothing can be submitted."""
    with pytest.raises(EngineCrashed) as caught:
        service.submit(ask(service, 1))
    assert not caught.value.restarting and "being restarted" not in str(caught.value)
    return caught.value


def kill_unheard(service: Service) -> None:
    """Kill the worker and keep the loop from hearing of it."""
    pid, end = service.worker_pid, time.monotonic() + 60
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid):
        assert time.monotonic() < end
        time.sleep(0.005)


async def crash(service: Service) -> None:
    """Kill the worker while it answers, and see the stream end with an error."""
    stream = service.submit(ask(service, 5, most=None, endless=True))
    await first_tokens(stream)
    assert service.worker_pid is not None
    os.kill(service.worker_pid, signal.SIGKILL)
    _, end = await read(stream)
    assert isinstance(end, Failed) and "signal 9" in end.message


async def test_a_killed_worker_ends_its_streams_and_the_next_request_is_served(fresh: Service) -> None:
    streams = [fresh.submit(ask(fresh, 5, most=None, endless=True)) for _ in range(3)]
    await asyncio.gather(*map(first_tokens, streams))
    pid = fresh.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for stream in streams:
        _, end = await read(stream)
        assert isinstance(end, Failed) and "signal 9 (SIGKILL" in end.message and "restarted" in end.message
        assert isinstance(end.error, EngineCrashed) and end.error.restarting and str(end.error) == end.message
    request = ask(fresh, 1, 2, 3)  # at once, while the new worker starts
    assert (await read(fresh.submit(request)))[0] == alone(request, CONTEXT)
    assert fresh.worker_pid not in (None, pid)


async def test_an_ending_is_told_with_its_reason(
    fresh: Service, monkeypatch: pytest.MonkeyPatch, wait: Callable[[float], None]
) -> None:
    monkeypatch.setattr(service_module, "RESTART_DELAYS_S", (0.0, 0.05))
    message = await failure(fresh.submit(ask(fresh, ABORT)))
    assert "signal 6 (SIGABRT" in message and "GGML_ASSERT(all is well)" in message
    # A context that cannot be rebuilt: a new process too.
    assert "no context any more" in await failure(fresh.submit(ask(fresh, RAISE_FOR_GOOD)))
    cancelled = fresh.submit(ask(fresh, 1, 2, 3))  # while none runs
    cancelled.cancel()
    assert isinstance((await read(cancelled))[1], Finished)
    await serves(fresh)
    wait(60)
    pid = fresh.worker_pid
    assert pid is not None
    running = fresh.submit(ask(fresh, 5, most=None, endless=True))
    await first_tokens(running)
    for stream in (fresh.submit(ask(fresh, GARBLE)), running):
        assert "could not be read (UnpicklingError" in await failure(stream)
    assert not psutil.pid_exists(pid)
    await serves(fresh)


async def test_what_is_sent_to_a_worker_that_has_just_ended_fails(fresh: Service) -> None:
    kill_unheard(fresh)
    assert "signal 9" in await failure(fresh.submit(ask(fresh, 1)))
    await serves(fresh)
    kill_unheard(fresh)
    stream = fresh.submit(ask(fresh, 1))
    fresh.close()
    fresh.close()
    assert "closed" in await failure(stream)


async def test_a_standard_error_that_is_gone_does_not_hold_the_worker_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = await Service.start(settings(), debug=True)
    closed = (tmp_path / "stderr").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    _, end = await read(service.submit(ask(service, SHOUT)))
    assert isinstance(end, Finished)
    await service.aclose()


async def test_three_crashes_in_a_row_are_enough_until_a_minute_has_passed(
    monkeypatch: pytest.MonkeyPatch, fresh: Service, wait: Callable[[float], None]
) -> None:
    monkeypatch.setattr(service_module, "RESTART_DELAYS_S", (0.0, 0.05))
    await crash(fresh)
    wait(100)  # as if loading took so long: it is not time in which it ran well
    await crash(fresh)
    wait(100)
    await crash(fresh)
    wait(20)
    error = refusal(fresh)
    assert "3 times" in str(error) and error.retry_s in range(30, 41) and f"in {error.retry_s} s" in str(error)
    with pytest.raises(EngineCrashed, match="3 times"):
        await fresh.ready()
    assert fresh.worker_pid is None and not fresh.live
    wait(40)
    await serves(fresh)
    await crash(fresh)  # the one attempt
    assert "4 times" in str(refusal(fresh))
    wait(60)
    async with asyncio.timeout(60):
        await fresh.ready()  # an attempt too, and waited for
    assert fresh.worker_pid is not None
    wait(60)
    await crash(fresh)  # it ran for a minute: what was before is forgotten
    await serves(fresh)


async def test_a_restart_that_fails_is_tried_again_after_a_minute(
    monkeypatch: pytest.MonkeyPatch, fresh: Service, wait: Callable[[float], None], tmp_path: Path
) -> None:
    monkeypatch.setattr(service_module, "RESTART_DELAYS_S", (0.05, 0.0))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "python"))
        await crash(fresh)
        waiting = asyncio.create_task(fresh.ready())
        assert "could not be restarted" in await failure(fresh.submit(ask(fresh, 1)))
        with pytest.raises(EngineCrashed, match="could not be restarted"):
            await waiting
        assert refusal(fresh).retry_s in range(50, 61)
        wait(60)
        assert refusal(fresh).retry_s == 60  # tried in vain
    wait(30)
    refusal(fresh)
    wait(30)
    await serves(fresh)
    await crash(fresh)
    assert "could not be restarted" not in str(refusal(fresh))


async def test_a_model_that_does_not_load_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "RESTART_DELAYS_S", (0.0, 0.05))
    monkeypatch.setattr(service_module, "CRASH_WINDOW_S", 0.0)  # as if loading took minutes
    service = await Service.start(settings("good_once", tmp_path / "model"))
    await crash(service)
    _, end = await read(service.submit(ask(service, 1)))
    assert isinstance(end, Failed) and "is gone" in end.message
    with pytest.raises(EngineCrashed, match="is gone"):
        async with asyncio.timeout(60):
            while True:
                await read(service.submit(ask(service, 1)))
    await service.aclose()


@pytest.mark.parametrize(
    ("factory", "kind", "words"),
    [
        ("damaged", ModelFileError, "is truncated"),
        ("surprising", EngineError, "nobody thought of this"),
        ("aborting", ModelFileError, r"signal 6 .*GGML_ASSERT\(n > 0\) failed"),
        ("killed", OutOfMemory, "signal 9"),
        ("no_such_factory", EngineError, "no_such_factory"),
        ("garbled", EngineError, "could not be read .Unpickling"),
        ("mute", EngineError, "closed its pipe"),
    ],
)
async def test_a_failed_load_is_a_typed_error_for_good(
    factory: str,
    kind: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    wait: Callable[[float], None],
) -> None:
    monkeypatch.setattr(process_module, "REAP_S", 0.1)
    service = await asyncio.to_thread(Service, settings(factory))
    for _ in range(2):
        async with asyncio.timeout(60):
            with pytest.raises(kind, match=words) as caught:
                await service.ready()
        assert type(caught.value) is kind and "\n" not in str(caught.value)
        if isinstance(caught.value, ModelFileError):
            assert caught.value.path == Path("fake.gguf")
        error = refusal(service)
        assert error.retry_s is None and "Load the model again" in str(error) and ".." not in str(error)
        wait(100)
    await service.aclose()


async def test_no_process_is_a_typed_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(EngineError, match=r"could not be started: .*No such file"):
        await Service.start(settings())


async def test_close_ends_what_waits_for_a_restart(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "RESTART_DELAYS_S", (600.0,))
    await crash(fresh)
    assert fresh.worker_pid is None
    streams = [fresh.submit(ask(fresh, 1)) for _ in range(2)]
    waiting = asyncio.create_task(fresh.ready())
    await asyncio.sleep(0.05)  # the loop comes to rest: from here on only `close` wakes it
    await fresh.aclose()
    for stream in streams:
        assert "closed" in await failure(stream)
    async with asyncio.timeout(60):
        with pytest.raises(EngineClosed):
            await waiting


def test_a_worker_whose_loop_has_ended_is_ended() -> None:
    async def begin() -> Service:
        service = await Service.start(settings())
        await first_tokens(service.submit(ask(service, 5, most=None, endless=True)))
        return service

    async def go_on(service: Service) -> None:
        assert service.worker_pid is not None
        await until_gone(service.worker_pid)
        with pytest.raises(EngineClosed):
            service.submit(ask(service, 1))

    service = asyncio.run(begin())
    asyncio.run(go_on(service))
    service.close()


PARENT = """
import asyncio, sys
from pathlib import Path
from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.service import Service
from ggufrun.engine.types import GenerationRequest
from ggufrun.settings import EngineSettings, ModelSettings
async def main():
    model = ModelSettings(Path("fake.gguf"))
    service = await Service.start(WorkerSettings("tests.engine.worker_models:good", model, EngineSettings()))
    service.submit(GenerationRequest(1, (60,)))  # HANG
    await asyncio.sleep(0.1)
    print(service.worker_pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_the_worker_ends_with_its_parent_even_while_it_computes() -> None:
    root = Path(__file__).parents[2]
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=subprocess.PIPE, cwd=root)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert psutil.Process(pid).ppid() == parent.pid
    parent.kill()
    await parent.wait()
    await until_gone(pid)
