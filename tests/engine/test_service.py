"""The service over its real worker process, with a fake model in it: streams, loading and the end."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from ggufrun.engine import pipe as pipe_module
from ggufrun.engine import service as service_module
from ggufrun.engine.service import Service
from ggufrun.engine.types import (
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptProgress,
    SamplingParams,
    Tokens,
)
from ggufrun.errors import EngineBusy, EngineClosed, EngineError
from tests.engine.harness import alone
from tests.engine.painted import asked, picture
from tests.engine.services import CONTEXT, ask, failure, first_tokens, read, settings, until
from tests.engine.worker_models import BAD_TOP_K, HANG, PRINT, RAISE

pytestmark = pytest.mark.process

shared_loop = pytest.mark.asyncio(loop_scope="module")


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
async def test_a_request_too_long_for_the_pipe_fails_alone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_module, "MAX_FRAME", 4000)
    pid = service.worker_pid
    running = service.submit(ask(service, 5, most=200, endless=True))
    await first_tokens(running)
    assert "over the limit" in await failure(service.submit(ask(service, *[1000] * 2000)))
    assert isinstance((await read(running))[1], Finished)
    assert service.worker_pid == pid


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
    for _ in range(50):  # its idle work comes first
        before = sum(process.cpu_times()[:2]), process.num_ctx_switches().voluntary
        await asyncio.sleep(0.2)
        after = sum(process.cpu_times()[:2]), process.num_ctx_switches().voluntary
        if after[0] - before[0] < 0.03 and after[1] - before[1] <= 5:
            return
    raise AssertionError("it does not come to rest")


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
    async with asyncio.timeout(60):
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
    process, pid = fresh._process, fresh.worker_pid
    assert process is not None and pid is not None
    await asyncio.gather(fresh.aclose(), fresh.aclose())
    _, end = await read(stream)
    assert isinstance(end, Failed) and "closed" in end.message
    assert not psutil.pid_exists(pid) and process.ending() == "exit status 0"  # and not killed
    with pytest.raises(EngineClosed):
        fresh.submit(ask(fresh, 1))
    fresh.close()


async def test_close_kills_what_does_not_stop(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "STOP_S", 0.1)
    stream, pid = fresh.submit(ask(fresh, HANG)), fresh.worker_pid
    assert pid is not None
    await asyncio.sleep(0.1)
    thread = threading.Thread(target=fresh.close)
    thread.start()
    assert "closed" in await failure(stream)
    await fresh.aclose()
    assert not psutil.pid_exists(pid)  # the second one has waited too
    await asyncio.to_thread(thread.join)


async def test_close_does_not_wait_for_a_picture_that_is_being_encoded(tmp_path: Path) -> None:
    service = await Service.start(settings("seeing_slowly", tmp_path / "began"))
    service.submit(asked(1, picture(1), [5]))
    await until((tmp_path / "began").exists)
    process = service._process
    assert process is not None
    await service.aclose()
    assert process.ending() == "exit status 0" and not process.given_up


async def test_close_before_ready() -> None:
    service = await asyncio.to_thread(Service, settings("endless"))
    await service.aclose()
    await service.aclose()
    with pytest.raises(EngineClosed):
        await service.ready()
    with pytest.raises(EngineClosed):
        service.submit(ask(service, 1))


async def test_a_load_can_be_given_up() -> None:
    others = psutil.Process().children()
    loading = asyncio.Event()
    task = asyncio.create_task(Service.start(settings("endless"), lambda _: loading.set()))
    await asyncio.wait_for(loading.wait(), 60)
    (worker,) = set(psutil.Process().children()) - set(others)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 30  # it would load for ten minutes
    assert not worker.is_running()


async def test_a_long_prefix_survives_a_restart(tmp_path: Path) -> None:
    prompt = tuple(1 + i * i % 50 for i in range(300))
    for restored in (0, 299):
        service = await Service.start(settings(disk_cache=tmp_path))
        tokens, end = await read(service.submit(ask(service, *prompt)))
        await service.aclose()
        assert isinstance(end, Finished) and end.stats.restored_tokens == restored
        assert tokens == alone(GenerationRequest(1, prompt, max_tokens=30), CONTEXT)
