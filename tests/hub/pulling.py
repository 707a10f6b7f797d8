"""A pull by way of the library, in this process or in a child, as the tests of pulls start it."""

import subprocess
from pathlib import Path
from typing import Final

from ggufrun.hub.client import Client
from ggufrun.hub.files import HubFile, Listing
from ggufrun.hub.pull import plan_pull, pull
from ggufrun.hub.spec import HubSpec
from ggufrun.hub.transfer import WORKERS, Patience
from tests.hub.fake_hub import FakeHub
from tests.hub.home import Home
from tests.hub.models import MIB

REPO: Final = "owner/Tiny-GGUF"
NAME: Final = "tiny-Q4_K_M.gguf"
CHUNK: Final = WORKERS * MIB  # what may come twice where a pull was broken off
HASTY: Final = Patience(first_s=0.02, longest_s=0.1)  # where a test would otherwise mostly wait

_CHILD: Final = """
import sys
from ggufrun.hub.client import open_client
from ggufrun.hub.pull import plan_pull, pull
from ggufrun.hub.spec import parse_spec
client = open_client()
listing = client.list(parse_spec(sys.argv[1], []), None)
plan = plan_pull(client, listing, listing.quants[0], None)
print("READY", flush=True)
print(pull(client, plan))
"""


def client_of(hub: FakeHub, home: Home, token: str | None = None) -> Client:
    return Client(hub.endpoint, token, offline=False, cache=home.hub_cache)


def listing_of(hub: FakeHub, home: Home, token: str | None = None, revision: str | None = None) -> Listing:
    return client_of(hub, home, token).list(HubSpec(REPO), revision)


def pull_here(
    hub: FakeHub,
    home: Home,
    *,
    token: str | None = None,
    revision: str | None = None,
    quant: str | None = None,
    projector: HubFile | None = None,
) -> Path:
    """Pull the repository's smallest quant (or the one named) into the home's cache."""
    client, listing = client_of(hub, home, token), listing_of(hub, home, token, revision)
    chosen = listing.quant(quant) if quant else listing.quants[0]
    return pull(client, plan_pull(client, listing, chosen, projector), patience=HASTY)


def start_pull(home: Home, spec: str = REPO) -> subprocess.Popen[str]:
    """The same in a child, which can be killed."""
    return home.start(["-c", _CHILD, spec])
