"""Where a row's parts are kept: what changes them is in their names, and what does not is not"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.chat.types import Message
from ggufrun.compare.run import jobs
from ggufrun.compare.run.cache import Cache
from ggufrun.compare.run.chunks import Chunks
from ggufrun.compare.run.jobs import Jobs
from ggufrun.compare.run.plan import Aims, Plan
from ggufrun.compare.run.task_items import TaskItems
from ggufrun.compare.tasks.bfcl import Item
from ggufrun.compare.tasks.multiple_choice import Items
from tests.compare.run.comparing import small_plan

TEXT = Chunks((tuple(range(512)),), (256,), (0,), ("text",))
PROMPTS = [(1, 2, 3)]


@pytest.fixture
def plan(ladder: dict[str, Path], tmp_path: Path) -> Plan:
    return small_plan([ladder["F16"], ladder["Q4_0"]], tmp_path)


def names(plan: Plan, question: str = "Where?", prompts: Sequence[Sequence[int]] = PROMPTS) -> dict[str, list[str]]:
    """Of the last row, by kinds."""
    asked = Item("one", "simple", (Message(role="user", content=question),), (), "f", {})
    made = Jobs(plan, Cache(plan.cache), TEXT, prompts, TaskItems(Items(()), (), (asked,), ()))
    row = plan.rows[-1]
    found: dict[str, tuple[Path, ...]] = {
        job.kind: job.makes for job in (made.text(row), made.write(row), made.speed(row))
    }
    found |= {"first token": (made.first_token(row),), "tools": (made.tools(row, forced=True),)}
    return {kind: [path.name for path in paths] for kind, paths in found.items()}


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    return {kind for kind in before if not set(before[kind]) & set(after[kind])}


def test_the_context_that_is_planned_for_changes_what_is_timed(plan: Plan) -> None:
    longer = replace(plan, aims=Aims(context=4096))
    assert changed(names(plan), names(longer)) == {"speed", "first token"}
    assert not changed(names(plan), names(replace(plan, aims=Aims(min_tok_s=5))))


def test_another_machine_changes_everything(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    here = names(plan)
    monkeypatch.setattr(jobs, "computing", lambda: ["another processor", "96 cores"])
    assert changed(here, names(plan)) == set(here)


def test_other_questions_under_the_same_ids_are_asked_anew(plan: Plan) -> None:
    assert changed(names(plan), names(plan, "Where is it?")) == {"tools"}


def test_other_prompts_change_what_is_written_and_when_it_begins(plan: Plan) -> None:
    assert changed(names(plan), names(plan, prompts=[(1, 2, 4)])) == {"write", "first token"}


def test_the_noise_is_another_computation_than_the_self_test(plan: Plan) -> None:
    made = Jobs(plan, Cache(plan.cache), TEXT, PROMPTS, TaskItems(Items(()), (), (), ()))
    again, noise = (made.text(row) for row in plan.rows[1:3])
    assert again.out != noise.out
    assert noise.request["other_attention"] and "other_attention" not in again.request
