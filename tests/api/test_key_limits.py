"""What keys allow, and changing them: the day's tokens of calls that run, models of others, a file that is held."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.gateway import Gateway
from ggufrun.chat.types import TextDelta
from ggufrun.cli import main
from ggufrun.errors import ModelFileError, OptionError, OutOfMemory
from ggufrun.pool.pool import ModelPool
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from tests.api.scripted import PlayedModel, client_of, listening, until_ended
from tests.api.test_authorization import bearer
from tests.api.test_guard import ANSWER, CHAT, HELLO
from tests.api.test_recording import START, MeteredModel
from tests.pool.fleet import Fleet

pytestmark = pytest.mark.process

MANAGED = "/ggufrun/v1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ggufrun.db"


@pytest.fixture
def keys(path: Path) -> Iterator[KeyStore]:
    with closing(KeyStore(path)) as store:
        yield store


@pytest.fixture
def held(path: Path, keys: KeyStore) -> Iterator[sqlite3.Connection]:
    """The file, in the hands of another writer."""
    keys._writer.execute("PRAGMA busy_timeout = 3000")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def over(pool: ModelPool, keys: KeyStore | None = None) -> Gateway:
    return replace(gateway_for(PlayedModel(ANSWER)), models=pool, keys=keys)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def test_calls_that_run_count_for_the_day(path: Path, keys: KeyStore) -> None:
    model = MeteredModel((*START, *[TextDelta("a")] * 14, None))
    secret, other = keys.add("a", tokens_per_day=20), keys.add("b", tokens_per_day=20)
    with closing(Ledger(path)) as ledger:
        gateway = replace(gateway_for(model), keys=keys, ledger=ledger)
        async with listening(model, gateway) as client:
            body, headers = HELLO | {"stream": True}, bearer(secret)
            async with client.stream("POST", CHAT, json=body, headers=headers) as running:
                lines = running.aiter_lines()
                while await ledger.used_today("a") < 21:
                    assert await anext(lines) is not None
                refused = await client.post(CHAT, json=HELLO, headers=headers)
                assert refused.status_code == 429 and refused.headers["x-should-retry"] == "false"
                left = 86_400 - time.time() % 86_400
                assert abs(int(refused.headers["retry-after"]) - left) < 10
                assert (
                    "ggufrun keys revoke a" in refused.json()["message"] and "keys add a" in refused.json()["message"]
                )
                async with client.stream("POST", CHAT, json=body, headers=bearer(other)) as allowed:
                    assert allowed.status_code == 200
            await until_ended(model, 2)
            for _ in range(5):  # it is written meanwhile, and counts once
                assert await ledger.used_today("a") == 21
                await asyncio.sleep(0.1)


async def test_a_key_for_some_models_sees_those(keys: KeyStore, fleet: Fleet) -> None:
    pool = ModelPool([fleet.offer("a", aliases=("first",)), fleet.offer("b"), fleet.offer("c")])
    all_of_them, some = keys.add("all"), keys.add("some", models=["FIRST", "c"])
    async with client_of(create_app(over(pool, keys))) as client:
        for secret, names in ((all_of_them, ["a", "b", "c"]), (some, ["a", "c"])):
            headers = bearer(secret)
            listed = await client.get("/v1/models", headers=headers)
            assert [model["id"] for model in listed.json()["data"]] == names
            unknown = await client.post(CHAT, json=HELLO | {"model": "x"}, headers=headers)
            assert f"Served here: {', '.join(names)}." in unknown.json()["message"]
            missing = await client.get("/v1/models/x", headers=headers)
            assert missing.status_code == 404 and f"{', '.join(names)}?" in missing.json()["message"]
        assert (await client.get("/v1/models/b", headers=bearer(all_of_them))).status_code == 200
        hidden = await client.get("/v1/models/b", headers=bearer(some))
        assert hidden.status_code == 404 and hidden.json()["message"].endswith("a, c?")
    await pool.close()


@pytest.mark.parametrize(
    "failure",
    [
        ModelFileError("/home/me/secret.gguf", "the file is damaged"),
        OutOfMemory("/home/me/secret.gguf does not fit."),
        OptionError("/home/me/secret.jinja: it cannot be read."),
    ],
)
async def test_paths_of_the_machine_are_for_its_user(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    fleet = Fleet(failures={"a": [failure] * 3})
    pool = ModelPool([fleet.offer("a")])
    async with client_of(create_app(over(pool))) as client:
        for body in (HELLO, HELLO | {"stream": True}):
            reply = await client.post(CHAT, json=body)
            assert reply.status_code == 503 and "secret" not in reply.text
            assert reply.json()["message"] == "a cannot be loaded. On the server's machine, `ggufrun ps` says why."
        assert "secret" in (await client.get(f"{MANAGED}/models")).json()["data"][0]["error"]
        assert "secret" in (await client.post(f"{MANAGED}/models/a/load")).json()["message"]
    assert any("secret" in each.getMessage() for each in caplog.records if each.levelno == logging.WARNING)
    await pool.close()


async def test_who_leaves_does_not_wait_for_a_load(fleet: Fleet) -> None:
    fleet.gates["a"] = asyncio.Event()
    pool = ModelPool([fleet.offer("a")])
    async with listening(PlayedModel(ANSWER), over(pool)) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{MANAGED}/models/a/load", timeout=httpx.Timeout(60, read=0.5))
        async with asyncio.timeout(60):
            while pool.served()[0].active:  # noqa: ASYNC110 - the pool's own state
                await asyncio.sleep(0.01)
        await pool.close()


async def test_a_file_that_is_held_keeps_nobody_else_waiting(keys: KeyStore, held: sqlite3.Connection) -> None:
    gateway = replace(gateway_for(PlayedModel(ANSWER)), keys=keys)
    async with listening(PlayedModel(ANSWER), gateway) as client:
        making = asyncio.create_task(client.post(f"{MANAGED}/keys", json={"name": "a"}))
        revoking = asyncio.create_task(client.delete(f"{MANAGED}/keys/b"))
        await asyncio.sleep(0.1)
        for _ in range(5):
            assert (await client.post(CHAT, json=HELLO)).status_code == 200
        assert not making.done()
        for reply in await asyncio.gather(making, revoking):
            assert reply.status_code == 503 and reply.headers["retry-after"] == "1"
            assert "is busy" in reply.json()["message"]
        held.execute("ROLLBACK")
        assert (await client.post(f"{MANAGED}/keys", json={"name": "a"})).status_code == 201
        assert (await client.post(CHAT, json=HELLO)).status_code == 401


def test_the_command_line_says_so_too(
    path: Path, held: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(path.parent))
    assert main(["keys", "add", "a"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "is busy" in said and "Internal" not in said
