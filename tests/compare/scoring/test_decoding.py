"""Batches: what does not fit says what would, and a sequence goes on where it ended"""

import numpy as np
import pytest

from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.decoding import feed
from ggufrun.errors import EngineError
from tests.compare.scoring.conftest import tokens


def test_a_batch_without_room_wants_more_context(tiny: Contexts) -> None:
    backend = tiny.empty(256)
    feed(backend, 0, tokens(200))
    with pytest.raises(EngineError, match=r"NO_ROOM.*Give more --context"):
        feed(backend, 1, tokens(200))


def test_a_sequence_goes_on_where_it_ended(tiny: Contexts) -> None:
    backend, whole = tiny.empty(256), tokens(100)
    feed(backend, 0, whole)
    expected = backend.logits(0).copy()
    backend = tiny.empty(256)
    feed(backend, 0, whole[:60])
    feed(backend, 0, whole[60:], 60)
    assert np.allclose(backend.logits(0), expected, atol=1e-3)
