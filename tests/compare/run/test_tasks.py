"""Tasks as parts of a comparison: asked alike of all rows, kept, and paired with the reference"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.chat.types import Function, Message, Tool
from ggufrun.compare.run.first_token import read_seconds, time_first_tokens
from ggufrun.compare.run.found import read_part
from ggufrun.compare.run.tool_calls import call_tools, read_outcomes
from ggufrun.compare.tasks.bfcl import Item
from ggufrun.compare.tasks.outcomes import from_json
from ggufrun.settings import ModelSettings
from tests.compare.run.comparing import Told, row_of, run, small_plan, source

pytestmark = pytest.mark.process


def test_a_task_of_the_scoring_process_is_a_line_of_each_row(ladder: dict[str, Path], tmp_path: Path) -> None:
    plan = small_plan([ladder["F16"], ladder["Q4_0"]], tmp_path, text=source(120))
    report = run(replace(plan, tasks=("choices",)), Told(stop_at=("Q4_0", "timing")))
    (of_reference,) = row_of(report, "F16").tasks
    (of_quant,) = row_of(report, "Q4_0").tasks
    assert of_reference.name == of_quant.name == "choices"
    assert of_reference.items == of_quant.items > 10
    assert of_reference.too_few == (of_reference.items < 200)
    assert of_reference.p_mcnemar is None and of_quant.p_mcnemar is not None
    assert of_quant.right - of_reference.right == of_quant.gained - of_quant.lost


def test_what_ggufrun_toml_says_of_a_model_is_not_measured(
    ladder: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ggufrun.toml").write_text('[defaults]\nlora = ["none.gguf"]\ndevice = ["none"]\nsystem = "Sing."\n')
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    out = tmp_path / "seconds.json"
    time_first_tokens(ModelSettings(ladder["Q4_0"], context=512), source().prompts[:2], out, lambda: False)
    assert len(json.loads(out.read_text())["seconds"]) == 1


@pytest.mark.parametrize("content", ['{"outcomes": 1}', '{"outcomes": [{"item": "a"}]}', "{}", "no JSON"])
def test_outcomes_that_are_none_are_measured_anew(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text(content)
    assert read_part(path, read_outcomes) is None
    assert not path.exists()


@pytest.mark.parametrize("content", ['{"seconds": [null]}', '{"seconds": 1}', "{}"])
def test_so_are_seconds(content: str, tmp_path: Path) -> None:
    path = tmp_path / "first-token.json"
    path.write_text(content)
    assert read_part(path, read_seconds) is None
    assert not path.exists()


def test_tools_are_called_freely_and_forced_by_a_chat_model(ladder: dict[str, Path], tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"town": {"enum": ["Rome"]}},
        "required": ["town"],
        "additionalProperties": False,
    }
    tool = Tool(type="function", function=Function(name="weather", parameters=schema))
    asked = (Message(role="user", content="What is the weather in Rome?"),)
    items = [Item("one", "simple", asked, (tool,), "weather", {"town": ["Rome"]})]
    outs = [(forced, tmp_path / f"{forced}.json") for forced in (False, True)]
    told: list[tuple[int, int]] = []
    settings = ModelSettings(ladder["Q4_0"], context=2048)
    call_tools(settings, items, outs, lambda done, of: told.append((done, of)), lambda: False)
    free, forced = (from_json(json.loads(out.read_text())["outcomes"]) for _, out in outs)
    assert [outcome.item for outcome in (*free, *forced)] == ["one", "one"]
    assert forced[0].right  # the grammar of this tool leaves no other call
    assert not free[0].right  # random weights write no call
    assert told == [(1, 2), (2, 2)]
