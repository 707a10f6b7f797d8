"""The fake hub is held to what the real huggingface_hub asks of a hub: a test against a wrong fake shows nothing."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hub.fake_api import READER, STRANGER
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.faults import Cut, Expired, Html, IgnoredRange, Slow, Stall, Status, WrongBytes, WrongLength, WrongRange
from tests.hub.home import Home
from tests.program import ROOT

pytestmark = pytest.mark.process

DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()


def _cdn(
    hub: FakeHub, path: str, span: str | None = None, file: FakeFile | None = None
) -> tuple[int, dict[str, str], bytes]:
    """One GET from the CDN without any library between."""
    link = urlsplit(hub.link(path, file or FakeFile(DATA)))
    connection = HTTPConnection(link.hostname or "", link.port, timeout=60)
    connection.request("GET", link.path, headers={} if span is None else {"Range": span})
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, dict(reply.headers), body


def test_describes_repositories(hub: FakeHub, home: Home) -> None:
    commit = hub.add_repo(
        "owner/Some-GGUF",
        {"a-Q4_K_M.gguf": DATA, "README.md": b"# hi"},
        parameters=7_000_000,
        licence="mit",
        gated=True,
    )
    hub.add_repo("owner/other", {"config.json": b"{}"})
    hub.page_size = 1
    told = home.python("""
from huggingface_hub import HfApi
api = HfApi()
info = api.model_info("owner/Some-GGUF", files_metadata=True)
tree = list(api.list_repo_tree("owner/Some-GGUF", recursive=True))
few = api.get_paths_info("owner/Some-GGUF", ["README.md", "missing"])
found = list(api.list_models(search="gguf", filter="gguf", sort="downloads", expand=["gguf", "gated"]))
result = dict(
    sha=info.sha, gated=info.gated, private=info.private, total=info.gguf["total"], licence=info.card_data.license,
    modified=str(info.last_modified),
    siblings=[(s.rfilename, s.size, s.lfs and s.lfs.sha256) for s in info.siblings],
    tree=[(f.path, f.size, f.lfs and f.lfs.sha256) for f in tree],
    few=[f.path for f in few], found=[(m.id, m.gguf["total"], m.gated) for m in found],
    every=[m.id for m in api.list_models()],
)""")
    files = [["a-Q4_K_M.gguf", len(DATA), SHA], ["README.md", 4, None]]
    assert told == {
        "sha": commit,
        "gated": "manual",
        "private": False,
        "total": 7_000_000,
        "licence": "mit",
        "modified": "2026-05-02 10:00:00+00:00",
        "siblings": files,
        "tree": files,
        "few": ["README.md"],
        "found": [["owner/Some-GGUF", 7_000_000, "manual"]],
        "every": ["owner/Some-GGUF", "owner/other"],
    }
    assert len([r for r in hub.log if "/tree/" in r.path]) == 2  # pages


def test_serves_files_to_the_real_library(hub: FakeHub, home: Home) -> None:
    old = hub.add_repo("o/r", {"sub/m.gguf": DATA, "README.md": b"old"})
    new = hub.add_repo("o/r", {"sub/m.gguf": DATA, "README.md": b"new"})
    told = home.python(
        f"""
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url, scan_cache_dir, snapshot_download
meta = get_hf_file_metadata(hf_hub_url("o/r", "sub/m.gguf"), token={READER!r})
small = get_hf_file_metadata(hf_hub_url("o/r", "README.md"))
path = hf_hub_download("o/r", "sub/m.gguf", token={READER!r})
readme = hf_hub_download("o/r", "README.md", revision="{old}")
folder = snapshot_download("o/r")
result = dict(
    meta=(meta.commit_hash, meta.etag, meta.size, meta.location), small=(small.etag, small.size), path=path,
    readme=open(readme).read(), now=open(folder + "/README.md").read(),
    warnings=[str(w) for w in scan_cache_dir().warnings], data=len(open(path, "rb").read()),
)"""
    )
    assert told["meta"][:3] == [new, SHA, len(DATA)] and told["meta"][3].startswith(hub.cdn_endpoint)
    assert told["small"] == [hashlib.sha1(b"blob 3\0new").hexdigest(), 3]
    assert told["path"].endswith(f"/snapshots/{new}/sub/m.gguf") and Path(told["path"]).read_bytes() == DATA
    assert (told["readme"], told["now"], told["warnings"], told["data"]) == ("old", "new", [], len(DATA))
    assert hub.sent("sub/m.gguf") == len(DATA)
    assert any(r.had_auth for r in hub.asked("hub", "HEAD")) and not any(
        r.had_auth for r in hub.log if r.server == "cdn"
    )


CASES = [
    ("o/missing", "m.gguf", None, "RepositoryNotFoundError", 401),
    ("o/missing", "m.gguf", READER, "RepositoryNotFoundError", 404),
    ("o/private", "m.gguf", None, "RepositoryNotFoundError", 401),
    ("o/private", "m.gguf", STRANGER, "RepositoryNotFoundError", 404),
    ("o/private", "m.gguf", READER, None, 0),
    ("o/gated", "m.gguf", None, "GatedRepoError", 401),
    ("o/gated", "m.gguf", STRANGER, "GatedRepoError", 403),
    ("o/gated", "m.gguf", READER, None, 0),
    ("o/open", "m.gguf", "hf_wrong", "HfHubHTTPError", 401),
    ("o/open", "none.gguf", None, "RemoteEntryNotFoundError", 404),
    ("o/open@v9", "m.gguf", None, "RevisionNotFoundError", 404),
]


def test_refuses_as_the_hub_does(hub: FakeHub, home: Home) -> None:
    hub.add_repo("o/open", {"m.gguf": DATA})
    hub.add_repo("o/private", {"m.gguf": DATA}, private=True)
    hub.add_repo("o/gated", {"m.gguf": DATA}, gated=True)
    told = home.python(f"""
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
result = []
for repo, file, token, *_ in {CASES!r}:
    name, _, revision = repo.partition("@")
    try:
        get_hf_file_metadata(hf_hub_url(name, file, revision=revision or None), token=token or False)
        result.append((None, 0))
    except OSError as error:
        result.append((type(error).__name__, error.response.status_code))
