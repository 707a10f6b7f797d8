"""When a remote is left alone, and when it is tried again"""

import random
from itertools import pairwise

import pytest

from ggufrun.remote.backoff import LONGEST_S, retry_after_s, wait_s
from ggufrun.remote.breaker import FAILURES, PAUSE_S, Breaker
from ggufrun.remote_errors import RemoteBroke, RemoteBusy, RemoteDown
from tests.remote.asking_models import HELLO, events_of, opened
from tests.remote.raw_server import Reply, as_json, chunk, raw_server, said


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tried(breaker: Breaker, failure: str = "") -> None:
    with breaker.attempt():
        if failure:
            breaker.failed(failure)
        else:
            breaker.succeeded()


def noted(breaker: Breaker) -> str:
    return breaker.note


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker("fast", clock=Clock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            tried(breaker, "no")
        tried(breaker)
    assert noted(breaker) == ""
    for _ in range(FAILURES):
        tried(breaker, "no")
    with pytest.raises(RemoteDown, match=r"is down: no\. Send the request again in 5 s\.") as caught:
        tried(breaker)
    assert caught.value.retry_s == 5 and not caught.value.again
    assert noted(breaker) == "down: no; tried again in 5 s"


def test_one_tries_and_the_others_wait_for_what_comes_of_it() -> None:
    clock = Clock()
    breaker = Breaker("fast", clock=clock, failures=1)
    tried(breaker, "no")
    clock.now += PAUSE_S[0]
    assert "next request" in breaker.note
    with breaker.attempt():
        with pytest.raises(RemoteDown):
            tried(breaker)
        breaker.answered()
        assert not breaker.note
        tried(breaker)


def test_each_pause_is_longer_up_to_an_end() -> None:
    clock = Clock()
    breaker = Breaker("fast", clock=clock, failures=1)
    tried(breaker, "no")
    pauses = []
    for _ in range(6):
        with pytest.raises(RemoteDown) as caught:
            tried(breaker)
        pauses.append(caught.value.retry_s or 0)
        clock.now += pauses[-1]
        tried(breaker, "still not")
    assert all(before < after for before, after in pairwise(pauses[:4])) and pauses[-1] == PAUSE_S[1]
    clock.now += PAUSE_S[1]
    tried(breaker)
    tried(breaker, "no")
    with pytest.raises(RemoteDown) as caught:
        tried(breaker)
    assert caught.value.retry_s == PAUSE_S[0]


def test_a_try_that_was_given_up_is_nobody_s_turn() -> None:
    clock = Clock()
    breaker = Breaker("fast", clock=clock, failures=1)
    tried(breaker, "no")
    clock.now += PAUSE_S[0]
    with breaker.attempt():
        pass
    tried(breaker)


async def test_a_remote_that_is_down_is_asked_no_more_and_says_so() -> None:
    async with raw_server() as raw, opened(raw, retries=0) as model:
        raw.replies = [as_json({}, 500)]
        for _ in range(FAILURES):
            with pytest.raises(RemoteDown, match="it answers 500"):
                await events_of(model)
        with pytest.raises(RemoteDown, match="Send the request again in"):
            await events_of(model)
        assert len(raw.asked) == FAILURES
        assert model.info.note.startswith("down: it answers 500")


async def test_dying_in_the_middle_counts_too() -> None:
    async with raw_server() as raw, opened(raw, retries=0) as model:
        raw.replies = [Reply([chunk({"content": "x"})], cut=True)]
        for _ in range(FAILURES):
            with pytest.raises(RemoteBroke):
                await events_of(model)
        with pytest.raises(RemoteDown):
            await events_of(model)


async def test_a_request_that_is_refused_is_no_failure() -> None:
    async with raw_server() as raw, opened(raw, retries=0) as model:
        for status in (400, 401, 429):
            raw.replies = [as_json({}, status)]
            for _ in range(FAILURES):
                with pytest.raises(Exception, match="fast"):
                    await events_of(model)
        raw.replies = [said("Hi")]
        await events_of(model, HELLO)
        assert not model.info.note


def test_waits_grow_and_end() -> None:
    random.seed(1)
    down, busy = RemoteDown("fast", "x", again=True), RemoteBusy("fast", 2)
    waits = [wait_s(attempt, down) or 0.0 for attempt in range(4)]
    assert all(before < after for before, after in pairwise(waits))
    assert len({wait_s(0, down) for _ in range(9)}) > 1  # not all at once
    assert 2 <= (wait_s(0, busy) or 0) <= 3
    assert wait_s(0, RemoteBusy("fast", int(LONGEST_S) + 1)) is None
    assert wait_s(0, RemoteDown("fast", "x")) is None and wait_s(0, RemoteBroke("fast", "x")) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7),
        ("0.4", 0),
        ("-3", 0),
        ("soon", None),
        ("nan", None),
        ("1e99", 86_400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2115 07:28:00 GMT", 86_400),
    ],
)
def test_retry_after(header: str | None, seconds: int | None) -> None:
    assert retry_after_s(header) == seconds
