"""`ggufrun fit`: how a model would be loaded on a machine, as a table and in sentences. The plan is the library's."""

import json

from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.commandline.plan_words import print_plan, print_smaller
from ggufrun.commandline.table import printable
from ggufrun.commandline.wishes import wishes_of
from ggufrun.figures import billions
from ggufrun.library.fitting import Asked, Fitted, fitted, fitted_json


def fit(
    spec: str, hub: HubFlags, machine: MachineFlags, pinned: PlanFlags, *, mmproj: str | None, as_json: bool
) -> None:
    """Raises InputError or HubError."""
    hub.settle()
    asked = Asked(spec, hub.revision, wishes_of(pinned, spec, mmproj))
    found = fitted(asked, gpu=machine.gpu, ram=machine.ram)
    if as_json:
        print(json.dumps(fitted_json(found), indent=2))
    else:
        _print(found)


def _print(found: Fitted) -> None:
    parameters = sum(header.parameters for header in found.subject.headers)
    print(printable(f"{found.subject.name}: {billions(parameters)} parameters. {found.note}".strip()))
    print_plan(found.plan, found.machine)
    if found.others:
        print("\nOther quants, estimated from their sizes:")
        for name, words in found.others.items():
            print(printable(f"  {name}: {words}"))
    if found.smaller is not None:
        print_smaller(found.smaller, found.machine)
