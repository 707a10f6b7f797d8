"""The Hugging Face cache's layout, as huggingface_hub itself makes and reads it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ggufrun.hub_errors import HubRefused
from ggufrun.store.hub_cache import CachedFile, RepoCache, cached_file, repositories
from ggufrun.store.hub_folder import cache_folder

COMMIT, LATER = "1" * 40, "2" * 40
ETAG = "a" * 64


@pytest.fixture
def repo(tmp_path: Path) -> RepoCache:
    return RepoCache(tmp_path / "hub", "owner/some.name-GGUF")


def _blob(repo: RepoCache, etag: str = ETAG, data: bytes = b"GGUF") -> Path:
    repo.blobs.mkdir(parents=True, exist_ok=True)
    repo.blob(etag).write_bytes(data)
    return repo.blob(etag)


@pytest.mark.process
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"XDG_CACHE_HOME": "/xdg"},
        {"HF_HOME": "/hf", "XDG_CACHE_HOME": "/xdg"},
        {"HF_HOME": "~/own", "XDG_CACHE_HOME": "/xdg"},
        {"HF_HOME": "$WHERE/hf", "WHERE": "/disk"},
        {"HF_HUB_CACHE": "${WHERE}/hub", "WHERE": "/disk", "HF_HOME": "/hf"},
        {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/hf"},
        {"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old"},
        {"HF_HOME": "$NOBODY/hf"},
    ],
    ids=str,
)
def test_it_is_where_huggingface_hub_has_it(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    keep = {"HOME": "/home/somebody", "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", code], env=keep | environ, capture_output=True, text=True, check=True)
    assert str(cache_folder(environ)) == done.stdout.strip()


def test_an_empty_variable_is_none() -> None:
    assert cache_folder({"HF_HOME": "", "HF_HUB_CACHE": "", "XDG_CACHE_HOME": "/xdg"}) == Path("/xdg/huggingface/hub")


def test_names(repo: RepoCache) -> None:
    assert repo.folder.name == "models--owner--some.name-GGUF"
    assert repo.lock(ETAG) == repo.cache / ".locks" / repo.folder.name / f"{ETAG}.lock"
    assert repo.partial(ETAG).name.endswith(".incomplete") and repo.journal(ETAG).name.endswith(".incomplete")
    assert repo.link(COMMIT, "UD-Q4/x.gguf") == repo.folder / "snapshots" / COMMIT / "UD-Q4" / "x.gguf"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/x",
        "../x",
        "a/../../x",
        "a//b",
        "a/./b",
        "..",
        "a\\..\\b",
        "a\0b",
        ". ./x",
        "a/",
        "x" * 256,
        "x/" * 500 + "x",
    ],
)
def test_no_name_leads_elsewhere(repo: RepoCache, path: str) -> None:
    with pytest.raises(HubRefused):
        repo.link(COMMIT, path)
    with pytest.raises(HubRefused):
        repo.point(path, COMMIT)
    assert not repo.folder.exists()


@pytest.mark.parametrize("text", ["", "../../x", "main", "A" * 40, "a" * 63, "a" * 65, f"{ETAG}\n"])
def test_checksums_and_commits_are_hexadecimal(repo: RepoCache, text: str) -> None:
    for use in (repo.blob, repo.partial, repo.journal, repo.lock, repo.snapshot):
        with pytest.raises(HubRefused):
            use(text)
    with pytest.raises(HubRefused):
        RepoCache(repo.cache, "../name").folder.exists()


def test_a_file_is_placed_and_found(repo: RepoCache) -> None:
    blob = _blob(repo)
    link = repo.place(COMMIT, "UD-Q4/x.gguf", ETAG)
    assert os.readlink(link) == os.path.join("..", "..", "..", "blobs", ETAG)
    assert list(repo.files(COMMIT)) == [CachedFile("UD-Q4/x.gguf", link, blob.resolve(), 4, ETAG)]
    assert repo.place(COMMIT, "UD-Q4/x.gguf", ETAG) == link
    assert [each.name for each in link.parent.iterdir()] == ["x.gguf"]
    assert repositories(repo.cache) == (repo,)


def test_a_path_tells_what_the_cache_knows_of_it(repo: RepoCache, tmp_path: Path) -> None:
    _blob(repo)
    link = repo.place(COMMIT, "UD-Q4/x.gguf", ETAG)
    assert [cached_file(link)] == list(repo.files(COMMIT))
    odd = repo.folder / "snapshots" / "mine" / "x.gguf"
    odd.parent.mkdir()
    odd.write_bytes(b"GGUF")
    assert cached_file(odd) is None and cached_file(tmp_path / "x.gguf") is None


def test_a_blob_that_is_itself_a_link(repo: RepoCache) -> None:
    """huggingface_hub keeps some in a store for all repositories, under another checksum."""
    shared = repo.cache / "blobs" / "ff" / ("f" * 64)
    shared.parent.mkdir(parents=True)
    shared.write_bytes(b"GGUF!")
    repo.blobs.mkdir(parents=True)
    repo.blob(ETAG).symlink_to(shared)
    link = repo.place(COMMIT, "x.gguf", ETAG)
    assert list(repo.files(COMMIT)) == [CachedFile("x.gguf", link, shared.resolve(), 5, ETAG)]


def test_links_without_bytes_are_left_out(repo: RepoCache) -> None:
    blob = _blob(repo)
    repo.place(COMMIT, "x.gguf", ETAG)
    blob.unlink()
    assert list(repo.files(COMMIT)) == [] and repo.commits() == (COMMIT,)


def _no_symlinks(*_: object, **__: object) -> None:
    raise OSError(1314, "A required privilege is not held by the client")


def test_without_symlinks_a_hard_link(repo: RepoCache, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = _blob(repo)
    monkeypatch.setattr(Path, "symlink_to", _no_symlinks)
    link = repo.place(COMMIT, "x.gguf", ETAG)
    assert not link.is_symlink() and link.samefile(blob)
    assert [file.etag for file in repo.files(COMMIT)] == [ETAG]


def test_without_any_links_the_file_itself(repo: RepoCache, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = _blob(repo)
    monkeypatch.setattr(Path, "symlink_to", _no_symlinks)
    monkeypatch.setattr(Path, "hardlink_to", _no_symlinks)
    link = repo.place(COMMIT, "x.gguf", ETAG)
    assert link.read_bytes() == b"GGUF" and not blob.exists()
    monkeypatch.undo()
    assert (
        repo.place(COMMIT, "x.gguf", ETAG) == link and link.read_bytes() == b"GGUF"
    )  # no link to a blob that is not there
    assert [file.etag for file in repo.files(COMMIT)] == [None]


def test_a_wrong_link_is_put_right(repo: RepoCache) -> None:
    _blob(repo)
    _blob(repo, "b" * 64, b"newer")
    repo.place(COMMIT, "x.gguf", ETAG)
    assert repo.place(COMMIT, "x.gguf", "b" * 64).read_bytes() == b"newer"


def test_branches_point_to_commits(repo: RepoCache) -> None:
    assert repo.commit_of("main") is None
    repo.point("main", COMMIT)
    repo.point("main", LATER)
    repo.point("refs/pr/1", COMMIT)
    repo.point(COMMIT, COMMIT)
    assert (repo.commit_of("main"), repo.commit_of("refs/pr/1"), repo.commit_of(COMMIT)) == (LATER, COMMIT, COMMIT)
    assert sorted(path.name for path in (repo.folder / "refs").iterdir()) == ["main", "refs"]
    (repo.folder / "refs" / "main").write_text("../../..")
    assert repo.commit_of("main") is None


def test_partials_are_listed_without_their_journals(repo: RepoCache) -> None:
    assert repo.partials() == ()
    repo.blobs.mkdir(parents=True)
    for path in (
        repo.partial(ETAG),
        repo.journal(ETAG),
        repo.blob("b" * 64),
        repo.blobs / f"{ETAG}.12345678.incomplete",
    ):
        path.touch()
    assert sorted(path.name for path in repo.partials()) == [f"{ETAG}.12345678.incomplete", repo.partial(ETAG).name]


def test_other_folders_are_no_repositories(repo: RepoCache) -> None:
    for name in ("models--a--b", "datasets--a--b", "models--gpt2", ".locks", "blobs"):
        (repo.cache / name).mkdir(parents=True)
    assert [each.repo for each in repositories(repo.cache)] == ["a/b", "gpt2"]
    assert repositories(repo.cache / "missing") == ()
