"""`ggufrun ps`: the models of the servers that run, and how they are."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ggufrun.commandline.remote import NobodyThere, Remote, remotes
from ggufrun.commandline.table import lines, printable

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
        _size(model["memory_bytes"]),
        f"{model['context']:,}",
        str(model["active"]),
        "-" if model["idle_s"] is None or model["active"] else _time(model["idle_s"]),
        "-" if model["ttl_s"] is None else _time(model["ttl_s"]),
    )


def _size(count: int) -> str:
    if not count:
        return "-"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _time(seconds: float) -> str:
    """Two units at most: 40 s, 12 min, 3 h 5 min."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
