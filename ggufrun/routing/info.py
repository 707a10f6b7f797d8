"""What callers may know of a route, from what is known of its engines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ggufrun.chat.types import Capabilities, ModelInfo, Price
from ggufrun.routing.settings import RouteSettings


def info_of(settings: RouteSettings, engines: Mapping[str, ModelInfo]) -> ModelInfo:
    """`engines`: what is known of each, by the names that `settings` has.

    What the first engine is, the route is. With fallback it can do what any of its engines can, since the next one is
    asked where one lacks something. A route has no file, and takes no memory.
    """
    infos = [engines[name] for name in settings.engines]
    reached = infos if settings.fallback else infos[:1]
    return replace(
        infos[0],
        name=settings.name,
        aliases=(),
        context=max(info.context for info in reached),
        description=f"a route over {', '.join(settings.engines)}",
        capabilities=_together([info.capabilities for info in reached]),
        file="",
        quant="",
        price=_price(infos),
        charges=None,
        memory_bytes=0,
        dimensions=next((info.dimensions for info in reached if info.dimensions), 0),
        note="",
        engines=settings.engines,
    )


def _together(each: Sequence[Capabilities]) -> Capabilities:
    def some(can: Callable[[Capabilities], bool]) -> bool:
        return any(map(can, each))

    return Capabilities(
        chat=some(lambda one: one.chat),
        tools=some(lambda one: one.tools),
        reasoning=some(lambda one: one.reasoning),
        fim=some(lambda one: one.fim),
        vision=some(lambda one: one.vision),
        embeddings=some(lambda one: one.embeddings),
    )


def _price(infos: Sequence[ModelInfo]) -> Price | None:
    """What its answers would have cost elsewhere: the last engine's price: alone, it would answer all.

    One that charges has its own.
    """
    prices = (info.charges or info.price for info in reversed(infos))
    return next((price for price in prices if price is not None), None)
