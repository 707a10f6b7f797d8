"""A worker that dies or stalls in the middle of an answer: what is said, and that the model comes back with it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.engine.outside import EngineWaits
from ggufrun.errors import EngineCrashed, OptionError
from ggufrun.rpc.wire import WorkerFault
from ggufrun.settings import ModelOverrides
from tests.program import free_port
from tests.rpc.asking import answer, broken, opened, recovered
from tests.rpc.lent import HELLO, LentMachine, answering

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))


async def test_a_worker_that_dies_and_one_that_stalls(addon: Path | None, tiny_model: Callable[[str], Path]) -> None:
    port = free_port()
    overrides = ModelOverrides(rpc=(f"127.0.0.1:{port}",), context=2048, threads=1, rpc_timeout_s=5.0)
    machine = LentMachine(port=port).__enter__()
    try:
        async with opened(tiny_model("llama-tiny"), overrides) as model:
            before = await answer(model, "Hello")
            error = await broken(model, machine.kill)
            assert isinstance(error, EngineCrashed) and machine.address in error.message
            with pytest.raises(EngineWaits) as waits:
                await answer(model, "Hello")
            assert f"{machine.address} is not there" in waits.value.message
            assert "by itself when that is back" in waits.value.hint

            machine = LentMachine(port=port).__enter__()
            await recovered(model)
            assert await answer(model, "Hello") == before

            error = await broken(model, machine.pause)
            assert "no step came to its end in" in error.message and f"{machine.address} has stalled" in error.message
            with pytest.raises(EngineWaits, match="busy, or stuck"):
                await answer(model, "Hello")
            machine.resume()
            await recovered(model)
            assert await answer(model, "Hello") == before
    finally:
        machine.__exit__()


async def test_what_is_no_worker_is_said_before_anything_is_loaded(
    addon: Path | None, tiny_model: Callable[[str], Path]
) -> None:
    path = tiny_model("llama-tiny")
    nobody = f"127.0.0.1:{free_port()}"
    with answering(HELLO.pack(28, 9, 0, 0, bytes(24))) as newer, answering(b"HTTP/1.1 400 Bad Request\r\n") as other:
        for address, words in ((nobody, "nobody listens"), (newer, "version 9.0.0"), (other, "something else")):
            with pytest.raises(WorkerFault, match=words):
                async with opened(path, ModelOverrides(rpc=(address,))):
                    pass
        with pytest.raises(OptionError, match="public address"):
            async with opened(path, ModelOverrides(rpc=("8.8.8.8:50052",))):
                pass


@pytest.mark.slow
async def test_a_worker_that_is_in_use_is_said_and_can_be_had_afterwards(
    lent: LentMachine, tiny_model: Callable[[str], Path]
) -> None:
    overrides = ModelOverrides(rpc=(lent.address,), context=2048, threads=1)
    async with opened(tiny_model("llama-tiny"), overrides):
        with pytest.raises(WorkerFault, match="it is busy"):
            async with opened(tiny_model("llama-tiny"), overrides):
                pass
    await asyncio.sleep(0)
    async with opened(tiny_model("llama-tiny"), overrides) as model:
        await answer(model, "Hello")
