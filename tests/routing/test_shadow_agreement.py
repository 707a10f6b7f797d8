"""When two answers agree, and what is kept of a question."""

import pytest

from ggufrun.chat.types import ChatRequest, Function, ImageChunk, Message, TextChunk, Tool
from ggufrun.routing.shadow_agreement import agreement
from ggufrun.routing.shadow_question import digest, last_question, size
from tests.routing.shadowed import answer, request


@pytest.mark.parametrize(
    ("real", "shadow", "kind"),
    [
        ("Hello there.", "  Hello\n\nthere. ", "text"),
        ("", "", "text"),
        ("Hello there.", "hello there.", "different"),
        ('{"a": 1, "b": [true, null]}', '{ "b": [true, null],\n "a": 1.0 }', "json"),
        ('{"a": 1}', '{"a": true}', "different"),
        ('{"a": 0}', '{"a": false}', "different"),
        ('["a", "b"]', '["b", "a"]', "different"),
        ('{"a": 1}', '{"a": 1, "b": null}', "different"),
        ('{"a": "x y"}', '{"a": "x  y"}', "text"),
        ('{"a": 1}', '{"a": 1', "different"),
        ("[" * 100_000, "[" * 99_999, "different"),
        ("[" * 300 + "]" * 300, "[" * 300 + " " + "]" * 300, "json"),
    ],
)
def test_texts_and_json(real: str, shadow: str, kind: str) -> None:
    found, similar = agreement(answer(real), answer(shadow))
    assert found == kind and (similar == 1.0 or kind == "different")


def test_tool_calls_decide_where_there_are_any() -> None:
    paris, rome = ("weather", '{"city": "Paris", "days": 3}'), ("weather", '{"city": "Rome", "days": 3}')
    same = ("weather", '{"days": 3.0, "city": "Paris"}')
    assert agreement(answer("I look.", paris), answer("Let me see.", same)) == ("tools", 1.0)
    kind, similar = agreement(answer("", paris), answer("", rome))
    assert kind == "different" and 0.5 < similar < 1
    for other in (answer("", paris, paris), answer("", ("time", paris[1])), answer("No tools here")):
        assert agreement(answer("", paris), other)[0] == "different"
    assert agreement(answer("", paris, rome), answer("", rome, paris))[0] == "different"  # the order is what they do
    assert agreement(answer("", ("now", "")), answer("", ("now", " "))) == ("tools", 1.0)


def test_how_similar_answers_are() -> None:
    kind, similar = agreement(answer("The quick brown fox jumps."), answer("The quick red fox jumps."))
    assert kind == "different" and similar == pytest.approx(10 / 12)
    assert agreement(answer("yes"), answer("no"))[1] == 0.0
    long = "word " * 20_000
    assert agreement(answer(long + "a"), answer(long + "b")) == ("different", 1.0)  # the first thousand words


def test_what_failed_agrees_with_nothing() -> None:
    assert agreement(answer("x"), answer("x", error="It broke off.")) == ("failed", 0.0)


def test_what_is_kept_of_a_question() -> None:
    seen = (TextChunk(text="What is"), ImageChunk(data=b"PNG"), TextChunk(text="this?"))
    asked = ChatRequest((Message(role="user", content=seen), Message(role="assistant", content="A cat.")))
    assert last_question(asked) == "What is\n(picture)\nthis?" and size(asked) == len("What isthis?A cat.") + 3
    assert last_question(ChatRequest((Message(role="system", content="Be nice."),))) == ""


def test_a_digest_is_of_all_that_is_asked() -> None:
    picture = ChatRequest((Message(role="user", content=(ImageChunk(data=b"one"),)),))
    other = ChatRequest((Message(role="user", content=(ImageChunk(data=b"two"),)),))
    tools = ChatRequest(request().messages, tools=(Tool(function=Function(name="f")),))
    different = [request(), request("Ho"), request(temperature=0.5), picture, other, tools]
    assert len({digest(each) for each in different}) == len(different)
    assert digest(request(seed=1)) == digest(request(seed=2)) == digest(request(logprobs=1))
    assert digest(request("\ud800"))  # half a character, which JSON may hold
