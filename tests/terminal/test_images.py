"""Images in the terminal: attached, listed, sent with the next message, saved and read again; and what is refused."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from ggufrun.chat.types import ImageChunk, TextChunk
from ggufrun.errors import EngineCrashed, OptionError
from ggufrun.terminal import images
from ggufrun.terminal.commands import run_command
from ggufrun.terminal.images import images_of, read_image, text_of
from ggufrun.terminal.session import Session
from tests.terminal.scripted import Reply
from tests.terminal.test_chat import talk


def photo(path: Path, color: str = "red") -> Path:
    Image.new("RGB", (30, 20), color).save(path)
    return path


async def test_an_image_goes_with_the_next_message_and_stays_in_the_conversation(tmp_path: Path) -> None:
    red, blue = photo(tmp_path / "a red one.png"), photo(tmp_path / "blue.jpg", "blue")
    done = await talk(f'/image\r/image "{red}"\r/image {blue}\rWhat is it?\rAnd now?\r/retry')
    assert "No image goes with the next message" in done.shown
    assert "With the next message: a red one.png (0.1 kB), blue.jpg (" in done.shown
    first, second, again = (request.messages for request in done.model.requests)
    assert first[0].content == (*read_both(red, blue), TextChunk(text="What is it?"))
    assert second[0] == first[0] and second[-1].content == "And now?" and again == second
    assert done.session.last_text() == "And now?" and not done.session.images


def read_both(*paths: Path) -> tuple[ImageChunk, ...]:
    return tuple(map(read_image, paths))


async def test_what_was_not_answered_keeps_its_image_and_clear_and_none_forget_it(tmp_path: Path) -> None:
    path = photo(tmp_path / "red.png")
    done = await talk(f"/image {path}\rWhat is it?\r", Reply(refusal=EngineCrashed("gone")), Reply())
    first, second = (request.messages[-1] for request in done.model.requests)  # what was written is on the line again
    assert images_of(first) == images_of(second) == read_both(path) and not done.session.images
    for command in ("/image none", "/clear"):
        run_command(done.session, f"/image {path}")
        run_command(done.session, command)
        assert not done.session.images


def test_what_is_no_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "notes.png"
    text.write_text("words")
    silent = tmp_path / "silent.png"
    os.mkfifo(silent)
    session = Session("m")
    for path, says in (
        (tmp_path / "nothing.png", "No such file"),
        (text, "no image that is known"),
        (tmp_path, "director"),
        (Path("/dev/zero"), "a pipe or a device"),  # which has no end
        (silent, "a pipe or a device"),
    ):
        with pytest.raises(OptionError, match=f"{path}.*{says}"):
            run_command(session, f"/image {path}")
    monkeypatch.setattr(images, "LARGEST", 10)
    with pytest.raises(OptionError, match="too large for an image"):
        read_image(photo(tmp_path / "red.png"))
    assert not session.images


def test_a_model_that_sees_nothing_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"m cannot see images.*mmproj"):
        run_command(Session("m", sees=False), f"/image {photo(tmp_path / 'red.png')}")


async def test_a_conversation_with_images_is_saved_and_read_again(tmp_path: Path) -> None:
    path, saved = photo(tmp_path / "red.png"), tmp_path / "talk.json"
    done = await talk(f"/image {path}\rWhat is it?\r/save {saved}")
    parts = json.loads(saved.read_text())["messages"][0]["content"]
    assert parts[0]["image_url"].startswith("data:;base64,iVBOR") and parts[1] == {
        "type": "text",
        "text": "What is it?",
    }
    session = Session("m")
    run_command(session, f"/load {saved}")
    message = session.messages[0]
    assert text_of(message) == "What is it?" and images_of(message)[0].data == path.read_bytes()
    run_command(session, f"/save {saved}")
    assert json.loads(saved.read_text())["messages"][0]["content"] == parts
    for url, says in (("data:;base64,!", "base64 is broken"), ("https://x.example/a.png", "no data: URL")):
        broken = saved.read_text().replace(parts[0]["image_url"], url)
        (tmp_path / "broken.json").write_text(broken)
        with pytest.raises(OptionError, match=says):
            run_command(session, f"/load {tmp_path / 'broken.json'}")
    assert done.model.requests
