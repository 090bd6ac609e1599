"""What encoders make of prompts and denoising is conditioned on."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Conditioning = dict[str, npt.NDArray[Any]]
"""Arrays by name, one row a prompt."""
