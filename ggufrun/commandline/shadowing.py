"""The shadows of a server's routes: what they lease, where their answers are kept, and their lines in the ledger"""

import uuid
from collections.abc import Sequence
from functools import partial
from typing import Final

from ggufrun.records.ledger import Entry, Ledger
from ggufrun.records.shadows import ShadowStore
from ggufrun.routing.engines import Engines
from ggufrun.routing.settings import RouteSettings
from ggufrun.routing.shadow import Shadow, ShadowState, Spent, Surroundings
from ggufrun.routing.watcher import Watcher

ENDPOINT: Final = "shadow"  # in the ledger, where API calls have their route
_KEY: Final = "(shadow)"  # no key that somebody makes can be called so


def interval(part: int, whole: int) -> tuple[float, float, float]:
    """The share, and Wilson's 95 % interval."""
    from ggufrun.compare.statistics.proportions import wilson  # numpy takes its time, and few ask for this

    figure = wilson(part, whole)
    return figure.value, figure.lo or 0.0, 1.0 if figure.hi is None else figure.hi


class Shadows:
    """All of one server. They end before the models do."""

    def __init__(self, store: ShadowStore, ledger: Ledger) -> None:
        self._store, self._ledger = store, ledger
        self._shadows: dict[str, Shadow] = {}  # by route

    def watcher(self, route: RouteSettings, engines: Engines) -> Watcher | None:
        """Who looks at the route's answers: the same one each time."""
        if route.shadow is None:
            return None
        if route.name not in self._shadows:
            around = Surroundings(engines, self._store.add, partial(_recorded, self._ledger))
            self._shadows[route.name] = Shadow(route.name, route.shadow, around)
        return self._shadows[route.name]

    def running(self) -> Sequence[ShadowState]:
        return [shadow.state for shadow in self._shadows.values()]

    async def aclose(self) -> None:
        for shadow in self._shadows.values():
            await shadow.close()


def _recorded(ledger: Ledger, spent: Spent) -> None:
    """Without a shadow there would have been no call: it saves nothing that a hosted model would have cost."""
    meter = spent.meter
    answering_s = spent.total_s - (meter.ttft_s or 0.0)
    speed = (meter.completion_tokens - 1) / answering_s if meter.completion_tokens > 1 and answering_s > 0 else 0.0
    ledger.record(
        Entry(
            time=spent.began,
            request_id=f"shadow-{uuid.uuid4().hex}",
            key=_KEY,
            endpoint=ENDPOINT,
            model=spent.info.name,
            file=spent.info.file,
            quant=spent.info.quant,
            prompt_tokens=meter.prompt_tokens,
            cached_tokens=meter.cached_tokens,
            completion_tokens=meter.completion_tokens,
            ttft_s=meter.ttft_s,
            total_s=spent.total_s,
            tokens_per_s=speed,
            finish_reason=spent.reason,
            status=spent.status,
            usd=None,
            engine=meter.engine,
            spent_usd=meter.spent_usd,
            thrown_tokens=meter.thrown_tokens,
        )
    )
