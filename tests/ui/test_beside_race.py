"""Races of tiny models on a real server, as the tab runs them, without a browser."""

import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from ggufrun.ui.beside.choices import choices
from ggufrun.ui.beside.contender import Standing
from ggufrun.ui.beside.question import Question
from ggufrun.ui.beside.race import UPDATE_S, Race
from ggufrun.ui.client import Api, Json, Server
from tests.api.pooled import Pooled, pooled

SHORT = Question("Count.", seed=1, max_tokens=40)
LONG = Question("Count.", {"sampling": {"min_tokens": 9000}}, seed=1, max_tokens=9000)
HUGE = 70 * 10**9
TINY = {"alpha": "llama-tiny", "beta": "recurrent-tiny"}


class Noted(Api):
    """Remembers what it has posted."""

    def __init__(self, server: Server, key: str) -> None:
        super().__init__(server, key)
        self.posts: list[str] = []

    async def post(self, path: str, body: Json = None, *, timeout_s: float | None = None) -> Json:
        self.posts.append(path)
        return await super().post(path, body, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[[str], Path]) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {name: str(shutil.copy(tiny_model(kind), folder / f"{name}.gguf")) for name, kind in TINY.items()}


@pytest.fixture(scope="module")
def server(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooled]:
    with pooled(tmp_path_factory.mktemp("home"), *files.values()) as running:
        yield running


@pytest.fixture
async def api(server: Pooled) -> AsyncIterator[Api]:
    """With the right to manage, and nothing loaded."""
    async for each in _api(server):
        for name in TINY:
            await each.post(f"/ggufrun/v1/models/{name}/unload")
        yield each


async def _api(server: Pooled) -> AsyncIterator[Api]:
    client = Server(str(server.admin.base_url))
    try:
        yield client.user(server.admin.headers["Authorization"].removeprefix("Bearer "))
    finally:
        await client.close()


async def _run(race: Race) -> list[Standing]:
    return [standing async for standing in race.standings()]


async def test_models_that_fit_together_answer_at_once(api: Api) -> None:
    start = time.monotonic()
    standings = await _run(Race(api, SHORT, ["alpha", "beta"]))
    assert len(standings) <= (time.monotonic() - start) / UPDATE_S + 3
    last = standings[-1]
    assert last.way.startswith("At once: they need ")
    assert "each is slower than it would be alone" in last.way
    assert last.over
    for contender in last.contenders:
        assert (contender.stage, contender.finish, contender.usage["completion_tokens"]) == ("done", "length", 40)
        assert contender.text
        assert contender.load_s is not None
        assert contender.load_s > 0
        assert contender.memory is not None
        assert contender.memory > 100_000
        assert contender.timings["tokens_per_second"] > 0
    again = (await _run(Race(api, SHORT, ["alpha", "alpha"])))[-1]
    assert again.way.startswith("At once: all are loaded.")
    first, second = again.contenders
    assert first.text == second.text == last.contenders[0].text  # the same dice
    assert first.load_s is None


async def test_both_answer_while_neither_has_ended(api: Api) -> None:
    race, both = Race(api, LONG, ["alpha", "beta"]), False
    async for standing in race.standings():
        if all(each.stage == "answering" for each in standing.contenders):
            both = True
            race.stop()
    assert both


async def test_who_wishes_so_has_one_after_the_other(api: Api) -> None:
    standings = await _run(Race(api, Question("Count.", seed=1, max_tokens=300), ["alpha", "beta"], apart=True))
    assert standings[-1].way.startswith("One after the other, as you wished")
    assert [each.stage for each in standings[-1].contenders] == ["done", "done"]
    begun = ("loading", "asked", "answering")
    assert not any(all(each.stage in begun for each in standing.contenders) for standing in standings)
    assert _states(await api.get("/ggufrun/v1/models")) == {"alpha": "ready", "beta": "ready"}  # nothing wanted room


