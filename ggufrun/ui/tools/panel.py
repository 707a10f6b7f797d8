"""The tools that a model is told of: as JSON, and those of MCP servers."""

from ggufrun.ui.shared import Shared


def tools_panel(shared: Shared) -> None:
    """Within the settings."""
