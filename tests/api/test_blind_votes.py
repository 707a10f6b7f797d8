"""Blind votes over HTTP: each key its own, pairs whichever side they were on, intervals, and taking one back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ggufrun.compare.statistics.proportions import wilson
from ggufrun.errors import ChatNotFound, OutOfRange
from ggufrun.records.chat_database import CHATS, CHATS_FILE
from ggufrun.records.chats import ChatStore
from ggufrun.records.database import connect
from tests.api.served import Served, served
from tests.program import at_home, run_ggufrun

VOTES = "/ggufrun/v1/blind/votes"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChatStore]:
    with closing(ChatStore(tmp_path / CHATS_FILE)) as opened:
        yield opened


def test_a_pair_is_one_whoever_is_named_first(store: ChatStore) -> None:
    votes = store.votes
    votes.add("", "x", "y", "a")
    votes.add("", "y", "x", "a")
    votes.add("", "y", "x", "b", "Why?")
    votes.add("", "x", "y", "tie")
    votes.add("", "x", "z", "b")
    assert votes.pair("", "y", "x") == votes.pair("", "x", "y")
    pair = votes.pair("", "x", "y")
    assert (pair.a, pair.b, pair.for_a, pair.for_b, pair.ties) == ("x", "y", 2, 1, 1)
    assert [(each.a, each.b) for each in votes.pairs("")] == [("x", "z"), ("x", "y")]
    assert [(each.verdict, each.prompt) for each in votes.listed("", 3)] == [("b", ""), ("tie", ""), ("a", "Why?")]
    with pytest.raises(OutOfRange, match="both contenders"):
        votes.add("", "x", "x", "tie")


def test_each_owner_has_votes_of_their_own(store: ChatStore) -> None:
    vote = store.votes.add("ann", "x", "y", "a")
    assert (store.votes.listed("bob", 9), store.votes.pairs("bob")) == ([], [])
    assert store.votes.pair("bob", "x", "y").for_a == 0
    with pytest.raises(ChatNotFound, match="no vote"):
        store.votes.delete("bob", vote.id)
    assert store.votes.delete("ann", vote.id) == vote
    assert store.votes.pairs("ann") == []


def test_a_file_from_before_votes_gets_them(tmp_path: Path) -> None:
    path = tmp_path / CHATS_FILE
    before = CHATS.migrations[: next(at for at, each in enumerate(CHATS.migrations) if "TABLE votes" in each)]
    with closing(sqlite3.connect(path)) as old:
        for statement in before:
            old.execute(statement)
        old.execute(f"PRAGMA user_version = {len(before)}")
    with closing(ChatStore(path)) as store:
        assert store.votes.add("", "x", "y", "a").a == "x"
    assert connect(path, schema=CHATS).execute("PRAGMA user_version").fetchone()[0] == len(CHATS.migrations)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("votes")


@pytest.fixture(scope="module")
def server(demo_path: Path, home: Path) -> Iterator[Served]:
    with served("demo", home) as running:
        yield running


def vote(client: httpx.Client, a: str, b: str, verdict: str) -> httpx.Response:
    return client.post(VOTES, json={"a": a, "b": b, "verdict": verdict, "prompt": "Why?"})


def test_votes_over_http(server: Served, home: Path) -> None:
    client = server.client
    for verdict in ("a", "a", "tie", "b", "a"):
        answer = vote(client, "small", "large", verdict)
        assert answer.status_code == 201, answer.text
    rate = wilson(1, 4)
    expected = {"a": "large", "b": "small", "votes_a": 1, "votes_b": 3, "ties": 1, "decided": 4}
    expected |= {"win_rate": rate.value, "win_rate_lo": rate.lo, "win_rate_hi": rate.hi}
    pair = answer.json()["pair"]
    assert pair == pytest.approx(expected) and pair["win_rate_lo"] < 0.25 < pair["win_rate_hi"]
    listed = client.get(VOTES, params={"limit": 2}).raise_for_status().json()
    assert listed["pairs"] == [pair]
    assert [(each["verdict"], each["prompt"]) for each in listed["data"]] == [("b", "Why?"), ("a", "Why?")]

    back = client.delete(f"{VOTES}/{answer.json()['vote']['id']}").raise_for_status().json()
    assert (back["pair"]["votes_b"], back["pair"]["decided"]) == (2, 3)
    again = client.delete(f"{VOTES}/{answer.json()['vote']['id']}")
    assert again.status_code == 404 and "no vote" in again.json()["message"]
    same = vote(client, "small", "small", "a")
    assert same.status_code == 422 and "both contenders" in same.json()["message"]
    assert vote(client, "small", "large", "left").status_code == 422
    tie = vote(client, "one", "two", "tie").json()["pair"]
    assert (tie["decided"], tie["win_rate"], tie["win_rate_lo"]) == (0, None, None)

    key = run_ggufrun("keys", "add", "ann", environment=at_home(home)).stdout.split()[-1]
    try:
        assert client.get(VOTES).status_code == 401
        hers = {"Authorization": f"Bearer {key}"}
        assert client.get(VOTES, headers=hers).json() == {"data": [], "pairs": []}
    finally:
        run_ggufrun("keys", "clear", environment=at_home(home))
