"""What the hub says of a repository, and what it refuses, in our words."""

import traceback
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import ModelInfo

from ggufrun.errors import OptionError
from ggufrun.hub.address import checked_address, secrets_in, shown_url
from ggufrun.hub.answers import hub_errors, patiently
from ggufrun.hub.cached import cached_listing
from ggufrun.hub.client import Client, open_client
from ggufrun.hub.listing import listing_of
from ggufrun.hub.searching import search
from ggufrun.hub.spec import HubSpec
from ggufrun.hub_errors import GatedRepo, HubError, HubOffline, HubRefused, HubUnreachable, NoSuchRevision, RepoNotFound
from ggufrun.store.hub_cache import RepoCache
from ggufrun.weights.cards import Card
from tests.hub.fake_api import READER, STRANGER
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.faults import Drop, Fault, Html, Status
from tests.hub.home import Home

pytestmark = pytest.mark.process

REPO = "owner/Tiny-GGUF"
SPEC = HubSpec(REPO)
FILES = {
    "Tiny-Q4_0.gguf": b"four" * 100,
    "Tiny-Q8_0.gguf": b"eight" * 100,
    "mmproj-F16.gguf": b"eye",
    "README.md": b"#",
}
API = "/api/models/*"


def test_a_listing_says_what_there_is(hub: FakeHub) -> None:
    commit = hub.add_repo(REPO, FILES, parameters=1000, licence="mit", modified="2026-04-30T10:00:00.000Z")
    listing = Client(hub.endpoint).list(SPEC)
    assert (listing.repo, listing.commit, listing.licence, listing.modified) == (REPO, commit, "mit", "2026-04-30")
    assert (listing.parameters, listing.gated, listing.private) == (1000, False, False)
    assert [(quant.name, quant.size) for quant in listing.quants] == [("Q4_0", 400), ("Q8_0", 500)]
    assert [file.path for file in listing.projectors] == ["mmproj-F16.gguf"]
    assert listing.quants[0].first.sha256 == hub.repos[REPO].revisions["main"].files["Tiny-Q4_0.gguf"].sha256
    assert len(hub.log) == 1


def test_a_revision_is_the_users_or_the_cards_or_main(hub: FakeHub) -> None:
    main = hub.add_repo(REPO, FILES)
    other = hub.add_repo(REPO, {"Tiny-Q2_K.gguf": b"two"}, revision="other")
    card = Card(name="tiny", repo=REPO, revision="other", files="Tiny*.gguf", licence="MIT", parameters=1, context=1)
    client = Client(hub.endpoint)
    assert client.list(SPEC).commit == main
    assert client.list(SPEC, "other").commit == other
    assert client.list(HubSpec(REPO, card=card)).commit == other
    assert client.list(HubSpec(REPO, card=card), main).commit == main


def test_a_gated_repository_can_be_listed_by_all_and_read_by_few(hub: FakeHub) -> None:
    hub.add_repo(REPO, FILES, gated=True)
    listing = Client(hub.endpoint).list(SPEC)
    assert listing.gated
    assert len(listing.quants) == 2
    for token, then in ((None, "hf auth login"), (STRANGER, "and try again")):
        with pytest.raises(GatedRepo, match=then):
            Client(hub.endpoint, token).metadata(REPO, listing.commit, "Tiny-Q4_0.gguf")
    found = Client(hub.endpoint, READER).metadata(REPO, listing.commit, "Tiny-Q4_0.gguf")
    assert (found.size, found.commit) == (400, listing.commit)
    assert found.location.startswith(hub.cdn_endpoint)


def test_a_private_repository_and_a_missing_one_look_alike(hub: FakeHub) -> None:
    hub.add_repo(REPO, FILES, private=True)
    with pytest.raises(RepoNotFound, match=r"or it is private.*hf auth login"):
        Client(hub.endpoint).list(SPEC)
    with pytest.raises(RepoNotFound, match="your token may read it"):
        Client(hub.endpoint, STRANGER).list(HubSpec("owner/Nothing"))
    assert Client(hub.endpoint, READER).list(SPEC).private


