"""Raw text as the body that a remote gets: what is gone on from, and gaps that are filled."""

from dataclasses import replace
from typing import Final

from ggufrun.chat.types import ModelInfo, TextRequest
from ggufrun.errors import OutOfRange, RequestError
from ggufrun.remote.asked import Asked
from ggufrun.remote.engines import Engine
from ggufrun.remote.messages import Json
from ggufrun.remote.options import options_for
from ggufrun.remote_errors import RemoteLacks

TEXT: Final = "/completions"
FIM: Final = "/fim/completions"


def asked_for_text(engine: Engine, info: ModelInfo, model: str, request: TextRequest) -> Asked:
    filling = request.suffix is not None or not engine.raw
    _check_text(engine, info, request, filling=filling)
    options = request.options
    body: Json = {"model": model, "prompt": _prompt(request.prompt), "stream": True}
    if filling:
        body |= {"suffix": request.suffix} if request.suffix else {}
    elif engine.dialect == "openai":
        body["stream_options"] = {"include_usage": True}
    body |= options_for(engine, info, replace(options, reasoning_effort=None))
    if engine.kind == "ggufrun" and not filling and "random_seed" in body:
        body["seed"] = body.pop("random_seed")  # OpenAI's route
    if options.logprobs is not None:
        body["logprobs"] = options.logprobs
    if not request.bos and engine.kind == "vllm":
        body["add_special_tokens"] = False
    prefix = request.prompt if request.echo and isinstance(request.prompt, str) else ""
    seed = "random_seed" if filling else "seed"
    path = FIM if filling else TEXT
    return Asked(path, body, options.n, prefix, top=options.logprobs, stop=options.stop or (), seed_field=seed)


def _check_text(engine: Engine, info: ModelInfo, request: TextRequest, *, filling: bool) -> None:
    if not request.prompt and not request.suffix:
        raise RequestError("The prompt is empty.", "Write something for the model to go on from.", "prompt")
    tokens = not isinstance(request.prompt, str)
    if request.suffix is not None and tokens:
        raise OutOfRange("A prompt of token ids has a suffix.", "Send the prompt as text.", "suffix")
    if filling and not engine.fim:
        hint = "Choose a code model that can."
        raise RemoteLacks(info.name, engine.title, "what stands behind a gap", "suffix", hint)
    if tokens and filling:
        raise RemoteLacks(info.name, engine.title, "token ids", "prompt", "Send the prompt as text.")
    if request.echo and tokens:
        raise RemoteLacks(info.name, engine.title, "to repeat token ids", "echo")
    if filling and request.options.logprobs is not None:
        raise RemoteLacks(info.name, engine.title, "to give logprobs of raw text", "logprobs")
    if filling and request.options.n > 1:
        raise RemoteLacks(info.name, engine.title, "to fill a gap more than once", "n")


def _prompt(prompt: str | tuple[int, ...]) -> str | list[int]:
    return prompt if isinstance(prompt, str) else list(prompt)
