"""What is found in each program's store, and what it is called."""

import json
from pathlib import Path

import pytest

from ggufrun.store.places import Places
from ggufrun.store.stored import StoredModel
from tests.store.stores import OLDER, Stores, model_bytes, shard_bytes

SMALL = "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF"
STEM = "Mistral-Small-3.2-24B-Instruct-2506"


def found(stores: Stores) -> dict[str, StoredModel]:
    models = [model for model in stores.places.models() if model.source != "package"]
    assert len({model.name for model in models}) == len(models)
    return {model.name: model for model in models}


def test_nothing_is_no_error(stores: Stores) -> None:
    assert found(stores) == {}


def test_our_own_folders(stores: Stores) -> None:
    stores.own(f"{STEM}-Q4_K_M.gguf")
    stores.own("Q8_0/other-00001-of-00002.gguf", shard_bytes(1, 2))
    stores.own("Q8_0/other-00002-of-00002.gguf", shard_bytes(2, 2))
    stores.own("cut-00002-of-00002.gguf", shard_bytes(2, 2))
    stores.own("mmproj-F16.gguf")
    stores.own("notes.txt")
    models = found(stores)
    assert set(models) == {f"{STEM}-Q4_K_M", "other", "cut"}
    small, other = models[f"{STEM}-Q4_K_M"], models["other"]
    assert small.card is not None and (small.card.name, small.quant) == ("mistral-small-3.2", "Q4_K_M")
    projector = small.projector()
    assert projector is not None and projector.path.name == "mmproj-F16.gguf"
    assert (other.quant, len(other.files), other.size) == ("Q8_0", 2, 2 * len(shard_bytes(1, 2)))
    assert models["cut"].partial is not None


def test_the_hub_cache(stores: Stores) -> None:
    stores.hub(SMALL, f"{STEM}-Q4_K_M.gguf")
    stores.hub(SMALL, f"UD-Q8_K_XL/{STEM}-UD-Q8_K_XL-00001-of-00002.gguf", shard_bytes(1, 2))
    last = stores.hub(SMALL, f"UD-Q8_K_XL/{STEM}-UD-Q8_K_XL-00002-of-00002.gguf", shard_bytes(2, 2))
    stores.hub(SMALL, "mmproj-BF16.gguf")
    stores.hub(SMALL, "mmproj-F16.gguf", model_bytes("better"))
    stores.hub(SMALL, "README.md", b"# words")
    stores.hub("someone/Plain-GGUF", "plain.gguf")
    models = found(stores)
    assert set(models) == {f"{SMALL}:Q4_K_M", f"{SMALL}:UD-Q8_K_XL", "someone/Plain-GGUF:plain"}
    split = models[f"{SMALL}:UD-Q8_K_XL"]
    assert [file.path.name[-19:] for file in split.files] == ["-00001-of-00002.gguf"[1:], "-00002-of-00002.gguf"[1:]]
    assert split.files[1].path == last and split.path.parent == last.parent  # where llama.cpp looks for the others
    assert all(file.sha256 == file.path.readlink().name for file in split.files)
    assert split.card is not None and split.card.name == "mistral-small-3.2"
    projector = split.projector()
    assert projector is not None and projector.path.name == "mmproj-F16.gguf"  # as the card prefers it


def test_a_quant_that_two_snapshots_share_is_one_and_one_that_changed_is_two(stores: Stores) -> None:
    for commit in (OLDER, "c" * 40):
        stores.hub("someone/Two-GGUF", "two-Q4_0.gguf", model_bytes("same"), commit)
        stores.hub("someone/Two-GGUF", "two-Q8_0.gguf", model_bytes(commit), commit)
    models = found(stores)
    assert set(models) == {"someone/Two-GGUF:Q4_0", "someone/Two-GGUF:Q8_0", "someone/Two-GGUF:Q8_0-aaaaaaaa"}
    assert len(models["someone/Two-GGUF:Q4_0"].files[0].places) == 2
    assert "c" * 40 in str(models["someone/Two-GGUF:Q8_0"].path)


def test_two_models_of_one_quant_in_one_repository_are_called_by_their_files(stores: Stores) -> None:
    stores.hub("someone/Pair-GGUF", "small-Q4_0.gguf")
    stores.hub("someone/Pair-GGUF", "large-Q4_0.gguf")
    assert set(found(stores)) == {"someone/Pair-GGUF:small-Q4_0", "someone/Pair-GGUF:large-Q4_0"}


