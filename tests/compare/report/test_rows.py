"""Figures by the names that programs read, in JSON and in CSV."""

import csv
import io
import json
from dataclasses import replace

import pytest

from ggufrun.compare.report.csv_report import csv_bytes
from ggufrun.compare.report.json_reading import NotAReport, from_json
from ggufrun.compare.report.json_report import SCHEMA_VERSION, json_bytes
from ggufrun.compare.results import Figure, Report
from tests.compare.report.reports import HOSTILE, full, hostile, unfinished

PROMISED = (
    "file", "quant", "kv_type", "reference", "bytes", "bpw", "ppl", "ln_ppl_ratio", "kld_mean", "kld_median", "kld_p99",
    "rms_dp", "top1_agreement", "chat", "pp_tok_s", "tg_tok_s", "ttft_ms", "peak_bytes", "load_s",
)  # fmt: skip
WITH_INTERVAL = (
    "ppl", "ln_ppl_ratio", "kld_mean", "kld_median", "kld_p99", "rms_dp", "top1_agreement", "pp_tok_s", "tg_tok_s",
)  # fmt: skip


def read(report: Report) -> dict[str, object]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found: dict[str, object] = json.loads(json_bytes(report), parse_constant=refuse)
    return found


def rows(report: Report) -> list[dict[str, object]]:
    found = read(report)["rows"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("report", [full(), hostile(), unfinished()], ids=["full", "hostile", "unfinished"])
def test_each_row_has_the_promised_names(report: Report) -> None:
    for row in rows(report):
        assert row.keys() >= set(PROMISED)


def test_what_has_an_interval_has_both_ends() -> None:
    row = rows(full())[1]
    chat = row["chat"]
    assert isinstance(chat, dict)
    for name in WITH_INTERVAL:
        lo, value, hi = row[f"{name}_lo"], row[name], row[f"{name}_hi"]
        assert isinstance(lo, float) and isinstance(value, float) and isinstance(hi, float)
        assert lo <= value <= hi, name
    assert chat["kld_mean_lo"] < chat["kld_mean"] < chat["kld_mean_hi"]
    assert row["ttft_ms"] == 500.0 and "ttft_ms_lo" not in row
    assert chat["kld_mean"] == pytest.approx(1.7 * row["kld_mean"])  # type: ignore[operator]  # a float, by the above


def test_rows_say_what_they_are_there_for() -> None:
    assert {row["reference"] for row in rows(full())} == {"Q8_0"}
    assert [row["name"] for row in rows(full()) if row["is_reference"]] == ["Q8_0"]
    assert [row["role"] for row in rows(full())][-2:] == ["self", "noise"]
    assert next(row["kv_type"] for row in rows(full()) if row["name"] == "Q4_K_M kv q8_0") == "q8_0"


def test_a_failed_row_says_why_and_has_nothing_else() -> None:
    failed = next(row for row in rows(full()) if row["error"])
    assert "cut short" in str(failed["error"])
    assert failed["kld_mean"] is failed["chat"] is failed["pp_tok_s"] is failed["peak_bytes"] is None


def test_what_is_not_finite_is_null() -> None:
    whole = full()
    quality = whole.rows[1].ppl
    assert quality
    broken = replace(quality, ppl=Figure(float("nan")), kld_max=float("inf"))
    report = replace(whole, rows=(replace(whole.rows[1], ppl=broken),))
    assert rows(report)[0]["ppl"] is rows(report)[0]["kld_max"] is None


def test_the_report_says_how_it_was_made() -> None:
    found = read(full())
    assert found["schema"] == "ggufrun-compare" and found["schema_version"] == SCHEMA_VERSION
    for name in ("settings", "hardware", "versions", "texts", "text_sha256", "created_utc", "notes", "pairs"):
        assert found[name], name


@pytest.mark.parametrize("report", [full(), hostile(), unfinished()], ids=["full", "hostile", "unfinished"])
def test_a_report_comes_back_as_it_was(report: Report) -> None:
    assert from_json(json_bytes(report)) == report


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "does not say"),
        ('{"schema": "ggufrun-compare", "schema_version": 99}', "version 99"),
        ('{"schema": "ggufrun-compare", "schema_version": 1}', "damaged"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_report_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotAReport, match=why):
        from_json(text)


def table(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_bytes(report).decode(), newline="")))


def test_csv_has_a_line_for_each_row_with_the_same_figures() -> None:
    report = full()
    for line, row in zip(table(report), rows(report), strict=True):
        for name in ("kld_mean", "kld_mean_lo", "ppl", "tg_tok_s", "bytes", "file", "peak_bytes"):
            assert line[name] == ("" if row.get(name) is None else str(row[name])), name
    assert float(table(report)[1]["chat_kld_mean"]) > float(table(report)[1]["kld_mean"])
    assert table(report)[1]["tools-free_lost"] == "7"


def test_csv_has_an_interval_behind_its_figure() -> None:
    names = list(table(full())[0])
    at = names.index("kld_mean")
    assert names[at : at + 3] == ["kld_mean", "kld_mean_lo", "kld_mean_hi"]
    assert len(names) == len(set(names))


def test_csv_holds_no_formula() -> None:
    lines = table(hostile())
    assert lines[3]["name"] == "'=1+1"
    assert lines[2]["file"] == HOSTILE.replace("\udcff", "\\udcff")
