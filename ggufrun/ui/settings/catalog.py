"""What models can be chosen: those that are served, and those on this machine that are not yet. No widgets.

Only an admin key sees what becomes of them, and what else is here; with others there is the list of /v1/models.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ggufrun.figures import gb
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.served_here import not_served

Json = dict[str, Any]
_REFUSED = (400, 401, 403, 404)  # the key may not, or the server does not have it


@dataclass(frozen=True, slots=True)
class Catalog:
    cards: Sequence[Json]  # of /v1/models, those that chat
    states: Mapping[str, Json] | None  # of /ggufrun/v1/models, by name; None: not for this key
    local: Sequence[Json]  # of /ggufrun/v1/library/local, whole ones that are not served
    taken: frozenset[str] = frozenset()  # names and aliases of all that are served

    @property
    def served(self) -> list[str]:
        return [card["id"] for card in self.cards]

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What is shown, and what it stands for: a served name, or what `ggufrun serve` takes."""
        here = [(f"{each['name']} ({gb(each['bytes'])}, not served yet)", self._spec(each)) for each in self.local]
        return [*((name, name) for name in self.served), *here]

    def _spec(self, model: Json) -> str:
        """Its name, unless that is a served one's: then its file."""
        return str(model["files"][0] if model["name"] in self.taken else model["name"])

    def first(self, *wished: str | None) -> str | None:
        """The first of the wished that is served, else of all."""
        return next((name for name in (*wished, *self.served) if name in self.served), None)

    def signature(self) -> str:
        """Differs when what is served does. What is only here changes by the page itself."""
        return repr((self.served, {name: (each["state"], each["error"]) for name, each in (self.states or {}).items()}))


async def catalog_of(api: Api, *, local: bool = True) -> Catalog:
    """`local`: with what is on this machine, which is looked up on its disks. Raises ApiError."""
    cards, states, here = await asyncio.gather(
        api.get("/v1/models"),
        _unless_refused(api, "/ggufrun/v1/models"),
        _unless_refused(api, "/ggufrun/v1/library/local") if local else _nothing(),
    )
    chatting = [card for card in cards["data"] if card.get("capabilities", {}).get("completion_chat", True)]
    managed = {each["name"]: each for each in states} if states is not None else None
    taken = frozenset(name for card in cards["data"] for name in (card["id"], *card.get("aliases", ())))
    return Catalog(chatting, managed, not_served(here or (), states or ()), taken)


async def state_of(api: Api, name: str) -> Json | None:
    """What becomes of one model; None where the key may not see it, or it is served no more."""
    try:
        found: Json = await api.get(f"/ggufrun/v1/models/{quote(name)}")
    except ApiError as error:
        if error.status in _REFUSED:
            return None
        raise
    return found


async def card_of(api: Api, name: str) -> Json:
    """The model in /v1/models; nothing where it is served no more."""
    try:
        found: Json = await api.get(f"/v1/models/{quote(name)}")
    except ApiError as error:
        if error.status in _REFUSED:
            return {}
        raise
    return found


async def _unless_refused(api: Api, path: str) -> list[Json] | None:
    try:
        found: list[Json] = (await api.get(path))["data"]
    except ApiError as error:
        if error.status in _REFUSED:
            return None
        raise
    return found


async def _nothing() -> None:
    return None
