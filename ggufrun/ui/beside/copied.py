"""A race as Markdown: the prompt, the figures in a table, and the answers."""

from ggufrun.ui.beside.contender import Contender, Standing
from ggufrun.ui.beside.shown import measured


def as_markdown(prompt: str, standing: Standing) -> str:
    contenders = standing.contenders
    units = list(dict.fromkeys(unit for each in contenders for _, unit, _ in measured(each)))
    rows = [_row([each.model, *_values(each, units)]) for each in contenders]
    table = "\n".join([_row(["model", *units]), _row(["---"] * (len(units) + 1)), *rows])
    answers = [f"## {each.model}\n\n{_answer(each)}" for each in contenders]
    return "\n\n".join(["# Side by side", _quoted(prompt), table, standing.way, *answers]) + "\n"


def _values(contender: Contender, units: list[str]) -> list[str]:
    values = {unit: value for value, unit, _ in measured(contender)}
    return [values.get(unit, "") for unit in units]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _answer(contender: Contender) -> str:
    text = contender.text.strip()
    if contender.stage == "failed":
        return f"{text}\n\n(failed: {contender.error})".strip()
    return f"{text}\n\n(stopped)".strip() if contender.stage == "stopped" else text
