"""Races where something goes wrong, or where others use the same models: on a real server, without a browser."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

from ggufrun.ui.beside.choices import choices
from ggufrun.ui.beside.contender import Standing
from ggufrun.ui.beside.panel import beside_tab
from ggufrun.ui.beside.question import Question
from ggufrun.ui.beside.race import Race
from ggufrun.ui.blind.ballot import Ballot
from ggufrun.ui.client import Api, Json, Server
from ggufrun.ui.errors import ApiError
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.shared import Shared
from ggufrun.ui.users import Users
from tests import tiny_models
from tests.api.pooled import Pooled, pooled

SHORT = Question("Count.", seed=1, max_tokens=20)
LONG = Question("Count.", {"sampling": {"min_tokens": 9000}}, seed=1, max_tokens=9000)
TINY = {"alpha": "llama-tiny", "beta": "recurrent-tiny"}
MODELS, MACHINE = "/ggufrun/v1/models", "/ggufrun/v1/library/machine"


class Noted(Api):
    """Remembers what it has posted."""

    def __init__(self, api: Api) -> None:
        super().__init__(api.server, api.key)
        self.posts: list[str] = []

    async def post(self, path: str, body: Json = None, *, timeout_s: float | None = None) -> Json:
        self.posts.append(path.removeprefix(f"{MODELS}/"))
        return await super().post(path, body, timeout_s=timeout_s)

    @property
    def unloaded(self) -> list[str]:
        return [each for each in self.posts if each.endswith("/unload")]


class Full(Noted):
    """Its machine has no byte left."""

    async def get(self, path: str, **query: Any) -> Json:
        return {} if path == MACHINE else await super().get(path, **query)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[[str], Path]) -> Iterator[Pooled]:
    folder = tmp_path_factory.mktemp("models")
    files = [str(shutil.copy(tiny_model(kind), folder / f"{name}.gguf")) for name, kind in TINY.items()]
    with pooled(tmp_path_factory.mktemp("home"), *files) as running:
        yield running


@pytest.fixture
async def api(server: Pooled) -> AsyncIterator[Api]:
    """With the right to manage, and nothing loaded."""
    async for each in _api(server):
        for name in TINY:
            await each.post(f"{MODELS}/{name}/unload")
        yield each


async def _api(server: Pooled) -> AsyncIterator[Api]:
    client = Server(str(server.admin.base_url))
    try:
        yield client.user(server.admin.headers["Authorization"].removeprefix("Bearer "))
    finally:
        await client.close()


async def _run(race: Race) -> Standing:
    last: Standing | None = None
    async for standing in race.standings():
        last = standing
    assert last is not None
    return last


def _stages(standing: Standing) -> list[str]:
    return [each.stage for each in standing.contenders]


async def test_a_lane_that_breaks_leaves_none_running(api: Api, server: Pooled) -> None:
    class Broken(Api):
        async def events(self, path: str, body: Json = None, **query: Any) -> AsyncGenerator[Json, None]:
            async for chunk in super().events(path, body, **query):
                if body["model"] == "alpha" and server.model("beta")["active"]:
                    raise KeyError("choices")
                yield chunk

    with pytest.raises(ExceptionGroup):
        await _run(Race(Broken(api.server, api.key), LONG, ["alpha", "beta"]))
    server.until(lambda: not any(server.model(name)["active"] for name in TINY))


async def test_a_look_at_the_memory_that_fails_is_its_lanes_own(api: Api) -> None:
    class Failing(Api):
        looks = 0

        async def get(self, path: str, **query: Any) -> Json:
            self.looks += path == MODELS
            if (
                self.looks == 5
            ):  # one for the memory, one for each that is loaded, one for all; then each as it is asked
                self.looks += 1
                raise ApiError("It hiccups.", 500)
            return await super().get(path, **query)

    for name in TINY:
        await api.post(f"{MODELS}/{name}/load")
    last = await _run(Race(Failing(api.server, api.key), SHORT, ["alpha", "beta"]))
    assert sorted(_stages(last)) == ["done", "failed"]
    assert [each.error for each in last.contenders if each.error] == ["It hiccups."]


async def test_what_others_use_is_not_unloaded_nor_waited_for(api: Api, server: Pooled) -> None:
    class Used(Full):
        """Somebody else asks alpha as soon as it is loaded, and goes on and on."""

        other: asyncio.Task[None] | None = None

        async def post(self, path: str, body: Json = None, *, timeout_s: float | None = None) -> Json:
            found = await super().post(path, body, timeout_s=timeout_s)
            if path == f"{MODELS}/alpha/load":
                self.other = asyncio.create_task(self._asks())
            return found

        async def _asks(self) -> None:
            async with aclosing(api.events("/v1/chat/completions", LONG.body("alpha"))) as chunks:
                async for _ in chunks:
                    pass

    used = Used(api)
    async with asyncio.timeout(30):
        last = await _run(Race(used, SHORT, ["alpha", "beta"]))
    assert last.way.startswith("One after the other: together they need ")
    assert (_stages(last), used.unloaded) == (["done", "done"], [])
    assert server.model("alpha")["active"]
    assert used.other is not None
    used.other.cancel()
    with suppress(asyncio.CancelledError):
        await used.other


async def test_only_what_nobody_had_loaded_is_unloaded(api: Api) -> None:
    class Begun(Full):
        """Somebody else has begun to load alpha."""

        async def get(self, path: str, **query: Any) -> Json:
            found = await super().get(path, **query)
            if path == MODELS and not self.posts:
                return {"data": [{**each, "state": "loading"} for each in found["data"]]}
            return found

    own, others = Full(api), Begun(api)
    assert _stages(await _run(Race(own, SHORT, ["alpha", "beta"]))) == ["done", "done"]
    assert own.unloaded == ["alpha/unload"]
    for name in TINY:
        await api.post(f"{MODELS}/{name}/unload")
    assert _stages(await _run(Race(others, SHORT, ["alpha", "beta"]))) == ["done", "done"]
    assert others.unloaded == []


async def test_what_finds_no_place_while_it_is_loaded_goes_alone(api: Api, server: Pooled) -> None:
    class Tight(Noted):
        """Only one of the two has a place."""

        async def post(self, path: str, body: Json = None, *, timeout_s: float | None = None) -> Json:
            if path == f"{MODELS}/beta/load" and server.model("alpha")["state"] == "ready":
                raise ApiError("There is no memory for beta.", 503)
            return await super().post(path, body, timeout_s=timeout_s)

    tight = Tight(api)
    last = await _run(Race(tight, SHORT, ["alpha", "beta"]))
    assert last.way == "One after the other: beta could not be loaded beside the others."
    assert (_stages(last), tight.unloaded) == (["done", "done"], ["alpha/unload"])


async def test_what_finds_no_place_when_it_is_asked_is_asked_again(api: Api) -> None:
    class Busy(Api):
        refused = False

        async def events(self, path: str, body: Json = None, **query: Any) -> AsyncGenerator[Json, None]:
            if body["model"] == "beta" and not self.refused:
                self.refused = True
                raise ApiError("beta is being loaded.", 503)
            async for chunk in super().events(path, body, **query):
                yield chunk

    last = await _run(Race(Busy(api.server, api.key), SHORT, ["alpha", "beta"]))
    assert last.way == "Not all had a place at once: the rest follows one after the other."
    assert _stages(last) == ["done", "done"]


class Eight(GGUFWriter):
    """Writes what a tiny model has in 16 bits as Q8_0."""

    def add_tensor(self, name: str, tensor: np.ndarray, *more: Any, **named: Any) -> None:
        if tensor.dtype == np.float16:
            tensor = quantize(tensor.astype(np.float32), GGMLQuantizationType.Q8_0)
            named["raw_dtype"] = GGMLQuantizationType.Q8_0
        super().add_tensor(name, tensor, *more, **named)


async def test_two_quants_of_one_model(
    tmp_path: Path, tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / kind / "twin.gguf" for kind in ("half", "eight")]
    for file in files:
        file.parent.mkdir()
    shutil.copy(tiny_model("llama-tiny"), files[0])
    monkeypatch.setattr(tiny_models, "GGUFWriter", Eight)
    tiny_models.KINDS["llama-tiny"](files[1])
    with pooled(tmp_path / "home", *map(str, files)) as server:
        async for api in _api(server):
            served = [pair for pair in (await choices(api)).pairs if pair[1].startswith("twin")]
            assert served == [("twin · F16", "twin"), ("twin:Q8_0", "twin:Q8_0")]
            last = await _run(Race(api, SHORT, ["twin", "twin:Q8_0"]))
            assert _stages(last) == ["done", "done"]
            half, eight = (each.memory for each in last.contenders)
            assert half is not None and eight is not None and half > eight > 0


class Strange(Users):
    """Of a server that answers as no version does."""

    asked = 0

    def api(self, request: gr.Request) -> Api:
        outer = self

        class Nonsense(Api):
            async def get(self, path: str, **query: Any) -> Json:
                outer.asked += 1
                return {"object": "<b>list</b>"}

        return Nonsense(Server("http://127.0.0.1:9"), "")


@pytest.fixture
def strange() -> Any:
    """The tab's panel."""
    users = Strange()
    with gr.Blocks() as page:
        shared = Shared.made(users)
        with gr.Tab("Side by side") as tab:
            beside_tab(shared, tab)
    return next(each.fn for each in page.fns.values() if each.name == "stopped").__self__


