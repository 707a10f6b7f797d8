"""What the next question would send: counted by the server, as `usage.prompt_tokens` of its answer will be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.errors import OptionError
from ggufrun.ui.ask.attached import Attached
from ggufrun.ui.ask.content import FILES, blind, card_of, content, written
from ggufrun.ui.ask.known import Added, KnownFiles
from ggufrun.ui.ask.meter import Used
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError

CHATS: Final = "/ggufrun/v1/chats"
_KNOWN: Final = KnownFiles()
_NOTHING: Final = "?"  # what is counted while nothing is written: there is no question without a token


@dataclass(frozen=True, slots=True)
class Asking:
    """The question as it stands on the page."""

    value: dict[str, Any] | None
    chat: str
    settings: dict[str, Any] | None
    model: str | None
    head: str | None = None  # what the question would stand below in this tab; None: where the chat's next one does


@dataclass(frozen=True, slots=True)
class Count:
    used: Used | None = None
    exchanges: Sequence[dict[str, Any]] = ()  # as the server counts them, the oldest first
    wrong: Sequence[str] = ()


async def count(api: Api, asking: Asking, *, exchanges: bool = False) -> Count:
    """Raises nothing: what is wrong is said in it."""
    try:
        files = await FILES.read((asking.value or {}).get("files") or [])
    except OptionError as error:
        return Count(wrong=[str(error)])
    wrong = []
    try:
        images = [each for each in files if each.is_image]
        if images and not (await card_of(api, asking.model)).get("capabilities", {}).get("vision", True):
            files = [each for each in files if not each.is_image]
            wrong.append(str(blind(asking.model, images)))
        counted, about = await _counted(api, asking, files, exchanges=exchanges)
    except ApiError as error:
        return Count(wrong=[*wrong, str(error)] if error.status else wrong)
    return Count(_used(counted, files, about=about), counted["exchanges"] or (), wrong)


async def _counted(api: Api, asking: Asking, files: list[Attached], *, exchanges: bool) -> tuple[dict[str, Any], bool]:
    """The server's answer, and whether it is a sum: the files are sent once, and again where a sum could mislead."""
    counted = await api.post(_path(asking), _body(asking, [], exchanges=exchanges))
    without: int | None = counted["count"]
    if not files or without is None:
        return counted, False
    model, beside_text = counted["model"], bool(written(asking.value).strip())
    added = _KNOWN.of(model, files, beside_text=beside_text)
    asked = (asking, without)
    if added is not None and (added.of == asked or not added.decides(without, counted["context"])):
        return {**counted, "count": without + added.more, "parts": added.parts}, added.of != asked
    whole = await api.post(_path(asking), _body(asking, files, exchanges=False))
    if whole["model"] == model and whole["count"] is not None:
        added = Added(whole["count"] - without, whole["parts"], asked)
        _KNOWN.put(model, files, added, beside_text=beside_text)
    return {**whole, "exchanges": counted["exchanges"]}, False


def _path(asking: Asking) -> str:
    return f"{CHATS}/{asking.chat}/count" if asking.chat else f"{CHATS}/count"


def _body(asking: Asking, files: list[Attached], *, exchanges: bool) -> dict[str, Any]:
    said = content(written(asking.value), files)
    message: dict[str, Any] = {"content": said if said and str(said).strip() else _NOTHING}
    if asking.head is not None:
        message["parent"] = asking.head
    model = {"model": asking.model} if asking.model else {}
    return {"message": message, "settings": asking.settings or {}, "exchanges": exchanges, **model}


def _used(counted: dict[str, Any], files: list[Attached], *, about: bool) -> Used:
    tokens = zip(files, counted["parts"], strict=False)
    return Used(
        counted["model"],
        counted["count"],
        counted["context"],
        counted["context_train"],
        [(file.name, number) for file, number in tokens],
        loaded=counted["loaded"],
        about=about,
    )
