"""docs/scale.md: its settings are settings, its flags are flags, and its arithmetic adds up"""

import re
from pathlib import Path
from typing import Final

import pytest

from ggufrun.userconfig import load_user_settings
from tests.program import ROOT, at_home, run_ggufrun

PAGE: Final = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
SHOWN: Final = [line[4:] for line in PAGE.splitlines() if line.startswith("    ")]
TABLE: Final = re.compile(r"\[[a-z.\"0-9-]+\.[a-z.\"0-9-]+\]( +#.*)?$")
ENTRY: Final = re.compile(r"#? ?[a-z_]+ = .+")


def test_all_its_settings_are_read(tmp_path: Path) -> None:
    kept = [line for line in SHOWN if TABLE.match(line) or ENTRY.match(line)]
    # What is commented out there is tried as well, but for what stands for something else.
    written = [line.removeprefix("# ") for line in kept if "…" not in line]
    (tmp_path / "ggufrun.toml").write_text("\n".join(written), encoding="utf-8")
    found = load_user_settings(tmp_path / "ggufrun.toml")
    assert set(found.remotes) == {"fast", "hosted"} and set(found.routes) == {"mistral-medium-3.5", "team"}
    assert found.models["mistral-small-3.2"].rpc == ("192.168.1.20:50052",)
    route = found.routes["mistral-medium-3.5"]
    assert (
        route.escalate is not None and route.escalate.tools and route.shadow is not None and route.shadow.share == 0.05
    )


@pytest.mark.parametrize("command", ["serve", "fit", "rpc-worker", "rpc-build", "usage", "shadow"])
def test_its_flags_exist(command: str, tmp_path: Path) -> None:
    lines = [line for line in SHOWN + PAGE.split("`") if re.match(rf"(.*\$ +)?ggufrun {command}\b", line)]
    assert lines, f"ggufrun {command} is not there"
    told = run_ggufrun(command, "--help", environment=at_home(tmp_path, COLUMNS="200")).stdout
    for flag in {flag for line in lines for flag in re.findall(r"--[a-z-]+", line.split("#")[0])}:
        assert flag in told, flag


def test_the_cards_are_counted_right() -> None:
    """Weights and cache in GiB, 92 % of each card less 2 GiB."""
    cache = 2 * 88 * 8 * 128 * 2
    assert f"{cache:,} bytes" in PAGE
    weights = {"FP8": 134e9 / 2**30, "BF16": 256e9 / 2**30}
    needed = [weights["FP8"] + 131_072 * cache / 2**30, weights["BF16"] + 131_072 * cache / 2**30]
    needed.append(weights["FP8"] + 262_144 * cache / 2**30)
    usable = {"24 GB": 0.92 * 24 - 2, "48 GB": 0.92 * 48 - 2, "80 GB": 0.92 * 79.6 - 2, "141 GB": 0.92 * 140 - 2}
    for card, room in usable.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {card} |"))
        cells = [cell.strip() for cell in row.split("|")[3:6]]
        for cell, bytes_ in zip(cells, needed, strict=True):
            said = re.match(r"(\d+(?:\.\d+)?):", cell)
            assert said is not None and float(said[1]) == pytest.approx(bytes_ / room, abs=0.06), (card, cell)
            cards = re.search(r": (\d+)", cell)
            assert cards is not None and int(cards[1]) * room >= bytes_, (card, cell)
