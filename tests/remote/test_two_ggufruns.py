"""One ggufrun behind another: the same model, asked directly and through the second"""

import base64
import io
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.remote.engine_suite import CAPITAL, MODEL, Engine, EngineSuite, asked, dies_mid_stream, settings
from tests.remote.front import Front, front

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@contextmanager
def behind(home: Path, *options: str) -> Iterator[tuple[Engine, Front]]:
    """The one that has the model, with a key of its own making."""
    with front(home, *options) as running:
        (name,) = [card.id for card in running.openai().models.list()]
        yield Engine(running.address, name, "", r"ggufrun_active_requests\{"), running


@pytest.fixture(scope="module")
def engine(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with behind(tmp_path_factory.mktemp("behind"), str(demo_path), "--context", "8192") as (found, _):
        yield found


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("front"), settings=settings(engine)) as running:
        yield running


class TestTwoGgufruns(EngineSuite):
    """See there."""

    def test_prompts_and_vectors_go_through_as_well(self, engine: Engine, server: Front) -> None:
        question = {"prompt": "The capital of France is", "max_tokens": 6, "temperature": 0}
        directly = engine.openai().completions.create(model=engine.name, **question)
        through = server.openai().completions.create(model=MODEL, **question)
        assert through.choices[0].text == directly.choices[0].text


def picture(colour: str) -> dict[str, object]:
    file = io.BytesIO()
    Image.new("RGB", (56, 56), colour).save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def test_pictures_go_through(tiny_vision: Path, tmp_path: Path) -> None:
    model = str(tiny_vision / "model.gguf")
    with behind(tmp_path / "behind", model, "--context", "2048") as (engine, _):  # noqa: SIM117 - one needs the other
        with front(tmp_path / "front", settings=settings(engine)) as server:
            words = {"type": "text", "text": "What is this?"}
            answers = {}
            for colour in ("red", "white"):
                message = [{"role": "user", "content": [words, picture(colour)]}]
                directly = asked(engine.openai(), engine.name, message, max_tokens=12)
                through = asked(server.openai(), MODEL, message, max_tokens=12)
                assert through.choices[0].message.content == directly.choices[0].message.content
                assert through.usage.prompt_tokens == directly.usage.prompt_tokens > 8
                answers[colour] = through.choices[0].message.content
            assert answers["red"] != answers["white"], "the pictures were not looked at"
            (card,) = server.mistral().models.list().data
            assert card.capabilities.vision


def test_the_one_behind_is_killed(demo_path: Path, tmp_path: Path) -> None:
    with behind(tmp_path / "behind", str(demo_path), "--context", "2048") as (engine, running):  # noqa: SIM117
        with front(tmp_path / "front", settings=settings(engine)) as server:
            dies_mid_stream(server, lambda: running.process.send_signal(signal.SIGKILL))
            assert server.process.poll() is None
            assert "down" in server.post(model=MODEL, messages=CAPITAL).text
