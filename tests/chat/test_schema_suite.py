"""The official JSON Schema suite as response formats: every answer is valid, or it is refused with the reason.

Against tiny models with random weights, which never write JSON by themselves. `-s` prints the table; all of it is slow:
`.venv/bin/python -m pytest -m slow -s tests/chat/test_schema_suite.py`.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from ggufrun.chat.types import ChatModel, ChatOptions, ChatRequest, Constraint, Message, TextDelta
from ggufrun.errors import BudgetTooSmall, SchemaError, SchemaNotSatisfied
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings
from tests.schema_suite import Case, cases

Outcome = Literal["valid", "refused", "not satisfied", "wrong", "cut"]
ORDER: tuple[Outcome, ...] = ("valid", "refused", "not satisfied", "wrong", "cut")
BUDGET = 160


async def answered(model: ChatModel, case: Case, *, strict: bool) -> Outcome:
    constraint = Constraint("json_schema", schema=case.fresh(), strict=strict)
    options = ChatOptions(temperature=1.0, seed=3, max_tokens=BUDGET)
    request = ChatRequest((Message(role="user", content="Answer."),), options, constraint=constraint, live=False)
    try:
        try:
            text = await told(model, request)
        except BudgetTooSmall as error:
            text = await told(model, replace(request, options=replace(options, max_tokens=error.needed)))
    except SchemaNotSatisfied as error:
        assert not strict, f"{case.name}: {error}"
        return "not satisfied"
    except SchemaError as error:
        assert error.reason and error.param == "response_format"
        return "refused"
    return judged(case, text)


async def told(model: ChatModel, request: ChatRequest) -> str:
    return "".join([event.text async for event in model.complete(request) if isinstance(event, TextDelta)])


def exact(text: str) -> int | Fraction | float:
    """The number as it is written; one with a huge exponent would fill the memory."""
    if len(text.lower().partition("e")[2]) > 3:
        return float(text)
    number = Fraction(text)
    return number.numerator if number.denominator == 1 else number


def judged(case: Case, text: str) -> Outcome:
    """jsonschema's verdict, with decimals as they are written: binary ones make 8500.8118 no multiple of 0.0001."""
    try:
        value = json.loads(text, parse_float=exact)
    except ValueError:
        return "cut"
    schema = json.loads(json.dumps(case.schema), parse_float=exact)
    if Draft202012Validator(schema, registry=Registry()).is_valid(value):
        return "valid"
    print(f"{case.name}: {json.dumps(case.schema)} <- {text}")
    return "wrong"


async def outcomes(path: Path, suite: Sequence[Case], *, strict: bool) -> Counter[Outcome]:
    engine = EngineSettings(parallel=8)
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(open_model(str(path), {"context": 8192, "threads": 1}, engine))
        turns = asyncio.Semaphore(8)

        async def one(case: Case) -> Outcome:
            async with turns, asyncio.timeout(100):
                return await answered(model, case, strict=strict)

        return Counter(await asyncio.gather(*map(one, suite)))


def table(rows: dict[str, Counter[Outcome]]) -> str:
    lines = [f"{'':28}" + "".join(f"{name:>15}" for name in ORDER)]
    lines += [f"{name:28}" + "".join(f"{counts[each]:>15}" for each in ORDER) for name, counts in rows.items()]
    return "\n".join(lines)


async def test_a_sample_of_the_suite(tiny_model: Callable[[str], Path]) -> None:
    sample = cases()[::12]
    for strict in (True, False):
        counts = await outcomes(tiny_model("llama-tiny"), sample, strict=strict)
        assert counts["wrong"] == counts["cut"] == 0
        assert counts["valid"] > len(sample) * 0.6, counts


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["llama-tiny", "mistral3-v13"])
async def test_all_of_the_suite(tiny_model: Callable[[str], Path], kind: str) -> None:
    path, suite = tiny_model(kind), cases()
    rows = {f"{kind}, strict {strict}": await outcomes(path, suite, strict=strict) for strict in (True, False)}
    print(f"\n{len(suite)} schemas\n{table(rows)}")
    for counts in rows.values():
        assert counts["wrong"] == counts["cut"] == 0
    assert rows[f"{kind}, strict True"]["valid"] >= 262
    assert rows[f"{kind}, strict False"]["refused"] <= 40
