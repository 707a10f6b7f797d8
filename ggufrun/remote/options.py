"""A request's sampling options by the names that an engine has for them, with the values that it takes."""

from typing import Final

from ggufrun.chat.types import ChatOptions, ModelInfo
from ggufrun.errors import OutOfRange
from ggufrun.remote.engines import Engine
from ggufrun.remote.messages import Json
from ggufrun.remote_errors import RemoteLacks

_HOSTED_WARMEST: Final = 1.5
_CANNOT: Final = {
    "min_p": "a min_p",
    "top_k": "a top_k",
    "repetition_penalty": "a repetition_penalty",
    "min_tokens": "a min_tokens",
    "reasoning_effort": "how much to think",
}


def options_for(engine: Engine, info: ModelInfo, options: ChatOptions) -> Json:
    body: Json = {}
    for name in (*engine.options, *_CANNOT):
        value = getattr(options, name)
        if value is None or (name == "n" and value == 1):
            continue
        if name not in engine.options:
            raise RemoteLacks(info.name, engine.title, _CANNOT[name], name)
        body[engine.options[name]] = list(value) if name == "stop" else value
    if not body.get("stop", True):
        del body["stop"]
    if options.logit_bias:
        if not engine.logit_bias:
            raise RemoteLacks(info.name, engine.title, "a logit_bias", "logit_bias")
        body["logit_bias"] = {str(token): bias for token, bias in options.logit_bias}
    return _suited(engine, info, body)


def _suited(engine: Engine, info: ModelInfo, body: Json) -> Json:
    """With the values that the engine has."""
    effort = body.get("reasoning_effort")
    if engine.kind == "mistral":
        if body.get("temperature", 0) > _HOSTED_WARMEST:
            warm = f"temperature is {body['temperature']}, and {engine.title} takes at most {_HOSTED_WARMEST}."
            raise OutOfRange(warm, f"{info.name} is answered there: lower it.", "temperature")
        if not info.capabilities.reasoning:
            body.pop("reasoning_effort", None)
        elif effort is not None:
            body["reasoning_effort"] = "none" if effort in ("none", "minimal") else "high"
    elif engine.kind == "vllm":
        if 0 < info.context <= body.get("max_tokens", 0):  # it refuses what cannot fit; here that is "to the end"
            del body["max_tokens"]
    elif engine.kind == "llama-server" and effort is not None:
        del body["reasoning_effort"]
        body["chat_template_kwargs"] = {
            "reasoning_effort": effort,
            "enable_thinking": effort not in ("none", "minimal"),
        }
    return body
