"""Whether an mmproj file is what a model can see with: from the two files' headers alone"""

import struct
from typing import Final

from ggufrun.errors import ModelFileError
from ggufrun.weights.fields import ArrayField
from ggufrun.weights.header import Header

KIND: Final = "pixtral"  # how Mistral's models see
TEMPLATED: Final = "its prompts are written by a chat template, not in Mistral's own format"
_MARKS: Final = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")  # tokens, among the first of a vocabulary
_FIRST: Final = 1 << 17  # bytes: more than the thousand special tokens take that come first


def fault_of(projector: Header, model: Header) -> str:
    """Why it is not, to follow a file's name; "" where it is."""
    kind = projector.text("clip.projector_type") or projector.text("clip.vision.projector_type")
    if projector.architecture != "clip" or kind is None:
        return "this is no mmproj file"
    if kind != KIND:
        return f"it sees in the way of {kind!r}, and only Mistral's ({KIND}) is known"
    patch, longest = (projector.integer(f"clip.vision.{name}") or 0 for name in ("patch_size", "image_size"))
    if min(patch, longest, merge_of(projector)) < 1:
        return "it does not say how large its patches and images are"
    makes, takes = width_of(projector), model.integer(f"{model.architecture}.embedding_length")
    if makes != takes:
        return (
            f"it belongs to another model: it makes embeddings of {_count(makes)} numbers, {model.path.name} takes "
            f"{_count(takes)}"
        )
    return ""


def unseen_by(model: Header) -> str:
    """Why its prompts can have no images, whatever mmproj there is; "" where they can. Raises ModelFileError."""
    if not _in_mistrals_format(model):
        return TEMPLATED
    return "" if knows_images(model) else "its vocabulary has no tokens for them ([IMG])"


def _in_mistrals_format(model: Header) -> bool:
    """As `chat.prompt` decides it, which has the vocabulary to be sure."""
    template = model.text("tokenizer.chat_template") or ""
    return model.text("tokenizer.ggml.pre") == "tekken" and (not template or "[INST]" in template)


def knows_images(model: Header) -> bool:
    """Whether its vocabulary has the tokens that images are made of. Raises ModelFileError."""
    tokens = model.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, ArrayField):
        return False
    try:
        with model.path.open("rb") as file:
            file.seek(tokens.start)
            first = file.read(min(tokens.end - tokens.start, _FIRST))
    except OSError as error:
        raise ModelFileError(model.path, error.strerror or str(error), "Check the path.") from error
    return all(struct.pack("<Q", len(mark)) + mark.encode() in first for mark in _MARKS)


def width_of(projector: Header) -> int | None:
    """Numbers in an embedding that it makes: what its last layer says, else the key."""
    last = next((tensor for tensor in projector.tensors if tensor.name == "mm.2.weight"), None)
    return last.shape[-1] if last is not None else projector.integer("clip.vision.projection_dim")


def merge_of(projector: Header) -> int:
    """So many patches in each direction become one token."""
    merge = projector.integer("clip.vision.spatial_merge_size")
    return 1 if merge is None else merge


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else f"{number:,}"
