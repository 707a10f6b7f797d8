"""Which requests have come through a proxy, by what proxies add to them. One that adds nothing is not seen."""

from collections.abc import Iterable
from typing import Final

_NAMES: Final = frozenset(("forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip"))
_PREFIX: Final = "x-forwarded-"


def forwarded(names: Iterable[str]) -> bool:
    """By the names of its headers. Then who asks may be anybody, though it comes from this machine."""
    return any(name in _NAMES or name.startswith(_PREFIX) for name in map(str.lower, names))
