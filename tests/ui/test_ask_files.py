"""Attached files as parts of a message: their text, images as models take them, and what is said of bad ones."""

import base64
import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from ggufrun.errors import OptionError
from ggufrun.ui.ask.attached import Files
from ggufrun.ui.ask.content import content_of
from ggufrun.ui.ask.files import as_part, clean, from_part
from ggufrun.ui.ask.pdfs import pdf_text
from ggufrun.ui.ask.texts import text_of
from tests.ui.files import image, locked, pdf

HOSTILE = "a]\n[end of file]\n<img src=x onerror=alert(1)>\u202e.txt"
TEXTS = some.text(some.characters(exclude_categories=["Cs"])) | some.sampled_from(
    ["[end of file]", "x\n[end of file]", "[end of file]\n[end of file 2]", "[file: a]\nb\n[end of file]", "\r\n"]
)


@given(some.text(), TEXTS)
def test_a_file_is_known_again(name: str, text: str) -> None:
    part = as_part(name, text)
    assert from_part(part) == (clean(name), text)
    head, *_, last = part["text"].split("\n")
    assert head.startswith("[file") and "\n" not in clean(name) and part["text"].count(last) == 1


def test_names_are_on_one_line() -> None:
    part = as_part(HOSTILE, "text")
    assert part["text"].split("\n")[1:] == ["text", "[end of file]"] and "\u202e" not in part["text"]
    assert clean("\n\t") == "file" and len(clean("x" * 1000)) == 200


@pytest.mark.parametrize(
    "written",
    ["Hello", "", "[file: a]", "[file: a]\nb", "[file: a]\nb\n[end of file 2]", "x [file: a]\nb\n[end of file]"],
)
def test_what_the_user_wrote_is_no_file(written: str) -> None:
    assert from_part({"type": "text", "text": written}) is None
    assert from_part({"type": "image_url", "image_url": {"url": "data:"}}) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Zürich\r\n日本\rx".encode(), "Zürich\n日本\nx"),
        (b"\xef\xbb\xbf\xc3\xa9", "é"),
        ("é 日".encode("utf-16"), "é 日"),
        (b"\xfe\xff" + "é 日".encode("utf-16-be"), "é 日"),
        ("café “x” €".encode("cp1252"), "café “x” €"),
        (b"caf\xe9 \x81", "café \x81"),
        (b"\x1b[31mred\x1b[0m\tlog\x0c", "\x1b[31mred\x1b[0m\tlog\x0c"),
        (b'<svg xmlns="x"/>', '<svg xmlns="x"/>'),
    ],
)
def test_text_is_known_by_what_it_is(data: bytes, text: str) -> None:
    assert text_of("any.bin", data) == text


@pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\x00", zlib.compress(b"x" * 99), b"\xff\xfe\x00", b"a\x00b"])
def test_what_is_no_text_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(OptionError, match=r"prog\.txt is neither text, PDF nor an image"):
        text_of("prog.txt", data)


def test_too_much_text_or_none() -> None:
    with pytest.raises(OptionError, match="more than any model reads"):
        text_of("log", b"x" * 8_000_001)
    with pytest.raises(OptionError, match="is empty"):
        text_of("log", b" \n")


