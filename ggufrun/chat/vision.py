"""How a model sees: the grid that its pictures are cut into, by mistral-common's rule, and who sees none."""

from collections.abc import Sequence
from dataclasses import dataclass

from ggufrun.chat.types import AnyRequest, ChatRequest, ImageChunk, LinkedImage, Message, ModelInfo
from ggufrun.errors import ModelLacks, Unsupported


@dataclass(frozen=True, slots=True)
class Vision:
    """A vision encoder's sizes in pixels: of a patch, and of the longest side of a picture.

    `merge` times `merge` patches become one token.
    """

    patch: int
    longest: int
    merge: int = 1

    @property
    def cell(self) -> int:
        """Pixels of a token's side."""
        return self.patch * self.merge

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Tokens in a row, and rows, of a picture of this size: what mistral-common's ImageEncoder gives it."""
        ratio = max(height / self.longest, width / self.longest)
        if ratio > 1:
            width, height = max(round(width / ratio), 1), max(round(height / ratio), 1)
        return (width - 1) // self.cell + 1, (height - 1) // self.cell + 1


def pictures_in(messages: Sequence[Message]) -> list[ImageChunk | LinkedImage]:
    """In the order in which they come."""
    parts = (part for message in messages if isinstance(message.content, tuple) for part in message.content)
    return [part for part in parts if isinstance(part, ImageChunk | LinkedImage)]


def refuse_unseen(request: AnyRequest, info: ModelInfo) -> None:
    """Raise Unsupported where the request has pictures that the model cannot see, with the file that is missing.

    What the system and the assistant say has none in Mistral's formats.
    """
    pictures = pictures_in(request.messages) if isinstance(request, ChatRequest) else []
    if not pictures:
        return
    if info.elsewhere and not info.capabilities.vision:
        raise ModelLacks(f"{info.name} cannot see images.", "Ask a model that does.", pictures[0].at)
    if not info.capabilities.vision:
        beside = f" beside {info.file}" if info.file else ""
        raise Unsupported(
            f"{info.name} cannot see images: no mmproj file{beside} is used.",
            "Fetch it with `ggufrun pull` (mmproj-*.gguf, of the same repository), or start with --mmproj FILE.",
            pictures[0].at,
        )
    for message in request.messages if isinstance(request, ChatRequest) else ():
        if message.role not in ("user", "tool") and (elsewhere := pictures_in([message])):
            hint = "Move them there."
            raise Unsupported("Images belong to the user's messages, and to tools' results.", hint, elsewhere[0].at)
