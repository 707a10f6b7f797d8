"""Shadow answers as HTML: what is shown of a summary, a list and a pair, and that none of it is obeyed."""

import re
from typing import Any

from ggufrun.ui.shadow.pairs import as_pair, as_pairs
from ggufrun.ui.shadow.summary import as_summary

RUNS = "<img src=x onerror=alert(1)>"
SIDE: dict[str, Any] = {
    "engine": f"fast {RUNS}",
    "ttft_s": None,
    "total_s": 1.25,
    "prompt_tokens": 1000,
    "completion_tokens": 2000,
    "spent_usd": 0.5,
}
ENGINES: dict[str, Any] = {
    "route": f"team {RUNS}",
    "real": SIDE,
    "shadow": {**SIDE, "engine": "big", "ttft_s": 0.5, "spent_usd": 0.25},
    "compared": 4,
    "failed": 1,
    "agreed": 3,
    "share": 0.75,
    "share_lo": 0.301,
    "share_hi": 0.954,
    "similarity": 0.5,
    "sampled": 2,
    "saved_usd": 0.25,
}
RUNNING: dict[str, Any] = {
    "route": f"team {RUNS}",
    "engine": "big",
    "share": 0.1,
    "waiting": 2,
    "kept": 5,
    "failed": 0,
    "dropped": 7,
    "same": 0,
    "lost": 0,
}
ANSWER: dict[str, Any] = {
    **SIDE,
    "finish_reason": "stop",
    "error": "",
    "text": f"The quick {RUNS} fox",
    "tool_calls": [{"name": "look", "arguments": '{"at": 1}'}],
}
PAIR: dict[str, Any] = {
    "id": 7,
    "time": "2026-01-02T03:04:05Z",
    "agreement": "different",
    "similarity": 0.5,
    "question": f"What? {RUNS}",
    "real": ANSWER,
    "shadow": {**ANSWER, "engine": "big", "text": f"The slow {RUNS} fox"},
}


def test_nothing_is_kept_yet() -> None:
    empty = as_summary({"running": [], "data": []})
    assert '[routes."NAME".shadow]' in empty and "<button" not in empty
    runs = as_summary({"running": [RUNNING], "data": []})
    assert "<b>big</b> answers 10.0 % of it" in runs and "7 left out, as too many waited" in runs
    assert "2 waiting" in runs and "failed" not in runs and "[routes" not in runs and "<img" not in runs


def test_what_they_add_up_to() -> None:
    shown = as_summary({"running": [RUNNING], "data": [ENGINES]})
    for words in ("75.0 %", "30.1 % to 95.4 %", "3 of 4, 1 failed, 2 sampled", "0.50", "–<small>0.50 s</small>"):
        assert words in shown, words
    assert "2,000<small>2,000</small>" in shown and "0.5000<small>0.2500</small>" in shown
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', shown)
    assert heads == ["Route, engine and shadow", "Agree", "Similar", "TTFT", "Answer", "Tokens", "Charged", "Saved"]
    assert len(re.findall('<td class="number">', shown)) == len(heads) - 1  # each column has its heading
    assert 'data-act="engines" data-route="team &lt;img' in shown and 'data-sure="Forget' in shown
    assert "<img" not in shown
    none = as_summary({"running": [], "data": [{**ENGINES, "compared": 0, "share": None, "similarity": None}]})
    assert "–<small>1 failed</small>" in none


def test_pairs_are_listed() -> None:
    shown = as_pairs({"data": [PAIR], "next": 7}, 7, older=False)
    assert 'class="chosen"' in shown and 'data-id="7"' in shown and ">different</span>" in shown
    assert 'data-act="older" data-before="7"' in shown and "newest" not in shown and "<img" not in shown
    last = as_pairs({"data": [{**PAIR, "question": "x" * 500}], "next": None}, 0, older=True)
    assert 'data-act="newest"' in last and "older" not in last and "x" * 160 + "…" in last
    assert "There are none" in as_pairs({"data": [], "next": None}, 0, older=False)


def test_a_pair_is_shown_with_its_differences() -> None:
    shown = as_pair(PAIR)
    left, right = shown.split("<h4>")[1:]
    assert "<del>quick </del>" in left and "<mark>" not in left and "<mark>slow </mark>" in right
    assert "look({&#34;at&#34;: 1})" in left and "1.25 s, 2,000 tokens, stop, 0.500000 USD" in left
    assert "<img" not in shown and shown.count("&lt;img") == 4  # route aside: question, engine, and both texts
    failed = as_pair({**PAIR, "agreement": "failed", "shadow": {**ANSWER, "error": RUNS, "text": "", "tool_calls": []}})
    assert 'class="wrong" role="alert">&lt;img' in failed and "<img" not in failed


def test_long_answers_are_shown_whole() -> None:
    long = "word " * 4000
    shown = as_pair({**PAIR, "real": {**ANSWER, "text": long}, "shadow": {**ANSWER, "text": f"{long}end"}})
    assert "Only the first 3,000 words are compared." in shown
    assert shown.count("word ") == 8000 and "<mark>" not in shown