async def test_whatever_goes_wrong_the_next_race_is_possible(strange: Any) -> None:
    asking, bar = strange.asking, strange.bar
    data = dict.fromkeys([*asking.inputs, *(each.model for each in strange.columns)])
    data |= {each.model: "m" for each in strange.columns} | {asking.prompt: "Hi", bar.reference: 0}
    data |= {
        strange.count: 2,
        strange.shared.settings: TabSettings(),
        strange.booth.blind: False,
        strange.booth.ballot: Ballot(),
    }
    changes = [each async for each in strange.raced(data, gr.Request(session_hash="x"))]
    assert changes[0][bar.run]["interactive"] is False
    last = changes[-1]
    assert (last[bar.run]["interactive"], last[bar.stop]["interactive"]) == (True, False)
    assert "The race broke off: &#39;data&#39;." in last[strange.way]
    assert ["Stopped" in last[each.stage] for each in strange.columns[:2]] == [True, True]
    assert not strange.races


async def test_disks_are_looked_through_only_for_who_has_opened_the_tab(strange: Any) -> None:
    data = {strange.seen: False, strange.shared.model: None} | {each.model: None for each in strange.columns}
    assert await strange.offered_again(data, gr.Request()) == gr.skip()
    assert strange.shared.users.asked == 0
    with pytest.raises(KeyError):
        await strange.offered_again({**data, strange.seen: True}, gr.Request())
    assert strange.shared.users.asked > 0
