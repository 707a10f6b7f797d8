"""GET /ggufrun/v1/calls: who sees which calls, and page by page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from ggufrun.api.app import create_app, gateway_for
from ggufrun.records.database import connect
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from tests.api.entries import entry, until_written
from tests.api.scripted import PlayedModel, client_of
from tests.api.test_guard import ANSWER

CALLS = "/ggufrun/v1/calls"


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, KeyStore]]:
    """A server that has recorded six calls: of anna, of ben and of nobody, in turn."""
    with closing(KeyStore(path)) as keys, closing(Ledger(path)) as ledger:
        for number in range(6):
            ledger.record(entry(key=("anna", "ben", "")[number % 3], completion_tokens=number, usd=number / 8))
        until_written(path, 6)
        gateway = replace(gateway_for(PlayedModel(ANSWER)), keys=keys, ledger=ledger)
        async with client_of(create_app(gateway)) as client:
            yield client, keys


async def listed(client: httpx.AsyncClient, secret: str = "", **query: Any) -> list[int]:
    """The tokens of the calls, which tell them apart here."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    reply = await client.get(CALLS, params=query, headers=headers)
    assert reply.status_code == 200, reply.text
    return [call["completion_tokens"] for call in reply.json()["data"]]


async def test_a_key_sees_its_own_and_who_manages_sees_all(tmp_path: Path) -> None:
    async with serving(tmp_path / "ggufrun.db") as (client, keys):
        assert await listed(client) == [5, 4, 3, 2, 1, 0]  # before there are keys
        anna, chief = keys.add("anna"), keys.add("chief", "admin")
        assert await listed(client, anna) == [3, 0]
        assert await listed(client, chief) == [5, 4, 3, 2, 1, 0]
        assert (await client.get(CALLS)).status_code == 401


async def test_pages_follow_each_other(tmp_path: Path) -> None:
    async with serving(tmp_path / "ggufrun.db") as (client, _):
        first = (await client.get(CALLS, params={"limit": 4})).json()
        assert [call["usd"] for call in first["data"]] == [5 / 8, 4 / 8, 3 / 8, 2 / 8]
        rest = (await client.get(CALLS, params={"limit": 4, "before": first["next"]})).json()
        assert [call["completion_tokens"] for call in rest["data"]] == [1, 0] and rest["next"] is None
        assert first["data"][0]["time"].endswith("Z") and "prompt" not in first["data"][0]


async def test_no_calls_are_an_empty_list(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    async with serving(path) as (client, _):
        with closing(connect(path)) as database:
            database.execute("DELETE FROM calls")
        assert await listed(client) == []
        assert (await client.get(CALLS, params={"limit": 0})).status_code == 422
