"""Which mmproj file a model sees with: what lies beside it, what fits, and what is said of the rest."""

import struct
from pathlib import Path

import pytest

from ggufrun.errors import ModelFileError
from ggufrun.store.projectors import projector_for, projectors_beside
from ggufrun.store.resolve import resolve
from tests.store.stores import Stores
from tests.weights import gguf_bytes as make

WIDTH = 64
REPO = "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF"
STEM = "Mistral-Small-3.2-24B-Instruct-2506"


def number(key: str, value: int) -> bytes:
    return make.field(key, make.UINT32, struct.pack("<I", value))


def model(width: int = WIDTH) -> bytes:
    fields = [
        make.field("general.architecture", make.STRING, make.text("llama")),
        number("llama.embedding_length", width),
    ]
    return make.gguf(fields, [make.tensor("token_embd.weight", (32, 32), 0, 0)], data=4096)


def mmproj(width: int = WIDTH, kind: str = "pixtral", name: str = "", **sizes: int) -> bytes:
    fields = [make.field("general.architecture", make.STRING, make.text("clip"))]
    fields += [make.field("general.name", make.STRING, make.text(name))] if name else []
    fields.append(make.field("clip.projector_type", make.STRING, make.text(kind)))
    told = {"image_size": 64, "patch_size": 16, "projection_dim": width, **sizes}
    fields += [number(f"clip.vision.{key}", value) for key, value in told.items()]
    return make.gguf(fields, [make.tensor("v.patch_embd.weight", (32,), 0, 0)], data=128)


def written(folder: Path, **files: bytes) -> Path:
    """The folder's model, `Some-24B-Q4_K_M.gguf`, beside files by their stems."""
    for stem, data in files.items():
        make.write(folder / f"{stem.replace('__', '-')}.gguf", data)
    return make.write(folder / "Some-24B-Q4_K_M.gguf", model())


def seen(path: Path) -> str | None:
    header = projector_for(resolve(str(path)), None).header
    return header.path.name if header is not None else None


def test_the_one_beside_the_model_and_of_several_sixteen_bits(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert seen(path) is None and projector_for(resolve(str(path)), None).note == ""
    for stem in ("mmproj__Q8_0", "mmproj__BF16", "mmproj__F16"):  # each better than those before
        written(tmp_path, mmproj__F32=mmproj(), **{stem: mmproj()})
        assert seen(path) == f"{stem.replace('__', '-')}.gguf"


def test_of_several_the_one_that_fits_and_then_the_one_of_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, mmproj__F16=mmproj(WIDTH + 1), mmproj__Q8_0=mmproj(), mmproj__BF16=mmproj(kind="gemma3"))
    assert seen(path) == "mmproj-Q8_0.gguf"
    written(tmp_path, other__mmproj__F16=mmproj(), mmproj__Some__24B__Q8_0=mmproj())
    assert seen(path) == "mmproj-Some-24B-Q8_0.gguf"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (mmproj(WIDTH * 2), "makes embeddings of 128 numbers, Some-24B-Q4_K_M.gguf takes 64"),
        (mmproj(kind="gemma3"), "in the way of 'gemma3'"),
        (mmproj(patch_size=0), "how large its patches"),
        (mmproj(spatial_merge_size=0), "how large its patches"),
        (model(), "no mmproj file"),
        (b"<html>", "HTML page"),
    ],
)
def test_what_does_not_fit_is_refused_by_hand_and_noted_when_found(tmp_path: Path, data: bytes, says: str) -> None:
    path = written(tmp_path, mmproj=data)
    found = projector_for(resolve(str(path)), None)
    assert found.header is None and found.note.startswith("images cannot be seen: mmproj.gguf: ") and says in found.note
    with pytest.raises(ModelFileError, match=r"mmproj\.gguf") as caught:
        projector_for(resolve(str(path)), str(tmp_path / "mmproj.gguf"))
    assert says in str(caught.value)


def test_by_hand_from_anywhere_or_none(tmp_path: Path) -> None:
    path, other = written(tmp_path, mmproj=mmproj()), make.write(tmp_path / "eyes.bin", mmproj())
    given = projector_for(resolve(str(path)), str(other)).header
    assert given is not None and given.path == other
    assert projector_for(resolve(str(path)), "none").header is None
    with pytest.raises(ModelFileError, match="no such file"):
        projector_for(resolve(str(path)), str(tmp_path / "nothing.gguf"))


