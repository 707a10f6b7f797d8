"""What is found in each program's store, and what it is called."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ggufrun.hub.grouping import group
from ggufrun.store.find import find
from ggufrun.store.hub_cache import RepoCache
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
    assert [file.path.name for file in small.projectors] == ["mmproj-F16.gguf"] and not other.projectors
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
    assert all(file.checksum == file.path.readlink().name for file in split.files)
    assert split.card is not None and split.card.name == "mistral-small-3.2"
    assert {file.path.name for file in split.projectors} == {"mmproj-BF16.gguf", "mmproj-F16.gguf"}


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


def test_partials_of_which_nobody_says_what_they_are_have_a_name_of_their_own(stores: Stores) -> None:
    blobs = stores.hub("someone/One-GGUF", "README.md", b"# words").resolve().parent
    (blobs / f"{'e' * 64}.12345678.incomplete").write_bytes(b"x" * 5000)
    (blobs / f"{'e' * 64}.87654321.incomplete").write_bytes(b"x" * 9000)
    (blobs / "strange.incomplete").write_bytes(b"x")
    (blobs / f"{'d' * 64}.ggufrun.incomplete").write_bytes(b"x")
    (blobs / f"{'d' * 64}.ggufrun.journal.incomplete").write_bytes(b'{"path": 7')
    models = found(stores)
    assert set(models) == {"someone/One-GGUF:part-eeeeeeee", "someone/One-GGUF:part-dddddddd"}
    assert models["someone/One-GGUF:part-eeeeeeee"].size > 5000


def test_a_split_set_without_a_label_in_its_name_is_one_model_while_in_part(stores: Stores) -> None:
    stores.hub("someone/One-GGUF", "big-00001-of-00002.gguf", shard_bytes(1, 2))
    stores.hub_partial("someone/One-GGUF", "big-00002-of-00002.gguf", 1 << 20, b"x" * 8192)
    stores.hub_partial("someone/Two-GGUF", "big-00001-of-00002.gguf", 1 << 20, b"x" * 8192)
    stores.hub_partial("someone/Two-GGUF", "big-00002-of-00002.gguf", 1 << 20, b"x" * 4096)
    models = found(stores)
    assert set(models) == {"someone/One-GGUF:big", "someone/Two-GGUF:big"}
    assert models["someone/One-GGUF:big"].partial is not None
    assert [model.partial[1] if model.partial else 0 for model in models.values()][1] == 2 << 20


def test_a_new_version_under_way_is_not_hidden_by_the_old_one(stores: Stores) -> None:
    stores.hub("someone/One-GGUF", "one-Q4_0.gguf")
    partial = stores.hub_partial("someone/One-GGUF", "one-Q4_0.gguf", 5 << 20, b"y" * 4096)
    names = {"someone/One-GGUF:Q4_0", f"someone/One-GGUF:Q4_0-part-{partial.name[:8]}"}
    models = found(stores)
    assert set(models) == names
    assert {model.spec for model in models.values()} == {"someone/One-GGUF:Q4_0"}


def test_what_the_hub_calls_apart_is_apart_here(stores: Stores) -> None:
    """Three files of one name, and a name that cannot be typed: as `pull` calls them."""
    paths = ["a/model.gguf", "b/model.gguf", "c/model.gguf", "my model.gguf", "Q4_0/x.gguf", "old/Q4_0/x.gguf"]
    for path in paths:
        stores.hub("a/B-GGUF", path)
    on_the_hub = {quant.name: quant.first.path for quant in group((path, 1, "a" * 64) for path in paths).quants}
    assert {"a-model", "b-model", "c-model", "my_model"} < set(on_the_hub)
    for name, model in found(stores).items():
        assert model.path.as_posix().endswith(f"/{'c' * 40}/{on_the_hub.pop(name.partition(':')[2])}")
    assert not on_the_hub


def test_a_file_that_moved_to_another_folder_is_an_older_version(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0.gguf", model_bytes("old"), OLDER)
    stores.hub("a/B-GGUF", "Q4_0/b-Q4_0.gguf", model_bytes("new"))
    assert set(found(stores)) == {"a/B-GGUF:Q4_0", "a/B-GGUF:Q4_0-aaaaaaaa"}


def test_what_belongs_to_no_model_is_shown(stores: Stores) -> None:
    stores.hub("a/Part-GGUF", "b-Q4_0.gguf")
    stores.hub_partial("a/Part-GGUF", "mmproj-F16.gguf", 1 << 20, b"x" * 8192)
    assert set(found(stores)) == {"a/Part-GGUF:Q4_0"}  # a part of what sees images for it
    stores.hub("a/Part-GGUF", "b-Q4_0.gguf").unlink()  # as where a deletion was killed
    stores.hub("a/Whole-GGUF", "mmproj-F16.gguf")
    stores.hub("a/Words-GGUF", "README.md", b"# words").unlink()
    models = found(stores)
    assert set(models) == {"a/Part-GGUF:left-over", "a/Whole-GGUF:left-over"}
    assert models["a/Part-GGUF:left-over"].size > 8192 + 4000
    assert find("a/Part-GGUF", stores.places) is None


def test_what_cannot_be_looked_at_is_passed_over(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that go while one looks, and folders of other users; the superuser who may run this sees those."""
    stores.hub("a/B-GGUF", "b-Q4_0.gguf")
    gone = stores.hub_partial("a/B-GGUF", "b-Q8_0.gguf", 1 << 20, b"x" * 8192)
    stores.lm_studio("p/Secret-GGUF/s-Q4_0.gguf")
    stores.lm_studio("p/Open-GGUF/o-Q4_0.gguf")
    blob = stores.ollama("registry.ollama.ai/library/mistral/7b")
    stores.own("secret/mine-Q4_0.gguf")
    real_stat, real_listdir = os.stat, os.listdir

    def closed(path: str) -> None:
        if path.endswith(("Secret-GGUF", "mine-Q4_0.gguf", blob.name)):
            raise PermissionError(13, "closed", path)

    def stat(path: str | Path, **options: Any) -> os.stat_result:
        if str(path) == str(gone):
            raise FileNotFoundError(2, "gone", path)
        closed(str(path))
        return real_stat(path, **options)

    def listdir(path: str | Path) -> list[str]:
        closed(str(path))
        return real_listdir(path)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "listdir", listdir)
    assert set(found(stores)) == {"a/B-GGUF:Q4_0", "p/Open-GGUF:Q4_0"}


@pytest.mark.parametrize("repositories", [1, 300])
def test_hundreds_of_files_are_soon_listed(stores: Stores, repositories: int) -> None:
    """0.1 s on a machine that does nothing else; 0.3 s and more where the time grows with the square."""
    data = model_bytes()
    folder = stores.home / "hub"
    for number in range(600):
        repo = RepoCache(folder, f"someone/Many-{number % repositories}-GGUF")
        etag = f"{number:064x}"
        repo.blobs.mkdir(parents=True, exist_ok=True)
        repo.blob(etag).write_bytes(data)
        repo.place("c" * 40, f"model-{number}-Q4_0.gguf", etag)
    start = time.process_time()
    assert len(found(stores)) == 600
    assert time.process_time() - start < 1.0


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
    assert models["mistral:7b"].files[0].checksum == blob.name.removeprefix("sha256-")
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
