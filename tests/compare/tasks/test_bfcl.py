"""The items of the real wheel: their own answers are right, others are wrong, all schemas are enforced"""

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ggufrun.chat.constraints import GrammarFactory
from ggufrun.compare.tasks.bfcl import Item, chosen, items, right_arguments, usable
from ggufrun.compare.tasks.bfcl_wheel import CATEGORIES, VERSION, read, wheel
from ggufrun.compare.tasks.call_judge import Call, Verdict, judge
from ggufrun.errors import OptionError
from tests.fakes import FakeVocabulary

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def all_items(bfcl_wheel: Path) -> tuple[Item, ...]:
    return usable(bfcl_wheel)


def verdict(item: Item, arguments: Any, function: str = "") -> Verdict:
    call = Call(function or item.function, json.dumps(arguments))
    return judge([call], item.tools, item.function, item.accepted)


def test_nearly_all_of_the_wheel_is_used(all_items: tuple[Item, ...], bfcl_wheel: Path) -> None:
    whole = {group: len(questions) for group, (questions, _) in read(bfcl_wheel).items()}
    assert whole == {"simple_python": 400, "multiple": 200, "live_simple": 258, "live_multiple": 1053}
    used = Counter(item.group for item in all_items)
    assert used == {"simple_python": 400, "multiple": 200, "live_simple": 256, "live_multiple": 1037}
    assert len({item.id for item in all_items}) == len(all_items)


def test_every_items_own_answer_is_right(all_items: tuple[Item, ...]) -> None:
    wrong = [item.id for item in all_items if not verdict(item, right_arguments(item)).right]
    assert wrong == []


def raw_answers(group: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each answer as the file has it, its first accepted values, without our reading of what may be left out."""
    for row in read(path)[group][1]:
        ((_, accepted),) = row["ground_truth"][0].items()
        yield row["id"], {name: values[0] for name, values in accepted.items() if values}


@pytest.mark.parametrize("group", CATEGORIES)
def test_the_first_accepted_values_are_right(group: str, all_items: tuple[Item, ...], bfcl_wheel: Path) -> None:
    """Of plain values only: how objects are written is up to the judge."""
    by_id = {item.id: item for item in all_items}
    judged = 0
    for id, arguments in raw_answers(group, bfcl_wheel):
        plain = not any(isinstance(value, dict | list) for value in arguments.values())
        if plain and id in by_id:
            judged += 1
            assert verdict(by_id[id], arguments).right_arguments, id
    assert judged > 100


def test_other_answers_are_wrong(all_items: tuple[Item, ...]) -> None:
    for item in all_items:
        right = right_arguments(item) or {}
        assert not verdict(item, {**right, "no such parameter": 1}).right
        for name in right:
            assert not verdict(item, {**right, name: "no such value"}).right, (item.id, name)
            rest = {other: value for other, value in right.items() if other != name}
            assert verdict(item, rest).right_arguments is ("" in item.accepted[name]), (item.id, name)
        for tool in item.tools:
            if tool.function.name != item.function:
                assert not verdict(item, right, tool.function.name).right
                assert not verdict(item, right, tool.function.name).right_function


def test_every_schema_is_one_and_is_enforced_whole(all_items: tuple[Item, ...]) -> None:
    factory = GrammarFactory(FakeVocabulary())
    schemas = {json.dumps(tool.function.parameters) for item in all_items for tool in item.tools}
    assert len(schemas) > 1000
    for text in schemas:
        schema = json.loads(text)
        Draft202012Validator.check_schema(schema)
        assert factory.plan(schema).refused == (), text


def test_names_are_within_mistrals_rules_and_differ(all_items: tuple[Item, ...]) -> None:
    for item in all_items:
        names = [tool.function.name for tool in item.tools]
        assert len(set(names)) == len(names)
        assert all(len(name) <= 64 and name.replace("_", "a").replace("-", "a").isalnum() for name in names)
        assert names.count(item.function) == 1


def test_the_choice_is_of_all_kinds_alike_and_always_the_same(all_items: tuple[Item, ...], bfcl_wheel: Path) -> None:
    found = items(bfcl_wheel.parent)
    assert Counter(item.group for item in found) == dict.fromkeys(CATEGORIES, 50)
    assert items(bfcl_wheel.parent) == found
    assert max(len(str(item.messages) + str(item.tools)) for item in found) < 10_000
    assert chosen(all_items, 200, seed=1) != chosen(all_items, 200, seed=0)
    many = Counter(item.group for item in chosen(all_items, 1000, seed=0))
    assert many["multiple"] == 200 and sum(many.values()) == 1000


@pytest.mark.process
def test_what_cannot_be_fetched_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip, which is told to ask nobody."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(OptionError, match=r"cannot be fetched.*bfcl-eval") as raised:
        wheel(tmp_path / "cache")
    assert str(tmp_path / "cache") in raised.value.hint
    assert f"https://pypi.org/project/bfcl-eval/{VERSION}/" in raised.value.hint
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.process
def test_a_python_without_pip_is_told_so(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from ggufrun.compare.tasks.bfcl_wheel import wheel
wheel(Path({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, encoding="utf-8")
    assert "cannot be fetched: this Python has no pip" in done.stderr


@pytest.mark.parametrize("damage", ["no zip", "another wheel", "no JSON"])
def test_another_file_of_that_name_is_not_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / f"bfcl_eval-{VERSION}-py3-none-any.whl"
    path.write_bytes(b"<html>not found</html>")
    if damage != "no zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("bfcl_eval/data/BFCL_v4_simple_python.json", "{}\n{" if damage == "no JSON" else "{}\n")
    with pytest.raises(OptionError, match=r"is not the wheel of bfcl-eval.*Delete it"):
        items(tmp_path)
