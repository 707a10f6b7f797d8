"""llama.cpp as the engine's EmbeddingBackend: each text is a sequence of one batch, and pooled to one vector."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as ll

from ggufrun.engine.backend import EmbeddingLimits, Run
from ggufrun.errors import EngineClosed, EngineError
from ggufrun.llama.batch import Batch
from ggufrun.llama.context import ContextPlan, flash_attention, kv_bytes, open_context
from ggufrun.llama.hardware import physical_cores
from ggufrun.llama.model import Model
from ggufrun.llama.pooling import longest_input, pooling_type, reads_in_parts
from ggufrun.settings import ModelSettings

_SEQUENCES: Final = 64  # inputs of one batch
_UBATCH: Final = 512  # llama.cpp's default


class LlamaEmbedder:
    """One context over a model, which it owns. One thread uses it."""

    def __init__(self, model: Model, settings: ModelSettings, rows: int) -> None:
        """`rows`: of several inputs in one batch; attention looks at all of them. Raises what `open_context` raises,
        and ModelFileError for a model whose vectors stand for no text.
        """
        self.model, self.plan = model, (plan := embedding_plan(model, settings))
        self._context: Any = open_context(model, plan)
        self._limits = EmbeddingLimits(
            context=plan.context,
            batch=min(rows, plan.batch),
            inputs=plan.sequences,
            dimensions=int(ll.llama_model_n_embd_out(model.handle)),
            vocabulary=int(ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model.handle))),
        )
        self._batch = Batch(plan.batch)
        encodes = ll.llama_model_has_encoder(model.handle) and not ll.llama_model_has_decoder(model.handle)
        self._compute: Callable[..., int] = ll.llama_encode if encodes else ll.llama_decode

    @property
    def limits(self) -> EmbeddingLimits:
        return self._limits

    @property
    def cache_bytes(self) -> int:
        """Of the KV cache, which models whose tokens all see each other do not have."""
        has_cache = ll.llama_get_memory(self._open())
        return kv_bytes(self.model, self.plan.context, self.plan.kv_type) if has_cache else 0

    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        context = self._open()
        if memory := ll.llama_get_memory(context):
            ll.llama_memory_clear(memory, False)
        self._batch.fill([Run(seq, 0, tokens, outputs=len(tokens)) for seq, tokens in enumerate(inputs)])
        code = self._compute(context, self._batch.native)
        if code != 0:
            raise EngineError(f"llama.cpp could not compute the embeddings (code {code}).", "Send the request again.")
        vectors = np.empty((len(inputs), self._limits.dimensions), np.float32)
        for seq in range(len(inputs)):
            vectors[seq] = np.ctypeslib.as_array(ll.llama_get_embeddings_seq(context, seq), vectors.shape[1:])
        return vectors

    def reset(self) -> None:
        self._free()
        self._context = open_context(self.model, self.plan)

    def close(self) -> None:
        self._free()
        self.model.close()

    def _open(self) -> Any:
        if self._context is None:
            raise EngineClosed
        return self._context

    def _free(self) -> None:
        if self._context is not None:
            context, self._context = self._context, None
            ll.llama_free(context)


def embedding_plan(model: Model, settings: ModelSettings) -> ContextPlan:
    """The sizes of an embedding model's context; ModelFileError for a model whose vectors stand for no text."""
    pooling = pooling_type(model)
    longest = longest_input(settings, model.context_train)
    return ContextPlan(
        context=longest,
        batch=longest,
        ubatch=min(_UBATCH, longest) if reads_in_parts(model, pooling) else longest,
        sequences=min(_SEQUENCES, longest, ll.llama_max_parallel_sequences()),  # each needs a row, or llama.cpp aborts
        threads=settings.threads or physical_cores(),
        kv_type=settings.kv_type,
        # Here it is faster on the processor too: 1.7 times at 400 tokens (MiniLM, F32), and cosines of 0.9999995.
        flash_attention=flash_attention(settings, on_cpu=False),
        pooling=pooling,
    )
