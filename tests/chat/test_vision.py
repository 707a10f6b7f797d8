"""Pictures in prompts: token for token what mistral-common writes, and where they lie in them."""

import io
import random
from typing import Any

import pytest
from mistral_common.protocol.instruct.chunk import ImageChunk as TheirImage
from mistral_common.protocol.instruct.chunk import TextChunk as TheirText
from PIL import Image

from ggufrun.chat.encoded import EncodedPrompt
from ggufrun.chat.mistral import MistralEncoder
from ggufrun.chat.prompt import capabilities, prompt_encoder
from ggufrun.chat.templated import CHATML
from ggufrun.chat.types import ChatRequest, Chunk, ImageChunk, LinkedImage, Message, TextChunk
from ggufrun.chat.vision import Vision
from ggufrun.errors import EmptyPrompt, RequestError, Unsupported
from tests.chat.seen import BREAK, END, IMG, encoder, written
from tests.chat.vocab import VERSIONS, TekkenVocabulary, rebuilt

_VISION = Vision(patch=14, longest=1540, merge=2)
_SMALL = Vision(patch=16, longest=1024)  # Pixtral 12B's


def _png(width: int, height: int, color: Any = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return file.getvalue()


def _image(width: int, height: int, color: Any = "red") -> ImageChunk:
    return ImageChunk(data=_png(width, height, color))


def _user(*chunks: Chunk | str) -> Message:
    return Message(role="user", content=tuple(TextChunk(text=c) if isinstance(c, str) else c for c in chunks))


def _encode(version: str, *messages: Message, vision: Vision = _VISION) -> EncodedPrompt:
    return MistralEncoder(rebuilt(version), vision=vision).encode(ChatRequest(messages))


@pytest.mark.parametrize("vision", [_VISION, _SMALL])
def test_tokens_of_many_sizes_are_as_many_as_mistral_common_s(vision: Vision) -> None:
    draw = random.Random(5)
    sizes = [(draw.randint(1, 3000), draw.randint(1, 3000)) for _ in range(40)]
    sizes += [(draw.randint(1, 60), draw.randint(1, 12_000)) for _ in range(10)]
    sizes += [(1, 1), (27, 29), (28, 28), (29, 28), (1540, 1540), (1541, 1), (4000, 4000), (5000, 10)]
    theirs = encoder(vision)
    for size in sizes:
        assert vision.grid(*size) == theirs._image_to_num_tokens(Image.new("1", size)), size


@pytest.mark.parametrize("version", VERSIONS)
def test_prompts_with_pictures_are_mistral_common_s(version: str) -> None:
    red, blue = (100, 60), (300, 29)
    ours = [
        [_user("What is this?", _image(*red))],  # a single picture behind the text is put in front of it
        [_user(_image(*red), "and", _image(*blue), "differ?")],
        [_user("One", _image(*red)), _user("Two", _image(*blue), "three")],
        [_user(_image(*red))],
    ]
    red_chunk, blue_chunk = (TheirImage(image=Image.new("RGB", size)) for size in (red, blue))
    theirs: list[list[list[Any]]] = [
        [[TheirText(text="What is this?"), red_chunk]],
        [[red_chunk, TheirText(text="and"), blue_chunk, TheirText(text="differ?")]],
        [[TheirText(text="One"), red_chunk], [TheirText(text="Two"), blue_chunk, TheirText(text="three")]],
        [[red_chunk]],
    ]
    for messages, contents in zip(ours, theirs, strict=True):
        assert list(_encode(version, *messages).tokens) == written(version, _VISION, contents)


def test_a_picture_s_place_is_its_tokens_without_the_last() -> None:
    prompt = _encode("v15", _user(_image(100, 60), "and", _image(300, 29, "blue"), "?"))
    first, second = prompt.images
    for image, columns, rows in ((first, 4, 3), (second, 11, 2)):
        span = prompt.tokens[image.start : image.end]
        assert span == (((IMG,) * columns + (BREAK,)) * rows)[:-1]
        assert prompt.tokens[image.end] == END and prompt.tokens[image.start - 1] not in (IMG, BREAK)
        assert (image.width, image.height) == (28 * columns, 28 * rows)
        assert len(image.pixels) == 3 * image.width * image.height
    assert first.end < second.start
    assert first.pixels[:3] == b"\xff\x00\x00" and second.pixels[:3] == b"\x00\x00\xff"


def test_pictures_stay_in_the_order_in_which_they_come() -> None:
    colors = [(n, 0, 0) for n in range(6)]
    messages = [
        _user(_image(28, 28, colors[0]), "a", _image(28, 28, colors[1])),
        _user("b", _image(28, 28, colors[2])),
        Message(role="assistant", content="c"),
        _user(_image(28, 28, colors[3]), _image(28, 28, colors[4]), "d", _image(28, 28, colors[5])),
    ]
    assert [image.pixels[0] for image in _encode("v13", *messages).images] == list(range(6))


def test_text_cannot_pass_for_a_picture() -> None:
    prompt = _encode("v15", _user("[IMG][IMG][IMGEND]", _image(28, 28), "[IMG]"))
    assert [token for token in prompt.tokens if token in (IMG, BREAK, END)] == [IMG, END]
    assert [prompt.tokens[image.start] for image in prompt.images] == [IMG]


def test_a_tool_s_result_may_be_a_picture_from_v15_on() -> None:
    call = {"id": "abcdefghi", "function": {"name": "shot", "arguments": "{}"}}
    messages = (
        _user("Look"),
        Message.model_validate({"role": "assistant", "tool_calls": [call]}),
        Message(role="tool", content=(_image(28, 28),), tool_call_id="abcdefghi"),
    )
    assert len(_encode("v15", *messages).images) == 1
    with pytest.raises(Unsupported, match="no images in tools' results"):
        _encode("v13", *messages)


def test_the_system_prompt_has_none() -> None:
    with pytest.raises(RequestError, match="system"):
        _encode("v13", Message(role="system", content=(_image(28, 28),)), _user("Hi"))


def test_a_picture_alone_is_no_empty_prompt() -> None:
    assert _encode("v15", _user(_image(28, 28))).images
    with pytest.raises(EmptyPrompt):
        _encode("v15", _user(" "))


def test_a_picture_that_was_not_fetched_is_not_passed_over() -> None:
    with pytest.raises(Unsupported):
        _encode("v15", _user("Hi", LinkedImage(url="https://example.org/a.png")))
    with pytest.raises(Unsupported):
        MistralEncoder(rebuilt("v15")).encode(ChatRequest((_user("Hi", _image(28, 28)),)))


def test_only_prompts_of_mistral_s_form_have_pictures() -> None:
    assert capabilities(MistralEncoder(rebuilt("v15"), vision=_VISION)).vision
    assert not capabilities(MistralEncoder(rebuilt("v15"))).vision
    fine_tune = TekkenVocabulary("v15", {"tokenizer.chat_template": CHATML})
    assert not capabilities(prompt_encoder(fine_tune, vision=_VISION)).vision
