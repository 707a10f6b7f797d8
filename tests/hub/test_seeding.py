"""The bytes that were read for a header: kept where a reading was broken off, and used by the pull that follows."""

import errno
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ggufrun.errors import InputError
from ggufrun.hub import remote_header as module
from ggufrun.hub.remote_header import remote_header
from ggufrun.hub_errors import HubRefused, WrongBytes
from tests.hub.fake_hub import FakeHub
from tests.hub.faults import Cut, Status
from tests.hub.home import Home
from tests.hub.models import MIB, weights
from tests.hub.pulling import NAME, REPO, client_of, listing_of, pull_here

pytestmark = pytest.mark.process

DATA = weights("seeding", 5 * MIB + 7)
READ = 2 * MIB  # for a header


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: FakeHub) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "default_folder", lambda: tmp_path / "cache")  # elsewhere than on Linux
    monkeypatch.setattr("ggufrun.hub.pull.default_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(module, "FIRST", READ)
    monkeypatch.setattr("ggufrun.hub.front.WAITS_S", (0.01,))
    hub.add_repo(REPO, {NAME: DATA})
    return tmp_path / "cache"


def _header(hub: FakeHub, home: Home) -> Path:
    listing = listing_of(hub, home)
    return remote_header(client_of(hub, home), listing, listing.quants[0])[0].path


def test_a_pull_begins_with_what_is_here(hub: FakeHub, home: Home) -> None:
    _header(hub, home)
    assert hub.sent() == READ
    assert pull_here(hub, home).read_bytes() == DATA
    assert hub.sent() == len(DATA)


def test_another_content_is_not_mixed_in(hub: FakeHub, home: Home) -> None:
    _header(hub, home)
    other = weights("another", len(DATA))
    hub.add_repo(REPO, {NAME: other})
    assert pull_here(hub, home).read_bytes() == other
    assert hub.sent() == READ + len(other)


def test_a_beginning_that_is_wrong_is_forgotten(hub: FakeHub, home: Home) -> None:
    path = _header(hub, home)
    with path.open("r+b") as file:
        file.seek(MIB)
        file.write(b"spoiled")
    with pytest.raises(WrongBytes):
        pull_here(hub, home)
    assert not path.exists()
    assert pull_here(hub, home).read_bytes() == DATA


@pytest.mark.parametrize("spoil", ["", "no numbers", f"{'a' * 64} 7", "\xff"])
def test_a_note_that_cannot_be_read_is_no_note(hub: FakeHub, home: Home, spoil: str) -> None:
    path = _header(hub, home)
    path.with_name(f"{NAME}.front").write_text(spoil, "latin-1")
    assert pull_here(hub, home).read_bytes() == DATA
    assert hub.sent() == READ + len(DATA)


def test_a_reading_that_was_broken_off_goes_on(
    hub: FakeHub, home: Home, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ggufrun.hub.front._CHUNK", 50)
    hub.faults.add(Cut(100))
    hub.faults.add(Status(404), times=None)
    with pytest.raises(HubRefused):
        _header(hub, home)
    hub.faults.clear()
    hub.log.clear()
    _header(hub, home)
    (request,) = hub.asked("cdn")
    assert request.range == f"bytes=100-{READ - 1}"
    assert pull_here(hub, home).read_bytes() == DATA
    assert not list(cache.rglob("*.part"))


def test_what_was_left_may_be_spoiled(hub: FakeHub, home: Home, cache: Path) -> None:
    path = _header(hub, home)
    path.rename(path.with_name(f"{NAME}.part"))
    path.with_name(f"{NAME}.part").write_bytes(bytes(MIB))
    assert _header(hub, home) == path
    assert path.read_bytes()[:READ] == DATA[:READ]


def test_two_readings_at_once_are_one(hub: FakeHub, home: Home) -> None:
    hub.bytes_per_s = 4 * MIB
    found: list[Path] = []
    threads = [Thread(target=lambda: found.append(_header(hub, home))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 3 and len(set(found)) == 1
    assert hub.sent() == READ


def test_a_folder_for_headers_that_is_none_costs_no_pull(hub: FakeHub, home: Home, cache: Path) -> None:
    """As one on a disk that is full, or only for reading."""
    cache.write_text("a file, not a folder")
    with pytest.raises(InputError, match=f"{cache} cannot take the model's header.*XDG_CACHE_HOME"):
        _header(hub, home)
    assert pull_here(hub, home).read_bytes() == DATA


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_for_headers_that_may_not_be_read_costs_no_pull(hub: FakeHub, home: Home, cache: Path) -> None:
    _header(hub, home)
    cache.chmod(0)
    try:
        assert pull_here(hub, home).read_bytes() == DATA
    finally:
        cache.chmod(0o700)


def test_a_beginning_that_cannot_be_read_or_removed_costs_no_pull(
    hub: FakeHub, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _header(hub, home)
    usual = Path.open

    def unreadable(self: Path, *arguments: Any, **more: Any) -> Any:
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return usual(self, *arguments, **more)

    monkeypatch.setattr(Path, "open", unreadable)
    assert pull_here(hub, home).read_bytes() == DATA
    assert hub.sent() == READ + len(DATA)
