"""In which order a route's engines are asked, and why the first of them comes first."""

from dataclasses import dataclass
from random import Random

from ggufrun.chat.types import AnyRequest, ChatRequest
from ggufrun.routing.settings import RouteSettings


@dataclass(frozen=True, slots=True)
class Order:
    """`why`: of the first one, as kind and words. `judged`: whether its answers may escalate."""

    engines: tuple[str, ...]
    why: tuple[str, str]
    judged: bool


def order_of(route: RouteSettings, request: AnyRequest, random: Random) -> Order:
    """The others stand behind the first in the order of the file: they answer where it cannot."""
    escalate, engines = route.escalate, route.engines
    if escalate is not None and escalate.header and isinstance(request, ChatRequest) and request.escalate:
        return Order(engines[::-1], ("escalated", "the client asks for it"), judged=False)
    judged = escalate is not None and escalate.judges
    if not route.weights:
        return Order(engines, ("first", ""), judged)
    first = random.choices(list(route.weights), list(route.weights.values()))[0]
    return Order((first, *(each for each in engines if each != first)), ("drawn", "by weight"), judged)
