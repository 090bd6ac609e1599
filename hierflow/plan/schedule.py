"""phi: how alike prompts must be to share a step."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError

Steps = int | tuple[int, ...]
"""How many steps there are or, for a sampler that takes several evaluations for some, how many each takes."""


def phi(tau: float, steps: Steps) -> npt.NDArray[np.float64]:
    """The height below which clusters share step k, for k = 1 .. steps: linear from tau down to 0.

    This is the convention of the paper's released code, `linspace(0, tau, K)[::-1]`; the paper's formula
    phi(k) = tau (1 - k/K) differs by one step. With one step, phi is 0. All evaluations of a step have its height,
    one after the other, so that clusters part between steps only.

    Raises:
        InputError: tau is no number, negative, NaN or infinite, or steps is not a whole number of at least 1.
    """
    if isinstance(steps, tuple):
        return np.repeat(phi(tau, len(steps)), steps)
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise InputError(
            "is not a whole number of at least 1", field="steps", value=steps, remedy="40 is a usual choice"
        )
    if isinstance(tau, bool) or not isinstance(tau, Real) or not math.isfinite(tau) or tau < 0:
        raise InputError(
            "is not a number of at least 0",
            field="tau",
            value=tau,
            remedy="0 shares nothing and 1.0 is a usual choice",
        )
    return np.linspace(0.0, tau, steps)[::-1]
