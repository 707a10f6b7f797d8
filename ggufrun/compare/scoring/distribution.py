"""One row of logits as a distribution over the vocabulary: float32 as llama.cpp gives it, summed in float64"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]  # [vocabulary]
Ids = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Distribution:
    """As long valid as its logits are."""

    logits: Row
    weights: Row  # e^(logit - the largest one)
    total: float  # of the weights
    top: int  # the likeliest token; of equals the first
    log_total: float  # ln of the sum of e^logit

    @classmethod
    def of(cls, logits: Row) -> "Distribution | None":
        """None where a logit is not finite."""
        top = int(logits.argmax())  # the first nan, where there is one
        largest = float(logits[top])
        if not (math.isfinite(largest) and math.isfinite(float(logits.min()))):
            return None
        weights = logits - logits[top]
        np.exp(weights, out=weights)
        total = float(weights.sum(dtype=np.float64))
        return cls(logits, weights, total, top, largest + math.log(total))

    def log_p(self, token: int) -> float:
        return float(self.logits[token]) - self.log_total

    def p(self, token: int) -> float:
        return math.exp(self.log_p(token))

    def top_tokens(self, count: int) -> Ids:
        """The likeliest tokens, the likeliest first; of equals those with the lower ids."""
        count = min(count, len(self.logits))
        least = np.partition(self.logits, -count)[-count]
        ids = np.flatnonzero(self.logits >= least)
        order = np.argsort(-self.logits[ids], kind="stable")[:count]
        return ids[order].astype(np.uint32)
