"""Remote engines as models of the pool: those of ggufrun.toml and of --remote, all probed before anything is served."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from ggufrun.chat.types import ChatModel
from ggufrun.commandline.exits import print_error
from ggufrun.errors import OptionError
from ggufrun.pool.offer import Offer, Progress
from ggufrun.remote import in_the_clear
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote_errors import RemoteUnusable
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import model_folders

if TYPE_CHECKING:  # a server without remotes starts without an HTTP library
    from ggufrun.remote.probing import Probed


async def remote_offers(remotes: Mapping[str, RemoteSettings], beside: Sequence[Offer]) -> list[Offer]:
    """Raises OptionError where a name is taken, or a remote cannot be used; of several faults all are said."""
    if not remotes:
        return []
    _check_names(remotes, beside)
    for line in in_the_clear.warnings(remotes.values()):  # before the first request has a key in it
        print_error(line)
    cards = load_cards(model_folders(data_folder(os.environ)))
    found = await asyncio.gather(*(_probed(each, cards) for each in remotes.values()))
    faults = [each for each in found if isinstance(each, RemoteUnusable)]
    for fault in faults[:-1]:
        print_error(str(fault))
    if faults:
        raise faults[-1]
    return [
        Offer(each.info, partial(_opened, each), weightless=True)
        for each in found
        if not isinstance(each, RemoteUnusable)
    ]


async def _probed(settings: RemoteSettings, cards: Sequence[Card]) -> "Probed | RemoteUnusable":
    from ggufrun.remote.probing import probed

    try:
        return await probed(settings, cards)
    except RemoteUnusable as fault:
        return fault


@asynccontextmanager
async def _opened(known: "Probed", on_progress: Progress) -> AsyncIterator[ChatModel]:
    """For `Offer`."""
    from ggufrun.remote.opening import open_remote

    async with open_remote(known) as model:
        yield model


def _check_names(remotes: Mapping[str, RemoteSettings], beside: Sequence[Offer]) -> None:
    taken = {name.lower(): each.info.name for each in beside for name in (each.info.name, *each.info.aliases)}
    for name in remotes:
        if name.lower() in taken:
            message = f"remote {name}: {taken[name.lower()]} answers to that name already."
            raise OptionError(message, "Give one of them another name.")
        taken[name.lower()] = f"remote {name}"
