"""How long computing may take: what is learned from rows, and what no healthy engine is given up for."""

import pytest

from ggufrun.engine.patience import Patience

LEAST_S, LOOK_S = 30.0, 1.0
UNSEEN_S = 10 * LEAST_S


class Clocked:
    """A patience with its own time, looked at every second."""

    def __init__(self) -> None:
        self.patience, self.now = Patience(LEAST_S, LOOK_S), 1000.0

    def stalls(self, seconds: float, *, worked: bool = False) -> bool:
        """Whether it is given up within so many seconds."""
        for _ in range(round(seconds / LOOK_S)):
            self.now += LOOK_S
            if self.patience.look(self.now, LOOK_S, worked):
                return True
        return False

    def step(self, rows: int, seconds: float, *, answered: bool = True) -> bool:
        """A whole step; whether it was given up."""
        self.patience.begin(self.now)
        self.patience.rows(rows, answered, self.now)
        stalled = self.stalls(seconds)
        self.patience.end(self.now)
        return stalled

    def begin(self, rows: int = 0, *, answered: bool = True) -> None:
        self.patience.begin(self.now)
        if rows:
            self.patience.rows(rows, answered, self.now)


def test_a_short_step_that_stalls_is_given_up_after_the_least_time() -> None:
    engine = Clocked()
    assert not engine.step(1, 1)
    engine.begin(1)
    assert not engine.stalls(LEAST_S) and engine.stalls(2)


@pytest.mark.parametrize("rows", [1, 512])
def test_a_first_step_may_load_weights_from_a_slow_disk(rows: int) -> None:
    engine = Clocked()
    assert not engine.step(rows, UNSEEN_S)
    engine = Clocked()
    engine.begin(rows)
    assert engine.stalls(2 * UNSEEN_S + 2 * rows)


def test_a_first_prompt_has_time_for_each_of_its_rows() -> None:
    assert not Clocked().step(2048, 4000)


def test_a_long_prefill_is_answered_for_all_of_its_chunks_at_once() -> None:
    """llama.cpp sends a chunk and goes on: only the last one waits, for all of them."""
    engine = Clocked()
    assert not engine.step(64, 3)
    for _ in range(4):
        assert not engine.step(512, 0, answered=False)
    assert not engine.step(512, 5 * 512 * 3 / 64)
    assert not engine.step(1, 1)
    engine.begin(1)
    assert engine.stalls(LEAST_S + 2)  # nothing is owed any more


def test_chunks_that_go_at_once_promise_nothing() -> None:
    engine = Clocked()
    for _ in range(4):
        assert not engine.step(512, 0, answered=False)
    assert not engine.step(1, 4 * 512 * 2)
    assert not engine.step(512, 512 * 4)  # as fast as those were in truth


def test_a_large_batch_and_a_longer_context_take_longer() -> None:
    engine = Clocked()
    assert not engine.step(1, 5)
    assert not engine.step(32, 32 * 5 * 9)
    assert not engine.step(1, 400)


def test_what_was_seen_to_be_slow_stays_so() -> None:
    engine = Clocked()
    assert not engine.step(1, 20) and not engine.step(1, 1) and not engine.step(1, 190)


def test_a_machine_that_was_suspended_has_lost_no_time() -> None:
    engine = Clocked()
    assert not engine.step(1, 1)
    engine.begin(1)
    assert not engine.stalls(LEAST_S - 5)
    engine.now += 8 * 3600
    assert not engine.patience.look(engine.now, 8 * 3600, worked=False)
    assert not engine.stalls(2)
    engine.patience.end(engine.now)
    engine.begin(1)
    assert engine.stalls(10 * LEAST_S + 100)  # nor has it learned that a row takes hours


def test_a_busy_machine_whose_looks_come_late_has_lost_no_time() -> None:
    engine = Clocked()
    assert not engine.step(1, 1)
    engine.begin(1)
    for _ in range(10):
        engine.now += 100
        assert not engine.patience.look(engine.now, 100, worked=False)


def test_own_work_is_no_wait_but_has_an_end() -> None:
    """Weights that are read from the disk again after a night, this machine's layers beside an image's encoder."""
    engine = Clocked()
    assert not engine.step(1, 1)
    engine.begin(1)
    assert not engine.stalls(9 * LEAST_S, worked=True)
    assert engine.stalls(2 * LEAST_S, worked=True)


def test_a_saved_state_before_the_rows_has_a_time_of_its_own() -> None:
    engine = Clocked()
    assert not engine.step(1, 1)
    engine.begin()
    assert not engine.stalls(UNSEEN_S - 5)
    engine.patience.rows(1, True, engine.now)
    assert not engine.stalls(LEAST_S)
    engine.patience.end(engine.now)


def test_signs_of_life_begin_anew_and_idle_time_counts_for_nothing() -> None:
    engine = Clocked()
    engine.begin()
    for _ in range(20):  # a load, tensor by tensor
        assert not engine.stalls(UNSEEN_S - 1)
        engine.patience.alive(engine.now)
    engine.patience.end(engine.now)
    assert not engine.step(1, 1)
    assert not engine.stalls(10 * UNSEEN_S)
    assert not engine.step(1, LEAST_S)
