"""Shadow answers as the routes see them: what is kept, how sure a share is, and what the shadows of this server do"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ggufrun.records.shadow_report import Interval
from ggufrun.records.shadows import ShadowStore
from ggufrun.routing.shadow import ShadowState


@dataclass(frozen=True, slots=True)
class ShadowDesk:
    store: ShadowStore
    interval: Interval
    running: Callable[[], Sequence[ShadowState]]
