"""From tokens to events: golden answers in each format, the same for any way of cutting them into pieces."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggufrun.chat.output import ChoiceOutput
from ggufrun.chat.parse_call import Delta, new_call_id
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import TextDelta, ThinkingDelta, ToolCallDelta
from tests.fakes import MISTRAL_SPECIALS, FakeVocabulary

MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
VOCABULARY = FakeVocabulary()
MARKED = FakeVocabulary((*MISTRAL_SPECIALS, *MARKERS))  # as some have them: control tokens that would not print

PLAIN = OutputStyle()
MISTRAL = OutputStyle("tokens", False, "mistral", VOCABULARY.special)
MISTRAL_THINKING = OutputStyle("tokens", True, "mistral", VOCABULARY.special)
QWEN = OutputStyle("markers", False, "hermes")
R1 = OutputStyle("markers", True, "none")
HERMES = OutputStyle("none", False, "hermes")
MAGISTRAL_TEXT = OutputStyle("markers", False, "mistral", VOCABULARY.special)

Part = tuple[Any, ...]


def parts(deltas: Sequence[Delta]) -> list[Part]:
    """The events with neighbours joined: ("text", …), ("thinking", …, closed), ("call", index, id, name, arguments)."""
    joined: list[Part] = []
    for delta in deltas:
        last: Part = joined[-1] if joined else ("",)
        match delta:
            case TextDelta(text):
                joined[-1:] = [("text", last[1] + text)] if last[0] == "text" else [last, ("text", text)]
            case ThinkingDelta(text, closed=closed):
                goes_on = last[0] == "thinking" and not last[2]
                joined[-1:] = [("thinking", last[1] + text, closed)] if goes_on else [last, ("thinking", text, closed)]
            case ToolCallDelta(index, id, name, arguments) if id:
                assert name
                joined[-1:] = [last, ("call", index, id, name, arguments)]
            case ToolCallDelta(index, "", "", arguments):
                assert last[:2] == ("call", index)
                joined[-1:] = [(*last[:4], last[4] + arguments)]
            case _:
                raise AssertionError(delta)
        joined = [part for part in joined if part != ("",)]
    return joined


def run(
    pieces: Sequence[Sequence[int]], style: OutputStyle, vocabulary: FakeVocabulary = VOCABULARY, **options: Any
) -> list[Part]:
    ids = itertools.count()
    output = ChoiceOutput(vocabulary, style, new_id=lambda: f"id{next(ids)}", **options)
    deltas = [delta for piece in pieces for delta in output.feed(piece)]
    return parts([*deltas, *output.finish()])


def tokens_of(answer: str) -> list[int]:
    return VOCABULARY.tokenize(answer, special=True)


CALL = '{"name": "f", "arguments": {"a": "}<\\"", "b": [1]}}'
ARGUMENTS = '{"a": "}<\\"", "b": [1]}'

GOLDEN: list[tuple[str, OutputStyle, str, list[Part]]] = [
    ("plain", PLAIN, "Hé <think> [x]", [("text", "Hé <think> [x]")]),
    ("specials-print-nothing", PLAIN, "a[THINK]b[TOOL_CALLS]c", [("text", "abc")]),
    # thinking by token
    ("think", MISTRAL, "[THINK]why[/THINK]so", [("thinking", "why", True), ("text", "so")]),
    ("think-started", MISTRAL_THINKING, "why[/THINK]so", [("thinking", "why", True), ("text", "so")]),
    ("think-cut", MISTRAL, "[THINK]why", [("thinking", "why", False)]),
    ("think-empty", MISTRAL, "[THINK][/THINK]so", [("text", "so")]),
    ("think-again", MISTRAL, "[THINK]a[/THINK]b[THINK]c[/THINK]d", [
        ("thinking", "a", True), ("text", "b"), ("thinking", "c", True), ("text", "d")]),
    ("think-then-call", MISTRAL, "[THINK]a[TOOL_CALLS]f[ARGS]{}", [
        ("thinking", "a", True), ("call", 0, "id0", "f", "{}")]),
    # thinking by marker
    ("mark", QWEN, "<think>\nwhy\n</think>\n\nso", [("thinking", "why", True), ("text", "so")]),
    ("mark-spaced", QWEN, "\n<think> a\n\nb </think>so\n", [("thinking", "a\n\nb", True), ("text", "so\n")]),
    ("mark-empty", QWEN, "<think>\n\n</think>\n\nso", [("text", "so")]),
    ("mark-cut", QWEN, "<think>why</thin", [("thinking", "why</thin", False)]),
    ("mark-started", R1, "why < </think>\nso</think>", [("thinking", "why <", True), ("text", "so</think>")]),
    ("mark-later-is-text", QWEN, "Use <think> and </think>.", [("text", "Use <think> and </think>.")]),
    ("mark-begun-only", QWEN, " <thin", [("text", " <thin")]),
    ("mark-with-token-calls", MAGISTRAL_TEXT, "<think>a</think>b[TOOL_CALLS]f[ARGS]{}", [
        ("thinking", "a", True), ("text", "b"), ("call", 0, "id0", "f", "{}")]),
    # Mistral's calls, v11 and later
    ("v11", MISTRAL, f"[TOOL_CALLS]f[ARGS]{ARGUMENTS}", [("call", 0, "id0", "f", ARGUMENTS)]),
    ("v11-id", MISTRAL, "[TOOL_CALLS]f[CALL_ID]abcDEF123[ARGS]{}", [("call", 0, "abcDEF123", "f", "{}")]),
    ("v11-bad-id", MISTRAL, "[TOOL_CALLS]f[CALL_ID]12[ARGS]{}", [("call", 0, "id0", "f", "{}")]),
    ("v13-two", MISTRAL, 'ok[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS] g.h [ARGS] {"b": {}}', [
        ("text", "ok"), ("call", 0, "id0", "f", '{"a": 1}'), ("call", 1, "id1", "g.h", '{"b": {}}')]),
    ("v13-text-behind", MISTRAL, "[TOOL_CALLS]f[ARGS]{}\n done", [("call", 0, "id0", "f", "{}"), ("text", "done")]),
    ("v13-no-args-token", MISTRAL, '[TOOL_CALLS]f {"a": 1}', [("call", 0, "id0", "f", '{"a": 1}')]),
    ("v13-cut", MISTRAL, '[TOOL_CALLS]f[ARGS]{"a": "b', [("call", 0, "id0", "f", '{"a": "b')]),
    ("v13-no-object", MISTRAL, "[TOOL_CALLS]f[ARGS] 12", [("text", "f 12")]),
    ("v13-name-only", MISTRAL, "[TOOL_CALLS]f", [("text", "f")]),
    ("v13-prose", MISTRAL, "[TOOL_CALLS]I will call f", [("text", "I will call f")]),
    ("v13-no-args", MISTRAL, "[TOOL_CALLS]f[ARGS][TOOL_CALLS]g[ARGS]{}", [
        ("text", "f"), ("call", 0, "id0", "g", "{}")]),
    ("v11-id-prose", MISTRAL, "[TOOL_CALLS]f[CALL_ID]no (", [("text", "fno (")]),
    # Mistral's calls, v3 and v7
    ("v3", MISTRAL, f"[TOOL_CALLS] [{CALL}]", [("call", 0, "id0", "f", ARGUMENTS)]),
    ("v3-two", MISTRAL, f'[TOOL_CALLS][{CALL}, {{"name": "g", "arguments": {{}}, "id": "abcDEF123"}}]', [
        ("call", 0, "id0", "f", ARGUMENTS), ("call", 1, "id1", "g", "{}")]),
    ("v3-bare", MISTRAL, f"[TOOL_CALLS]{CALL} ok", [("call", 0, "id0", "f", ARGUMENTS), ("text", "ok")]),
    ("v3-bad-first", MISTRAL, '[TOOL_CALLS][{"x": 1}]', [("text", '[{"x": 1}]')]),
    ("v3-bad-second", MISTRAL, f'[TOOL_CALLS][{CALL}, {{"x": 1}}]', [
        ("call", 0, "id0", "f", ARGUMENTS), ("text", ', {"x": 1}]')]),
    ("v3-cut", MISTRAL, '[TOOL_CALLS][{"name": "f", "arg', [("text", '[{"name": "f", "arg')]),
    ("v3-cut-in-arguments", MISTRAL, '[TOOL_CALLS][{"name": "f", "arguments": {"a', [("call", 0, "id0", "f", '{"a')]),
    ("v3-empty", MISTRAL, "[TOOL_CALLS][", [("text", "[")]),
    # Hermes' and Qwen's calls
    ("hermes", HERMES, f"Yes.\n<tool_call>\n{CALL}\n</tool_call>", [
        ("text", "Yes.\n"), ("call", 0, "id0", "f", ARGUMENTS)]),
    ("hermes-two", QWEN, f"<think>a</think>\n<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>\n", [
        ("thinking", "a", True), ("call", 0, "id0", "f", ARGUMENTS), ("call", 1, "id1", "f", ARGUMENTS)]),
    ("hermes-arguments-first", HERMES, '<tool_call>{"arguments": {"é": 1}, "name": "f"}</tool_call>', [
        ("call", 0, "id0", "f", '{"é": 1}')]),
    ("hermes-string-arguments", HERMES, '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', [
        ("call", 0, "id0", "f", '{"a": 1}')]),
    ("hermes-parameters", HERMES, '<tool_call>{"name": "f", "parameters": {}}</tool_call>', [
        ("call", 0, "id0", "f", "{}")]),
    ("hermes-no-arguments", HERMES, '<tool_call>{"name": "f"}</tool_call>', [("call", 0, "id0", "f", "{}")]),
    ("hermes-never-closed", HERMES, f"<tool_call>{CALL} and so", [
        ("call", 0, "id0", "f", ARGUMENTS), ("text", "and so")]),
    ("hermes-brace-missing", HERMES, f"<tool_call>{CALL[:-1]}\n</tool_call> x", [
        ("call", 0, "id0", "f", ARGUMENTS), ("text", "x")]),
    ("hermes-close-cut", HERMES, f"<tool_call>{CALL}\n</tool", [("call", 0, "id0", "f", ARGUMENTS)]),
    ("hermes-prose", HERMES, "<tool_call>none</tool_call>", [("text", "<tool_call>none</tool_call>")]),
    ("hermes-no-name", HERMES, '<tool_call>{"a": 1}</tool_call>', [("text", '<tool_call>{"a": 1}</tool_call>')]),
    ("hermes-not-json", HERMES, "<tool_call>{a}</tool_call>.", [("text", "<tool_call>{a}</tool_call>.")]),
    ("hermes-bad-then-good", HERMES, f"<tool_call>no<tool_call>{CALL}", [
        ("text", "<tool_call>no"), ("call", 0, "id0", "f", ARGUMENTS)]),
    ("hermes-cut", HERMES, '<tool_call>{"name"', [("text", '<tool_call>{"name"')]),
    ("hermes-marker-cut", HERMES, "so <tool_c", [("text", "so <tool_c")]),
    ("hermes-half-surrogate", HERMES, '<tool_call>{"arguments": {"a": "\\ud800"}, "name": "f"}', [
        ("call", 0, "id0", "f", '{"a": "\\ud800"}')]),
]  # fmt: skip

golden = pytest.mark.parametrize(
    ("style", "answer", "wanted"), [case[1:] for case in GOLDEN], ids=[c[0] for c in GOLDEN]
)


@golden
def test_golden_answers_token_by_token(style: OutputStyle, answer: str, wanted: list[Part]) -> None:
    assert run([[token] for token in tokens_of(answer)], style) == wanted


@golden
def test_golden_answers_at_once(style: OutputStyle, answer: str, wanted: list[Part]) -> None:
    assert run([tokens_of(answer)], style) == wanted


@golden
def test_golden_answers_in_two_pieces(style: OutputStyle, answer: str, wanted: list[Part]) -> None:
    tokens = tokens_of(answer)
    for at in range(1, len(tokens)):
        assert run([tokens[:at], tokens[at:]], style) == wanted, at


FRAGMENTS = [
    *("[THINK]", "[/THINK]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", *MARKERS),
    *(
        "{",
        "}",
        "[",
        "]",
        '"',
        "\\",
        ",",
        ":",
        "<",
        " ",
        "\n",
        "f",
        "é",
        '"name": "f"',
        '"arguments": {',
        CALL,
        ARGUMENTS,
    ),
]
STYLES = [PLAIN, MISTRAL, MISTRAL_THINKING, QWEN, R1, HERMES, MAGISTRAL_TEXT]


@settings(max_examples=3 * settings().max_examples)
@given(
    st.lists(st.sampled_from(FRAGMENTS), max_size=14),
    st.sampled_from(STYLES),
    st.lists(st.sampled_from([" ", "}", "f<", "é"]), max_size=2),
    st.data(),
)
def test_any_answer_in_any_pieces_gives_the_same_events(
    fragments: list[str], style: OutputStyle, stops: list[str], data: st.DataObject
) -> None:
    vocabulary = data.draw(st.sampled_from([VOCABULARY, MARKED]))
    tokens = vocabulary.tokenize("".join(fragments), special=True)
    options: dict[str, Any] = {"stops": stops, "single_call": data.draw(st.booleans()), "vocabulary": vocabulary}
    pieces: list[list[int]] = []
    while tokens:
        size = data.draw(st.integers(1, 9))
        pieces.append(tokens[:size])
        tokens = tokens[size:]
    tokens = [token for piece in pieces for token in piece]
    whole = run([tokens], style, **options)
    assert run(pieces, style, **options) == whole
    assert run([[token] for token in tokens], style, **options) == whole


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14), st.sampled_from(STYLES))
def test_no_text_is_lost_but_markers_and_white_space(fragments: list[str], style: OutputStyle) -> None:
    """Each letter of an answer, but those of markers and of a call's frame, comes out somewhere, in order."""
    answer = "".join(fragments)
    out = "".join(part[3] + part[4] if part[0] == "call" else part[1] for part in run([tokens_of(answer)], style))
    if '"name"' not in answer:
        for marker in (*MISTRAL_SPECIALS, *MARKERS):
            answer, out = answer.replace(marker, ""), out.replace(marker, "")
        for letter in "é\\:":
            assert out.count(letter) == answer.count(letter)


