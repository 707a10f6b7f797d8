"""How answers are asked for: model, sampling, system prompt, schema, tools."""

from ggufrun.ui.shared import Shared
from ggufrun.ui.tools.panel import tools_panel


def settings_panel(shared: Shared) -> None:
    shared.model.render()
    tools_panel(shared)
