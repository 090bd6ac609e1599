"""The mini model: its catalogue, its weights, what trains it, and the judges that share nothing with it.

Importing this package, or its `catalogue`, imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

WEIGHTS: Final = Path(__file__).parent / "weights"
"""The folder of the model: `prior/` and `decoder/` in diffusers format."""

YES_NO_JUDGE: Final = Path(__file__).parent / "judges" / "weights" / "yes_no"
"""The folder of the yes/no judge, in the format of transformers' image-text-to-text models."""
