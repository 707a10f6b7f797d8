"""What `make test` does with failures: few are tried again, alone and loudly, and that decides."""

import importlib
import sys
from pathlib import Path

import pytest

from ggufrun.install.environment import Environment

pytestmark = pytest.mark.process

TESTS = """
import pytest
from pathlib import Path

def test_good(): pass

@pytest.mark.parametrize("tries", [2, 3])
def test_late(tries):
    seen = Path(f"seen-{tries}")
    seen.write_text((seen.read_text() if seen.exists() else "") + ".")
    assert len(seen.read_text()) == tries

def test_other(): assert Path("mended").exists()

@pytest.mark.parametrize("number", range(6))
def test_many(number): assert False
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "pytest.ini").touch()
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds, and are nothing here
    (tmp_path / "test_suite.py").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return [sys.executable, "-m", "pytest", "-q"]


def performed(suite: list[str], *kept: str) -> int:
    program = importlib.import_module("ggufrun.install.__main__")
    again = program.failed_again(Environment(Path()))
    commands = [[*suite, "-k", each] for each in kept]
    return int(program.perform(commands, [sys.executable, *again[1:]]))


@pytest.mark.parametrize("mended", [True, False])
def test_failures_are_tried_twice_more_and_the_first_pass_decides(
    suite: list[str], mended: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if mended:
        (tmp_path / "mended").touch()
    assert performed(suite, "good", "late", "other") == (0 if mended else 1)
    _, first, second = capfd.readouterr().out.split("tried again, alone")
    for name, tries in (("test_late[2]", [first]), ("test_late[3]", [first, second])):
        assert [name in said.split("\n\n")[0] for said in (first, second)] == [True, len(tries) == 2], "it is named"
        assert f"PASSED test_suite.py::{name}" in tries[-1]
    assert ("FAILED test_suite.py::test_other" in second) is not mended
    assert (tmp_path / "seen-2").read_text() == "..", "what has passed is not tried again"


def test_nothing_is_tried_again_where_nothing_failed(suite: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert performed(suite, "good", "good") == 0
    assert "again" not in capfd.readouterr().out


def test_many_failures_are_no_accident(suite: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert performed(suite, "good", "many") == 1
    said = capfd.readouterr().out
    assert "6 tests failed. That is no accident" in said and "PASSED" not in said and "alone" not in said


def test_other_ends_than_failed_tests_are_not_tried_again(suite: list[str], tmp_path: Path) -> None:
    """A broken command line, an interruption: there is nothing that could be run alone."""
    program = importlib.import_module("ggufrun.install.__main__")
    again = [sys.executable, "-c", "open('again', 'w')"]
    assert program.perform([[*suite, "-k", "good"], [*suite, "--no-such-option"]], again) == 4
    assert not (tmp_path / "again").exists()
