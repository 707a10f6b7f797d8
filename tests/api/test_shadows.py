"""/ggufrun/v1/shadow: what real and shadow answers add up to, the pairs one by one, and who may see them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import httpx

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.manage.shadow_desk import ShadowDesk
from ggufrun.commandline.shadowing import interval
from ggufrun.records.keys import KeyStore
from ggufrun.records.shadows import ShadowStore
from ggufrun.routing.shadow import Counts, ShadowState
from tests.api.scripted import PlayedModel, client_of
from tests.api.test_guard import ANSWER
from tests.routing.test_shadow_store import PAIR

SHADOW = "/ggufrun/v1/shadow"
RUNNING = ShadowState("route", "shadow", 0.25, 2, Counts(kept=3, failed=1, dropped=7, same=4))


def shadow_desk(folder: Path) -> ShadowDesk:
    """Three pairs: one differs, one agrees, one has failed."""
    store = ShadowStore(folder / "shadows.db")
    for kind in ("different", "text", "failed"):
        store.add(replace(PAIR, agreement=kind, question="q" * 500))
    store.close()
    return ShadowDesk(store, interval, lambda: [RUNNING])


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, KeyStore]]:
    with closing(KeyStore(folder / "ggufrun.db")) as keys:
        gateway = replace(gateway_for(PlayedModel(ANSWER)), keys=keys, shadows=shadow_desk(folder))
        async with client_of(create_app(gateway)) as client:
            yield client, keys


async def test_a_summary_says_what_is_kept_and_what_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        body = (await client.get(SHADOW)).raise_for_status().json()
        (running,), (pair,) = body["running"], body["data"]
        assert running == {
            "route": "route",
            "engine": "shadow",
            "share": 0.25,
            "waiting": 2,
            "kept": 3,
            "failed": 1,
            "dropped": 7,
            "same": 4,
            "lost": 0,
        }
        assert (pair["compared"], pair["failed"], pair["agreed"], pair["share"]) == (2, 1, 1, 0.5)
        assert 0 < pair["share_lo"] < 0.5 < pair["share_hi"] < 1 and pair["last"].endswith("Z")
        assert pair["real"]["engine"] == "real" and pair["shadow"]["prompt_tokens"] == 20
        for query in ({"route": "other"}, {"since": "2026-01-01T00:00:00"}):
            assert (await client.get(SHADOW, params=query)).json()["data"] == []


async def test_pairs_are_listed_and_shown_whole(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        first = (await client.get(f"{SHADOW}/pairs", params={"limit": 2})).json()
        assert [each["agreement"] for each in first["data"]] == ["failed", "text"]
        assert first["data"][0]["question"] == "q" * 300 and first["data"][0]["real"]["tool_calls"] == []
        rest = (await client.get(f"{SHADOW}/pairs", params={"limit": 2, "before": first["next"]})).json()
        assert [each["agreement"] for each in rest["data"]] == ["different"] and rest["next"] is None
        differing = (await client.get(f"{SHADOW}/pairs", params={"differing": True})).json()["data"]
        assert [each["id"] for each in differing] == [rest["data"][0]["id"]]
        whole = (await client.get(f"{SHADOW}/pairs/{differing[0]['id']}")).json()
        assert whole["question"] == "q" * 500 and whole["shadow"]["text"] == "Hello you"
        assert whole["real"]["tool_calls"] == [{"name": "weather", "arguments": '{"city": "Paris"}'}]
        assert (await client.get(f"{SHADOW}/pairs/99")).status_code == 404
        assert (await client.get(f"{SHADOW}/pairs/none")).status_code == 422


async def test_they_are_forgotten(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        assert (await client.delete(SHADOW, params={"route": "other"})).json() == {"cleared": 0}
        assert (await client.delete(SHADOW)).json() == {"cleared": 3}
        assert (await client.get(SHADOW)).json()["data"] == []


async def test_only_who_manages_may_see_or_forget_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, keys):
        anna, chief = keys.add("anna"), keys.add("chief", "admin")
        for method, path in (("GET", ""), ("GET", "/pairs"), ("GET", "/pairs/1"), ("DELETE", "")):
            for secret, status in ((anna, 403), ("wrong", 401)):
                headers = {"Authorization": f"Bearer {secret}"}
                assert (await client.request(method, SHADOW + path, headers=headers)).status_code == status
        reply = await client.get(f"{SHADOW}/pairs/1", headers={"Authorization": f"Bearer {chief}"})
        assert reply.status_code == 200


async def test_a_server_that_keeps_none_says_so() -> None:
    async with client_of(create_app(gateway_for(PlayedModel(ANSWER)))) as client:
        reply = await client.get(SHADOW)
        assert reply.status_code == 400 and "keeps no shadow answers" in reply.text
