"""The page as a browser has it: there, alone with its server, and with none of what Gradio would add."""

from playwright.sync_api import expect

from tests.ui.browser import Tab


def test_it_opens(user: Tab) -> None:
    for name in ("Chat", "Models", "Side by side", "API"):
        expect(user.page.get_by_role("tab", name=name, exact=True)).to_be_visible()
