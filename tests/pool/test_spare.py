"""Whether a model of the pool may be asked without anybody's loss: what a route's shadow wants to know."""

import asyncio

from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from tests.pool.fleet import Fleet
from tests.pool.test_pool import GB, pool_of, until


async def _released(pool: ModelPool, name: str) -> None:
    async with pool.lease(name):
        pass


async def test_a_model_in_use_is_not_spare() -> None:
    async with pool_of(Fleet(), "ab", PoolSettings()) as pool:
        assert pool.spare("a") and pool.spare("b")  # not loaded, and there is room
        async with pool.lease("a"):
            assert not pool.spare("a") and pool.spare("b")
        assert pool.spare("a")
        assert pool.spare("nothing")  # whoever leases it hears that there is none


async def test_what_has_room_only_in_anothers_place_is_not_spare() -> None:
    async with pool_of(Fleet(), "ab", PoolSettings(max_loaded=1)) as pool:
        await _released(pool, "a")
        assert pool.spare("a") and not pool.spare("b")
        await pool.unload("a")
        assert pool.spare("b")
    async with pool_of(Fleet(total=10 * GB), "ab", PoolSettings(), memory=8 * GB) as pool:
        await _released(pool, "a")
        assert pool.spare("a") and not pool.spare("b")


async def test_who_waits_for_a_place_comes_first() -> None:
    settings = PoolSettings(max_loaded=1, patience_s=0.01)
    async with pool_of(Fleet(), "ab", settings) as pool:
        async with pool.lease("a"):
            waits = asyncio.create_task(_released(pool, "b"))
            await until(pool, "b", "waiting")
            assert not pool.spare("a") and not pool.spare("b")
        await waits
        assert pool.spare("b")
    assert pool.spare("a")  # closed: a lease says so
