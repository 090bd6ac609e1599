"""KID: how far two sets of pictures are apart, by features of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


def kernel_distance(first: Float, second: Float) -> float:
    """The unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)^3.

    Binkowski et al., Demystifying MMD GANs (ICLR 2018). Its expectation is 0 for two draws of one distribution, so
    that single values can be negative; a mean over blocks has the same expectation as one over everything.

    Args:
        first: (N, D), N at least 2.
        second: (M, D), M at least 2.
    """
    alike = [_kernel(rows, rows) for rows in (first, second)]
    within = sum((matrix.sum() - np.trace(matrix)) / (len(matrix) * (len(matrix) - 1)) for matrix in alike)
    return float(within - 2 * _kernel(first, second).mean())


def _kernel(first: Float, second: Float) -> Float:
    kernel: Float = (first @ second.T / first.shape[1] + 1) ** 3
    return kernel
