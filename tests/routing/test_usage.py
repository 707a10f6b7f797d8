"""What was spent on engines elsewhere and what was saved, in `ggufrun usage`; and ledgers of before there were any."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ggufrun.cli import main
from ggufrun.records.calls import last_calls
from ggufrun.records.database import MIGRATIONS, connect
from ggufrun.records.ledger import _TODAY
from ggufrun.records.usage_report import usage_report
from tests.api.entries import entry, write

pytestmark = pytest.mark.process


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    return tmp_path / "ggufrun.db"


def fill(path: Path) -> None:
    route = {"model": "mistral-medium-3.5", "quant": "", "usd": 0.02}
    write(
        path,
        entry(engine="small", **route),
        entry(engine="small", **route),
        entry(engine="hosted", spent_usd=0.025, **route),  # more than its price: an attempt was thrown away
        entry(model="demo"),
    )


def test_what_was_spent_and_saved_by_engine(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path)
    assert main(["usage", "--by", "engine"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if not line.startswith("-")]
    assert [(line[0], *line[-3:]) for line in lines] == [
        ("engine", "USD", "spent", "saved"),
        ("demo", "-", "0.0000", "-"),
        ("hosted", "0.0200", "0.0250", "-0.0050"),
        ("small", "0.0400", "0.0000", "0.0400"),
        ("total", "0.0600", "0.0250", "0.0350"),
    ]


def test_as_csv_and_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path)
    assert main(["usage", "--by", "model", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["model"], row["spent_usd"], row["saved_usd"]) for row in rows] == [
        ("demo Q4_1", "0.0", ""),
        ("mistral-medium-3.5", "0.025", "0.035"),
    ]
    assert main(["usage", "--by", "model", "--json"]) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    assert (total["usd"], total["spent_usd"], total["saved_usd"]) == (0.06, 0.025, 0.035)


def test_who_has_nothing_elsewhere_sees_no_more_columns(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(path, entry(usd=0.5))
    assert main(["usage"]) == 0
    assert "spent" not in capsys.readouterr().out
    assert usage_report(path, "day").total.saved_usd == 0.5


def test_a_ledger_of_an_older_ggufrun_goes_on(path: Path) -> None:
    before = next(at for at, each in enumerate(MIGRATIONS) if "ADD COLUMN engine" in each)
    with closing(sqlite3.connect(path)) as old:
        for statement in MIGRATIONS[:before]:
            old.execute(statement)
        old.execute(f"PRAGMA user_version = {before}")
        call = "1, 5.0, 'r', '', '/v1/x', 'demo', 'f', 'q', 1, 0, 2, 0.1, 0.2, 9, 'stop', 200, 0.5"
        old.execute(f"INSERT INTO calls VALUES ({call})")
        old.commit()
    connect(path).close()
    write(path, entry(engine="small", spent_usd=0.25))
    with closing(connect(path)) as database:  # what is asked at each call of a key with a limit needs no table
        plan = database.execute(f"EXPLAIN QUERY PLAN {_TODAY}", ("a", 0, "[]")).fetchall()
    assert any("USING COVERING INDEX calls_by_key" in step[3] for step in plan), plan
    new, first = (call.entry for call in last_calls(path, 9))
    assert (first.engine, first.spent_usd, first.usd) == ("", 0.0, 0.5)
    assert (new.engine, new.spent_usd) == ("small", 0.25)
