"""What `make test` does with failures: they are run once more, alone, and that decides."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from ggufrun.install.environment import Environment

pytestmark = pytest.mark.process

TESTS = """
from pathlib import Path

def test_good(): pass

def test_late():
    first = not Path("seen").exists()
    Path("seen").touch()
    assert not first

def test_other(): assert Path("mended").exists()
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:benchmark -p no:xdist\n")
    (tmp_path / "test_late.py").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return [sys.executable, "-m", "pytest", "-q"]


@pytest.mark.parametrize("mended", [True, False])
def test_failures_are_run_once_more_and_that_decides(
    suite: list[str], mended: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = importlib.import_module("ggufrun.install.__main__")
    again = program.failed_again(Environment(tmp_path))
    commands = [[*suite, "-k", "good"], [*suite, "-k", "late"], [*suite, "-k", "other"]]
    if mended:
        subprocess.run([*suite, "-k", "other"], check=False)  # remembered as failed, by a run before this one
        (tmp_path / "mended").touch()
    assert program.perform(commands, [sys.executable, *again[1:]]) == (0 if mended else 1)
    said = capfd.readouterr().out
    assert "Once more, alone" in said and "PASSED test_late.py::test_late" in said.split("Once more")[1]
    assert ("FAILED test_late.py::test_other" in said.split("Once more")[1]) is not mended


def test_other_ends_than_failed_tests_are_not_tried_again(suite: list[str], tmp_path: Path) -> None:
    """A broken command line, an interruption: there is nothing that could be run alone."""
    program = importlib.import_module("ggufrun.install.__main__")
    again = [sys.executable, "-c", "open('again', 'w')"]
    assert program.perform([[*suite, "-k", "good"], [*suite, "--no-such-option"]], again) == 4
    assert not (tmp_path / "again").exists()