def test_a_stop_string_ends_text_but_not_thinking_or_arguments() -> None:
    answer = '[THINK]STOP[/THINK]go[TOOL_CALLS]f[ARGS]{"a": "STOP"}[TOOL_CALLS]f[ARGS]{} so STOP it'
    assert run([tokens_of(answer)], MISTRAL, stops=["STOP"]) == [
        ("thinking", "STOP", True),
        ("text", "go"),
        ("call", 0, "id0", "f", '{"a": "STOP"}'),
        ("call", 1, "id1", "f", "{}"),
        ("text", "so "),
    ]


def test_a_stop_string_does_not_reach_over_a_call() -> None:
    answer = "ST[TOOL_CALLS]f[ARGS]{}OP"
    wanted = [("text", "ST"), ("call", 0, "id0", "f", "{}"), ("text", "OP")]
    assert run([tokens_of(answer)], MISTRAL, stops=["STOP"]) == wanted


def test_stopped_output_says_nothing_more() -> None:
    output = ChoiceOutput(VOCABULARY, PLAIN, stops=["."])
    assert output.feed(tokens_of("One. Two.")) == [TextDelta("One")]
    assert output.stopped
    assert output.feed(tokens_of("Three")) == [] == output.finish()


def test_a_single_call_ends_the_answer() -> None:
    output = ChoiceOutput(VOCABULARY, MISTRAL, single_call=True)
    deltas = output.feed(tokens_of('ok[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}'))
    assert [part[-1] for part in parts(deltas)] == ["ok", '{"a": 1}']
    assert output.stopped
    assert output.called


