"""What comes with ggufrun: enough text of every kind, the same in every run, and in the wheel"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ggufrun.compare.texts.chats import part_of, prompts_of
from ggufrun.compare.texts.mixture import mixture, prompts
from ggufrun.compare.texts.source import Prompt
from ggufrun.errors import OptionError

CHUNK_CHARACTERS = 512 * 5  # more than a chunk has in any of these languages


def test_every_written_part_is_two_chunks_long_at_least() -> None:
    written = mixture().parts[:6]
    assert [part.name for part in written] == ["prose", "code", "tools", "French", "German", "Spanish"]
    assert all(len(part.text) > 2 * CHUNK_CHARACTERS for part in written)


def test_python_itself_adds_enough_for_a_full_run() -> None:
    assert sum(len(part.text) for part in mixture().parts) > 200 * CHUNK_CHARACTERS


def test_another_process_has_the_same_text() -> None:
    code = "from ggufrun.compare.texts.mixture import mixture; print(mixture().sha256)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mixture().sha256


def test_the_first_prompts_are_of_different_kinds_and_all_are_different() -> None:
    found = prompts()
    assert len(found) >= 24
    assert len({prompt.kind for prompt in found[:4]}) == 4
    assert len({prompt.question for prompt in found}) == len(found)
    assert all(prompt.messages[-1][0] == "user" for prompt in found)


def test_the_wheel_takes_the_texts_along() -> None:
    root = Path(__file__).parents[3]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "ggufrun" in wheel["only-include"]
    assert not {"*.txt", "*.json"} & set(wheel["exclude"])


def test_chats_become_plain_text_and_each_ones_last_question() -> None:
    chats = [
        [("system", "Be brief."), ("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2")],
        [("user", "Look it up."), ("tool", "{}"), ("user", "And now?")],
        [("assistant", "Hello.")],
    ]
    assert part_of(chats).text == "Be brief.\n\nOne?\n\n1\n\nTwo?\n\n2\n\nLook it up.\n\n{}\n\nAnd now?\n\nHello."
    assert prompts_of(chats) == (Prompt("chats", tuple(chats[0][:4])),)


def test_without_saved_chats_there_is_nothing_to_score() -> None:
    with pytest.raises(OptionError, match="no saved chats"):
        part_of([[("user", "  ")]])
