"""Every error ggufrun raises on purpose: data plus a hint that says what to do next. No HTTP and no exit codes here.

GgufrunError
├── InputError            the user's input cannot be served as it is
│   ├── OptionError           an option or a combination of options
│   ├── ModelNotFound         no such model name, with the nearest names
│   ├── ModelFileError        a file that is missing, damaged, foreign or unsupported
│   ├── OutOfMemory           the model does not fit
│   └── RequestError          one request's fault; `param` names the field
│       ├── EmptyPrompt
│       ├── PromptTooLong         counts given
│       ├── SchemaError           a constraint that cannot be enforced; `pointer` names the keyword
│       └── BudgetTooSmall        max_tokens is under the shortest valid answer
└── EngineError           the engine could not go on
    ├── EngineBusy            the queue is full: try again
    ├── EngineCrashed         the worker process ended
    └── EngineClosed          the model was closed
"""

from collections.abc import Sequence
from pathlib import Path


class GgufrunError(Exception):
    """An error with one sentence for the user and, mostly, a hint about the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(GgufrunError):
    """Something the user gave cannot be served as it is."""


class OptionError(InputError):
    """An option, or options that contradict each other."""


class ModelNotFound(InputError):
    def __init__(self, name: str, nearest: Sequence[str]) -> None:
        known = f"Did you mean {', '.join(nearest)}?" if nearest else "Give a path to a .gguf file, or `demo`."
        super().__init__(f"No model is called {name!r}.", known)
        self.name, self.nearest = name, tuple(nearest)


class ModelFileError(InputError):
    def __init__(self, path: str | Path, reason: str, hint: str = "") -> None:
        super().__init__(f"{path}: {reason}.", hint)
        self.path, self.reason = Path(path), reason


class OutOfMemory(InputError):
    """The model or its context does not fit in memory."""


class RequestError(InputError):
    """One request's fault.

    `param` is the request's field, as the caller wrote it.
    """

    def __init__(self, message: str, hint: str = "", param: str | None = None) -> None:
        super().__init__(message, hint)
        self.param = param


class EmptyPrompt(RequestError):
    def __init__(self) -> None:
        super().__init__("The prompt is empty.", "Write something for the model to answer.", "messages")


class PromptTooLong(RequestError):
    def __init__(self, prompt_tokens: int, context: int) -> None:
        super().__init__(
            f"The prompt has {prompt_tokens} tokens and the context holds {context}, answer included.",
            "Shorten it, or load the model with a larger --context.",
            "messages",
        )
        self.prompt_tokens, self.context = prompt_tokens, context


class SchemaError(RequestError):
    """A constraint (JSON schema, regex, grammar) that cannot be enforced.

    `pointer` is the JSON pointer of the keyword, "" where the whole constraint is meant.
    """

    def __init__(self, reason: str, pointer: str = "", param: str = "response_format") -> None:
        where = f" at {pointer}" if pointer else ""
        super().__init__(f"The constraint cannot be enforced{where}: {reason}", "", param)
        self.reason, self.pointer = reason, pointer


class BudgetTooSmall(RequestError):
    def __init__(self, needed: int, budget: int) -> None:
        super().__init__(
            f"The shortest valid answer takes {needed} tokens and only {budget} are allowed.",
            f"Set max_tokens to at least {needed}.",
            "max_tokens",
        )
        self.needed, self.budget = needed, budget


class EngineError(GgufrunError):
    """The engine could not go on with this request."""


class EngineBusy(EngineError):
    def __init__(self, queued: int) -> None:
        super().__init__(f"The queue is full ({queued} requests are waiting).", "Try again in a moment.")
        self.queued = queued


class EngineCrashed(EngineError):
    """`retry_s`: the process stays down for so many seconds; the next request after that starts it again."""

    def __init__(self, detail: str, restarting: bool = True, retry_s: int | None = None) -> None:
        again = "It is being restarted; send the request again." if restarting else "Load the model again."
        if retry_s is not None:
            again = f"Send the request again in {retry_s} s: that starts it again."
        super().__init__(f"The model's process ended: {detail}.", again)
        self.detail, self.restarting, self.retry_s = detail, restarting, retry_s


class EngineClosed(EngineError):
    def __init__(self) -> None:
        super().__init__("The model was closed.", "Load it again.")
