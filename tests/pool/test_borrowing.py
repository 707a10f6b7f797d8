"""Models that are only borrowed: whose place they may have, whose turn it is, and that no real call is put out"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from ggufrun.errors import OutOfMemory
from ggufrun.pool import turns
from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from tests.pool.fleet import Fleet
from tests.pool.test_pool import GB, LIMIT_S, pool_of, state, until, use

ONE = PoolSettings(max_loaded=1, patience_s=30)


@pytest.fixture(autouse=True)
def no_least_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_STAYS", 0.0)


@contextmanager
def wishing(pool: ModelPool, *names: str) -> Iterator[None]:
    """From now on."""
    with pool.wish(frozenset(names), time.monotonic()):
        yield


async def borrow(pool: ModelPool, name: str) -> None:
    with wishing(pool, name):
        async with pool.borrow(name) as model:
            assert model.info.name == name


async def test_a_borrowed_place_goes_to_the_next_who_borrows() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "ab", ONE) as pool:
        await borrow(pool, "a")
        assert not pool.spare("b")  # nobody wishes for it
        with wishing(pool, "b"):
            assert pool.spare("b") and not pool.spare("a")
            assert fleet.closed == []  # to ask changes nothing
            await borrow(pool, "b")
        assert (fleet.loads, fleet.closed, fleet.most) == (["a", "b"], ["a"], 1)
        assert pool.spare("b") and not pool.spare("a")


async def test_a_place_that_a_real_call_has_had_does_not() -> None:
    async with pool_of(Fleet(), "abc", ONE) as pool:
        with wishing(pool, "b"):
            await use(pool, "a")
            await borrow(pool, "a")
            assert not pool.spare("b")
        await pool.unload("a")
        await borrow(pool, "b")
        await use(pool, "b")  # from now on it is somebody's
        with wishing(pool, "a"):
            assert not pool.spare("a")
        await pool.unload("b")
        await pool.load("c", wait=False)  # somebody's, too
        await until(pool, "c", "ready")
        with wishing(pool, "a"):
            assert not pool.spare("a")


async def test_one_in_use_is_not_put_out() -> None:
    async with pool_of(Fleet(), "ab", ONE) as pool:
        async with pool.borrow("a"):
            with wishing(pool, "b"):
                assert not pool.spare("b")
                waits = asyncio.create_task(borrow(pool, "b"))
                await until(pool, "b", "waiting")
                assert not pool.in_the_way("a")  # who only borrows may wait
        await asyncio.wait_for(waits, LIMIT_S)
        assert state(pool, "b").state == "ready"


async def test_what_waited_when_it_came_is_answered_before_it_goes() -> None:
    async with pool_of(Fleet(), "ab", ONE) as pool:
        with ExitStack() as first, wishing(pool, "b"):
            first.enter_context(wishing(pool, "a"))
            await borrow(pool, "a")
            assert pool.spare("a") and not pool.spare("b")
            first.close()
            with wishing(pool, "a"):  # what came later may wait: the other has waited for longer
                assert pool.spare("b") and not pool.spare("a")


async def test_what_came_before_the_other_is_answered_first() -> None:
    async with pool_of(Fleet(), "ab", ONE) as pool:
        await borrow(pool, "a")
        with wishing(pool, "a"):
            await asyncio.sleep(0.001)  # the clock is to move on
            with wishing(pool, "b"):
                assert pool.spare("a") and not pool.spare("b")
        with wishing(pool, "b"):
            assert pool.spare("b") and not pool.spare("a")


async def test_it_stays_for_a_multiple_of_its_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_STAYS", 1e9)
    async with pool_of(Fleet(load_s=0.002), "ab", ONE) as pool:
        await borrow(pool, "a")
        with wishing(pool, "b"):
            assert pool.spare("a") and not pool.spare("b")
            monkeypatch.setattr(turns, "_STAYS", 0.0)
            assert not pool.spare("a") and pool.spare("b")


async def test_one_wish_for_several_is_not_in_its_own_way() -> None:
    """A shadow that is a route: it asks the second where the first fails."""
    async with pool_of(Fleet(), "abc", ONE) as pool:
        with wishing(pool, "a", "b"):
            async with pool.borrow("a"):
                pass
            assert pool.spare("a") and pool.spare("b")
            with wishing(pool, "c"):
                assert pool.spare("a") and not pool.spare("c")  # it came first
            async with pool.borrow("b"):
                pass


async def test_by_memory_as_many_go_as_have_to() -> None:
    fleet = Fleet(total=10 * GB)
    offers = [fleet.offer(name, size * GB) for name, size in (("a", 3), ("b", 3), ("c", 3), ("d", 6), ("e", 3))]
    pool = ModelPool(offers, PoolSettings(), fleet.available)
    await borrow(pool, "a")
    await borrow(pool, "b")
    await borrow(pool, "c")
    with wishing(pool, "e"):
        assert pool.spare("e") and not pool.spare("a") and pool.spare("b") and pool.spare("c")
    await use(pool, "a")
    with wishing(pool, "d"):
        assert pool.spare("d") and not pool.spare("b")
        await borrow(pool, "d")
    assert sorted(fleet.held) == ["a", "d"]
    await pool.close()


async def test_a_real_call_takes_a_borrowed_place_first() -> None:
    fleet = Fleet()
    async with pool_of(fleet, "abc", PoolSettings(max_loaded=2)) as pool:
        await use(pool, "a")
        await borrow(pool, "b")
        await use(pool, "c")
        assert fleet.closed == ["b"]


async def test_a_load_for_who_borrows_is_given_up_with_him() -> None:
    fleet = Fleet(gates={"a": asyncio.Event()})
    async with pool_of(fleet, "ab", ONE) as pool:
        borrows = asyncio.create_task(borrow(pool, "a"))
        await until(pool, "a", "loading")
        real = asyncio.create_task(use(pool, "b"))
        await until(pool, "b", "waiting")
        assert pool.in_the_way("a")
        borrows.cancel()
        await asyncio.wait_for(real, LIMIT_S)
        assert fleet.closed == ["a"]


async def test_a_real_call_goes_on_with_a_load_that_was_for_who_borrows() -> None:
    fleet = Fleet(gates={"a": asyncio.Event()})
    async with pool_of(fleet, "ab", ONE) as pool:
        borrows = asyncio.create_task(borrow(pool, "a"))
        await until(pool, "a", "loading")
        real = asyncio.create_task(use(pool, "a"))
        await asyncio.sleep(0)
        borrows.cancel()
        await asyncio.gather(borrows, return_exceptions=True)
        fleet.gates["a"].set()
        await asyncio.wait_for(real, LIMIT_S)
        assert fleet.loads == ["a"]
        with wishing(pool, "b"):
            assert not pool.spare("b")


async def test_who_borrows_waits_outside_the_queue() -> None:
    """A real call comes later, and has the place first."""
    fleet = Fleet()
    async with pool_of(fleet, "abc", ONE) as pool:
        async with pool.lease("a"):
            borrows = asyncio.create_task(borrow(pool, "b"))
            await until(pool, "b", "waiting")
            real = asyncio.create_task(use(pool, "c"))
            await until(pool, "c", "waiting")
        await asyncio.wait_for(real, LIMIT_S)
        assert state(pool, "b").state == "waiting" and fleet.loads == ["a", "c"]
        await pool.unload("c")
        await asyncio.wait_for(borrows, LIMIT_S)


async def test_a_real_call_comes_before_who_has_put_another_out() -> None:
    fleet = Fleet(close_s=0.05)
    async with pool_of(fleet, "abc", ONE) as pool:
        await borrow(pool, "a")
        borrows = asyncio.create_task(borrow(pool, "b"))
        await until(pool, "a", "unloading")
        await asyncio.wait_for(use(pool, "c"), LIMIT_S)
        assert fleet.loads == ["a", "c"]
        await pool.unload("c")
        await asyncio.wait_for(borrows, LIMIT_S)


async def test_one_that_does_not_fit_puts_only_borrowed_ones_out() -> None:
    full = OutOfMemory("It does not fit.")
    fleet = Fleet(failures={"c": [full, full, full]})
    async with pool_of(fleet, "abc", PoolSettings()) as pool:
        await use(pool, "a")
        with pytest.raises(OutOfMemory):
            await borrow(pool, "c")
        assert sorted(fleet.held) == ["a"]
        await borrow(pool, "b")
        with pytest.raises(OutOfMemory):
            await borrow(pool, "c")
        assert sorted(fleet.held) == ["a"] and fleet.loads == ["a", "c", "b", "c", "c"]
