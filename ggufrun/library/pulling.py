"""What a pull fetches: from what was typed to a quant, its files and sentences about them. `hub.pull` fetches them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from ggufrun.choosing.choosing import Choosing, projector_of
from ggufrun.errors import GgufrunError
from ggufrun.fit.plan import Plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Wishes
from ggufrun.hub.cached import cached_listing
from ggufrun.hub.client import Client, open_client
from ggufrun.hub.files import HubFile, HubQuant, Listing
from ggufrun.hub.pull_plan import PullPlan, begun, plan_pull
from ggufrun.hub.spec import HubSpec, parse_spec
from ggufrun.hub_errors import HubUnreachable
from ggufrun.library.known_bad import faults_of
from ggufrun.library.machines import machine_of
from ggufrun.library.plans import in_short
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import load_cards
from ggufrun.weights.folders import model_folders

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What `hub.pull.pull` takes, and what it means. `words`: sentences on why this quant, and how it would run."""

    spec: HubSpec  # with the quant and the revision, as `ggufrun pull` goes on with it
    client: Client
    listing: Listing
    quant: HubQuant
    plan: PullPlan
    words: tuple[str, ...]


def chosen(spec: str, revision: str | None, wishes: Wishes, *, mmproj: bool, say: Say) -> Chosen:
    """`say` hears at once what went otherwise than it was meant. Raises InputError and HubError."""
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # before huggingface_hub is imported: ranges are plain HTTP
    wanted = parse_spec(spec, load_cards(model_folders(data_folder(os.environ))))
    client = open_client()
    listing = _listed(client, wanted, revision, say)
    which = _Which(client, listing, wanted, wishes, projector_of(listing, wanted.card) if mmproj else None)
    quant = listing.quant(wanted.quant) if wanted.quant is not None else begun(client, listing)
    words: list[str] = []
    if quant is None:
        quant, words = which.best()
        plan = plan_pull(client, listing, quant, which.projector)
    else:
        plan = plan_pull(client, listing, quant, which.projector)
        if wanted.quant is None:
            words.append(f"{quant.name} was begun before; another is fetched if it is named: {wanted}:QUANT.")
        if plan.coming:
            words += which.planned(quant)
    full = replace(wanted, quant=quant.name, revision=revision or wanted.revision)
    return Chosen(full, client, listing, quant, plan, tuple(words))


def _listed(client: Client, wanted: HubSpec, revision: str | None, say: Say) -> Listing:
    """Where the hub cannot be asked, what is here of a quant that was named will do."""
    try:
        return client.list(wanted, revision)
    except HubUnreachable as error:
        cached = cached_listing(client.cache, wanted.repo, wanted.revision_of(revision))
        if cached is None or wanted.quant is None or cached.find(wanted.quant) is None:
            raise
        say(f"{error.message} What is in the cache is taken.")
        return cached


@dataclass(frozen=True, slots=True)
class _Which:
    """The question which quant, or how a named one would run."""

    client: Client
    listing: Listing
    wanted: HubSpec
    wishes: Wishes
    projector: HubFile | None

    def best(self) -> tuple[HubQuant, list[str]]:
        """The quant, and sentences. Raises InputError where none fits."""
        with Probe() as probe:
            choosing = self._choosing(probe)
            choice, _ = choosing.choose()
        quant = choice.offer.quant
        sees = self.projector is not None
        faults = faults_of(self.wanted.card, self.listing, choosing.subject(quant).headers[0], projector=sees)
        return quant, [*faults, f"{quant.name}: {choice.reason}.", _in_a_line(choice.offer.plan)]

    def planned(self, quant: HubQuant) -> list[str]:
        """How the named quant would be loaded. It is fetched even so: the user may mean it for another machine."""
        header = None
        try:
            with Probe() as probe:
                choosing = self._choosing(probe)
                header = choosing.subject(quant).headers[0]
                planned = _in_a_line(choosing.exact(quant).plan)
        except GgufrunError as error:
            planned = f"No plan for this machine: {error}"
        return [*faults_of(self.wanted.card, self.listing, header, projector=self.projector is not None), planned]

    def _choosing(self, probe: Probe) -> Choosing:
        machine, measure = machine_of(None, None, probe)
        return Choosing(
            self.client,
            self.listing,
            machine,
            self.wishes,
            card=self.wanted.card,
            projector=self.projector,
            measure=measure,
        )


def _in_a_line(plan: Plan) -> str:
    return f"On this machine: {in_short(plan)}."
