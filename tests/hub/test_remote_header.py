"""Headers of files that lie on the hub: few requests, nothing twice, and sparse files that look like the real ones."""

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from ggufrun.errors import ModelFileError
from ggufrun.hub import remote_header as module
from ggufrun.hub.client import Client
from ggufrun.hub.files import Listing
from ggufrun.hub.remote_header import remote_header, remote_headers
from ggufrun.hub.spec import HubSpec
from ggufrun.hub_errors import GatedRepo, HubError, HubOffline
from ggufrun.weights.header import read_header
from tests import shapes
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.faults import Cut, Drop, Expired, Fault, Html, IgnoredRange, Status, WrongRange
from tests.weights.gguf_bytes import ARRAY, STRING, UINT32, array, field, gguf, tensor, text

pytestmark = pytest.mark.process

REPO = "owner/Tiny-GGUF"
ASKED = 300_000  # bytes at once, for these tests' small headers
LONG = 30_000  # tokens, which take 630,000 bytes


def made(vocabulary: int = 100, weights: int = 4 << 20) -> bytes:
    tokens = b"".join(text(f"token-{number:07}") for number in range(vocabulary))
    fields = [
        field("general.architecture", STRING, text("llama")),
        field("llama.context_length", UINT32, struct.pack("<I", 2048)),
        field("tokenizer.ggml.tokens", ARRAY, array(STRING, vocabulary, tokens)),
    ]
    return gguf(fields, [tensor("token_embd.weight", (32, 3), 0, 0)], data=weights)


def listed(
    hub: FakeHub, files: Mapping[str, bytes | Path | FakeFile], token: str | None = None
) -> tuple[Client, Listing]:
    hub.add_repo(REPO, files)
    client = Client(hub.endpoint, token)
    listing = client.list(HubSpec(REPO))
    hub.log.clear()
    return client, listing


def ranges(hub: FakeHub) -> list[str | None]:
    return [request.range for request in hub.asked("cdn")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "FIRST", ASKED)
    monkeypatch.setattr("ggufrun.hub.front.WAITS_S", (0.01, 0.01))
    monkeypatch.setattr("ggufrun.hub.answers.WAITS_S", (0.01, 0.01))
    return ASKED


def test_one_request_and_a_sparse_file_of_the_full_size(hub: FakeHub, tmp_path: Path, asked: int) -> None:
    whole = made()
    client, listing = listed(hub, {"T-Q4_0.gguf": whole})
    (header,) = remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert [request.range for request in hub.asked("hub")] == [f"bytes=0-{asked - 1}"]
    assert hub.sent() == asked
    assert (header.path.name, header.path.stat().st_size) == ("T-Q4_0.gguf", len(whole))
    assert header.path.read_bytes()[: header.data_offset] == whole[: header.data_offset]
    assert read_header(header.path) == header
    assert header.strings("tokenizer.ggml.tokens")[99] == "token-0000099"
    if os.name == "posix":
        assert header.path.stat().st_blocks * 512 < 1 << 20


def test_it_is_read_once_whatever_the_commit(hub: FakeHub, tmp_path: Path, asked: int) -> None:
    client, listing = listed(hub, {"T-Q4_0.gguf": made()})
    first = remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    _, later = listed(hub, {"T-Q4_0.gguf": made(), "README.md": b"# new"})
    assert later.commit != listing.commit
    assert remote_header(client, later, later.quant("Q4_0"), tmp_path) == first
    assert not hub.log
    _, other = listed(hub, {"T-Q4_0.gguf": made(101)})
    assert remote_header(client, other, other.quant("Q4_0"), tmp_path) != first


def test_a_longer_header_is_appended_and_nothing_comes_twice(hub: FakeHub, tmp_path: Path, asked: int) -> None:
    whole = made(LONG)
    client, listing = listed(hub, {"T-Q4_0.gguf": whole})
    (header,) = remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert len(ranges(hub)) == 3
    assert hub.sent() == 3 * asked
    assert header.path.read_bytes()[: header.data_offset] == whole[: header.data_offset]


def test_a_small_file_is_not_asked_past_its_end(hub: FakeHub, tmp_path: Path) -> None:
    whole = made(weights=1000)
    client, listing = listed(hub, {"T-Q4_0.gguf": whole})
    (header,) = remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert ranges(hub) == [f"bytes=0-{len(whole) - 1}"]
    assert header.path.read_bytes() == whole


def test_a_split_set_lies_together_under_its_own_names(hub: FakeHub, tmp_path: Path) -> None:
    first = shapes.write("dense", tmp_path / "D-Q4_K_M.gguf", shards=3)
    files = {f"Q4_K_M/{path.name}": path for path in sorted(tmp_path.glob("D-*"))}
    client, listing = listed(hub, files)
    headers = remote_header(client, listing, listing.quant("q4_k_m"), tmp_path / "cache")
    assert [header.path.name for header in headers] == sorted(path.name for path in tmp_path.glob("D-*"))
    assert len({header.path.parent for header in headers}) == 1
    assert [header.split_no for header in headers] == [0, 1, 2]
    assert headers[0].metadata.keys() == read_header(first).metadata.keys()
    assert len(hub.asked("cdn")) == 3


