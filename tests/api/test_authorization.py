"""Who may call: without keys, with them, with other people's, and when they change while the server runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter

from ggufrun.api.app import create_api, gateway_for
from ggufrun.api.calls.call import Administered
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from tests.api.scripted import PlayedModel, client_of, listening
from tests.api.test_guard import ANSWER, CHAT, HELLO
from tests.program import at_home, run_ggufrun

pytestmark = pytest.mark.process

HOME_FILE = "ggufrun.db"


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@asynccontextmanager
async def serving(
    path: Path, settings: ServerSettings | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, KeyStore]]:
    model = PlayedModel(ANSWER)
    with closing(KeyStore(path)) as keys, closing(Ledger(path)) as ledger:
        gateway = replace(gateway_for(model, settings), keys=keys, ledger=ledger)
        async with listening(model, gateway) as client:
            yield client, keys


async def test_without_keys_any_or_none_works(tmp_path: Path) -> None:
    async with serving(tmp_path / HOME_FILE) as (client, _):
        for headers in (
            {},
            bearer("anything"),
            {"Authorization": "Basic eDp5"},
            {"x-api-key": "k"},
            {"Authorization": "Bearer"},
        ):
            assert (await client.post(CHAT, json=HELLO, headers=headers)).status_code == 200


async def test_with_keys_only_they_work(tmp_path: Path) -> None:
    async with serving(tmp_path / HOME_FILE) as (client, keys):
        secret = keys.add("a")
        for headers in ({}, bearer("gr-wrong"), bearer(secret[:-1]), {"Authorization": f"Basic {secret}"}, bearer("a")):
            reply = await client.post(CHAT, json=HELLO, headers=headers)
            assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
            assert reply.json()["error"]["code"] == "invalid_api_key" and secret not in reply.text
        for headers in (bearer(secret), {"x-api-key": secret}, {**bearer("theirs"), "x-api-key": secret}):
            assert (await client.post(CHAT, json=HELLO, headers=headers)).status_code == 200
        assert (await client.get("/health")).status_code == 200


async def test_a_running_server_knows_at_once_what_the_command_line_did(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        done = run_ggufrun(*arguments, environment=at_home(tmp_path))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async with serving(tmp_path / HOME_FILE) as (client, _):
        secret = said("keys", "add", "ci", "--models", "played,other", "--tokens-per-day", "500")
        assert (await client.post(CHAT, json=HELLO)).status_code == 401
        assert (await client.post(CHAT, json=HELLO, headers=bearer(secret))).status_code == 200
        said("keys", "revoke", "ci")
        assert (await client.post(CHAT, json=HELLO, headers=bearer(secret))).status_code == 401
        assert (await client.post(CHAT, json=HELLO)).status_code == 401
        said("keys", "clear")
        assert (await client.post(CHAT, json=HELLO)).status_code == 200


async def test_a_server_that_others_reach_never_opens(tmp_path: Path) -> None:
    async with serving(tmp_path / HOME_FILE, ServerSettings(loopback=False)) as (client, keys):
        secret = keys.add("a")
        assert (await client.post(CHAT, json=HELLO, headers=bearer(secret))).status_code == 200
        keys.clear()
        for headers in ({}, bearer(secret)):
            assert (await client.post(CHAT, json=HELLO, headers=headers)).status_code == 401


async def test_a_key_for_other_models_is_403(tmp_path: Path) -> None:
    async with serving(tmp_path / HOME_FILE) as (client, keys):
        other, own = keys.add("a", models=["other"]), keys.add("b", models=["PLAYED"])
        reply = await client.post(CHAT, json=HELLO, headers=bearer(other))
        assert reply.status_code == 403 and reply.json()["type"] == "permission_error"
        assert (await client.post(CHAT, json=HELLO, headers=bearer(own))).status_code == 200


async def test_a_key_whose_tokens_are_used_up_is_429(tmp_path: Path) -> None:
    async with serving(tmp_path / HOME_FILE) as (client, keys):
        secret, other = keys.add("a", tokens_per_day=20), keys.add("b", tokens_per_day=20)
        statuses = [(await client.post(CHAT, json=HELLO, headers=bearer(secret))).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]  # 11 tokens each
        assert (await client.post(CHAT, json=HELLO, headers=bearer(other))).status_code == 200


async def test_only_an_admin_key_manages(tmp_path: Path) -> None:
    router = APIRouter()

    @router.get("/manage")
    async def manage(gateway: Administered) -> str:
        return gateway.version

    with closing(KeyStore(tmp_path / HOME_FILE)) as keys:
        gateway: Gateway = replace(gateway_for(PlayedModel(ANSWER)), keys=keys)
        app = create_api(gateway)
        app.include_router(router)
        async with client_of(app) as client:
            assert (await client.get("/manage")).status_code == 200
            chat, admin = keys.add("c"), keys.add("a", "admin")
            assert (await client.get("/manage")).status_code == 401
            refused = await client.get("/manage", headers=bearer(chat))
            assert refused.status_code == 403 and "--scope admin" in refused.json()["message"]
            assert (await client.get("/manage", headers=bearer(admin))).status_code == 200
            assert (await client.post(CHAT, json=HELLO, headers=bearer(admin))).status_code == 200


async def test_neither_prompts_nor_keys_are_in_the_database(tmp_path: Path) -> None:
    async with serving(tmp_path / HOME_FILE) as (client, keys):
        secret = keys.add("a")
        assert (await client.post(CHAT, json=HELLO, headers=bearer(secret))).status_code == 200
        assert (await client.post(CHAT, json=HELLO, headers=bearer("gr-wrong-key"))).status_code == 401
    data = everything_in(tmp_path)
    assert b"played" in data
    for hidden in (secret, secret[3:], "gr-wrong-key", "swordfish", "carp"):
        assert hidden.encode() not in data


@pytest.mark.parametrize("kept", [False, True])
async def test_prompts_are_in_the_ledger_where_that_is_wanted(tmp_path: Path, kept: bool) -> None:
    async with serving(tmp_path / HOME_FILE, ServerSettings(log_prompts=kept)) as (client, _):
        assert (await client.post(CHAT, json=HELLO)).status_code == 200
    data = everything_in(tmp_path)
    assert (b"swordfish" in data, b"carp" in data) == (kept, kept)
