"""The pool of models, over openers that pretend: who is loaded when, who waits, who must go."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ggufrun.chat.types import ChatModel
from ggufrun.errors import EngineClosed, EngineError, ModelLoading, OptionError, OutOfMemory
from ggufrun.pool.budget import Budget
from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from ggufrun.pool.served import ServedModel
from tests.pool.fleet import FakeModel, Fleet

GB = 1 << 30
LIMIT_S = 60.0  # before a wait is given up: a loaded machine may take its time


@asynccontextmanager
async def pool_of(fleet: Fleet, names: str, settings: PoolSettings, memory: int = 0) -> AsyncIterator[ModelPool]:
    pool = ModelPool([fleet.offer(name, memory) for name in names], settings, fleet.available)
    try:
        yield pool
    finally:
        await asyncio.wait_for(pool.close(), LIMIT_S)
        assert not fleet.held


def state(pool: ModelPool, name: str) -> ServedModel:
    return next(model for model in pool.served() if model.info.name == name)


async def until(pool: ModelPool, name: str, wanted: str) -> None:
    for _ in range(12_000):
        if state(pool, name).state == wanted:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{name} is {state(pool, name).state}, not {wanted}")


def alive(model: ChatModel) -> bool:
    return isinstance(model, FakeModel) and not model.closed


async def use(pool: ModelPool, name: str, seconds: float = 0.0) -> None:
    async with pool.lease(name) as model:
        assert model.info.name == name and alive(model)
        await asyncio.sleep(seconds)
        assert alive(model)


async def test_loaded_on_first_use_and_shared() -> None:
    fleet = Fleet(load_s=0.05)
    async with pool_of(fleet, "ab", PoolSettings()) as pool:
        assert [model.state for model in pool.served()] == ["unloaded", "unloaded"]
        await asyncio.gather(*(use(pool, "a") for _ in range(20)))
        assert fleet.loads == ["a"]
        assert (state(pool, "a").state, state(pool, "a").active) == ("ready", 0)
        assert state(pool, "a").idle_s is not None and state(pool, "b").idle_s is None


async def test_the_least_recently_used_goes() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "abc", PoolSettings(max_loaded=2)) as pool:
        for name in "abac":
            await use(pool, name, 0.002)
        assert (fleet.closed, fleet.most) == (["b"], 2)
        assert [model.state for model in pool.served()] == ["ready", "unloaded", "ready"]


async def test_a_used_model_stays_and_the_new_one_waits() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "ab", PoolSettings(max_loaded=1)) as pool:
        async with pool.lease("a") as model:
            second = asyncio.create_task(use(pool, "b"))
            await asyncio.sleep(0.05)
            assert alive(model) and not second.done() and fleet.loads == ["a"]
            assert state(pool, "b").state == "waiting"
            await asyncio.wait_for(use(pool, "a"), LIMIT_S)  # for a while the others go on as if nobody waited
        await asyncio.wait_for(second, LIMIT_S)


async def test_past_the_timeout_it_is_loading_and_the_load_goes_on() -> None:
    fleet = Fleet(gates={"a": asyncio.Event()})
    async with pool_of(fleet, "a", PoolSettings(load_timeout_s=0.05)) as pool:
        with pytest.raises(ModelLoading) as caught:
            await use(pool, "a")
        assert caught.value.retry_s >= 1
        assert (state(pool, "a").state, state(pool, "a").progress, state(pool, "a").active) == ("loading", 0.5, 0)
        fleet.gates["a"].set()
        await until(pool, "a", "ready")
        await use(pool, "a")
        assert fleet.loads == ["a"]


async def test_a_waiter_that_leaves_frees_its_wait_only() -> None:
    fleet = Fleet(gates={"a": asyncio.Event()})
    async with pool_of(fleet, "a", PoolSettings()) as pool:
        waiters = [asyncio.create_task(use(pool, "a")) for _ in range(3)]
        await until(pool, "a", "loading")
        waiters[0].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert state(pool, "a").active == 2
        fleet.gates["a"].set()
        await asyncio.wait_for(asyncio.gather(*waiters[1:]), LIMIT_S)
        assert waiters[0].cancelled() and fleet.loads == ["a"]


async def test_a_failed_load_is_told_to_all_and_can_be_tried_again() -> None:
    fleet = Fleet(load_s=0.02, failures={"a": [OptionError("It cannot be.", "Do something else.")]})
    async with pool_of(fleet, "a", PoolSettings()) as pool:
        told = await asyncio.gather(*(use(pool, "a") for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in told] == [OptionError] * 3
        await until(pool, "a", "failed")
        assert state(pool, "a").error == "It cannot be. Do something else."
        await use(pool, "a")
        assert (state(pool, "a").state, state(pool, "a").error) == ("ready", "")


async def test_a_bug_in_an_opener_is_told_without_its_text() -> None:
    fleet = Fleet(failures={"a": [ValueError("/secret/path")]})
    async with pool_of(fleet, "a", PoolSettings()) as pool:
        with pytest.raises(ValueError, match="secret"):
            await use(pool, "a")
        await until(pool, "a", "failed")
        assert "secret" not in state(pool, "a").error


async def test_idle_models_are_unloaded_after_their_time() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "ab", PoolSettings(ttl_s=0.1)) as pool:
        await pool.load("b", wait=False)
        async with pool.lease("a"):
            await asyncio.sleep(0.2)
            assert state(pool, "a").state == "ready"  # its time begins when it is idle
            assert state(pool, "b").state == "unloaded"  # nobody ever came
        await use(pool, "a")
        assert state(pool, "a").state == "ready"
        await until(pool, "a", "unloaded")
        assert fleet.closed == ["b", "a"]


async def test_a_request_in_time_starts_the_time_anew() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "a", PoolSettings(ttl_s=0.15)) as pool:
        await use(pool, "a")
        await asyncio.sleep(0.05)
        await use(pool, "a", 0.2)
        assert state(pool, "a").state == "ready"
        await until(pool, "a", "unloaded")


async def test_unload_waits_for_the_requests_and_new_ones_load_again() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "a", PoolSettings()) as pool:
        async with pool.lease("a") as model:
            unloading = asyncio.create_task(pool.unload("a"))
            await until(pool, "a", "unloading")
            late = asyncio.create_task(use(pool, "a"))
            await asyncio.sleep(0.02)
            assert alive(model) and not unloading.done() and not late.done()
        await asyncio.wait_for(asyncio.gather(unloading, late), LIMIT_S)
        assert (fleet.loads, fleet.closed) == (["a", "a"], ["a"])
        await pool.unload("a")
        await pool.unload("a")
        assert state(pool, "a").state == "unloaded"


async def test_a_load_that_nobody_waits_for_can_be_given_up() -> None:
    fleet = Fleet(gates={"a": asyncio.Event()})
    async with pool_of(fleet, "a", PoolSettings()) as pool:
        await pool.load("a", wait=False)
        await until(pool, "a", "loading")
        await asyncio.wait_for(pool.unload("a"), LIMIT_S)
        assert state(pool, "a").state == "unloaded" and not fleet.held


async def test_room_is_made_by_memory() -> None:
    fleet = Fleet(total=10 * GB)
    async with pool_of(fleet, "abc", PoolSettings(), memory=4 * GB) as pool:
        for name in "abc":
            await use(pool, name, 0.002)
        assert (fleet.closed, fleet.most) == (["a"], 2)


async def test_models_that_load_at_once_count_each_other() -> None:
    fleet = Fleet(load_s=0.02, total=10 * GB)
    async with pool_of(fleet, "abc", PoolSettings(), memory=4 * GB) as pool:
        await asyncio.gather(*(use(pool, name) for name in "abc"))
        assert fleet.most == 2


async def test_one_that_never_fits_is_tried_alone() -> None:
    fleet = Fleet(total=3 * GB, failures={"a": [OutOfMemory("It does not fit.")]})
    async with pool_of(fleet, "a", PoolSettings(), memory=4 * GB) as pool:
        with pytest.raises(OutOfMemory):
            await use(pool, "a")
        await use(pool, "a")  # the guess was wrong: it fits


async def test_out_of_memory_unloads_the_idle_and_tries_once_more() -> None:
    full = OutOfMemory("It does not fit.")
    fleet = Fleet(failures={"c": [full]})
    async with pool_of(fleet, "abc", PoolSettings()) as pool:
        await use(pool, "a")
        async with pool.lease("b"):
            await use(pool, "c")
            assert (fleet.closed, fleet.loads) == (["c", "a"], ["a", "b", "c", "c"])
            fleet.failures["a"] = [full, full]
            with pytest.raises(OutOfMemory):
                await use(pool, "a")  # c was idle and went
            assert sorted(fleet.held) == ["b"]


async def test_a_busy_model_makes_room_in_the_end() -> None:
    """Requests that overlap for ever do not keep another model out."""
    fleet = Fleet()
    async with pool_of(fleet, "ab", PoolSettings(max_loaded=1, patience_s=0.05)) as pool:
        stop = asyncio.Event()

        async def again_and_again(offset: float) -> None:
            await asyncio.sleep(offset)
            while not stop.is_set():
                await use(pool, "a", 0.02)

        crowd = [asyncio.create_task(again_and_again(0.007 * n)) for n in range(3)]
        await until(pool, "a", "ready")
        await asyncio.wait_for(use(pool, "b"), LIMIT_S)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*crowd), LIMIT_S)


async def test_close_ends_everything() -> None:
    fleet = Fleet(gates={"b": asyncio.Event()})
    pool = ModelPool([fleet.offer(name) for name in "abc"], PoolSettings(max_loaded=2))
    async with pool.lease("a") as model:
        loading, waiting = asyncio.create_task(use(pool, "b")), asyncio.create_task(use(pool, "c"))
        await until(pool, "b", "loading")
        await asyncio.wait_for(pool.close(), LIMIT_S)
        assert not alive(model) and not fleet.held
        ends = await asyncio.gather(loading, waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [EngineClosed, EngineClosed]
    with pytest.raises(EngineClosed):
        await use(pool, "a")
    await pool.close()


def test_mapped_weights_count_although_they_look_available() -> None:
    now = [10]
    budget = Budget(lambda: now[0])
    assert budget.free(0, 0) == 10
    assert budget.free(6, 0) == 4  # the system still says 10: the pages of a mapped file can be dropped
    assert budget.free(6, 3) == 1
    now[0] = 2  # another program took some
    assert budget.free(4, 0) == 2
    now[0] = 20
    assert budget.free(0, 0) == 20
    assert Budget(lambda: None).free(0, 0) is None


@pytest.mark.parametrize("seed", range(8))
async def test_random_traffic(seed: int) -> None:
    """No lease ever sees a closed model, never are more loaded than allowed, and every waiter ends."""
    chance = random.Random(seed)
    most = chance.choice((1, 2))
    fleet = Fleet(load_s=0.004, close_s=0.002, total=None if seed % 2 else 9 * GB)
    fleet.failures = {"b": [OutOfMemory("Full."), OptionError("Broken.")] * 3}
    settings = PoolSettings(
        most, ttl_s=chance.choice((0.0, 0.006)), load_timeout_s=chance.choice((0.02, 5)), patience_s=0.02
    )
    ends: list[str] = []

    async def arrive(pool: ModelPool) -> None:
        name = chance.choice("abc")
        await asyncio.sleep(chance.random() * 0.25)
        try:
            what = chance.random()
            if what < 0.05:
                await pool.unload(name)
            elif what < 0.1:
                await pool.load(name, wait=chance.random() < 0.5)
            else:
                await asyncio.wait_for(use(pool, name, chance.random() * 0.01), 0.005 if what > 0.9 else 10)
            ends.append("fine")
        except (EngineError, OptionError, OutOfMemory, TimeoutError) as error:
            ends.append(type(error).__name__)

    async with pool_of(fleet, "abc", settings, memory=4 * GB) as pool:
        await asyncio.wait_for(asyncio.gather(*(arrive(pool) for _ in range(200))), LIMIT_S)
        assert all(model.active == 0 for model in pool.served())
    assert len(ends) == 200 and fleet.most <= most and "EngineClosed" not in ends, Counter(ends)
    assert ends.count("fine") > (0 if settings.load_timeout_s < 1 else 80), Counter(ends)
