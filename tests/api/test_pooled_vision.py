"""A server with a model that sees and one that does not: what it says of them, and what is given back."""

import base64
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.api.pooled import Pooled, pooled


@pytest.fixture(scope="module")
def server(
    tiny_vision: Path, tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pooled]:
    """`--mmproj` is for the one model of the command line; the other comes later."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(tiny_vision / "model.gguf", folder / "eyes.gguf")
    (folder / "plain.gguf").symlink_to(tiny_model("llama-tiny"))
    given = ("--mmproj", str(tiny_vision / "mmproj.gguf"), "--context", "1024")
    with pooled(tmp_path_factory.mktemp("home"), str(folder / "eyes.gguf"), *given, "--max-loaded", "1") as running:
        added = running.admin.post("/ggufrun/v1/models", json={"spec": str(folder / "plain.gguf")})
        assert added.status_code == 201, added.text
        yield running


def picture() -> list[dict[str, Any]]:
    file = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
    return [{"role": "user", "content": parts}]


def test_what_each_can_do_is_known_before_it_is_loaded_and_after(server: Pooled) -> None:
    for _ in range(2):
        cards = {card["id"]: card["capabilities"]["vision"] for card in server.client.get("/v1/models").json()["data"]}
        assert cards == {"eyes": True, "plain": False}
        assert (server.model("eyes")["vision"], server.model("plain")["vision"]) == (True, False)
        assert server.chat("plain").status_code == 200 and server.model("eyes")["state"] == "unloaded"
    answered = server.chat("eyes", messages=picture())
    assert answered.status_code == 200 and answered.json()["usage"]["prompt_tokens"] > 96
    refused = server.chat("plain", messages=picture())
    assert refused.status_code == 422 and "no mmproj file beside plain.gguf" in refused.text


def test_unloading_gives_back_what_images_take(server: Pooled) -> None:
    assert server.chat("eyes", messages=picture()).status_code == 200
    loaded = server.model("eyes")
    assert loaded["memory_bytes"] > 256 << 20 and server.workers() == 1
    assert server.admin.post("/ggufrun/v1/models/eyes/unload").status_code == 200
    assert (server.model("eyes")["memory_bytes"], server.workers()) == (0, 0)
    assert server.model("eyes")["needs_bytes"] > 256 << 20
