"""From files of all kinds to what a model sees, and what is refused of them."""

import contextlib
import io
import random
import shutil
import struct
import sys
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from ggufrun.chat import picture_process
from ggufrun.chat import pictures as module
from ggufrun.chat.pictures import MOST_PIXELS, Album, Picture, Pictures
from ggufrun.chat.types import ImageChunk
from ggufrun.chat.vision import Vision
from ggufrun.errors import RequestError

_VISION = Vision(patch=14, longest=1540, merge=2)
_ORIENTATION = 0x0112


def _file(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def _picture(data: bytes, vision: Vision = _VISION) -> Picture:
    return Pictures(vision).of(ImageChunk(data=data, at="messages.0.content.1"))


def _seen(data: bytes) -> npt.NDArray[np.uint8]:
    picture = _picture(data)
    return np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width, 3)


def _refused(data: bytes) -> str:
    with pytest.raises(RequestError) as refused:
        _picture(data)
    assert refused.value.param == "messages.0.content.1"
    return str(refused.value)


def _halves(mode: str = "RGB", left: Any = "red", right: Any = "blue", size: tuple[int, int] = (56, 28)) -> Image.Image:
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_every_format_is_seen(format: str) -> None:
    seen = _seen(_file(_halves(), format, **({"lossless": True} if format == "WEBP" else {})))
    assert seen.shape == (28, 56, 3)
    assert (
        np.abs(seen[14, 7].astype(int) - (255, 0, 0)).max() < 4
        and np.abs(seen[14, 48].astype(int) - (0, 0, 255)).max() < 4
    )


def test_its_size_is_whole_patches_and_its_tokens_the_grid() -> None:
    picture = _picture(_file(Image.new("RGB", (640, 320))))
    assert (picture.columns, picture.rows) == (23, 12)
    assert (picture.width, picture.height) == (23 * 28, 12 * 28)
    assert len(picture.pixels) == 3 * picture.width * picture.height


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
def test_a_photo_is_seen_as_the_camera_was_held(format: str, orientation: int) -> None:
    """Each file shows the same once it is turned: its top left corner is white."""
    upright = Image.new("RGB", (84, 56), "black")
    upright.paste("white", (0, 0, 28, 28))
    backwards = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}  # PIL's transpositions that undo them
    stored = upright
    for method in backwards.get(orientation, []):
        stored = stored.transpose(Image.Transpose(method))
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    seen = _seen(_file(stored, format, exif=exif, **({"quality": 95} if format != "PNG" else {})))
    assert seen.shape == (56, 84, 3)
    assert seen[10, 10].min() > 200
    assert max(seen[10, 74].max(), seen[46, 10].max(), seen[46, 74].max()) < 60


def test_what_one_can_see_through_is_white() -> None:
    assert _seen(_file(_halves("RGBA", (255, 0, 0, 255), (0, 0, 0, 0))))[14, 48].tolist() == [255, 255, 255]
    assert _seen(_file(_halves("LA", (0, 255), (0, 128))))[14, 48].tolist() == [127, 127, 127]
    palette = _halves().quantize(4)
    clear = palette.getpixel((50, 10))
    assert _seen(_file(palette, "GIF", transparency=clear))[14, 48].tolist() == [255, 255, 255]
    assert _seen(_file(_halves(), transparency=(0, 0, 255)))[14, 48].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_pictures_without_colours_are_seen(mode: str) -> None:
    seen = _seen(_file(_halves("L", 0, 255).convert(mode)))
    assert seen[14, 7].tolist() == [0, 0, 0] and seen[14, 48].tolist() == [255, 255, 255]


def test_so_are_those_with_sixteen_bits() -> None:
    deep = Image.fromarray(np.asarray(_halves("L", 20, 128)).astype(np.uint16) * 257)
    seen = _seen(_file(deep))
    assert deep.mode == "I;16" and seen[14, 7].tolist() == [20, 20, 20] and seen[14, 48].tolist() == [128, 128, 128]


def test_a_jpeg_for_print_is_seen() -> None:
    seen = _seen(_file(_halves().convert("CMYK"), "JPEG", quality=95))
    assert seen[14, 7, 0] > 200 and seen[14, 7, 1:].max() < 60


def test_of_an_animation_the_first_frame_is_seen() -> None:
    frames = [Image.new("RGB", (28, 28), color) for color in ("red", "blue", "lime")]
    for format in ("GIF", "WEBP", "PNG"):
        data = _file(frames[0], format, save_all=True, append_images=frames[1:], duration=10)
        assert np.abs(_seen(data)[14, 14].astype(int) - (255, 0, 0)).max() < 8, format


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6"])
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
def test_broken_exif_does_not_break_the_picture(format: str, exif: bytes) -> None:
    assert _seen(_file(_halves(), format, exif=exif)).shape == (28, 56, 3)


