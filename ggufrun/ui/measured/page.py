"""/reports/{id}: a report as a page of its own, for a browser that is logged in. The API serves it to keys only"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

import gradio as gr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ggufrun.ui.errors import ApiError
from ggufrun.ui.measured.watching import COMPARE
from ggufrun.ui.users import Users

PATH: Final = "/reports/{id}"
_POLICY: Final = "content-security-policy"


def report_page(users: Users) -> Callable[[Request], Awaitable[Response]]:
    """The route."""

    async def opened(request: Request) -> Response:
        path = f"{COMPARE}/{quote(request.path_params['id'], safe='')}/report.html"
        try:
            html, headers = await users.api(gr.Request(request)).file(path)
        except ApiError as error:
            return PlainTextResponse(f"{error}\n", error.status or 503)
        kept = {_POLICY: headers[_POLICY]} if _POLICY in headers else {}
        return Response(html, media_type="text/html; charset=utf-8", headers={**kept, "Cache-Control": "no-store"})

    return opened
