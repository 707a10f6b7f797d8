"""Unknown fields are ignored, and the log names each once: nobody fills it, or writes lines of their own into it."""

from typing import Any

import pytest

from ggufrun.api.agents.tools import own_tools
from ggufrun.api.conversation.fields import Named
from ggufrun.api.conversation.wire import IncomingTool
from tests.api.test_fields import TOOLS, post


def lines(caplog: pytest.LogCaptureFixture, start: str) -> list[str]:
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith(start)]
    caplog.clear()
    return said


async def test_a_name_is_told_once_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    forged = "forged\nINFO all is well"
    first: dict[str, Any] = {forged + "!" * 999: 1}
    assert (await post(**first))[0] == 200
    (line,) = lines(caplog, "The field")
    assert "\n" not in line and r"'forged\nINFO all is well!" in line and "!" * 100 not in line
    same: dict[str, Any] = {**first, forged + "!" * 998: 1}  # once they are cut
    await post(**same)
    assert lines(caplog, "The field") == []


async def test_one_request_makes_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    many: dict[str, Any] = {f"few {number}": 1 for number in range(100)}
    await post(**many)
    assert len(lines(caplog, "The field")) == 20
    await post(**many)
    assert len(lines(caplog, "The field")) == 20


async def test_types_of_tools_are_told_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    foreign = [IncomingTool(type=f"evil\n{number}") for number in range(30)]
    tools = [*foreign, *(IncomingTool.model_validate(tool) for tool in TOOLS)]
    assert len(list(own_tools(tools, "function"))) == len(TOOLS)
    said = lines(caplog, "Tools of type")
    assert len(said) == 20 and not any("\n" in line for line in said) and r"'evil\n0'" in said[0]


def test_there_is_an_end_to_the_names_that_are_kept() -> None:
    named = Named(most=30, at_once=20, length=3)
    assert [len(list(named.new(str(number) for number in range(100)))) for _ in range(3)] == [20, 10, 0]
    assert list(Named(length=3).new(["abcd", "abce", "x"])) == ["abc", "x"]
