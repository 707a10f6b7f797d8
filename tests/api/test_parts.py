"""An answer's parts: where they begin and end."""

from ggufrun.api.agents.parts import Begun, Ended, Grown, Parts, Step
from ggufrun.chat.types import ChatEvent, ChoiceFinished, TextDelta, ThinkingDelta, ToolCallDelta


def shown(step: Step) -> str:
    kind = f"{step.part.kind}{step.part.number}"
    match step:
        case Begun():
            return f"+{kind}"
        case Grown(_, piece):
            return f"{kind} {piece}"
        case Ended():
            return f"-{kind}"


def steps(*events: ChatEvent, given: str = "") -> list[str]:
    parts = Parts(given)
    return [shown(step) for event in events for step in parts.read(event)]


def test_a_thought_ends_where_it_is_closed() -> None:
    thoughts = ThinkingDelta("a"), ThinkingDelta("b", closed=True), ThinkingDelta("c"), ThinkingDelta("", closed=True)
    wanted = ["+thinking0", "thinking0 a", "thinking0 b", "-thinking0", "+thinking1", "thinking1 c", "-thinking1"]
    assert steps(*thoughts) == wanted


def test_what_is_empty_begins_nothing() -> None:
    assert steps(TextDelta(""), ThinkingDelta("", closed=True), TextDelta("ab"), given="ab") == []
    assert steps(TextDelta("a"), ThinkingDelta("", closed=True), TextDelta("b")) == ["+text0", "text0 a", "text0 b"]


def test_calls_between_texts() -> None:
    call = ToolCallDelta(0, "id", "f", ""), ToolCallDelta(0, "id", "", "{}"), ToolCallDelta(1, "id2", "f", "[")
    assert steps(TextDelta("a"), *call, TextDelta("b"), ChoiceFinished("stop")) == [
        *("+text0", "text0 a", "-text0"),
        *("+call1", "call1 {}", "-call1"),
        *("+call2", "call2 [", "-call2"),
        *("+text3", "text3 b", "-text3"),
    ]