def test_tokens_of_one_event_make_one_delta() -> None:
    output = ChoiceOutput(VOCABULARY, HERMES, stops=["never"])
    assert output.feed(tokens_of("one n two <b>")) == [TextDelta("one n two <b>")]
    deltas = output.feed(tokens_of(f"<tool_call>{CALL}</tool_call>"))
    assert len(deltas) == 1
    assert isinstance(deltas[0], ToolCallDelta)
    assert (deltas[0].name, deltas[0].arguments) == ("f", ARGUMENTS)


def test_arguments_come_while_they_are_written() -> None:
    for style, head in (
        (MISTRAL, "[TOOL_CALLS]f[ARGS]"),
        (MISTRAL, '[TOOL_CALLS][{"name": "f", "arguments":'),
        (HERMES, '<tool_call>{"name": "f", "arguments":'),
    ):
        output = ChoiceOutput(VOCABULARY, style)
        assert output.feed(tokens_of(head)) == []
        pieces = [output.feed([token]) for token in tokens_of('{"a": 1}')]
        assert [delta.arguments for (delta,) in pieces if isinstance(delta, ToolCallDelta)] == list('{"a": 1}')


def test_ids_are_what_mistrals_validator_accepts() -> None:
    ids = {new_call_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == 9 and each.isascii() and each.isalnum() for each in ids)


