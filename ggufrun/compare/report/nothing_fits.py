"""What to do where no row can be recommended: what was asked for in vain, and what could be changed"""

import math
from collections.abc import Sequence

from ggufrun.compare.report.wanted import Wanted
from ggufrun.compare.report.words import printable, tokens
from ggufrun.compare.results import Row
from ggufrun.figures import gib, speed


def nothing_fits(rows: Sequence[Row], measured: Sequence[Row], wanted: Wanted) -> str:
    """`measured` are those of `rows` whose quality is known; none of them serves."""
    if not measured:
        if rows and all(row.error for row in rows):
            return "Nothing could be measured: each row says why."
        return "No row was measured to its end, so none can be recommended: the same command goes on from here."
    fitting = [row for row in measured if wanted.fits(row)]
    return _too_slow(fitting, measured, wanted) if fitting else _no_room(measured, wanted)


def _no_room(measured: Sequence[Row], wanted: Wanted) -> str:
    told = f"Nothing here has room for {wanted.of_context}" if wanted.context else "Nothing here fits"
    room = {row.name: row.memory.fits_context or 0 for row in measured if row.memory}
    most = max(measured, key=lambda row: (room.get(row.name, 0), -row.bytes))
    smaller = "a smaller quant, a smaller KV cache (--kv-types q8_0) or a smaller model"
    if wanted.context and room.get(most.name):
        closest = f"{printable(most.name)} comes closest, with room for {tokens(room[most.name])}"
        return f"{told} on {wanted.machine}: {closest}; take --context {room[most.name]}, {smaller}."
    lack = -(most.memory.left or 0) if most.memory else 0
    closest = f"the smallest, {printable(most.name)}, lacks {gib(lack)}" if lack > 0 else "each lacks memory"
    return f"{told} on {wanted.machine}: {closest}; take {smaller}."


def _too_slow(fitting: Sequence[Row], measured: Sequence[Row], wanted: Wanted) -> str:
    asked = speed(wanted.min_tok_s or 0)
    timed = [(row.speed.tg.value, row.name) for row in fitting if row.speed]
    if not timed:
        return f"No speed was measured, so that {asked} tokens/s cannot be promised: run it without --min-tok-s."
    fastest, name = max(timed)
    told = f"Nothing that fits writes {asked} tokens/s: {printable(name)} is the fastest, with {speed(fastest)}"
    faster = next((row for row in measured if wanted.is_fast(row)), None)
    if faster:
        told += f", and {printable(faster.name)} {wanted.refusal(faster)}"
    lower = math.floor(fastest) if fastest >= 10 else math.floor(fastest * 10) / 10
    return f"{told}; take --min-tok-s {lower:g}, a smaller quant or a smaller model."