def test_in_the_hubs_cache_it_is_the_repositorys(stores: Stores) -> None:
    """Quants may lie in folders of their own. The card's order counts, which has no Q8_0."""
    path = stores.hub(REPO, f"UD-Q4_K_XL/{STEM}-UD-Q4_K_XL.gguf", model())
    stores.hub("someone/Else-GGUF", "mmproj-F16.gguf", mmproj(WIDTH, image_size=128))
    assert seen(path) is None
    stores.hub(REPO, "mmproj-BF16.gguf", mmproj())
    assert seen(path) == "mmproj-BF16.gguf"
    (stored,) = [each for each in stores.places.models() if each.source == "hub" and STEM in each.path.name]
    assert [file.path.name for file in stored.projectors] == ["mmproj-BF16.gguf"]
    stores.hub(REPO, "mmproj-Q8_0.gguf", mmproj())
    stores.hub(REPO, "mmproj-BF16.gguf", mmproj(WIDTH + 1))
    stores.hub(REPO, "mmproj-F32.gguf", mmproj())
    assert seen(path) == "mmproj-F32.gguf"


@pytest.mark.parametrize(
    ("file", "inside"), [(f"{STEM}-mmproj-F16", ""), ("mmproj-F16", "Mistral Small 3.2 24B Instruct 2506")]
)
def test_in_a_folder_of_several_models_it_is_the_one_it_is_called_after(tmp_path: Path, file: str, inside: str) -> None:
    """As wide, and of the same maker: a text-only model does not see with another one's."""
    other = make.write(tmp_path / "Mistral-Small-24B-Instruct-2501-Q4_K_M.gguf", model())
    quants = [make.write(tmp_path / f"{STEM}-{quant}.gguf", model()) for quant in ("Q4_K_M", "UD-Q4_K_XL")]
    make.write(tmp_path / f"{file}.gguf", mmproj(name=inside))
    assert [seen(path) for path in quants] == [f"{file}.gguf"] * 2
    found = resolve(str(other))
    assert projector_for(found, None).header is None and projector_for(found, None).note == ""
    assert projectors_beside(found) == []


def test_one_that_no_name_says_whose_it_is(tmp_path: Path) -> None:
    """In a folder of several models it is the only one's that it fits; where it fits two, nobody knows."""
    path, narrow = written(tmp_path, mmproj__F16=mmproj()), make.write(tmp_path / "tiny-Q8_0.gguf", model(WIDTH // 2))
    assert seen(path) == "mmproj-F16.gguf"
    assert projector_for(resolve(str(narrow)), None).note == ""  # no fault of a model that never saw
    make.write(tmp_path / "Else-24B-Q8_0.gguf", model())
    found = projector_for(resolve(str(path)), None)
    assert found.header is None and "may be that of Else-24B-Q8_0.gguf; --mmproj FILE" in found.note
    assert projector_for(resolve(str(path)), str(tmp_path / "mmproj-F16.gguf")).header is not None


def test_a_repositorys_are_for_all_of_its_models(stores: Stores) -> None:
    paths = [stores.hub("someone/Two-GGUF", f"{name}-Q8_0.gguf", model()) for name in ("one", "other")]
    stores.hub("someone/Two-GGUF", "mmproj-F16.gguf", mmproj(name="one"))
    assert [seen(path) for path in paths] == ["mmproj-F16.gguf"] * 2


def test_in_a_models_folder_as_well(stores: Stores) -> None:
    stores.own(f"{STEM}-Q4_K_M.gguf", model())
    stores.own("Mistral-Small-24B-Instruct-2501-Q4_K_M.gguf", model())
    stores.own(f"{STEM}-mmproj-F16.gguf", mmproj())
    home = {"HOME": str(stores.home)}
    seeing, blind = (
        projector_for(resolve(f"{name}-Q4_K_M", stores.home / "data", home), None)
        for name in (STEM, "Mistral-Small-24B-Instruct-2501")
    )
    assert seeing.header is not None and blind.header is None


def test_an_empty_name_is_no_wish_for_the_one_beside(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="directory"):
        projector_for(resolve(str(written(tmp_path, mmproj=mmproj()))), "")