@pytest.mark.parametrize(
    "fault", [Cut(100_000), Cut(0), Drop(), Status(503), Status(429, 0), IgnoredRange()], ids=lambda fault: str(fault)
)
def test_what_goes_wrong_once_is_got_over(hub: FakeHub, tmp_path: Path, asked: int, fault: Fault) -> None:
    whole = made(LONG)
    client, listing = listed(hub, {"T-Q4_0.gguf": whole})
    hub.faults.add(fault, skip=1)  # in the middle
    (header,) = remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert not hub.faults.left
    assert header.path.read_bytes()[: header.data_offset] == whole[: header.data_offset]


@pytest.mark.parametrize("fault", [Cut(0), Drop(), Status(503), Html(), WrongRange(7)], ids=lambda fault: str(fault))
def test_what_goes_wrong_always_is_an_error_and_leaves_nothing(
    hub: FakeHub, tmp_path: Path, asked: int, fault: Fault
) -> None:
    client, listing = listed(hub, {"T-Q4_0.gguf": made(LONG)})
    hub.faults.add(fault, times=None)
    with pytest.raises(HubError):
        remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert len(hub.asked("cdn")) <= 9
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_a_server_that_ignores_ranges_is_left_early(hub: FakeHub, tmp_path: Path, asked: int) -> None:
    client, listing = listed(hub, {"T-Q4_0.gguf": made(weights=200 << 20)})
    hub.faults.add(IgnoredRange(), times=None)
    remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert hub.sent() < 100 << 20


def test_a_link_that_expired_is_asked_for_again(hub: FakeHub, tmp_path: Path, asked: int) -> None:
    client, listing = listed(hub, {"T-Q4_0.gguf": made()})
    hub.faults.add(Expired())
    remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert len(hub.asked("hub")) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!doctype html><html>log in</html>" * 100, "HTML page"),
        (b"PK\3\4" + bytes(1000), "zip archive"),
        (gguf([], counts=(1 << 62, 1)) + bytes(1000), "claims"),
        (made()[:1500], "truncated"),
        (made(LONG)[: 2 * ASKED], "truncated"),
    ],
)
def test_what_is_no_gguf_is_said_to_be_none(
    hub: FakeHub, tmp_path: Path, asked: int, content: bytes, says: str
) -> None:
    client, listing = listed(hub, {"T-Q4_0.gguf": content})
    with pytest.raises(ModelFileError, match=says) as caught:
        remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    assert str(caught.value).startswith(f"{REPO}/T-Q4_0.gguf: ")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_a_damaged_copy_is_fetched_anew(hub: FakeHub, tmp_path: Path, asked: int) -> None:
    client, listing = listed(hub, {"T-Q4_0.gguf": made()})
    (header,) = remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    header.path.write_bytes(bytes(header.file_size))  # as after a power cut
    assert remote_header(client, listing, listing.quant("Q4_0"), tmp_path) == (header,)
    assert read_header(header.path) == header


def test_only_the_last_ones_are_kept(hub: FakeHub, tmp_path: Path, asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 2)
    client, listing = listed(hub, {f"T-Q{bits}_0.gguf": made(bits) for bits in (4, 5, 8)})
    for name in ("Q4_0", "Q5_0", "Q8_0"):
        (header,) = remote_header(client, listing, listing.quant(name), tmp_path)
        os.utime(header.path.parent, (int(name[1]), int(name[1])))
    remote_headers(client, listing, listing.quants[0].files, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert header.path.is_file()


def test_a_gated_header_needs_access(hub: FakeHub, tmp_path: Path) -> None:
    hub.add_repo(REPO, {"T-Q4_0.gguf": made()}, gated=True)
    listing = Client(hub.endpoint).list(HubSpec(REPO))
    with pytest.raises(GatedRepo):
        remote_header(Client(hub.endpoint), listing, listing.quants[0], tmp_path)
    hub.log.clear()
    assert remote_header(Client(hub.endpoint, "hf_reader"), listing, listing.quants[0], tmp_path)
    assert [(request.server, request.had_auth) for request in hub.log] == [("hub", True), ("cdn", False)]


def test_offline_what_was_seen_before_can_still_be_read(hub: FakeHub, tmp_path: Path, asked: int) -> None:
    client, listing = listed(hub, {"T-Q4_0.gguf": made(), "T-Q8_0.gguf": made(7)})
    seen = remote_header(client, listing, listing.quant("Q4_0"), tmp_path)
    offline = Client(hub.endpoint, offline=True)
    assert remote_header(offline, listing, listing.quant("Q4_0"), tmp_path) == seen
    with pytest.raises(HubOffline):
        remote_header(offline, listing, listing.quant("Q8_0"), tmp_path)
