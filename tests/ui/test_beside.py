"""Side by side without a server: what is asked and read, whether models fit, how answers are compared and shown."""

import time

import pytest

from ggufrun.ui.beside.choices import Choices, to_serve
from ggufrun.ui.beside.columns import Column
from ggufrun.ui.beside.contender import Contender, Standing
from ggufrun.ui.beside.copied import as_markdown
from ggufrun.ui.beside.diff import MOST_WORDS, difference
from ggufrun.ui.beside.differences import differences
from ggufrun.ui.beside.question import Question
from ggufrun.ui.beside.reading import Reading
from ggufrun.ui.beside.room import Room, to_load
from ggufrun.ui.beside.shown import compared, figures, stage
from ggufrun.ui.errors import ApiError

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script> ${alert(3)} {{alert(4)}} `x`'
TIMINGS = {"tokens_per_second": 45.2, "ttft_ms": 123.4}
USAGE = {"prompt_tokens": 31, "completion_tokens": 1200, "cost_usd": 0.000123}
GB = 1 << 30


def test_a_question_has_the_chats_settings_and_the_same_dice() -> None:
    sampling = {"temperature": 0.7, "seed": 5, "max_tokens": 9, "n": 3, "stream": False, "tools": [{}]}
    settings = {"system": "Be brief.", "sampling": sampling, "schema": {"type": "object"}, "tools": [{"x": 1}]}
    assert Question("Hi", settings).body("m") == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "temperature": 0.7,
        "seed": 5,
        "max_tokens": 9,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
    }
    body = Question("Hi", settings, seed=0, greedy=True, max_tokens=50).body("m")
    assert (body["random_seed"], body["temperature"], body["max_tokens"]) == (0, 0, 50)
    assert "seed" not in body
    assert Question("Hi").body("m") == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def _chunk(delta: dict[str, object], **more: object) -> dict[str, object]:
    return {"choices": [{"delta": delta, "finish_reason": None}], **more}


def test_an_answer_is_read_in_both_dialects() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    mistral, openai = Reading(), Reading()
    mistral.add(_chunk({"content": [thought]}))
    openai.add(_chunk({"reasoning_content": "Hm."}))
    for reading in (mistral, openai):
        assert reading.onto(Contender("m")).stage == "thinking"
    mistral.add(_chunk({"content": [{**thought, "closed": True}, {"type": "text", "text": "A"}]}))
    openai.add(_chunk({"reasoning_content": "Hm.", "content": "A"}))
    end = {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}], "usage": USAGE, "timings": TIMINGS}
    for reading in (mistral, openai):
        assert reading.onto(Contender("m")).stage == "answering"
        reading.add(end)
        read = reading.onto(Contender("m"))
        assert (read.text, read.thinking, read.finish) == ("Ab", "Hm.Hm.", "stop")
        assert (read.usage, read.timings) == (USAGE, TIMINGS)


def test_an_answer_that_breaks_off_keeps_what_had_come() -> None:
    reading = Reading()
    reading.add(_chunk({"content": "so far"}))
    with pytest.raises(ApiError, match=r"It crashed\."):
        reading.add({"choices": [{"delta": {}, "finish_reason": "error"}], "error": {"message": "It crashed."}})
    assert reading.onto(Contender("m", stage="failed")).text == "so far"


def _machine(ram: int, *cards: tuple[int, bool]) -> dict[str, object]:
    def place(free: int) -> dict[str, int]:
        return {"total_bytes": 64 * GB, "free_bytes": free, "margin_bytes": GB}

    return {"ram": place(ram), "gpus": [{**place(free), "shares_ram": shares} for free, shares in cards]}


def test_cards_decide_what_fits_where_there_are_any() -> None:
    assert Room.of(_machine(10 * GB), []) == Room(9 * GB, "memory")
    assert Room.of(_machine(10 * GB, (8 * GB, True)), []) == Room(9 * GB, "memory")
    assert Room.of(_machine(100 * GB, (8 * GB, False), (5 * GB, False)), []) == Room(11 * GB, "GPU memory")
    loaded = [{"memory_bytes": 60 * GB}]  # mapped weights, which the system calls free
    assert Room.of(_machine(50 * GB), loaded) == Room(3 * GB, "memory")
    assert Room(3 * GB, "memory").holds(3 * GB)
    assert not Room(3 * GB, "memory").holds(3 * GB + 1)


def test_what_is_loaded_or_runs_twice_needs_no_more() -> None:
    models = [
        {"name": "a", "needs_bytes": 5, "state": "ready"},
        {"name": "b", "needs_bytes": 7, "state": "unloaded"},
        {"name": "c", "needs_bytes": 11, "state": "unloaded"},
    ]
    assert to_load(["a", "b", "b"], models) == 7