def test_what_came_in_part_only(stores: Stores) -> None:
    stores.hub(SMALL, f"Q8_0/{STEM}-Q8_0-00001-of-00002.gguf", shard_bytes(1, 2))
    stores.hub_partial(SMALL, f"Q8_0/{STEM}-Q8_0-00002-of-00002.gguf", 1 << 20, b"x" * 8192)
    stores.hub_partial("someone/One-GGUF", "one-Q4_0.gguf", 5 << 20, b"y" * 4096)
    models = found(stores)
    split, one = models[f"{SMALL}:Q8_0"], models["someone/One-GGUF:Q4_0"]
    assert split.partial is not None and 8192 < split.partial[0] < 1 << 20 and len(split.files) == 2
    assert one.partial is not None and one.partial[1] == 5 << 20 and 4096 <= one.partial[0] < 1 << 20
    assert one.size == one.partial[0]


def test_a_foreign_partial_is_called_by_its_repository(stores: Stores) -> None:
    blobs = stores.hub("someone/One-GGUF", "README.md", b"# words").resolve().parent
    (blobs / f"{'e' * 64}.12345678.incomplete").write_bytes(b"x" * 5000)
    (blobs / "strange.incomplete").write_bytes(b"x")
    (blobs / f"{'d' * 64}.ggufrun.incomplete").write_bytes(b"x")
    (blobs / f"{'d' * 64}.ggufrun.journal.incomplete").write_bytes(b'{"path": 7')
    assert set(found(stores)) == {"someone/One-GGUF"}


def test_lm_studio(stores: Stores) -> None:
    stores.lm_studio(f"lmstudio-community/{STEM}-GGUF/{STEM}-Q4_K_M.gguf")
    stores.lm_studio(f"lmstudio-community/{STEM}-GGUF/mmproj-model-f16.gguf")
    stores.lm_studio("loose.gguf")
    (model,) = found(stores).values()
    assert (model.name, model.source) == (f"lmstudio-community/{STEM}-GGUF:Q4_K_M", "lmstudio")
    assert model.card is not None and model.card.name == "mistral-small-3.2"
    assert len(model.projectors) == 1


def test_ollama(stores: Stores) -> None:
    blob = stores.ollama("registry.ollama.ai/library/mistral/7b")
    stores.ollama("registry.ollama.ai/library/mistral/latest")
    stores.ollama("registry.ollama.ai/someone/tuned/v2", file_type="unknown")
    stores.ollama(f"hf.co/{SMALL}/Q4_K_M")
    models = found(stores)
    assert set(models) == {"mistral:7b", "mistral:latest", "someone/tuned:v2", f"hf.co/{SMALL}:Q4_K_M"}
    assert models["mistral:7b"].path == blob and models["mistral:7b"].quant == "Q4_K_M"
    assert models["mistral:7b"].files[0].sha256 == blob.name.removeprefix("sha256-")
    assert models["someone/tuned:v2"].quant == ""
    card = models[f"hf.co/{SMALL}:Q4_K_M"].card
    assert card is not None and card.name == "mistral-small-3.2"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"layers": 3}',
        b'{"layers": [null, 5, {"mediaType": "application/vnd.ollama.image.model"}]}',
        b"[" * 100_000,
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../etc/passwd"}]}',
    ],
)
def test_a_manifest_that_is_none_is_passed_over(stores: Stores, content: bytes) -> None:
    stores.ollama("registry.ollama.ai/library/good/latest")
    manifests = stores.home / ".ollama" / "models" / "manifests"
    (manifests / "registry.ollama.ai" / "library" / "good" / "bad").write_bytes(content)
    assert set(found(stores)) == {"good:latest"}


def test_a_digest_never_leads_out_of_the_blobs(stores: Stores) -> None:
    secret = stores.own("secret.gguf")
    place = stores.home / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / "library" / "evil" / "latest"
    place.parent.mkdir(parents=True)
    (stores.home / ".ollama" / "models" / "blobs" / "sha256-x").mkdir(parents=True)
    digest = f"sha256:x/../../../../data/models/{secret.name}"
    assert (stores.home / ".ollama" / "models" / "blobs" / digest.replace(":", "-")).samefile(secret)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": digest}
    place.write_text(json.dumps({"layers": [layer]}))
    assert set(found(stores)) == {"secret"}


def test_where_the_programs_are_told_to_keep_their_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    usual = Places.here({}, tmp_path / "data")
    assert usual.own[0] == tmp_path / "data" / "models"
    assert usual.hub == tmp_path / ".cache" / "huggingface" / "hub"
    assert tmp_path / ".lmstudio" / "models" in usual.lm_studio and tmp_path / ".ollama" / "models" in usual.ollama
    told = Places.here({"HF_HOME": str(tmp_path / "hf"), "OLLAMA_MODELS": str(tmp_path / "o")}, tmp_path / "data")
    assert (told.hub, told.ollama) == (tmp_path / "hf" / "hub", (tmp_path / "o",))
