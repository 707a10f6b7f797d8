"""How answers are asked for: model, sampling, system prompt, schema, tools."""

from ggufrun.ui.shared import Shared


def settings_panel(shared: Shared) -> None:
    shared.model.render()
