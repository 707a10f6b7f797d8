"""Options by flag and by /set: ranges, names, and the way to JSON and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.chat.types import ChatOptions
from ggufrun.errors import OptionError
from ggufrun.terminal.options import OPTIONS, chat_options, find, given_options, options_from_json, set_option


def test_values_that_were_not_given_stay_default() -> None:
    assert chat_options({"temperature": 0.3, "top_p": None, "stop": None}) == ChatOptions(temperature=0.3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", True),
        ("top_p", 1.5),
        ("top_k", -1),
        ("top_k", 1.5),
        ("seed", 2**32 - 1),
        ("max_tokens", 0),
        ("stop", ("",)),
        ("stop", "x"),
        ("reasoning_effort", "huge"),
        ("repetition_penalty", 0.0),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=name) as caught:
        chat_options({name: value})
    assert OPTIONS[name].accepts in caught.value.hint


def test_set_reads_each_kind() -> None:
    options = ChatOptions()
    for name, text in [("temperature", "0.3"), ("top-k", "40"), ("stop", '"a b" c'), ("reasoning_effort", "high")]:
        options = set_option(options, name, text)
    assert options == ChatOptions(temperature=0.3, top_k=40, stop=("a b", "c"), reasoning_effort="high")
    assert set_option(options, "top_k", "default").top_k is None
    assert set_option(options, "stop", "default").stop is None
    assert set_option(options, "stop", "none").stop == ()
    assert set_option(options, "stop", '"none"').stop == ("none",)


@pytest.mark.parametrize(("name", "text"), [("temperature", "warm"), ("top_k", "1.5"), ("stop", '"open'), ("stop", "")])
def test_set_refuses_what_it_cannot_read(name: str, text: str) -> None:
    with pytest.raises(OptionError, match=name):
        set_option(ChatOptions(), name, text)


def test_an_unknown_option_names_its_neighbours() -> None:
    with pytest.raises(OptionError, match="temprature") as caught:
        find("temprature")
    assert "temperature" in caught.value.hint


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(0, 2),
            "top_k": st.integers(0, 1000),
            "seed": st.integers(0, 2**32 - 2),
            "stop": st.lists(st.text(min_size=1)).map(tuple),
            "repetition_penalty": st.floats(0.01, 10),
        },
    )
)
def test_options_survive_json(values: dict[str, object]) -> None:
    options = chat_options(values)
    assert options_from_json(given_options(options)) == options


def test_a_zero_is_given() -> None:
    assert given_options(chat_options({"presence_penalty": 0.0, "repetition_penalty": 1.0})) == {
        "presence_penalty": 0.0,
        "repetition_penalty": 1.0,
    }
