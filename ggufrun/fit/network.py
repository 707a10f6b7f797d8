"""What a plan over several machines sends through the network: counted from the model's shape, timed by usual links."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.figures import gib
from ggufrun.fit.machine import Machine
from ggufrun.fit.plan import Plan
from ggufrun.fit.subject import Subject
from ggufrun.fit.workers import OUTPUT_HERE

_FLOAT: Final = 4  # bytes: rows go through the network as float32
_GRAPH_LAYER: Final = (
    15_000  # bytes that describe a layer's computation, measured: sent when the shape of a step changes
)
_STEPS: Final = 64  # that a description lasts for, about, in an answer

# (name, bytes a second that arrive, seconds there and back)
LINKS: Final = (("1 GbE", 117e6, 0.3e-3), ("2.5 GbE", 290e6, 0.3e-3), ("Wi-Fi", 30e6, 4e-3))


@dataclass(frozen=True, slots=True)
class Network:
    """Bytes: `row_bytes` of hidden values at each border, `token_bytes` in all for a token of one answer."""

    borders: int  # of the machines that a token's values cross
    row_bytes: int
    logits_bytes: int  # of a token, where the output lies on a worker; else 0
    graph_bytes: int
    weight_bytes: int  # sent when the model is loaded

    @property
    def token_bytes(self) -> int:
        return self.borders * self.row_bytes + self.logits_bytes + self.graph_bytes // _STEPS

    def token_s(self, rate: float, round_trip_s: float) -> float:
        """One way each border; an answer of the worker is waited for once."""
        return self.token_bytes / rate + self.borders * round_trip_s / 2

    def load_s(self, rate: float) -> float:
        return self.weight_bytes / rate


def network_of(plan: Plan, machine: Machine, subject: Subject) -> Network | None:
    """None where nothing lies on another machine."""
    remote = {gpu.name for gpu in machine.gpus if gpu.remote}
    uses = [use for use in plan.devices if use.name in remote and use.layers]
    if not uses:
        return None
    header = subject.headers[0]
    width = header.integer(f"{header.architecture}.embedding_length") or 0
    words = header.length("tokenizer.ggml.tokens") or 0
    layers = sum(use.layers for use in uses)
    last = next((use.name for use in reversed(plan.devices[:-1]) if use.layers), "")
    away = last in remote and OUTPUT_HERE not in plan.overrides.get("override_tensors", ())
    return Network(
        borders=len(uses) + (0 if away else 1),
        row_bytes=width * _FLOAT,
        logits_bytes=words * _FLOAT if away else 0,
        graph_bytes=layers * _GRAPH_LAYER,
        weight_bytes=sum(use.weights for use in uses),
    )


def network_words(network: Network) -> Iterator[str]:
    """Sentences."""
    rows = f"{network.borders} rows of {network.row_bytes / 1e3:.1f} kB"
    logits = (
        f" and a row of logits, {network.logits_bytes / 1e3:.0f} kB, since the output is computed there"
        if network.logits_bytes
        else "; the output is computed here, so that no row of logits comes through it"
    )
    yield f"Each token of an answer sends {rows} through the network{logits} (computed; the time is estimated)."
    times = ", ".join(f"{name} {network.token_s(rate, trip) * 1e3:.1f} ms" for name, rate, trip in LINKS)
    yield f"That is, on top of computing: {times} a token of one answer; answers at the same time share the way."
    loads = ", ".join(f"{name} {_time(network.load_s(rate))}" for name, rate, _ in LINKS)
    yield f"Loading sends {gib(network.weight_bytes)} to the workers: {loads}. With rpc-worker --cache, only once."


def network_json(network: Network | None) -> dict[str, Any] | None:
    if network is None:
        return None
    return {
        "token_bytes": network.token_bytes,
        "logits_bytes": network.logits_bytes,
        "weight_bytes": network.weight_bytes,
        "links": [
            {
                "name": name,
                "token_ms": network.token_s(rate, trip) * 1e3,
                "load_s": network.load_s(rate),
                "known": "estimated",
            }
            for name, rate, trip in LINKS
        ],
    }


def _time(seconds: float) -> str:
    if seconds < 1:
        return "under 1 s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
