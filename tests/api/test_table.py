"""The tables of `ggufrun keys`, `ps` and `usage`."""

from ggufrun.commandline.table import lines


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert lines([("NAME", "AGE"), ("anna", "7"), ("x", "100")]) == ["NAME  AGE", "anna  7", "x     100"]
    assert lines([("name", "age"), ("x", "7")], numbers=True) == ["name  age", "x       7"]
    assert lines([]) == []


def test_no_name_writes_to_the_terminal_itself() -> None:
    assert lines([("a\x1b[31m\nb", "1")]) == ["a?[31m?b  1"]
