"""Strings with a `pattern`, closed anywhere: real vocabularies, texts that are begun, random texts, random budgets."""

import json
import random
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.encoded import EncodedPrompt
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import ChatRequest, Constraint
from ggufrun.engine import grammar as engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.types import Grammar
from ggufrun.llama.vocabulary import LlamaVocabulary
from tests.random_schemas import Rambler

pytestmark = pytest.mark.model

TEXTS = {  # pattern: what a model might write
    "[0-9]{2}-[0-9]{2}": "ab 12-34 x",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "2024-05-17",
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z": "2024-05-17T10:20:30Z",
    r"^\+?[1-9]\d{1,14}$": "+4915112345678",
    r"\+?[0-9]{1,3}[ -]?\(?[0-9]{3}\)?[ -]?[0-9]{3}-[0-9]{4}": "call +1 (555) 123-4567 now",
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "id 123e4567-e89b-12d3-a456-426614174000",
    r"\w{3,}@\w+\.com": "mail bob.lee@example.com",
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$": "bob.lee@example.co.uk",
    r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}": "bob.lee@mail.example.org",
    "^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$": "#ff8800",
    r"^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$": "v1.22.3-beta.1",
    r"^(USD|EUR|GBP) \d+\.\d{2}$": "EUR 1234.50",
    r"[$€£]\d+(\.\d{2})?": "about €12.50",
    "^[A-Z]{3}$": "ABC",
    r"\d+": "room 12",
    "[A-Z]{3}-[0-9]{4}": "sku ABC-1234",
    "^[A-Z]{2,4}-[0-9]{3,6}(-[A-Z])?$": "ABC-12345-X",
    "(red|green|blue) (car|house)": "a green house",
    "^(cat.*dog|horse.*cow)$": "horse and a cow",
    "foo.*bar": "a foo and a bar",
    r"^https?://[^\s/]+/.*\.(png|jpe?g)$": "https://example.org/a/b/photo.jpeg",
    "^INV-.*-[0-9]{4}$": "INV-ACME Ltd-2024",
    r"\.pdf$": "report.pdf",
    '"[^"]+"': 'he said "hi" ok',
    r"line\nbreak": "a line\nbreak here",
    "^.{20,}END$": "some text of a certain length END",
    "([0-9A-F]{2}:){5}[0-9A-F]{2}": "mac 00:1B:44:11:3A:B7",
    ".*[A-Z].*[0-9].*[!?]": "Is it 5?",
}


class Kit:
    """A vocabulary, and what makes grammars of it."""

    def __init__(self, vocabulary: LlamaVocabulary) -> None:
        self.vocabulary, self.compiler = vocabulary, GrammarCompiler(vocabulary)
        self._factory = GrammarFactory(vocabulary)

    def grammar(self, schema: dict[str, Any]) -> Grammar:
        request = ChatRequest(messages=(), constraint=Constraint("json_schema", schema=schema))
        made = self._factory(request, EncodedPrompt((1,), OutputStyle(), "template", ""))
        assert made is not None
        return made

    def begun(self, grammar: Grammar, text: str) -> engine.Constraint | None:
        """A constraint behind `text`, or None where the grammar does not allow it."""
        constraint = self.compiler.start(grammar)
        done = len(constraint.begin(10_000).tokens)
        tokens = self.vocabulary.tokenize("\n" + text, special=False)
        tokens = tokens[len(self.vocabulary.tokenize("\n", special=False)) :]
        while done < len(tokens):
            if not constraint.allows(tokens[done : done + 1]):
                return None
            done += len(constraint.advance(tokens[done], 10_000).tokens)
        return constraint

    def text(self, tokens: tuple[int, ...] | list[int]) -> str:
        return b"".join(self.vocabulary.piece(token) for token in tokens).decode("utf-8", "replace")


def of_both(cases: Iterable[Any], sample: Container[Any]) -> list[Any]:
    """Each case for both vocabularies. Gemma's is five times as large: all but a sample waits for the slow tests."""
    large = (pytest.param("gemma_path", case, marks=[] if case in sample else pytest.mark.slow) for case in cases)
    return [*(("demo_path", case) for case in cases), *large]


@pytest.fixture(scope="module")
def kits() -> Iterator[Callable[[Path], Kit]]:
    """By a model's file, each loaded once."""
    with ExitStack() as stack:

        def opened(path: Path) -> Kit:
            vocabulary = LlamaVocabulary.from_path(path)
            stack.callback(vocabulary.close)
            return Kit(vocabulary)

        yield cache(opened)


@pytest.fixture(params=["demo_path", "gemma_path"])
def kit(request: pytest.FixtureRequest, kits: Callable[[Path], Kit]) -> Kit:
    return kits(request.getfixturevalue(request.param))


def ticket(**keywords: Any) -> dict[str, Any]:
    properties = {"name": {"type": "string"}, "v": {"type": "string", **keywords}, "n": {"type": "integer"}}
    return {"type": "object", "properties": properties, "required": ["v", "n"], "additionalProperties": False}


@pytest.mark.parametrize(("kit", "pattern"), of_both(TEXTS, [*TEXTS][::9]), indirect=["kit"])
def test_a_string_that_is_begun_is_closed(kit: Kit, pattern: str) -> None:
    grammar = kit.grammar(ticket(pattern=pattern))
    assert grammar.shortest
    body, closings = json.dumps(TEXTS[pattern], ensure_ascii=False)[:-1], 0
    for more in ("", " zq"):
        for cut in range(1, len(body) + 1):
            begun = '{"v": ' + body[:cut] + more
            constraint = kit.begun(grammar, begun)
            if constraint is None:
                continue
            closing = constraint.closing(fits=10)
            assert closing is not None, begun
            closings += 1
    assert closings >= len(body) / 2


@pytest.mark.parametrize(("kit", "length"), of_both(("free", "long", "short"), ("long",)), indirect=["kit"])
def test_random_answers_are_closed_within_their_budget(kit: Kit, length: str) -> None:
    bounds = {"free": {}, "long": {"minLength": 25}, "short": {"maxLength": 60}}[length]
    for number, (pattern, text) in enumerate(TEXTS.items()):
        if len(text) < 25 and bounds.get("minLength") and pattern.endswith("$"):
            continue  # most of these cannot be that long
        schema = ticket(pattern=pattern, **bounds)
        grammar, rng = kit.grammar(schema), random.Random(number)
        rambler = Rambler(kit.vocabulary, rng)
        for spare in (0, 1, 20, rng.randrange(150)):
            tokens = rambler.answer(kit.compiler.start(grammar), grammar.shortest + spare)
            assert len(tokens) <= grammar.shortest + spare
            jsonschema.validate(json.loads(kit.text(tokens)), schema)


@pytest.mark.parametrize("key", ["^x-", "[0-9]{2}-[0-9]{2}", "_id$", "^a.*z$"])
def test_keys_are_closed(kit: Kit, key: str) -> None:
    schema = {"type": "object", "patternProperties": {key: {"type": "integer"}}, "additionalProperties": False}
    grammar, rambler = kit.grammar({**schema, "minProperties": 1}), Rambler(kit.vocabulary, random.Random(3))
    for spare in range(6):
        tokens = rambler.answer(kit.compiler.start(grammar), grammar.shortest + spare)
        jsonschema.validate(json.loads(kit.text(tokens)), {**schema, "minProperties": 1})
