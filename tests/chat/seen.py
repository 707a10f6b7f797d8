"""Prompts with pictures as mistral-common writes them. Its pixels need OpenCV, which is not here; its tokens do not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mistral_common.protocol.instruct.chunk import ImageChunk, ImageURLChunk
from mistral_common.protocol.instruct.messages import UserMessage
from mistral_common.protocol.instruct.normalize import get_normalizer
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.image import (
    ImageConfig,
    ImageEncoder,
    ImageEncoding,
    SpecialImageIDs,
    image_from_chunk,
)

from ggufrun.chat.mistral import parse_version
from ggufrun.chat.vision import Vision
from tests.chat.vocab import LAYOUTS, rebuilt

IMG, BREAK, END = 10, 12, 13


class _Tokens(ImageEncoder):
    """`ImageEncoder.__call__` without its last line."""

    def __call__(self, content: ImageChunk | ImageURLChunk) -> ImageEncoding:
        width, height = self._image_to_num_tokens(image_from_chunk(content))
        tokens = ([self.special_ids.img] * width + [self.special_ids.img_break]) * height
        tokens[-1] = self.special_ids.img_end
        return ImageEncoding(tokens, np.zeros(1))


def encoder(vision: Vision) -> ImageEncoder:
    config = ImageConfig(vision.patch, vision.longest, vision.merge)
    return _Tokens(config, SpecialImageIDs(IMG, BREAK, END))


def written(version: str, vision: Vision, contents: Sequence[Any]) -> list[int]:
    """The tokens of a conversation of user messages with these contents."""
    layout = LAYOUTS[version](rebuilt(version), image_encoder=encoder(vision))
    wire: Any = ChatCompletionRequest(messages=[UserMessage(content=content) for content in contents])
    normalizer = get_normalizer(parse_version(version), rebuilt(version).model_settings_builder)
    return [int(token) for token in layout.encode_instruct(normalizer.from_chat_completion_request(wire)).tokens]
