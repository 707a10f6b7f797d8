"""A file that is on its way to the server while another chat is opened, in a real browser."""

import re
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.api.served import Served
from tests.ui.browser import Tab
from tests.ui.test_ask import attach, chat_of
from tests.ui.test_drafts import files, new_chat
from tests.ui.test_drafts import folder as folder  # the fixtures
from tests.ui.test_drafts import server as server
from tests.ui.test_drafts import user as user


def test_a_late_file_is_of_the_chat_that_it_was_chosen_in(user: Tab, server: Served, folder: Path) -> None:
    page, held = user.page, list[Route]()
    id = chat_of(server, "Elsewhere", "Hi", "Hello.")
    page.route(re.compile("/gradio_api/upload"), lambda route: held.append(route))
    with page.expect_request(re.compile("/gradio_api/upload")):
        attach(page, folder / "one.txt")
    page.get_by_role("navigation", name="Chats").get_by_text("Elsewhere").click()
    expect(page.locator("#said")).to_contain_text("Hello.")
    for each in held:
        each.continue_()
    expect(page.locator("#context [data-chat]")).to_have_attribute("data-chat", id)  # Gradio counts nothing before
    expect(page.locator("#ask .delete-button")).to_have_count(0)
    new_chat(page)
    expect(files(page)).to_have_text(re.compile("one.txt"))
    expect(page.locator("#ask .delete-button")).to_have_count(1)