def test_pdfs(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf("Hello there", "", "page three"))
    text = pdf_text("a.pdf", path)
    assert text.startswith("Hello there\n") and text.endswith("page three")
    with pytest.raises(OptionError, match="takes too long"):
        pdf_text("a.pdf", path, longest_s=-1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (locked(pdf("secret")), "is locked with a password"),
        (pdf("", ""), r"no text in it.*OCR"),
        (b"%PDF-1.4\nnonsense", "is broken"),
        (pdf("Hello")[:200], "is broken"),
        (pdf(*["x"] * 2001), "2,001 pages"),
    ],
)
def test_bad_pdfs(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    with pytest.raises(OptionError, match=said):
        pdf_text("a.pdf", path)


async def sent(path: Path) -> Image.Image:
    """The image as the model gets it."""
    content = await content_of({"text": "", "files": [str(path)]})
    assert not isinstance(content, str)
    (part,) = content
    kind, _, data = part["image_url"]["url"].partition(";base64,")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{(opened.format or '').lower()}" and not opened.getexif() and opened.mode == "RGB"
    return opened


async def test_images_are_upright_small_and_bare(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a place"  # turned, and described
    turned = await sent(image(tmp_path / "a.jpg", (4000, 1000), exif=exif))
    assert turned.size == (512, 2048) and turned.getchannel("R").getpixel((256, 10)) > 200  # type: ignore[operator]  # of one channel it is a number
    assert (await sent(image(tmp_path / "a.png", (3000, 30), "RGBA"))).size == (2048, 20)
    assert (await sent(image(tmp_path / "a.webp"))).size == (40, 20)
    for mode in ("L", "P", "1", "LA", "I;16"):
        assert (await sent(image(tmp_path / f"{mode[0]}{len(mode)}.png", mode="L" if "16" in mode else mode))).format
    assert (await sent(image(tmp_path / "cmyk.jpg", mode="CMYK"))).format == "JPEG"
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (await sent(tmp_path / "a.gif")).getpixel((1, 1)) == (255, 0, 0)
    Image.new("I;16", (8, 8), 65_535).save(tmp_path / "deep.png")
    assert (await sent(tmp_path / "deep.png")).getpixel((1, 1)) == (255, 255, 255)
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "glass.png")
    assert (await sent(tmp_path / "glass.png")).getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_bad_images(tmp_path: Path) -> None:
    whole = image(tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    with pytest.raises(OptionError, match=r"cut\.png is broken"):
        await sent(tmp_path / "cut.png")
    for side, high in ((10_000, 10_000), (60_000, 60_000), (65_536, 1)):  # a few kB, which would be gigabytes
        header = b"IHDR" + side.to_bytes(4) + high.to_bytes(4) + b"\x08\x02\x00\x00\x00"
        bomb = whole[:8] + b"\x00\x00\x00\r" + header + zlib.crc32(header).to_bytes(4) + whole[33:]
        (tmp_path / f"bomb{side}.png").write_bytes(bomb)
        with pytest.raises(OptionError, match="pixels"):
            await sent(tmp_path / f"bomb{side}.png")
    photo = io.BytesIO()
    Image.effect_noise((280, 280), 90).save(photo, "JPEG", progressive=True)
    scan = photo.getvalue()[photo.getvalue().rindex(b"\xff\xda") : -2]
    for more, name in ((50, "some"), (100, "many")):  # each takes as long as the image is large
        (tmp_path / f"{name}.jpg").write_bytes(photo.getvalue()[:-2] + scan * more + b"\xff\xd9")
    await sent(tmp_path / "some.jpg")
    with pytest.raises(OptionError, match=r"many\.jpg is a JPEG of more than 100 scans"):
        await sent(tmp_path / "many.jpg")


async def test_a_message_has_its_files_first(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    found = await content_of({"text": "What is x?", "files": [str(tmp_path / "a.csv")]})
    assert found == [as_part("a.csv", "x,y\n1,2\n"), {"type": "text", "text": "What is x?"}]
    assert await content_of({"text": "Hi", "files": []}) == "Hi" and await content_of(None) == ""
    with pytest.raises(OptionError, match="is not here any more"):
        await content_of({"text": "", "files": [str(tmp_path / "gone.txt")]})
    with pytest.raises(OptionError, match="21 files are too many"):
        await content_of({"text": "", "files": ["x"] * 21})


async def test_a_file_is_read_once(tmp_path: Path) -> None:
    path, files = tmp_path / "a.txt", Files()
    path.write_text("one")
    (first,), (second,) = await files.read([str(path)]), await files.read([str(path)])
    assert first is second
    path.write_text("another")
    assert "another" in (await files.read([str(path)]))[0].part["text"]
