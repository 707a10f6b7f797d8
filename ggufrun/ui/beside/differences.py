"""The answers of a race that is over, each compared with one of them. Beside the event loop: it takes a while."""

import asyncio
from collections.abc import Sequence

from markupsafe import Markup

from ggufrun.ui.beside.contender import Contender
from ggufrun.ui.beside.diff import difference
from ggufrun.ui.beside.shown import NOTHING, compared


async def differences(contenders: Sequence[Contender], reference: int) -> list[Markup]:
    """`reference`: a place among them; the first one's where it is none."""
    return await asyncio.to_thread(_marked, contenders, reference if 0 <= reference < len(contenders) else 0)


def _marked(contenders: Sequence[Contender], reference: int) -> list[Markup]:
    first = contenders[reference].text
    return [
        NOTHING
        if not (first.strip() and each.text.strip())
        else compared(None if at == reference else difference(first, each.text), each.text)
        for at, each in enumerate(contenders)
    ]
