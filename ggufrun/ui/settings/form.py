"""The system prompt's field, and those of sampling as one component, which the browser fills (`assets/settings.js`).

A component for each would cost more, and could not leave alone what is being typed. It folds by itself: in a closed
accordion of Gradio's there would be nothing yet that the hints could be told.
"""

from typing import Final

import gradio as gr
from markupsafe import Markup

from ggufrun.ui.settings.fields import EFFORTS, FIELDS, Field
from ggufrun.ui.settings.sampling import hints_of, texts_of

# Gradio finds the names of a component's own events in this text.
_ON_LOAD: Final = "ggufrun.sampling(element, props, watch, () => trigger('input'))"
_FORM: Final = Markup(
    "<details><summary>Sampling <small></small></summary>"
    '<div class="fields">{}</div><button type="button">Reset to the model\'s own</button></details>'
)


def system_field() -> gr.Textbox:
    """Not rendered yet."""
    hint = "Empty: the model's own"
    return gr.Textbox(label="System prompt", lines=3, max_lines=12, placeholder=hint, elem_id="system", render=False)


def sampling_form() -> gr.HTML:
    """Not rendered yet. Its value: what stands in each field, by name. `wrong`: sentences by the same names."""
    return gr.HTML(
        value=texts_of({}),
        html_template=template(_FORM.format(Markup("").join(map(_field, FIELDS)))),
        js_on_load=_ON_LOAD,
        apply_default_css=False,
        elem_id="sampling",
        render=False,
        hints=hints_of({}),
        efforts=list(EFFORTS),
        wrong={},
    )


def template(html: Markup) -> str:
    """Gradio evaluates it in the browser, between backticks: what has a meaning there is not to have one."""
    return str(html).replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${")


def _field(field: Field) -> Markup:
    shown = Markup('<label class="{} {}" title="{}"><span>{}</span>{}<em role="alert"></em></label>')
    return shown.format(field.kind, field.name, field.about, field.label, _input(field))


def _input(field: Field) -> Markup:
    name = Markup('name="{}"').format(field.name)
    if field.kind == "lines":
        return Markup('<textarea {} rows="2" spellcheck="false"></textarea>').format(name)
    if field.kind == "effort":
        return Markup("<select {}></select>").format(name)
    if field.kind == "yes":
        return Markup('<input {} type="checkbox" value="yes">').format(name)
    low = Markup(' min="{}"').format(f"{field.low:g}") if field.low is not None else ""
    high = Markup(' max="{}"').format(f"{field.high:g}") if field.high is not None else ""
    step = f"{field.step:g}"
    return Markup('<input {} type="number" step="{}"{}{} autocomplete="off">').format(name, step, low, high)