def test_half_a_character_before_a_structural_token() -> None:
    tokens = [VOCABULARY.special["[THINK]"], *"é".encode()[:1], VOCABULARY.special["[/THINK]"], *"é".encode()]
    wanted = [("thinking", "\ufffd", True), ("text", "é")]
    assert run([tokens], MISTRAL) == wanted == run([[token] for token in tokens], MISTRAL)


def test_special_tokens_named_as_markers_are_read() -> None:
    """Vocabularies that hold <think> and <tool_call> as control tokens."""
    pieces = [MARKED.tokenize(text, special=True) for text in ("<think>a</think>", f"<tool_call>{CALL}</tool_call>")]
    assert len(pieces[0]) == 3
    assert run(pieces, QWEN, MARKED) == [("thinking", "a", True), ("call", 0, "id0", "f", ARGUMENTS)]


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner, max_size=3)))
def test_any_arguments_survive(value: Any) -> None:
    arguments = json.dumps({"a": value}, ensure_ascii=False)
    for style, answer in (
        (MISTRAL, f"[TOOL_CALLS]f[ARGS]{arguments}"),
        (MISTRAL, f'[TOOL_CALLS][{{"name": "f", "arguments": {arguments}}}]'),
        (HERMES, f'<tool_call>{{"name": "f", "arguments": {arguments}}}</tool_call>'),
        (HERMES, f'<tool_call>{{"arguments": {arguments}, "name": "f"}}</tool_call>'),
    ):
        head, *rest = answer.split(arguments)
        tokens = [*tokens_of(head), *arguments.encode(), *(token for text in rest for token in tokens_of(text))]
        assert run([tokens], style) == [("call", 0, "id0", "f", arguments)]
