"""Several models on one machine: loaded when they are asked for, unloaded when their place is needed or nobody comes.

Opens nothing itself: each `Offer` brings its opener. All of it belongs to one event loop.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from ggufrun.chat.types import ChatModel, ModelInfo
from ggufrun.errors import EngineClosed, ModelLoading, OptionError, UnknownModel
from ggufrun.pool.budget import Budget
from ggufrun.pool.naming import Maker, named
from ggufrun.pool.offer import Offer, PoolSettings
from ggufrun.pool.served import ServedModel, State
from ggufrun.pool.stay import Stay, Superseded
from ggufrun.pool.turns import Turns

_POLL_S: Final = 1.0  # memory that other programs give back sends no word
_LOOK_S: Final = 0.1  # between looks of a model that waits until a place is spare


@dataclass(slots=True)
class _Slot:
    """One model, whether it is loaded or not."""

    offer: Offer
    info: ModelInfo  # the best that is known
    stay: Stay | None = None
    used_at: float | None = None
    error: str = ""  # of the last load


class ModelPool:
    """Implements `Models`.

    Models are loaded side by side; only who may begin is decided one at a time, in the order of arrival. A model that
    needs a place takes the least recently used idle one's. Where none is idle it waits, and after a while the least
    recently used one takes no new requests until it has made room. That has an end too: an answer that takes very long
    keeps its place, its model takes requests again, and who waits goes to the end of the queue.

    Some take only what is spare (a route's shadow): a free place, or that of an idle model which nobody else has wished
    for since it was loaded. Such models are the first to go.
    """

    def __init__(
        self,
        offers: Sequence[Offer],
        settings: PoolSettings | None = None,
        available: Callable[[], int | None] = lambda: None,
        offer: Maker | None = None,
    ) -> None:
        """`offers` have no names in common (see `naming`). `available`: bytes of free memory, if known.

        `offer` makes one of what a user calls a model, for `add`. It may read files.
        """
        self._settings, self._offer = settings or PoolSettings(), offer
        self._slots = {offer.info.name: _Slot(offer, offer.info) for offer in offers}
        self._stays: list[Stay] = []  # those that have not ended, oldest first; a model may have closing ones too
        self._budget, self._turns = Budget(available), Turns()
        self._entrance, self._adding = asyncio.Lock(), asyncio.Lock()
        self._change = asyncio.Event()
        self._closed = False

    def served(self) -> Sequence[ServedModel]:
        return [self._describe(slot) for slot in self._slots.values()]

    async def add(self, spec: str, name: str = "") -> str:
        if self._offer is None:
            raise OptionError("This server takes no more models.", "Start it with `ggufrun serve`.")
        async with self._adding:  # one at a time, so that each knows the others' names
            others = [slot.offer for slot in self._slots.values()]
            offer = await asyncio.to_thread(named, self._offer, spec, name, others)
            self._slots[offer.info.name] = _Slot(offer, offer.info)
        return offer.info.name

    async def remove(self, name: str) -> None:
        self._slots.pop(name, None)
        stays = [stay for stay in self._stays if stay.info.name == name]
        for stay in stays:
            stay.close_soon()  # all of them now: who waits may be cancelled
        for stay in stays:
            await stay.ended.wait()

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[ChatModel]:
        stay = await self._joined(self._slot(name), self._settings.load_timeout_s)
        try:
            yield stay.opened.result()
        finally:
            stay.leave()

    @asynccontextmanager
    async def borrow(self, name: str) -> AsyncIterator[ChatModel]:
        """As `lease`, for who takes only what is spare: it waits for a place that nobody misses, however long."""
        stay = await self._joined(self._slot(name), None, needed=False)
        try:
            yield stay.opened.result()
        finally:
            stay.leave()

    def wish(self, names: frozenset[str], since: float) -> AbstractContextManager[None]:
        """To be held while something waits to borrow one of these, the first of it `since` then (monotonic)."""
        return self._turns.wish(names, since)

    async def load(self, name: str, *, wait: bool = True, logged: bool = True) -> None:
        """Without `wait` it returns at once, and how it goes on is in `served`. `logged`: also why it cannot be."""
        if wait:
            slot = self._slot(name)
            self._wanted(slot).logged = logged
            (await self._joined(slot, None)).leave()
        else:
            stay = self._wanted(self._slot(name))
            stay.ordered = stay.needed = True

    async def unload(self, name: str, *, wait: bool = True) -> None:
        stay = self._slot(name).stay
        if stay is not None:
            stay.close_soon()
            if wait:
                await stay.ended.wait()

    def spare(self, name: str) -> bool:
        """Whether nobody would wait for what is asked of it now: it has no users, and a place, or room for one.

        Who borrows may have a borrowed one's room, and is to leave it to others when its turn is over.

        Of what is answered elsewhere nobody here can say it; who is in the way there is told to come later.
        """
        slot = self._slots.get(name)
        if slot is None or self._closed:
            return True  # who leases it hears why that cannot be
        if slot.offer.weightless:
            return True
        if self._crowded():
            return False  # somebody else's turn for a place
        stay = slot.stay
        if stay is not None:
            return stay.idle and not (stay.lent and self._must_go(stay))
        return self._has_room(slot.info) or bool(self._lent_to(slot.info))

    def in_the_way(self, name: str) -> bool:
        """Whether it has a place, and somebody waits for one."""
        slot = self._slots.get(name)
        return slot is not None and slot.stay is not None and slot.stay.present and self._crowded()

    def _crowded(self) -> bool:
        waiting = (each for each in self._stays if each.state == "waiting" and not each.closing)
        return any(each.needed and not each.weightless for each in waiting)

    def _lent_to(self, info: ModelInfo) -> list[Stay]:
        """Borrowed models whose turn is over, as many of them as have to go for this one; [] if that is not enough."""
        over = [each for each in self._stays if each.lent and self._turns.over(each, info.name)]
        over.sort(key=_last_used)
        enough = (number for number in range(1, len(over) + 1) if self._has_room(info, over[:number]))
        return over[: next(enough, 0)]

    def _must_go(self, stay: Stay) -> bool:
        """Whether somebody who wishes for another model has it next."""
        slots = [self._slots[name] for name in self._turns.others(stay.info.name) if name in self._slots]
        weighty = [slot for slot in slots if not slot.offer.weightless]
        absent = [slot.info for slot in weighty if slot.stay is None or not slot.stay.present]
        return any(not self._has_room(info) and stay in self._lent_to(info) for info in absent)

    async def close(self) -> None:
        """End all models, answers that run included. Nothing can be loaded afterwards."""
        self._closed = True
        await asyncio.gather(*(stay.abort() for stay in list(self._stays)))

    def _slot(self, name: str) -> _Slot:
        """Raises UnknownModel where it was taken out a moment ago."""
        try:
            return self._slots[name]
        except KeyError:
            raise UnknownModel(name, list(self._slots)) from None

    def _wanted(self, slot: _Slot) -> Stay:
        """The model's stay that takes users; a new one starts to load."""
        if self._closed:
            raise EngineClosed
        if slot.stay is None or slot.stay.closing:
            slot.error = ""
            slot.stay = Stay(
                slot.info,
                slot.offer.open,
                ttl_s=self._ttl_s(slot),
                enter=self._enter,
                squeeze=self._squeeze,
                changed=partial(self._changed, slot),
                weightless=slot.offer.weightless,
            )
            self._stays.append(slot.stay)
        return slot.stay

    async def _joined(self, slot: _Slot, timeout_s: float | None, *, needed: bool = True) -> Stay:
        """The model's stay, loaded, with one user more."""
        end = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        while True:
            stay = self._wanted(slot)
            stay.needed = stay.needed or needed
            stay.join()
            try:
                await self._opened(stay, end)
            except Superseded:
                stay.leave()
            except BaseException:
                stay.leave()
                raise
            else:
                return stay

    async def _opened(self, stay: Stay, end: float | None) -> None:
        """`end`: until when that is waited for, by the loop's clock."""
        try:
            async with asyncio.timeout_at(end):
                await asyncio.shield(stay.opened)
        except TimeoutError:
            if stay.opened.done():
                stay.opened.result()
                return
            raise ModelLoading(stay.info.name, stay.retry_s()) from None

    async def _enter(self, stay: Stay) -> None:
        """Returns when the stay has a place, which is its own from then on."""
        for each in self._same(stay, self._stays[: self._stays.index(stay)]):
            await each.ended.wait()
        if stay.weightless:
            return
        while stay.state == "waiting":
            async with self._entrance:  # first come, first served; who finds no place goes to the end of the queue
                if await (self._place_for(stay) if stay.needed else self._spare_place_for(stay)):
                    stay.state = "loading"
                    return
            if not stay.needed:
                await asyncio.sleep(_LOOK_S)

    async def _spare_place_for(self, stay: Stay) -> bool:
        """Whether there is a place that nobody misses; it is not waited for here, where others are in the queue."""
        if not self._has_room(stay.info):
            for leaver in self._lent_to(stay.info):
                if not await self._left(leaver):
                    return False
        return self._has_room(stay.info) and not self._crowded()

    async def _place_for(self, stay: Stay) -> bool:
        """Whether there is a place, made if need be. False after a while, so that others may try."""
        patient_until = time.monotonic() + self._settings.patience_s
        while not self._has_room(stay.info):
            left = patient_until - time.monotonic()
            leaver = self._least_recent(also_used=left <= 0)
            if leaver is not None:
                if not await self._left(leaver):
                    return False
            elif left <= -self._settings.load_timeout_s:
                return False
            else:
                await self._next_change(min(left, _POLL_S) if left > 0 else _POLL_S)
        return True

    async def _left(self, leaver: Stay) -> bool:
        """Whether it has gone: its requests may go on for long, and then it takes new ones again."""
        leaver.make_room()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.load_timeout_s / 2):  # who waits for it again gets it in time
                    await leaver.ended.wait()
        finally:  # also where nobody wants its place any more
            reopened = leaver.reopen()
            if reopened:
                self._go_back_to(leaver)
        if not reopened:
            await leaver.ended.wait()
        return not reopened

    def _go_back_to(self, stay: Stay) -> None:
        """Requests that wait for the model to come back need not: it has stayed."""
        self._slots[stay.info.name].stay = stay
        for each in self._same(stay, self._stays):
            each.supersede()

    def _same(self, stay: Stay, among: Sequence[Stay]) -> list[Stay]:
        """Other stays of the same model."""
        return [each for each in among if each.info.name == stay.info.name and each is not stay]

    def _has_room(self, info: ModelInfo, without: Sequence[Stay] = ()) -> bool:
        """`without`: as if these had gone."""
        present = [each for each in self._stays if each.present]
        others = [each for each in present if each not in without]
        if self._settings.max_loaded is not None and len(others) >= self._settings.max_loaded:
            return False
        arriving = sum(each.info.memory_bytes for each in present if each.state == "loading")
        loaded = sum(each.info.memory_bytes for each in present) - arriving
        free = self._budget.free(loaded, arriving)
        leaving = sum(each.info.memory_bytes for each in without)
        # With nothing else to unload, the loader itself says whether it fits.
        return not others or free is None or info.memory_bytes <= free + leaving

    def _least_recent(self, *, also_used: bool) -> Stay | None:
        """Whose place is taken next: a borrowed one's rather than another's.

        With `also_used` those with requests too, once no other one is left.
        """
        ready = [each for each in self._stays if each.present and each.state == "ready" and not each.closing]
        idle = [each for each in ready if each.idle]
        leavers = idle or (ready if also_used else [])
        return min(leavers, key=lambda each: (each.needed, _last_used(each)), default=None)

    async def _squeeze(self, stay: Stay) -> bool:
        """A model did not fit: close all idle ones, or those that it may put out. False where there was none."""
        idle = [each for each in self._stays if each.idle and each.present]
        if not stay.needed:
            idle = [each for each in idle if each.lent and self._turns.over(each, stay.info.name)]
        await asyncio.gather(*(each.close() for each in idle))
        return bool(idle)

    async def _next_change(self, timeout_s: float) -> None:
        """Only who holds the entrance waits here."""
        self._change.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._change.wait()

    def _changed(self, slot: _Slot, stay: Stay) -> None:
        slot.info, slot.used_at = stay.info, stay.used_at or slot.used_at
        if stay.ended.is_set():
            self._stays.remove(stay)
            if slot.stay is stay:
                slot.stay, slot.error = None, stay.error
        self._change.set()

    def _ttl_s(self, slot: _Slot) -> float:
        """What takes no memory need not be unloaded."""
        return 0.0 if slot.offer.weightless else self._settings.ttl_s

    def _info(self, slot: _Slot) -> ModelInfo:
        """Of what is answered elsewhere it changes while it is open: it may be down."""
        stay = slot.stay
        now = slot.offer.weightless and stay is not None and stay.state == "ready"
        return stay.opened.result().info if now and stay is not None else slot.info

    def _describe(self, slot: _Slot) -> ServedModel:
        stay = slot.stay
        state: State = "failed" if slot.error else "unloaded"
        if stay is not None:
            state = "unloading" if stay.closing else stay.state
        users = stay.users if stay is not None else 0
        used_at = None if slot.used_at is None else time.monotonic() - slot.used_at
        return ServedModel(
            info=self._info(slot),
            state=state,
            progress=stay.progress if stay is not None else 0.0,
            error=slot.error,
            active=users,
            idle_s=0.0 if users else used_at,
            ttl_s=self._ttl_s(slot) or None,
            path=slot.offer.path,
        )


def _last_used(stay: Stay) -> float:
    return stay.used_at or stay.began
