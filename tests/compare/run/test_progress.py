"""How far a comparison is and how long it will take, by a clock that the tests turn"""

import pytest

from ggufrun.compare.run.progress import Progress, Tracker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


ROWS = ("a", "b", "c")


def tracker(told: list[Progress], clock: Clock) -> Tracker:
    units = {(row, kind): size for row in ROWS for kind, size in (("load", 100.0), ("text", 1000.0))}
    return Tracker(units, told.append, clock)


def test_after_one_row_the_time_left_is_that_of_the_others() -> None:
    told, clock = list[Progress](), Clock()
    run = tracker(told, clock)
    run.begin(("a", "load"))
    assert told[-1].left_s is None
    clock.now += 2
    run.finish(("a", "load"))
    run.begin(("a", "text"))
    clock.now += 30
    run.finish(("a", "text"))
    run.begin(("b", "load"))
    assert told[-1].left_s == pytest.approx(64)
    assert told[-1].done == pytest.approx(1 / 3)


def test_a_job_that_turns_out_slower_than_the_others_counts_by_its_own_pace() -> None:
    told, clock = list[Progress](), Clock()
    run = tracker(told, clock)
    for row in ("a", "b"):
        for kind, seconds in (("load", 1.0), ("text", 10.0)):
            run.begin((row, kind))
            run.finish((row, kind), seconds)
    run.finish(("c", "load"), 1.0)
    run.begin(("c", "text"))
    clock.now += 30
    run.partly(0.5)
    assert told[-1].left_s == pytest.approx(30)


def test_what_was_here_is_no_part_of_it_and_teaches_nothing_if_nobody_knows_what_it_took() -> None:
    told, clock = list[Progress](), Clock()
    run = tracker(told, clock)
    for kind in ("load", "text"):
        run.skip(("a", kind))
    run.begin(("b", "load"))
    assert told[-1].done == 0.0
    clock.now += 2
    run.finish(("b", "load"))
    run.begin(("b", "text"))
    assert told[-1].left_s is None  # no text has been seen yet, only one that was here


def test_what_was_here_teaches_by_the_seconds_that_it_took() -> None:
    told, clock = list[Progress](), Clock()
    run = tracker(told, clock)
    for row in ("a", "b"):
        run.skip((row, "load"), 1.0)
        run.skip((row, "text"), 300.0)
    run.begin(("c", "load"))
    assert told[-1].left_s == pytest.approx(301)
    clock.now += 1
    run.finish(("c", "load"))
    run.begin(("c", "text"))
    clock.now += 150
    run.partly(0.5)
    assert told[-1].done == pytest.approx(0.5, abs=0.01)  # of what this run has to do


def test_done_never_goes_back() -> None:
    told, clock = list[Progress](), Clock()
    run = tracker(told, clock)
    for row in ROWS:
        run.begin((row, "load"))
        run.finish((row, "load"), 10.0)
    run.begin(("a", "text"))
    before = told[-1].done
    assert before > 0.9  # by what was guessed of texts
    run.finish(("a", "text"), 1000.0)
    run.begin(("b", "text"))
    assert told[-1].left_s == pytest.approx(2000)
    assert told[-1].done >= before


def test_the_last_one_may_be_one_of_a_kind() -> None:
    told, clock = list[Progress](), Clock()
    run = Tracker({("a", "text"): 10.0}, told.append, clock)
    run.begin(("a", "text"))
    clock.now += 5
    run.partly(0.5)
    assert told[-1].left_s == pytest.approx(5)
