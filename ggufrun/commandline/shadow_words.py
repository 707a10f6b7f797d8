"""Real and shadow answers on a terminal: what they add up to, and two of them side by side with their differences"""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ggufrun.commandline.grid import print_grid
from ggufrun.commandline.table import printable
from ggufrun.figures import percent
from ggufrun.records.shadow_report import EngineSum, ShadowSum
from ggufrun.records.shadows import ShadowAnswer, ShadowPair

if TYPE_CHECKING:
    from rich.text import Text

_MARKS: Final = {"missing": ("bold red", "[-{}-]"), "added": ("bold green", "{{+{}+}}")}  # with colours, and without
_PROMPT: Final = 1000  # characters of a question that are shown


def print_sum(found: ShadowSum) -> None:
    """A table of the two engines, below what their answers have in common."""
    last = datetime.fromtimestamp(found.last, UTC)
    engines = f"{found.real.engine} beside its shadow {found.shadow.engine}"
    print(printable(f"{found.route}: {engines}, until {last:%F %R} UTC"))
    print("\n".join(f"  {line}" for line in agreement_lines(found)))
    if found.compared:
        real, shadow = found.real, found.shadow
        rows = [(name, written(real), written(shadow)) for name, written in _ROWS]
        print_grid(("", real.engine, shadow.engine), rows, right=(1, 2))
    print()


def agreement_lines(found: ShadowSum) -> list[str]:
    """In words: how often the two agree, how sure that is, and what does not count."""
    lines = []
    if found.share is not None and found.share_lo is not None and found.share_hi is not None:
        between = f"95 %: {percent(found.share_lo)} to {percent(found.share_hi)}"
        lines.append(f"{found.agreed} of {found.compared} answers agree: {percent(found.share)} ({between})")
        kinds = ((found.by_text, "by their text"), (found.by_json, "as JSON"), (found.by_tools, "in their tool calls"))
        lines += [f"  {', '.join(f'{count} {how}' for count, how in kinds if count)}"] if found.agreed else []
    if found.similarity is not None:
        lines.append(f"those that differ have a similarity of {found.similarity:.2f} (difflib's ratio, median)")
    if found.sampled:
        lines.append(f"{found.sampled} were sampled: above temperature 0 one engine would differ from itself, too")
    if found.failed:
        lines.append(f"{found.failed} more had no whole answer of the shadow")
    if found.real.spent_usd or found.shadow.spent_usd:
        saved, word = abs(found.saved_usd), "less" if found.saved_usd >= 0 else "more"
        lines.append(f"{found.shadow.engine} alone would have cost {saved:.4f} USD {word}")
    return lines


def print_pair(pair: ShadowPair) -> None:
    """Nothing in the answers is obeyed."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, markup=False)
    coloured = console.is_terminal and not console.no_color
    when = f"{datetime.fromtimestamp(pair.time, UTC):%F %R} UTC"
    console.rule(Text(printable(f"{pair.route} · {when} · number {pair.id} · similarity {pair.similarity:.2f}"), "dim"))
    console.print(Text(_said(pair.question[:_PROMPT]), "bold"))
    table = Table(expand=True)
    for answer in (pair.real, pair.shadow):
        table.add_column(Text(printable(f"{answer.engine}, {answer.total_s:.2f} s")), ratio=1, overflow="fold")
    table.add_row(*_marked(pair, coloured=coloured))
    console.print(table)


def whole(answer: ShadowAnswer) -> str:
    """Its text, and its tool calls below it."""
    return "\n".join(filter(None, (answer.text, *(f"{name}({arguments})" for name, arguments in answer.tool_calls))))


def _marked(pair: ShadowPair, *, coloured: bool) -> "tuple[Text, Text]":
    """What only one of them has is marked in it."""
    from rich.text import Text

    from ggufrun.ui.beside.diff import difference

    found = difference(whole(pair.real), whole(pair.shadow))
    real, shadow = Text(), Text()
    for kind, text in found.parts:
        if kind == "same":
            real.append(_said(text))
            shadow.append(_said(text))
            continue
        style, plain = _MARKS[kind]
        said = _said(text)
        (real if kind == "missing" else shadow).append(said if coloured else plain.format(said), style)
    if found.cut is not None:
        for side in (real, shadow):
            side.append(f"\n(the first {found.cut} words)", "dim")
    return real, shadow


def _said(text: str) -> str:
    """What a model wrote may hold escape codes."""
    return "\n".join(map(printable, text.expandtabs(4).split("\n")))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


_ROWS: Final[Sequence[tuple[str, Callable[[EngineSum], str]]]] = (
    ("TTFT (median)", lambda side: _seconds(side.ttft_s)),
    ("whole answer (median)", lambda side: _seconds(side.total_s)),
    ("prompt tokens", lambda side: f"{side.prompt_tokens:,}"),
    ("completion tokens", lambda side: f"{side.completion_tokens:,}"),
    ("charged, USD", lambda side: f"{side.spent_usd:.4f}"),
)
