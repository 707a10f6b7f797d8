"""What a column may be: models that are served and chat, and what else lies on this machine and could be served."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.ui.beside.served import MODELS
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.served_here import not_served

Json = dict[str, Any]
_HERE: Final = "here: "  # in front of what is not served: no served name has a blank in it


@dataclass(frozen=True, slots=True)
class Choices:
    """`pairs` are labels and values, as dropdowns take them; `served` the values that need no serving."""

    pairs: tuple[tuple[str, str], ...]
    served: tuple[str, ...]

    @property
    def values(self) -> list[str]:
        return [value for _, value in self.pairs]

    def filled(self, chosen: list[str | None], preferred: str | None) -> list[str | None]:
        """What was chosen, as far as it is still there; where nothing ever was, served models, the preferred first."""
        kept = [name if name in self.values else None for name in chosen]
        if any(kept):
            return kept
        first = [preferred] if preferred in self.served else []
        others = [name for name in self.served if name != preferred]
        return [*first, *others, *[None] * len(chosen)][: len(chosen)]


def to_serve(value: str) -> str:
    """What POST /ggufrun/v1/models takes for a choice that is not served; "" for one that is."""
    return value.removeprefix(_HERE) if value.startswith(_HERE) else ""


async def choices(api: Api) -> Choices:
    """Raises ApiError. A key that may only chat sees what is served."""
    cards, managed, local = await asyncio.gather(
        api.get("/v1/models"), _managed(api, MODELS), _managed(api, "/ggufrun/v1/library/local")
    )
    quants = {each["name"]: each["quant"] for each in managed}
    chat = [each["id"] for each in cards["data"] if each["capabilities"]["completion_chat"]]
    served = [(_label(name, quants.get(name)), name) for name in chat]
    here = [
        (f"{_label(each['name'], each['quant'])} (not served yet)", _HERE + each["name"])
        for each in not_served(local, managed)
    ]
    return Choices((*served, *here), tuple(chat))


async def _managed(api: Api, path: str) -> list[Json]:
    try:
        found: list[Json] = (await api.get(path))["data"]
    except ApiError as error:
        if error.status in (400, 401, 403):  # 400: a server without a library
            return []
        raise
    return found


def _label(name: str, quant: str | None) -> str:
    return f"{name} · {quant}" if quant and quant.lower() not in name.lower() else name
