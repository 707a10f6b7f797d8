"""The errors of remote engines, a part of `errors`' tree: one that is down, busy, refuses our key, or ends too early

Nothing here ever holds a key. What stands in them is for those who chat: where the remote is and which key it wants is
the operator's matter, and goes to the log (`remote.faults`).

InputError
├── OptionError
│   └── RemoteUnusable        found at start: unreachable, a wrong URL or key, no such model
└── RequestError
    ├── RemoteRejected        the remote refuses this request (4xx), in its own words
    ├── ModelLacks
    │   └── RemoteLacks           the request says what this kind of engine cannot be told: nothing was sent
    └── PromptTooLong
        └── RemotePromptTooLong   the prompt does not fit into the remote's context
EngineError
└── RemoteError               the remote could not go on; another engine may
    ├── RemoteDown            nobody answers there, or only with 5xx; or its breaker is open
    ├── RemoteBusy            429, or 503 with a time: try again
    ├── RemoteRefused         401 or 403: our key is wrong there
    └── RemoteBroke           it answers something else than its dialect, or its stream ended too early

All but RemoteBroke come before the first event; RemoteBroke may come before it and after any.
"""

from ggufrun.errors import EngineError, ModelLacks, OptionError, PromptTooLong, RequestError


class RemoteUnusable(OptionError):
    """`name`: the remote's. One line, for whoever starts the server."""

    def __init__(self, name: str, reason: str, hint: str = "") -> None:
        super().__init__(f"remote {name}: {reason}", hint)
        self.name = name


class RemoteRejected(RequestError):
    """`status`: what the remote answered with."""

    def __init__(self, name: str, said: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(f"{name} refuses the request: {said}", "", param)
        self.name, self.status = name, status


class RemoteLacks(ModelLacks):
    """`what`: as in "min_tokens", or "a grammar"."""

    def __init__(self, name: str, engine: str, what: str, param: str, hint: str = "") -> None:
        message = f"{name} is answered by {engine}, which cannot be told {what}."
        super().__init__(message, hint or f"Leave {param} out.", param)
        self.name = name


class RemotePromptTooLong(PromptTooLong):
    """Its numbers are 0: the remote says them in words of its own, which `said` has."""

    def __init__(self, name: str, said: str, param: str = "messages") -> None:
        RequestError.__init__(self, f"{name} refuses the request: {said}", "Shorten it.", param)
        self.prompt_tokens, self.context, self.name = 0, 0, name


class RemoteError(EngineError):
    """A remote engine could not go on. `name`: what it is called here."""

    def __init__(self, name: str, message: str, hint: str, retry_s: int | None = None) -> None:
        """`retry_s`: seconds after which the same request may succeed; None: nobody knows."""
        super().__init__(message, hint)
        self.name, self.retry_s = name, retry_s


class RemoteDown(RemoteError):
    """`again`: the same request may be tried again at once; not where a breaker or a timeout has ended it."""

    def __init__(self, name: str, why: str, retry_s: int | None = None, *, again: bool = False) -> None:
        hint = f"Send the request again in {retry_s} s." if retry_s is not None else "Send the request again later."
        super().__init__(name, f"The engine behind {name} is down: {why}.", hint, retry_s)
        self.why, self.again = why, again


class RemoteBusy(RemoteError):
    again = True

    def __init__(self, name: str, retry_s: int | None = None) -> None:
        """`retry_s`: None where the remote does not say it."""
        hint = f"Send the request again in {retry_s or 1} s."
        super().__init__(name, f"The engine behind {name} has too much to do.", hint, retry_s)


class RemoteRefused(RemoteError):
    """Whoever asks can do nothing about it."""

    def __init__(self, name: str) -> None:
        message = f"The engine behind {name} does not accept this server's key."
        super().__init__(name, message, "Tell whoever runs this server: its log says which key is meant.")


class RemoteBroke(RemoteError):
    """`down`: it counts as a failure of the remote's; not where this one answer alone was no use."""

    def __init__(self, name: str, why: str, *, down: bool = True) -> None:
        super().__init__(name, f"The engine behind {name} broke off: {why}.", "Send the request again.")
        self.why, self.down = why, down
