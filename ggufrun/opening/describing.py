"""What a model will be once it is loaded, from its header, its card and the user's settings: nothing is loaded for it.

The counterpart of `loading`, for servers that load models only when they are asked for.
"""

import os
from pathlib import Path

from ggufrun.chat.types import Capabilities, ModelInfo
from ggufrun.llama import library
from ggufrun.llama.hardware import available_memory
from ggufrun.llama.pooling import longest_input, makes_embeddings
from ggufrun.opening.loading import answer_settings, known, names
from ggufrun.opening.planning import default_context, kv_bytes, trained_context
from ggufrun.opening.seeing import Sight
from ggufrun.settings import ModelOverrides, ModelSettings
from ggufrun.store.resolve import resolve
from ggufrun.userconfig import FILE_NAME, data_folder, load_user_settings
from ggufrun.weights.fields import ArrayField


def describe(
    spec: str, overrides: ModelOverrides, name: str = "", *, templated: bool = False
) -> tuple[ModelInfo, Path]:
    """The model, and the file that it is in. `memory_bytes` is what it will need, about.

    `loading.open_model` says what `spec` and `name` may be, and what is raised. `templated`: with a chat template.
    """
    home = data_folder(os.environ)
    found = resolve(spec, home)
    card, header = found.card, found.header
    defaults = load_user_settings(home / FILE_NAME).for_model(*names(found, name))
    given = {**defaults.model, **overrides}
    sight = Sight.of(found, given, templated=templated or defaults.chat_template is not None)
    settings = ModelSettings(found.path, **{**given, "mmproj": sight.path})
    trained, embeds = trained_context(card, header), makes_embeddings(header.metadata)
    context = longest_input(settings, trained) if embeds else settings.context or default_context(card, header)
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    info = ModelInfo(
        name=name or found.name,
        context=context,
        context_train=trained,
        vocabulary=tokens.length if isinstance(tokens, ArrayField) else 0,
        parameters=found.parameters,
        description=(card.description if card else "") or header.text("general.name") or found.name,
        defaults=answer_settings(card, defaults),
        capabilities=Capabilities(
            chat=not embeds, tools=not embeds, embeddings=embeds, vision=sight.projector is not None
        ),
        memory_bytes=0  # other machines have a part of it, which a plan decides
        if settings.rpc
        else found.size + kv_bytes(header, context, settings.kv_type) + sight.bytes(found),
        **known(found, name),
    )
    return info, found.path


def free_memory(overrides: ModelOverrides) -> int | None:
    """Bytes that a model may take now, None where nobody knows: a GPU's are its driver's to give."""
    if (library.supports_gpu() or overrides.get("rpc")) and overrides.get("gpu_layers") != 0:
        return None
    return available_memory()
