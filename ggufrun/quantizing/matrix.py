"""Whether an importance matrix fits a model, and which tensors cannot be made without one"""

from collections.abc import Iterable, Mapping
from typing import Final

from ggufrun.errors import InputError, ModelFileError
from ggufrun.quantizing.kinds import Kind
from ggufrun.weights.fields import TensorInfo
from ggufrun.weights.imatrix import Imatrix

_NEEDY: Final = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"}
_ENDS: Final = {"token_embd.weight", "per_layer_token_embd.weight", "output.weight"}


def check_fit(matrix: Imatrix, tensors: Iterable[TensorInfo]) -> None:
    """Raises ModelFileError where it was made for another model: what is left then would be quantized without it."""
    known = {tensor.name: tensor for tensor in tensors}
    common = [name for name in matrix.entries if name in known]
    if not common:
        raise _foreign(matrix, "none of its entries is a tensor of this model")
    for name in common:
        shape = known[name].shape
        columns = shape[0] * (shape[2] if len(shape) > 2 else 1)
        if matrix.entries[name].size != columns and name not in _ENDS:
            raise _foreign(matrix, f"it has {matrix.entries[name].size} values for {name}, which has {columns} columns")


def check_covered(kind: Kind, types: Mapping[str, str], matrix: Imatrix | None) -> None:
    """Raises InputError where a tensor of so few bits has no entry."""
    lacking = [name for name in needing(kind, types) if matrix is None or name not in matrix.entries]
    if lacking and matrix is not None:
        told = f"{kind.name} needs an importance matrix for each tensor, and {matrix.path} has none for {lacking[0]}"
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise InputError(f"{told}{more}.", "Give a whole one, or choose a quant with more bits.")


def needing(kind: Kind, types: Mapping[str, str]) -> list[str]:
    """The tensors that llama.cpp does not quantize without: the result would be garbage."""
    needy = _NEEDY | ({"Q2_K"} if kind.name == "Q2_K_S" else set())
    return [name for name, type_name in types.items() if type_name in needy and name not in _ENDS]


def _foreign(matrix: Imatrix, reason: str) -> ModelFileError:
    hint = "Give the one that was computed with this model."
    return ModelFileError(matrix.path, f"this importance matrix is another model's: {reason}", hint)
