"""What the user has written and attached, as the content of a message."""

from typing import Any, Final

from ggufrun.errors import OptionError, cut
from ggufrun.ui.ask.attached import Attached, Files
from ggufrun.ui.ask.files import from_part
from ggufrun.ui.client import Api

LONGEST_TITLE: Final = 60  # characters, as many as the server takes for one
Content = str | list[dict[str, Any]]
FILES: Final = Files()


async def content_of(value: dict[str, Any] | None, api: Api | None = None, model: str | None = "") -> Content:
    """`value`: of the box where one writes, `text` and `files`. Raises OptionError for a file that cannot be sent.

    With `api`, also for an image that `model` cannot see.
    """
    text, files = written(value), await FILES.read((value or {}).get("files") or [])
    images = [each for each in files if each.is_image]
    if images and api is not None and not (await card_of(api, model)).get("capabilities", {}).get("vision", True):
        raise blind(model, images)
    return content(text, files)


def written(value: dict[str, Any] | None) -> str:
    return str((value or {}).get("text") or "")


def content(text: str, files: list[Attached]) -> Content:
    """Files come first: models read the question last."""
    if not files:
        return text
    return [*(each.part for each in files), *([{"type": "text", "text": text}] if text.strip() else [])]


def title_of(content: Content) -> str:
    """Of a chat that begins so, where files come first: as the question begins, else the first file's name.

    "": the server finds one itself.
    """
    if isinstance(content, str):
        return ""
    files = [from_part(part) for part in content]
    said = (str(part.get("text") or "").strip() for part, file in zip(content, files, strict=True) if file is None)
    title = next(filter(None, said), None) or next((file[0] for file in files if file is not None), "")
    return cut(title.split("\n")[0].strip(), LONGEST_TITLE)


async def card_of(api: Api, model: str | None) -> dict[str, Any]:
    """What /v1/models says of it; nothing of one that is not served. "" is the only one."""
    cards = (await api.get("/v1/models"))["data"]
    named = [card for card in cards if model in (card["id"], *card.get("aliases", ()))]
    return dict(next(iter(named), cards[0] if len(cards) == 1 and not model else {}))


def blind(model: str | None, images: list[Attached]) -> OptionError:
    names = ", ".join(each.name for each in images)
    hint = "Take the image out, or choose a model with vision."
    return OptionError(f"{model or 'This model'} cannot see images ({names}).", hint)
