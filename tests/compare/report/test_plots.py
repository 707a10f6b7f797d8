"""The pictures: that they are what their names say, and show what the report has."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image

from ggufrun.compare.report import drawing
from ggufrun.compare.report.drawing import apart
from ggufrun.compare.report.palette import MARKED, PAPER
from ggufrun.compare.report.pareto import pareto
from ggufrun.compare.report.plots import Pictures, pictures
from ggufrun.compare.report.point_names import by_file, upwards
from ggufrun.compare.report.points import MEMORY, SIZE, TIME, Point, costs, front, points
from ggufrun.compare.results import Figure, Report
from tests.compare.report.reports import GIB, full, hostile, ladder, pairs, quality, unfinished

WHOLE = full()
KINDS = ("f16", "q8_0", "q4_0")


@pytest.fixture(scope="module")
def drawn() -> Pictures:
    return pictures(WHOLE)


@pytest.fixture(scope="module")
def drawn_hostile() -> Pictures:
    return pictures(hostile())


def texts(svg: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def point_of(report: Report, quant: str) -> Point:
    return next(point for point in points(report, MEMORY) if point.name == quant)


def memory_svg(report: Report) -> str:
    with drawing.drawn():
        figure = pareto(report, PAPER, [MEMORY])
        assert figure is not None
        return drawing.svg(figure)


def test_files_are_what_their_names_say(drawn: Pictures) -> None:
    assert set(drawn.files) == {"pareto.svg", "pareto.png", "depth.svg", "depth.png"}
    for name, content in drawn.files.items():
        if name.endswith(".svg"):
            assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
        else:
            with Image.open(io.BytesIO(content)) as picture:
                picture.load()
                assert picture.format == "PNG" and picture.width > 800
                assert len(set(picture.convert("L").resize((60, 40)).tobytes())) > 10  # not one colour


def test_each_row_is_named_in_each_panel(drawn: Pictures) -> None:
    written = texts(drawn.files["pareto.svg"])
    for row in WHOLE.rows[:6]:
        name = f"{row.name} = 0" if row.name == "Q8_0" else row.name
        assert written.count(name) == 2, name
    assert written.count("KV q8_0") == written.count("KV f16") == 2  # the seventh row is Q4_K_M's other shape
    assert "Q4_K_M kv q8_0" not in written
    assert "IQ1_S" not in written and "Q8_0 (again)" not in written
    assert sum("noise 0.000084" in text for text in written) == 2
    assert {"peak memory, GiB", "ms for each token it writes"} <= set(written)


def test_files_say_what_was_compared(drawn: Pictures) -> None:
    for name in ("pareto.svg", "depth.svg"):
        assert "Mistral-Small-3.2-24B-Instruct-2506, 7 rows, against Q8_0" in texts(drawn.files[name])
    assert not any("against" in text for _, svg in drawn.panels for text in texts(svg.encode()))


def test_depths_are_told(drawn: Pictures) -> None:
    written = texts(drawn.files["depth.svg"])
    assert {"0–64", "256–512", "Q6_K", "Q2_K"} <= set(written)
    assert "Q8_0" not in written  # 0 at each depth


def test_files_have_colours_and_the_page_has_variables(drawn: Pictures) -> None:
    inline = [svg for _, svg in drawn.panels] + [drawn.depth or ""]
    for svg in inline:
        assert svg.startswith("<svg")
        assert "currentColor" in svg and "var(--line)" in svg
        ElementTree.fromstring(svg)
    for svg in (*inline, drawn.files["pareto.svg"].decode()):
        assert "#010a" not in svg and "#010b" not in svg, "a place that stands for a variable"
    assert "var(" not in drawn.files["pareto.svg"].decode()
    assert "var(--row-0)" in (drawn.depth or "") and PAPER.lines[0] in drawn.files["depth.svg"].decode()
    assert all(colour[:5] in ("#010a", "#010b") for colour in (MARKED.ink, MARKED.accent, *MARKED.lines))
    assert [key for key, _ in drawn.panels] == ["memory", "time"]


def test_names_are_text_whatever_they_hold(drawn_hostile: Pictures) -> None:
    for svg in (drawn_hostile.files["pareto.svg"].decode(), *(svg for _, svg in drawn_hostile.panels)):
        assert any(text.startswith("<script>") for text in texts(svg.encode()))
        assert "<script" not in svg


def test_a_name_may_be_mathematics() -> None:
    report = replace(WHOLE, rows=tuple(replace(row, name=f"$\\frac{{{row.name}$") for row in ladder()), pairs=())
    assert memory_svg(report).count("$\\frac") >= len(report.rows)


def test_what_cannot_be_drawn_is_left_out() -> None:
    found = pictures(unfinished())
    assert (found.files, found.panels, found.depth) == ({}, (), None)
    alone = pictures(replace(WHOLE, rows=WHOLE.rows[:1]))
    assert not alone.files


def test_time_alone_where_nothing_else_is_known_of_a_row() -> None:
    silent = replace(WHOLE, rows=tuple(replace(row, speed=None) for row in ladder()))
    assert costs(silent) == (MEMORY,)
    assert costs(WHOLE) == (MEMORY, TIME)
    partly = replace(WHOLE, rows=(*ladder()[:2], replace(ladder()[2], memory=None)))
    assert costs(partly) == (SIZE, TIME)


def test_points_are_in_their_units() -> None:
    row = WHOLE.rows[2]
    assert row.memory and row.speed and row.ppl
    assert point_of(WHOLE, "Q4_K_M").x.value == row.memory.peak / GIB
    assert point_of(WHOLE, "Q4_K_M").y == row.ppl.kld_mean
    time = next(point for point in points(WHOLE, TIME) if point.name == "Q4_K_M").x
    assert time.lo and time.hi and time.lo < time.value == 1000 / row.speed.tg.value < time.hi


def test_the_front_has_what_nothing_beats() -> None:
    def point(name: str, x: float, y: float) -> Point:
        return Point(name, Figure(x), Figure(y), "f16")

    found = front([point("a", 1, 5), point("b", 2, 6), point("c", 3, 2), point("d", 3, 4), point("ref", 9, 0)])
    assert [each.name for each in found] == ["a", "c"]
    quick = front([point("a", 1, 5), point("ref", 2, 0), point("c", 3, 2), point("b", 2, 6)])
    assert [each.name for each in quick] == ["a"]  # the reference is both cheaper and closer than c
    assert front([point("ref", 1, 0), point("a", 2, 5)]) == ()
    reference, *quants = ladder()
    assert reference.memory
    cheapest = replace(reference, memory=replace(reference.memory, peak=GIB))
    svg = memory_svg(replace(WHOLE, rows=(cheapest, *quants)))
    assert svg.count(PAPER.accent) == 1 < memory_svg(WHOLE).count(PAPER.accent)  # what says what it means


def test_names_of_many_points_stay_inside() -> None:
    """Five quants with three types of KV cache, and twelve files."""
    assert upwards([5, 6, 90], 10, 100) == [5, 15, 90]
    assert upwards([88, 90, 95], 10, 100) == [80, 90, 100]
    cached = [f"Q{number} kv {kind}" if kind != "f16" else f"Q{number}" for number in range(5) for kind in KINDS]
    found = [Point(name, Figure(1.0), Figure(0.1), kind) for name, kind in zip(cached, KINDS * 5, strict=True)]
    assert [[point.kv_type for point in points] for points in by_file(found)] == [list(KINDS)] * 5
    files = tuple(replace(ladder()[1], name=f"file {number}") for number in range(24))
    svg = memory_svg(replace(WHOLE, rows=(ladder()[0], *files), pairs=()))
    sizes = ElementTree.fromstring(svg).attrib["viewBox"].split()
    heights = sorted(float(place) for place in re.findall(r'y="([-0-9.]+)"[^>]*>file \d+<', svg))
    assert len(heights) == 24
    assert all(20 < height < float(sizes[3]) for height in heights)
    assert min(lower - upper for upper, lower in pairwise(heights)) > 11


def test_names_are_moved_apart_and_no_further() -> None:
    assert apart([0, 50, 100], 10) == [0, 50, 100]
    assert apart([50, 50], 10) == [45, 55]
    moved = apart([10, 12, 11, 60], 10)
    assert moved[3] == 60 and sorted(moved[:3]) == pytest.approx([1, 11, 21])
    assert moved[0] < moved[2] < moved[1]


def test_a_text_without_two_depths_has_no_picture_of_them() -> None:
    flat = tuple(
        replace(row, ppl=replace(quality(0.01), depths=quality(0.01).depths[:1]), chat=None) for row in ladder()
    )
    report = replace(WHOLE, rows=flat, pairs=pairs(list(flat)))
    assert set(pictures(report).files) == {"pareto.svg", "pareto.png"}


@pytest.mark.process
def test_matplotlib_is_imported_when_a_picture_is_drawn() -> None:
    code = (
        "import sys, ggufrun.compare.report.written, ggufrun.compare.report.table; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
