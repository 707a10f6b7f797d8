"""`ggufrun shadow`: what real and shadow answers add up to, those that differ side by side; and all are forgotten"""

import csv
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime

from ggufrun.commandline.shadow_words import print_pair, print_sum
from ggufrun.commandline.shadowing import interval
from ggufrun.commandline.usage import Format, since_time
from ggufrun.errors import OptionError
from ggufrun.records.shadow_report import EngineSum, ShadowSum, shadow_report
from ggufrun.records.shadows import SHADOWS_FILE, Chosen, ShadowPair, ShadowStore
from ggufrun.userconfig import data_folder


def report(route: str | None, since: str | None, show: int, form: Format) -> None:
    """Print what is kept on this machine; `show`: so many answers that differ. Raises OptionError."""
    if not 0 <= show <= 1000:
        raise OptionError(f"--show cannot be {show}.", "Use 0 to 1000.")
    start = since_time(since, datetime.now(UTC)) if since is not None else None
    chosen = Chosen(route=route, since=start.timestamp() if start else None)
    store = _store()
    sums = shadow_report(store, chosen, interval)
    if not sums:
        print(_none(route, start), file=sys.stdout if form == "table" else sys.stderr)
    if form == "csv":
        _print_csv(sums)
        return
    differing = _differing(store, chosen, show)
    if form == "json":
        print(json.dumps({"data": list(map(asdict, sums)), "differing": list(map(asdict, differing))}, indent=2))
        return
    for each in sums:
        print_sum(each)
    for pair in differing:
        print_pair(pair)


def clear(route: str | None) -> None:
    number = _store().clear(route)
    which = f" of {route}" if route is not None else ""
    print(f"{number} pairs of answers{which} are forgotten.", file=sys.stderr, flush=True)


def _store() -> ShadowStore:
    return ShadowStore(data_folder(os.environ) / SHADOWS_FILE)


def _differing(store: ShadowStore, chosen: Chosen, show: int) -> Sequence[ShadowPair]:
    """The newest ones."""
    wanted = Chosen(route=chosen.route, since=chosen.since, differing=True)
    return store.listed(wanted, show, whole=True) if show else ()


def _none(route: str | None, start: datetime | None) -> str:
    which, when = f" of {route}" if route else "", f" since {start:%Y-%m-%d %H:%M} UTC" if start else " yet"
    return (
        f'No shadow answers{which} are kept{when}. A table [routes."NAME".shadow] in ggufrun.toml, with engine and '
        "share, has a route's answers compared while `ggufrun serve` runs."
    )


def _print_csv(sums: Sequence[ShadowSum]) -> None:
    sides, engine = ("real", "shadow"), [each.name for each in fields(EngineSum)]
    own = [each.name for each in fields(ShadowSum) if each.name not in sides]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*own, *(f"{side}_{name}" for side in sides for name in engine)])
    for each in sums:
        values = [getattr(getattr(each, side), name) for side in sides for name in engine]
        writer.writerow([*(getattr(each, name) for name in own), *values])
