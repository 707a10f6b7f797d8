"""Chat templates and special tokens of real vocabularies, as a process with llama.cpp reads them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ggufrun.chat.mistral import MistralEncoder
from ggufrun.chat.tekken import rebuild_tekkenizer
from ggufrun.doctor.difference import first_difference
from ggufrun.doctor.finding import Finding
from ggufrun.doctor.reading import findings, read_in_a_process
from ggufrun.doctor.template_check import check_template
from ggufrun.doctor.vocabulary_check import check_vocabulary
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.weights.header import read_header
from tests.doctor.files import V13, V15, with_bytes, with_text

KEY = "tokenizer.chat_template"
Tiny = Callable[[str], Path]


def found(all_: Iterable[Finding], topic: str) -> Finding:
    return next(finding for finding in all_ if finding.topic == topic)


@dataclass(frozen=True)
class Mistral:
    """A vocabulary, read once, and mistral-common's encoder over it."""

    vocabulary: LlamaVocabulary
    encoder: MistralEncoder

    def check(self, template: str) -> list[Finding]:
        return list(check_template(self.vocabulary, template, self.encoder))


@pytest.fixture(scope="module")
def v13(tiny_model: Tiny) -> Iterator[Mistral]:
    vocabulary = LlamaVocabulary.from_path(tiny_model("mistral3-v13"))
    yield Mistral(vocabulary, MistralEncoder(rebuild_tekkenizer(vocabulary)))
    vocabulary.close()


@pytest.mark.parametrize(("version", "template"), [("v13", V13), ("v15", V15)])
def test_a_template_that_is_right(tiny_model: Tiny, tmp_path: Path, version: str, template: str) -> None:
    source = tiny_model(f"mistral3-{version}")
    all_ = list(findings(with_text(source, tmp_path / "model.gguf", KEY, template), ""))
    assert {finding.level for finding in all_} == {"ok"}
    assert "exactly as mistral-common" in found(all_, "chat template").says


def test_a_space_too_many(v13: Mistral) -> None:
    wrong = V13.replace("'[INST]' +", "'[INST] ' +")
    finding = found(v13.check(wrong), "chat template")
    assert (finding.level, "7 of 7" in finding.says) == ("warning", True)
    assert finding.shown[:4] == (
        "one question:",
        "mistral-common: <s>[INST]What is 2 + 2?[/INST]",
        "the template:   <s>[INST] What is 2 + 2?[/INST]",
        "                         ^",
    )


@pytest.mark.parametrize(
    ("right", "wrong", "conversations"),
    [
        ("(tools | tojson)", "(tools | tojson | replace(': ', ':'))", "tools, tool result, two tools at once, and on"),
        ("'[TOOL_RESULTS]' + message", "'[TOOL_RESULTS] ' + message", "tool result, two tools at once, and on"),
        ("'[THINK]' +", "'[THINK]\\n' +", "thinking"),
        ("+ messages[0]['content'] +", "+ messages[0]['content'] | upper +", "system prompt"),
    ],
)
def test_what_differs_is_named(v13: Mistral, right: str, wrong: str, conversations: str) -> None:
    assert right in V13
    finding = found(v13.check(V13.replace(right, wrong)), "chat template")
    assert (finding.level, conversations in finding.says) == ("warning", True)


def test_a_template_that_refuses(v13: Mistral) -> None:
    template = "{%- if tools %}{{ raise_exception('No tools, please.') }}{%- endif %}" + V13
    finding = found(v13.check(template), "chat template")
    assert (finding.level, "No tools, please" in " ".join(finding.shown)) == ("warning", True)


def test_a_template_with_a_system_prompt_of_its_own(v13: Mistral) -> None:
    own = "{%- else %}{{ '[SYSTEM_PROMPT]You are Mistral.[/SYSTEM_PROMPT]' }}{%- set turns = messages %}"
    all_ = v13.check(V13.replace("{%- else %}{%- set turns = messages %}", own))
    assert found(all_, "system prompt").level == "note"
    assert found(all_, "chat template").level == "ok"


def test_no_jinja(v13: Mistral) -> None:
    """Where mistral-common writes the prompts, a model can be used all the same."""
    assert found(v13.check("{% if [INST] %}"), "chat template").level == "warning"
    assert found(check_template(v13.vocabulary, "{% if %}", None), "chat template").level == "fault"


def test_no_template(v13: Mistral) -> None:
    assert found(v13.check(""), "chat template").level == "note"
    assert found(check_template(v13.vocabulary, "", None), "chat template").level == "warning"


def test_a_template_of_another_family(tiny_model: Tiny) -> None:
    """Nothing to compare with: what it has no place for is said."""
    all_ = list(findings(tiny_model("llama-tiny"), ""))
    finding = found(all_, "chat template")
    assert (finding.level, "leaves out 'get_forecast'" in " ".join(finding.shown)) == ("note", True)
    assert found(all_, "control tokens").level == "ok"


def test_a_control_token_that_is_missing(tiny_model: Tiny, tmp_path: Path) -> None:
    source = tiny_model("mistral3-v13")
    copy = with_bytes(source, tmp_path / "no-args.gguf", b"\x06\0\0\0\0\0\0\0[ARGS]", b"\x06\0\0\0\0\0\0\0[ARGZ]")
    finding = found(check_vocabulary(read_header(copy), "v13"), "control tokens")
    assert (finding.level, finding.says.startswith("[ARGS]: ")) == ("fault", True)


def test_a_control_token_that_is_ordinary_text(tiny_model: Tiny, tmp_path: Path) -> None:
    """Token types are 32-bit numbers in a row: 3 is a control token, 1 an ordinary one."""
    source = tiny_model("mistral3-v13")
    types = b"\3\0\0\0" * 1000
    wrong = types[:12] + b"\1\0\0\0" + types[16:]
    copy = with_bytes(source, tmp_path / "plain.gguf", b"\0" * 4 + types + b"\1\0\0\0", b"\0" * 4 + wrong + b"\1\0\0\0")
    finding = found(check_vocabulary(read_header(copy), "v13"), "control tokens")
    assert (finding.level, finding.says.startswith("[INST]: ")) == ("fault", True)


def test_an_embedding_model_needs_no_template(tiny_model: Tiny) -> None:
    assert [finding.topic for finding in findings(tiny_model("bert-tiny"), "")] == ["tokenizer"]


def test_in_a_process_of_its_own(tiny_model: Tiny, tmp_path: Path) -> None:
    assert found(read_in_a_process(tiny_model("llama-tiny"), None), "tokenizer").level == "ok"
    copy = with_bytes(
        tiny_model("llama-tiny"), tmp_path / "odd.gguf", b"\5\0\0\0\0\0\0\0gpt-2", b"\5\0\0\0\0\0\0\0gpt-9"
    )
    (finding,) = read_in_a_process(copy, None)
    assert (finding.level, "gpt-9" in finding.says) == ("fault", True)


def test_differences_are_shown_with_their_spaces() -> None:
    left, right = "x" * 60 + "one\ntwo", "x" * 60 + "one two"
    assert first_difference("a", left, "bb", right) == (
        "a:  …" + "x" * 37 + "one\\ntwo",
        "bb: …" + "x" * 37 + "one two",
        " " * 45 + "^",
    )
    assert first_difference("a", "same", "b", "same") == ()
    assert first_difference("a", "short", "b", "short and more")[0] == "a: short(it ends here)"