def test_a_jpeg_of_many_scans_is_refused_before_it_is_opened() -> None:
    """338 KB of them at 79 million pixels took 21 s; 20 MB would take half an hour."""
    whole = _file(_halves(size=(280, 280)), "JPEG", progressive=True)
    starts = [n for n in range(len(whole)) if whole[n : n + 2] == b"\xff\xda"]
    assert len(starts) > 1 and _picture(whole)
    again = whole[starts[-1] : -2]
    assert _picture(whole[:-2] + again * (100 - len(starts)) + whole[-2:])
    assert "more than 100 scans" in _refused(whole[:-2] + again * 100 + whole[-2:])


@pytest.mark.parametrize(("limit", "most"), [("MOST_SEEN", 3 * 28 * 28), ("MOST_OPENED", 300_000)])
def test_pictures_of_a_request_have_one_limit(limit: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, limit, most)
    chunks = [ImageChunk(data=_file(Image.new("RGB", (28, 28), (n, 0, 0))), at=f"{n}") for n in range(4)]
    album = Album(Pictures(_VISION))
    assert [album.of(chunk).pixels[0] for chunk in chunks[:3]] == [0, 1, 2]
    with pytest.raises(RequestError, match="too large together") as refused:
        album.of(chunks[3])
    assert refused.value.param == "3"


def test_a_picture_that_a_request_has_twice_takes_memory_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 0)
    monkeypatch.setattr(module, "MOST_SEEN", 56 * 28)
    album = Album(Pictures(_VISION))
    png, webp = (ImageChunk(data=_file(_halves(), format, lossless=True)) for format in ("PNG", "WEBP"))
    assert album.of(png) is album.of(webp)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%PDF-1.7 and so on", b"<svg></svg>", b"BM" + bytes(60), b"II*\0" + bytes(60)]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert "no PNG, JPEG, WebP or GIF" in _refused(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_file_that_is_cut_is_refused(format: str) -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    data = _file(image, format)
    for end in (13, len(data) // 2):
        assert "broken" in _refused(data[:end])


def _png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "size", [(20_000, 20_000), (9_000, 9_000), (2**31 - 1, 2**31 - 1), (MOST_PIXELS + 1, 1), (65_536, 1), (1, 65_536)]
)
def test_a_bomb_is_refused_by_its_size_before_it_is_opened(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_upright", None)  # whoever opened it would fail
    assert "pixels" in _refused(_png(*size, zlib.compress(bytes(1000))))


def test_a_long_thin_picture_is_seen() -> None:
    picture = _picture(_file(Image.new("RGB", (5000, 10))))
    assert (picture.columns, picture.rows) == (55, 1)


def test_equal_pictures_have_equal_keys_and_others_do_not() -> None:
    png, webp = _file(_halves()), _file(_halves(), "WEBP", lossless=True)
    assert _picture(png).key == _picture(webp).key
    assert _picture(png).key != _picture(_file(_halves(right="lime"))).key
    flat, tall = Image.new("RGB", (56, 28)), Image.new("RGB", (28, 56))  # the same pixels in a row
    assert _picture(_file(flat)).pixels == _picture(_file(tall)).pixels
    assert _picture(_file(flat)).key != _picture(_file(tall)).key


def test_a_file_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, data = Pictures(_VISION), _file(_halves())
    first = pictures.of(ImageChunk(data=data))
    monkeypatch.setattr(module, "format_of", None)
    assert pictures.of(ImageChunk(data=data)) is first


def test_a_large_file_is_opened_in_a_process_and_seen_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [_file(_halves(), format) for format in ("JPEG", "WEBP")]
    here = [_picture(data) for data in files]
    monkeypatch.setattr(picture_process, "LARGE", 0)
    monkeypatch.setattr(module, "_upright", None)  # whoever opened one here would fail
    assert [_picture(data) for data in files] == here
    assert "is broken and cannot be read as PNG" in _refused(_file(_halves())[:60])


def test_a_large_file_that_takes_too_long_or_cannot_be_opened_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_process, "LARGE", 0)
    data = _file(_halves())
    monkeypatch.setattr(picture_process, "TIME_S", 0.01)
    assert "takes more than 0.01 s" in _refused(data)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "the system gives no process" in _refused(data)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    monkeypatch.setattr(picture_process, "TIME_S", 60.0)
    assert "its process ended with status 1" in _refused(data)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 2 * 3 * 28 * 28)
    pictures = Pictures(_VISION)
    files = [_file(Image.new("RGB", (28, 28), (n, 0, 0))) for n in range(3)]
    kept = [pictures.of(ImageChunk(data=data)) for data in files]
    assert pictures.of(ImageChunk(data=files[2])) is kept[2] and pictures.of(ImageChunk(data=files[1])) is kept[1]
    assert pictures.of(ImageChunk(data=files[0])) is not kept[0]


def test_neither_a_dump_nor_a_name_of_a_part_has_its_bytes() -> None:
    part = ImageChunk(data=b"\x89secret")
    assert part.model_dump(mode="json") == {"type": "image"} and "secret" not in repr(part)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:.*:UserWarning")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_files_with_wrong_bytes_are_seen_or_refused_in_words(format: str) -> None:
    whole, draw = _file(_halves(), format), random.Random(11)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        with contextlib.suppress(RequestError):
            assert _picture(bytes(data)).pixels
