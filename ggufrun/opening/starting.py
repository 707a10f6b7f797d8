"""Starts a model's engine process as planned. Where memory does not suffice, with less and less, each time a fresh one.

What may be given up, and in which order, is `fit.ladder`'s.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.outside import Outside
from ggufrun.engine.service import Service
from ggufrun.errors import OptionError, OutOfMemory
from ggufrun.fit.ladder import Ladder
from ggufrun.llama.open import FACTORY
from ggufrun.opening.planning import Choice, Planning
from ggufrun.settings import EngineSettings, ModelSettings

Progress = Callable[[float], None]

log = logging.getLogger(__name__)

_KILLS = 1  # that are taken for a lack of memory: a second one may be somebody's wish, and hurts other programs


@dataclass(frozen=True, slots=True)
class Loaded:
    service: Service
    note: str = ""  # what is less than it would be with memory enough


async def load(planning: Planning, on_progress: Progress | None, *, sparing: bool = True) -> Loaded:
    """Not `sparing`: OutOfMemory where anything must be less. Else raises what `Planning` and `Service.ready` do."""
    choice = await _choice(planning)
    if choice.note and not sparing:
        raise OutOfMemory(f"It would be loaded with less: {choice.note}.", "Unload other models, or try again.")
    ladder = Ladder(choice.settings, choice.knobs)
    try:
        steps = sparing and not choice.remembered
        service = await _climbed_down(ladder, choice.engine, on_progress, planning.workers, steps=steps)
    except OutOfMemory:
        if not choice.remembered:
            raise
        planning.failed()  # what was right then is not now: all is thought over
        return await load(planning, on_progress, sparing=sparing)
    planning.worked(choice, ladder)
    return Loaded(service, f"memory did not suffice for more: {ladder.given_up}" if ladder.stepped else choice.note)


async def _choice(planning: Planning) -> Choice:
    choice = planning.at_once()
    if choice is not None:
        return choice
    try:
        return await asyncio.to_thread(planning.choose)
    except asyncio.CancelledError:
        planning.abandon()  # or the program's end would wait for the thread
        raise


async def _climbed_down(
    ladder: Ladder, engine: EngineSettings, on_progress: Progress | None, outside: Outside | None, *, steps: bool
) -> Service:
    """The service on the first rung that bears, or with `steps` False on this one."""
    kills, short = 0, None
    while True:
        seen = _Seen(on_progress)
        try:
            return await _loaded(ladder.settings, engine, seen, outside)
        except OutOfMemory as error:
            short, kills = error, kills + error.killed
            weights = not error.killed and seen.fraction < 1.0
            if not steps or kills > _KILLS or not ladder.step(weights=weights):
                raise _given_up(error, ladder) from error
        except OptionError:
            if short is None or not ladder.drop_q8_0():
                raise
            if not ladder.step(weights=False):
                raise _given_up(short, ladder) from short
        log.info("%s Now with %s.", short.message, ladder.given_up)


class _Seen:
    """Remembers how far a load came."""

    def __init__(self, on_progress: Progress | None) -> None:
        self.fraction = 0.0
        self._then = on_progress

    def __call__(self, fraction: float) -> None:
        self.fraction = fraction
        if self._then is not None:
            self._then(fraction)


async def _loaded(
    settings: ModelSettings, engine: EngineSettings, on_progress: Progress, outside: Outside | None
) -> Service:
    service = Service(WorkerSettings(FACTORY, settings, engine), outside=outside)
    try:
        await service.ready(on_progress)
    except BaseException:
        await service.aclose()
        raise
    return service


def _given_up(error: OutOfMemory, ladder: Ladder) -> OutOfMemory:
    if not ladder.stepped:
        return error
    return OutOfMemory(f"{error.message} Tried: {ladder.tried}.", error.hint, killed=error.killed)
