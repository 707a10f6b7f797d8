"""A whole comparison of the real demo model with itself behind a smaller KV cache: figures that make sense"""

from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.compare.report.written import write_report
from ggufrun.compare.texts.mixture import mixture
from tests.compare.run.comparing import SMALL, row_of, run, small_plan

pytestmark = [pytest.mark.model, pytest.mark.process]


def test_the_demo_model_and_its_kv_caches(demo_path: Path, tmp_path: Path) -> None:
    plan = small_plan([demo_path], tmp_path, kv_types=("f16", "q4_0"), text=mixture())
    mode = replace(SMALL, chunks=1, prompts=1, tokens=16)
    report = run(replace(plan, mode=mode))
    reference, again, noise, cache = report.rows
    assert not report.unfinished and not any(row.error for row in report.rows)
    assert reference.ppl and again.ppl and noise.ppl and cache.ppl and cache.chat and cache.speed and cache.memory
    assert 3 < reference.ppl.ppl.value < 60
    assert again.ppl.kld_max == 0.0
    assert report.noise is not None and 0 < report.noise < 0.01
    assert report.noise < cache.ppl.kld_mean.value < 1
    assert 0.5 < cache.ppl.top1_agreement.value < 1
    assert 0 < cache.speed.tg.value < cache.speed.pp.value
    (answer,) = row_of(report, reference.name).greedy
    assert len(answer.reference.split()) > 5
    assert str(answer.reference.split()[0]) in write_report(report, tmp_path / "out").html.read_text()
