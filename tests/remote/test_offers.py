"""Remotes in the pool: all faults at once, names that are taken, and how a server's list shows one that is down"""

from pathlib import Path

import pytest

from ggufrun.chat.types import ModelInfo
from ggufrun.commandline.opening import opened as opened_by_name
from ggufrun.commandline.remotes import remote_offers
from ggufrun.errors import OptionError
from ggufrun.pool.offer import Offer, PoolSettings
from ggufrun.pool.pool import ModelPool
from ggufrun.remote.breaker import FAILURES
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote_errors import RemoteDown, RemoteUnusable
from ggufrun.settings import EngineOverrides, ModelOverrides
from tests.remote.asking_models import events_of, text_of
from tests.remote.raw_server import as_json, raw_server, said


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))


def remotes(url: str, *names: str, model: str = "") -> dict[str, RemoteSettings]:
    return {name: RemoteSettings(name, url, model, retries=0) for name in names}


async def test_the_faults_of_all_remotes_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    async with raw_server() as raw:
        wrong = remotes(raw.url, "a", "b", model="nothing") | remotes(raw.url, "good")
        with pytest.raises(RemoteUnusable, match="remote b: it has no model 'nothing'"):
            await remote_offers(wrong, [])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("ggufrun: remote a: it has no model 'nothing'")


async def test_a_name_that_is_another_s() -> None:
    info = ModelInfo("demo", 1, 1, 0, 0, "", aliases=("Small",))
    beside = [Offer(info, lambda progress: None)]  # type: ignore[arg-type,return-value]  # nobody opens it
    for name in ("demo", "small"):
        with pytest.raises(OptionError, match="demo answers to that name already"):
            await remote_offers(remotes("http://127.0.0.1:9", name), beside)
    with pytest.raises(OptionError, match="remote fast answers to that name"):
        await remote_offers(remotes("http://127.0.0.1:9", "fast", "FAST"), [])


async def test_it_takes_no_place_is_never_unloaded_and_says_that_it_is_down() -> None:
    async with raw_server() as raw:
        raw.replies = [said("Hi")]
        offers = await remote_offers(remotes(raw.url, "a", "b"), [])
        pool = ModelPool(offers, PoolSettings(max_loaded=1, ttl_s=0.01))
        try:
            for name in ("a", "b"):
                async with pool.lease(name) as model:
                    assert text_of(await events_of(model)) == "Hi"
            assert [(each.state, each.ttl_s, each.info.note) for each in pool.served()] == [("ready", None, "")] * 2
            raw.replies = [as_json({}, 500)]
            async with pool.lease("a") as model:
                for _ in range(FAILURES):
                    with pytest.raises(RemoteDown):
                        await events_of(model)
            down, up = pool.served()
            assert down.info.note.startswith("down: it answers 500; tried again in") and not up.info.note
        finally:
            await pool.close()


async def test_other_commands_know_it_by_its_name(tmp_path: Path) -> None:
    """As `ggufrun run fast` does."""
    async with raw_server() as raw:
        (tmp_path / "ggufrun.toml").write_text(f'[remotes.fast]\nurl = "{raw.url}"\n', "utf-8")
        raw.replies = [said("Hi")]
        async with opened_by_name("fast", ModelOverrides(), EngineOverrides(), None) as model:
            assert model.info.elsewhere and text_of(await events_of(model)) == "Hi"
