"""Constraint files: which notation, and what is wrong with them."""

from pathlib import Path

import pytest

from ggufrun.chat.types import Constraint
from ggufrun.errors import OptionError
from ggufrun.terminal.constraint import grammar_kind, read_constraint

GBNF = '# a comment\nroot ::= "yes" | "no"\n'
LARK = '// a comment\nstart: "yes" | "no"\n'


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("g.gbnf", GBNF, "gbnf"),
        ("g.lark", LARK, "lark"),
        ("g.txt", GBNF, "gbnf"),
        ("g", LARK, "lark"),
        ("g", "?start.2: A\nA: /x/", "lark"),
        ("g", "%llguidance {}\nstart: A", "lark"),
        ("g", 'root\n  ::= "a"', "gbnf"),
        ("g.LARK", GBNF, "lark"),
    ],
)
def test_the_ending_decides_then_the_content(name: str, text: str, kind: str) -> None:
    assert grammar_kind(Path(name), text) == kind


def test_prose_is_no_grammar() -> None:
    with pytest.raises(OptionError, match="neither"):
        grammar_kind(Path("notes.txt"), "just some words")


def test_constraints_are_read(tmp_path: Path) -> None:
    schema, grammar = tmp_path / "s.json", tmp_path / "g.gbnf"
    schema.write_text('\ufeff{"type": "object"}', encoding="utf-8")
    grammar.write_text(GBNF)
    assert read_constraint(None, None, None) is None
    assert read_constraint(schema, None, None) == Constraint("json_schema", schema={"type": "object"})
    assert read_constraint(None, "a+", None) == Constraint("regex", source="a+")
    assert read_constraint(None, None, grammar) == Constraint("gbnf", source=GBNF)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "[" * 100_000])
def test_a_bad_schema_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(OptionError, match=r"s\.json") as caught:
        read_constraint(path, None, None)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin1").write_bytes(b"\xe9")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "latin1"):
        with pytest.raises(OptionError, match="--grammar"):
            read_constraint(None, None, path)


def test_two_constraints_contradict() -> None:
    with pytest.raises(OptionError, match="--json-schema and --regex"):
        read_constraint(Path("s.json"), "a", None)
