"""How much the tasks are in each mode, and what is said of it before anything is loaded"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.compare.run.mode import MODES
from ggufrun.compare.run.plan import Aims, Plan
from ggufrun.compare.run.prepared import prepare
from ggufrun.compare.run.tasks_ahead import tasks_ahead
from ggufrun.compare.statistics.outcomes import LEAST_ITEMS
from tests.compare.run.comparing import small_plan

pytestmark = pytest.mark.process


@pytest.fixture
def plan(ladder: dict[str, Path], tmp_path: Path) -> Plan:
    return small_plan([ladder["F16"], ladder["Q8_0"], ladder["Q4_0"]], tmp_path)


def seconds(sentence: str | None) -> int:
    """Of the two units that a duration may have."""
    found = re.search(r"takes (?:(\d+) h )?(?:(\d+) min|(\d+) s) in all", sentence or "")
    assert found, sentence
    hours, minutes, rest = (int(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + rest


def large(plan: Plan, parameters: int) -> Plan:
    """As if the models were of that size."""
    contenders = tuple(replace(each, parameters=parameters) for each in plan.contenders)
    return replace(plan, contenders=contenders, reference=contenders[0])


def test_it_is_said_how_many_items_and_how_long(plan: Plan) -> None:
    assert tasks_ahead(plan) is None
    wanted = replace(large(plan, 135_000_000), tasks=("tools", "needle"), aims=Aims(context=512))
    said = tasks_ahead(replace(wanted, mode=MODES["quick"]))
    assert said is not None
    assert "tools (16 questions, asked twice), needle (36 texts of up to 512 tokens), for each of 3 rows" in said
    assert seconds(said) < seconds(tasks_ahead(replace(wanted, mode=MODES["default"])))
    twice = replace(large(wanted, 270_000_000), mode=MODES["quick"])
    assert seconds(tasks_ahead(twice)) == pytest.approx(2 * seconds(said), rel=0.5)  # in whole minutes
    assert tasks_ahead(replace(wanted, tasks=("needle",), aims=Aims(context=100))) is None


def test_only_quick_asks_too_few(plan: Plan) -> None:
    assert MODES["quick"].calls < LEAST_ITEMS and MODES["quick"].needles < LEAST_ITEMS
    for name in ("default", "full"):
        assert MODES[name].calls >= LEAST_ITEMS and MODES[name].needles >= LEAST_ITEMS


def test_the_mode_decides_on_the_needles_and_a_context_on_their_length(plan: Plan) -> None:
    mode = replace(plan.mode, needles=4, needle_tokens=640)
    plan = replace(plan, mode=mode, tasks=("needle",))
    found = prepare(plan).items.needles
    assert [each.group.split()[0] for each in found] == ["512", "512", "512", "640"]
    found = prepare(replace(plan, aims=Aims(context=512))).items.needles
    assert [each.group.split()[0] for each in found] == ["512"] * 4