def test_words_that_differ_are_marked() -> None:
    found = difference("The cat sat on the mat.", "The dog sat on\nthe mat!")
    assert str(found.html()) == "The <del>cat </del><mark>dog </mark>sat on\nthe mat<del>. </del><mark>!</mark>"
    assert found.similarity == pytest.approx(2 * 5 / 14)
    assert not found.none
    assert difference("Paris,  in\nFrance", " Paris, in France ").none  # blanks make no difference
    assert difference("", "").none
    assert str(difference("巴黎很美", "巴黎真美").html()) == "巴黎<del>很 </del><mark>真</mark>美"


@pytest.mark.parametrize("word", ["la ", "so on and ", "<b> "])
def test_long_answers_are_compared_in_time_and_it_is_said_how_much_of_them(word: str) -> None:
    start = time.process_time()
    found = difference(word * 20_000, word * 19_999 + "end")
    assert time.process_time() - start < 5
    assert found.none
    assert found.cut == MOST_WORDS
    assert f"The same in the first {MOST_WORDS:,} words." in compared(found, "")


def test_nothing_that_models_write_is_taken_for_html() -> None:
    bad = Contender(HOSTILE, "failed", error=HOSTILE, text=HOSTILE, thinking=HOSTILE, finish=HOSTILE)
    for html in (
        stage(bad),
        figures(bad),
        compared(None, HOSTILE),
        compared(difference("nothing of it", HOSTILE), HOSTILE),
        compared(difference(HOSTILE, "nothing of it"), ""),
    ):
        assert "<img" not in html
        assert "<script" not in html
        assert 'onerror="' not in html


def test_figures_say_what_was_measured() -> None:
    done = Contender("m", "done", finish="length", load_s=2.34, memory=3 * GB, usage=USAGE, timings=TIMINGS)
    text = figures(done).striptags()
    assert (
        text
        == "45 tokens/s 0.12 s TTFT 1,200 tokens 3.0 GiB memory 2.3 s to load $0.000123 hosted length finish reason"
    )
    assert figures(Contender("m")) == ""
    assert stage(Contender("m", "loading", progress=0.5)).striptags() == "Is loaded: 50%"


def test_what_a_server_does_not_say_is_left_out() -> None:
    assert Room.of({}, [{}]) == Room(0, "memory")
    assert Room.of({"gpus": [{}]}, []) == Room(0, "GPU memory")
    assert to_load(["a"], [{"name": "a"}]) == 0
    assert figures(Contender("m", usage={"total_tokens": 3}, timings={"tokens_per_second": 45.2})).striptags() == (
        "45 tokens/s"
    )
    assert figures(Contender("m", usage={"cost_usd": None}, timings={"ttft_ms": None})) == ""


async def test_answers_are_compared_with_one_of_them() -> None:
    three = [Contender("a", text="one two"), Contender("b", text="one two"), Contender("c", text="one three")]
    first, same, other = await differences(three, 0)
    assert "The others are compared with this one." in first
    assert "Word for word the same." in same
    assert "50.0% similar" in other
    marked = await differences(three, 2)
    assert "The others are compared with this one." in marked[2]
    assert "<mark>two</mark>" in marked[0]
    assert await differences(three, 7) == [first, same, other]
    assert "There are no two answers" in (await differences([Contender("a"), three[0]], 0))[1]


def test_a_race_is_copied_as_markdown() -> None:
    done = Contender("a|b", "done", text="Yes.\n", usage={"prompt_tokens": 3, "completion_tokens": 2}, finish="stop")
    lost = Contender("c", "failed", text="So", error="It is gone.")
    copied = as_markdown("Is it\nso?", Standing("At once.", (done, lost), over=True))
    assert "> Is it\n> so?" in copied
    assert "| model | tokens | finish reason |\n| --- | --- | --- |\n| a\\|b | 2 | stop |\n| c |  |  |" in copied
    assert "## a|b\n\nYes.\n\n## c\n\nSo\n\n(failed: It is gone.)\n" in copied


def test_columns_keep_what_is_chosen_and_begin_with_what_is_served() -> None:
    offered = Choices((("A", "a"), ("B", "b"), ("Q", "here: q")), ("a", "b"))
    assert offered.filled([None] * 4, "b") == ["b", "a", None, None]
    assert offered.filled([None] * 2, "gone") == ["a", "b"]
    assert offered.filled(["b", "gone", None, None], "a") == ["b", None, None, None]
    assert (to_serve("here: q"), to_serve("a")) == ("q", "")


def test_a_column_changes_only_what_is_new() -> None:
    column = Column("box", "model", "stage", "answer", "words", "figures")  # type: ignore[arg-type]  # names will do
    begun = Contender("m", "answering", text="    code")
    assert column.changes(None, begun)["answer"] == "\n    code"
    assert column.changes(begun, begun) == {}
    assert set(column.changes(begun, Contender("m", "answering", text="    code()"))) == {"answer"}
    assert set(column.changes(begun, Contender("m", "done", text="    code", timings=TIMINGS))) == {"stage", "figures"}
