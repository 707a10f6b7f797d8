"""Finding repositories, as the command does it."""

import json
from inspect import signature

import pytest

from ggufrun.commandline import library_commands
from ggufrun.hub.client import Client
from ggufrun.hub.searching import search
from tests.hub import fake_api
from tests.hub.fake_hub import FakeHub
from tests.hub.home import Home

pytestmark = pytest.mark.process

CARDED = "unsloth/Mistral-Medium-3.5-128B-GGUF"


@pytest.fixture
def full(hub: FakeHub) -> FakeHub:
    hub.add_repo(CARDED, {"M-Q4_0.gguf": b"x"}, downloads=5, licence="other")
    hub.add_repo("owner/Mistral-Small-GGUF", {"M-Q4_0.gguf": b"x"}, downloads=70_000, gated=True)
    hub.add_repo("owner/Mistral-Plain", {"model.safetensors": b"x"}, downloads=9)
    hub.add_repo("owner/Secret-Mistral-GGUF", {"M-Q4_0.gguf": b"x"}, private=True)
    return hub


def test_the_most_downloaded_repositories_with_ggufs_come_first(full: FakeHub) -> None:
    found = search(Client(full.endpoint), "mistral", 20)
    assert [each.repo for each in found] == ["owner/Mistral-Small-GGUF", CARDED]
    assert (found[0].gated, found[0].downloads, found[0].modified) == (True, 70_000, "2026-05-02")
    assert len(search(Client(full.endpoint), "mistral", 1)) == 1


def test_all_words_count_in_any_order(full: FakeHub) -> None:
    found = search(Client(full.endpoint), "128b  medium", 20)
    assert [each.repo for each in found] == [CARDED]


def test_a_hub_that_takes_all_words_for_one_is_asked_for_the_longest(
    full: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = fake_api._search

    def literal(hub: FakeHub, asked: fake_api.Asked) -> fake_api.Reply:
        return fake_api._json("/api/models", []) if " " in asked.word("search") else usual(hub, asked)

    monkeypatch.setattr(fake_api, "_search", literal)
    assert [each.repo for each in search(Client(full.endpoint), "128b medium", 20)] == [CARDED]
    assert search(Client(full.endpoint), "medium nothing", 20) == ()


def test_the_command_marks_what_is_gated_and_what_a_card_knows(full: FakeHub, home: Home) -> None:
    done = home.ggufrun("search", "mistral")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "card: mistral-medium-3.5" in lines[CARDED]
    assert "gated" in lines["owner/Mistral-Small-GGUF"]
    assert "70,000" in lines["owner/Mistral-Small-GGUF"]
    assert "gated" not in lines[CARDED]


def test_a_search_takes_no_revision() -> None:
    assert "mirror" in signature(library_commands.search).parameters
    assert "revision" not in signature(library_commands.search).parameters
    assert {"mirror", "revision"} <= signature(library_commands.show).parameters.keys()


def test_what_strangers_wrote_is_not_obeyed_by_the_terminal(hub: FakeHub, home: Home) -> None:
    hub.add_repo("owner/A-GGUF", {"A-Q4_0.gguf": b"x"}, licence="\x1b[31m[red]free[/red]\x07")
    done = home.ggufrun("search", "a-gguf", FORCE_COLOR="1", TERM="xterm-256color")
    assert "?[31m[red]free[/red]?" in done.stdout
    assert "\x07" not in done.stdout


def test_the_command_as_json(full: FakeHub, home: Home) -> None:
    done = home.ggufrun("search", "mistral", "--json", HF_TOKEN="hf_reader")
    rows = {row["repo"]: row for row in json.loads(done.stdout)}
    assert rows[CARDED]["card"] == "mistral-medium-3.5"
    assert rows["owner/Mistral-Small-GGUF"]["gated"]
    assert rows["owner/Secret-Mistral-GGUF"]["private"]
    assert "hf_reader" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says", "more"),
    [
        (["nothing-like-it"], 0, "no GGUF repository", {}),
        ([" "], 2, "no word", {}),
        (["mistral"], 1, "HF_HUB_OFFLINE is set", {"HF_HUB_OFFLINE": "1"}),
        (["mistral"], 2, "does not know your token", {"HF_TOKEN": "hf_wrong"}),
        (["mistral"], 2, "characters that no token has", {"HF_TOKEN": "hf_wröng"}),
        (["mistral"], 1, "No answer from http://127.0.0.1:9", {"HF_ENDPOINT": "http://127.0.0.1:9"}),
        (["mistral"], 2, "HF_ENDPOINT cannot be 'http://[bad'", {"HF_ENDPOINT": "http://[bad"}),
    ],
)
def test_the_command_says_what_is_the_matter(
    full: FakeHub, home: Home, words: list[str], code: int, says: str, more: dict[str, str]
) -> None:
    done = home.ggufrun("search", *words, **more)
    assert done.returncode == code
    assert says in done.stderr
    assert not done.stdout.strip()
    assert "hf_wr" not in done.stderr
