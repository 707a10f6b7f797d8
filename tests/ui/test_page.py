"""The page as a browser has it: there, alone with its server (`Tab.check`), and without Gradio's own footer and API."""

from playwright.sync_api import expect

from tests.ui.browser import Tab


def test_it_opens(user: Tab) -> None:
    for name in ("Chat", "Models", "Side by side", "API"):
        expect(user.page.get_by_role("tab", name=name, exact=True)).to_be_visible()
    assert user.page.title() == "ggufrun"
    for words in ("Use via API", "Built with Gradio"):
        expect(user.page.get_by_text(words)).to_have_count(0)
    assert user.page.request.get(f"{user.home}/gradio_api/info").status == 404
