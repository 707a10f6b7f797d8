"""Measured reports as HTML: what is shown of a run, a list and a report, and that none of it is obeyed."""

from typing import Any

from ggufrun.ui.measured.report import as_report
from ggufrun.ui.measured.runs import as_reports, as_runs, progress

RUNS = "<img src=x onerror=alert(1)>"
RUN: dict[str, Any] = {
    "id": "r1",
    "state": "running",
    "error": "",
    "notes": [],
    "models": ["a", RUNS],
    "done": 0.256,
    "left_s": 190.0,
    "doing": "scoring the text",
    "row": "Q4_K_M",
    "report": None,
}
ROW: dict[str, Any] = {
    "name": "Q4_K_M",
    "file": "a.gguf",
    "role": "quant",
    "bytes": 105_454_432,
    "kld_mean": 0.0313,
    "kld_mean_lo": 0.0291,
    "kld_mean_hi": 0.0338,
    "top1_agreement": 0.919,
    "peak_bytes": 3 << 30,
    "tg_tok_s": 41.2,
}


def test_how_far_a_run_is() -> None:
    assert progress(RUN) == "26%, about 3 min left. Q4_K_M: scoring the text"
    assert progress({**RUN, "left_s": None, "row": ""}) == "26%. scoring the text"
    shown = as_runs([RUN])
    assert 'data-act="halt"' in shown and 'value="0.2560"' in shown
    assert "<img" not in shown and "&lt;img" in shown
    paths = as_runs([{**RUN, "models": ["/far/away/a.gguf", "C:\\far\\b.gguf", "owner/repo:Q4_K_M"]}])
    assert ">a.gguf, b.gguf, owner/repo:Q4_K_M</b>" in paths and "/far/away/a.gguf\n" in paths


def test_what_became_of_the_last_run() -> None:
    failed = {**RUN, "state": "failed", "error": "Two vocabularies."}
    assert "Two vocabularies." in as_runs([failed]) and "halt" not in as_runs([failed])
    assert as_runs([{**RUN, "state": "done"}, failed]) == ""
    waiting = as_runs([{**RUN, "state": "waiting"}, RUN])
    assert waiting.count("<li") == 2 and "Waits until" in waiting


def test_reports_are_listed() -> None:
    report = {
        "id": "20260102-x",
        "title": RUNS,
        "created": "2026-01-02T03:04:05Z",
        "unfinished": True,
        "recommendation": "Q4_K_M: smallest.",
    }
    shown = as_reports([report], "20260102-x")
    assert 'href="reports/20260102-x" target="_blank" rel="noopener"' in shown
    assert 'class="chosen"' in shown and "stopped early" in shown and "<img" not in shown
    assert 'data-act="forget"' in shown and "Delete the report &lt;img" in shown  # it is asked for
    assert "no reports yet" in as_reports([], "")


def test_a_report_is_shown_with_its_intervals_and_pictures() -> None:
    rows = [
        {**ROW, "name": "Q8_0", "role": "reference", "kld_mean": 0.0, "kld_mean_lo": 0.0, "kld_mean_hi": 0.0},
        ROW,
        {"name": RUNS, "file": RUNS, "role": "quant", "bytes": 1, "error": f"It does not load. {RUNS}"},
    ]
    report = {
        "title": RUNS,
        "rows": rows,
        "notes": [RUNS],
        "recommendation": {"name": "Q4_K_M", "sentence": f"Take it. {RUNS}"},
    }
    shown = as_report("id", report, {"pareto.svg": b"<svg><script>alert(1)</script></svg>"})
    assert "0.0313 <small>0.0291 to 0.0338</small>" in shown
    assert shown.count("<small>") == 1  # from 0 to 0 is no interval
    assert "105.5 MB" in shown and "91.9 %" in shown and "3.0 GiB" in shown and ">41<" in shown
    assert 'class="wrong">It does not load.' in shown
    assert shown.count("<img") == 1 and '<img src="data:image/svg+xml;base64,' in shown
    assert "onerror=alert(1)>" not in shown and "<script" not in shown
