"""Numbers as people read them, above all at the edges of their units."""

import pytest

from ggufrun.figures import billions, duration, gb, gb_of, gib, nats, percent, speed


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0.0 kB"), (16_800_000, "16.8 MB"), (4.37e9, "4.37 GB"), (79.4e9, "79.4 GB"), (4398e9, "4,398.0 GB")],
)
def test_files(size: float, words: str) -> None:
    assert gb(size) == words


def test_a_part_is_told_in_the_unit_of_the_whole() -> None:
    assert gb_of(512_000_000, 4_370_000_000) == "0.51 of 4.37 GB"
    assert gb_of(0, 5_200_000) == "0.0 of 5.2 MB"


@pytest.mark.parametrize(("size", "words"), [(512 << 20, "512 MiB"), (1 << 30, "1.0 GiB"), (2000 << 30, "2,000.0 GiB")])
def test_memory(size: int, words: str) -> None:
    assert gib(size) == words


@pytest.mark.parametrize(("tok_s", "words"), [(0.152, "0.15"), (7.31, "7.3"), (12.4, "12"), (4480.3, "4,480")])
def test_speeds(tok_s: float, words: str) -> None:
    assert speed(tok_s) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (134_515_008, "135 million"),
        (999_600_000, "1 billion"),
        (22_200_000_000, "22.2 billion"),
        (1_040_000_000_000, "1,040 billion"),
    ],
)
def test_parameters(count: int, words: str) -> None:
    assert billions(count) == words


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 s"), (119, "119 s"), (600, "10 min"), (9000, "2 h 30 min")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (0.03127, "0.0313"),
        (0.00136, "0.00136"),
        (0.000025, "0.000025"),
        (1e-9, "<0.000001"),
        (-1e-9, ">-0.000001"),
        (1.387, "1.39"),
        (-0.0313, "-0.0313"),
        (float("nan"), "–"),
    ],
)
def test_divergences(value: float, words: str) -> None:
    assert nats(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.9187, "91.9 %"), (0.99972, "99.97 %"), (0.999999, "99.99 %"), (1.0, "100 %"), (-0.012, "-1.2 %")],
)
def test_shares(share: float, words: str) -> None:
    assert percent(share) == words
