"""Nothing that a model, a file or another program has written runs in the page, or has the browser call somebody."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.hostile import RUN, Listening, listening, texts, titles
from tests.ui.talking import answers, ask, imported, opened

pytestmark = pytest.mark.process
_NAME = f"<img src=x onerror={RUN}>"
# What is left of links, forms and the like after all: those that would run something, or lead away by themselves.
_LEFT = """() => {
  const runs = ({ name, value }) => (/^on/i.test(name) && value.includes("__pwned"))
    || (/^(xlink:)?href$|^(form)?action$|^src$|^data$/i.test(name)
        && /^[\\s\\0]*(java|vb)script:|^data:text/i.test(value))
    || name === "ping" || name === "srcdoc";
  const strange = "meta[http-equiv=refresh], base:not([href='./']), .gradio-container :is(iframe, embed, object)";
  return [...document.querySelectorAll(".gradio-container *")].filter((node) => [...node.attributes].some(runs))
    .concat(...document.querySelectorAll(strange)).map((node) => node.outerHTML.slice(0, 200));
}"""


@pytest.fixture(scope="module")
def server(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Its model has a hostile name."""
    folder = tmp_path_factory.mktemp("models")
    file = folder / f"{_NAME}.gguf"
    file.symlink_to(tiny_model("llama-tiny"))
    with served(file, tmp_path_factory.mktemp("home"), page=True) as running:
        yield running


@pytest.fixture(scope="module")
def stranger() -> Iterator[Listening]:
    with listening() as heard:
        yield heard


@pytest.fixture
def user(browser: Browser, server: Served, stranger: Listening) -> Iterator[Tab]:
    with tab(browser, str(server.client.base_url).rstrip("/")) as opened:
        yield opened
        harmless(opened.page, stranger)
        opened.wrong.clear()  # that a picture was not loaded stands there
        assert not [url for url in opened.foreign if not url.startswith(stranger.url)]
        opened.foreign.clear()  # tried; that nothing came is what counts


def harmless(page: Page, stranger: Listening) -> None:
    """Nothing has run, nobody was called, and the page works."""
    assert page.evaluate("window.__pwned") is None
    assert not stranger.hits, stranger.hits
    assert not page.evaluate(_LEFT)
    assert page.evaluate("document.forms.length >= 0 && typeof document.getElementById === 'function'")
    page.get_by_role("tab", name="API", exact=True).click()
    expect(page.locator("#api-tab")).to_be_visible()
    page.get_by_role("tab", name="Chat", exact=True).click()
    expect(page.locator("#ask textarea")).to_be_editable()


def test_answers_questions_and_thoughts(server: Served, user: Tab, stranger: Listening) -> None:
    messages: list[dict[str, Any]] = []
    for text in texts(stranger.url):
        messages += [
            {"role": "user", "content": text},
            {"role": "assistant", "content": text, "thinking": text},
        ]
    page = opened(user, imported(server.client, messages))
    expect(answers(page).last).to_be_visible()
    expect(page.locator("#said")).to_contain_text("custom")  # of the last but one
    links = page.locator("#said a[href]").evaluate_all("(all) => all.map((each) => each.protocol)")
    assert set(links) <= {"http:", "https:"}, links


def test_titles_names_and_tool_calls(server: Served, user: Tab, stranger: Listening) -> None:
    for title in titles(stranger.url):
        imported(server.client, [{"role": "user", "content": "x"}], title=title)
    calls = [
        {"id": f"abcdefgh{number}", "type": "function", "function": {"name": title, "arguments": f'{{"a": "{RUN}"}}'}}
        for number, title in enumerate(titles(stranger.url))
    ]
    tools = [{"type": "function", "function": {"name": "x", "description": texts(stranger.url)[0], "parameters": {}}}]
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": calls},
    ]
    chat = imported(server.client, said, title=titles(stranger.url)[0], settings={"tools": tools, "system": _NAME})
    page = opened(user, chat)
    for title in titles(stranger.url):
        expect(page.locator("#chats").get_by_text(title, exact=True).first).to_be_visible()
    expect(page.locator("#said")).to_contain_text(titles(stranger.url)[1])
    page.locator("#find").fill(_NAME)
    expect(page.locator("#chats .h-open").first).to_be_visible()
    expect(page.locator("#model input")).to_have_value(_NAME)
    page.locator("#model input").click()
    page.keyboard.press("Escape")
    for name in ("Models", "Side by side", "API"):
        page.get_by_role("tab", name=name, exact=True).click()


def test_file_names_and_notes(user: Tab, tmp_path: Path, server: Served) -> None:
    file = tmp_path / f"{_NAME}.txt"
    file.write_text(f"<script>{RUN}</script>")
    user.open()
    page = user.page
    page.locator("#ask input[type=file]").first.set_input_files(file)
    expect(page.locator("#ask").get_by_label("Remove file")).to_be_visible()
    expect(page.locator("#ask .submit-button")).to_be_enabled()
    ask(page, _NAME)
    expect(page.locator("#said [data-testid=user]").last).to_contain_text("img src=x")
    expect(answers(page).last).to_be_visible()
