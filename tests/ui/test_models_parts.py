"""The Models tab's parts that need no browser: rows, words, bars, and that nothing of the hub's is taken for HTML."""

import asyncio
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from ggufrun.errors import OptionError
from ggufrun.ui.models.bars import KINDS, as_bars, devices
from ggufrun.ui.models.found import as_cards, as_repos
from ggufrun.ui.models.jobs import as_jobs, listed, progress
from ggufrun.ui.models.knobs import query_of
from ggufrun.ui.models.pace import Pace
from ggufrun.ui.models.plan import as_package, as_plan
from ggufrun.ui.models.quants import as_quants, chosen_of
from ggufrun.ui.models.rows import rows
from ggufrun.ui.models.shelf import as_shelf
from ggufrun.ui.models.turn import Superseded, Turn

Json = dict[str, Any]
GIB = 1 << 30
HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>${alert(3)}{{4}}`&amp;"


def local(name: str, **more: Any) -> Json:
    found: Json = {
        "name": name,
        "quant": "Q4_K_M",
        "bytes": 4_400_000_000,
        "source": "hub",
        "card": None,
        "partial": None,
    }
    return {**found, "files": [f"/models/{name}.gguf"], "projectors": [], **more}


def served(name: str, **more: Any) -> Json:
    found: Json = {"name": name, "quant": "", "file": f"{name}.gguf", "path": f"/models/{name}.gguf"}
    return {**found, "state": "ready", "progress": 1.0, "error": "", "completion_chat": True, **more}


def device(**more: Any) -> Json:
    found: Json = {
        "name": "CUDA0",
        "description": "A card",
        "layers": 20,
        "weight_bytes": 10 * GIB,
        "kv_bytes": 2 * GIB,
    }
    found |= {"compute_bytes": GIB, "mmproj_bytes": GIB, "needed_bytes": 14 * GIB, "free_bytes": 22 * GIB}
    found |= {"total_bytes": 24 * GIB, "margin_bytes": GIB, "fits": True, "weights_known": "measured"}
    return {**found, **more}


def plan(*uses: Json, **more: Any) -> Json:
    found: Json = {"model": "m", "note": None, "context": 32_768, "kv_type": "f16", "gpu_layers": 20, "layers": 40}
    found |= {"devices": list(uses), "fits": True, "verdict": "offload", "why": ["So it is."], "other_quants": {}}
    return {**found, "options": "--context 32768", "missing_bytes": 0, "predicted_tok_s": 12.3, **more}


def pull(state: str = "running", **more: Any) -> Json:
    found: Json = {"id": "7", "state": state, "error": "", "notes": [], "done": 5 * 10**8, "size": 4_370_000_000}
    found |= {"files": [{"file": "a/m.gguf", "state": "fetching", "done": 5 * 10**8, "size": 4_370_000_000}]}
    found |= {"created": "2026-05-01T10:00:00Z", "ended": None, "spec": "owner/m:Q8_0", "mmproj": True, "result": None}
    return {**found, **more}


def shown(**more: Any) -> Json:
    quant = {"name": "Q4_K_M", "bytes": 2 * 10**9, "bits_per_weight": 4.85, "files": [], "verdict": "fits"}
    quant |= {"context": 4096, "here": False, "exact": True, "predicted_tok_s": None}
    large = {**quant, "name": "Q8_0", "bytes": 9 * 10**9, "verdict": "too large", "exact": False}
    found: Json = {
        "repo": "owner/m",
        "card": None,
        "commit": "",
        "modified": "2026-05-01",
        "licence": "mit",
        "mmproj": [],
    }
    found |= {"gated": False, "private": False, "parameters": None, "quants": [quant, large], "notes": []}
    return {**found, "best": "Q4_K_M", "why": "the largest that fits", **more}


class Reader(HTMLParser):
    """Which elements there are, and what one reads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_local_and_served_models_are_joined() -> None:
    found = rows(
        [local("owner/m:Q4_K_M", files=["/x/m.gguf"]), local("b/m:Q4_K_M", files=["/y/m.gguf"]), local("alone")],
        [served("m", path="/y/m.gguf"), served("elsewhere")],
    )
    assert [(row.name, row.served) for row in found] == [
        ("alone", ""), ("b/m:Q4_K_M", "m"), ("owner/m:Q4_K_M", ""), ("elsewhere", "elsewhere"),
    ]  # fmt: skip
    other = rows([local("m")], [served("m", path="/else/m.gguf")])
    assert [(row.name, row.served) for row in other] == [("m", ""), ("m", "m")]  # another file of that name
    unknown = rows([local("m")], [served("m", path="")])
    assert [(row.name, row.served) for row in unknown] == [("m", ""), ("m", "m")]


def test_only_what_chats_is_used_in_the_chat() -> None:
    text = as_shelf(rows([local("a"), local("b")], [served("a"), served("b", completion_chat=False)]), None, [])
    assert text.count('data-act="use"') == 1 and 'data-act="load"' not in text and text.count("unserve") == 2


def test_what_is_served_from_elsewhere_is_no_model_of_this_machine() -> None:
    assert "0 models" not in as_shelf(rows([], [served("elsewhere")]), None, [])
    assert "1 model, 4.40 GB together." in as_shelf(rows([local("m")], [served("elsewhere")]), None, [])


def test_what_can_be_done_with_a_row() -> None:
    part = local("owner/m:Q4_K_M", bytes=10**9, partial={"bytes": 10**9, "of": 4 * 10**9})
    text = as_shelf(rows([part, local("whole")], [served("whole", state="unloaded")]), None, [])
    assert "1.00 of 4.00 GB" in text and 'data-act="pull"' in text and text.count('data-act="verify"') == 1
    assert "This frees about 4.40 GB." in text and 'data-act="unserve"' in text and "served, not loaded" in text
    fetched = as_shelf(rows([part], []), None, ["owner/m"])
    assert "is being fetched" in fetched and "data-act" not in fetched
    left = local("owner/m:left-over", partial={"bytes": 5, "of": None})
    assert 'data-act="pull"' not in as_shelf(rows([left], []), None, [])
    failed = as_shelf(rows([local("m")], [served("m", state="failed", error="No room.")]), None, [])
    assert "No room." in failed and 'data-act="load"' in failed


def test_a_bar_has_every_byte_of_the_plan() -> None:
    (found,) = devices(plan(device()))
    parts = {name: size // GIB for name, size in found.parts.items()}
    assert parts == {"others": 2, "weights": 10, "kv": 2, "compute": 1, "mmproj": 1, "free": 7, "margin": 1}
    assert sum(found.parts.values()) == found.length == 24 * GIB and found.missing == 0
    text = as_bars(plan(device()))
    assert f'data-bytes="{10 * GIB}"' in text and "CUDA0: other programs 2.0 GiB, weights 10.0 GiB" in text
    assert all(words in text for words in KINDS.values()) and "measured" in text


def test_what_does_not_fit_is_longer_than_its_device() -> None:
    use = device(weight_bytes=30 * GIB, needed_bytes=34 * GIB, fits=False)
    (found,) = devices(plan(use))
    assert found.missing == 13 * GIB and found.length == 36 * GIB and found.parts["free"] == found.parts["margin"] == 0
    assert "13.0 GiB missing" in as_bars(plan(use)) and "left:66.667%" in as_bars(plan(use))


def test_a_plan_says_how_it_is_served() -> None:
    text = Reader(as_plan(plan(device(), gains=[{"knob": "q8_0", "effect": "more"}]), "owner/m:Q8_0")).words
    assert "ggufrun serve owner/m:Q8_0 --context 32768" in text and "q8_0: more" in text
    assert "20 of 40 layers on a GPU, at most 12 tokens/s" in text and "So it is." in text


def test_a_pull_in_words() -> None:
    assert progress(pull(), 33_000_000.0) == "0.50 of 4.37 GB, 33.0 MB/s, 117 s left."
    assert progress(pull(), 0.0).endswith("nothing comes at the moment.")
    assert progress(pull("waiting"), None).startswith("Waits")
    assert progress(pull(files=[], notes=["It looks."]), None) == "It looks."
    failed = as_jobs([pull("failed", error="No room on the disk.", ended="2026-05-01T10:00:00Z")], {}, [])
    assert "No room on the disk." in failed and "Try again" in failed
    stopped = as_jobs([pull("stopped")], {}, [])
    assert "500.0 MB are here and are kept" in stopped
    done = pull("done", result={"name": "owner/m:Q8_0", "path": ""})
    assert "Load it" in as_jobs([done], {}, rows([local("owner/m:Q8_0")], []))
    assert "Load it" not in as_jobs([done], {}, rows([local("owner/m:Q8_0")], [served("owner/m:Q8_0")]))


def test_what_ended_long_ago_or_was_begun_anew_is_not_listed() -> None:
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    before, just = (str(now - timedelta(hours=hours)) for hours in (2, 0.5))
    old = pull("done", id="old", ended=before, spec="owner/old")
    stopped = pull("stopped", id="stopped", ended=just)
    again = pull(id="again", created="2026-05-01T11:00:00Z")
    assert [job["id"] for job in listed([old, stopped, again], [], now)] == ["again"]
    assert [job["id"] for job in listed([old, stopped], [], now)] == ["stopped"]


def test_pace() -> None:
    pace = Pace()
    pace.add(0.0, {"a": 0})
    assert pace.speed("a") is None
    for second in range(1, 12):
        pace.add(float(second), {"a": 100 * second if second < 6 else 600})
    assert pace.speed("a") == 0.0  # of the last seconds, not of all
    pace.add(12.0, {})
    assert pace.speed("a") is None


def test_which_quant_is_planned_first() -> None:
    assert chosen_of(shown(), "") == "Q4_K_M"
    assert chosen_of(shown(), "q8_0") == "Q8_0"
    assert chosen_of(shown(best=None), "") == "Q4_K_M"  # the smallest
    assert chosen_of(shown(quants=[], best=None), "Q9") == ""


def test_knobs() -> None:
    assert query_of({"context": " 32k ", "kv_type": "", "ram": "64GiB", "mmproj": "on"}) == {
        "context": 32_768, "ram": "64GiB", "mmproj": True,
    }  # fmt: skip
    assert query_of({"context": "16,384"})["context"] == 16_384
    with pytest.raises(OptionError, match="no number of tokens"):
        query_of({"context": "much"})


def test_a_later_question_ends_an_earlier_one() -> None:
    ended = []

    async def slow() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("slow")
        return "slow"

    async def quick() -> str:
        return "quick"

    async def both() -> str:
        turn = Turn()
        first = asyncio.create_task(turn.ask(slow()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answer = await turn.ask(quick())
        with pytest.raises(Superseded):
            await first
        return answer

    assert asyncio.run(both()) == "quick" and ended == ["slow"]


def hostile_pieces() -> list[str]:
    card = {
        "name": HOSTILE,
        "description": HOSTILE,
        "parameters": 1,
        "context": 1,
        "efforts": [HOSTILE],
        "mmproj": True,
    }
    card |= {"licence": HOSTILE, "here": [HOSTILE], "install": HOSTILE}
    repo = {"repo": HOSTILE, "downloads": 1, "likes": 1, "modified": HOSTILE, "licence": HOSTILE, "gated": True}
    quant = {**shown()["quants"][0], "name": HOSTILE}
    checked = {"name": HOSTILE, "state": "wrong", "says": HOSTILE, "hint": HOSTILE}
    gone = [served(HOSTILE, state="failed", error=HOSTILE), served("x" + HOSTILE)]
    files = [{"file": HOSTILE, "state": HOSTILE, "done": 1, "size": 2}] * 2
    machine = {
        "disk": {"folder": HOSTILE, "total_bytes": 2, "free_bytes": 1},
        "ram": {"total_bytes": 2, "free_bytes": 1},
    }
    machine |= {"gpus": [{"name": HOSTILE, "description": HOSTILE, "free_bytes": 1, "total_bytes": 2}]}
    smaller = {"models": [HOSTILE], "quant": HOSTILE, "context": 1, "predicted_tok_s": None}
    notes = {"note": HOSTILE, "why": [HOSTILE], "gains": [{"knob": HOSTILE, "effect": HOSTILE}], "smaller": smaller}
    quants = shown(repo=HOSTILE, licence=HOSTILE, quants=[quant], best=HOSTILE, why=HOSTILE, notes=[HOSTILE])
    use = device(name=HOSTILE, description=HOSTILE, weights_known=HOSTILE)
    return [
        as_shelf(rows([local(HOSTILE, quant=HOSTILE, source=HOSTILE)], gone), machine, []),
        as_cards([card]),
        as_repos(HOSTILE, [{**repo, "private": True, "card": HOSTILE}]),
        as_quants(quants, HOSTILE),
        as_plan(plan(use, model=HOSTILE, options=HOSTILE, kv_type=HOSTILE, **notes), HOSTILE),
        as_package(card),
        as_jobs([pull(spec=HOSTILE, files=files, notes=[HOSTILE])], {}, []),
        as_jobs([pull("failed", error=HOSTILE), pull("done", result={"data": [checked]}, names=[HOSTILE])], {}, []),
    ]


@pytest.mark.parametrize("number", range(8))
def test_hostile_words_stay_words(number: int) -> None:
    text = str(hostile_pieces()[number])
    read = Reader(text)
    assert not read.tags & {"img", "script"} and not {name for name in read.attributes if name.startswith("on")}
    assert HOSTILE in read.words
