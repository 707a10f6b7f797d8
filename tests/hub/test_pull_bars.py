"""What a pull shows while it runs: bars on a terminal, lines elsewhere; names from the hub are never obeyed."""

import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from ggufrun.commandline import pull_bars
from ggufrun.hub.files import HubFile
from ggufrun.hub.pull import Progress, PulledFile, PullPlan
from ggufrun.store.hub_cache import RepoCache

FIRST, SECOND = "Q4/[bold]one-00001-of-00002.gguf", "Q4/two-00002-of-00002.gguf"
SIZE = 2_000_000_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _plan(*done: int) -> PullPlan:
    files = tuple(
        PulledFile(HubFile(path, SIZE, "a" * 64), "a" * 64, count)
        for path, count in zip((FIRST, SECOND), done, strict=False)
    )
    return PullPlan(RepoCache(Path("cache"), "owner/name"), "1" * 40, "main", files, 1 << 40)


def _lines(plan: PullPlan, *steps: Progress, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pull_bars.shown(plan) as tell:
        for step in steps:
            tell(step)
    return capsys.readouterr().err.splitlines()


def test_lines_come_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Progress(FIRST, done, SIZE, "fetching") for done in (0, SIZE // 4, SIZE // 2)]
    assert _lines(_plan(0, 0), *steps, capsys=capsys) == []
    monkeypatch.setattr(pull_bars, "_LINE_S", 0.0)
    *_, last = _lines(_plan(0, 0), *steps, capsys=capsys)
    assert re.fullmatch(rf"{re.escape(FIRST)}: 1\.00 of 4\.00 GB \(25%\), [\d,.]+ GB/s, about \d+ s to go", last)


def test_lines_tell_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        Progress(FIRST, SIZE, SIZE, "here"),
        Progress(SECOND, 0, SIZE, "waiting"),
        Progress(SECOND, 0, SIZE, "fetching"),
        Progress(SECOND, 0, SIZE, "checking"),
        Progress(SECOND, SIZE, SIZE, "checking"),
        Progress(SECOND, SIZE, SIZE, "here"),
    ]
    told = _lines(_plan(SIZE, 0), *steps, capsys=capsys)
    assert told == [f"{SECOND}: another process fetches it", f"{SECOND}: checking", f"{SECOND}: done"]


def _screen(plan: PullPlan, steps: Iterable[Progress], *, monkeypatch: pytest.MonkeyPatch, columns: int = 160) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pull_bars.shown(plan) as tell:
        for step in steps:
            tell(step)
    written = sys.stderr
    assert isinstance(written, Terminal)
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", written.getvalue())


def test_a_bar_for_each_file_and_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        Progress(FIRST, SIZE // 2, SIZE, "fetching"),
        Progress(FIRST, SIZE, SIZE, "fetching"),
        Progress(FIRST, SIZE // 4, SIZE, "checking"),
    ]
    screen = _screen(_plan(0, 0), steps, monkeypatch=monkeypatch)
    assert re.findall(r"\[bold\]one-00001-of-00002\.gguf .*? ([\d.]+/[\d.]+ GB) .*(checking)", screen)[-1] == (
        "0.5/2.0 GB",
        "checking",
    )
    assert re.findall(r"all .*? ([\d.]+/[\d.]+ GB)", screen)[-1] == "2.0/4.0 GB"
    assert "two" not in screen  # it has not begun


def test_one_file_has_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _screen(_plan(SIZE // 2), [Progress(FIRST, SIZE // 2, SIZE, "fetching")], monkeypatch=monkeypatch)
    assert "50%" in shown and "all" not in shown


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_a_line_can_be_read_on_a_terminal_of_the_usual_width(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "Mistral-Medium-3.5-128B-Instruct-2510-UD-Q4_K_XL-00001-of-00003.gguf"
    size, done = 46_900_000_000, 2_300_000_000
    file = PulledFile(HubFile(f"UD-Q4_K_XL/{name}", size, "a" * 64), "a" * 64, 0)
    plan = PullPlan(RepoCache(Path("cache"), "owner/name"), "1" * 40, "main", (file, _plan(0).files[0]), 1 << 40)
    seconds = [0.0]
    monkeypatch.setattr("rich.console.monotonic", lambda: seconds[0])

    def steps() -> Iterator[Progress]:
        for second in range(8):
            seconds[0] = second
            yield Progress(file.file.path, done + second * 12_345_678, size, "fetching")

    screen = _screen(plan, steps(), monkeypatch=monkeypatch, columns=columns)
    lines = [line.rstrip() for line in screen.replace("\r", "\n").splitlines()]
    assert all(len(line) <= columns for line in lines)
    last = next(line for line in reversed(lines) if "Mistral" in line)
    assert "01-of-00003.gguf" in last and " 5% " in last
    assert last.endswith("2.4/46.9 GB 12.3 MB/s, 60 min")
    assert (name in last) is (columns == 200)


@pytest.mark.parametrize(("state", "words"), [("waiting", "another fetches it"), ("checking", "checking")])
def test_what_happens_else_has_room_too(
    state: Literal["waiting", "checking"], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Progress(FIRST, SIZE // 2, SIZE, state)
    screen = _screen(_plan(0, 0), [step], monkeypatch=monkeypatch, columns=80)
    assert re.search(rf" 50% 1\.0/2\.0 GB {words}\s", screen), screen
