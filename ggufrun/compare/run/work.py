"""How much there is to do, kind by kind: what progress is counted in. Seconds are learned, not known here"""

from ggufrun.compare.results import Role
from ggufrun.compare.run.jobs import PP, TG
from ggufrun.compare.run.plan import Plan
from ggufrun.compare.run.prepared import Prepared
from ggufrun.compare.run.progress import Item
from ggufrun.compare.run.task_items import TaskItems
from ggufrun.compare.tasks import needle

_PROMPT_SHARE = 0.1  # of what a written token takes, a token of a prompt takes


def units(plan: Plan, prepared: Prepared) -> dict[Item, float]:
    """Bytes of a load; else tokens times parameters."""
    mode, found = plan.mode, dict[Item, float]()
    prompts, answers = sum(map(len, prepared.tokens)), len(prepared.tokens) * mode.tokens
    for row in plan.rows:
        if row.contender.error is not None:
            continue
        parameters = float(row.contender.parameters)
        if row.role in (Role.REFERENCE, Role.QUANT):  # the others are measured with the reference
            found[row.name, "load"] = float(row.contender.size)
        found[row.name, "text"] = prepared.text.total * parameters
        if answers:
            found[row.name, "chat"] = (prompts + answers) * parameters
        if row.role in (Role.REFERENCE, Role.QUANT):
            if answers:
                found[row.name, "write"] = (answers + prompts * _PROMPT_SHARE) * parameters
                found[row.name, "first token"] = parameters
            _add_tasks(found, row.name, prepared.items, parameters)
            found[row.name, "speed"] = len(mode.depths) * mode.repetitions * (TG + PP * _PROMPT_SHARE) * parameters
    return found


def _add_tasks(found: dict[Item, float], row: str, items: TaskItems, parameters: float) -> None:
    if questions := items.choices.questions:
        tokens = sum(len(each.context) + sum(map(len, each.choices)) for each in questions)
        found[row, "choices"] = tokens * parameters
    if items.needles:
        found[row, "needle"] = sum(len(each.prompt) + needle.ANSWER for each in items.needles) * parameters
    if items.tools:
        found[row, "tools"] = len(items.tools) * parameters
