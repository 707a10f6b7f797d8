"""Stop strings: whatever the pieces, the text is cut at the earliest one and no part of one is let out."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.chat.markers import scan
from ggufrun.chat.stop import StopFilter


def cut(text: str, stops: list[str]) -> str:
    return text[: min([at for stop in stops if (at := text.find(stop)) != -1], default=len(text))]


def run(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    stop = StopFilter(stops)
    out = ""
    for piece in pieces:
        out += stop.feed(piece)
        if stop.hit:
            break
    if not stop.hit:
        out += stop.finish()
    return out, stop.hit


def splits(text: str) -> list[list[str]]:
    cuts = range(1, len(text))
    return [
        [text[a:b] for a, b in itertools.pairwise((0, *places, len(text)))]
        for count in range(len(text))
        for places in itertools.combinations(cuts, count)
    ]


STOPS = [["ab"], ["aab", "b"], ["abc", "b"], ["aaa"], ["a"], ["abab", "ba"], ["cab", "abc", "bca"]]


@pytest.mark.parametrize("stops", STOPS, ids=",".join)
def test_every_text_in_every_split_is_cut_at_the_earliest_stop(stops: list[str]) -> None:
    for length in range(1, 7):
        for letters in itertools.product("abc", repeat=length):
            text = "".join(letters)
            wanted = cut(text, stops), cut(text, stops) != text
            for pieces in splits(text):
                assert run(pieces, stops) == wanted, (pieces, stops)


@given(
    st.lists(st.text("abĳ\n 𝄞", max_size=9), max_size=9),
    st.lists(st.text("abĳ\n 𝄞", min_size=1, max_size=5), min_size=1, max_size=4),
)
def test_random_texts_and_stops(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    assert run(pieces, stops) == (cut(text, stops), cut(text, stops) != text)


@given(st.lists(st.text("abc", max_size=6), max_size=8), st.lists(st.text("abc", min_size=1, max_size=4), min_size=1))
def test_what_is_out_is_never_taken_back_and_only_a_beginning_is_held(pieces: list[str], stops: list[str]) -> None:
    stop, out, fed = StopFilter(stops), "", ""
    for piece in pieces:
        out += stop.feed(piece)
        fed += piece
        assert cut(fed, stops).startswith(out)
        if stop.hit:
            break
        assert out + stop.held == fed
        assert len(stop.held) < 2 * max(map(len, stops))


def test_a_long_stop_hides_a_short_one_only_until_the_end() -> None:
    stop = StopFilter(["abcd", "c"])
    assert (stop.feed("xabc"), stop.hit) == ("x", False)
    assert (stop.finish(), stop.hit) == ("ab", True)


def test_scan_names_the_marker_that_stands_there() -> None:
    assert scan("so <b>", ("<a>", "<b>")) == (3, "<b>")
    assert scan("so <", ("<a>", "<b>")) == (3, None)
    assert scan("so", ("<a>",)) == (2, None)
    assert scan("", ("<a>",)) == (0, None)