def test_a_bare_401_is_about_the_token_only_where_one_was_sent(hub: FakeHub) -> None:
    """As mirrors send it, which know none of the hub's error codes."""
    hub.add_repo(REPO, FILES)
    for method in ("GET", "HEAD"):
        hub.faults.add(Status(401), on="hub", method=method, times=None)
    client = Client(hub.endpoint)
    with pytest.raises(RepoNotFound, match=r"or it is private.*hf auth login"):
        client.list(SPEC)
    with pytest.raises(RepoNotFound):
        client.metadata(REPO, "main", "Tiny-Q4_0.gguf")
    with pytest.raises(HubRefused, match="who asks"):
        search(client, "tiny", 5)
    with pytest.raises(HubRefused, match="does not know your token"):
        Client(hub.endpoint, READER).list(SPEC)


def test_what_is_refused_is_said(hub: FakeHub) -> None:
    hub.add_repo(REPO, FILES)
    with pytest.raises(NoSuchRevision, match="'nope'"):
        Client(hub.endpoint).list(SPEC, "nope")
    with pytest.raises(HubRefused, match="no such file"):
        Client(hub.endpoint).metadata(REPO, "main", "Tiny-Q1.gguf")
    with pytest.raises(HubRefused, match="cannot be a repository's name"):
        Client(hub.endpoint).list(HubSpec("owner/x--y"))


def test_a_bad_token_is_told_from_a_missing_repository_and_never_repeated(hub: FakeHub) -> None:
    hub.add_repo(REPO, FILES)
    client = Client(hub.endpoint, "hf_secret_and_wrong")
    with pytest.raises(HubRefused, match=r"does not know your token.*unset HF_TOKEN") as caught:
        client.list(SPEC)
    assert "hf_secret" not in f"{caught.value!r}{caught.value}{client!r}"


def test_a_token_that_a_server_or_a_library_repeats_is_not_shown() -> None:
    with (
        pytest.raises(HubUnreachable) as caught,
        hub_errors(REPO, endpoint="http://127.0.0.1:9", token="hf_secret"),
    ):
        raise httpx2.ReadError("GET with Bearer hf_secret failed")
    assert "***" in str(caught.value)
    assert "hf_secret" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("fault", "says"), [(Status(503), "failed \\(503"), (Status(429, 120), "in 120 s"), (Html(), "not answer as a hub")]
)
def test_a_hub_that_fails(hub: FakeHub, fault: Fault, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.hub.answers.WAITS_S", (0.01, 0.01))
    hub.add_repo(REPO, FILES)
    hub.faults.add(fault, API, on="hub", times=None)
    with pytest.raises(HubError, match=says):
        Client(hub.endpoint).list(SPEC)


@pytest.mark.parametrize("fault", [Status(503), Status(429, 0), Drop()])
def test_a_hub_that_stumbles_is_asked_again(hub: FakeHub, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.hub.answers.WAITS_S", (0.01, 0.01))
    hub.add_repo(REPO, FILES)
    hub.faults.add(fault, API, on="hub", times=2)
    assert Client(hub.endpoint).list(SPEC).quants
    assert not hub.faults.left


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://user:pass@127.0.0.1:9", "nonsense"])
def test_nobody_answers(endpoint: str) -> None:
    with pytest.raises(HubUnreachable, match="HF_ENDPOINT") as caught:
        Client(endpoint).list(SPEC)
    assert "pass" not in str(caught.value)


def test_a_password_in_the_endpoint_is_not_shown_even_with_the_traceback(hub: FakeHub) -> None:
    hub.faults.add(Status(403), API, on="hub", times=None)
    hub.faults.add(Status(403), on="hub", method="HEAD", times=None)
    client = Client(hub.endpoint.replace("http://", "http://user:sesame%21@"))
    for ask in (lambda: client.list(SPEC), lambda: client.metadata(REPO, "main", "x"), lambda: search(client, "x", 1)):
        with pytest.raises(HubRefused) as caught:
            ask()
        assert "sesame" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(HubUnreachable) as told, client.errors(REPO):
        raise httpx2.ReadError("user:sesame! and sesame%21 were sent")
    assert "sesame" not in "".join(traceback.format_exception(told.value))


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://user:pass@mirror.example/hub", ("user:pass", "pass")),
        ("https://hf_token@mirror.example", ("hf_token",)),
        ("https://mirror.example", ()),
        ("http://[bad", ()),
    ],
)
def test_what_is_secret_in_an_address(url: str, secrets: tuple[str, ...]) -> None:
    assert secrets_in(url) == secrets


