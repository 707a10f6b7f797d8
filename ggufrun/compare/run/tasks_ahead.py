"""What the tasks of a comparison will take, as far as that can be said before anything is loaded"""

from typing import Final

from ggufrun.compare.results import Role
from ggufrun.compare.run.plan import Plan
from ggufrun.compare.run.task_items import needle_context
from ggufrun.compare.tasks import needle
from ggufrun.compare.tasks.choices import ENOUGH
from ggufrun.figures import duration

# Seconds for each parameter of the model, on two cores of a Xeon with AMX: benchmarks/NOTES.md has what was measured.
_CALL: Final = 2.5e-8  # a question of the task tools, asked once
_QUESTION: Final = 1.2e-9  # of the task choices, with its four answers
_TOKEN: Final = 9e-12  # of a text with a needle in it


def tasks_ahead(plan: Plan) -> str | None:
    """A sentence; None where there are no tasks. The first model that is finished tells more."""
    said, seconds = list[str](), 0.0
    if "tools" in plan.tasks:
        said.append(f"tools ({plan.mode.calls} questions, asked twice)")
        seconds += 2 * plan.mode.calls * _CALL
    if "choices" in plan.tasks:
        said.append(f"choices ({ENOUGH} questions)")
        seconds += ENOUGH * _QUESTION
    if "needle" in plan.tasks and (lengths := needle.lengths(needle_context(plan))):
        said.append(f"needle ({plan.mode.needles} texts of up to {lengths[-1]:,} tokens)")
        seconds += plan.mode.needles * sum(lengths) / len(lengths) * _TOKEN
    if not said:
        return None
    rows = [row for row in plan.rows if row.role in (Role.REFERENCE, Role.QUANT) and row.contender.error is None]
    whole = seconds * sum(row.contender.parameters for row in rows)
    return (
        f"Tasks: {', '.join(said)}, for each of {len(rows)} rows. By a first guess that takes {duration(whole)} in all "
        "on two processor cores, less what is measured already; the time left is known better behind the first row."
    )
