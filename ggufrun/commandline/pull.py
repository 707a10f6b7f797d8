"""`ggufrun pull`: the plan before the first byte, then the files, then the path of the one to load."""

import sys
from typing import TextIO

from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.plan_flags import PlanFlags
from ggufrun.commandline.pull_bars import shown
from ggufrun.commandline.table import printable
from ggufrun.commandline.wishes import wishes_of
from ggufrun.figures import gb
from ggufrun.hub.pull import pull as fetch
from ggufrun.library.pulling import Chosen, chosen


def pull(spec: str, hub: HubFlags, pinned: PlanFlags, *, mmproj: bool, dry_run: bool) -> None:
    """Prints the path of the first file. Raises InputError and HubError."""
    wishes = wishes_of(pinned, spec)
    hub.settle()
    found = chosen(spec, hub.revision, wishes, mmproj=mmproj, say=lambda text: print(text, file=sys.stderr))
    _print_plan(found, sys.stdout if dry_run else sys.stderr)
    if not dry_run:
        _fetch(found)


def _fetch(found: Chosen) -> None:
    try:
        with shown(found.plan) as on_progress:
            path = fetch(found.client, found.plan, on_progress)
    except KeyboardInterrupt:
        options = f" --revision {found.spec.revision}" if found.spec.revision else ""
        again = printable(f"ggufrun pull {found.spec}{options}")
        print(f"Stopped. What came is kept: `{again}` goes on from there.", file=sys.stderr)
        raise
    print(path)


def _print_plan(found: Chosen, out: TextIO) -> None:
    listing, plan = found.listing, found.plan
    licence = f", licence {listing.licence}" if listing.licence else ""
    names = [printable(each.file.path) for each in plan.files]
    lines = [f"{listing.repo}:{found.quant.name} at {listing.revision} ({listing.commit[:7]}){licence}"]
    for name, each in zip(names, plan.files, strict=True):
        state = "here" if each.here else f"{gb(each.done)} of it here" if each.done else ""
        lines.append(f"  {name.ljust(max(map(len, names)))}  {gb(each.file.size):>9}  {state}".rstrip())
    coming = f"{gb(plan.coming)} to come, {gb(plan.free)} free in {plan.store.cache}"
    lines += [*found.words, coming if plan.coming else "Nothing to fetch."]
    print("\n".join(map(printable, lines)), file=out, flush=True)
