"""The high-water mark of this very process."""

from pathlib import Path

import numpy as np
import psutil
import pytest

from ggufrun.compare.scoring import memory
from ggufrun.compare.scoring.memory import high_water


def test_it_rises_with_what_is_taken_and_stays() -> None:
    before, more = high_water(), 1 << 26
    given_back = before - psutil.Process().memory_info().rss
    np.ones(given_back + more, np.uint8)
    assert before + 0.8 * more < high_water() < before + 1.5 * more


def test_a_kernel_that_does_not_keep_it_is_asked_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = high_water()
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t   1234 kB\n")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    assert 0.9 * before < high_water() < 100 * before
