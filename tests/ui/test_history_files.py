"""Chats as files: exported as Markdown and JSON, imported by the button and by a drop; and after a restart."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from ggufrun.ui.history.filename import file_name
from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.test_history import SOON_MS, begun, entry, menu

DROP = """([text, name]) => {
    const files = new DataTransfer();
    files.items.add(new File([text], name, {type: "application/json"}));
    const at = document.querySelector("#chats .h-list");
    for (const kind of ["dragenter", "dragover", "drop"])
        at.dispatchEvent(new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true}));
}"""


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Why is the sky blue?", "Why is the sky blue-.md"),
        ("../../etc/passwd", "-..-etc-passwd.md"),
        ("a\nb\t c\u202egnp.exe", "a b c gnp.exe.md"),
        ("CON", "chat CON.md"),
        (" . ", "chat.md"),
        ("x" * 500, "x" * 80 + ".md"),
    ],
)
def test_file_names(title: str, name: str) -> None:
    assert file_name(title, "md") == name


def test_exported_and_imported(demo: Served, user: Tab, tmp_path: Path) -> None:
    page = user.page
    chat = begun(demo, "Bees: a/b?", "Why do bees dance?")
    expect(entry(page, "Bees: a/b?")).to_be_visible(timeout=SOON_MS)

    with page.expect_download() as download:
        menu(page, "Bees: a/b?", "Export as Markdown")
    assert download.value.suggested_filename == "Bees- a-b-.md"
    assert "Why do bees dance?" in Path(download.value.path()).read_text(encoding="utf-8")
    with page.expect_download() as download:
        menu(page, "Bees: a/b?", "Export as JSON")
    assert download.value.suggested_filename == "Bees- a-b-.json"
    kept = tmp_path / "bees.json"
    download.value.save_as(kept)
    assert json.loads(kept.read_text(encoding="utf-8"))["messages"][0]["content"] == "Why do bees dance?"

    demo.client.delete(f"/ggufrun/v1/chats/{chat}").raise_for_status()
    expect(entry(page, "Bees: a/b?")).to_have_count(0, timeout=SOON_MS)
    page.locator("#import-file").set_input_files(kept)
    expect(entry(page, "Bees: a/b?")).to_have_attribute("aria-current", "true")
    expect(page.locator("#said")).to_contain_text("Why do bees dance?")

    page.evaluate(DROP, [kept.read_text(encoding="utf-8").replace("Bees: a/b?", "Dropped"), "dropped.json"])
    expect(entry(page, "Dropped")).to_have_attribute("aria-current", "true")


def test_what_is_no_export(user: Tab, tmp_path: Path) -> None:
    page, said = user.page, user.page.locator("#chats .h-said")
    wrong = tmp_path / "<b>notes.json"
    wrong.write_text("Dear diary")
    page.locator("#import-file").set_input_files(wrong)
    expect(said).to_contain_text("<b>notes.json was not imported. It is no JSON. Choose a file that was exported here")
    wrong.write_text('{"format": "something"}')
    page.locator("#import-file").set_input_files(wrong)
    expect(said).to_contain_text("format")
    expect(page.locator("#chats [aria-current]")).to_have_count(0)


def test_after_a_restart(browser: Browser, demo_path: Path, tmp_path: Path) -> None:
    for times in range(2):
        with served("demo", tmp_path, page=True) as server:
            if not times:
                begun(server, "Before the restart", "Is it still here?")
            with tab(browser, str(server.client.base_url).rstrip("/")) as user:
                user.open()
                entry(user.page, "Before the restart").click()
                expect(user.page.locator("#said")).to_contain_text("Is it still here?")
