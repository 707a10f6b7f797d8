"""`ggufrun compare --blind` in a real terminal: answers of both models, votes by keys, and going on another day."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pty", reason="pseudo-terminals are POSIX")

from tests.program import at_home, run_ggufrun
from tests.terminal.terminal import Terminal

pytestmark = pytest.mark.process
KEYS = "q stop here"
PROMPTS = "Count to ten.\nName three rivers.\nWhy?\n"


@pytest.fixture
def models(tmp_path: Path, tiny_model: Callable[[str], Path]) -> list[str]:
    kinds = {"alpha": "llama-tiny", "beta": "spm-mistral-v3"}
    return [str(shutil.copy(tiny_model(kind), tmp_path / f"{name}.gguf")) for name, kind in kinds.items()]


@pytest.fixture
def asked(tmp_path: Path, models: list[str]) -> list[str]:
    (tmp_path / "prompts.txt").write_text(PROMPTS)
    more = ["--blind", "--prompts", str(tmp_path / "prompts.txt"), "--max-tokens", "8"]
    return ["ggufrun.cli", "compare", *models, *more]


def _file(home: Path) -> dict[str, Any]:
    (path,) = (home / "compare" / "blind").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _verdicts(home: Path) -> list[str | None]:
    return [each["verdict"] for each in _file(home)["result"]["items"]]


def test_votes_are_kept_and_go_on(tmp_path: Path, asked: list[str]) -> None:
    home = tmp_path / "home"
    with Terminal(asked, at_home(home)) as test:
        answers = test.see("alpha answers 1 of 3", within=60)
        test.type("lrt")  # nobody has seen an answer yet
        answers += test.see("─ 1 of 3 ─", within=60)
        assert "beta answers 1 of 3" in answers
        shown = test.see(KEYS)
        assert "Count to ten." in shown and "alpha" not in shown and "beta" not in shown
        test.type("l")
        test.see("─ 2 of 3 ─")
        said = test.see(KEYS)
        assert "Name three rivers." in said and "%" not in said  # it would tell whether the left one was the same
        test.type("u")
        test.see("─ 1 of 3 ─")
        test.type("?r")  # what is no key of it is not obeyed
        test.see("2 of 3")
        test.see(KEYS)
        test.type("\x03")
        test.see("Answers and votes are in .*same command goes on")
        assert test.exit_code() == 130
    assert "Traceback" not in test.raw
    items = _file(home)["result"]["items"]
    right = {"a": "b", "b": "a"}[items[0]["left"]]
    assert [each["verdict"] for each in items] == [right, None, None]

    with Terminal(asked, at_home(home)) as test:
        before = test.see(KEYS, within=60)
        assert "answers" not in before and "─ 2 of 3 ─" in before  # nothing is asked again
        test.type("\x1b[C")
        test.see("3 of 3")
        test.type("t")
        test.see("any other key shows who is who")
        test.type("u")
        test.see("3 of 3")
        test.type("t")
        test.see("any other key shows who is who")
        test.type("\r")
        said = test.see(r"(alpha|beta) wins .* of 2 decided votes.*; 1 tie\.|level, 50 % .*; 1 tie\.")
        assert test.exit_code() == 0
    assert _verdicts(home)[0] == right and None not in _verdicts(home) and _verdicts(home)[2] == "tie"
    assert _file(home)["result"]["sentence"] in " ".join(said.split())


def test_ctrl_c_keeps_the_answers(tmp_path: Path, asked: list[str]) -> None:
    home = tmp_path / "home"
    asked[-1] = "2000"  # one token in thousands ends an answer
    with Terminal(asked, at_home(home)) as test:
        test.see("alpha answers 2 of 3", within=60)
        test.type("\x03")
        test.see("same command goes on")
        assert test.exit_code() == 130
    assert "Traceback" not in test.raw
    answered = [item["a"] is not None for item in _file(home)["test"]["items"]]
    assert answered[0] and not answered[2]
    assert _file(home)["test"]["items"][0]["b"] is None


def test_questions_of_saved_chats(tmp_path: Path, models: list[str]) -> None:
    from contextlib import closing

    from ggufrun.records.chat_database import CHATS_FILE
    from ggufrun.records.chat_messages import ChatMessage
    from ggufrun.records.chats import ChatStore

    home = tmp_path / "home"
    with closing(ChatStore(home / CHATS_FILE)) as store:
        question = ChatMessage("user", "Why is the sky blue?")
        answer = ChatMessage("assistant", "Because. " * 40, parent=question.id)
        again = ChatMessage("user", "Is it?", parent=answer.id)
        store.create("", settings={"system": "Be short."}, messages=(question, answer, again))
    names = ("alpha\x1b]0;x\x07-Q8_0", "beta-Q4_0")  # of two models: the quants alone would not say which
    named = [shutil.move(path, tmp_path / f"{name}.gguf") for path, name in zip(models, names, strict=True)]
    command = ["ggufrun.cli", "compare", *map(str, named), "--blind", "--chats", "--max-tokens", "4"]
    with Terminal(command, at_home(home)) as test:
        assert "Is it?" in test.see(KEYS, within=60)
        test.type("q")
        test.see(r"No vote decides between alpha\?]0;x\?-Q8_0 and beta-Q4_0")
        assert test.exit_code() == 0 and "\x1b]0" not in test.raw
    (item,) = _file(home)["test"]["items"]
    assert item["before"] == [
        ["system", "Be short."],
        ["user", "Why is the sky blue?"],
        ["assistant", "Because. " * 40],
    ]
    with Terminal([*command, "--context", "64"], at_home(home)) as test:  # another test: of these no answer is known
        test.see("1 without an answer", within=60)
        assert test.exit_code() == 0


def test_what_cannot_be_tested(tmp_path: Path, models: list[str], asked: list[str]) -> None:
    environment = at_home(tmp_path / "home")
    done = run_ggufrun(*asked[1:], environment=environment)
    assert done.returncode == 2 and "there is no terminal" in done.stderr
    for arguments, says in (
        ([*asked[1:-2], "--chats"], "contradict each other"),
        (["compare", *models, "--blind"], "needs prompts"),
        (["compare", *models, "--blind", "--chats"], "no saved chats"),
        (["compare", models[0], models[0], "--blind", "--prompts", asked[-3]], "are one model"),
        (["compare", models[0], "--blind", "--prompts", asked[-3]], "between two models"),
        (["compare", *models, "--prompts", asked[-3]], "Add --blind"),
        ([*asked[1:], "--kv-types", "q4_0"], "--kv-types is of measuring"),
        (["compare", models[0], str(tmp_path / "none.gguf"), "--blind", "--prompts", asked[-3]], "none.gguf"),
    ):
        with Terminal(["ggufrun.cli", *arguments], environment) as test:
            test.see(says, within=30)
            assert test.exit_code() == 2, says
