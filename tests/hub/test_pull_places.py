"""What a repository or a hub may call its files: nothing is ever written outside of the cache."""

from contextlib import suppress
from pathlib import Path

import pytest

from ggufrun.errors import GgufrunError
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.home import Home, snapshot
from tests.hub.models import MIB, weights
from tests.hub.pulling import NAME, REPO, client_of, listing_of, pull_here

pytestmark = pytest.mark.process

DATA, EVIL = weights("good", MIB), weights("evil", MIB // 2)

HOSTILE = [
    "../../evil-Q2_K.gguf",
    "../evil-Q2_K.gguf",
    "sub/../../../evil-Q2_K.gguf",
    "/tmp/evil-Q2_K.gguf",
    "//host/share/evil-Q2_K.gguf",
    "..\\..\\evil-Q2_K.gguf",
    "sub\\..\\..\\evil-Q2_K.gguf",
    "C:\\evil-Q2_K.gguf",
    "C:evil-Q2_K.gguf",
    "evil\0-Q2_K.gguf",
    "evil\n-Q2_K.gguf",
    "evil\x1b[2J-Q2_K.gguf",
    "evil\u202e-Q2_K.gguf",
    "./evil-Q2_K.gguf",
    "sub//evil-Q2_K.gguf",
    "con/evil-Q2_K.gguf",
    "NUL.gguf",
    " evil-Q2_K.gguf",
    "~/evil-Q2_K.gguf",
    "evil" * 200 + "-Q2_K.gguf",
    "/".join(["deep"] * 2000) + "/evil-Q2_K.gguf",
    "evil\ud800-Q2_K.gguf",
    "evil-Q2_K.gguf:stream",
]


def _outside(tmp_path: Path, home: Home) -> list[Path]:
    """All files here that are not in the repository's folder of the cache, or among its locks."""
    own = home.hub_cache / "models--owner--Tiny-GGUF"
    locks = home.hub_cache / ".locks" / own.name
    files = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    return [path for path in files if not path.is_relative_to(own) and not path.is_relative_to(locks)]


def test_names_that_lead_elsewhere_are_left_out(hub: FakeHub, home: Home, tmp_path: Path) -> None:
    commit = hub.add_repo(REPO, {NAME: DATA} | dict.fromkeys(HOSTILE, EVIL))
    listing = listing_of(hub, home)
    assert [file.path for quant in listing.quants for file in quant.files] == [NAME]
    assert listing.projectors == ()
    assert all(note.isprintable() for note in listing.notes)
    assert pull_here(hub, home) == snapshot(home, REPO, commit) / NAME
    assert [path.name for path in _outside(tmp_path, home)] == ["CACHEDIR.TAG"] * any(home.hub_cache.glob("*.TAG"))
    assert not Path("/tmp/evil-Q2_K.gguf").exists()


@pytest.mark.parametrize("name", [*HOSTILE[:9], "mmproj-../../x.gguf", "../mmproj-F16.gguf"])
def test_a_repository_of_nothing_else(hub: FakeHub, home: Home, tmp_path: Path, name: str) -> None:
    hub.add_repo(REPO, {name: EVIL})
    listing = listing_of(hub, home)
    assert (listing.quants, listing.projectors) == ((), ())
    assert _outside(tmp_path, home) == []


@pytest.mark.parametrize("sha256", ["../../../evil", "/tmp/evil", "..", "x" * 64, "", "a" * 63, "A" * 64])
def test_a_checksum_that_is_none(hub: FakeHub, home: Home, tmp_path: Path, sha256: str) -> None:
    """It would become the name of a blob, and of its lock."""
    hub.add_repo(REPO, {NAME: FakeFile(DATA, sha256)})
    with pytest.raises(GgufrunError):
        pull_here(hub, home)
    assert _outside(tmp_path, home) == []
    assert not list(home.hub_cache.rglob("*.gguf"))


@pytest.mark.parametrize("commit", ["../../../evil", "main", "", "e" * 39, "../" + "a" * 37])
def test_a_commit_that_is_none(hub: FakeHub, home: Home, tmp_path: Path, commit: str) -> None:
    hub.add_repo(REPO, {NAME: DATA}, commit=commit)
    with pytest.raises(GgufrunError):
        pull_here(hub, home)
    assert _outside(tmp_path, home) == []


@pytest.mark.parametrize("revision", ["../../../evil", "..", "refs/../../../x", "a\0b", "-", "/etc/passwd"])
def test_a_revision_that_leads_elsewhere(hub: FakeHub, home: Home, tmp_path: Path, revision: str) -> None:
    hub.add_repo(REPO, {NAME: DATA}, revision=revision)
    with suppress(GgufrunError):
        pull_here(hub, home, revision=revision)
    assert [path for path in _outside(tmp_path, home) if path.name != "CACHEDIR.TAG"] == []


def test_a_link_to_what_is_no_web_address(hub: FakeHub, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    client = client_of(hub, home)
    for location in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "http://[::1", ""):
        monkeypatch.setattr(type(hub), "link", lambda self, path, file, location=location: location)
        with pytest.raises(GgufrunError):
            pull_here(hub, home)
    assert client.token is None and not list(home.hub_cache.rglob("*.gguf"))


def test_folders_of_a_repository_are_kept(hub: FakeHub, home: Home) -> None:
    commit = hub.add_repo(REPO, {"Q4_K_M/tiny-Q4_K_M.gguf": DATA, "Q2_K/tiny-Q2_K.gguf": EVIL})
    assert pull_here(hub, home, quant="Q4_K_M") == snapshot(home, REPO, commit) / "Q4_K_M" / NAME
    assert hub.sent("Q2_K/tiny-Q2_K.gguf") == 0
