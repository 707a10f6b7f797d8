"""What the server's library knows of a model, asked once and then kept for a while: efforts, fit. No widgets."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.settings.catalog import Json

LASTS_S: Final = 600.0
MOST: Final = 500


class Known:
    """For all users of the page: machine and models are the same for them. Nothing in it raises."""

    def __init__(self) -> None:
        self._cards: dict[str, tuple[float, list[Json]]] = {}  # by server
        self._fits: dict[tuple[str, str], tuple[float, str]] = {}  # by server and path

    async def card(self, api: Api, model: Mapping[str, Any]) -> Json | None:
        """Of a served model, `model` being it in /v1/models; None for one that nobody has written a card of."""
        until, cards = self._cards.get(api.server.url, (0.0, []))
        if time.monotonic() >= until:
            try:
                cards = (await api.get("/ggufrun/v1/library/cards"))["data"]
            except ApiError:
                return None  # not for this key; another one's may see them
            self._cards[api.server.url] = (time.monotonic() + LASTS_S, cards)
        names = {model.get("id"), *model.get("aliases", ())}
        return next((card for card in cards if names & {card["name"], *card["aliases"]}), None)

    async def fit(self, api: Api, file: str) -> str:
        """fits, offload or too large, of the model with this path; "": nobody can say."""
        if not file:
            return ""
        at = (api.server.url, file)
        until, found = self._fits.get(at, (0.0, ""))
        if time.monotonic() < until:
            return found
        try:
            found = await _fit(api, file)
        except ApiError as error:
            if error.status in (0, 401, 403, 429):  # another time, or for another key
                return ""
            found = ""
        if len(self._fits) >= MOST:
            self._fits.clear()
        self._fits[at] = (time.monotonic() + LASTS_S, found)
        return found


async def _fit(api: Api, file: str) -> str:
    """The library has names of its own, the file is the same. Raises ApiError."""
    here: Sequence[Json] = (await api.get("/ggufrun/v1/library/local"))["data"]
    name = next((each["name"] for each in here if file in each["files"]), None)
    if name is None:
        return ""
    return str((await api.get("/ggufrun/v1/library/fit", spec=name)).get("verdict") or "")
