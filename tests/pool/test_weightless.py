"""Offers that load nothing here, as a route is: they need no place, and hold none that another could take."""

import asyncio
from dataclasses import replace

from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from tests.pool.fleet import Fleet
from tests.pool.test_pool import until


def pool_with_route(fleet: Fleet, settings: PoolSettings) -> ModelPool:
    return ModelPool([fleet.offer("a"), fleet.offer("b"), replace(fleet.offer("route"), weightless=True)], settings)


async def test_it_takes_no_place() -> None:
    """A route holds none while its engines need the only one, one after the other."""
    pool = pool_with_route(Fleet(), PoolSettings(max_loaded=1, patience_s=0.01))
    async with asyncio.timeout(10), pool.lease("route"):
        async with pool.lease("a"):
            pass
        async with pool.lease("b"), pool.lease("route"):
            assert {model.info.name: model.state for model in pool.served()} == {
                "a": "unloaded",
                "b": "ready",
                "route": "ready",
            }
    await pool.close()


async def test_it_waits_for_no_place_and_is_not_closed_for_one() -> None:
    fleet = Fleet()
    pool = pool_with_route(fleet, PoolSettings(max_loaded=1, patience_s=0.01))
    async with asyncio.timeout(10), pool.lease("a"):
        waiting = asyncio.create_task(pool.load("b"))
        async with pool.lease("route"):  # although all places are taken, and another waits
            assert not waiting.done()
    await waiting
    assert fleet.closed == ["a"]  # the route stays, least recently used or not
    await pool.close()
    assert sorted(fleet.closed) == ["a", "b", "route"]


async def test_it_is_spare_while_others_fill_the_memory() -> None:
    pool = pool_with_route(Fleet(), PoolSettings(max_loaded=1))
    async with pool.lease("a"):
        assert not pool.spare("b") and pool.spare("route")
        async with pool.lease("route"):  # a busy one would have no shadow ever
            assert pool.spare("route")
            waiting = asyncio.create_task(pool.load("b"))
            await until(pool, "b", "waiting")
            assert pool.spare("route") and not pool.in_the_way("route") and pool.in_the_way("a")
    await waiting
    await pool.close()


async def test_it_can_be_unloaded_and_taken_out() -> None:
    fleet = Fleet()
    pool = pool_with_route(fleet, PoolSettings())
    await pool.load("route")
    await pool.unload("route")
    assert fleet.closed == ["route"]
    async with pool.lease("route"):
        pass
    await pool.remove("route")
    assert [model.info.name for model in pool.served()] == ["a", "b"]
    await pool.close()
