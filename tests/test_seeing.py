"""What a model that is opened sees with: found beside it, given by hand, left out; and what it takes."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from ggufrun.chat.types import ModelInfo
from ggufrun.cli import main
from ggufrun.errors import InputError, ModelFileError, OptionError
from ggufrun.fit.compute import PICTURES
from ggufrun.fit.subject import Subject
from ggufrun.opening import planning
from ggufrun.opening.describing import describe
from ggufrun.opening.loading import open_model
from ggufrun.opening.seeing import Sight
from ggufrun.settings import EngineSettings, ModelOverrides
from ggufrun.store.resolve import resolve
from ggufrun.weights.header import read_header
from tests.program import at_home, run_ggufrun
from tests.tiny_vision import mmproj

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def lonely(tiny_vision: Path, tmp_path: Path) -> Path:
    """The model, with nothing beside it."""
    return Path(shutil.copy(tiny_vision / "model.gguf", tmp_path / "lonely.gguf"))


async def loaded(path: Path, template: Path | None = None, **given: Any) -> ModelInfo:
    engine, overrides = EngineSettings(disk_cache=None), cast(ModelOverrides, {"context": 512, **given})
    async with (
        asyncio.timeout(60),
        open_model(str(path), overrides, engine, chat_template=template) as it,
    ):
        return it.info


async def test_what_lies_beside_a_model_is_used_and_counted(tiny_vision: Path, lonely: Path) -> None:
    seeing, blind = await loaded(tiny_vision / "model.gguf"), await loaded(lonely)
    assert seeing.capabilities.vision and not blind.capabilities.vision and not seeing.note
    projector = read_header(tiny_vision / "mmproj.gguf")
    takes = Subject(lonely, (read_header(lonely),), "", projector=projector).projector_bytes + PICTURES
    assert seeing.memory_bytes - blind.memory_bytes == takes > PICTURES
    told, other = (describe(str(path), {"context": 512})[0] for path in (tiny_vision / "model.gguf", lonely))
    assert told.capabilities.vision and not other.capabilities.vision
    assert told.memory_bytes - other.memory_bytes == takes


async def test_none_and_another_by_hand(tiny_vision: Path, lonely: Path, home: Path) -> None:
    assert not (await loaded(tiny_vision / "model.gguf", mmproj="none")).capabilities.vision
    assert (await loaded(lonely, mmproj=str(tiny_vision / "mmproj.gguf"))).capabilities.vision
    (home / "ggufrun.toml").write_text(f'[models.lonely]\nmmproj = "{tiny_vision}/mmproj.gguf"\n')
    assert (await loaded(lonely)).capabilities.vision and describe(str(lonely), {})[0].capabilities.vision
    (home / "ggufrun.toml").write_text('[defaults]\nmmproj = "none"\n')
    assert not (await loaded(tiny_vision / "model.gguf")).capabilities.vision


async def test_one_of_another_model_is_left_out_with_a_note_and_refused_by_hand(lonely: Path) -> None:
    other = lonely.with_name("mmproj-F16.gguf")
    mmproj(other, text=128)
    info = await loaded(lonely)
    assert not info.capabilities.vision
    assert info.note.startswith("images cannot be seen: mmproj-F16.gguf: it belongs to another model")
    with pytest.raises(ModelFileError, match=r"makes embeddings of 128 numbers, lonely\.gguf takes 64"):
        await loaded(lonely, mmproj=str(other))
    with pytest.raises(ModelFileError, match="makes embeddings of 128 numbers"):
        describe(str(lonely), {"mmproj": str(other)})


async def test_a_chat_template_of_ones_own_sees_nothing(tiny_vision: Path, tmp_path: Path) -> None:
    template = tmp_path / "plain.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    info = await loaded(tiny_vision / "model.gguf", template)
    assert not info.capabilities.vision and "chat template" in info.note
    with pytest.raises(OptionError, match="cannot see images"):
        await loaded(tiny_vision / "model.gguf", template, mmproj=str(tiny_vision / "mmproj.gguf"))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [(b"[IMG_BREAK]", b"[NO_BREAKS]", "no tokens"), (b"tekken", b"gpt-2x", "chat template")],
)
def test_a_model_whose_prompts_have_no_images_is_none_that_sees(
    tiny_vision: Path, tmp_path: Path, old: bytes, new: bytes, why: str
) -> None:
    """Told before it is loaded, too, by its header."""
    data = (tiny_vision / "model.gguf").read_bytes()
    assert old in data
    blind = tmp_path / "blind.gguf"
    blind.write_bytes(data.replace(old, new, 1))
    shutil.copy(tiny_vision / "mmproj.gguf", tmp_path)
    assert not describe(str(blind), {})[0].capabilities.vision and why in Sight.of(resolve(str(blind)), {}).note
    with pytest.raises(OptionError, match=f"blind cannot see images.*{why}"):
        describe(str(blind), {"mmproj": str(tmp_path / "mmproj.gguf")})


def test_a_plan_keeps_room_for_it(tiny_vision: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What obviously fits does no more where only the part that sees images is too much."""
    found = resolve(str(tiny_vision / "model.gguf"))
    free = 4 * (found.size + PICTURES // 4)
    monkeypatch.setattr(planning, "available_memory", lambda: free)
    monkeypatch.setattr("ggufrun.llama.library.supports_gpu", lambda: False)
    given, engine = {"context": 512}, EngineSettings(disk_cache=None)
    monkeypatch.setattr(planning, "_OBVIOUS", 0.6)
    sights = Sight.of(found, {"mmproj": "none"}), Sight.of(found, {})
    blind, seeing = (planning.Planning("tiny", found, given, engine, home, sight) for sight in sights)
    at_once = blind.at_once()
    assert at_once is not None and at_once.settings.mmproj is None and seeing.at_once() is None
    free *= 2
    roomy = seeing.at_once()
    assert roomy is not None and roomy.settings.mmproj == str(tiny_vision / "mmproj.gguf")
    assert blind._key() != seeing._key()


def test_a_prompt_with_images(tiny_vision: Path, lonely: Path, tmp_path: Path) -> None:
    for name, color in (("red.png", "red"), ("blue.jpg", "blue")):
        Image.new("RGB", (300, 200), color).save(tmp_path / name)
    files = ("--image", str(tmp_path / "red.png"), "--image", str(tmp_path / "blue.jpg"))
    options = ("What?", "--json", "--temperature", "0", "--max-tokens", "4", "--context", "512")
    answers = []
    for more in ((), files[:2], files):
        done = run_ggufrun("run", str(tiny_vision / "model.gguf"), *options, *more, environment=at_home(tmp_path))
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    tokens = [answer["usage"]["prompt_tokens"] for answer in answers]
    assert [count - tokens[0] for count in tokens] == [0, 96, 192]  # 11 x 8 of 28 x 28 pixels, and one more a row
    assert len({answer["text"] for answer in answers}) > 1
    done = run_ggufrun("run", str(lonely), *options, *files, environment=at_home(tmp_path))
    assert done.returncode == 2 and "no mmproj file beside lonely.gguf" in done.stderr


def test_one_file_is_for_one_model(tiny_vision: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "serve",
        "a=x.gguf",
        "b=y.gguf",
        "--port",
        "0",
        "--no-ui",
        "--mmproj",
        str(tiny_vision / "mmproj.gguf"),
    ]
    assert main(arguments) == 2 and "--mmproj FILE is for one model" in capsys.readouterr().err


def test_an_embedding_model_has_no_eyes(tiny_model: Any, tiny_vision: Path) -> None:
    found = resolve(str(tiny_model("bert-tiny")))
    assert Sight.of(found, {"mmproj": "none"}) == Sight()
    with pytest.raises(InputError, match="makes embeddings"):
        Sight.of(found, {"mmproj": str(tiny_vision / "mmproj.gguf")})
