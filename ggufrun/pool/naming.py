"""What the models of a pool are called: each name means one of them. Which file one has is told by its path."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from ggufrun.errors import OptionError, ServedAlready
from ggufrun.pool.offer import Offer

Maker = Callable[[str, str], Offer]  # of what a user calls a model, and of the name that it is to have; "": its own

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,99}")


def named(make: Maker, spec: str, name: str, others: Sequence[Offer]) -> Offer:
    """An offer whose names none of the others has; where its own is another file's, one made of name and quant.

    With a name of its own making (`name`) it answers to nothing else. Its path has all folders. Raises OptionError
    where that name is taken, ServedAlready for a file that is; and what `make` raises.
    """
    if name and not _NAME.fullmatch(name):
        raise OptionError(f"A model cannot be called {name!r}.", "Use letters, digits and . _ : @ + -.")
    offer = _whole(make(spec, name))
    for other in others:
        if offer.path and other.path == offer.path:
            raise ServedAlready(Path(offer.path).name, other.info.name)
    taken = _owners(others)
    if name and name.lower() in taken:
        raise OptionError(f"{taken[name.lower()]} answers to the name {name!r} already.", "Choose another name.")
    if offer.info.name.lower() in taken:
        offer = _whole(make(spec, next(free for free in _names(offer) if free.lower() not in taken)))
    for alias in offer.info.aliases:
        if alias.lower() in taken:
            both = f"{taken[alias.lower()]} and {offer.info.name}"
            raise OptionError(f"{both} answer to the name {alias!r}.", "Give this one a name of its own: NAME=MODEL.")
    return offer


def name_and_spec(model: str) -> tuple[str, str]:
    """`NAME=SPEC` in its parts; a file may have a = in its path."""
    name, equals, spec = model.partition("=")
    if not equals or not _NAME.fullmatch(name) or os.path.exists(model):
        return "", model
    return name, spec


def _whole(offer: Offer) -> Offer:
    """With the path as others name it, too, wherever they were started. Links are left as they are."""
    return replace(offer, path=os.path.abspath(offer.path)) if offer.path else offer


def _names(offer: Offer) -> Iterator[str]:
    """Names for what cannot have its own, the most telling ones first."""
    own, quant = offer.info.name, offer.info.quant
    if quant:
        yield f"{own}:{quant}"
    if stem := Path(offer.path).stem:
        yield stem
    yield from (f"{own}:{number}" for number in count(2))


def _owners(offers: Sequence[Offer]) -> dict[str, str]:
    """By each name in lower case, whose it is."""
    return {name.lower(): each.info.name for each in offers for name in (each.info.name, *each.info.aliases)}
