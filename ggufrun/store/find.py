"""From a name that a user typed to the one stored model that is meant, or to the question which one is."""

import os
from collections.abc import Iterable, Sequence

from ggufrun.errors import ModelNotFound, OptionError
from ggufrun.store.places import Places
from ggufrun.store.stored import StoredModel
from ggufrun.validation import nearest
from ggufrun.weights.cards import Card, card_called
from ggufrun.weights.folders import shard_of
from ggufrun.weights.notation import Notation


def find(spec: str, places: Places, *, partial: bool = False) -> StoredModel | None:
    """None where nothing here answers to it. OptionError lists the choices where several do.

    `partial`: what is not whole counts, too, where nothing whole answers.
    """
    asked = Notation.read(spec)
    card = card_called(places.cards, asked.name) if asked else None
    found: list[StoredModel] = []
    for models in places.by_source():
        found += [model for model in models if _answers(model, asked, spec, card)]
        if found and found[0].source == "package":  # a card that has a package means its file
            return found[0]
    if partial and (exact := _exact(spec, found)):
        return exact
    whole = [model for model in found if model.partial is None]
    return _one(spec, whole or (found if partial else []))


def named(name: str, places: Places) -> StoredModel:
    """For what is done to files: what is not whole counts, too. Raises OptionError and ModelNotFound."""
    model = find(name, places, partial=True)
    if model is None:
        near = nearest(name, [each.name for each in places.models()])
        raise ModelNotFound(name, near, "`ggufrun list` shows what is here.")
    return model


def named_or_at(text: str, places: Places) -> StoredModel:
    """The same where a path to one of a model's files may be given, too."""
    path = os.path.expanduser(text)
    if not os.path.isfile(path):  # os.path: a name too long or forbidden is just no file
        if os.path.isabs(path) or text.startswith("."):
            raise ModelNotFound(text, (), "There is no such file; `ggufrun list` shows what is here.")
        return named(text, places)
    model = _at(os.path.realpath(path), places) or find(text, places, partial=True)
    if model is None:
        raise ModelNotFound(text, (), "The file lies in none of the stores that `ggufrun list` shows.")
    return model


def _at(real: str, places: Places) -> StoredModel | None:
    for models in places.by_source():
        for model in models:
            if any(os.path.realpath(file.path) == real for file in model.files):
                return model
    return None


def _exact(spec: str, found: Sequence[StoredModel]) -> StoredModel | None:
    """The one of this very name, letter for letter if there is such; of several stores' the first."""
    wanted = spec.strip()
    named = [model for model in found if model.name.lower() == wanted.lower()]
    return next((model for model in named if model.name == wanted), next(iter(named), None))


def _answers(model: StoredModel, asked: Notation | None, spec: str, card: Card | None) -> bool:
    if model.answers_to(spec, None):
        return True
    if asked is None:
        return False
    if model.answers_to(asked.name, asked.tag):
        return True
    if card is None or model.card != card:
        return False
    return asked.tag is None or asked.tag.lower() in (model.quant.lower(), *_tags(model))


def _tags(model: StoredModel) -> Iterable[str]:
    """What may stand behind the colon."""
    return (name.rpartition(":")[2].lower() for name in (model.name, *model.also))


def _one(spec: str, found: Sequence[StoredModel]) -> StoredModel | None:
    """A name that is said in full wins over what is only meant by it, and a store over those that come after it."""
    wanted, named = spec.strip().lower(), _exact(spec, found)
    called = [model for model in found if wanted in map(str.lower, model.also)]
    choices: dict[tuple[str, ...], StoredModel] = {}
    for model in [named] if named else called or found:
        choices.setdefault(_same(model), model)
    if len(choices) > 1:
        raise OptionError(
            f"{spec!r} could be any of these: {', '.join(model.name for model in choices.values())}.",
            "Give one of these names, or a path.",
        )
    return next(iter(choices.values()), None)


def _same(model: StoredModel) -> tuple[str, ...]:
    """Two stores may have the same model in the same quant; which of them is loaded does not matter."""
    if model.card is not None and model.quant:
        return model.card.name, model.quant
    shard = shard_of(model.path)
    return (shard.stem if shard else model.path.stem, model.quant)
