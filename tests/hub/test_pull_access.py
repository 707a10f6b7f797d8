"""Whose files may be pulled, with which token, and that the token goes to the hub alone."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from ggufrun.errors import GgufrunError
from ggufrun.hub_errors import DiskFull, GatedRepo, HubRefused, NoSuchRevision, RepoNotFound
from tests.hub.fake_api import READER, STRANGER
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.home import Home
from tests.hub.models import MIB, weights
from tests.hub.pulling import CHUNK, NAME, REPO, listing_of, pull_here

pytestmark = pytest.mark.process

DATA = weights("kept back", 3 * MIB)


def test_the_token_never_leaves_the_hub(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA}, private=True)
    assert pull_here(hub, home, token=READER).read_bytes() == DATA
    assert all(request.had_auth for request in hub.log if request.server == "hub")
    assert hub.asked("cdn") and not any(request.had_auth for request in hub.asked("cdn"))


@pytest.mark.parametrize(
    ("token", "about", "error"),
    [
        (None, {"private": True}, RepoNotFound),
        (STRANGER, {"private": True}, RepoNotFound),
        ("hf_wrong", {}, HubRefused),
    ],
)
def test_private(hub: FakeHub, home: Home, token: str | None, about: dict[str, bool], error: type[Exception]) -> None:
    hub.add_repo(REPO, {NAME: DATA}, private=about.get("private", False))
    with pytest.raises(error) as caught:
        pull_here(hub, home, token=token)
    assert isinstance(caught.value, GgufrunError) and caught.value.hint
    assert token is None or token not in str(caught.value)


@pytest.mark.parametrize("token", [None, STRANGER])
def test_gated(hub: FakeHub, home: Home, token: str | None) -> None:
    hub.add_repo(REPO, {NAME: DATA}, gated=True)
    assert listing_of(hub, home, token).gated  # to look is allowed
    with pytest.raises(GatedRepo, match=f"https://huggingface.co/{REPO}") as caught:
        pull_here(hub, home, token=token)
    assert ("HF_TOKEN" in str(caught.value)) == (token is None)
    assert hub.sent() == 0
    assert pull_here(hub, home, token=READER).read_bytes() == DATA


def test_revisions(hub: FakeHub, home: Home) -> None:
    old = hub.add_repo(REPO, {NAME: DATA}, revision="v1")
    hub.add_repo(REPO, {NAME: weights("newer", MIB)})
    for revision in ("v1", old):
        path = pull_here(hub, home, revision=revision)
        assert path.read_bytes() == DATA and path.parent.name == old
    with pytest.raises(NoSuchRevision, match="v9"):
        pull_here(hub, home, revision="v9")


def test_a_full_disk_is_seen_before_the_first_byte(hub: FakeHub, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patched, pytest.raises(DiskFull) as caught:
        patched.setattr(shutil, "disk_usage", lambda path: usage(10 * MIB, 9 * MIB, MIB))
        pull_here(hub, home)
    assert caught.value.free == MIB and caught.value.needed >= len(DATA)
    assert hub.asked("cdn") == []
    assert pull_here(hub, home).read_bytes() == DATA
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10 * MIB, 10 * MIB, 0))
    assert pull_here(hub, home).read_bytes() == DATA  # nothing is to come


def test_a_disk_that_fills_up_meanwhile(hub: FakeHub, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write to it, too. What came is kept."""
    data = weights("fills up", 12 * MIB)
    hub.add_repo(REPO, {NAME: data})
    written, pwrite = [0], os.pwrite

    def full(file: int, piece: bytes, at: int) -> int:
        if written[0] >= 6 * MIB:
            raise OSError(errno.ENOSPC, "No space left on device")
        written[0] += len(piece)
        return pwrite(file, piece, at)

    with monkeypatch.context() as patched, pytest.raises(DiskFull):
        patched.setattr(os, "pwrite", full)
        pull_here(hub, home)
    assert not list(home.hub_cache.rglob("*.gguf"))
    hub.log.clear()
    assert pull_here(hub, home).read_bytes() == data
    assert hub.sent() <= 6 * MIB + CHUNK  # the other half, and what was still on its way


def test_a_file_that_no_disk_holds(hub: FakeHub, home: Home, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(1 << 43)
    hub.add_repo(REPO, {NAME: FakeFile(path, "ab" * 32)})
    with pytest.raises(DiskFull):
        pull_here(hub, home)
    assert hub.asked("cdn") == []
    assert not home.hub_cache.exists() or not list(home.hub_cache.rglob("*.incomplete"))
