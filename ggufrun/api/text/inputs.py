"""What `prompt` and `input` may be: texts, or token ids of the model's own vocabulary."""

from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

_Token = Annotated[int, Field(strict=True)]
_OneOf = str | tuple[str, ...] | tuple[_Token, ...] | tuple[tuple[_Token, ...], ...]


def _in_one_sentence(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """A list that is mixed is of no kind: what pydantic says of each would mislead."""
    try:
        return check(value)
    except ValidationError:
        reason = "Input should be a text, a list of texts, or token ids: one list of numbers, or a list of such lists"
        raise PydanticCustomError("input_type", reason) from None


Inputs = Annotated[_OneOf, WrapValidator(_in_one_sentence)]
