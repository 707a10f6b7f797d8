"""Models that come to a pool and leave it while it serves."""

import asyncio

import pytest

from ggufrun.errors import OptionError, UnknownModel
from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from tests.pool.fleet import Fleet


def names(pool: ModelPool) -> list[str]:
    return [model.info.name for model in pool.served()]


async def test_one_more_is_served_and_loaded_on_first_use() -> None:
    fleet = Fleet()
    pool = ModelPool([fleet.offer("a", aliases=("old",))], offer=fleet.offer)
    assert await pool.add("b") == "b" and names(pool) == ["a", "b"] and not fleet.loads
    async with pool.lease("b") as model:
        assert model.info.name == "b" and fleet.loads == ["b"]
    for taken in ("b", "old"):
        with pytest.raises(OptionError):
            await pool.add(taken)
    assert names(pool) == ["a", "b"]
    await pool.close()


async def test_what_leaves_answers_to_the_end_and_can_come_back() -> None:
    fleet = Fleet()
    pool = ModelPool([fleet.offer("a"), fleet.offer("b")], offer=fleet.offer)
    async with pool.lease("a"):
        leaving = asyncio.ensure_future(pool.remove("a"))
        await asyncio.sleep(0.01)
        assert names(pool) == ["b"] and not leaving.done() and not fleet.closed
        with pytest.raises(UnknownModel):
            async with pool.lease("a"):
                pass
    await leaving
    assert fleet.closed == ["a"]
    await pool.add("a")
    async with pool.lease("a"):
        assert fleet.loads == ["a", "a"]
    await pool.remove("b")  # never loaded
    assert names(pool) == ["a"]
    await pool.close()


async def test_who_waits_for_one_that_leaves_gets_it_once() -> None:
    fleet = Fleet(gates={"a": asyncio.Event()})
    pool = ModelPool([fleet.offer("a")], PoolSettings(max_loaded=1), offer=fleet.offer)

    async def use() -> str:
        async with pool.lease("a") as model:
            return model.info.name

    using = asyncio.ensure_future(use())
    await asyncio.sleep(0.01)
    leaving = asyncio.ensure_future(pool.remove("a"))
    await asyncio.sleep(0.01)
    leaving.cancel()  # who asked for it has left; it leaves all the same
    fleet.gates["a"].set()
    assert await using == "a"
    await asyncio.sleep(0.01)
    assert fleet.closed == ["a"] and not names(pool)
    await pool.close()
