"""Tool calls of an answer: answered by hand, or run after they were confirmed."""

from ggufrun.ui.shared import Shared


def calls_panel(shared: Shared) -> None:
    """Below the chat; seen while calls are pending."""
