"""What a model's files say of themselves: header, split set, tensor types, context and rope, known faults.

Their bytes are summed up in `checksum`, their vocabulary and chat template are looked at in `vocabulary_check` and
`template_check`.
"""

import datetime
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ggufrun.doctor.finding import Finding
from ggufrun.errors import ModelFileError
from ggufrun.store.resolve import ResolvedModel
from ggufrun.weights.cards import Card
from ggufrun.weights.fields import ArrayField
from ggufrun.weights.ggml_types import TENSOR_TYPES
from ggufrun.weights.header import Header, read_header
from ggufrun.weights.known_bad import known_faults
from ggufrun.weights.projectors import fault_of

_SHORT_CONTEXT: Final = 2048
_AGAIN: Final = "Download the file again, from a newer revision."


def damaged(error: ModelFileError) -> Finding:
    """What `resolve` refused: the split set, or the header of one of its files."""
    topic = "split set" if "split set" in error.reason or "is part of" in error.reason else "header"
    return Finding(topic, "fault", f"{error.path.name}: {error.reason}.", error.hint)


def check_files(found: ResolvedModel) -> Iterator[Finding]:
    header, count = found.header, len(found.shards)
    yield Finding(
        "header", "ok", f"GGUF version {header.version}, {len(header.metadata)} keys, all tensors in the file."
    )
    if count > 1:
        yield Finding("split set", "ok", f"All {count} files of the split set are here, and each is in its place.")
    yield _tensors(found)
    yield _context(header)
    yield _rope(header)
    yield from _known_faults(found)


def tensor_types(header: Header) -> dict[str, int]:
    """Elements by the name of their type, most first; of the file that is loaded first."""
    elements: Counter[str] = Counter()
    for tensor in header.tensors:
        elements[tensor.type_name] += tensor.elements
    return dict(elements.most_common())


def check_projector(path: Path, model: Header, card: Card | None) -> Finding:
    """A file beside the model that may see images for it (mmproj)."""
    try:
        header = read_header(path)
    except ModelFileError as error:
        return Finding("mmproj", "fault", f"{path.name}: {error.reason}.", error.hint)
    if header.architecture != "clip":
        says = f"{path.name} is no image projector: its architecture is {header.architecture!r}."
        return Finding("mmproj", "fault", says, _AGAIN)
    if faults := known_faults(card, "mmproj", header.metadata, _here_since(path), path.name):
        return Finding("mmproj", "fault", faults[0], "Delete it (`ggufrun rm`) and pull the model again.")
    if fault := fault_of(header, model):
        says = f"{path.name}: {fault}. It is left out: images cannot be seen."
        return Finding("mmproj", "warning", says, "Put the mmproj file beside the model that was published with it.")
    return Finding("mmproj", "ok", f"{path.name} is a sound image projector.")


def _here_since(path: Path) -> datetime.date:
    return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).date()


def _tensors(found: ResolvedModel) -> Finding:
    unknown = sorted({tensor.type_name for tensor in found.header.tensors if tensor.type not in TENSOR_TYPES})
    if unknown:
        says = f"Tensors of {', '.join(unknown)} are newer than this ggufrun."
        return Finding("tensors", "warning", says, "Update ggufrun and llama-cpp-python, or choose another quant.")
    types = tensor_types(found.header)
    total = sum(types.values()) or 1
    shares = ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in types.items())
    return Finding("tensors", "ok", f"{len(found.header.tensors)} tensors: {shares}.")


def _context(header: Header) -> Finding:
    context = header.context_train
    key = f"{header.architecture}.context_length"
    if context is None or context < 1:
        says = f"It does not say for how many tokens of context the model was made ({key})."
        return Finding("context", "fault", says, _AGAIN)
    if context < _SHORT_CONTEXT and "bert" not in header.architecture:
        return Finding("context", "note", f"The model was made for {context:,} tokens of context, which is little.")
    return Finding("context", "ok", f"The model was made for {context:,} tokens of context.")


def _rope(header: Header) -> Finding:
    """The keys that turn positions into angles. A wrong one gives nonsense, and no error."""
    name = header.architecture
    kind = header.text(f"{name}.rope.scaling.type") or "none"
    base = _number(header, f"{name}.rope.freq_base")
    said = f"base {base:g}" if base else "llama.cpp's base"
    if base is not None and base <= 0:
        return Finding("rope", "fault", f"{name}.rope.freq_base is {base:g}.", _AGAIN)
    if kind == "none":
        return Finding("rope", "ok", f"Positions: {said}, not scaled.")
    factor = _number(header, f"{name}.rope.scaling.factor")
    original = header.integer(f"{name}.rope.scaling.original_context_length")
    if factor is None or factor <= 0 or (kind == "yarn" and not original):
        says = f"Positions are scaled ({kind}), and the factor or the original context length is not given."
        return Finding("rope", "fault", says, _AGAIN)
    said += f", scaled by {kind}, factor {factor:g}" + (f" over {original:,} tokens" if original else "")
    context = header.context_train
    if original and context and not 0.5 <= original * factor / context <= 2.0:
        says = f"Positions: {said}; that is {original * factor:,.0f} tokens, and the file says {context:,}."
        return Finding("rope", "warning", says, "Compare with the maker's config.json, or take a newer revision.")
    return Finding("rope", "ok", f"Positions: {said}.")


def _known_faults(found: ResolvedModel) -> Iterator[Finding]:
    """By the model's card. A file was published before it came here, so its own date may be enough."""
    card = found.card
    if card is None:
        yield Finding("revision", "note", "No model card knows this file, so nothing is known of bad revisions.")
        return
    faults = known_faults(card, "model", found.header.metadata, _here_since(found.path), "This file")
    rules = [bad for bad in card.bad if bad.what == "model"]
    days = [bad.before for bad in rules if bad.before]
    if faults:
        yield Finding("revision", "fault", faults[0], f"Fetch it again: ggufrun pull {card.name}.")
    elif days and len(days) == len(rules):  # nothing in the file itself tells
        says = f"Files of this model from before {max(days)} are wrong; this one came later, and may be older."
        yield Finding("revision", "note", says, f"`ggufrun pull {card.name}` fetches a newer one if there is one.")
    else:
        yield Finding("revision", "ok", f"The card of {card.name} knows nothing bad of this file.")


def _number(header: Header, key: str) -> float | None:
    value = header.metadata.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, ArrayField) else None
