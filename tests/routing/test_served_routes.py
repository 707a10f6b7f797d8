"""Routes in a pool, as their shadows see them: names that mean the same engine, and who would be in whose way"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from ggufrun.chat.types import TextRequest
from ggufrun.commandline.routes import Routes
from ggufrun.pool import turns
from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from ggufrun.routing.settings import RouteSettings, ShadowSettings
from tests.pool.fleet import Fleet
from tests.pool.test_pool import until

ROUTES = {
    "r": RouteSettings("r", ("a",), shadow=ShadowSettings("B-two", 1.0)),
    "pair": RouteSettings("pair", ("far", "b")),
    "outer": RouteSettings("outer", ("pair",), shadow=ShadowSettings("pair", 1.0)),
    "inner": RouteSettings("inner", ("b",), shadow=ShadowSettings("a", 1.0)),
    "last": RouteSettings("last", ("far",), shadow=ShadowSettings("inner", 1.0)),
}


@asynccontextmanager
async def serving(max_loaded: int) -> AsyncIterator[Routes]:
    fleet = Fleet()
    far = replace(fleet.offer("far"), weightless=True)
    offers = [fleet.offer("a"), fleet.offer("b", aliases=("b-two",)), far]
    routes = Routes(ROUTES, offers)
    routes.pool = pool = ModelPool([*offers, *routes.offers()], PoolSettings(max_loaded=max_loaded, patience_s=30))
    try:
        async with asyncio.timeout(30):
            yield routes
    finally:
        await pool.close()


async def test_aliases_mean_the_engine() -> None:
    async with serving(2) as routes:
        assert (routes.served("B-two"), routes.served("b"), routes.served("elsewhere")) == ("b", "b", "elsewhere")
        async with routes.lease("B-two") as model:
            assert model.info.name == "b"


async def test_a_route_is_spare_where_all_its_engines_are() -> None:
    async with serving(2) as routes:
        assert routes.spare("pair") and routes.spare("far")
        async with routes.lease("far"):
            assert routes.spare("far") and routes.spare("pair")  # whoever is in the way there is told so
        async with routes.lease("b"):
            assert not routes.spare("B-two") and not routes.spare("pair") and routes.spare("a")


async def test_who_has_a_place_is_in_the_way_of_who_waits_for_one() -> None:
    async with serving(1) as routes:
        assert routes.pool is not None
        async with routes.lease("b"), routes.lease("far"):
            assert not any(map(routes.in_the_way, ("a", "b", "far", "pair")))
            waiting = asyncio.create_task(routes.pool.load("a"))
            await until(routes.pool, "a", "waiting")
            assert [each for each in ("a", "B-two", "far", "pair") if routes.in_the_way(each)] == ["B-two", "pair"]
        await waiting
        assert not any(map(routes.in_the_way, ("a", "b", "far", "pair")))


async def test_what_is_asked_of_a_borrowed_route_is_borrowed_of_its_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_STAYS", 0.0)
    async with serving(1) as routes:
        with routes.wish("inner", time.monotonic()):
            assert routes.spare("inner")
            async with routes.borrow("inner") as model:
                assert await model.count_tokens(TextRequest("Hi")) == 10
            assert routes.spare("inner") and not routes.spare("a")
        with routes.wish("a", time.monotonic()):
            assert routes.spare("a")  # b was only borrowed, so its place can be had
        async with routes.lease("inner") as model:
            await model.count_tokens(TextRequest("Hi"))
        with routes.wish("a", time.monotonic()):
            assert not routes.spare("a")


async def test_a_borrowed_engine_is_known_by_all_its_names() -> None:
    async with serving(1) as routes, routes.borrow("B-two") as model:
        assert model.info.name == "b" and not routes.spare("pair")
