"""Examples of regular expressions, with llguidance's own matcher as the judge."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher

from ggufrun.chat.regex_examples import LONGEST, Beyond, regex_examples
from ggufrun.engine.grammar import build_tokenizer
from tests.fakes import FakeVocabulary

VOCABULARY = FakeVocabulary()
TOKENIZER = build_tokenizer(VOCABULARY)
END = VOCABULARY.special["</s>"]


def matches(source: str, text: str) -> bool:
    """Whether the whole text matches, by llguidance."""
    matcher = LLMatcher(TOKENIZER, LLMatcher.grammar_from_regex(source), log_level=0)
    assert not matcher.is_error(), source
    line = [*text.encode(), END]
    return matcher.validate_tokens(line) == len(line)


@pytest.mark.parametrize(
    ("source", "shortest"),
    [
        ("", ""),
        ("[0-9]{2}-[0-9]{2}", "00-00"),
        (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}Z", "0000-00-00T00:00Z"),
        (r"\(\d{3}\) \d{3}", "(000) 000"),
        (r"\w{3,}@\w+\.com", "aaa@a.com"),
        ("(cats|dog|bird) (house|food)?", "dog "),
        ("x{0,3}y{2}z?", "yy"),
        ("a{2}{3}", "aaaaaa"),
        ("a+?b*+c??", "a"),
        (r"(?<year>\d{4})/(?P<month>\d\d)", "0000/00"),
        ("(?i)a(?i:b)(?:c)", "abc"),
        ("[^a-z]{2}", "00"),
        ("[]a]x[^]a]", "axb"),
        (r"[\w.-]+", "a"),
        (r"[+\--]", "-"),
        (r"\p{Lu}\p{Ll}\pN[\p{L}]", "Aa0a"),
        (r"\x41\u0042\x{43}", "ABC"),
        (r"[\x30-\x39]", "0"),
        (r"[а-я]{2}", "жж"),
        (r"[^\x00-\x7F]", "é"),
        (r"a\nb\/c\$", "a\nb/c$"),
        (".{12}END", " " * 12 + "END"),
    ],
)
def test_the_shortest_example_comes_first(source: str, shortest: str) -> None:
    found = regex_examples(source)
    assert found[0] == shortest
    assert all(matches(source, text) for text in found)


def test_there_are_examples_of_other_branches() -> None:
    assert set(regex_examples("^(cat.*dog|horse.*cow)$")) >= {"catdog", "horsecow"}
    assert set(regex_examples("^(USD|EUR) 0(-x)?$")) >= {"USD 0", "EUR 0", "USD 0-x"}
    assert len(regex_examples("|".join(f"word{i}" for i in range(300)))) == 8


@pytest.mark.parametrize("source", ["[a-z]+", "ab*c", "(ab)+", "(a|b)*c", "(x+|y+z)", r"\d{3}-?.*"])
def test_longer_examples_are_made_on_request(source: str) -> None:
    for missing in (1, 2, 7, 30):
        longest = max(regex_examples(source, missing), key=len)
        assert len(longest) >= missing + len(regex_examples(source)[0])
        assert matches(source, longest)


@pytest.mark.parametrize(
    "source",
    [
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(?<!a)b",
        r"(a)\1",
        r"\k<x>",
        "(",
        ")",
        "a)",
        "[a",
        "*a",
        "\\",
        r"[^\s\S]",
        r"\p{Klingon}",
        f"a{{{LONGEST + 1}}}",
        "((a{99}){99}){999999}",
        "^{999999}{999999}{999999}{999999}",
        "(" * 100 + ")" * 100,
        "a" * 5000,
    ],
)
def test_what_is_beyond_has_no_example(source: str) -> None:
    with pytest.raises(Beyond):
        regex_examples(source)


@pytest.mark.parametrize(
    "source", ["[^a]?" * 800, "(a|b|c|d)?" * 400, "(a{0,512}|b)*" * 300, "(" * 30 + "a" + "*)" * 30]
)
def test_no_expression_takes_long(source: str) -> None:
    began = time.thread_time()
    regex_examples(source, 100)
    assert time.thread_time() - began < 1  # some 20 milliseconds


ATOMS = st.sampled_from(
    ["a", "0", "-", ".", "[a-f]", "[^a-z]", r"\d", r"\w", r"\s", r"\S", r"\.", r"\+", "é", r"[\w-]"]
)
QUANTIFIERS = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}", "*?"])
EXPRESSIONS = st.recursive(
    st.tuples(ATOMS, QUANTIFIERS).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.tuples(st.lists(inner, min_size=1, max_size=3).map("|".join), QUANTIFIERS).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=10,
)


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(EXPRESSIONS, st.sampled_from([0, 0, 5, 40]))
def test_random_expressions_match_their_examples(source: str, missing: int) -> None:
    for text in regex_examples(source, missing):
        assert matches(source, text), text
