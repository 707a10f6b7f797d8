"""`ggufrun keys`: makes, lists and revokes API keys. A running server knows at once."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

from ggufrun.commandline.table import lines
from ggufrun.errors import OptionError
from ggufrun.records.database import FILE_NAME
from ggufrun.records.keys import Key, KeyStore, Scope
from ggufrun.userconfig import data_folder


def add(name: str, scope: Scope, tokens_per_day: int | None, models: str | None) -> None:
    """Print the new key, alone on standard output. Raises OptionError."""
    names = [] if models is None else [model.strip() for model in models.split(",")]
    if not all(names):
        raise OptionError("--models has an empty name.", "Write it as --models demo,other.")
    if tokens_per_day is not None and not 1 <= tokens_per_day < 2**63:
        raise OptionError(f"--tokens-per-day cannot be {tokens_per_day}.", "Use 1 or more, or leave it out.")
    with _store() as store:
        secret = store.add(name, scope, tokens_per_day, names)
    print(secret, flush=True)
    _say(f"That is the key {name!r}. It is shown this once: keep it where your program finds it (MISTRAL_API_KEY).")


def show(*, as_json: bool) -> None:
    with _store() as store:
        keys, needed = store.listed(), store.any()
    if as_json:
        print(json.dumps([asdict(key) for key in keys], indent=2))
        return
    if keys:
        print("\n".join(_table(keys)))
    elif needed:
        _say("All keys are revoked, and requests are refused. ggufrun keys add NAME makes one.")
    else:
        _say("There are no keys: any key or none works on this machine. ggufrun keys add NAME makes one.")


def revoke(name: str) -> None:
    """Raises OptionError where there is no such key."""
    with _store() as store:
        store.revoke(name)
        left = store.listed()
    _say(f"The key {name!r} is revoked.")
    if not left:
        _say("It was the last one: requests are refused until there is another. ggufrun keys clear lifts that.")


def clear() -> None:
    with _store() as store:
        number = store.clear()
    _say(f"{number} keys are gone. On this machine any key or none works now; a server that others reach refuses them.")


@contextmanager
def _store() -> Iterator[KeyStore]:
    with closing(KeyStore(data_folder(os.environ) / FILE_NAME)) as store:
        yield store


def _table(keys: Sequence[Key]) -> Iterator[str]:
    head = ("NAME", "SCOPE", "TOKENS A DAY", "MODELS", "MADE")
    yield from lines([head, *(_row(key) for key in keys)])


def _row(key: Key) -> tuple[str, ...]:
    made = datetime.fromtimestamp(key.created, UTC).strftime("%Y-%m-%d %H:%M")
    limit = "any" if key.tokens_per_day is None else str(key.tokens_per_day)
    return key.name, key.scope, limit, ", ".join(key.models) or "all", made


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
