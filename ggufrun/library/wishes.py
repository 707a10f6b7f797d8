"""What a plan must keep to: what was asked for, over what the user wrote in ggufrun.toml. As a load merges the two."""

import os
from pathlib import Path
from typing import Final

from ggufrun.errors import InputError
from ggufrun.fit.subject import Wishes
from ggufrun.settings import EngineOverrides, EngineSettings, ModelOverrides
from ggufrun.store.resolve import locate
from ggufrun.store.stored import card_of
from ggufrun.userconfig import FILE_NAME, data_folder, load_user_settings
from ggufrun.weights.cards import load_cards
from ggufrun.weights.folders import model_folders, shard_of
from ggufrun.weights.notation import Notation

_REMOTE: Final = ("rpc", "rpc_memory", "rpc_timeout_s")


def wishes_for(spec: str, model: ModelOverrides, engine: EngineOverrides, *, remote: bool = False) -> Wishes:
    """`model` and `engine` are what was asked for. `remote`: other machines' workers count, too. Raises OptionError."""
    home = data_folder(os.environ)
    written = load_user_settings(home / FILE_NAME).for_model(*_names(spec, home))
    given = {**written.model, **model}
    left_out = () if remote else _REMOTE
    set_values = {name: value for name, value in given.items() if value not in (None, "auto") and name not in left_out}
    pinned = ModelOverrides(**set_values)  # type: ignore[typeddict-item]  # its names are those of `given`
    return Wishes(pinned, EngineSettings(**{**written.engine, **engine}))


def _names(spec: str, home: Path) -> tuple[str, tuple[str, ...]]:
    """What a server would call it, and its other names; "" where a repository's file is still to come."""
    cards = load_cards(model_folders(home))
    asked = Notation.read(spec)
    card = next((each for each in cards if asked is not None and each.answers_to(asked.name)), None)
    path = _here(spec, home) if card is None else None
    if path is not None:
        card = card_of(cards, path)
    if card is not None:
        return card.name, card.aliases
    shard = shard_of(path) if path is not None else None
    return (shard.stem if shard else path.stem if path is not None else ""), ()


def _here(spec: str, home: Path) -> Path | None:
    try:
        return locate(spec, home)
    except InputError:  # who plans says what is wrong with it
        return None
