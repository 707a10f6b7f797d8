"""`ggufrun compare` as a user calls it: stopped, killed and gone on with; what is fetched, and refused"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compare.run.comparing import LINE
from tests.hub.fake_hub import FakeHub
from tests.hub.home import Home
from tests.program import ROOT, at_home, run_ggufrun

pytestmark = pytest.mark.process

REPO = "someone/Little-GGUF"


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    return found


def begin(arguments: list[str], home: Path, until: str) -> "subprocess.Popen[str]":
    """A run that was begun, as soon as it says this."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ggufrun", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=at_home(home),
        cwd=ROOT,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if until in line:
            return process
    raise AssertionError(f"it never said {until!r}, and ended with {process.wait()}")


@pytest.fixture
def one_core() -> Iterator[None]:
    """For what is started: threads of so little a model wait for each other most of the time."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_core")
def test_stopped_then_killed_it_goes_on_each_time(ladder: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "report"
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{at} {LINE}" for at in range(120)))
    paths = [str(ladder["F16"]), str(ladder["Q4_0"])]
    arguments = ["compare", *paths, "--quick", "--text", str(text), "--out", str(out)]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ggufrun.toml").write_text("[defaults]\nthreads = 1\ncontext = 512\n")
    stopped = begin(arguments, tmp_path / "home", "F16 (again): ")
    stopped.send_signal(signal.SIGINT)
    told, said = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "the same command goes on from there" in said and "report.html" in told
    assert report_of(out)["unfinished"]
    assert report_of(out)["rows"][0]["ppl"] > 1
    killed = begin(arguments, tmp_path / "home", "Q4_0: ")
    killed.kill()
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    done = run_ggufrun(*arguments, environment=at_home(tmp_path / "home"), timeout_s=120)
    assert done.returncode == 0, done.stderr
    rows = [line.split("% ", 1)[1].split(":")[0] for line in done.stderr.splitlines() if "% " in line]
    assert "F16" not in rows and "F16 (again)" not in rows and "Q4_0" in rows
    assert not report_of(out)["unfinished"]
    assert [row["name"] for row in report_of(out)["rows"]] == ["F16", "F16 (again)", "F16 (noise)", "Q4_0"]
    assert "F16" in done.stdout and str(out / "report.html") in done.stdout
    assert report_of(out)["settings"]["load"] == {"threads": "1"}  # the context is the comparison's own
    assert "as [defaults] of ggufrun.toml says: threads 1." in " ".join(report_of(out)["notes"])


def test_stopped_before_anything_is_measured_there_is_no_report(ladder: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "report"
    arguments = ["compare", str(ladder["F16"]), str(ladder["Q4_0"]), "--quick", "--out", str(out)]
    stopped = begin(arguments, tmp_path / "home", "F16: loading")
    stopped.send_signal(signal.SIGINT)
    told, said = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "Stopped before anything was measured." in said and not told
    assert not out.exists()


def add_repo(hub: FakeHub, ladder: dict[str, Path]) -> None:
    hub.add_repo(REPO, {f"Little-{quant}.gguf": path.read_bytes() for quant, path in ladder.items()})


def test_a_quant_that_is_not_there_is_refused_before_any_is_fetched(
    hub: FakeHub, home: Home, ladder: dict[str, Path]
) -> None:
    add_repo(hub, ladder)
    missing = home.ggufrun("compare", REPO, "--quants", "Q8_0,Q3_K_M", "--quick")
    assert missing.returncode == 2
    assert "no quant 'Q3_K_M'" in missing.stderr and "Q4_0" in missing.stderr and "F16" in missing.stderr
    assert not list(home.hub_cache.rglob("*.gguf"))


@pytest.mark.slow
def test_quants_of_a_repository_are_fetched_first(hub: FakeHub, home: Home, ladder: dict[str, Path]) -> None:
    add_repo(hub, ladder)
    out = home.folder / "report"
    done = home.ggufrun("compare", REPO, "--quants", "Q4_0", "--reference", "Q8_0", "--quick", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "to come" in done.stderr
    report = report_of(out)
    assert report["reference"] == "Q8_0" and report["title"] == "Little, 2 quants"
    assert [row["quant"] for row in report["rows"] if row["role"] == "quant"] == ["Q4_0"]
    assert not hub.sent("Little-F16.gguf")


def refused(home: Path, *arguments: str) -> str:
    done = run_ggufrun("compare", *arguments, environment=at_home(home))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_text_too_short_says_how_much_is_needed(ladder: dict[str, Path], tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text("Only this.")
    said = refused(tmp_path, str(ladder["F16"]), str(ladder["Q8_0"]), "--text", str(text))
    assert "one chunk needs 512" in said and "characters at least" in said
    text.write_text("a")
    said = refused(tmp_path, str(ladder["F16"]), str(ladder["Q8_0"]), "--text", str(text))
    assert re.search(r"has (1 token|[2-9] tokens),", said)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--kv-types", "f16,q9_9"], "there is no 'q9_9'. There are: f16, q8_0, q4_0"),
        (["--quick", "--full"], "contradict each other"),
        (["--tasks", "chess"], "There are: tools, choices, needle"),
        (["--chats"], "no saved chats"),
        (["--quants", "Q8_0"], "--quants are those of one model"),
        (["--reference", "Q2_K"], "'Q2_K' is not compared. There are: F16, Q8_0"),
        (["--context", "much"], "Write it as 32768 or 32k"),
        (["--gpu", "a big one"], "--gpu"),
        (["--blind"], "Votes are given by hand, and there is no terminal"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_loaded(
    ladder: dict[str, Path], tmp_path: Path, arguments: list[str], reason: str
) -> None:

    said = refused(tmp_path, str(ladder["F16"]), str(ladder["Q8_0"]), *arguments)
    assert reason in said


def test_a_place_where_no_report_can_be_written_is_refused_first(ladder: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refused(tmp_path, str(ladder["F16"]), str(ladder["Q8_0"]), "--out", str(tmp_path / "file" / "report"))
    assert f"--out: in {tmp_path / 'file'} nothing can be written" in said


def test_models_with_other_tokens_are_refused(
    ladder: dict[str, Path], tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    said = refused(tmp_path, str(ladder["F16"]), str(tiny_model("mistral3-v7")))
    assert "different vocabularies (512 and 131,072 tokens)" in said
