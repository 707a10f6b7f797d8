"""Comparisons of little models from end to end: what comes of them, and that nothing is measured twice"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ggufrun.compare.results import Report, Role
from ggufrun.compare.run.plan import Plan
from ggufrun.errors import EngineError, InputError
from tests.compare.run.comparing import Told, row_of, run, small_plan

pytestmark = pytest.mark.process


Finished = tuple[Path, Report, Told]


def two_with_caches(ladder: dict[str, Path], folder: Path) -> Plan:
    return small_plan([ladder["F16"], ladder["Q4_0"]], folder, kv_types=("f16", "q8_0"))


@pytest.fixture(scope="module")
def finished(ladder: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Where it ran, what came of it, and what it told."""
    folder, told = tmp_path_factory.mktemp("compare"), Told()
    return folder, run(two_with_caches(ladder, folder), told), told


def test_every_file_and_kv_cache_is_a_row_and_the_best_file_the_reference(
    finished: Finished,
) -> None:
    _, report, _ = finished
    assert [(row.name, row.role) for row in report.rows] == [
        ("F16", Role.REFERENCE),
        ("F16 (again)", Role.SELF),
        ("F16 (noise)", Role.NOISE),
        ("F16 kv q8_0", Role.QUANT),
        ("Q4_0", Role.QUANT),
        ("Q4_0 kv q8_0", Role.QUANT),
    ]
    assert report.reference == "F16"
    assert not report.unfinished


def test_the_reference_does_not_differ_from_itself_and_the_quants_do(finished: Finished) -> None:
    _, report, _ = finished
    for mode in ("ppl", "chat"):
        again, cache, quant = (getattr(row_of(report, name), mode) for name in ("F16 (again)", "F16 kv q8_0", "Q4_0"))
        assert again.kld_max == 0.0
        assert again.top1_agreement.value == 1.0
        assert again.ln_ppl_ratio.value == 0.0
        assert 0 < cache.kld_mean.value < quant.kld_mean.value


def test_a_quantized_cache_takes_less_memory(finished: Finished) -> None:
    _, report, _ = finished
    plain, quantized = row_of(report, "F16"), row_of(report, "F16 kv q8_0")
    assert plain.memory and quantized.memory and plain.memory.planned and quantized.memory.planned
    assert quantized.memory.planned < plain.memory.planned


def test_every_quant_has_speeds_memory_and_answers(finished: Finished) -> None:
    _, report, _ = finished
    for row in report.rows:
        if row.role in (Role.REFERENCE, Role.QUANT):
            assert row.speed is not None and row.speed.pp.value > 0 and row.speed.tg.value > 0
            assert row.speed.ttft_s is not None and row.speed.ttft_s.value > 0
            assert row.memory is not None and row.memory.peak > row.bytes
            assert row.memory.fits_context is not None and row.memory.left is not None
            assert len(row.greedy) == 2
    assert all(each.divergence is None for each in row_of(report, "F16").greedy)
    assert row_of(report, "Q4_0").bytes < row_of(report, "F16").bytes


def test_progress_goes_up_to_the_end_and_says_how_long(finished: Finished) -> None:
    _, _, told = finished
    done = [each.done for each in told.heard]
    assert done == sorted(done) and done[0] == 0.0 and done[-1] == 1.0
    after_a_quant = [each.left_s for each in told.heard if each.row.startswith("Q4_0")]
    assert all(left is not None for left in after_a_quant)


def test_the_same_again_loads_nothing_and_says_the_same(finished: Finished, ladder: dict[str, Path]) -> None:
    folder, before, first = finished
    told = Told()
    again = run(two_with_caches(ladder, folder), told)
    assert len(first.loads) == 5  # of the reference two: the self-test is of another load
    assert told.loads == []
    here: dict[str, Any] = {
        "created": 0.0,
        "rows": (),
        "recommendation": None,
    }  # its sentence says how much memory is free now
    assert replace(again, **here) == replace(before, **here)
    for row, other in zip(again.rows, before.rows, strict=True):
        assert (row.ppl, row.chat, row.greedy, row.speed) == (other.ppl, other.chat, other.greedy, other.speed)


def test_a_damaged_part_is_measured_anew_and_only_that(finished: Finished, ladder: dict[str, Path]) -> None:
    folder, before, _ = finished
    part = max((folder / "cache").glob("chat-*.npz"), key=lambda path: path.stat().st_mtime)
    part.write_bytes(part.read_bytes()[:100])
    told = Told()
    again = run(two_with_caches(ladder, folder), told)
    assert len(told.loads) == 1
    assert [row.chat for row in again.rows] == [row.chat for row in before.rows]


def test_stopped_it_reports_what_is_finished_and_goes_on_from_there(ladder: dict[str, Path], tmp_path: Path) -> None:
    told = Told(stop_at=("Q4_0", "timing"))
    paths = [ladder["F16"], ladder["Q4_0"]]
    report = run(small_plan(paths, tmp_path), told)
    assert report.unfinished
    assert row_of(report, "F16 (again)").ppl is not None
    quant = row_of(report, "Q4_0")
    assert quant.ppl is not None and quant.speed is None and quant.error is None
    assert quant.memory is not None and quant.memory.peak > quant.bytes  # it is kept before the speeds are there
    rest = Told()
    assert not run(small_plan(paths, tmp_path), rest).unfinished
    assert rest.loads == ["Q4_0"]
    began = next(each for each in rest.heard if each.doing == "loading")
    assert began.done == 0.0 and began.left_s is not None  # of what was left; the others' seconds are known


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of a file's size")
def test_where_the_disk_has_no_room_for_the_reference_that_is_the_reason(
    ladder: dict[str, Path], tmp_path: Path
) -> None:
    import resource

    plan = small_plan([ladder["F16"], ladder["Q4_0"]], tmp_path, reference="F16")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))  # bytes: less than the scores take
    try:
        with pytest.raises(EngineError, match=r"Scoring the text failed: .*File too large"):
            run(plan)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(plan.cache.glob("text*.npz"))


def test_a_file_that_does_not_load_is_a_row_that_says_why(ladder: dict[str, Path], tmp_path: Path) -> None:
    foreign, unloadable = tmp_path / "foreign.gguf", tmp_path / "unloadable.gguf"
    foreign.write_bytes(b"no model at all")
    unloadable.write_bytes(ladder["Q8_0"].read_bytes().replace(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight"))
    plan = small_plan([ladder["F16"], foreign, unloadable, ladder["Q4_0"]], tmp_path)
    report = run(plan, Told(stop_at=("Q4_0", "timing")))
    assert "not a GGUF file" in str(row_of(report, "foreign").error)
    assert "blk.1.attn_q.weight" in str(row_of(report, "Q8_0").error)
    assert row_of(report, "Q4_0").ppl is not None


def test_where_the_best_file_does_not_load_the_next_is_the_reference(ladder: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(ladder["F16"].read_bytes().replace(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight"))
    paths = [broken, ladder["Q8_0"], ladder["Q4_0"]]
    report = run(small_plan(paths, tmp_path), Told(stop_at=("Q8_0", "timing")))
    assert report.reference == "Q8_0"
    assert row_of(report, "F16").error
    with pytest.raises(InputError, match=r"blk\.1\.attn_q\.weight"):
        run(small_plan(paths, tmp_path, reference="F16"))
