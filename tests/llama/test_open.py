"""The factory for real models: what identifies a saved state, and the demo model in its real worker process."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.service import Service
from ggufrun.engine.types import Finished, GenerationRequest, Tokens
from ggufrun.errors import ModelFileError
from ggufrun.llama.identity import split_files, state_key
from ggufrun.llama.open import FACTORY
from ggufrun.settings import EngineSettings, LoraSpec, ModelSettings

OFF, ON = 0, 1
Change = Callable[[ModelSettings], ModelSettings]


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(range(256)) * (20 << 10))  # 5 MiB
    return path


def test_a_copy_has_the_same_key(model_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other name.gguf"
    copy.write_bytes(model_file.read_bytes())
    assert state_key(ModelSettings(copy), OFF) == state_key(ModelSettings(model_file), OFF)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, kv_type="q8_0"),
        lambda s: replace(s, loras=(LoraSpec(s.path),)),
        lambda s: replace(s, loras=(LoraSpec(s.path, 0.5),)),
    ],
)
def test_what_changes_a_state_changes_the_key(
    model_file: Path, change: Callable[[ModelSettings], ModelSettings]
) -> None:
    settings = ModelSettings(model_file)
    assert state_key(change(settings), OFF) != state_key(settings, OFF)
    assert state_key(replace(settings, threads=3, mmap=False), OFF) == state_key(settings, OFF)


def test_flash_attention_counts_as_it_was_settled_not_as_it_was_asked_for(model_file: Path) -> None:
    automatic, off = ModelSettings(model_file), ModelSettings(model_file, flash_attention="off")
    assert state_key(automatic, OFF) == state_key(off, OFF) != state_key(automatic, ON)


@pytest.mark.parametrize("position", [0, 5000, 2 << 20, (5 << 20) - 1])
def test_another_content_has_another_key(model_file: Path, position: int) -> None:
    before = state_key(ModelSettings(model_file), OFF)
    data = bytearray(model_file.read_bytes())
    data[position : position + 200_000] = bytes(len(data[position : position + 200_000]))
    model_file.write_bytes(data)
    assert state_key(ModelSettings(model_file), OFF) != before


def test_every_file_of_a_split_set_counts(tmp_path: Path) -> None:
    first = tmp_path / "big-00001-of-00003.gguf"
    files = split_files(first)
    assert [file.name for file in files] == [f"big-0000{i}-of-00003.gguf" for i in (1, 2, 3)]
    for file in files:
        file.write_bytes(b"GGUF")
    before = state_key(ModelSettings(first), OFF)
    files[2].write_bytes(b"gguf")
    assert state_key(ModelSettings(first), OFF) != before
    assert split_files(tmp_path / "small.gguf") == [tmp_path / "small.gguf"]


async def test_a_foreign_file_is_refused_with_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("not a model")
    with pytest.raises(ModelFileError, match="not a GGUF file"):
        await Service.start(WorkerSettings(FACTORY, ModelSettings(path), EngineSettings()))


@pytest.mark.model
async def test_the_demo_model_answers_and_its_prefix_survives_a_restart(demo_path: Path, tmp_path: Path) -> None:
    settings = WorkerSettings(
        FACTORY, ModelSettings(demo_path, context=512, threads=1), EngineSettings(disk_cache=tmp_path)
    )
    prompt = tuple(1000 + i * i % 997 for i in range(300))
    for restored in (0, 299):
        heard: list[float] = []
        service = await Service.start(settings, heard.append)
        assert heard[-1] == 1.0 and service.context == 512 and service.info.parameters > 100_000_000
        tokens: list[int] = []
        async for event in service.submit(GenerationRequest(service.next_id(), prompt, max_tokens=8, ignore_end=True)):
            if isinstance(event, Tokens):
                tokens += event.tokens
        await service.aclose()
        assert isinstance(event, Finished) and event.stats.restored_tokens == restored
        assert len(tokens) == 8
