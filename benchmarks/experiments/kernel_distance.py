"""KID: how far images are from renders of the same prompts, by features of both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


def kernel_shares(images: Float, renders: Float, prompts: npt.NDArray[np.int64]) -> Float:
    """The unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)^3, as shares of the images.

    Binkowski et al., Demystifying MMD GANs (ICLR 2018). Image and render of one prompt are not two draws, so that
    only pairs of different prompts count. For two draws of one distribution the distance is 0 in the mean, so that
    single ones can be negative.

    Args:
        images: (N, D), N at least 2.
        renders: (N, D), a drawn picture beside each image.
        prompts: (N,) which prompt each row is of; at least two different ones, each as often.

    Returns:
        (N,), whose mean is the distance, and whose mean over rows drawn anew (by subtrees, say) varies as the
        distance does: distance + 2 (own mean over partners - distance). The 2 is there because each row counts in
        pairs with all others, on either side (Hoeffding's projection of a U-statistic). Of two ways that are equally
        far this exaggerates the spread, so that they are told apart less than once in twenty times.
    """
    across = _kernel(images, renders)
    pairs = _kernel(images, images) + _kernel(renders, renders) - across - across.T
    pairs[prompts[:, None] == prompts] = 0.0
    own = pairs.sum(axis=1) / (prompts[:, None] != prompts).sum(axis=1)
    shares: Float = 2 * own - own.mean()
    return shares


def _kernel(first: Float, second: Float) -> Float:
    kernel: Float = (first @ second.T / first.shape[1] + 1) ** 3
    return kernel
