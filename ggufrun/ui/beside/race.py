"""Runs contenders: at once where they fit in memory together, else one after the other. Knows no Gradio."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ggufrun.ui.beside.contender import Contender, Standing
from ggufrun.ui.beside.question import Question
from ggufrun.ui.beside.reading import Reading
from ggufrun.ui.beside.room import to_load
from ggufrun.ui.beside.served import Served
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError

UPDATE_S: Final = 0.15  # between two standings, all columns together
_SETTLED_S: Final = 1.0  # within it, the server takes an answer that has ended for ended
_SHARED: Final = "They share this machine, so each is slower than it would be alone."


@dataclass(slots=True)
class _Lane:
    """One contender on its way."""

    contender: Contender
    reading: Reading = field(default_factory=Reading)
    postponed: bool = False  # had no place beside the others

    @property
    def name(self) -> str:
        return self.contender.model

    def now(self, **changes: Any) -> None:
        self.contender = replace(self.contender, **changes)

    def seen(self) -> Contender:
        """As it is at this moment."""
        self.contender = self.reading.onto(self.contender)
        return self.contender


class Race:
    """Of one prompt, once. It unloads only what it has loaded itself, and what nobody else has begun to use since."""

    def __init__(self, api: Api, question: Question, models: Sequence[str], *, apart: bool = False) -> None:
        """`apart`: one after the other in any case. A model may run in two lanes."""
        self._api, self._question, self._wants_apart = api, question, apart
        self._served = Served(api)
        self._lanes = [_Lane(Contender(name)) for name in models]
        self._way = "Looking at the memory…"
        self._ours: list[str] = []  # models that this race has loaded, oldest first
        self._tight = False  # what the memory was thought to hold, it did not
        self._changed = False
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End all answers; what has come of them stays."""
        self._stop.set()

    async def standings(self) -> AsyncGenerator[Standing, None]:
        """The last one is over. Closing this ends all answers, too."""
        running, stop = asyncio.create_task(self._run()), asyncio.create_task(self._stop.wait())
        try:
            yield self._standing()
            while not (running.done() or stop.done()):
                await asyncio.wait({running, stop}, timeout=UPDATE_S, return_when=asyncio.FIRST_COMPLETED)
                if self._changed and not running.done():
                    self._changed = False
                    yield self._standing()
            if running.done():
                running.result()
        finally:
            running.cancel()
            stop.cancel()
            await asyncio.gather(running, stop, return_exceptions=True)
        for lane in self._lanes:
            if not lane.seen().over:
                lane.now(stage="stopped")
        yield self._standing(over=True)

    def _standing(self, *, over: bool = False) -> Standing:
        return Standing(self._way, tuple(lane.seen() for lane in self._lanes), over)

    async def _run(self) -> None:
        try:
            if await self._at_once():
                await self._together()
            else:
                await self._apart()
        except ApiError as error:  # of the server, not of one contender
            for lane in self._open():
                self._fail(lane, error)

    async def _at_once(self) -> bool:
        """Whether all fit in memory together; says so."""
        if self._wants_apart:
            self._says("One after the other, as you wished: each has the machine to itself.")
            return False
        models = await self._served.models()
        if models is None:
            self._says(f"At once. This key may not see the memory: the server decides who waits. {_SHARED}")
            return True
        needed = to_load([lane.name for lane in self._lanes], models)
        if not needed:
            self._says(f"At once: all are loaded. {_SHARED}")
            return True
        room = await self._served.room(models)
        if room.holds(needed):
            self._says(f"At once: {room.compared(needed)}. {_SHARED}")
        else:
            self._says(f"One after the other: together {room.compared(needed)}.")
        return room.holds(needed)

    async def _together(self) -> None:
        """All are loaded before one is asked, so that none computes while another is still read from the disk."""
        for lane in self._lanes:
            if not await self._loaded(lane, alone=False):
                self._tight = True
                self._says(f"One after the other: {lane.name} could not be loaded beside the others.")
                return await self._apart()
        if gone := await self._gone():
            self._says(f"One after the other: the server has unloaded {gone} to make room for the others.")
            return await self._apart()
        async with asyncio.TaskGroup() as asked:  # whatever goes wrong in one, none goes on without being watched
            for lane in self._open():
                asked.create_task(self._asked(lane, alone=False))
        if any(lane.postponed for lane in self._lanes):
            self._says("Not all had a place at once: the rest follows one after the other.")
            await self._apart()

    async def _apart(self) -> None:
        """Those that are loaded first: it saves a load."""
        models = await self._served.models() or []
        ready = {each["name"] for each in models if each.get("state") == "ready"}
        for lane in sorted(self._open(), key=lambda lane: lane.name not in ready):
            await self._make_room(lane.name)
            await self._loaded(lane, alone=True)
            if not lane.contender.over:
                await self._asked(lane, alone=True)

    async def _make_room(self, name: str) -> None:
        """Unload what this race has loaded, as far as the model needs it. Others' answers are not waited for."""
        for other in [each for each in self._ours if each != name]:
            models = await self._served.models()
            needed = to_load([name], models or ())
            if models is None or not needed or (not self._tight and (await self._served.room(models)).holds(needed)):
                return
            if await self._served.idle(other, _SETTLED_S):
                self._ours.remove(other)
                await self._served.unload(other)

    async def _loaded(self, lane: _Lane, *, alone: bool) -> bool:
        """False where it finds no place, and may find one later. Whatever else is wrong with it ends its lane."""
        model = await self._served.model(lane.name)
        if model is None or model.get("state") == "ready":  # where it cannot be seen, asking loads it
            return True
        nobodys = model.get("state") in ("unloaded", "failed")
        self._now(lane, stage="loading", progress=0.0)
        start = time.monotonic()
        try:
            await self._served.load(lane.name, lambda progress: self._now(lane, progress=progress))
        except ApiError as error:
            if error.status == 503 and not alone:
                self._now(lane, stage="waiting")
                return False
            self._fail(lane, error)
        else:
            if nobodys:
                self._ours.append(lane.name)
            self._now(lane, stage="waiting", load_s=time.monotonic() - start)
        return True

    async def _gone(self) -> str:
        """A model that was to stay beside the others and did not; "" where all are there."""
        models = await self._served.models() or []
        wanted = {lane.name for lane in self._open()}
        return next((each["name"] for each in models if each["name"] in wanted and each.get("state") != "ready"), "")

    async def _asked(self, lane: _Lane, *, alone: bool) -> None:
        body = self._question.body(lane.name)
        try:
            model = await self._served.model(lane.name)
            self._now(lane, stage="asked", memory=(model or {}).get("memory_bytes") or None)
            async with aclosing(self._api.events("/v1/chat/completions", body)) as chunks:
                async for chunk in chunks:
                    lane.reading.add(chunk)
                    self._changed = True
        except ApiError as error:
            if error.status == 503 and not alone:  # no place, or no time to wait for one
                lane.postponed = True
                self._now(lane, stage="waiting")
            else:
                self._fail(lane, error)
        else:
            lane.seen()
            self._now(lane, stage="done")

    def _open(self) -> list[_Lane]:
        return [lane for lane in self._lanes if not lane.contender.over]

    def _says(self, way: str) -> None:
        self._way, self._changed = way, True

    def _now(self, lane: _Lane, **changes: Any) -> None:
        lane.now(**changes)
        self._changed = True

    def _fail(self, lane: _Lane, error: ApiError) -> None:
        lane.seen()
        self._now(lane, stage="failed", error=str(error))
