"""What is said of a model that is not loaded, against what the engine says of it once it is."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.chat.types import ModelInfo
from ggufrun.opening.describing import describe
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings, ModelOverrides


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    return tmp_path


async def loaded(path: Path, overrides: ModelOverrides) -> ModelInfo:
    async with asyncio.timeout(60), open_model(str(path), overrides, EngineSettings()) as model:
        return model.info


@pytest.mark.parametrize("kind", ["llama-tiny", "recurrent-tiny"])
@pytest.mark.parametrize("overrides", [{}, {"context": 1000}], ids=["plain", "small"])
async def test_what_is_planned_is_what_comes(
    kind: str, overrides: ModelOverrides, tiny_model: Callable[[str], Path]
) -> None:
    path = tiny_model(kind)
    (planned, _), real = describe(str(path), overrides), await loaded(path, overrides)
    same = ("name", "context", "context_train", "vocabulary", "parameters", "aliases", "file", "quant", "defaults")
    for name in same:
        assert getattr(planned, name) == getattr(real, name), name
    # The file is larger than the weights by its header.
    assert real.memory_bytes <= planned.memory_bytes < real.memory_bytes + 100_000


def test_the_users_settings_count(home: Path, tiny_model: Callable[[str], Path]) -> None:
    (home / "ggufrun.toml").write_text("[defaults]\ncontext = 2048\nkv_type = 'q4_0'\n")
    path = str(tiny_model("llama-tiny"))
    assert describe(path, {})[0].context == 2048
    assert describe(path, {"context": 512})[0].context == 512
    assert describe(path, {})[0].memory_bytes < describe(path, {"kv_type": "f16"})[0].memory_bytes


def test_a_name_of_ones_own_has_settings_too(home: Path, tiny_model: Callable[[str], Path]) -> None:
    (home / "ggufrun.toml").write_text("[models.mine]\ncontext = 2048\n[models.other]\ncontext = 1024\n")
    path = home / "other.gguf"
    path.symlink_to(tiny_model("llama-tiny"))
    info, file = describe(str(path), {}, "mine")
    assert (info.name, info.aliases, info.context, file) == ("mine", (), 2048, path)
    assert describe(str(path), {}, "yours")[0].context == 1024
