"""What each kind of remote engine can be told, and by which names. What is asked of one is `chat_request`'s."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["openai", "vllm", "llama-server", "ggufrun", "mistral"]
Thoughts = Literal["none", "reasoning_content", "chunks"]


@dataclass(frozen=True, slots=True)
class Engine:
    """`options`: by the name in `ChatOptions`, the field that stands for it; what is not there cannot be told."""

    kind: Kind
    title: str  # for people
    options: Mapping[str, str]
    patterns: Mapping[str, str] = field(default_factory=dict)  # by the constraint's kind, how it is written
    thoughts: Thoughts = "none"  # how earlier thinking is given back
    forced: str = "required"  # the tool_choice that forces any call
    named_tool: bool = True  # one tool can be forced by its name; else it is the only one that is sent
    dialect: Literal["openai", "mistral"] = "openai"
    prefix: Literal["none", "field", "flags", "last"] = "none"  # how the beginning of an answer is given
    echoes_prefix: bool = False  # the answer has it again
    raw: bool = True  # there is /completions
    fim: bool = False  # there is /fim/completions
    logit_bias: bool = True
    version: str = ""


_COMMON: Final = {
    name: name for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens", "stop", "n")
}
_SEED: Final = {"seed": "seed", "reasoning_effort": "reasoning_effort"}
_MORE: Final = {"top_k": "top_k", "min_p": "min_p"}
_REPETITION: Final = {"repetition_penalty": "repetition_penalty", "min_tokens": "min_tokens"}
_MISTRAL: Final = {"seed": "random_seed", "reasoning_effort": "reasoning_effort", "top_k": "top_k"}

OPENAI: Final = Engine("openai", "an engine that speaks like OpenAI", {**_COMMON, **_SEED})
VLLM: Final = Engine(
    "vllm",
    "vLLM",
    {**_COMMON, **_SEED, **_MORE, **_REPETITION},
    patterns={
        "regex": "structured_outputs.regex",
        "gbnf": "structured_outputs.grammar",
        "lark": "structured_outputs.grammar",
    },
    thoughts="reasoning_content",
    prefix="flags",
)
# Its reasoning_effort is the template's matter; min_tokens it does not have.
LLAMA_SERVER: Final = Engine(
    "llama-server",
    "llama-server",
    {**_COMMON, **_SEED, **_MORE, "repetition_penalty": "repeat_penalty"},
    patterns={"gbnf": "grammar"},
    thoughts="reasoning_content",
    named_tool=False,  # it takes any object for "auto"
    prefix="last",
)
GGUFRUN: Final = Engine(
    "ggufrun",
    "ggufrun",
    {**_COMMON, **_MISTRAL, **_MORE, **_REPETITION},
    patterns={"regex": "response_format", "gbnf": "response_format", "lark": "response_format"},
    thoughts="chunks",
    forced="any",
    dialect="mistral",
    prefix="field",
    echoes_prefix=True,
    fim=True,
)
MISTRAL: Final = Engine(
    "mistral",
    "Mistral's API",
    {**_COMMON, **_MISTRAL, **_REPETITION},
    thoughts="chunks",
    forced="any",
    dialect="mistral",
    prefix="field",
    echoes_prefix=True,
    raw=False,
    fim=True,
    logit_bias=False,
)


def older_vllm(version: str) -> bool:
    """Whether its constraints still have the names that 0.12 took away."""
    numbers = version.split(".")[:2]
    return len(numbers) == 2 and all(each.isdecimal() for each in numbers) and tuple(map(int, numbers)) < (0, 11)
