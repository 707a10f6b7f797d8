"""Which of the two dialects a client speaks. Only a few details of an answer depend on it: see `chat_stream.py`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final


class Dialect(StrEnum):
    MISTRAL = "mistral"
    OPENAI = "openai"


HEADER: Final = "x-ggufrun-dialect"  # a client that knows better says so
_AGENTS: Final = {"mistral-client": Dialect.MISTRAL, "openai/": Dialect.OPENAI, "asyncopenai/": Dialect.OPENAI}
_MISTRAL_FIELDS: Final = ("random_seed", "safe_prompt", "prompt_mode")
_OPENAI_FIELDS: Final = ("seed", "max_completion_tokens", "stream_options", "logit_bias", "user", "store")


def dialect_of(headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Dialect:
    """From the client's headers (names in lower case), else from fields that only one of them has, else Mistral's."""
    said = headers.get(HEADER, "").lower()
    if said in tuple(Dialect):
        return Dialect(said)
    agent = (headers.get("x-mistral-user-agent") or headers.get("user-agent", "")).lower()
    for start, dialect in _AGENTS.items():
        if agent.startswith(start):
            return dialect
    if "x-stainless-lang" in headers:
        return Dialect.OPENAI
    return _by_fields(body or {})


def _by_fields(body: Mapping[str, Any]) -> Dialect:
    if any(name in body for name in _MISTRAL_FIELDS) or body.get("tool_choice") == "any":
        return Dialect.MISTRAL
    developer = any(getattr(message, "role", "") == "developer" for message in body.get("messages", ()))
    if developer or any(name in body for name in _OPENAI_FIELDS):
        return Dialect.OPENAI
    return Dialect.MISTRAL
