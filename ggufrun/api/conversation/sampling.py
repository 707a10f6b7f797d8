"""What the requests of several endpoints have in common: the model's name, stop strings, and the options by name."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError

from ggufrun.chat.types import ChatOptions

SAME: Final = (  # names that ChatOptions and AnswerSettings have, too
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "seed"),
    *("max_tokens", "min_tokens", "stop"),
)


def _name(value: Any) -> Any:
    return "" if value is None else value


def _list(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise PydanticCustomError("input_type", "Input should be a text or a list of texts")
    return value


ModelName = Annotated[str, BeforeValidator(_name, json_schema_input_type=str | None)]
Stop = Annotated[tuple[str, ...], BeforeValidator(_list, json_schema_input_type=str | tuple[str, ...])]


def options_of(body: BaseModel, **own: Any) -> ChatOptions:
    """The options that `body` has under their own names, and `own`, which it has under others."""
    same = {name: getattr(body, name, None) for name in SAME}
    if biases := getattr(body, "logit_bias", None):
        same["logit_bias"] = tuple(biases.items())
    n = getattr(body, "n", None)
    return ChatOptions(**{**same, "n": 1 if n is None else n, **own})
