"""What the Models tab sees of what others do: a real server, without a browser."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ggufrun.ui.client import Api, Server
from ggufrun.ui.errors import ApiError
from ggufrun.ui.models import watching
from ggufrun.ui.models.visit import Visit
from ggufrun.ui.models.watching import View, Watcher
from tests.api.pooled import Pooled, pooled

pytestmark = pytest.mark.process
WITHIN_S = 40.0


@pytest.fixture(scope="module")
def tiny(tiny_model: Callable[[str], Path]) -> Path:
    return tiny_model("llama-tiny")


@pytest.fixture(scope="module")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooled]:
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    shutil.copy(tiny, home / "models" / "first.gguf")
    with pooled(home, "first", "--ttl", "1h") as running:
        yield running


class Failing(Api):
    """The real one, which fails so often for this path."""

    def __init__(self, server: Server, key: str, path: str) -> None:
        super().__init__(server, key)
        self._path, self.left = path, 1

    async def get(self, path: str, **query: Any) -> Any:
        if path.endswith(self._path) and self.left:
            self.left -= 1
            raise ApiError("The server takes too long to answer.", 0)
        return await super().get(path, **query)


@asynccontextmanager
async def client(server: Pooled) -> AsyncIterator[Server]:
    key = server.admin.headers["Authorization"].removeprefix("Bearer ")
    opened = Server(str(server.client.base_url), key=key)
    yield opened
    await opened.close()


async def until(views: AsyncIterator[View], wanted: Callable[[View], bool]) -> View:
    async with asyncio.timeout(WITHIN_S):
        async for view in views:
            if wanted(view):
                return view
    raise AssertionError("The tab stands still.")


def shows(words: str) -> Callable[[View], bool]:
    return lambda view: view.shelf is not None and words in view.shelf


async def test_files_that_others_place_and_take_are_seen(
    server: Pooled, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_IDLE_S", 0.1)
    monkeypatch.setattr(watching, "_AGAIN_S", 0.3)
    async with client(server) as opened:
        views = Watcher(opened.user(""), Visit()).views()
        await until(views, shows("first"))
        shutil.copy(tiny, server.home / "models" / "second.gguf")
        assert (await until(views, shows("second"))).changed
        (server.home / "models" / "second.gguf").unlink()
        assert (await until(views, lambda view: bool(view.shelf) and "second" not in str(view.shelf))).changed


async def test_a_job_that_was_never_seen_under_way_has_ended(
    server: Pooled, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_IDLE_S", 0.1)
    monkeypatch.setattr(watching, "_AGAIN_S", 1000.0)
    async with client(server) as opened:
        views = Watcher(opened.user(""), Visit()).views()
        await until(views, shows("first"))
        shutil.copy(tiny, server.home / "models" / "third.gguf")
        job = server.admin.post("/ggufrun/v1/library/verify", json={"names": ["first"]}).raise_for_status().json()
        server.until(lambda: _state(server, job["id"]) == "done")
        await until(views, shows("third"))
        (server.home / "models" / "third.gguf").unlink()


@pytest.mark.parametrize("path", ["/cards", "/local", "/pulls"])
async def test_a_question_that_fails_once_ends_nothing(
    path: str, server: Pooled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_IDLE_S", 0.1)
    async with client(server) as opened:
        views = Watcher(Failing(opened, "", path), Visit()).views()
        assert "takes too long" in str((await until(views, lambda view: bool(view.refused))).refused)
        view = await until(views, lambda view: view.refused == "")
        assert view.room and shows("first")(view) and "ministral" in str(view.cards)


def _state(server: Pooled, job: str) -> str:
    checks = server.admin.get("/ggufrun/v1/library/verify").raise_for_status().json()["data"]
    return next(str(each["state"]) for each in checks if each["id"] == job)