async def test_stop_keeps_what_has_come_and_ends_the_answers(api: Api, server: Pooled) -> None:
    race = Race(api, LONG, ["alpha", "beta"])
    async for standing in race.standings():
        last = standing
        if all(each.text for each in standing.contenders):
            race.stop()
    assert last.over
    assert [each.stage for each in last.contenders] == ["stopped", "stopped"]
    assert all(each.text for each in last.contenders)
    server.until(lambda: not any(server.model(name)["active"] for name in TINY))


async def test_who_leaves_stops_them_too(api: Api, server: Pooled) -> None:
    async with aclosing(Race(api, LONG, ["alpha", "beta"]).standings()) as standings:
        async for standing in standings:
            if all(each.text for each in standing.contenders):
                break
    server.until(lambda: not any(server.model(name)["active"] for name in TINY))


async def test_one_that_fails_leaves_the_others_alone(api: Api) -> None:
    last = (await _run(Race(api, SHORT, ["nobody", "beta"])))[-1]
    failed, done = last.contenders
    assert failed.stage == "failed"
    assert "Invalid model: nobody" in failed.error
    assert done.stage == "done"


async def test_a_server_that_keeps_one_model_has_them_one_after_the_other(
    files: dict[str, str], tmp_path: Path
) -> None:
    with pooled(tmp_path / "home", *files.values(), "--max-loaded", "1") as server:
        async for api in _api(server):
            last = (await _run(Race(api, SHORT, ["alpha", "beta"])))[-1]
            assert last.way == "One after the other: the server has unloaded alpha to make room for the others."
            assert [each.stage for each in last.contenders] == ["done", "done"]
            assert all(each.memory for each in last.contenders)


async def test_what_does_not_fit_beside_the_others_goes_alone(
    files: dict[str, str], tmp_path: Path, shape: Callable[..., Path]
) -> None:
    """The huge one is all holes: it is refused by what it would need."""
    if psutil.virtual_memory().total > HUGE:
        pytest.skip("this machine has room for the largest model that the tests know")
    with pooled(tmp_path / "home", *files.values(), str(shape("medium-3.5"))) as server:
        async for api in _api(server):
            (name,) = _states(await api.get("/ggufrun/v1/models")).keys() - TINY.keys()
            await api.post("/ggufrun/v1/models/beta/load")
            noted = Noted(api.server, api.key)
            last = (await _run(Race(noted, SHORT, ["alpha", name, "beta"])))[-1]
            assert last.way.startswith("One after the other: together they need ")
            assert [each.stage for each in last.contenders] == ["done", "failed", "done"]
            unloaded = [path for path in noted.posts if path.endswith("/unload")]
            assert unloaded == ["/ggufrun/v1/models/alpha/unload"]  # beta was there before the race


async def test_a_key_that_may_only_chat_leaves_it_to_the_server(files: dict[str, str], tmp_path: Path) -> None:
    with pooled(tmp_path / "home", *files.values()) as server:
        key = server.admin.post("/ggufrun/v1/keys", json={"name": "guest"}).raise_for_status().json()["key"]
        async for api in _api(server):
            guest = api.server.user(key)
            last = (await _run(Race(guest, SHORT, ["alpha", "beta"])))[-1]
            assert "the server decides who waits" in last.way
            assert [(each.stage, each.memory) for each in last.contenders] == [("done", None)] * 2
            assert [value for _, value in (await choices(guest)).pairs] == ["alpha", "beta"]


async def test_a_server_that_is_gone_is_said(tmp_path: Path) -> None:
    client = Server("http://127.0.0.1:9")
    last = (await _run(Race(client.user(""), SHORT, ["a", "b"])))[-1]
    await client.close()
    assert [each.stage for each in last.contenders] == ["failed", "failed"]
    assert "No server answers at 127.0.0.1:9." in last.contenders[0].error


def _states(models: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in models["data"]}
