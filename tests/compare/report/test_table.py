"""The table in terminals of several widths."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from ggufrun.compare.report.table import terminal_table
from ggufrun.compare.results import Report
from tests.compare.report.reports import full, hostile, quality, unfinished


def printed(report: Report, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=False).print(terminal_table(report, width))
    return file.getvalue()


def head(text: str) -> str:
    return text.splitlines()[2]


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("report", [full(), hostile(), unfinished()], ids=["full", "hostile", "unfinished"])
def test_no_line_is_too_long_and_no_figure_is_cut(report: Report, width: int) -> None:
    text = printed(report, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines[3 : 3 + len(report.rows)]) == len(report.rows)
    for line in lines[2 : 3 + len(report.rows)]:
        assert "…" not in line[max(16, width // 3) :]  # a name may be cut, a figure never


def test_the_most_important_columns_stay() -> None:
    narrow, wide, widest = (head(printed(full(), width)).split("  ") for width in (80, 120, 200))
    titles = [{title.strip() for title in each if title.strip()} for each in (narrow, wide, widest)]
    assert titles[0] >= {"size", "KL div.", "tok/s", "95 % interval"}
    assert titles[1] >= {
        "size",
        "KL div.",
        "tok/s",
        "95 % interval",
        "tied with",
        "by convention",
        "same top",
        "memory",
    }
    assert titles[2] > titles[1] and titles[2] >= {"PPL", "chat KL", "agrees for"}


def test_without_a_quant_measured_there_are_no_verdicts() -> None:
    assert "by convention" in head(printed(full(), 200)) and "by convention" not in head(printed(unfinished(), 200))


def test_long_names_are_told_apart_by_their_ends() -> None:
    report = full()
    ends = ("Q4_K_M", "Q4_K_M-imat")
    long = tuple(replace(report.rows[1], name=f"Mistral-Small-3.2-24B-Instruct-2506-{end}") for end in ends)
    lines = printed(replace(report, rows=(report.rows[0], *long), pairs=()), 80).splitlines()[4:6]
    assert [line.split()[0] for line in lines] == ["Mistral-…truct-2506-Q4_K_M", "Mistral-…-2506-Q4_K_M-imat"]


def test_wide_letters_have_their_room() -> None:
    report = full()
    named = replace(report.rows[1], name="模型量化模型")
    assert "模型量化模型" in printed(replace(report, rows=(report.rows[0], named), pairs=()), 80)


def test_figures_stand_in_their_rows() -> None:
    line = next(line for line in printed(full(), 120).splitlines() if line.startswith("UD-Q4_K_XL"))
    for figure in ("14.6 GB", "0.0279", "0.0262–0.0296", "≈ Q4_K_M", "good", "92.3 %"):
        assert figure in line


def test_a_tie_is_marked_where_its_names_have_no_room() -> None:
    lines = printed(full(), 80).splitlines()
    marked = [line.split()[0] for line in lines[3:13] if "≈" in line]
    assert marked == ["Q4_K_M", "UD-Q4_K_XL"]


def test_what_is_below_the_noise_is_tied_with_the_reference() -> None:
    report = replace(full(), noise=0.005)
    line = next(line for line in printed(report, 200).splitlines() if line.startswith("Q6_K"))
    assert "≈ Q8_0" in line
    assert "≈ Q8_0" not in printed(full(), 200)


def test_it_says_what_failed_what_is_missing_and_what_to_use() -> None:
    text = " ".join(printed(full(), 80).split())
    assert "failed" in text and "IQ1_S: Mistral-Small-IQ1_S.gguf: the file is cut short" in text
    assert "Noise: 0.000084 nats" in text
    assert "exactly 0" in text
    assert "the intervals alone say what is tied" in " ".join(printed(replace(full(), noise=0.0), 80).split())
    assert "Q6_K: smallest that is near lossless" in text
    assert "Stopped before its end" in printed(unfinished(), 80)
    assert "Stopped before its end" not in text


def test_a_failed_self_test_is_told() -> None:
    whole = full()
    again = replace(whole.rows[8], ppl=quality(0.001))
    broken = replace(whole, rows=(*whole.rows[:8], again, whole.rows[9]))
    assert "The self-test failed in ppl mode" in printed(broken, 200)
    assert "exactly 0" not in printed(broken, 200)


@pytest.mark.parametrize("width", [80, 200])
def test_tasks_have_a_table_of_their_own_and_say_where_items_are_too_few(width: int) -> None:
    """Whoever asked for them sees them in a narrow terminal, too; beside the other columns they had no room."""
    text = printed(full(), width)
    assert "tools-free (400)" in text and "choices (40, too few)" in text
    assert re.search(r"^Q6_K +77% \(\d+–\d+\) \+4 −7 +55% \(\d+–\d+\) ", text, re.MULTILINE)
    assert re.search(r"^Q8_0 +78% \(\d+–\d+\) +55%", text, re.MULTILINE)  # the reference flips nothing


def test_nothing_in_a_name_is_obeyed() -> None:
    assert "\x1b" not in printed(hostile(), 120)
    assert "[31m" in printed(hostile(), 120)


def test_no_rows_at_all() -> None:
    assert "Mistral" in printed(replace(full(), rows=(), pairs=(), recommendation=None), 80)
