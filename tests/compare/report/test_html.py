"""The page: one file, nothing foreign in it, nothing obeyed, and all of the report."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from functools import cache
from hashlib import sha256

import pytest

from ggufrun.compare.report.html import page
from ggufrun.compare.report.json_reading import from_json
from ggufrun.compare.report.json_report import json_bytes
from ggufrun.compare.report.plots import Pictures, pictures
from ggufrun.compare.results import Report
from tests.compare.report.pages import Found, parse
from tests.compare.report.reports import PARTS, full, hostile, quality, unfinished

REPORTS = {"full": full(), "hostile": hostile(), "unfinished": unfinished()}
NO_PICTURES = Pictures({}, (), None)


@cache
def drawn(name: str) -> str:
    return page(REPORTS[name], pictures(REPORTS[name]))


@pytest.fixture(scope="module", params=REPORTS)
def written(request: pytest.FixtureRequest) -> str:
    return drawn(request.param)


@pytest.fixture(scope="module")
def whole() -> Found:
    return parse(drawn("full"))


def shown(report: Report) -> Found:
    return parse(page(report, NO_PICTURES))


def words(found: Found) -> str:
    return " ".join(found.text.split())


def test_nothing_is_fetched(written: str) -> None:
    found = parse(written)
    for tag, attributes in found.elements:
        assert tag not in ("img", "link", "iframe", "object", "embed", "base", "form", "a"), tag
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "srcset"):
                assert value and value.startswith("#"), (tag, name, value)
    assert "@import" not in written
    assert all(place.startswith("#") for place in re.findall(r"url\(['\"]?([^)]*)", written))
    policy = next(each for each in found.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert (policy["content"] or "").startswith("default-src 'none'")


def test_elements_are_nested_as_they_should(written: str) -> None:
    assert parse(written).badly_nested == []


def test_the_only_script_is_the_one_that_may_run(written: str) -> None:
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", written, re.S)
    assert len(scripts) == 1 == len(parse(written).all("script"))
    digest = b64encode(sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in written
    assert not any(name.startswith("on") for _, attributes in parse(written).elements for name in attributes)


def test_no_control_character_gets_into_it() -> None:
    written = page(hostile(), NO_PICTURES)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", written)
    written.encode()


def test_what_wants_to_be_html_is_text() -> None:
    found = shown(hostile())
    assert not found.all("img") and not found.all("b")
    assert found.text.count("<script>alert('x')</script>") > 10
    assert "</td><img src=x onerror=alert(1)>" in found.text


def test_the_table_has_all_rows_with_their_figures(whole: Found) -> None:
    for row in full().rows:
        assert row.name in whole.text
    for figure in ("0.0279", "0.0262–0.0296", "14.6 GB", "92.3 %", "6.06", "91.7–92.9 %"):
        assert figure in whole.text
    assert {attributes.get("class") for attributes in whole.all("tr")} == {None, "pick", "check"}
    assert "cut short" in whole.text


def test_verdicts_are_called_conventions_and_ties_are_marked(whole: Found) -> None:
    assert "≈ UD-Q4_K_XL" in whole.text and "near lossless" in whole.text
    assert "conventions for the mean KL divergence, no measurements" in words(whole)


def test_each_part_of_a_report_is_there(whole: Found) -> None:
    ids = {attributes.get("id") for attributes in whole.all("section")}
    assert ids == {"table", "pictures", "parts", "tasks", "pairs", "answers", "how"}
    assert len(whole.all("svg")) == 3
    assert all(part in whole.text for part in PARTS)
    for fact in ("llama.cpp", "b11434", "AMD Ryzen 9 7950X", "64.0 GiB", "ab" * 32, "f16, q8_0"):
        assert fact in whole.text, fact
    assert "Q6_K: smallest that is near lossless" in whole.text


def test_tasks_are_told_with_their_flips(whole: Found) -> None:
    for figure in ("tools-free", "74.5 %", "−16", "0.069", "right function 93.0 %", "too few"):
        assert figure in whole.text, figure


def test_answers_stand_side_by_side_with_the_parting_marked() -> None:
    found = shown(full())
    assert len(found.all("mark")) == 2 * 6  # each of six rows beside the reference
    for sentence in ("the same for 12 of 44 tokens", "“ scatter” 61.0 %, “ bend” 22.0 %", "“ bend” 47.0 %"):
        assert sentence in found.text
    assert "As Q8_0, to the end: Q6_K, Q4_K_M" in words(found)
    assert "Seven is one: 7." in found.text


def test_how_sure_a_difference_is(whole: Found) -> None:
    assert "87 % ≈" in whole.text and "> 99 %" in whole.text


def test_what_is_missing_is_told() -> None:
    told = words(shown(unfinished()))
    assert "Stopped before its end" in told
    assert "No picture: too little has been measured." in told
    assert "Stopped before its end" not in words(shown(full()))
    empty = replace(unfinished(), rows=(), hardware={}, settings={}, text_sha256="", texts=(), notes=())
    assert "Nothing has been measured yet." in words(shown(empty))


def test_what_must_not_be_believed_is_told() -> None:
    report = full()
    broken = replace(quality(0.002), not_finite=3)
    rows = (*report.rows[:8], replace(report.rows[8], ppl=broken), report.rows[9])
    told = words(shown(replace(report, rows=rows)))
    assert "The self-test failed in ppl mode: the reference is 0.00200 nats from itself." in told
    assert "Q8_0 (again): 3 of 10,203 positions in ppl mode were no numbers" in told
    assert "exactly 0, as it has to be" in words(shown(report))


def test_a_text_too_short_for_intervals_has_none() -> None:
    report = full()

    def without_ends(found: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in found.items() if not name.endswith(("_lo", "_hi"))}

    found = from_json(json.dumps(json.loads(json_bytes(report), object_hook=without_ends)))
    assert found.rows[1].ppl and found.rows[1].ppl.kld_mean.lo is None
    row = replace(found.rows[1], chat=None, tasks=(), greedy=(), ppl=replace(found.rows[1].ppl, chunks=7))
    none = "There are no intervals of what was read from the text: it has fewer than 8 chunks."
    told = words(shown(replace(report, rows=(row,), pairs=())))
    assert none in told and "95 % intervals: of speeds" not in told
    told = words(shown(replace(report, rows=(replace(row, speed=report.rows[1].speed),), pairs=())))
    assert none in told and "95 % intervals: of speeds" in told
    silent = replace(row, ppl=None, speed=None)
    assert none not in words(shown(replace(report, rows=(silent,), pairs=())))
