"""The models of the server as a race handles them. A key that may only chat cannot see what is loaded: all is None."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from ggufrun.ui.beside.room import Room
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.served_here import serve

Json = dict[str, Any]
MODELS: Final = "/ggufrun/v1/models"
_PROGRESS_S: Final = 0.4
_LOOK_S: Final = 0.1
_LONGEST_LOAD_S: Final = 3600.0


class Served:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def models(self) -> list[Json] | None:
        try:
            found: list[Json] = (await self._api.get(MODELS))["data"]
        except ApiError as error:
            if error.status in (401, 403):
                return None
            raise
        return found

    async def room(self, models: list[Json]) -> Room:
        return Room.of(await self._api.get("/ggufrun/v1/library/machine"), models)

    async def model(self, name: str) -> Json | None:
        return next((each for each in await self.models() or () if each["name"] == name), None)

    async def add(self, spec: str) -> str:
        """Serve what lies on this machine; the name that it got."""
        return await serve(self._api, spec)

    async def load(self, name: str, progress: Callable[[float], None]) -> None:
        """Returns when it is loaded. Cancelled, it loads no further where nobody else wants it."""
        watching = asyncio.create_task(self._watch(name, progress))
        try:
            await self._api.post(f"{MODELS}/{quote(name)}/load", timeout_s=_LONGEST_LOAD_S)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)  # how far it is, is worth no error

    async def idle(self, name: str, within_s: float) -> bool:
        """Whether nobody uses the model, now or within so many seconds."""
        end = time.monotonic() + within_s
        while (model := await self.model(name)) is not None and model.get("active", 0):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def unload(self, name: str) -> None:
        await self._api.post(f"{MODELS}/{quote(name)}/unload", timeout_s=_LONGEST_LOAD_S)

    async def _watch(self, name: str, progress: Callable[[float], None]) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_S)
            model = await self._api.get(f"{MODELS}/{quote(name)}")
            progress(float(model.get("progress", 0.0)))
