"""How messages look in a real browser: what is folded, what is highlighted, what is loaded, and what is not run."""

import base64
import io
import json
from typing import Any

from PIL import Image
from playwright.sync_api import expect

from tests.api.served import Served
from tests.ui.browser import Tab
from tests.ui.talking import answers, imported, opened, questions

ANSWER = """Some **bold** words, $e^{i\\pi}$ and \\(a < b\\), a list:

- one
- two

$$\\int_0^1 x\\,dx$$

\\[x^2\\]

```python
def f(x: int) -> list[int]:
    return [x]
```

A `List<String>` and List<String> and <div>no div</div>.
"""
HOSTILE = (
    '<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1"><iframe src="javascript:window.pwned=1">'
    "</iframe> <style>body { display: none }</style> [link](javascript:window.pwned=1) "
    "![gone](http://evil.invalid/a.png) ![ref][1] <svg onload=window.pwned=1>\n\n[1]: http://evil.invalid/b.png\n\n"
    "<details open ontoggle=window.pwned=1><summary>x</summary></details> `<img src=http://evil.invalid/c.png>` "
    "<math><mtext></mtext><img src=http://evil.invalid/d.png></math> <video poster=http://evil.invalid/e.png></video>"
)


def png() -> str:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_markdown_code_and_formulas(user: Tab, demo: Served) -> None:
    chat = imported(demo.client, [{"role": "user", "content": "Show"}, {"role": "assistant", "content": ANSWER}])
    page = opened(user, chat)
    answer = answers(page)
    expect(answer.locator("strong")).to_have_text("bold")
    expect(answer.locator("li")).to_have_text(["one", "two"])
    expect(answer.locator("pre code .token, pre code span[class]").first).to_be_visible()
    expect(answer.locator(".katex")).to_have_count(4)
    expect(answer.locator(".katex-error")).to_have_count(0)
    expect(answer.locator("code", has_text="List<String>")).to_be_visible()
    expect(answer).to_contain_text("<\u2060div>no div<\u2060/div>")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#said .bot-row + .message-buttons").get_by_role("button", name="Copy message").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.replace("\u2060", "").strip() == ANSWER.strip()
    assert "def f(x: int) -> list[int]:\n    return [x]" in copied


def test_thoughts_calls_results_and_files_are_folded(user: Tab, demo: Served) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    file = {"type": "text", "text": "[file: notes.txt]\nall the notes\n[end of file]"}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [file, part(png()), {"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "thinking": "Hmm, Oslo.", "tool_calls": [call], "meta": {"thinking_ms": 3210}},
        {"role": "tool", "content": '{"degrees": 7}', "tool_call_id": "c1", "name": "weather"},
        {"role": "assistant", "content": "Seven degrees."},
    ]
    page = opened(user, imported(demo.client, messages))
    folded = page.locator("#said .thought-group")
    expect(folded).to_have_count(4)
    for number, (title, text) in enumerate(
        [
            ("notes.txt", "all the notes"),
            ("Thought for 3.2 s", "Hmm, Oslo."),
            ("Calls weather", '"city": "Oslo"'),
            ("Result of weather", '{"degrees": 7}'),
        ]
    ):
        expect(folded.nth(number)).to_contain_text(title)
        expect(folded.nth(number)).not_to_contain_text(text)
        folded.nth(number).get_by_role("button").first.click()
        expect(folded.nth(number)).to_contain_text(text)
    expect(page.locator("#said .user-row img").first).to_be_visible()
    width = "() => document.querySelector('#said .user-row img').naturalWidth"
    page.wait_for_function(f"({width})() === 40")
    expect(answers(page).last).to_have_text("Seven degrees.")


def test_an_answer_under_a_schema_is_code(user: Tab, demo: Served) -> None:
    answer, settings = '{"name": "Ada", "age": 36}', {"schema": {"type": "object"}}
    said = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": answer}]
    page = opened(user, imported(demo.client, said, settings=settings))
    code = answers(page).locator("pre code")
    expect(code).to_contain_text('"name": "Ada"')
    assert json.loads(code.inner_text()) == {"name": "Ada", "age": 36}


def test_hostile_strings_are_only_shown(user: Tab, demo: Served) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": HOSTILE, "arguments": HOSTILE}}
    file = {"type": "text", "text": f"[file: {HOSTILE.split(chr(10))[0]}]\n{HOSTILE}\n[end of file]"}
    failed = {"state": "failed", "error": {"message": HOSTILE}, "model": HOSTILE}
    pictures = [
        part(url) for url in ("http://evil.invalid/f.png", "data:image/svg+xml;base64,PHN2Zy8+", "data:,x", "x")
    ]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [file, *pictures, {"type": "text", "text": HOSTILE}]},
        {"role": "assistant", "content": HOSTILE, "thinking": HOSTILE, "tool_calls": [call]},
        {"role": "tool", "content": HOSTILE, "tool_call_id": "c1", "name": HOSTILE},
        {"role": "assistant", "content": HOSTILE, "meta": failed},
    ]
    page = opened(user, imported(demo.client, messages, title=HOSTILE[:490]))
    expect(questions(page).last).to_contain_text("<\u2060script>window.pwned")
    for each in page.locator("#said .thought-group").all():
        each.get_by_role("button").first.click()
        expect(each).to_contain_text("pwned = 1")
    for each in page.locator("#said .message a").all():
        assert not (each.get_attribute("href") or "").lower().startswith("javascript")
    wild = page.locator("#said .message").locator("script, iframe, style, details, svg[onload], [onerror], [ontoggle]")
    assert [each.evaluate("node => node.outerHTML") for each in wild.all()] == []
    assert page.evaluate("window.pwned") is None
    expect(page.locator("#ask textarea")).to_be_visible()
