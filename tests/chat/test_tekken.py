"""The tokenizer rebuilt from a GGUF's vocabulary against mistral-common with its own file."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy, TokenizerVersion
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from ggufrun.chat.tekken import PATTERN, NotTekken, rebuild_tekkenizer, version_of
from tests.chat.vocab import VERSIONS, TekkenVocabulary, published, rebuilt, special_names, tekken_json

SCRIPTS = [
    (0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF),
    (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF),
    (0x2000, 0x206F), (0x2190, 0x21FF), (0x3040, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xACFF), (0xFE00, 0xFE0F),
    (0x1F300, 0x1F64F), (0x1F900, 0x1F9FF), (0xE000, 0xE0FF), (0x0, 0x1F),
]  # fmt: skip


def _plain(tekkenizer: Tekkenizer, text: str) -> list[int]:
    return tekkenizer.encode(text, bos=False, eos=False)


@pytest.mark.parametrize("name", ["tekken_240718.json", "tekken_240911.json"])
def test_split_pattern_is_the_published_one(name: str) -> None:
    assert tekken_json(name)["config"]["pattern"] == PATTERN


def test_devanagari_has_five_tokens() -> None:
    assert _plain(rebuilt("v3"), "नमस्ते दुनिया") == [2485, 3525, 22475, 1803, 115801]


def test_three_thousand_random_strings_of_many_scripts() -> None:
    chance = random.Random(20240911)
    ours, theirs = rebuilt("v3"), published()
    for _ in range(3000):
        scripts = chance.choices(SCRIPTS, k=chance.randint(1, 3))
        text = "".join(chr(chance.randint(*chance.choice(scripts))) for _ in range(chance.randint(1, 60)))
        text = text.replace("~", chance.choice([" ", "\n", "  ", "\r\n", "'s"]))
        assert _plain(ours, text) == _plain(theirs, text), repr(text)


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    tokens = _plain(rebuilt("v3"), text)
    assert tokens == _plain(published(), text)
    assert rebuilt("v3").decode(tokens) == text


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=["Cs", "Ll", "Zs"]), max_size=20))
def test_half_surrogates_do_not_fail(text: str) -> None:
    assert _plain(rebuilt("v3"), text) == _plain(published(), text)


@pytest.mark.parametrize("version", VERSIONS)
def test_version_is_found_from_the_special_tokens(version: str) -> None:
    assert version_of(set(special_names(version))) == TokenizerVersion(version)
    assert rebuilt(version).version == TokenizerVersion(version)
    assert (rebuilt(version).model_settings_builder is not None) == (version == "v15")


def test_v3_files_with_later_special_tokens_are_known_by_their_template() -> None:
    specials = set(special_names("v7"))
    assert version_of(specials, "{{ bos_token }}[INST]{{ system }}") == TokenizerVersion.v3
    assert version_of(specials, "[SYSTEM_PROMPT]…[/SYSTEM_PROMPT][INST]") == TokenizerVersion.v7
    assert version_of(specials, "<|im_start|>") == TokenizerVersion.v7


def test_ids_bytes_and_pieces_are_the_files() -> None:
    ours, theirs = rebuilt("v3"), published()
    assert ours.n_words == theirs.n_words == 131_072
    assert ours.num_special_tokens == theirs.num_special_tokens
    for token in random.Random(3).sample(range(131_072), 5000):
        if not 17 <= token < 20:  # the published list has v7's system prompt among v3's tokens
            assert ours.id_to_piece(token) == theirs.id_to_piece(token)
        if token >= 1000:
            assert ours.id_to_byte_piece(token) == theirs.id_to_byte_piece(token)
    assert ours.vocab()[:17] == theirs.vocab()[:17]
    assert ours.id_to_byte_piece(1, SpecialTokenPolicy.KEEP) == b"<s>"


def test_control_tokens_that_a_fine_tune_appended_are_left_out() -> None:
    ours = rebuild_tekkenizer(TekkenVocabulary("v7", appended=("<|im_start|>", "<|im_end|>")))
    assert ours.n_words == 131_072
    assert _plain(ours, "नमस्ते दुनिया <|im_end|>") == _plain(published(), "नमस्ते दुनिया <|im_end|>")


def test_rebuilding_takes_under_a_second() -> None:
    vocabulary = TekkenVocabulary("v13")
    start = time.thread_time()
    rebuild_tekkenizer(vocabulary)
    assert time.thread_time() - start < 1.0


class Damaged(TekkenVocabulary):
    def __init__(self, token: int, text: str) -> None:
        super().__init__("v3")
        self._texts[token] = text


@pytest.mark.parametrize(
    ("token", "text", "reason"),
    [
        (1000, "<none>", "no byte tokens"),
        (1001, "xx", "not in order"),
        (5000, "日本", "byte-level unicode"),
        (5000, "the", "twice"),
        (7, "<s>", "twice"),
    ],
)
def test_a_vocabulary_that_is_not_tekken_is_refused(token: int, text: str, reason: str) -> None:
    with pytest.raises(NotTekken, match=reason):
        rebuild_tekkenizer(Damaged(token, text))
