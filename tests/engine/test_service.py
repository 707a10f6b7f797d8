"""The service over its real worker process, with a fake model in it: streams, faults, restarts and the end."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import pytest_asyncio

from ggufrun.engine import process as process_module
from ggufrun.engine import service as service_module
from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.service import Service
from ggufrun.engine.stream import Stream
from ggufrun.engine.types import (
    EngineEvent,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptProgress,
    SamplingParams,
    Tokens,
)
from ggufrun.errors import (
    EngineBusy,
    EngineClosed,
    EngineCrashed,
    EngineError,
    ModelFileError,
    OutOfMemory,
)
from ggufrun.settings import EngineSettings, ModelSettings
from tests.engine.harness import alone
from tests.engine.worker_models import ABORT, BAD_TOP_K, GARBLE, HANG, PRINT, RAISE, RAISE_FOR_GOOD, SHOUT

CONTEXT = 2048
shared_loop = pytest.mark.asyncio(loop_scope="module")


def settings(factory: str = "good", path: Path = Path("fake.gguf"), **engine: object) -> WorkerSettings:
    model = ModelSettings(path, context=CONTEXT)
    return WorkerSettings(f"tests.engine.worker_models:{factory}", model, EngineSettings(**engine))  # type: ignore[arg-type]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service() -> AsyncIterator[Service]:
    """One for all the tests that leave it as they found it."""
    shared = await Service.start(settings(parallel=4, queue=4))
    yield shared
    await shared.aclose()


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


def ask(service: Service, *prompt: int, most: int | None = 30, endless: bool = False) -> GenerationRequest:
    return GenerationRequest(service.next_id(), prompt, max_tokens=most, ignore_end=endless)


async def read(stream: Stream) -> tuple[list[int], EngineEvent]:
    """All tokens and the last event."""
    tokens: list[int] = []
    async with asyncio.timeout(10):
        async for event in stream:
            if isinstance(event, Tokens):
                tokens += event.tokens
    return tokens, event


async def first_tokens(stream: Stream) -> None:
    async with asyncio.timeout(10):
        async for event in stream:
            if isinstance(event, Tokens):
                return
    raise AssertionError("no tokens")


async def failure(stream: Stream) -> str:
    _, end = await read(stream)
    assert isinstance(end, Failed)
    return end.message


async def serves(service: Service) -> None:
    request = ask(service, 1, 2, 3)
    assert (await read(service.submit(request)))[0] == alone(request, CONTEXT)


def refusal(service: Service) -> EngineCrashed:
    """Why nothing can be submitted."""
    with pytest.raises(EngineCrashed) as caught:
        service.submit(ask(service, 1))
    assert not caught.value.restarting and "being restarted" not in str(caught.value)
    return caught.value


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110 - what is waited for is another process, or the service's own state
            await asyncio.sleep(0.01)


async def until_gone(pid: int) -> None:
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def hold_the_loop_until_gone(pid: int) -> None:
    end = time.monotonic() + 5
    while psutil.pid_exists(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


async def crash(service: Service) -> None:
    """Kill the worker while it answers, and see the stream end with an error."""
    stream = service.submit(ask(service, 5, most=None, endless=True))
    await first_tokens(stream)
    assert service.worker_pid is not None
    os.kill(service.worker_pid, signal.SIGKILL)
    _, end = await read(stream)
    assert isinstance(end, Failed) and "signal 9" in end.message


@shared_loop
async def test_a_stream_is_what_the_model_says(service: Service) -> None:
    assert service.context == CONTEXT and service.info.parameters == 7 and service.info.description == "fake 0M"
    requests = [ask(service, *range(start, start + 9)) for start in range(1, 9)]
    answers = await asyncio.gather(*[read(service.submit(request)) for request in requests])
    for request, (tokens, end) in zip(requests, answers, strict=True):
        assert tokens == alone(request, CONTEXT), end
        assert isinstance(end, Finished) and end.stats.completion_tokens >= len(tokens)
    assert service.live == 0


@shared_loop
async def test_cancel_ends_one_stream_soon(service: Service) -> None:
    stream = service.submit(ask(service, 5, most=None, endless=True))
    other = service.submit(ask(service, 1, 2, 3))
    await first_tokens(stream)
    stream.cancel()
    async with asyncio.timeout(1):
        _, end = await read(stream)
    assert isinstance(end, Finished) and end.reason is FinishReason.CANCELLED
    stream.cancel()  # once more changes nothing
    assert isinstance((await read(other))[1], Finished)


@shared_loop
async def test_a_full_queue_is_refused_at_once(service: Service) -> None:
    streams = [service.submit(ask(service, 5, most=None, endless=True)) for _ in range(8)]
    with pytest.raises(EngineBusy) as caught:
        service.submit(ask(service, 5))
    assert caught.value.queued == 4
    for stream in streams:
        stream.cancel()
    for stream in streams:
        assert isinstance((await read(stream))[1], Finished)
    assert isinstance((await read(service.submit(ask(service, 5))))[1], Finished)


@shared_loop
async def test_a_slow_reader_gets_everything_in_fewer_events(service: Service) -> None:
    request = ask(service, *(1 + i % 60 for i in range(200)), most=60)
    stream = service.submit(request)
    await until(lambda: not service.live)
    progress, tokens, end = [event async for event in stream]
    assert isinstance(progress, PromptProgress) and progress.done > 64  # the last of several
    assert isinstance(tokens, Tokens) and list(tokens.tokens) == alone(request, CONTEXT), end
    assert isinstance(end, Finished) and stream.unread == 0


@shared_loop
async def test_a_reader_that_never_reads_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "UNREAD_LIMIT", 40)
    stream = service.submit(ask(service, 5, most=None, endless=True))
    await until(lambda: not service.live)
    (end,) = [event async for event in stream]
    assert isinstance(end, Failed)


@shared_loop
async def test_prints_do_not_corrupt_the_stream(service: Service) -> None:
    request = ask(service, PRINT, 2, 3)
    assert (await read(service.submit(request)))[0] == alone(request, CONTEXT)


@shared_loop
async def test_an_exception_in_a_step_fails_what_ran_and_the_worker_goes_on(service: Service) -> None:
    pid = service.worker_pid
    running = service.submit(ask(service, 5, most=None, endless=True))
    await first_tokens(running)
    bad = service.submit(ask(service, RAISE, 1))
    for stream in (running, bad):
        _, end = await read(stream)
        assert isinstance(end, Failed) and "the numbers are off" in end.message
    request = ask(service, 7, 8, 9)
    assert (await read(service.submit(request)))[0] == alone(request, CONTEXT)
    assert service.worker_pid == pid


@shared_loop
async def test_a_request_that_cannot_be_queued_fails_alone(service: Service) -> None:
    running = service.submit(ask(service, 1, 2, 3))
    bad = GenerationRequest(service.next_id(), (5,), SamplingParams(top_k=BAD_TOP_K))
    _, end = await read(service.submit(bad))
    assert isinstance(end, Failed) and "no such sampler" in end.message
    assert isinstance((await read(running))[1], Finished)


@shared_loop
async def test_ctrl_c_does_not_reach_the_worker(service: Service) -> None:
    assert service.worker_pid is not None
    os.kill(service.worker_pid, signal.SIGINT)
    request = ask(service, 3, 1, 4)
    assert (await read(service.submit(request)))[0] == alone(request, CONTEXT)


@shared_loop
async def test_an_idle_worker_uses_no_processor(service: Service) -> None:
    await read(service.submit(ask(service, 5)))
    process = psutil.Process(service.worker_pid)
    await asyncio.sleep(0.4)  # past its idle work
    before = sum(process.cpu_times()[:2]), process.num_ctx_switches().voluntary
    await asyncio.sleep(0.3)
    after = sum(process.cpu_times()[:2]), process.num_ctx_switches().voluntary
    assert after[0] - before[0] < 0.03 and after[1] - before[1] <= 5


async def test_a_killed_worker_ends_its_streams_and_the_next_request_is_served(fresh: Service) -> None:
    streams = [fresh.submit(ask(fresh, 5, most=None, endless=True)) for _ in range(3)]
    await asyncio.gather(*map(first_tokens, streams))
    pid = fresh.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for stream in streams:
        _, end = await read(stream)
        assert isinstance(end, Failed) and "signal 9 (SIGKILL" in end.message and "restarted" in end.message
    request = ask(fresh, 1, 2, 3)  # at once, while the new worker starts
    assert (await read(fresh.submit(request)))[0] == alone(request, CONTEXT)
    assert fresh.worker_pid not in (None, pid)


async def test_an_abort_is_told_with_its_reason(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "RESTART_DELAYS_S", (0.0, 0.2))
    _, end = await read(fresh.submit(ask(fresh, ABORT)))
    assert isinstance(end, Failed) and "signal 6 (SIGABRT" in end.message and "GGML_ASSERT(all is well)" in end.message
    _, end = await read(fresh.submit(ask(fresh, RAISE_FOR_GOOD)))  # a context that cannot be rebuilt: a new process too
    assert isinstance(end, Failed) and "no context any more" in end.message
    cancelled = fresh.submit(ask(fresh, 1, 2, 3))  # while none runs
    cancelled.cancel()
    assert isinstance((await read(cancelled))[1], Finished)
    request = ask(fresh, 1, 2, 3)
    assert (await read(fresh.submit(request)))[0] == alone(request, CONTEXT)


async def test_a_message_that_cannot_be_read_ends_the_worker(fresh: Service) -> None:
    pid = fresh.worker_pid
    assert pid is not None
    running = fresh.submit(ask(fresh, 5, most=None, endless=True))
    await first_tokens(running)
    for stream in (fresh.submit(ask(fresh, GARBLE)), running):
        assert "could not be read (UnpicklingError" in await failure(stream)
    assert not psutil.pid_exists(pid)
    await serves(fresh)


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
    assert "3 times" in str(error) and error.retry_s in range(36, 41) and f"in {error.retry_s} s" in str(error)
    with pytest.raises(EngineCrashed, match="3 times"):
        await fresh.ready()
    assert fresh.worker_pid is None and not fresh.live
    wait(40)
    await serves(fresh)
    await crash(fresh)  # the one attempt
    assert "4 times" in str(refusal(fresh))
    wait(60)
    async with asyncio.timeout(10):
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
    wait(59)
    refusal(fresh)
    wait(1)
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
        async with asyncio.timeout(5):
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
        async with asyncio.timeout(10):
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


async def test_the_worker_starts_without_a_loop_and_is_not_fooled_by_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the current directory')")
    monkeypatch.chdir(tmp_path)
    heard: list[float] = []

    def refuse(fraction: float) -> None:
        raise ZeroDivisionError

    service = await asyncio.to_thread(Service, settings())
    with pytest.raises(EngineError):
        _ = service.context
    with pytest.raises(EngineError, match="not loaded"):
        service.submit(ask(service, 1))
    await asyncio.sleep(0.2)  # messages that come before the loop listens are kept
    async with asyncio.timeout(10):
        *loaded, error = await asyncio.gather(
            service.ready(heard.append), service.ready(), service.ready(refuse), return_exceptions=True
        )
    assert loaded == [None, None] and isinstance(error, ZeroDivisionError)
    assert heard == sorted(heard) and heard[-1] == 1.0 and 50 < len(heard) <= 101
    assert service.context == CONTEXT
    await service.aclose()


async def test_close_ends_busy_streams_and_the_process(fresh: Service) -> None:
    stream = fresh.submit(ask(fresh, 5, most=None, endless=True))
    await first_tokens(stream)
    pid, began = fresh.worker_pid, time.monotonic()
    assert pid is not None
    await asyncio.gather(fresh.aclose(), fresh.aclose())
    _, end = await read(stream)
    assert isinstance(end, Failed) and "closed" in end.message
    assert not psutil.pid_exists(pid) and time.monotonic() - began < 2
    with pytest.raises(EngineClosed):
        fresh.submit(ask(fresh, 1))
    fresh.close()


async def test_close_kills_what_does_not_stop(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "STOP_S", 0.3)
    stream, pid = fresh.submit(ask(fresh, HANG)), fresh.worker_pid
    assert pid is not None
    await asyncio.sleep(0.1)
    thread = threading.Thread(target=fresh.close)
    thread.start()
    assert "closed" in await failure(stream)
    await fresh.aclose()
    assert not psutil.pid_exists(pid)  # the second one has waited too
    await asyncio.to_thread(thread.join)


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
    async with asyncio.timeout(5):
        with pytest.raises(EngineClosed):
            await waiting


async def test_what_is_sent_to_a_worker_that_has_just_ended_fails(fresh: Service) -> None:
    pid = fresh.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    hold_the_loop_until_gone(pid)
    assert "signal 9" in await failure(fresh.submit(ask(fresh, 1)))
    await serves(fresh)


async def test_close_before_the_loop_hears_of_a_crash(fresh: Service) -> None:
    pid = fresh.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    hold_the_loop_until_gone(pid)
    stream = fresh.submit(ask(fresh, 1))  # to a process that has ended
    fresh.close()
    fresh.close()
    assert "closed" in await failure(stream)


async def test_close_before_ready() -> None:
    service = await asyncio.to_thread(Service, settings("endless"))
    await service.aclose()
    await service.aclose()
    with pytest.raises(EngineClosed):
        await service.ready()
    with pytest.raises(EngineClosed):
        service.submit(ask(service, 1))


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


async def test_a_load_can_be_given_up() -> None:
    others = psutil.Process().children()
    task = asyncio.create_task(Service.start(settings("endless")))
    await asyncio.sleep(0.3)
    (worker,) = set(psutil.Process().children()) - set(others)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 1
    assert not worker.is_running()


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
    await asyncio.sleep(0.2)
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


async def test_a_long_prefix_survives_a_restart(tmp_path: Path) -> None:
    prompt = tuple(1 + i * i % 50 for i in range(300))
    for restored in (0, 299):
        service = await Service.start(settings(disk_cache=tmp_path))
        tokens, end = await read(service.submit(ask(service, *prompt)))
        await service.aclose()
        assert isinstance(end, Finished) and end.stats.restored_tokens == restored
        assert tokens == alone(GenerationRequest(1, prompt, max_tokens=30), CONTEXT)
