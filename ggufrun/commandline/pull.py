"""`ggufrun pull`: the plan before the first byte, then the files, then the path of the one to load."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from ggufrun.choosing.choosing import Choosing, projector_of
from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.known_bad import faults_of
from ggufrun.commandline.machines import machine_of, wishes_of
from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.commandline.plan_words import in_short
from ggufrun.commandline.pull_bars import shown
from ggufrun.commandline.table import printable
from ggufrun.errors import GgufrunError, HubUnreachable
from ggufrun.fit.plan import Plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Wishes
from ggufrun.hub.cached import cached_listing
from ggufrun.hub.client import Client, open_client
from ggufrun.hub.files import HubFile, HubQuant, Listing
from ggufrun.hub.pull import PullPlan, begun, plan_pull
from ggufrun.hub.pull import pull as fetch
from ggufrun.hub.spec import HubSpec, parse_spec
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import model_folders


def pull(spec: str, hub: HubFlags, pinned: PlanFlags, *, mmproj: bool, dry_run: bool) -> None:
    """Prints the path of the first file. Raises InputError and HubError."""
    wishes = wishes_of(pinned)
    hub.settle()
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # before huggingface_hub is imported: ranges are plain HTTP
    wanted = parse_spec(spec, load_cards(model_folders(data_folder(os.environ))))
    client = open_client()
    listing = _listed(client, wanted, hub.revision)
    projector = projector_of(listing, wanted.card) if mmproj else None
    out = sys.stdout if dry_run else sys.stderr
    chosen = listing.quant(wanted.quant) if wanted.quant is not None else begun(client, listing)
    words: list[str] = []
    if chosen is None:
        chosen, words = _best(client, listing, wishes, wanted.card, projector)
        plan = plan_pull(client, listing, chosen, projector)
    else:
        plan = plan_pull(client, listing, chosen, projector)
        if wanted.quant is None:
            words.append(f"{chosen.name} was begun before; another is fetched if it is named: {wanted}:QUANT.")
        if plan.coming:
            words += _planned(client, listing, wishes, wanted.card, projector, chosen)
    _print_plan(listing, chosen, plan, words, out)
    if not dry_run:
        _fetch(str(replace(wanted, quant=chosen.name)), hub, client, plan)


def _fetch(spec: str, hub: HubFlags, client: Client, plan: PullPlan) -> None:
    try:
        with shown(plan) as on_progress:
            path = fetch(client, plan, on_progress)
    except KeyboardInterrupt:
        options = f" --revision {hub.revision}" if hub.revision else ""
        again = printable(f"ggufrun pull {spec}{options}")
        print(f"Stopped. What came is kept: `{again}` goes on from there.", file=sys.stderr)
        raise
    print(path)


def _listed(client: Client, wanted: HubSpec, revision: str | None) -> Listing:
    """Where the hub cannot be asked, what is here of a quant that was named will do."""
    try:
        return client.list(wanted, revision)
    except HubUnreachable as error:
        meant = revision or (wanted.card.revision if wanted.card else None) or "main"
        cached = cached_listing(client.cache, wanted.repo, meant)
        named = (wanted.quant or "").lower()
        if cached is None or named not in (quant.name.lower() for quant in cached.quants):
            raise
        print(f"{error.message} What is in the cache is taken.", file=sys.stderr)
        return cached


def _best(
    client: Client, listing: Listing, wishes: Wishes, card: Card | None, projector: HubFile | None
) -> tuple[HubQuant, list[str]]:
    """The quant, and sentences. Raises InputError where none fits."""
    with Probe() as probe:
        machine, measure = machine_of(MachineFlags(), probe)
        choosing = Choosing(client, listing, machine, wishes, card=card, projector=projector, measure=measure)
        choice, _ = choosing.choose()
    quant = choice.offer.quant
    faults = faults_of(card, listing, choosing.subject(quant).headers[0], projector=projector is not None)
    return quant, [*faults, f"{quant.name}: {choice.reason}.", _in_a_line(choice.offer.plan)]


def _planned(
    client: Client, listing: Listing, wishes: Wishes, card: Card | None, projector: HubFile | None, quant: HubQuant
) -> list[str]:
    """How the named quant would be loaded. It is fetched even so: the user may mean it for another machine."""
    header = None
    try:
        with Probe() as probe:
            machine, measure = machine_of(MachineFlags(), probe)
            choosing = Choosing(client, listing, machine, wishes, card=card, projector=projector, measure=measure)
            header = choosing.subject(quant).headers[0]
            planned = _in_a_line(choosing.exact(quant).plan)
    except GgufrunError as error:
        planned = f"No plan for this machine: {error}"
    return [*faults_of(card, listing, header, projector=projector is not None), planned]


def _in_a_line(plan: Plan) -> str:
    return f"On this machine: {in_short(plan)}."


def _print_plan(listing: Listing, quant: HubQuant, plan: PullPlan, words: Sequence[str], out: TextIO) -> None:
    licence = f", licence {listing.licence}" if listing.licence else ""
    names = [printable(each.file.path) for each in plan.files]
    lines = [f"{listing.repo}:{quant.name} at {listing.revision} ({listing.commit[:7]}){licence}"]
    for name, each in zip(names, plan.files, strict=True):
        state = "here" if each.here else f"{_size(each.done)} of it here" if each.done else ""
        lines.append(f"  {name.ljust(max(map(len, names)))}  {_size(each.file.size):>9}  {state}".rstrip())
    coming = f"{_size(plan.coming)} to come, {_size(plan.free)} free in {plan.store.cache}"
    lines += [*words, coming if plan.coming else "Nothing to fetch."]
    print("\n".join(map(printable, lines)), file=out, flush=True)


def _size(count: int) -> str:
    scale, unit = next((each for each in ((1e9, "GB"), (1e6, "MB")) if count >= each[0]), (1e3, "kB"))
    return f"{count / scale:.1f} {unit}"
