"""What a server has refused. No Gradio in it: the way to the page is there before that. How it is shown: `errors`."""

from typing import Any

from ggufrun.errors import GgufrunError


class ApiError(GgufrunError):
    """The server refused, with its own words. `status` 0: it did not answer at all.

    `served_as`: the model is served already, by this name.
    """

    def __init__(
        self, message: str, status: int, *, type: str = "", param: str = "", code: str = "", served_as: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.type, self.param, self.code, self.served_as = status, type, param, code, served_as

    @classmethod
    def of(cls, status: int, body: Any) -> "ApiError":
        """From a reply's JSON, in either of the envelopes that servers write."""
        error = body.get("error", body) if isinstance(body, dict) else {}
        error = error if isinstance(error, dict) else {"message": str(error)}
        message = str(error.get("message") or f"The server answered with status {status}.")
        more = {name: str(error.get(name) or "") for name in ("type", "param", "code", "served_as")}
        return cls(message, status, **more)
