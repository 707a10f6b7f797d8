"""Pictures in mistral-common's prompts: its own token layout, without the OpenCV that its pixels need.

A picture goes through it as a stand-in that carries ours, so that what comes out is in the order of the prompt.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import PIL.Image
from mistral_common.protocol.instruct.chunk import ImageChunk, ImageURLChunk
from mistral_common.tokens.tokenizers.base import SpecialTokens
from mistral_common.tokens.tokenizers.image import ImageConfig, ImageEncoder, ImageEncoding, SpecialImageIDs
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from ggufrun.chat.pictures import Picture
from ggufrun.chat.vision import Vision
from ggufrun.engine.types import Image

_CARRIED: Final = "ggufrun.picture"
_MARKS: Final = (SpecialTokens.img.value, SpecialTokens.img_break.value, SpecialTokens.img_end.value)


class PictureTokens(ImageEncoder):
    """mistral-common's encoder, for stand-ins."""

    def __init__(self, tekkenizer: Tekkenizer, vision: Vision) -> None:
        marks = SpecialImageIDs(*map(tekkenizer.get_special_token, _MARKS))
        super().__init__(ImageConfig(vision.patch, vision.longest, vision.merge), marks)

    def __call__(self, content: ImageChunk | ImageURLChunk) -> ImageEncoding:
        if isinstance(content, ImageURLChunk):
            raise TypeError("a picture that is not fetched")
        picture: Picture = content.image.info[_CARRIED]
        ids = self.special_ids
        tokens = ([ids.img] * picture.columns + [ids.img_break]) * picture.rows
        return ImageEncoding([*tokens[:-1], ids.img_end], np.array(picture, dtype=object))

    def images(self, tokens: Sequence[int], carried: Sequence[np.ndarray[Any, Any]]) -> tuple[Image, ...]:
        """Where the pictures of a prompt lie. The last token of each, [IMG_END], is none that its rows stand for.

        `carried` are mistral-common's images of the prompt; text never has these tokens.
        """
        found, place = [], 0
        for each in carried:
            picture: Picture = each.item()
            start = tokens.index(self.special_ids.img, place)
            length = picture.columns * picture.rows + picture.rows - 1
            found.append(Image(start, length, picture.width, picture.height, picture.pixels, picture.key))
            place = start + length + 1
        return tuple(found)


def knows_pictures(tekkenizer: Tekkenizer) -> bool:
    """Whether the vocabulary has the tokens that pictures are made of."""
    return all(map(tekkenizer.is_special, _MARKS))


def stand_in(picture: Picture) -> ImageChunk:
    image = PIL.Image.new("1", (1, 1))
    image.info[_CARRIED] = picture
    return ImageChunk(image=image)
