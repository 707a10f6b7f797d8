"""The Python API on the demo model, as the README shows it, and JSON that meets its limit."""

import asyncio
import base64
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

import ggufrun
from ggufrun.chat.types import Completed, TextDelta
from ggufrun.errors import BudgetTooSmall, EngineClosed, ModelNotFound, PromptTooLong, RequestError
from ggufrun.handle import Answer, Model
from tests.random_schemas import random_schema

pytestmark = pytest.mark.model

HELLO = [{"role": "user", "content": "Name three rivers."}]


@pytest.fixture(scope="module")
def model(demo_path: Path) -> Iterator[Model]:
    with ggufrun.load(str(demo_path), context=2048, threads=1) as loaded:
        yield loaded


def test_chat_stream_and_count_agree(model: Model) -> None:
    answer = model.chat(HELLO, temperature=0, max_tokens=5)
    answer = model.chat(HELLO, temperature=0, max_tokens=5)  # as short as rounding leaves it: other cells, other sums
    events = list(model.stream(HELLO, temperature=0, max_tokens=5))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == answer.text == str(answer)
    assert isinstance(events[-1], Completed)
    assert answer.usage["prompt_tokens"] == events[-1].prompt_tokens == model.count_tokens(HELLO)
    assert answer.finish_reason in ("stop", "length") and answer.timings["model_steps"] > 0


async def test_async_code_gets_the_same(model: Model) -> None:
    plain = await asyncio.to_thread(model.chat, HELLO, temperature=0, max_tokens=5)
    answers = [await model.achat(HELLO, temperature=0, max_tokens=5) for _ in range(2)]
    assert answers[0].text == answers[1].text and plain.usage == {**answers[0].usage, **plain.usage}
    pieces = [event async for event in model.astream(HELLO, temperature=0, max_tokens=5)]
    assert "".join(event.text for event in pieces if isinstance(event, TextDelta)) == answers[0].text


def test_leaving_a_stream_stops_it(model: Model) -> None:
    for event in model.stream(HELLO, max_tokens=1500, temperature=0):
        if isinstance(event, TextDelta):
            break
    assert model.chat(HELLO, max_tokens=2).usage["completion_tokens"] <= 2


def test_what_is_wrong_is_said(model: Model) -> None:
    with pytest.raises(RequestError, match="temperature"):
        model.chat(HELLO, temprature=1)
    with pytest.raises(PromptTooLong, match="2048"):
        model.chat([{"role": "user", "content": "word " * 3000}])
    with pytest.raises(RequestError, match="role"):
        model.chat([{"role": "nobody", "content": "hi"}])
    with pytest.raises(ModelNotFound, match="demo"):
        ggufrun.load("demoo")


def test_images_are_seen(tiny_vision: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (100, 60), "red").save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": url}]
    asked = [{"role": "user", "content": parts}]
    mmproj = str(tiny_vision / "mmproj.gguf")
    with ggufrun.load(str(tiny_vision / "model.gguf"), context=512, threads=1, mmproj=mmproj) as model:
        assert model.info.capabilities.vision
        answer = model.chat(asked, temperature=0, max_tokens=2)
        assert answer.usage["prompt_tokens"] == model.count_tokens(asked) > 4 * 3 + 3
        with pytest.raises(RequestError, match="not on the public internet"):
            model.chat([{"role": "user", "content": [{"type": "image_url", "image_url": "http://127.0.0.1:1/"}]}])


def test_a_closed_model_says_so(demo_path: Path) -> None:
    loaded = ggufrun.load(str(demo_path), context=256, threads=1)
    loaded.close()
    loaded.close()
    with pytest.raises(EngineClosed):
        loaded.chat(HELLO)


async def closed(model: Model, schema: dict[str, Any], rng: random.Random) -> Answer:
    """An answer under a budget that is small, but not under what is needed."""
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    options: dict[str, Any] = {"response_format": wanted, "temperature": 1.0, "seed": rng.randrange(1000)}
    most = rng.randrange(1, 40)
    try:
        return await model.achat(HELLO, max_tokens=most, **options)
    except BudgetTooSmall as error:
        assert error.needed > most
        return await model.achat(HELLO, max_tokens=error.needed + rng.randrange(4), **options)


async def check_schemas(model: Model, count: int) -> None:
    rng = random.Random(11)
    valid = limited = 0
    for _ in range(0, count, 8):
        schemas = [random_schema(rng) for _ in range(8)]
        for schema, answer in zip(
            schemas, await asyncio.gather(*(closed(model, s, rng) for s in schemas)), strict=True
        ):
            limited += answer.finish_reason == "length"
            try:
                jsonschema.validate(json.loads(answer.text), schema)
                valid += 1
            except (ValueError, jsonschema.ValidationError) as error:
                print(schema, repr(answer.text), str(error)[:200])
    assert limited > count / 20, "the budgets were no test"
    assert valid >= 0.99 * count, f"{valid} of {count}"


async def test_json_under_small_budgets_is_valid(model: Model) -> None:
    await check_schemas(model, 48)


@pytest.mark.slow
async def test_json_under_small_budgets_is_valid_for_304_schemas(model: Model) -> None:
    await check_schemas(model, 304)