@pytest.mark.parametrize(
    "address", ["http://[bad", "http://host:99999", "http://host:x", "ftp://u:pass@host", "host", "http://", ""]
)
def test_what_can_be_no_address_of_a_hub(address: str) -> None:
    with pytest.raises(OptionError, match=r"^--mirror cannot be") as caught:
        checked_address(address, "--mirror")
    assert "pass" not in str(caught.value)
    assert checked_address("https://user:pass@mirror.example:8443/hub/", "--mirror").endswith(
        "@mirror.example:8443/hub"
    )


def test_the_environments_hub_is_looked_at_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:99999")
    with pytest.raises(OptionError, match=r"^HF_ENDPOINT cannot be"):
        open_client()


def test_who_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.hub.answers.WAITS_S", (0.0, 0.0))
    asked: list[type[Exception]] = []

    def ask(error: type[httpx2.TransportError]) -> None:
        asked.append(error)
        raise error("as a test wants it")

    for error in (httpx2.ReadTimeout, httpx2.ConnectError, httpx2.ReadError):
        with pytest.raises(error):
            patiently(lambda error=error: ask(error))  # type: ignore[misc]
    assert asked == [httpx2.ReadTimeout, httpx2.ConnectError, *[httpx2.ReadError] * 3]


def test_a_repository_that_was_renamed_keeps_the_name_it_is_asked_for_by() -> None:
    told = ModelInfo(id="new/Name", sha="1" * 40, siblings=[])  # type: ignore[no-untyped-call]
    assert listing_of(told, "main", "owner/Tiny-GGUF").repo == "owner/Tiny-GGUF"
    assert listing_of(told, "main", "NEW/name").repo == "new/Name"


def test_an_address_is_shown_without_its_password() -> None:
    assert shown_url("https://user:pass@mirror.example/hub") == "https://mirror.example/hub"


def test_offline_nobody_is_asked_and_the_cache_is_told(hub: FakeHub, home: Home) -> None:
    commit = hub.add_repo(REPO, FILES)
    place = home.hub_cache / "models--owner--Tiny-GGUF" / "snapshots" / commit
    place.mkdir(parents=True)
    (place / "Tiny-Q4_0.gguf").write_bytes(b"x")
    client = Client(hub.endpoint, offline=True, cache=home.hub_cache)
    with pytest.raises(HubOffline, match=r"In the cache: Tiny-Q4_0\.gguf"):
        client.list(SPEC)
    with pytest.raises(HubOffline, match="Nothing of it"):
        client.list(HubSpec("owner/Other"))
    with pytest.raises(HubOffline, match=r"In the cache: Tiny-Q4_0\.gguf"):
        client.list(HubSpec("OWNER/tiny-gguf"))
    assert not hub.log


def test_a_repository_in_the_cache_is_found_in_upper_and_lower_case(tmp_path: Path) -> None:
    store = RepoCache(tmp_path, REPO)
    store.blobs.mkdir(parents=True)
    store.blob("a" * 64).write_bytes(b"four")
    store.place("1" * 40, "Tiny-Q4_0.gguf", "a" * 64)
    store.point("main", "1" * 40)
    listing = cached_listing(tmp_path, "OWNER/tiny-gguf", "main")
    assert listing is not None and listing.repo == REPO and listing.quant("Q4_0").size == 4
    assert cached_listing(tmp_path, "owner/other", "main") is None


def test_a_listing_that_no_hub_would_send_is_refused(hub: FakeHub) -> None:
    hub.add_repo(REPO, FILES, commit="../../../etc")
    with pytest.raises(HubError, match="names no commit"):
        Client(hub.endpoint).list(SPEC)


def test_a_checksum_that_is_none_is_not_taken_for_one(hub: FakeHub) -> None:
    hub.add_repo(REPO, {"Tiny-Q4_0.gguf": FakeFile(b"four", "../../evil")})
    assert Client(hub.endpoint).list(SPEC).quants[0].first.sha256 is None
