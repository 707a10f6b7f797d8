"""Mistral's and OpenAI's SDKs for Node.js on scripted answers: `scripts/*_scenes.mjs`, one start of Node.js each."""

import json
import time
from pathlib import Path

import pytest

from tests.clients.node import run_node
from tests.clients.scenes import CODES, ERRORS, PARAMS, Stage, on_stage, sentence_of

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("sdk", ["mistral", "openai"])
def test_scenes(sdk: str) -> None:
    stage = Stage()
    expected = {
        name: {"message": sentence_of(name), "code": CODES.get(name), "param": PARAMS.get(name)} for name in ERRORS
    }
    with on_stage(stage) as address:
        script = (SCRIPTS / f"{sdk}_scenes.mjs").read_text()
        assert run_node(script, ADDRESS=address, ERRORS=json.dumps(expected)) == "fine\n"
        assert stage.asked["500"] == {"mistral": 1, "openai": 2}[sdk]  # OpenAI's asks once in each of two tests
        deadline = time.monotonic() + 60
        while not stage.playing[-1].ended and time.monotonic() < deadline:
            time.sleep(0.005)
        assert stage.playing[-1].ended == 1  # the client that left
