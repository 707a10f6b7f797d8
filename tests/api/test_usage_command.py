"""`ggufrun usage` on ledgers of every kind: what it adds up, and how it prints it."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ggufrun.cli import main
from ggufrun.commandline.usage import since_time
from ggufrun.errors import OptionError
from ggufrun.records.ledger import Ledger
from ggufrun.records.usage_report import usage_report
from tests.api.entries import entry, until_written, write
from tests.program import at_home, run_ggufrun

pytestmark = pytest.mark.process

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    return tmp_path


def at(day: int, hour: int = 12) -> float:
    return datetime(2026, 11, day, hour, tzinfo=UTC).timestamp()


def fill(home: Path) -> None:
    medium = {"model": "mistral-medium-3.5", "quant": "UD-Q4_K_XL", "usd": 0.0125}
    write(
        home / "ggufrun.db",
        entry(time=at(1), key="anna", **medium),
        entry(time=at(2), key="anna", ttft_s=0.3, tokens_per_s=30.0, **medium),
        entry(time=at(2, 23), key="anna", ttft_s=0.9, tokens_per_s=10.0, **medium),
        entry(time=at(3), prompt_tokens=2000, status=499, ttft_s=None, tokens_per_s=0.0, completion_tokens=0),
    )


def run(*arguments: str) -> int:
    return main(["usage", *arguments])


def test_a_table_by_day_with_its_sum(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(home)
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if not line.startswith("-")] == [
        ["day", "calls", "prompt", "cached", "completion", "TTFT", "tokens/s", "USD"],
        ["2026-11-01", "1", "10", "4", "5", "0.10", "s", "50.0", "0.0125"],
        ["2026-11-02", "2", "20", "8", "10", "0.60", "s", "20.0", "0.0250"],
        ["2026-11-03", "1", "2,000", "4", "0", "-", "-", "-"],
        ["total", "4", "2,030", "16", "15", "0.30", "s", "30.0", "0.0375"],
    ]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("by", "names"), [("key", ["", "anna"]), ("model", ["demo Q4_1", "mistral-medium-3.5 UD-Q4_K_XL"])]
)
def test_by_key_and_model(home: Path, capsys: pytest.CaptureFixture[str], by: str, names: list[str]) -> None:
    fill(home)
    assert run("--by", by, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["rows"]] == names and said["by"] == by and said["since"] is None
    assert [row["calls"] for row in said["rows"]] == [1, 3] and said["total"]["calls"] == 4
    assert run("--by", by) == 0
    assert (names[0] or "(no key)") in capsys.readouterr().out


def test_a_quant_that_the_models_name_says_is_not_said_twice(home: Path) -> None:
    write(home / "ggufrun.db", entry(model="Tiny-1B-q8_0", quant="Q8_0"))
    assert [row.name for row in usage_report(home / "ggufrun.db", "model").rows] == ["Tiny-1B-q8_0"]


def test_since(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(home)
    assert run("--since", "2026-11-02", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["rows"]] == ["2026-11-02", "2026-11-03"]
    assert said["since"] == "2026-11-02T00:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("12h", NOW - timedelta(hours=12)),
        ("2w", NOW - timedelta(days=14)),
        ("99999w", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_how_since_may_be_written(text: str, time: datetime) -> None:
    assert since_time(text, NOW) == time


@pytest.mark.parametrize("text", ["", "7", "d", "7 days", "-7d", "2026-13-01", "01.11.2026", "7d\n", "٧d"])
def test_how_since_may_not_be_written(text: str) -> None:
    with pytest.raises(OptionError, match="Write it as 7d"):
        since_time(text, NOW)


def test_csv_parses(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(home)
    write(home / "ggufrun.db", entry(model='od"d, na\nme', quant=""))
    assert run("--by", "model", "--csv") == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["model"] for row in found] == ["demo Q4_1", "mistral-medium-3.5 UD-Q4_K_XL", 'od"d, na\nme']
    assert found[1]["usd"] == "0.0375" and found[0]["usd"] == "" and found[0]["prompt_tokens"] == "2000"


def test_a_table_is_no_way_to_the_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home / "ggufrun.db", entry(model="\x1b[2Jgone", quant=""))
    assert run("--by", "model") == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--csv"], ["--since", "7d"]])
def test_no_ledger_yet(home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(*arguments) == 0
    said = capsys.readouterr()
    assert "No calls are recorded" in (said.err if arguments in (["--json"], ["--csv"]) else said.out)
    if arguments == ["--json"]:
        assert json.loads(said.out)["rows"] == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--since", "tomorrow"], "--since cannot be 'tomorrow'"),
        (["--by", "hour"], "--by cannot be 'hour'"),
        (["--csv", "--json"], "exclude each other"),
        (["--months", "2"], "No such option"),
    ],
)
def test_errors_are_one_line(home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""


def test_a_file_that_is_no_ledger(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "ggufrun.db").write_text("no database at all, but a text of some length" * 20)
    assert run() == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "ggufrun.db" in said.err


def test_it_works_while_a_server_writes(home: Path) -> None:
    ledger = Ledger(home / "ggufrun.db")
    try:
        ledger.record(entry())
        until_written(home / "ggufrun.db", 1)
        for calls in (1, 2):
            said = run_ggufrun("usage", "--json", environment=at_home(home))
            assert json.loads(said.stdout)["total"]["calls"] == calls, said.stderr
            ledger.record(entry())
            until_written(home / "ggufrun.db", calls + 1)
    finally:
        ledger.close()
