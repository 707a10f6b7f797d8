"""Plans in a folder: found again by what they depend on, and never in the way where something is wrong with them."""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.fit.remembered import Remembered, RememberedPlans, key_of
from ggufrun.settings import ModelSettings

SETTINGS = ModelSettings(Path("a.gguf"), context=8192, gpu_layers=20, tensor_split=(3.0, 1.0), threads=3)
PLAN = replace(Remembered.of(SETTINGS, 128, {"RAM": 1000, "CUDA0": 500}), given_up="context 8192 instead of 16384")


@pytest.fixture
def plans(tmp_path: Path) -> RememberedPlans:
    return RememberedPlans(tmp_path / "plans")


def test_kept_found_and_forgotten(plans: RememberedPlans, tmp_path: Path) -> None:
    assert plans.empty and plans.find("one") is None
    plans.keep("one", PLAN)
    assert not plans.empty
    assert plans.find("one") == PLAN and plans.find("two") is None
    assert [path.name for path in (tmp_path / "plans").iterdir()] == ["one.json"]
    plans.keep("one", replace(PLAN, context=4096))
    assert (found := plans.find("one")) is not None and found.context == 4096
    plans.forget("one")
    plans.forget("one")
    assert plans.find("one") is None


def test_a_plans_knobs_come_back_and_the_rest_is_todays() -> None:
    today = ModelSettings(Path("b.gguf"), mmap=False, threads=7)
    assert PLAN.settings(today) == replace(SETTINGS, path=Path("b.gguf"), mmap=False, threads=7)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("8192", '"many"'),
        lambda text: text.replace("8192", "-1"),
        lambda text: text.replace('"context"', '"contest"'),
        lambda text: text.replace('"f16"', '"f17"'),
        lambda text: "[]",
        lambda text: "",
        lambda text: "\0" * len(text),
    ],
)
def test_a_damaged_file_is_ignored_and_replaced(
    damage: Callable[[str], str], plans: RememberedPlans, tmp_path: Path
) -> None:
    plans.keep("one", PLAN)
    path = tmp_path / "plans" / "one.json"
    path.write_text(damage(path.read_text()))
    assert plans.find("one") is None
    plans.keep("one", PLAN)
    assert plans.find("one") == PLAN


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("a file")
    plans = RememberedPlans(tmp_path / "plans")
    plans.keep("one", PLAN)
    plans.forget("one")
    assert plans.empty and plans.find("one") is None


def test_the_oldest_make_room(plans: RememberedPlans, tmp_path: Path) -> None:
    for number in range(210):
        plans.keep(f"{number}", PLAN)
        os.utime(tmp_path / "plans" / f"{number}.json", (number, number))
    plans.keep("last", PLAN)
    assert len(list((tmp_path / "plans").iterdir())) == 200
    assert plans.find("0") is None and plans.find("209") == plans.find("last") == PLAN


def test_readers_see_whole_plans_while_they_are_written(plans: RememberedPlans) -> None:
    plans.keep("one", PLAN)
    long = replace(PLAN, note="x" * 100_000)

    def write() -> None:
        for _ in range(20):
            plans.keep("one", long)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = [plans.find("one") for _ in range(100)]
    for writer in writers:
        writer.join()
    assert all(found in (PLAN, long) for found in seen) and plans.find("one") == long


def test_with_less_memory_than_then_it_does_not_suit() -> None:
    assert PLAN.suits({"RAM": 1000, "CUDA0": 500})
    assert PLAN.suits({"RAM": 950, "CUDA0": 460})
    assert not PLAN.suits({"RAM": 1000, "CUDA0": 400})
    assert not PLAN.suits({"RAM": 1000})
    assert not PLAN.suits({"RAM": 1000, "CUDA1": 500})


def test_with_much_more_what_was_given_up_may_come_back() -> None:
    more = {"RAM": 1000, "CUDA0": 700}
    planned = replace(PLAN, given_up="", note="context 8192 of 16384")
    assert PLAN.reduced and not PLAN.suits(more)
    assert planned.reduced and not planned.suits(more) and planned.suits({"RAM": 1100, "CUDA0": 600})
    assert replace(PLAN, given_up="").suits(more)


def test_the_key_is_of_all_that_a_plan_depends_on(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"header" * 100)
    devices, build, wanted = {"CUDA0": 500, "RAM": 1000}, "1.2", ({"context": 1}, 8)
    key = key_of([path], devices, build, wanted)
    moved = tmp_path / "elsewhere.gguf"
    moved.write_bytes(path.read_bytes())
    assert key_of([moved], dict(reversed(devices.items())), build, wanted) == key
    others = [
        key_of([path, path], devices, build, wanted),
        key_of([path], {**devices, "CUDA0": 501}, build, wanted),
        key_of([path], devices, "1.3", wanted),
        key_of([path], devices, build, ({"context": 2}, 8)),
    ]
    moved.write_bytes(b"Header" * 100)
    others.append(key_of([moved], devices, build, wanted))
    moved.write_bytes(b"header" * 100)
    os.truncate(moved, 3 << 20)
    others.append(key_of([moved], devices, build, wanted))
    os.truncate(moved, 2 << 20)  # the same beginning
    others.append(key_of([moved], devices, build, wanted))
    assert len({key, *others}) == 8


def test_files_are_small_json(plans: RememberedPlans, tmp_path: Path) -> None:
    """So that others can read them."""
    plans.keep("one", PLAN)
    stored = json.loads((tmp_path / "plans" / "one.json").read_text())
    assert (stored["context"], stored["free"]["CUDA0"]) == (8192, 500)
