"""What a user may type as a model, on real files in real folders."""

import struct
from pathlib import Path

import pytest

from ggufrun.errors import InputError, ModelFileError, ModelNotFound, OptionError
from ggufrun.store.resolve import resolve
from tests.weights import gguf_bytes as make
from tests.weights.test_cards import CARD


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The `models` folder in a data folder of its own, with one card."""
    folder = tmp_path / "data" / "models"
    folder.mkdir(parents=True)
    (folder / "tiny.toml").write_text(CARD)
    return folder


def shard(number: int, count: int) -> bytes:
    fields = [
        make.field("split.no", make.UINT16, struct.pack("<H", number - 1)),
        make.field("split.count", make.UINT16, struct.pack("<H", count)),
    ]
    return make.gguf(fields, [make.tensor(f"t{number}", (32,), 0, 0)], data=128)


def split_set(folder: Path, count: int = 3, stem: str = "big") -> list[Path]:
    names = [f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]
    return [make.write(folder / name, shard(number, count)) for number, name in enumerate(names, 1)]


@pytest.mark.model
def test_the_demo_needs_no_folder(demo_path: Path, tmp_path: Path) -> None:
    demo = resolve("demo", tmp_path)
    assert (demo.path, demo.name, demo.parameters) == (demo_path, "demo", 134_515_008)
    assert demo.card is not None and demo.card.sampling.temperature is not None
    assert resolve(str(demo_path), tmp_path).card == demo.card


def test_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make.write(tmp_path / "some model.gguf", make.small())
    found = resolve(str(path), tmp_path)
    assert (found.path, found.name, found.card, found.size) == (path, "some model", None, len(make.small()))
    monkeypatch.chdir(tmp_path)
    assert resolve("some model.gguf", tmp_path).path == Path("some model.gguf")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert resolve("~/some model.gguf", tmp_path).path == path


def test_any_file_of_a_split_set_gives_the_first(tmp_path: Path) -> None:
    files = split_set(tmp_path)
    for path in files:
        found = resolve(str(path), tmp_path)
        assert (found.path, found.name, found.shards) == (files[0], "big", tuple(files))
        assert found.parameters == 3 * 32


def test_a_split_set_must_be_complete(tmp_path: Path) -> None:
    files = split_set(tmp_path)
    files[1].unlink()
    with pytest.raises(ModelFileError, match=r"1 of the 3 files of this split set are missing: big-00002"):
        resolve(str(files[2]), tmp_path)
    split_set(tmp_path)[2].write_bytes(shard(3, 3)[:-1])
    with pytest.raises(ModelFileError, match=r"big-00003-of-00003\.gguf: truncated"):
        resolve(str(files[0]), tmp_path)


def test_a_split_set_must_be_named_as_its_headers_say(tmp_path: Path) -> None:
    files = split_set(tmp_path)
    files[1].write_bytes(shard(3, 3))
    with pytest.raises(ModelFileError, match="file 3 of its split set, and its name says 2"):
        resolve(str(files[0]), tmp_path)
    alone = make.write(tmp_path / "renamed.gguf", shard(1, 3))
    with pytest.raises(ModelFileError, match="part of 3 files, and its name says 1"):
        resolve(str(alone), tmp_path)


@pytest.mark.parametrize(
    "name", ["tiny", "TINY", "small-one", "someone/Tiny-GGUF", "Tiny-1B-Q4_0", "tiny-1b-q4_0.gguf"]
)
def test_a_dropped_file_is_found_by_name(models: Path, name: str) -> None:
    path = make.write(models / "Tiny-1B-Q4_0.gguf", make.small())
    found = resolve(name, models.parent)
    assert found.path == path and found.name == "tiny"
    assert found.card is not None and found.card.context == 2048


def test_files_without_a_card_and_in_a_subfolder(models: Path) -> None:
    (models / "Q8").mkdir()
    files = split_set(models / "Q8", stem="other")
    found = resolve("other", models.parent)
    assert (found.path, found.card) == (files[0], None)
    assert resolve("other-00001-of-00003", models.parent).path == files[0]


def test_two_quants_of_one_card_are_asked_about(models: Path) -> None:
    for quant in ("Q4_0", "Q8_0"):
        make.write(models / f"Tiny-1B-{quant}.gguf", make.small())
    with pytest.raises(OptionError, match="any of these: Tiny-1B-Q4_0, Tiny-1B-Q8_0"):
        resolve("tiny", models.parent)
    assert resolve("Tiny-1B-Q8_0", models.parent).path.name == "Tiny-1B-Q8_0.gguf"


def test_a_known_model_without_its_file_says_how_to_fetch_it(models: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve("mistral-medium-latest", models.parent)
    assert "is known, but no file of it" in str(caught.value)
    assert caught.value.hint == "Fetch it: ggufrun pull mistral-medium-latest"


@pytest.mark.parametrize(
    ("name", "nearest"), [("dmo", "demo"), ("mistral-medum-3.5", "mistral-medium-3.5"), ("Drpped", "Dropped")]
)
def test_an_unknown_name_gives_the_nearest(models: Path, name: str, nearest: str) -> None:
    make.write(models / "Dropped.gguf", make.small())
    with pytest.raises(ModelNotFound) as caught:
        resolve(name, models.parent)
    assert nearest in caught.value.nearest


@pytest.mark.parametrize("name", ["zzzz", "x" * 400, "nul\0byte"])
def test_an_unknown_name_without_neighbours(models: Path, name: str) -> None:
    with pytest.raises(ModelNotFound, match=r"Give a path to a \.gguf file"):
        resolve(name, models.parent)


@pytest.mark.parametrize(
    "path", ["none.gguf", "/none/at/all", "~no-such-user/x", "nul\0byte.gguf", "x" * 400 + ".gguf"]
)
def test_a_path_that_is_not_there(models: Path, path: str) -> None:
    with pytest.raises(ModelFileError):
        resolve(path, models.parent)


def test_other_things_that_are_not_models(models: Path) -> None:
    with pytest.raises(OptionError, match="empty"):
        resolve(" ", models.parent)
    with pytest.raises(ModelFileError, match="directory"):
        resolve(str(models), models.parent)
    with pytest.raises(ModelFileError, match="looks like a text file"):
        resolve(str(models / "tiny.toml"), models.parent)
    with pytest.raises(InputError, match=r"is not on this machine\. Fetch it: ggufrun pull someone/Else-GGUF:Q4_0"):
        resolve("someone/Else-GGUF:Q4_0", models.parent)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ([make.field("general.architecture", make.STRING, make.text("clip"))], "an image projector"),
        ([make.field("general.type", make.STRING, make.text("adapter"))], "a LoRA adapter"),
        ([make.field("general.type", make.STRING, make.text("imatrix"))], "an importance matrix"),
    ],
)
def test_a_gguf_that_is_not_a_language_model(tmp_path: Path, fields: list[bytes], says: str) -> None:
    path = make.write(tmp_path / "m.gguf", make.gguf(fields, [make.tensor("t", (32,), 0, 0)], data=128))
    with pytest.raises(ModelFileError, match=says):
        resolve(str(path), tmp_path)


def test_a_vocabulary_without_weights(tmp_path: Path) -> None:
    path = make.write(tmp_path / "m.gguf", make.gguf([make.field("a", make.BOOL, b"\1")]))
    with pytest.raises(ModelFileError, match="no weights"):
        resolve(str(path), tmp_path)
