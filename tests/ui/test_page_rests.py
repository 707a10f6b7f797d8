"""A page that nothing happens on costs nothing, and no event of it has Gradio look after signs of progress."""

from pathlib import Path

from playwright.sync_api import Browser

from ggufrun.ui.gradio_import import prepare
from tests.api.served import Served
from tests.ui.browser import tab

_COUNT = """() => {
  window.frames_asked = 0;
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) => { window.frames_asked += 1; return ask(draw); };
}"""
_RESTS = """() => {
  if (!document.querySelector("#ask textarea")) return false;
  window.rested = window.frames_asked === window.frames_before ? window.rested + 1 : 0;
  window.frames_before = window.frames_asked;
  return window.rested >= 5;
}"""

_ENDLESS = "() => document.getAnimations().filter((each) => each.effect.getTiming().iterations === Infinity).length"


def test_no_frame_is_drawn_for_nothing(browser: Browser, demo: Served) -> None:
    with tab(browser, str(demo.client.base_url).rstrip("/")) as user:
        user.page.add_init_script(f"({_COUNT})()")
        user.open()
        user.page.wait_for_function(_RESTS, polling=100)  # five looks in a row in which none was asked for
        assert user.page.evaluate("window.frames_asked") > 0


def test_a_running_answer_draws_only_with_its_updates(browser: Browser, demo: Served) -> None:
    with tab(browser, str(demo.client.base_url).rstrip("/")) as user:
        user.open()
        user.page.evaluate(
            """() => {
            const entry = document.createElement("li");
            entry.className = "h-chat running";
            entry.innerHTML = '<button class="h-open">x</button>';
            document.querySelector("#chats .h-list").append(entry);
            }"""
        )
        user.page.locator("#chats .running .h-open").wait_for()
        assert user.page.evaluate(_ENDLESS) == 0


def test_hidden_progress_has_no_targets(tmp_path: Path) -> None:
    prepare(tmp_path)
    from ggufrun.ui.blocks import blocks
    from ggufrun.ui.users import Users

    events = blocks(Users()).get_config_file()["dependencies"]
    assert len(events) > 50
    assert [each["id"] for each in events if each["outputs"] and each["show_progress_on"] != []] == []
