"""/save and /load: the file, what is refused, and that nothing is lost."""

import json
from pathlib import Path

import pytest

from ggufrun.chat.types import AnswerSettings, ChatOptions, Message
from ggufrun.errors import OptionError
from ggufrun.terminal import archive
from ggufrun.terminal.commands import run_command
from ggufrun.terminal.session import Session


def talk() -> Session:
    turns = [Message(role="user", content="Grüße 🙂"), Message(role="assistant", content="hi", reasoning_content="hm")]
    return Session("m", ChatOptions(temperature=0.3, stop=("x",)), "be kind", messages=turns)


def test_a_conversation_comes_back_whole(tmp_path: Path) -> None:
    session, path = talk(), tmp_path / "a talk.json"
    run_command(session, f'/save "{path}"')
    other = Session("m")
    run_command(other, f"/load {path}")
    assert (other.messages, other.system, other.options) == (session.messages, "be kind", session.options)
    assert [p.name for p in tmp_path.iterdir()] == ["a talk.json"]


def test_the_models_system_prompt_is_saved_and_none_stays_none(tmp_path: Path) -> None:
    for own, expected in ((None, "of the settings"), ("", ""), ("own", "own")):
        session = Session("m", system=own, defaults=AnswerSettings(system="of the settings"))
        archive.save(session, tmp_path / "t.json")
        run_command(session, f"/load {tmp_path}/t.json")
        assert (session.system, session.system_prompt) == (expected, expected)


def test_the_file_is_plain_chat_messages(tmp_path: Path) -> None:
    archive.save(talk(), tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert document["model"] == "m" and document["settings"] == {"temperature": 0.3, "stop": ["x"]}
    assert document["messages"][:2] == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "Grüße 🙂"},
    ]


def test_saving_again_needs_no_name_and_replaces(tmp_path: Path) -> None:
    session, path = talk(), tmp_path / "t.json"
    run_command(session, f"/save {path}")
    session.messages = session.messages * 2
    run_command(session, "/save")
    assert len(archive.load(path).messages) == 4


def test_a_foreign_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("do not lose me")
    with pytest.raises(OptionError, match="no saved conversation"):
        archive.save(talk(), path)
    assert path.read_text() == "do not lose me"


@pytest.mark.parametrize("where", ["", "nowhere/t.json"])
def test_places_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    with pytest.raises(OptionError):
        archive.save(talk(), tmp_path / where)
    assert list(tmp_path.iterdir()) == []


def document(**changes: object) -> str:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    return json.dumps({"format": archive.FORMAT, "model": "m", "settings": {}, "messages": messages, **changes})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "not a saved conversation"),
        (document(format="other"), "not a saved conversation"),
        (document(messages="x"), "messages"),
        (document(messages=[{"role": "king", "content": "x"}]), "messages/0/role"),
        (document(messages=[{"role": "assistant", "content": "x"}]), "user's turn"),
        (document(messages=[{"role": "user", "content": "x"}]), "no answer"),
        (document(messages=[{"role": "user"}, {"role": "assistant", "content": "x"}]), "messages/0 has no text"),
        (document(settings={"temperature": 9}), "settings: temperature"),
        (document(settings={"warmth": 1}), "warmth"),
        (document(settings=[]), "settings"),
    ],
)
def test_a_bad_file_is_refused_and_nothing_changes(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    session = talk()
    before = (list(session.messages), session.system, session.options, session.file)
    with pytest.raises(OptionError, match=says) as caught:
        run_command(session, f"/load {path}")
    assert "\n" not in str(caught.value)
    assert (session.messages, session.system, session.options, session.file) == before


def test_missing_files_and_directories(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such file"):
        archive.load(tmp_path / "nothing")
    with pytest.raises(OptionError, match="not a file"):
        archive.load(tmp_path)