api = HfApi()
result.append([len(api.model_info(name, files_metadata=True).siblings) for name in ("o/open", "o/gated")])
result.append([m.id for m in api.list_models(search="o")])
""")
    assert told == [[name, status] for *_, name, status in CASES] + [[1, 1], ["o/open", "o/gated"]]


@pytest.mark.parametrize(
    ("span", "status", "start", "stop"),
    [
        (None, 200, 0, None),
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=1023000-99999999", 206, 1023000, None),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=0-1,5-6", 200, 0, None),  # a server may ignore what it does not like
    ],
)
def test_ranges(hub: FakeHub, span: str | None, status: int, start: int, stop: int | None) -> None:
    got, headers, body = _cdn(hub, "m.gguf", span)
    assert (got, body) == (status, DATA[start:stop])
    if status == 206:
        first = start % len(DATA)
        assert headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(DATA)}"
    assert hub.sent("m.gguf") == len(body)


def test_a_file_larger_than_memory_costs_nothing(hub: FakeHub, tmp_path: Path) -> None:
    path = tmp_path / "big.gguf"
    with path.open("wb") as stream:
        stream.write(b"GGUF")
        stream.truncate(1 << 40)
    big = FakeFile(path, "ab" * 32)
    assert _cdn(hub, "big.gguf", "bytes=0-7", big)[2] == b"GGUF\0\0\0\0"
    assert _cdn(hub, "big.gguf", f"bytes={(1 << 40) - 3}-", big)[2] == b"\0\0\0"
    hub.add_repo("o/big", {"big.gguf": big})
    assert hub.repos["o/big"].revisions["main"].tree("", True)[0]["size"] == 1 << 40


def test_each_fault_once(hub: FakeHub) -> None:
    file = FakeFile(DATA)
    for fault in (
        Status(429, 3),
        WrongLength(-5),
        WrongLength(5),
        WrongBytes(12),
        IgnoredRange(),
        WrongRange(4),
        Html(),
    ):
        hub.faults.add(fault, "*.gguf")
    hub.faults.add(Status(500), "*.txt")  # another file's
    span = "bytes=10-19"
    status, headers, _ = _cdn(hub, "m.gguf", span)
    assert (status, headers["Retry-After"]) == (429, "3")
    assert _cdn(hub, "m.gguf", span)[2] == DATA[10:15]
    assert _cdn(hub, "m.gguf", span)[2] == DATA[10:25]
    assert _cdn(hub, "m.gguf", span)[2] == DATA[10:12] + bytes([DATA[12] ^ 0xFF]) + DATA[13:20]
    assert _cdn(hub, "m.gguf", span)[::2] == (200, DATA)
    status, headers, body = _cdn(hub, "m.gguf", span)
    assert (status, headers["Content-Range"], body) == (206, f"bytes 14-23/{len(DATA)}", DATA[14:24])
    assert b"Accept our terms" in _cdn(hub, "m.gguf", span)[2]
    assert _cdn(hub, "m.gguf", span, file)[::2] == (206, DATA[10:20])  # all used up
    assert hub.faults.left == [Status(500)]


def test_cuts_stalls_and_slowness(hub: FakeHub) -> None:
    hub.faults.add(Cut(700_001), "m.gguf", skip=1)
    assert _cdn(hub, "m.gguf")[2] == DATA
    with pytest.raises(Exception, match="IncompleteRead"):
        _cdn(hub, "m.gguf")
    assert hub.sent("m.gguf") == len(DATA) + 700_001
    for fault in (Stall(100, 0.3), Slow(len(DATA) / 0.3)):
        hub.faults.add(fault)
        start = time.monotonic()
        assert _cdn(hub, "m.gguf")[2] == DATA
        assert 0.25 < time.monotonic() - start < 5


def test_links_expire(hub: FakeHub) -> None:
    hub.faults.add(Expired())
    assert _cdn(hub, "m.gguf")[0] == 403
    assert _cdn(hub, "m.gguf")[0] == 200  # a new link
    link = urlsplit(hub.link("m.gguf", FakeFile(DATA)))
    hub.expire_links()
    connection = HTTPConnection(link.hostname or "", link.port, timeout=60)
    for _ in range(2):  # over one connection that is kept
        connection.request("GET", link.path)
        reply = connection.getresponse()
        assert (reply.status, bool(reply.read())) == (403, True)
    connection.close()


def test_ends_with_its_connections(tmp_path: Path) -> None:
    with FakeHub(bytes_per_s=1000) as hub:
        link = urlsplit(hub.link("m.gguf", FakeFile(DATA)))
        connection = socket.create_connection((link.hostname or "", link.port or 0), timeout=60)
        connection.sendall(f"GET {link.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(1)
    while connection.recv(1 << 16):  # until the end: no thread is left that sends
        pass
    connection.close()


def test_as_a_program(tmp_path: Path) -> None:
    (tmp_path / "o" / "r" / "sub").mkdir(parents=True)
    (tmp_path / "o" / "r" / "sub" / "m.gguf").write_bytes(DATA)
    command = [sys.executable, "-m", "tests.hub.fake_hub", str(tmp_path)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert server.stdout is not None
        endpoint = server.stdout.readline().partition(" ")[0].removeprefix("HF_ENDPOINT=")
        told = Home(tmp_path / "home", endpoint).python(
            "from huggingface_hub import hf_hub_download; result = hf_hub_download('o/r', 'sub/m.gguf')"
        )
        assert Path(told).read_bytes() == DATA
    finally:
        server.terminate()
        server.communicate(timeout=60)
