"""What the settings make of what is written into them, without a browser."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from ggufrun.chat import limits
from ggufrun.ui.served_here import not_served
from ggufrun.ui.settings.catalog import Catalog
from ggufrun.ui.settings.fields import FIELDS, NAMED
from ggufrun.ui.settings.form import template
from ggufrun.ui.settings.model_state import state_html
from ggufrun.ui.settings.sampling import UNREADABLE, efforts_of, hints_of, sampling_of, texts_of
from ggufrun.ui.settings.schema import EXAMPLE, BadSchema, refused, schema_of, told, why_unusable, written
from ggufrun.ui.settings.values import with_sampling, with_schema, with_system, with_tools

EVIL = "<img src=x onerror=alert(1)>"
STATE: dict[str, Any] = {
    "name": "demo",
    "state": "ready",
    "progress": 1.0,
    "error": "",
    "memory_bytes": 1 << 29,
    "needs_bytes": 1 << 29,
    "context": 8192,
    "quant": "Q4_1",
    "file": "demo.gguf",
    "note": "",
}


def test_nothing_is_sent_that_nobody_has_set() -> None:
    assert sampling_of(texts_of({}), {}) == ({}, {})
    assert with_sampling({"sampling": {"top_k": 3}}, {}) == {}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(0, 2),
            "top_p": st.floats(0.001, 1),
            "top_k": st.integers(0, 1000),
            "presence_penalty": st.floats(-2, 2),
            "repetition_penalty": st.floats(0.1, 10),
            "seed": st.integers(-(2**63), 2**64),
            "max_tokens": st.integers(1, 10**6),
            "stop": st.lists(
                st.text(st.characters(exclude_characters="\r", codec="utf-8"), min_size=1), min_size=1, max_size=5
            ),
            "reasoning_effort": st.sampled_from(["none", "high"]),
            "safe_prompt": st.just(True),
            "logit_bias": st.just({"5": 1}),
        },
    )
)
def test_settings_stand_in_the_fields_and_come_back(sampling: dict[str, Any]) -> None:
    assert sampling_of(texts_of(sampling), sampling) == (sampling, {})


def test_the_ranges_are_those_of_the_api() -> None:
    ranges = {name: (test, words) for name, test, words in limits._RANGES}
    values = [-3, -2, -0.5, 0, 0.001, 0.5, 1, 1.5, 2, 2.1, 10, 10.5, 5000]
    compared = [field for field in FIELDS if field.name in ranges]
    assert len(compared) == 8
    for field in compared:
        test, words = ranges[field.name]
        assert [field.fits(value) for value in values] == [test(value) for value in values], field.name
        assert field.range == words.replace(" (off)", "")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("temperature", "9", "Temperature is 9. It must be from 0 to 2."),
        ("temperature", "nan", "Temperature is nan. It must be from 0 to 2."),
        ("top_p", "0", "Top p is 0. It must be above 0 and up to 1."),
        ("top_k", "1.5", "Top k is 1.5. It must be a whole number."),
        ("max_tokens", "0", "Max tokens is 0. It must be 1 or more."),
        ("seed", UNREADABLE, "Seed is not a number. It must be a whole number."),
        ("stop", "\n".join(map(str, range(65))), "Stop strings: there are 65. Give at most 64."),
    ],
)
def test_what_is_out_of_range_is_said_and_left_out(name: str, text: str, words: str) -> None:
    texts = {**texts_of({"min_p": 0.1}), name: text}
    assert sampling_of(texts, {}) == ({"min_p": 0.1}, {name: words})


def test_a_stop_string_may_be_a_new_line() -> None:
    assert sampling_of({"stop": "\\n\nEND\n\\\\n"}, {}) == ({"stop": ["\n", "END", "\\n"]}, {})


def test_empty_fields_show_the_models_own_values() -> None:
    model = {"default_model_temperature": 0.2, "default_sampling": {"top_p": 0.9, "top_k": 0, "stop": []}}
    hints = hints_of(model)
    assert (hints["temperature"], hints["top_p"], hints["top_k"], hints["stop"]) == ("0.2", "0.9", "0", "none")
    assert hints["seed"] == "random"
    assert hints_of({})["temperature"] == NAMED["temperature"].hint
    assert efforts_of({"efforts": ["none", "high"]}) == ("none", "high")
    assert efforts_of({"efforts": []}) == ()
    assert "medium" in efforts_of(None)


def test_a_change_keeps_what_the_page_does_not_know() -> None:
    before = {"left_out": ["a"], "sampling": {"seed": 1}, "system": "Be brief."}
    assert with_system(before, "") == {"left_out": ["a"], "sampling": {"seed": 1}}
    assert with_schema(before, {})["schema"] == {}
    assert with_schema(before, False)["schema"] is False
    assert "schema" not in with_schema({"schema": {}}, None)
    assert with_tools(before, [{"type": "function"}])["tools"] == [{"type": "function"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type":\n "object",}', "Line 2, column"),
        ("[1]", "A schema is an object"),
        ("NaN", "NaN is no JSON."),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_schema_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(BadSchema, match=words):
        schema_of(text)


def test_a_schema_is_read_and_written() -> None:
    assert schema_of("  \n") is None and written(None) == ""
    assert schema_of(written(EXAMPLE)) == EXAMPLE
    assert schema_of("false") is False
    assert json.loads(written({"a": "ü"})) == {"a": "ü"} and "ü" in written({"a": "ü"})


def test_what_the_check_says_is_shown_and_never_html() -> None:
    fault = {"pointer": f"/{EVIL}", "keyword": "not", "reason": EVIL}
    check = {"usable": True, "strict": False, "refused": [fault], "checked_afterwards": [], "enforced": [fault] * 20}
    html = told(check)
    assert "Not to be enforced: 1" in html and "and 12 more" in html and "<img" not in html
    assert why_unusable(check) == "" and EVIL in why_unusable({**check, "usable": False})
    assert "<img" not in refused(EVIL, None)
    assert "Answers are not bound" in refused("x", None) and "still used" in refused("x", True)


def test_a_keyword_that_is_checked_afterwards_is_not_called_refused() -> None:
    keyword = {"pointer": "/uniqueItems", "keyword": "uniqueItems", "reason": ""}
    html = told({"usable": True, "refused": [keyword], "checked_afterwards": [keyword]})
    assert "Checked when the answer is complete: 1" in html and "Not to be enforced" not in html


def test_a_models_state_in_words() -> None:
    shown = state_html(STATE, {}, "fits")
    assert all(word in shown for word in ("loaded", "Q4_1", "512 MiB", "context 8,192", ">fits<"))
    loading = state_html({**STATE, "state": "loading", "progress": 0.42}, {})
    assert "loading 42%" in loading and 'value="42"' in loading
    failed = state_html({**STATE, "state": "failed", "error": EVIL, "quant": EVIL}, {})
    assert "could not be loaded" in failed and "<img" not in failed
    assert "too large" not in state_html(STATE, {}, "too large")  # it takes the memory itself
    assert "too large" in state_html({**STATE, "state": "unloaded"}, {}, "too large")
    assert "sees images" in state_html(None, {"max_context_length": 10, "capabilities": {"vision": True}})


def test_two_files_of_one_name_are_told_apart() -> None:
    """By their paths. What has a served one's name is chosen by its own."""
    paths = "/x/m.gguf", "/y/m.gguf"
    local = [
        {"name": name, "files": [path], "bytes": 1e9, "partial": None} for name, path in zip("mn", paths, strict=True)
    ]
    assert not_served(local, [{"name": "n", "path": "/y/m.gguf"}]) == local[:1]
    assert not_served([{**local[0], "partial": {}}], []) == []
    catalog = Catalog([{"id": "m"}], {}, local, frozenset("m"))
    assert [value for _, value in catalog.choices] == ["m", "/x/m.gguf", "n"]


def test_the_form_is_shown_as_it_is_written() -> None:
    """What the browser makes of it: see the panel's tests."""
    assert template(Markup("a`b${c}\\n")) == "a\\`b\\${c}\\\\n"


def test_what_is_served_comes_first_and_is_chosen() -> None:
    cards = [{"id": "a"}, {"id": "b"}]
    catalog = Catalog(cards, {}, [{"name": "c", "bytes": 5e9}])
    assert catalog.choices == [("a", "a"), ("b", "b"), ("c (5.00 GB, not served yet)", "c")]
    assert catalog.first(None, "b") == "b" and catalog.first("c", "") == "a"
    assert Catalog([], None, []).first("a") is None
