"""Answers that do not end: their models stay of use, others get their turn, and who has left puts nobody out."""

import asyncio
import contextlib

import pytest

from ggufrun.errors import ModelLoading
from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from tests.pool.fleet import Fleet
from tests.pool.test_pool import GB, LIMIT_S, alive, pool_of, state, until, use

pytestmark = pytest.mark.process

HASTY = PoolSettings(max_loaded=1, patience_s=0.02, load_timeout_s=0.1)


async def test_a_model_whose_answer_does_not_end_takes_requests_again() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "ab", HASTY) as pool, pool.lease("a") as model:
        for _ in range(2):
            asked = asyncio.create_task(use(pool, "b"))
            await until(pool, "a", "unloading")
            with pytest.raises(ModelLoading):
                await asyncio.wait_for(asked, LIMIT_S)
            await asyncio.wait_for(use(pool, "a"), LIMIT_S)
        assert alive(model) and fleet.loads == ["a"]


async def test_requests_that_came_meanwhile_get_the_model_that_stayed() -> None:
    """Also while others go on wanting its place."""
    fleet = Fleet()
    settings = PoolSettings(max_loaded=1, patience_s=0.02, load_timeout_s=0.3)
    async with pool_of(fleet, "ab", settings) as pool, pool.lease("a") as model:
        wanting = asyncio.create_task(pool.load("b"))
        await until(pool, "a", "unloading")
        late = [asyncio.create_task(use(pool, "a")) for _ in range(3)]
        await asyncio.wait_for(asyncio.gather(*late), LIMIT_S)
        assert alive(model) and fleet.loads == ["a"] and not wanting.done()
        assert state(pool, "a").active == 1
        wanting.cancel()


async def test_a_wish_ends_with_the_last_one_who_waits() -> None:
    fleet = Fleet()
    settings = PoolSettings(max_loaded=1, patience_s=0.05, load_timeout_s=5)
    async with pool_of(fleet, "ab", settings) as pool:
        async with pool.lease("a") as model:
            for wait_s in (0.02, 0.1):  # before the other one is to make room, and while it does
                asked = asyncio.create_task(use(pool, "b"))
                await asyncio.sleep(wait_s)
                asked.cancel()
                await until(pool, "b", "unloaded")
                await asyncio.sleep(0.1)
                assert alive(model) and state(pool, "a").state == "ready"
                await asyncio.wait_for(use(pool, "a"), LIMIT_S)
        await asyncio.sleep(0.05)
        assert fleet.loads == ["a"]


async def test_a_load_that_was_ordered_waits_without_anybody() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "ab", HASTY) as pool:
        async with pool.lease("a"):
            await pool.load("b", wait=False)
            with contextlib.suppress(ModelLoading):
                await use(pool, "b")
            assert state(pool, "b").state == "waiting"
        await until(pool, "b", "ready")


async def test_one_that_finds_no_place_lets_a_smaller_one_in() -> None:
    fleet = Fleet(total=10 * GB)
    offers = [fleet.offer(name, size * GB) for name, size in (("a", 6), ("big", 6), ("small", 2))]
    pool = ModelPool(offers, PoolSettings(patience_s=0.02, load_timeout_s=0.2), fleet.available)
    try:
        async with pool.lease("a") as model:
            wanting = asyncio.create_task(pool.load("big"))  # for as long as it takes
            await until(pool, "a", "unloading")
            loading = asyncio.create_task(pool.load("small"))
            await asyncio.wait_for(loading, LIMIT_S)
            assert alive(model) and not wanting.done() and "big" not in fleet.loads
        await asyncio.wait_for(wanting, LIMIT_S)
    finally:
        await asyncio.wait_for(pool.close(), LIMIT_S)


async def test_unloading_by_hand_is_not_taken_back() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "ab", HASTY) as pool:
        async with pool.lease("a"):
            asked = asyncio.create_task(use(pool, "b"))
            await until(pool, "a", "unloading")
            await pool.unload("a", wait=False)
            with pytest.raises(ModelLoading):
                await asyncio.wait_for(asked, LIMIT_S)
            await asyncio.sleep(0.05)
            assert state(pool, "a").state == "unloading"
        await until(pool, "a", "unloaded")
