"""`ggufrun ps`: the models of the servers that run, and how they are."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ggufrun.commandline.remote import NobodyThere, Remote, remotes
from ggufrun.commandline.table import lines, printable
from ggufrun.figures import duration, gib

_HEADS: Final = ("NAME", "STATE", "QUANT", "MEMORY", "CONTEXT", "ACTIVE", "IDLE", "TTL")

_Model = Mapping[str, Any]


def ps(url: str | None, *, as_json: bool) -> None:
    """Raises EngineError where no server answers."""
    found = _answers(remotes(url))
    if as_json:
        servers = [{"url": server.url, "pid": server.pid, "models": models} for server, models in found]
        print(json.dumps(servers, indent=2))
        return
    for server, models in found:
        if len(found) > 1:
            print(f"{server.url}:")
        print("\n".join(table(models)))
    for _, models in found:
        for model in models:
            for remark in (model["error"], model.get("note")):
                if remark:
                    print(printable(f"{model['name']}: {remark}"), file=sys.stderr)


def _answers(servers: Sequence[Remote]) -> list[tuple[Remote, list[_Model]]]:
    """Of those that answer; where none does, the first one's error."""
    found, failure = [], None
    for server in servers:
        try:
            found.append((server, server.get("/models")["data"]))
        except NobodyThere as error:
            failure = failure or error
    if failure is not None and not found:
        raise failure
    return found


def table(models: Sequence[_Model]) -> Iterator[str]:
    yield from lines([_HEADS, *map(_row, models)])


def _row(model: _Model) -> tuple[str, ...]:
    loading = f"loading {model['progress']:.0%}" if model["state"] == "loading" else model["state"]
    return (
        model["name"],
        loading,
        model["quant"] or "-",
        gib(model["memory_bytes"]) if model["memory_bytes"] else "-",
        f"{model['context']:,}",
        str(model["active"]),
        "-" if model["idle_s"] is None or model["active"] else duration(model["idle_s"]),
        "-" if model["ttl_s"] is None else duration(model["ttl_s"]),
    )
